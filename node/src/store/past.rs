//! Versions that are no longer held, kept for a while: whoever stole a key can overwrite and withdraw,
//! and the author must be able to get back what it said before.
//!
//! Of each record and key, and for 30 days: the first version displaced on each day, which is the one
//! that stood at the end of the day before; of today and yesterday the first four, so that what was
//! published and stolen on one day is there too; and the version that stood when the key was dropped.

use protocol::id::RecordId;
use protocol::time::Timestamp;

use super::rows::{HeldRow, VersionRow};
use super::transaction::{Reader as _, Transaction};
use super::{StoreError, keys};

/// Days for which past versions are kept.
const DAYS: i64 = 30;

/// Versions kept of one day while it is today or yesterday. Those displaced first stay, or a thief who
/// publishes five times would be rid of the honest one.
const OF_A_DAY: i64 = 4;

/// Places within a day; the last is for the version that stood when the key was dropped.
const PLACES: i64 = OF_A_DAY + 1;

/// Keeps a version that a newer one under the same key displaced, if there is room for it.
pub(super) fn keep_displaced(
    tx: &mut Transaction<'_>,
    id: &RecordId,
    slot: &[u8; 32],
    displaced: &HeldRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let today = now.unix_day();
    let rows = tx.rows(&keys::past_in(id, slot))?;
    for (key, row) in &rows {
        let place = keys::place_of_past(key).unwrap_or(i64::MIN);
        let (day, number) = (place.div_euclid(PLACES), place.rem_euclid(PLACES));
        let is_extra = (1..OF_A_DAY).contains(&number) && day < today - 1;
        if day < today - DAYS || is_extra {
            forget(tx, key, &HeldRow::read(row)?)?;
        }
    }
    let free = (0..OF_A_DAY)
        .map(|number| keys::past(id, slot, today * PLACES + number))
        .find(|key| rows.iter().all(|(taken, _)| taken != key));
    match free {
        Some(key) => keep(tx, key, displaced),
        None => tx.remove(keys::version(&displaced.rank.hash)),
    }
    Ok(())
}

/// Keeps the version that was held when its key was dropped.
pub(super) fn keep_dropped(
    tx: &mut Transaction<'_>,
    id: &RecordId,
    slot: &[u8; 32],
    held: &HeldRow,
    now: Timestamp,
) {
    let last = now.unix_day() * PLACES + OF_A_DAY;
    keep(tx, keys::past(id, slot, last), held);
}

fn keep(tx: &mut Transaction<'_>, key: Vec<u8>, row: &HeldRow) {
    let place = VersionRow::Beside(key.clone());
    tx.put(keys::version(&row.rank.hash), place.write());
    tx.put(key, row.write());
}

fn forget(tx: &mut Transaction<'_>, key: &[u8], row: &HeldRow) -> Result<(), StoreError> {
    // It may be held again, by another line of a forked log.
    if VersionRow::of(tx, &row.rank.hash)? == Some(VersionRow::Beside(key.to_vec())) {
        tx.remove(keys::version(&row.rank.hash));
    }
    tx.remove(key.to_vec());
    Ok(())
}
