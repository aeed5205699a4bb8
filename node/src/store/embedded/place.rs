//! Where a store's rows are: in its folder, or, once they were written anew, in a folder within it. A small
//! file names that folder, so to go on with another one is to rename one file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{StoreError, write_whole};

/// The file: the name of a folder, and the bytes that the rows took when they were written into it.
const ROWS: &str = "rows";

/// What the names of such folders begin with; a number follows.
const PREFIX: &str = "rows-";

/// What sled puts into a folder.
const FILES: [&str; 3] = ["db", "conf", "blobs"];
const SNAPSHOT: &str = "snap.";

/// Where the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// How often they were written anew.
    number: u64,
    /// Bytes that they took then; 0 if they never were.
    pub(super) bytes_in_order: u64,
}

impl Place {
    /// The place that the rows of the store in `folder` have.
    ///
    /// # Errors
    /// The disk; [`StoreError::Corrupt`] if the file does not read.
    pub(super) fn of(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(ROWS);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    number: 0,
                    bytes_in_order: 0,
                });
            }
            Err(error) => return Err(error.into()),
        };
        Self::read(&text).ok_or_else(|| StoreError::Corrupt {
            detail: format!("{} does not name a folder", file.display()),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (name, bytes) = text.trim_end().split_once(' ')?;
        Some(Self {
            number: name.strip_prefix(PREFIX)?.parse().ok()?,
            bytes_in_order: bytes.parse().ok()?,
        })
    }

    /// Where they are written anew next.
    pub(super) fn next(&self) -> Self {
        Self {
            number: self.number + 1,
            bytes_in_order: 0,
        }
    }

    fn name(&self) -> String {
        format!("{PREFIX}{}", self.number)
    }

    /// The folder, in the store's.
    pub(super) fn within(&self, folder: &Path) -> PathBuf {
        match self.number {
            0 => folder.to_owned(),
            _ => folder.join(self.name()),
        }
    }

    /// Goes by this place from now on. On disk when it returns.
    ///
    /// # Errors
    /// The disk: the former place holds.
    pub(super) fn choose(&self, folder: &Path) -> Result<(), StoreError> {
        File::open(self.within(folder))?.sync_all()?;
        let text = format!("{} {}\n", self.name(), self.bytes_in_order);
        write_whole(&folder.join(ROWS), &text)
    }

    /// Removes what is left of other places. Only for who has this one open.
    ///
    /// # Errors
    /// The disk; what could not be removed takes up room and is not read.
    pub(super) fn clear_others(&self, folder: &Path) -> Result<(), StoreError> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_former = match name.strip_prefix(PREFIX) {
                Some(number) => number.parse() != Ok(self.number),
                None => self.number > 0 && (FILES.contains(&name) || name.starts_with(SNAPSHOT)),
            };
            if is_former {
                match entry.file_type()?.is_dir() {
                    true => fs::remove_dir_all(entry.path())?,
                    false => fs::remove_file(entry.path())?,
                }
            }
        }
        Ok(())
    }
}
