//! How many records an author has, so that anyone can see that a host holds some back.

use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

use super::Draft;
use super::fields::Fields;
use crate::envelope::EnvelopeError;
use crate::id::VersionHash;
use crate::identity::VersionId;
use crate::time::Timestamp;

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

/// What a checkpoint says of the versions of its author that count somewhere (PROTOCOL 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// They are just those that the author had: complete as of the checkpoint's date.
    Complete,
    /// The author went on since, and the checkpoint says nothing of what there is now.
    Overtaken,
    /// They are not what the author had, although nothing newer is there: something is held back.
    Lacking,
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

    /// The draft of a checkpoint that counts these versions, the checkpoint left out, under a log whose newest
    /// entry is `log_version`.
    ///
    /// # Errors
    /// None: [`Checkpoint::LOCAL_ID`] is a local id.
    pub fn draft(
        counting: &mut [VersionHash],
        log_version: &VersionId,
    ) -> Result<Draft, EnvelopeError> {
        let tree = json!({
            "type": "Checkpoint",
            "localId": Self::LOCAL_ID,
            "body": {
                "count": counting.len(),
                "digest": Self::digest(counting).to_string(),
                "logVersion": log_version.to_string(),
            },
        });
        Draft::unchecked(tree.as_object().unwrap_or(&Map::new()), "CC0-1.0")
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

    /// Compares this checkpoint, issued at `issued`, with the versions of its author that count where it
    /// is read, the checkpoint left out. `latest` gives when the newest of them was issued; it is only
    /// asked if they differ.
    ///
    /// Dates have whole seconds: what was issued in the checkpoint's own second may have come after it.
    pub fn judge<E>(
        &self,
        issued: Timestamp,
        counting: &mut [VersionHash],
        latest: impl FnOnce() -> Result<Option<Timestamp>, E>,
    ) -> Result<Completeness, E> {
        let held = counting.len() as u64;
        if held == self.count && *Self::digest(counting).to_string() == *self.digest {
            return Ok(Completeness::Complete);
        }
        let is_overtaken = latest()?.is_some_and(|latest| match latest.cmp(&issued) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => held >= self.count,
            std::cmp::Ordering::Greater => true,
        });
        Ok(if is_overtaken {
            Completeness::Overtaken
        } else {
            Completeness::Lacking
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn hash(number: u8) -> VersionHash {
        VersionHash::from_digest([number; 32])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    /// What a checkpoint of versions 1, 2 and 3, made at second 100, says where `held` is held and the
    /// newest is of second `latest`.
    fn judged(held: &[u8], latest: i64) -> Completeness {
        let mut named = [1, 2, 3].map(hash);
        let checkpoint = Checkpoint {
            count: 3,
            digest: Checkpoint::digest(&mut named).to_string().into(),
            log_version: "1-x".into(),
        };
        let mut held: Vec<VersionHash> = held.iter().copied().map(hash).collect();
        let latest = || Ok::<_, Infallible>(Some(at(latest)));
        let Ok(judged) = checkpoint.judge(at(100), &mut held, latest);
        judged
    }

    #[test]
    fn what_the_author_had_is_complete_in_any_order() {
        assert_eq!(judged(&[3, 1, 2], 99), Completeness::Complete);
        assert_eq!(judged(&[1, 2, 3], 100), Completeness::Complete);
    }

    #[test]
    fn what_is_held_back_is_told_while_nothing_newer_is_held() {
        assert_eq!(judged(&[1, 2], 99), Completeness::Lacking);
        assert_eq!(judged(&[1, 2], 100), Completeness::Lacking);
        assert_eq!(judged(&[1, 2, 4], 99), Completeness::Lacking);
    }

    #[test]
    fn a_checkpoint_is_not_judged_once_the_author_went_on() {
        assert_eq!(judged(&[1, 2], 101), Completeness::Overtaken);
        assert_eq!(judged(&[1, 2, 3, 4], 101), Completeness::Overtaken);
        assert_eq!(judged(&[1, 2, 4], 100), Completeness::Overtaken);
    }
}
