//! Who an author is: did:webvh 1.0 key logs.
//!
//! A log is a chain of signed entries, one JSON object a line. It says which keys may extend it,
//! which keys sign the author's records, and where the author was last served. Whoever holds the
//! bytes can verify it: no host and no DNS has a say. A [`LogEntry`] is parsed and not believed; a
//! [`LogState`] is what a log says after an entry that was checked together with all before it.
//!
//! This module fetches nothing and knows nothing of records. Read [`LogState`] next, then
//! [`Branches`] for logs that were forked, and [`write`](mod@write) for making entries.
//!
//! ```
//! use baraza_protocol::identity::write::{Change, Place, create, update};
//! use baraza_protocol::identity::{LogState, WitnessProofs, key_hash, verify_log};
//! use baraza_protocol::key::SecretKey;
//! use baraza_protocol::time::Timestamp;
//!
//! let [first, next, card, record] = [1, 2, 3, 4].map(|seed| SecretKey::from_seed(&[seed; 32]));
//! let now = Timestamp::parse("2026-11-22T04:00:00Z")?;
//! let mut change = Change {
//!     place: Place::new("hub.example", None, &["orgs", "itu-academy"])?,
//!     record_keys: [record.public()].into(),
//!     next_key_hashes: [key_hash(&next.public()), key_hash(&card.public())].into(),
//!     also_known_as: vec![],
//!     services: vec![],
//! };
//! let begun = create(&change, &first, now)?;
//! let state = LogState::begin(&begun, now, &WitnessProofs::empty())?;
//!
//! change.place = Place::new("itu.example", None, &[])?;
//! let moved = update(&state, &change, &next, now)?;
//!
//! let log = [begun.to_canonical_bytes(), moved.to_canonical_bytes()].join(&b'\n');
//! let state = verify_log(&log, &WitnessProofs::empty(), now)?;
//! assert_eq!(state.did().log_url(), "https://itu.example/.well-known/did.jsonl");
//! assert!(state.keys().counts(&record.public()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use crate::canonical::JsonError;
use crate::id::{Did, EntryHash, IdError, Scid};
use crate::key::PublicKey;
use crate::limits::{CLOCK_SKEW_SECONDS_MAX, LOG_BYTES_MAX, LOG_ENTRIES_MAX};
use crate::proof::ProofError;
use crate::time::{Timestamp, TimestampError};

mod branches;
mod entry;
mod keyring;
mod parameters;
mod state;
mod witness;
pub mod write;

pub use branches::{Branches, Taken};
pub use entry::LogEntry;
pub use keyring::KeyRing;
pub use state::{LogState, StoredStateError};
pub use witness::{WitnessProofs, WitnessRule};

/// The only version of the method that is read (did:webvh 1.0, parameter `method`).
pub const METHOD: &str = "did:webvh:1.0";

/// One entry of one log: its number, from 1, and its digest (did:webvh 1.0, `versionId`).
///
/// Written `3-Qm…`. Ordered by number, then by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId {
    /// The entry's place in the log; the first is 1.
    pub number: u32,
    /// The digest over the entry without its proof, chained to the entry before.
    pub hash: EntryHash,
}

impl VersionId {
    /// Reads `3-Qm…`.
    ///
    /// # Errors
    /// No dash, a number that is 0 or has a sign or a leading zero, or no entry hash.
    pub fn parse(text: &str) -> Result<Self, VersionIdError> {
        let refused = || VersionIdError {
            text: text.chars().take(80).collect(),
        };
        let (digits, hash) = text.split_once('-').ok_or_else(refused)?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        Ok(Self {
            number: digits.parse().map_err(|_| refused())?,
            hash: EntryHash::parse(hash).map_err(|_| refused())?,
        })
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.number, self.hash)
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, VersionIdError> {
        Self::parse(text)
    }
}

/// A text that is no `versionId`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not a versionId: a number from 1, a dash and an entry hash")]
pub struct VersionIdError {
    text: String,
}

/// Why an entry or a log is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not a document that we read.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A member of the entry or of its document is missing or of the wrong shape.
    #[error("the log entry's “{member}” must be {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The `versionId` is none.
    #[error(transparent)]
    VersionId(#[from] VersionIdError),
    /// The `versionTime` is none.
    #[error("versionTime: {0}")]
    VersionTime(#[from] TimestampError),
    /// `state.id` or `parameters.scid` is no identifier that we accept.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A value of `parameters` that the method does not allow.
    #[error("the log's parameter “{name}” must be {expected}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A member of `parameters` that did:webvh 1.0 does not define.
    #[error("did:webvh 1.0 knows no parameter “{name}”")]
    UnknownParameter {
        /// Its name, shortened.
        name: String,
    },
    /// Another method or another version of it.
    #[error("the log follows “{found}”: only {METHOD} is read here")]
    UnknownMethod {
        /// What it says, shortened.
        found: String,
    },
    /// A log without an entry.
    #[error("the log has no entry")]
    Empty,
    /// The entry does not stand where its number says.
    #[error("entry {found} cannot follow here: entry {expected} is due")]
    WrongNumber {
        /// The number that the log needs next.
        expected: u32,
        /// The number in its `versionId`.
        found: u32,
    },
    /// A first entry in which a placeholder was left: two such entries could share one SCID.
    #[error("a published first entry must not contain the text {{SCID}}")]
    Placeholder,
    /// The SCID is not the digest of the first entry.
    #[error("the SCID is not the digest of the log's first entry")]
    WrongScid,
    /// `state.id` names another author than the log.
    #[error("state.id names the author {found}, the log is of {expected}")]
    OtherScid {
        /// The log's author.
        expected: Scid,
        /// The author in `state.id`.
        found: Scid,
    },
    /// The digest in `versionId` does not fit the entry and the one before it.
    #[error("the entry's hash does not fit its content and the entry before it")]
    WrongHash,
    /// The date is not after the previous entry's.
    #[error("the entry is dated {at}, which is not after the entry before it")]
    NotLater {
        /// Its `versionTime`.
        at: Timestamp,
    },
    /// Valid, but dated more than [`CLOCK_SKEW_SECONDS_MAX`] seconds ahead: keep it and ask again.
    #[error("the entry is dated more than {CLOCK_SKEW_SECONDS_MAX} s ahead; it is due at {at}")]
    NotYetDue {
        /// The first moment at which it will be taken.
        at: Timestamp,
    },
    /// A proof that cannot be read or does not fit.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A proof made for something else.
    #[error("the proof's purpose must be assertionMethod")]
    WrongPurpose,
    /// A signer that is not written `did:key:`, the Multikey, `#` and the same Multikey.
    #[error(
        "the proof's verificationMethod must be did:key:, a Multikey, # and that Multikey again"
    )]
    SignerForm,
    /// Signed by a key that may not extend this log.
    #[error("the key {key} may not sign this entry")]
    NotAuthorized {
        /// The signer.
        key: Box<PublicKey>,
    },
    /// Pre-rotation is on, and the entry leaves out what it must carry.
    #[error("the entry before commits to its next keys: this one must carry “{name}”")]
    PreRotationOmitted {
        /// The parameter.
        name: &'static str,
    },
    /// Pre-rotation is on, and the entry reveals a key that was not committed to.
    #[error("the key {key} was not committed to by the entry before")]
    NotCommitted {
        /// The key.
        key: Box<PublicKey>,
    },
    /// The DID changed though the log did not begin as portable, or no longer is.
    #[error("this log is not portable: its DID cannot change")]
    NotPortable,
    /// The DID changed and the former one is not named.
    #[error("after a move alsoKnownAs must name the former DID, {former}")]
    FormerDidMissing {
        /// The DID until then.
        former: Box<Did>,
    },
    /// The log was closed for good.
    #[error("the log is deactivated: nothing can follow")]
    Deactivated,
    /// Not enough witnesses approved an entry.
    #[error("entry {number} lacks the approval of its witnesses")]
    NotWitnessed {
        /// The entry's number.
        number: u32,
    },
    /// More of something than [`crate::limits`] allows.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: usize,
    },
    /// The log's entries together are larger than [`LOG_BYTES_MAX`].
    #[error("the log is larger than {LOG_BYTES_MAX} bytes")]
    TooLarge,
    /// Writing only: pre-rotation must be ended by an entry of its own before this.
    #[error("pre-rotation is still on: end it by an entry that commits to no next key")]
    PreRotationOn,
}

/// The entries of a log as it is served: JSON lines (did:webvh 1.0, DID Log File). Blank lines are
/// skipped.
///
/// Each item is an entry or why that line is none; nothing is believed yet.
pub fn read_lines(lines: &[u8]) -> impl Iterator<Item = Result<LogEntry, LogError>> {
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(LogEntry::parse)
}

/// Verifies a whole log, JSON lines, with the proofs of its witnesses if it uses any, and gives what
/// it says in the end (did:webvh 1.0, Read).
///
/// # Errors
/// The first [`LogError`] met; a log whose end is not witnessed is refused as a whole.
pub fn verify_log(
    lines: &[u8],
    witness: &WitnessProofs,
    now: Timestamp,
) -> Result<LogState, LogError> {
    let mut state: Option<LogState> = None;
    for entry in read_lines(lines) {
        let entry = entry?;
        state = Some(match &state {
            None => LogState::begin(&entry, now, witness)?,
            Some(state) => state.next(&entry, now, witness)?,
        });
    }
    let state = state.ok_or(LogError::Empty)?;
    state.require_witnessed()?;
    Ok(state)
}

/// The digest by which a log commits to a key it will reveal later (did:webvh 1.0,
/// `nextKeyHashes`): over the text of the Multikey.
pub fn key_hash(key: &PublicKey) -> EntryHash {
    EntryHash::of(key.to_string().as_bytes())
}

/// The number after `number`, if a log may be that long.
fn number_after(number: u32) -> Result<u32, LogError> {
    let next = number.saturating_add(1);
    if usize::try_from(next).is_ok_and(|next| next <= LOG_ENTRIES_MAX) {
        Ok(next)
    } else {
        Err(LogError::TooMany {
            what: "entries in one log",
            max: LOG_ENTRIES_MAX,
        })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
