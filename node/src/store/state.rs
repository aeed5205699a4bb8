//! The state hash: two stores that hold the same have the same (docs/protocol.md, 4).

use protocol::acceptance::Rules;
use protocol::id::VersionHash;
use sha2::{Digest as _, Sha256};

use super::engine::Row;
use super::rows::{AuthorRow, HeldRow};
use super::{StoreError, keys, records};

/// What of a row makes up the state: the digests of the versions that may be handed out, and of the
/// newest entry of each author's log.
pub(super) type Digest = [u8; 32];

/// SHA-256 over the sorted digests.
pub(super) fn hash(mut digests: Vec<Digest>) -> VersionHash {
    digests.sort_unstable();
    let mut state = Sha256::new();
    for digest in &digests {
        state.update(digest);
    }
    VersionHash::from_digest(state.finalize().into())
}

/// The digest of the newest entry of an author's log; `None` if no log is held.
pub(super) fn of_author(row: &AuthorRow) -> Result<Option<Digest>, StoreError> {
    let state = row.state()?;
    Ok(state.map(|state| *state.version_id().hash.as_digest()))
}

/// The digests of those versions of one record that may be handed out, of all its rows.
pub(super) fn of_record(rules: &Rules, rows: Vec<Row>) -> Result<Vec<Digest>, StoreError> {
    let held = records::relayed(rules, rows)?;
    let digest = |(_, row): (Vec<u8>, HeldRow)| *row.rank.hash.as_digest();
    Ok(held.into_iter().map(digest).collect())
}

/// The key of the row, or what the keys of all rows have in common, whose digests change when the row
/// under this key does; `None` if none do.
pub(super) fn changed_by(key: &[u8]) -> Option<&[u8]> {
    if keys::is_author(key) {
        Some(key)
    } else if keys::is_held(key) {
        Some(keys::record_of_held(key))
    } else {
        None
    }
}
