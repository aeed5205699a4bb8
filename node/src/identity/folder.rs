//! What a provider's own machine keeps of an identity: who it is, its log, its newest signed records,
//! and its keys. `did.jsonl` and `records.ndjson` are public; they are also what a static web page serves.
//!
//! Whatever is written is written whole or not at all. A change of the identity is prepared in the
//! keychain and in a file of records beside it; [`Folder::finish`] puts both in force, and opening the
//! folder does so too if the process ended in between.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use protocol::envelope::{Envelope, EnvelopeError};
use protocol::id::{LocalId, VersionHash};
use protocol::identity::write::Place;
use protocol::identity::{LogEntry, LogError, LogState, VersionId, WitnessProofs, verify_log};
use protocol::limits::LOG_BYTES_MAX;
use protocol::record::{Checkpoint, Draft};
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::PROFILE;
use crate::keychain::{Changed, Founded, Keychain, KeychainError, Signer, Step, random_name};
use crate::publish::Outcome;
use crate::restore::number_after;

/// The name of its keys within the folder's keychain.
pub const HANDLE: &str = "identity";

const ABOUT: &str = "identity.json";
const LOG: &str = "did.jsonl";
const RECORDS: &str = "records.ndjson";

/// Largest file of signed records that is read.
const RECORDS_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is none.
    #[error("there is no identity in {}: make one with `baraza identity new`, or name another folder with --dir", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// There is something already.
    #[error("{} holds {what} already: name another folder with --dir", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What.
        what: &'static str,
    },
    /// Another command is at work in it.
    #[error("another command is at work in {}: wait for it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The log in the folder does not hold.
    #[error("the log in {} does not verify: {error}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        error: LogError,
    },
    /// A draft cannot be signed.
    #[error("nothing was signed: {local}: {error}")]
    Draft {
        /// Its name.
        local: LocalId,
        /// Why.
        error: EnvelopeError,
    },
    /// Two drafts are of one record.
    #[error("nothing was signed: “{local}” stands twice among the drafts")]
    Twice {
        /// Its name.
        local: LocalId,
    },
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeychainError),
}

/// What the owner said of the identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// Its name for people.
    pub name: String,
    /// The language of its profile.
    pub language: String,
    /// The licence of records that name none.
    pub licence: String,
}

/// An identity's folder, open, and locked against other commands.
pub struct Folder {
    path: PathBuf,
    about: About,
    keychain: Keychain,
    log: Vec<Vec<u8>>,
    state: LogState,
    records: BTreeMap<LocalId, Envelope>,
    _lock: File,
}

impl Folder {
    /// Makes an identity in a new folder.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn create(
        path: &Path,
        about: About,
        place: Place,
        now: Timestamp,
    ) -> Result<(Self, Founded), FolderError> {
        let lock = make(path)?;
        let keychain = Keychain::open(&path.join("keys"))?;
        let founded = keychain.found(HANDLE, place, now)?;
        let folder = Self::begin(
            path,
            about,
            &[founded.entry.to_canonical_bytes()],
            now,
            lock,
        )?;
        Ok((folder, founded))
    }

    /// Makes a folder for an identity whose log is known from elsewhere.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn adopt(
        path: &Path,
        about: About,
        log: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Self, FolderError> {
        let lock = make(path)?;
        Self::begin(path, about, log, now, lock)
    }

    fn begin(
        path: &Path,
        about: About,
        log: &[Vec<u8>],
        now: Timestamp,
        lock: File,
    ) -> Result<Self, FolderError> {
        write_lines(&path.join(LOG), log.iter().map(Vec::as_slice))?;
        write_lines(&path.join(RECORDS), std::iter::empty())?;
        // Last, so that a folder with this file is a whole one.
        write_about(path, &about)?;
        Self::read(path, lock, now)
    }

    /// Opens the folder of an identity.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, FolderError> {
        if !path.join(ABOUT).exists() {
            return Err(FolderError::Missing {
                path: path.to_owned(),
            });
        }
        let lock = lock(path)?;
        Self::read(path, lock, now)
    }

    /// Whether there is an identity in a folder.
    pub fn is_in(path: &Path) -> bool {
        path.join(ABOUT).exists()
    }

    fn read(path: &Path, lock: File, now: Timestamp) -> Result<Self, FolderError> {
        let about_file = path.join(ABOUT);
        let about = serde_json::from_slice(&read(&about_file, LOG_BYTES_MAX as u64)?);
        let about = about.map_err(|error| FolderError::Form {
            path: about_file,
            reason: error.to_string(),
        })?;
        let log_file = path.join(LOG);
        // Proofs stand beside the megabyte that a log may have.
        let text = read(&log_file, 4 * LOG_BYTES_MAX as u64)?;
        let state =
            verify_log(&text, &WitnessProofs::empty(), now).map_err(|error| FolderError::Log {
                path: log_file,
                error,
            })?;
        let log = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let mut folder = Self {
            keychain: Keychain::open(&path.join("keys"))?,
            path: path.to_owned(),
            about,
            log,
            state,
            records: BTreeMap::new(),
            _lock: lock,
        };
        folder.put_in_force()?;
        Ok(folder)
    }

    /// What the owner said of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Takes name and licence from the identity's own profile, where it was made anew from records.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn describe(&mut self, records: &[Envelope]) -> Result<(), FolderError> {
        let profile = records
            .iter()
            .find(|record| record.header().local.as_str() == PROFILE);
        let Some(profile) = profile else {
            return Ok(());
        };
        let tree = tree_of(profile);
        let language = profile
            .header()
            .language
            .as_deref()
            .unwrap_or("en")
            .to_owned();
        let names = tree
            .get("body")
            .and_then(|body| body.get("name")?.as_object());
        let name = names.and_then(|names| names.get(&language).or(names.values().next())?.as_str());
        if let Some(name) = name {
            self.about.name = name.to_owned();
        }
        self.about.language = language;
        self.about.licence = profile.header().licence.to_string();
        write_about(&self.path, &self.about)
    }

    /// What its log says.
    pub fn state(&self) -> &LogState {
        &self.state
    }

    /// Its log, first entry first.
    pub fn log(&self) -> &[Vec<u8>] {
        &self.log
    }

    /// Its keys.
    pub fn keychain(&self) -> &Keychain {
        &self.keychain
    }

    /// Its newest records, as they are signed.
    pub fn records(&self) -> &BTreeMap<LocalId, Envelope> {
        &self.records
    }

    /// What is typed to go on with a change that is not finished.
    ///
    /// # Errors
    /// A damaged file.
    pub fn unfinished(&self) -> Result<Option<String>, FolderError> {
        Ok(self.keychain.unfinished(HANDLE)?)
    }

    /// The file of the second recovery key, while it is here.
    pub fn escrow_file(&self) -> Option<PathBuf> {
        let file = self.path.join("keys").join(format!("{HANDLE}.escrow"));
        file.exists().then_some(file)
    }

    /// Signs drafts with the record key and keeps them, with a checkpoint that counts all records. What is said
    /// already is left as it is, and given back as it was signed.
    ///
    /// # Errors
    /// See [`FolderError`]; nothing is kept then.
    pub fn sign(
        &mut self,
        drafts: &[Draft],
        now: Timestamp,
    ) -> Result<Vec<(Outcome, Envelope)>, FolderError> {
        if let Some(step) = self.unfinished()? {
            let path = self.path.join("keys").join(format!("{HANDLE}.pending"));
            return Err(KeychainError::Unfinished { step, path }.into());
        }
        let signer = self.keychain.signer(HANDLE)?;
        let mut records = self.records.clone();
        let mut signed: Vec<(Outcome, Envelope)> = Vec::new();
        for draft in drafts {
            let local = draft.local();
            if signed
                .iter()
                .any(|(_, record)| record.header().local == *local)
            {
                return Err(FolderError::Twice {
                    local: local.clone(),
                });
            }
            let known = records.get(local);
            let is_said = known.is_some_and(|record| draft.is_said_by(&tree_of(record)));
            if let (Some(known), true) = (known, is_said) {
                signed.push((Outcome::Unchanged, known.clone()));
                continue;
            }
            let seq = known.map_or(0, |record| record.header().seq) + 1;
            let outcome = match known {
                None => Outcome::New,
                Some(_) => Outcome::Changed,
            };
            let record = sign_as(&signer, draft, seq, now)?;
            records.insert(local.clone(), record.clone());
            signed.push((outcome, record));
        }
        self.keep_counted(&signer, records, now)?;
        Ok(signed)
    }

    /// Keeps records in place of those that were here, with a checkpoint that counts them.
    fn keep_counted(
        &mut self,
        signer: &Signer,
        mut records: BTreeMap<LocalId, Envelope>,
        now: Timestamp,
    ) -> Result<(), FolderError> {
        let version = self.state.version_id();
        if let Some(checkpoint) = checkpoint(signer, &version, records.values(), 1, now)? {
            records.insert(checkpoint.header().local.clone(), checkpoint);
        }
        self.write_records(RECORDS, records.values())?;
        self.records = records;
        Ok(())
    }

    /// Its newest records as they are handed to others: the checkpoint last, which counts what came before it.
    pub fn in_order(&self) -> Vec<&Envelope> {
        let mut records: Vec<_> = self.records.values().collect();
        records.sort_by_key(|record| record.header().local.as_str() == Checkpoint::LOCAL_ID);
        records
    }

    /// What says of the whole who this is and how many records there are: the profile and the checkpoint.
    pub fn about_the_whole(&self) -> impl Iterator<Item = &Envelope> {
        [PROFILE, Checkpoint::LOCAL_ID]
            .into_iter()
            .filter_map(|local| self.records.get(&LocalId::parse(local).ok()?))
    }

    /// Takes in records that were signed by this identity's present key elsewhere, such as by another
    /// copy of this folder, where they are newer. If the key is here, all are counted anew.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn take_in(&mut self, records: Vec<Envelope>, now: Timestamp) -> Result<(), FolderError> {
        let mut kept = self.records.clone();
        for record in records {
            let header = record.header();
            let is_newer = kept
                .get(&header.local)
                .is_none_or(|known| known.header().seq < header.seq);
            if is_newer {
                kept.insert(header.local.clone(), record);
            }
        }
        match self.keychain.signer(HANDLE) {
            Ok(signer) if self.state.keys().counts(&signer.key.public()) => {
                self.keep_counted(&signer, kept, now)
            }
            Ok(_) | Err(KeychainError::Unknown { .. }) => {
                self.write_records(RECORDS, kept.values())?;
                self.records = kept;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a longer log in that goes on from this one.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn extend(&mut self, entries: &[LogEntry], state: LogState) -> Result<(), FolderError> {
        self.log = entries.iter().map(LogEntry::to_canonical_bytes).collect();
        write_lines(&self.path.join(LOG), self.log.iter().map(Vec::as_slice))?;
        self.state = state;
        Ok(())
    }

    /// Prepares the next entry of the log: see [`Keychain::change`].
    ///
    /// # Errors
    /// See [`KeychainError`].
    pub fn prepare(&self, step: Step, now: Timestamp) -> Result<Changed, FolderError> {
        Ok(self.keychain.change(HANDLE, &self.state, step, now)?)
    }

    /// The records that were prepared for an entry, if they were.
    ///
    /// # Errors
    /// A damaged file.
    pub fn prepared(&self, entry: &LogEntry) -> Result<Option<Vec<Envelope>>, FolderError> {
        let file = self.path.join(name_of_prepared(entry));
        match file.exists() {
            true => read_records(&file).map(Some),
            false => Ok(None),
        }
    }

    /// Keeps the records that are to be published with an entry, before any of it is.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn prepare_records(
        &self,
        entry: &LogEntry,
        records: &[Envelope],
    ) -> Result<(), FolderError> {
        self.write_records(&name_of_prepared(entry), records)
    }

    /// Puts in force what was prepared and published.
    ///
    /// # Errors
    /// A file cannot be written; opening the folder tries again.
    pub fn finish(&mut self, entry: &LogEntry, now: Timestamp) -> Result<(), FolderError> {
        let log_file = self.path.join(LOG);
        if self.state.version_id() != entry.version_id() {
            let state = self.state.next(
                entry,
                now.max(entry.version_time()),
                &WitnessProofs::empty(),
            );
            let state = state.map_err(|error| FolderError::Log {
                path: log_file.clone(),
                error,
            })?;
            let mut log = self.log.clone();
            log.push(entry.to_canonical_bytes());
            write_lines(&log_file, log.iter().map(Vec::as_slice))?;
            (self.log, self.state) = (log, state);
        }
        self.put_in_force()
    }

    /// The records and keys of the newest entry, if they still stand aside.
    fn put_in_force(&mut self) -> Result<(), FolderError> {
        let newest = self.log.last().and_then(|line| LogEntry::parse(line).ok());
        if let Some(entry) = newest {
            let prepared = self.path.join(name_of_prepared(&entry));
            if prepared.exists() {
                let file = self.path.join(RECORDS);
                let fault = |source| FolderError::File {
                    path: file.clone(),
                    source,
                };
                fs::rename(&prepared, &file).map_err(fault)?;
                sync_folder(&self.path)?;
            }
        }
        self.keychain.settle(HANDLE, &self.state)?;
        let records = read_records(&self.path.join(RECORDS))?;
        self.records = records
            .into_iter()
            .map(|record| (record.header().local.clone(), record))
            .collect();
        Ok(())
    }

    fn write_records<'r>(
        &self,
        name: &str,
        records: impl IntoIterator<Item = &'r Envelope>,
    ) -> Result<(), FolderError> {
        let lines = records.into_iter().map(Envelope::canonical);
        write_lines(&self.path.join(name), lines)
    }
}

fn write_about(path: &Path, about: &About) -> Result<(), FolderError> {
    let path = path.join(ABOUT);
    let text = serde_json::to_vec_pretty(about).map_err(|error| FolderError::Form {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    write_lines(&path, [text.as_slice()])
}

/// Signs a draft as a version of its record.
///
/// # Errors
/// [`FolderError::Draft`].
pub fn sign_as(
    signer: &Signer,
    draft: &Draft,
    seq: u64,
    now: Timestamp,
) -> Result<Envelope, FolderError> {
    draft
        .sign(&signer.did, seq, now, &signer.key)
        .map_err(|error| FolderError::Draft {
            local: draft.local().clone(),
            error,
        })
}

/// Counts records in a checkpoint, by which anyone sees what a host holds back. Its number is the time in seconds, or
/// that of the one among them and `jump`: two copies of a folder would go on from the same one, and each count
/// others. `None` if that says the same, or if there is nothing to count.
///
/// # Errors
/// [`FolderError::Draft`].
pub fn checkpoint<'r>(
    signer: &Signer,
    log_version: &VersionId,
    records: impl IntoIterator<Item = &'r Envelope>,
    jump: u64,
    now: Timestamp,
) -> Result<Option<Envelope>, FolderError> {
    let is_checkpoint = |record: &&Envelope| record.header().local.as_str() == Checkpoint::LOCAL_ID;
    let (former, counted): (Vec<_>, Vec<_>) = records.into_iter().partition(is_checkpoint);
    let Some(first) = counted.first() else {
        return Ok(None);
    };
    let mut counting: Vec<VersionHash> = counted.iter().map(|record| record.hash()).collect();
    let former = former.first();
    let draft = Checkpoint::draft(&mut counting, log_version);
    let draft = draft.map_err(|error| FolderError::Draft {
        local: first.header().local.clone(),
        error,
    })?;
    if former.is_some_and(|former| draft.is_said_by(&tree_of(former))) {
        return Ok(None);
    }
    let seq = number_after(former.map_or(0, |former| former.header().seq), jump);
    let time = u64::try_from(now.unix_seconds()).unwrap_or_default();
    sign_as(signer, &draft, seq.max(time), now).map(Some)
}

/// The tree of a record as it was signed.
pub fn tree_of(record: &Envelope) -> serde_json::Map<String, serde_json::Value> {
    // An envelope's canonical form is an object: it was made from one.
    serde_json::from_slice(record.canonical()).unwrap_or_default()
}

/// Reads a file of signed records, one a line.
///
/// # Errors
/// The file cannot be read, or a line is no record.
pub fn read_records(path: &Path) -> Result<Vec<Envelope>, FolderError> {
    let bytes = read(path, RECORDS_BYTES_MAX)?;
    let mut records = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let record = Envelope::parse(line).map_err(|error| FolderError::Form {
            path: path.to_owned(),
            reason: format!("line {number} is no signed record: {error}"),
        })?;
        records.push(record);
    }
    Ok(records)
}

fn name_of_prepared(entry: &LogEntry) -> String {
    let version = VersionHash::from_digest(*entry.digest().as_digest());
    format!("records.{version}.next")
}

fn make(path: &Path) -> Result<File, FolderError> {
    let taken = |what| FolderError::Taken {
        path: path.to_owned(),
        what,
    };
    if Folder::is_in(path) {
        return Err(taken("an identity"));
    }
    if path.join(crate::config::FILE).exists() {
        return Err(taken("a node"));
    }
    let is_used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if is_used && !path.join("lock").exists() {
        return Err(taken("something else"));
    }
    let fault = |source| FolderError::File {
        path: path.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(fault)?;
    let lock = lock(path)?;
    let keys = path.join("keys");
    if keys.exists() {
        // Left by a run that ended before the folder was whole. Keys are never thrown away.
        let aside = format!("keys.unfinished-{}", random_name()?);
        fs::rename(keys, path.join(aside)).map_err(fault)?;
    }
    Ok(lock)
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let file = path.join("lock");
    let fault = |source| FolderError::File {
        path: file.clone(),
        source,
    };
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(fault)?;
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&file)
        .map_err(fault)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(fault(source)),
    }
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FolderError> {
    let fault = |source| FolderError::File {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(fault)?.len();
    if size > bytes_max {
        return Err(FolderError::Form {
            path: path.to_owned(),
            reason: format!("it is larger than {bytes_max} bytes"),
        });
    }
    fs::read(path).map_err(fault)
}

/// Writes a file whole or not at all, for its owner's eyes.
///
/// # Errors
/// [`FolderError::File`].
pub(super) fn write_lines<'l>(
    path: &Path,
    lines: impl IntoIterator<Item = &'l [u8]>,
) -> Result<(), FolderError> {
    let fault = |source| FolderError::File {
        path: path.to_owned(),
        source,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(fault)?;
    let mut out = io::BufWriter::new(file);
    for line in lines {
        out.write_all(line).map_err(fault)?;
        out.write_all(b"\n").map_err(fault)?;
    }
    let file = out
        .into_inner()
        .map_err(|error| fault(error.into_error()))?;
    file.sync_all().map_err(fault)?;
    fs::rename(&draft, path).map_err(fault)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn sync_folder(path: &Path) -> Result<(), FolderError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| FolderError::File {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use protocol::identity::write::Place;
    use protocol::record::{Checkpoint, Draft};
    use protocol::time::Timestamp;
    use serde_json::json;

    use super::{About, Folder, FolderError, LOG, sign_as, tree_of, write_lines};
    use crate::keychain::{Renewal, Signing, Step};

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
    }

    fn made(path: &std::path::Path) -> Folder {
        let about = About {
            name: "Pacific ICT".to_owned(),
            language: "en".to_owned(),
            licence: "CC-BY-4.0".to_owned(),
        };
        let place = Place::new("hub.example", None, &["orgs", "itu"]).unwrap();
        let (mut folder, _) = Folder::create(path, about, place, now()).unwrap();
        let draft = json!({"type": "Offering", "localId": "a", "body": {"kind": "course", "name": {"en": "Tides"}}});
        let draft = Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
        folder.sign(&[draft], now()).unwrap();
        folder
    }

    #[test]
    fn a_run_that_ended_after_the_log_was_written_is_made_whole_by_opening_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let folder = made(&path);
        let step = Step {
            name: "rotate".to_owned(),
            place: Place::of(folder.state().did()),
            renewal: Renewal::RecordKey,
            signing: Signing::Working,
        };
        let changed = folder.prepare(step, now()).unwrap();
        let records: Vec<_> = folder
            .records()
            .values()
            .map(|record| {
                let draft = Draft::unchecked(&tree_of(record), "CC-BY-4.0").unwrap();
                sign_as(&changed.signer, &draft, 2, now()).unwrap()
            })
            .collect();
        folder.prepare_records(&changed.entry, &records).unwrap();
        let mut log = folder.log().to_vec();
        log.push(changed.entry.to_canonical_bytes());
        drop(folder);
        write_lines(&path.join(LOG), log.iter().map(Vec::as_slice)).unwrap();

        let folder = Folder::open(&path, now().plus_seconds(60)).unwrap();
        assert_eq!(folder.unfinished().unwrap(), None);
        assert_eq!(folder.state().version_id(), changed.entry.version_id());
        let signer = folder.keychain().signer(super::HANDLE).unwrap();
        assert_eq!(signer.key.public(), changed.signer.key.public());
        let kept: Vec<_> = folder
            .records()
            .values()
            .map(|record| record.hash())
            .collect();
        let prepared: Vec<_> = records.iter().map(|record| record.hash()).collect();
        assert_eq!(kept, prepared);
    }

    #[test]
    fn two_copies_of_a_folder_count_their_records_under_different_numbers() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        drop(made(&path));
        let copy = home.path().join("copy");
        let copied = std::process::Command::new("cp")
            .args([
                std::ffi::OsStr::new("-r"),
                path.as_os_str(),
                copy.as_os_str(),
            ])
            .status();
        assert!(copied.unwrap().success());
        let counted = |path: &std::path::Path, local: &str, now: Timestamp| {
            let mut folder = Folder::open(path, now).unwrap();
            let draft = json!({"type": "Offering", "localId": local, "body": {"kind": "course", "name": {"en": "Reefs"}}});
            let draft = Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
            folder.sign(&[draft], now).unwrap();
            let checkpoint = folder.in_order().pop().unwrap().header().clone();
            assert_eq!(checkpoint.local.as_str(), Checkpoint::LOCAL_ID);
            checkpoint.seq
        };
        let first = counted(&path, "b", now().plus_seconds(60));
        let again = counted(&path, "c", now().plus_seconds(60));
        let other = counted(&copy, "d", now().plus_seconds(90));
        assert!(first < again && again < other, "{first}, {again}, {other}");
    }

    #[test]
    fn two_commands_at_once_are_refused_and_so_is_a_folder_with_something_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let folder = made(&path);
        assert!(matches!(
            Folder::open(&path, now()),
            Err(FolderError::Busy { .. })
        ));
        drop(folder);
        assert!(Folder::open(&path, now()).is_ok());
        let log: Vec<Vec<u8>> = Vec::new();
        let about = || About {
            name: "X".to_owned(),
            language: "en".to_owned(),
            licence: "CC-BY-4.0".to_owned(),
        };
        for taken in [path.as_path(), home.path()] {
            let adopted = Folder::adopt(taken, about(), &log, now());
            assert!(
                matches!(adopted, Err(FolderError::Taken { .. })),
                "{}",
                taken.display()
            );
        }
    }
}
