//! Writing a backup while the node works.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use protocol::id::Scid;
use serde::Serialize;

use super::file::{Entry, Reader, Writer};
use super::{BackupError, Includes, Manifest, Seal};
use crate::config::{self, Config};
use crate::store::{Part, Store};

/// A backup that was written, read back and found whole.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What stands in front.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// What stands at its end.
    #[serde(flatten)]
    pub seal: Seal,
}

/// Writes a backup into `target`: the part that the manifest names, `own` being the authors at home here.
/// It is written under another name first, and read back before it takes the place of an earlier one.
/// `progress` hears how many changes are written.
///
/// # Errors
/// See [`BackupError`]; a file of that name stays as it was.
pub fn take(
    store: &Store,
    config: &Config,
    manifest: Manifest,
    own: BTreeSet<Scid>,
    target: &Path,
    progress: impl FnMut(u64),
) -> Result<Taken, BackupError> {
    let new = beside(target);
    let written = write(store, config, &manifest, own, &new, progress)
        .and_then(|()| check(&new))
        .and_then(|(seal, bytes)| {
            fs::rename(&new, target).map_err(BackupError::at(target))?;
            sync_folder_of(target).map_err(BackupError::at(target))?;
            Ok(Taken {
                file: target.to_owned(),
                bytes,
                manifest,
                seal,
            })
        });
    if written.is_err() {
        // What there is of it is of no use.
        let _ = fs::remove_file(&new);
    }
    written
}

/// The name under which a file is written before it is whole.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.new"))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn write(
    store: &Store,
    config: &Config,
    manifest: &Manifest,
    own: BTreeSet<Scid>,
    new: &Path,
    mut progress: impl FnMut(u64),
) -> Result<(), BackupError> {
    // It has secret keys in it.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(new)
        .map_err(BackupError::at(new))?;
    let mut writer = Writer::begin(file, manifest).map_err(BackupError::at(new))?;
    let part = match manifest.includes {
        Includes::All => Part::All,
        Includes::Own => Part::Of(own),
    };
    // Keys are read at the moment of which the copy is: a rotation changes both, the store first.
    let (keys_of, keys) = mpsc::channel();
    let folder = config.folder.clone();
    let pieces = store.copy(part, move || {
        // Whoever waits for them may have gone.
        let _ = keys_of.send(files(&folder));
    });
    let mut end = None;
    for piece in pieces {
        let piece = piece?;
        for (key, value) in &piece.changes {
            writer
                .row(key, value.as_deref())
                .map_err(BackupError::at(new))?;
        }
        progress(writer.written().0);
        end = piece.end;
    }
    let moment = end.ok_or(BackupError::CutShort)?.moment();
    let files = keys
        .recv()
        .map_err(|_| crate::store::StoreError::Closed)??;
    for (name, content) in files {
        writer.file(&name, &content).map_err(BackupError::at(new))?;
    }
    let (rows, files) = writer.written();
    let seal = Seal {
        state_hash: moment.state.to_string(),
        last_change: moment.last_change,
        authors: moment.authors,
        held: moment.held,
        rows,
        files,
    };
    writer.finish(&seal).map_err(BackupError::at(new))
}

/// The node's files that are not its store: settings and keys.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
    let read = |name: String| {
        let path = folder.join(&name);
        let content = fs::read(&path).map_err(BackupError::at(path))?;
        Ok((name, content))
    };
    let keys = folder.join("keys");
    let mut names = Vec::new();
    for entry in fs::read_dir(&keys).map_err(BackupError::at(&keys))? {
        let entry = entry.map_err(BackupError::at(&keys))?;
        names.push(format!("keys/{}", entry.file_name().to_string_lossy()));
    }
    // A change of keys that is under way is read first: whoever finishes it meanwhile writes the keys
    // before it goes.
    names.sort_by_key(|name| (!name.ends_with(".pending"), name.clone()));
    names.push(config::FILE.to_owned());
    names
        .into_iter()
        .map(read)
        .filter(|file| !matches!(file, Err(error) if is_gone(error)))
        .collect()
}

fn is_gone(error: &BackupError) -> bool {
    matches!(error, BackupError::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Reads a backup to its end.
pub(super) fn check(path: &Path) -> Result<(Seal, u64), BackupError> {
    let mut reader = Reader::open(path)?;
    loop {
        match reader.read()? {
            Some(Entry::End(seal)) => return Ok((seal, reader.bytes())),
            Some(_) => {}
            None => {
                return Err(BackupError::Damaged {
                    path: path.to_owned(),
                    what: "it has no end".to_owned(),
                });
            }
        }
    }
}
