//! What rows contain, and how they are written.

use std::cell::RefCell;

use protocol::acceptance::Rank;
use protocol::envelope::Status;
use protocol::id::{Scid, VersionHash};
use protocol::identity::LogState;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use super::transaction::Reader;
use super::{StoreError, keys};

/// Of 472 descriptions of 1 to 4 kB level 3 saves half a percent over level 1, and takes longer.
const ZSTD_LEVEL: i32 = 1;
/// No record unpacks to more than this; a damaged row must not ask for memory.
const UNPACKED_BYTES_MAX: usize = protocol::limits::LOG_BYTES_MAX;
/// What records and log entries have in common, which none of them then needs to hold again: a third of
/// a record's packed bytes. Rows are read by it, so it stays as it is; another one is a new form of the
/// store. Rows that were packed without it are read by it too.
const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");

/// A version that is held, with its bytes packed.
#[derive(Debug, Clone)]
pub struct HeldRow {
    /// Its number and digest.
    pub rank: Rank,
    /// Active or withdrawn.
    pub status: Status,
    /// Its place in the change log.
    pub change: u64,
    /// When it came.
    pub received: Timestamp,
    pub(super) packed: Vec<u8>,
}

const ROW_FORM: u8 = 1;
const ROW_HEAD_BYTES: usize = 1 + 1 + 8 + 8 + 8 + 32;

impl HeldRow {
    /// The canonical form of the record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the row does not unpack to the bytes that its digest names.
    pub fn canonical(&self) -> Result<Vec<u8>, StoreError> {
        let bytes = unpack(&self.packed)?;
        if VersionHash::of(&bytes) != self.rank.hash {
            return Err(corrupt("a record that is not what its digest says"));
        }
        Ok(bytes)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(ROW_HEAD_BYTES + self.packed.len());
        row.push(ROW_FORM);
        row.push(u8::from(self.status == Status::Withdrawn));
        row.extend_from_slice(&self.rank.seq.to_be_bytes());
        row.extend_from_slice(&self.change.to_be_bytes());
        row.extend_from_slice(&self.received.unix_seconds().to_be_bytes());
        row.extend_from_slice(self.rank.hash.as_digest());
        row.extend_from_slice(&self.packed);
        row
    }

    pub(super) fn read(row: &[u8]) -> Result<Self, StoreError> {
        Self::read_checked(row).ok_or_else(|| corrupt("a row of a record"))
    }

    /// The same version without what it says.
    pub(super) fn erased(self) -> Self {
        Self {
            packed: Vec::new(),
            ..self
        }
    }

    /// Whether what it said was erased: it has no canonical form any more.
    pub fn is_erased(&self) -> bool {
        self.packed.is_empty()
    }

    fn read_checked(row: &[u8]) -> Option<Self> {
        let (head, packed) = row.split_at_checked(ROW_HEAD_BYTES)?;
        let number = |from: usize| {
            Some(u64::from_be_bytes(
                head.get(from..from + 8)?.try_into().ok()?,
            ))
        };
        if head.first() != Some(&ROW_FORM) {
            return None;
        }
        Some(Self {
            status: match head.get(1) {
                Some(0) => Status::Active,
                Some(1) => Status::Withdrawn,
                _ => return None,
            },
            rank: Rank {
                seq: number(2)?,
                hash: VersionHash::from_digest(head.get(26..58)?.try_into().ok()?),
            },
            change: number(10)?,
            received: Timestamp::from_unix_seconds(number(18)?.cast_signed()),
            packed: packed.to_vec(),
        })
    }
}

/// What is known of an author.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AuthorRow {
    /// What the log says by the line that this node goes by, as [`LogState::to_stored`] writes it.
    pub(super) head: Option<String>,
    /// The log is forked.
    pub(super) is_disputed: bool,
    /// The operator chose the line.
    pub(super) is_pinned: bool,
    /// One key signed two versions with one number.
    pub(super) has_twins: bool,
    /// Records were refused because too many waited: reconcile when the log comes.
    pub(super) is_incomplete: bool,
    /// Records that wait.
    pub(super) parked: u64,
}

impl AuthorRow {
    pub(super) fn read(rows: &(impl Reader + ?Sized), scid: &Scid) -> Result<Self, StoreError> {
        match rows.get(&keys::author(scid))? {
            None => Ok(Self::default()),
            Some(row) => {
                serde_json::from_slice(&row).map_err(|_| corrupt("an author that does not read"))
            }
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|_| corrupt("an author that cannot be written"))
    }

    /// What the log says; `None` if no log is held.
    pub(super) fn state(&self) -> Result<Option<LogState>, StoreError> {
        self.head
            .as_deref()
            .map(|head| {
                LogState::from_stored(head.as_bytes())
                    .map_err(|_| corrupt("a log state that does not read"))
            })
            .transpose()
    }
}

/// What changed, as a row of the change log.
#[derive(Debug, Clone)]
pub(super) enum ChangeRow {
    /// A version came to be held: the key of its row.
    Held(Vec<u8>),
    /// An entry of an author's log came to be held: the key of its row.
    Entry(Vec<u8>),
    /// What counts of a record may have changed without a new version: the prefix of its rows.
    Judged(Vec<u8>),
}

impl ChangeRow {
    pub(super) fn write(&self) -> Vec<u8> {
        let (form, key) = match self {
            Self::Held(key) => (b'r', key),
            Self::Entry(key) => (b'l', key),
            Self::Judged(key) => (b'j', key),
        };
        [&[form], key.as_slice()].concat()
    }

    pub(super) fn read(row: &[u8]) -> Result<Self, StoreError> {
        match row.split_first() {
            Some((b'r', key)) => Ok(Self::Held(key.to_vec())),
            Some((b'l', key)) => Ok(Self::Entry(key.to_vec())),
            Some((b'j', key)) => Ok(Self::Judged(key.to_vec())),
            _ => Err(corrupt("a row of the change log")),
        }
    }
}

/// Where a version is: the row under its hash. Hashes come in no order, so that each row goes to another page
/// of the store; of a version that is held it is therefore no longer than it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VersionRow {
    /// It is held: its place in the change log, where the key of its row stands.
    Held(u64),
    /// It is past or a twin: the key of its row.
    Beside(Vec<u8>),
}

impl VersionRow {
    /// What stands under a hash.
    pub(super) fn of(
        rows: &(impl Reader + ?Sized),
        hash: &VersionHash,
    ) -> Result<Option<Self>, StoreError> {
        Ok(rows.get(&keys::version(hash))?.map(Self::read))
    }

    /// Whether a version is held.
    pub(super) fn is_held(
        rows: &(impl Reader + ?Sized),
        hash: &VersionHash,
    ) -> Result<bool, StoreError> {
        Ok(matches!(Self::of(rows, hash)?, Some(Self::Held(_))))
    }

    pub(super) fn write(self) -> Vec<u8> {
        match self {
            Self::Held(change) => change.to_be_bytes().to_vec(),
            Self::Beside(key) => key,
        }
    }

    fn read(row: Vec<u8>) -> Self {
        match row.as_slice().try_into() {
            Ok(change) => Self::Held(u64::from_be_bytes(change)),
            // No key of a version is as short as a number.
            Err(_) => Self::Beside(row),
        }
    }
}

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt {
        detail: format!("the store holds {what}"),
    }
}

thread_local! {
    // To make and clear one of these takes longer than to pack a record.
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    PACKER.with_borrow_mut(|packer| {
        let packer = match packer {
            Some(packer) => packer,
            None => packer.insert(Compressor::with_dictionary(ZSTD_LEVEL, DICTIONARY)?),
        };
        Ok(packer.compress(bytes)?)
    })
}

pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let damaged = || corrupt("a row that does not unpack");
    let bytes = zstd::zstd_safe::get_frame_content_size(packed)
        .ok()
        .flatten()
        .ok_or_else(damaged)?;
    let bytes = usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= UNPACKED_BYTES_MAX)
        .ok_or_else(damaged)?;
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(Decompressor::with_dictionary(DICTIONARY)?),
        };
        unpacker.decompress(packed, bytes).map_err(|_| damaged())
    })
}
