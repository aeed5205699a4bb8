//! What an area's actor tells: every record that is carried here and is about the area, whoever wrote
//! it, and once the version with which a record leaves it (docs/protocol.md, 5).

use protocol::envelope::Status;
use protocol::id::RecordId;
use protocol::sync::Filter;

use crate::store::{self, HeldRow, Store, StoreError};

/// Whether a version of a record says that it is about an area, or about one of its topics. A tombstone
/// says nothing, and so does what was erased.
///
/// # Errors
/// A disk fault.
pub fn is_about(area: &str, id: &RecordId, row: &HeldRow) -> Result<bool, StoreError> {
    if row.status == Status::Withdrawn || row.is_erased() {
        return Ok(false);
    }
    let filter = Filter {
        areas: [area.to_owned()].into(),
        ..Filter::default()
    };
    Ok(store::matches(&filter, &id.author, &row.canonical()?))
}

/// Whether those who follow an area are to hear of the version that counts now, `after` being the place
/// in the change log up to which they were told: if it is about the area, or if what counted before was.
///
/// Earlier versions are kept for a while only, so a record that leaves may be told of once more than is
/// needed, which harms nobody.
///
/// # Errors
/// A disk fault.
pub fn is_news(
    store: &Store,
    area: &str,
    id: &RecordId,
    counting: &HeldRow,
    after: u64,
) -> Result<bool, StoreError> {
    if is_about(area, id, counting)? {
        return Ok(true);
    }
    let known = |row: &&HeldRow| row.rank.hash != counting.rank.hash && row.change <= after;
    let history = store.history(id)?;
    match history.iter().find(known) {
        Some(before) => is_about(area, id, before),
        None => Ok(false),
    }
}

/// Whether any version of a record that is still known was about an area.
///
/// # Errors
/// A disk fault.
pub fn was_about(store: &Store, area: &str, id: &RecordId) -> Result<bool, StoreError> {
    for row in store.history(id)? {
        if is_about(area, id, &row)? {
            return Ok(true);
        }
    }
    Ok(false)
}
