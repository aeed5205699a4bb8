//! The engine on disk: sled 0.34, made to keep what it acknowledged.
//!
//! sled's flush on Linux ends in `sync_file_range`, which does not survive a power cut, so a commit
//! also calls `sync_data` on sled's file; and values that sled sets apart as blobs are written
//! without any sync, so a commit syncs those too (docs/decisions/0002-sled.md).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

mod place;

use self::place::Place;
use super::StoreError;
use super::engine::{Batch, Engine, Row, Rows};

/// Bytes of pages that sled keeps in memory: a node of 100,000 records is to stay under 150 MB in all.
const CACHE_BYTES: u64 = 60 * 1024 * 1024;

/// How often and how long to wait for a lock: a second in all.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Bytes that stay free on the disk. sled does not survive a write for which there is no room, and a node
/// whose disk is full must still be able to read, to start and to be told to stop.
pub const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Bytes of rows that are written in order before sled is left alone for a moment.
pub(super) const IN_ORDER_BYTES: usize = 1024 * 1024;

/// How often sled looks for something to clean while rows are written in order, and how long it is left alone after
/// each [`IN_ORDER_BYTES`]. It writes each page about three times until the page is full, and what is dead gives
/// room again only once it was cleaned: a segment at each look, unless something is being written. Of rows of
/// 264 MB the file then has 348 MB, and 2.2 times their bytes without (docs/decisions/0010-compaction.md).
const CLEANING_EVERY_MS: u64 = 2;
const CLEANING_PAUSE: Duration = Duration::from_millis(20);

/// A sled database in a folder.
#[derive(Debug)]
pub struct Embedded {
    /// Nothing while it is opened again.
    open: RwLock<Option<Arc<Open>>>,
    anew: Mutex<Anew>,
    folder: PathBuf,
    acknowledged: File,
    was_ended: bool,
}

/// Where rows are written anew.
#[derive(Debug, Default)]
enum Anew {
    /// Nowhere.
    #[default]
    Not,
    /// Beside.
    Begun(Place, Open),
    /// They were taken; what was read before goes once nobody reads it any more.
    Taken(Weak<Open>),
}

/// The database, opened once.
#[derive(Debug)]
struct Open {
    rows: sled::Db,
    file: File,
    folder: PathBuf,
    synced_blobs: Mutex<BTreeSet<OsString>>,
}

/// A file that is there from opening to the orderly end: who finds it knows that a write may have been
/// cut off.
const OPEN: &str = "open";

/// A file that says which change was acknowledged last. It is written after the commit and not synced, so
/// it never says too much: a store that has less has lost something.
const ACKNOWLEDGED: &str = "acknowledged";

fn unusable(folder: &Path) -> impl Fn(io::Error) -> StoreError {
    |error| StoreError::Unusable {
        folder: folder.to_owned(),
        reason: error.to_string(),
    }
}

impl Embedded {
    /// Opens the database in `folder`, or makes it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open; [`StoreError::Unusable`] if the folder
    /// cannot be written or read; [`StoreError::Corrupt`] if its content is damaged.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_for(folder, Use::Any)
    }

    /// As [`Embedded::open`], to write many rows in order before it is opened by others.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub(super) fn open_to_fill(folder: &Path) -> Result<Self, StoreError> {
        Self::open_for(folder, Use::InOrder)
    }

    fn open_for(folder: &Path, meant: Use) -> Result<Self, StoreError> {
        let unusable = unusable(folder);
        fs::create_dir_all(folder).map_err(&unusable)?;
        // sled says of a read-only folder only that it could not lock it.
        let probe = folder.join(".writable");
        File::create(&probe)
            .and_then(|_| fs::remove_file(&probe))
            .map_err(&unusable)?;
        let place = Place::of(folder)?;
        let open = Open::at(&place.within(folder), meant)?;
        // Whoever had it open may have gone on with other rows just now.
        if Place::of(folder)? != place {
            return Err(StoreError::Locked {
                folder: folder.to_owned(),
            });
        }
        let was_ended = !folder.join(OPEN).exists();
        File::create(folder.join(OPEN)).map_err(&unusable)?;
        // A new file is only there after a power cut if its folder says so.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(&unusable)?;
        place.clear_others(folder)?;
        if let Some(parent) = folder.parent().and_then(|parent| File::open(parent).ok()) {
            parent.sync_all().map_err(&unusable)?;
        }
        Ok(Self {
            open: RwLock::new(Some(Arc::new(open))),
            anew: Mutex::default(),
            folder: folder.to_owned(),
            acknowledged: File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(folder.join(ACKNOWLEDGED))
                .map_err(&unusable)?,
            was_ended,
        })
    }

    /// The change that was acknowledged last, as far as is known.
    pub fn acknowledged(&self) -> u64 {
        let mut number = [0; 8];
        match self.acknowledged.read_exact_at(&mut number, 0) {
            Ok(()) => u64::from_be_bytes(number),
            Err(_) => 0,
        }
    }

    /// Whether whoever had it open before came to an orderly end. If not, what was being written then
    /// and was not acknowledged is gone.
    pub fn was_ended(&self) -> bool {
        self.was_ended
    }

    fn anew(&self) -> MutexGuard<'_, Anew> {
        self.anew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies the next of many batches whose keys come in order: they are durable with the next commit.
    pub(super) fn apply_in_order(&self, batch: &Batch) -> Result<(), StoreError> {
        self.now()?.apply_in_order(batch)
    }

    fn now(&self) -> Result<Arc<Open>, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| StoreError::Unusable {
            folder: self.folder.clone(),
            reason: "a write failed, and it could not be opened again yet".to_owned(),
        })
    }
}

impl Open {
    fn at(folder: &Path, meant: Use) -> Result<Self, StoreError> {
        let rows = open_when_free(folder, meant).map_err(|error| match error {
            sled::Error::Io(error) if is_lock(&error) => StoreError::Locked {
                folder: folder.to_owned(),
            },
            sled::Error::Io(error) => unusable(folder)(error),
            error => StoreError::from(error),
        })?;
        Ok(Self {
            rows,
            file: File::open(folder.join("db")).map_err(unusable(folder))?,
            folder: folder.to_owned(),
            synced_blobs: Mutex::default(),
        })
    }

    fn range(&self, from: &[u8], to: &[u8]) -> sled::Iter {
        self.rows.range(from.to_vec()..to.to_vec())
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key.as_slice(), value.as_slice()),
                None => changes.remove(key.as_slice()),
            }
        }
        Ok(self.rows.apply_batch(changes)?)
    }

    /// Applies the next of many batches whose keys come in order, not as one: nobody reads it before all are
    /// applied, and to sled a batch is dearer than its rows.
    fn apply_in_order(&self, batch: &Batch) -> Result<(), StoreError> {
        for (key, value) in batch {
            match value {
                Some(value) => self.rows.insert(key, value.as_slice())?,
                None => self.rows.remove(key)?,
            };
        }
        self.rows.flush()?;
        std::thread::sleep(CLEANING_PAUSE);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.rows.flush()?;
        self.file.sync_data()?;
        self.sync_blobs()
    }

    fn sync_blobs(&self) -> Result<(), StoreError> {
        let folder = self.folder.join("blobs");
        let mut synced = self
            .synced_blobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeSet::new();
        let mut is_new = false;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !synced.contains(&name) {
                match File::open(entry.path()) {
                    Ok(blob) => blob.sync_data()?,
                    // sled removes a blob when its value goes.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error.into()),
                }
                is_new = true;
            }
            present.insert(name);
        }
        if is_new {
            File::open(&folder)?.sync_all()?;
        }
        *synced = present;
        Ok(())
    }
}

/// Waits a while for those who still read.
fn wait_until_let_go(open: &Weak<Open>) {
    for _ in 0..LOCK_TRIES {
        if open.strong_count() == 0 {
            break;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// Opens sled's database. sled keeps its lock for a moment after the database was dropped, until its own
/// threads have let go of the file, so a lock is only believed when it stays.
/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Rows are read and written in any order, and what is committed is durable.
    Any,
    /// Many rows are written in order first, and sled cleans meanwhile.
    InOrder,
}

fn open_when_free(folder: &Path, meant: Use) -> Result<sled::Db, sled::Error> {
    let open = || {
        sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms((meant == Use::InOrder).then_some(CLEANING_EVERY_MS))
            .open()
    };
    for _ in 0..LOCK_TRIES {
        match open() {
            Err(sled::Error::Io(error)) if is_lock(&error) => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    open()
}

/// The file that says in which form a store is: sled changes its files even if it is only opened.
const FORM: &str = "form";

/// In which form the store in `folder` is, without touching it; `None` if that is written nowhere but
/// in the store itself, or there is no store.
///
/// # Errors
/// [`StoreError::Unusable`] if the file cannot be read; [`StoreError::Corrupt`] if it has no number.
pub fn form_of(folder: &Path) -> Result<Option<u64>, StoreError> {
    let text = match fs::read_to_string(folder.join(FORM)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(StoreError::Unusable {
                folder: folder.to_owned(),
                reason: error.to_string(),
            });
        }
    };
    let form = text.trim().parse().map_err(|_| StoreError::Corrupt {
        detail: format!("{} has no number", folder.join(FORM).display()),
    })?;
    Ok(Some(form))
}

/// Writes in which form the store in `folder` is, so that [`form_of`] knows it.
///
/// # Errors
/// [`StoreError::Io`].
pub fn write_form(folder: &Path, form: u64) -> Result<(), StoreError> {
    write_whole(&folder.join(FORM), &format!("{form}\n"))
}

/// Writes a small file, which is on disk then, or is not there.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            error => Self::Corrupt {
                detail: error.to_string(),
            },
        }
    }
}

impl Engine for Embedded {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.now()?.rows.get(key)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8]) -> Rows<'_> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let open = match self.now() {
            Ok(open) => open,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let mut rows = open.range(from, to);
        Box::new(std::iter::from_fn(move || {
            // While rows are read, the database is not let go.
            let _ = &open;
            Some(rows.next()?.map_err(StoreError::from).map(as_row))
        }))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        if from >= to {
            return Ok(None);
        }
        let last = self.now()?.range(from, to).next_back();
        Ok(last.transpose()?.map(as_row))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let open = self.now()?;
        open.apply(batch)?;
        open.sync()
    }

    fn note_acknowledged(&self, last_change: u64) {
        // Without it a loss might go unnoticed; nothing is lost by that.
        let _ = self
            .acknowledged
            .write_all_at(&last_change.to_be_bytes(), 0);
    }

    fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        match crate::disk::free_bytes(&self.folder)? {
            free_bytes if free_bytes < FREE_BYTES_MIN.saturating_add(bytes) => {
                Err(StoreError::Full { free_bytes })
            }
            _ => Ok(()),
        }
    }

    fn size_in_order(&self) -> Result<u64, StoreError> {
        Ok(Place::of(&self.folder)?.bytes_in_order)
    }

    fn begin_anew(&self) -> Result<bool, StoreError> {
        let mut anew = self.anew();
        if !matches!(*anew, Anew::Not) {
            return Err(StoreError::Compacting);
        }
        let place = Place::of(&self.folder)?;
        place.clear_others(&self.folder)?;
        let place = place.next();
        let folder = place.within(&self.folder);
        fs::create_dir(&folder)?;
        *anew = Anew::Begun(place, Open::at(&folder, Use::InOrder)?);
        Ok(true)
    }

    fn add_anew(&self, batch: &Batch) -> Result<(), StoreError> {
        match &*self.anew() {
            Anew::Begun(_, open) => open.apply_in_order(batch),
            Anew::Not | Anew::Taken(_) => Err(StoreError::Closed),
        }
    }

    fn take_anew(&self) -> Result<(), StoreError> {
        let mut anew = self.anew();
        let Anew::Begun(mut place, written) = std::mem::take(&mut *anew) else {
            return Err(StoreError::Closed);
        };
        written.sync()?;
        place.bytes_in_order = written.rows.size_on_disk()?;
        // Opened again, it has nothing in memory of what it wrote.
        drop(written);
        let open = Open::at(&place.within(&self.folder), Use::Any)?;
        place.choose(&self.folder)?;
        let former = self
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(Arc::new(open));
        *anew = Anew::Taken(former.map_or_else(Weak::new, |former| Arc::downgrade(&former)));
        Ok(())
    }

    fn end_anew(&self) {
        let mut anew = self.anew();
        match std::mem::take(&mut *anew) {
            Anew::Not => return,
            Anew::Begun(_, open) => drop(open),
            Anew::Taken(former) => wait_until_let_go(&former),
        }
        let cleared = Place::of(&self.folder).and_then(|place| place.clear_others(&self.folder));
        if let Err(error) = cleared {
            // What is left is cleared at the next start.
            tracing::warn!(%error, "what the store was before it was compacted still takes up room");
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let place = || self.open.write().unwrap_or_else(PoisonError::into_inner);
        // From here on nobody begins to read, and who reads on is told to end.
        let former = place().take();
        if let Some(former) = former {
            let let_go = Arc::downgrade(&former);
            drop(former);
            wait_until_let_go(&let_go);
        }
        let open = Open::at(&Place::of(&self.folder)?.within(&self.folder), Use::Any)?;
        // What was read back may never have come to the disk.
        File::open(&self.folder)?.sync_all()?;
        open.file.sync_all()?;
        open.sync_blobs()?;
        *place() = Some(Arc::new(open));
        Ok(())
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(self.now()?.rows.size_on_disk()?)
    }

    fn end(&self) {
        // If it stays, the next start says once too often that it was there.
        let _ = fs::remove_file(self.folder.join(OPEN));
    }
}

fn as_row((key, value): (sled::IVec, sled::IVec)) -> Row {
    (key.to_vec(), value.to_vec())
}
