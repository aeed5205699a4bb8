//! Making a node of a backup, in a folder where there is none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::file::{Entry, Reader};
use super::{BackupError, Manifest, Seal, take};
use crate::config::{self, Config};
use crate::standing;
use crate::store::{Filling, Piece, Store};

/// A node that was made of a backup.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// Its folder.
    pub dir: PathBuf,
    /// What stood in front of the backup.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// What stood at its end.
    #[serde(flatten)]
    pub seal: Seal,
    /// The epoch of its change log from now on.
    #[serde(rename = "newEpoch")]
    pub epoch: String,
}

/// Where the node is made, within the folder that becomes its own: that may be a disk of its own.
const UNDER_WAY: &str = ".restoring";

/// Makes the node that is in the backup `file` in `folder`, under a new epoch. The whole file is checked
/// before anything is written; the node takes its place when it is whole and has the state that the backup
/// names, its settings last: a folder without them is no node. `progress` hears how many rows of how many
/// are written.
///
/// # Errors
/// See [`BackupError`]; the folder stays as it was.
pub fn restore(
    file: &Path,
    folder: &Path,
    epoch: String,
    mut progress: impl FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    let (checked, _) = take::check(file)?;
    let is_new = match fs::read_dir(folder) {
        Ok(entries) => {
            let others = entries.filter(|entry| {
                // A restore that was killed left it.
                entry
                    .as_ref()
                    .map_or(true, |entry| entry.file_name() != UNDER_WAY)
            });
            if others.count() > 0 {
                return Err(BackupError::NotEmpty {
                    folder: folder.to_owned(),
                });
            }
            false
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(BackupError::at(folder)(error)),
    };
    let under_way = folder.join(UNDER_WAY);
    let made = begin(folder, &under_way)
        .and_then(|()| {
            make(file, &under_way, &epoch, |rows| {
                progress(rows, checked.rows)
            })
        })
        .and_then(|(manifest, seal)| {
            put_in_place(&under_way, folder).map_err(BackupError::at(folder))?;
            Ok(Restored {
                dir: folder.to_owned(),
                manifest,
                seal,
                epoch,
            })
        });
    if made.is_err() {
        // What there is of it is of no use.
        let _ = fs::remove_dir_all(&under_way);
        if is_new {
            let _ = fs::remove_dir(folder);
        }
    }
    made
}

/// An empty folder that only its owner may look into.
fn begin(folder: &Path, under_way: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(folder).map_err(BackupError::at(folder))?;
    match fs::remove_dir_all(under_way) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(BackupError::at(under_way)(error));
        }
        _ => {}
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(under_way)
        .map_err(BackupError::at(under_way))
}

fn put_in_place(under_way: &Path, folder: &Path) -> io::Result<()> {
    let names = ["data", "keys", config::FILE];
    for (done, name) in names.iter().enumerate() {
        if let Err(error) = fs::rename(under_way.join(name), folder.join(name)) {
            for name in names.iter().take(done) {
                fs::rename(folder.join(name), under_way.join(name))?;
            }
            return Err(error);
        }
    }
    fs::remove_dir(under_way)?;
    File::open(folder)?.sync_all()?;
    match folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn make(
    file: &Path,
    folder: &Path,
    epoch: &str,
    mut progress: impl FnMut(u64),
) -> Result<(Manifest, Seal), BackupError> {
    let store = Config::store_in(folder);
    fs::create_dir_all(&store).map_err(BackupError::at(&store))?;
    let mut filling = Filling::begin(&store)?;
    let mut reader = Reader::open(file)?;
    let mut rows = 0;
    let seal = loop {
        match reader.read()? {
            Some(Entry::Row { key, value }) => {
                filling.apply(Piece {
                    changes: vec![(key, value)],
                    end: None,
                })?;
                rows += 1;
                if rows % 1_000 == 0 {
                    progress(rows);
                }
            }
            Some(Entry::File { name, content }) => write_file(folder, &name, &content)?,
            Some(Entry::End(seal)) => break seal,
            None => {
                return Err(BackupError::Damaged {
                    path: file.to_owned(),
                    what: "it has no end".to_owned(),
                });
            }
        }
    };
    let manifest = reader.manifest;
    let notes = vec![
        standing::restored(&manifest.created, epoch)?,
        super::note(&manifest.created),
    ];
    filling.finish(&store, manifest.schema, epoch, notes)?;
    let opened = Store::open(&store, epoch.to_owned())?;
    let found = opened.whole_state_hash()?;
    opened.close();
    if found.to_string() != seal.state_hash {
        return Err(BackupError::OtherState {
            found,
            named: seal.state_hash,
        });
    }
    Ok((manifest, seal))
}

/// Writes a file that only its owner may read. Names that lead out of the folder are not followed.
fn write_file(folder: &Path, name: &str, content: &[u8]) -> Result<(), BackupError> {
    let inside = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let is_known = name == config::FILE || name.starts_with("keys/");
    let path = folder.join(name);
    if !inside || !is_known {
        let source = io::Error::new(io::ErrorKind::InvalidData, "a backup has no such file");
        return Err(BackupError::File { path, source });
    }
    let write = || {
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(BackupError::at(&path))
}
