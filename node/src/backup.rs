//! One file that has a whole node in it: what it holds, its keys and its settings.
//!
//! [`take()`] writes one while the node works, [`restore()`] makes a node of one. The form is in [`mod@file`] and
//! in docs/operators.md.

pub mod file;
mod restore;
mod take;

use std::io;
use std::path::PathBuf;

use protocol::id::VersionHash;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keychain::KeychainError;
use crate::store::{Named, Store, StoreError};
pub use restore::{Restored, restore};
pub use take::{Taken, take};

/// Why a backup is not written or not taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is something else.
    #[error("{} is no backup of a Baraza node", path.display())]
    NoBackup {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later release.
    #[error("{} has form {found}, this program reads form {}: install the newer release; nothing was changed", path.display(), file::FORM)]
    Newer {
        /// The file.
        path: PathBuf,
        /// The form found.
        found: u64,
    },
    /// It is not what was written.
    #[error("{} is damaged ({what}): take another copy of it; nothing was changed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file or a folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something where the node would be.
    #[error("{} is not empty: choose a folder that is, or that is not there yet", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The node did not give the rest.
    #[error(
        "the backup was not finished: the node is stopping, or the file is written too slowly; take it again, or onto a faster disk"
    )]
    CutShort,
    /// What was restored is not what was backed up.
    #[error(
        "the restored store has the state hash {found}, and the backup names {named}: nothing was kept"
    )]
    OtherState {
        /// What came out.
        found: VersionHash,
        /// What should have.
        named: String,
    },
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeychainError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// A fault of this file or folder.
    fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}

/// The last backup that was taken, as the node remembers it.
const LAST: (&str, &str) = ("backups", "last");

/// What is put into a store when a backup was taken, or it was made of one.
fn note(created: &str) -> Named {
    Named {
        table: LAST.0,
        name: LAST.1.to_owned(),
        value: created.as_bytes().to_vec(),
    }
}

/// When the last backup was taken; `None` if none is remembered.
///
/// # Errors
/// A disk fault.
pub fn last(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let at = store.named(LAST.0, LAST.1)?;
    Ok(at.and_then(|at| Timestamp::parse(std::str::from_utf8(&at).ok()?).ok()))
}

/// Remembers that a backup was taken.
///
/// # Errors
/// A disk fault.
pub async fn remember(store: &Store, taken: &Taken) -> Result<(), StoreError> {
    let Named { table, name, value } = note(&taken.manifest.created);
    store.put_named(table, &name, Some(value)).await
}

/// What part of a node a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Includes {
    /// All that it holds.
    All,
    /// What belongs to it and to the organisations at home there.
    Own,
}

/// What stands in front of a backup, for people too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The release that wrote it.
    pub software: String,
    /// When.
    pub created: String,
    /// Whose it is.
    pub did: String,
    /// The node's name, for people.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The form of its store.
    pub schema: u64,
    /// The epoch of its change log.
    pub epoch: String,
    /// What part of the node it has.
    pub includes: Includes,
}

/// What stands at the end, once all is written: of which moment it is, and how much there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    /// The state hash of what the backup has.
    pub state_hash: String,
    /// The number of the last change.
    pub last_change: u64,
    /// Authors whose log it has.
    pub authors: u64,
    /// Versions of records that may be handed out.
    pub held: u64,
    /// Changes of rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
}
