//! How many records an author has, so that anyone can see that a host holds some back.

use sha2::{Digest as _, Sha256};

use super::fields::Fields;
use crate::id::VersionHash;

/// The body of a `Checkpoint`, whose `localId` is always `checkpoint`.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How many versions of the author count, this one left out.
    pub count: u64,
    /// [`Checkpoint::digest`] of them.
    pub digest: Box<str>,
    /// The `versionId` of the author's log that was newest.
    pub log_version: Box<str>,
}

impl Checkpoint {
    /// The one local id of checkpoints.
    pub const LOCAL_ID: &'static str = "checkpoint";

    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            count: fields.count("count").unwrap_or_default(),
            digest: fields.text("digest").unwrap_or_default(),
            log_version: fields.text("logVersion").unwrap_or_default(),
        }
    }

    /// SHA-256 over the sorted digests of an author's counting versions, its checkpoint left out.
    pub fn digest(counting: &mut [VersionHash]) -> VersionHash {
        counting.sort_unstable();
        let mut hasher = Sha256::new();
        for hash in counting {
            hasher.update(hash.as_digest());
        }
        VersionHash::from_digest(hasher.finalize().into())
    }
}
