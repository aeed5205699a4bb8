//! Looking at every record, and mending those that are not what was written.

use std::collections::BTreeSet;

use protocol::envelope::Envelope;
use protocol::id::RecordId;
use protocol::time::Timestamp;

use super::records::Arrival;
use super::rows::{ChangeRow, HeldRow, VersionRow};
use super::transaction::{Reader as _, Transaction, after};
use super::{NamedRows, Offered, Refusal, Store, StoreError, keys, quota, records};

/// Records that were found damaged, to be fetched again.
const ROTTEN: &str = "rotten";

/// What was found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Records of which a version does not read, or is not what its digest says.
    pub rotten: BTreeSet<RecordId>,
    /// Bytes of all rows.
    pub bytes: u64,
}

impl Store {
    /// Looks at every row; `progress` hears how many records were looked at.
    ///
    /// # Errors
    /// A fault of the disk that lies deeper than single records.
    pub fn scan(&self, progress: &dyn Fn(u64)) -> Result<Scan, StoreError> {
        let mut scan = Scan::default();
        let mut looked = 0;
        for row in self.engine.range(&[], &after(&[])) {
            let (key, value) = row?;
            scan.bytes += (key.len() + value.len()) as u64;
            if !keys::is_held(&key) {
                continue;
            }
            let is_rotten = is_rotten(&key, &value, |place| self.engine.get(place))?;
            // What was displaced since it was read leads nowhere any more, and is not damaged.
            if is_rotten && self.engine.get(&key)?.is_some_and(|now| now == value) {
                scan.rotten.extend(keys::id_of_held(&key));
            }
            looked += 1;
            if looked % 10_000 == 0 {
                progress(looked);
            }
        }
        Ok(scan)
    }

    /// Remembers which records are damaged, in place of what was remembered before.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_rotten(&self, found: &BTreeSet<RecordId>) -> Result<(), StoreError> {
        let before: BTreeSet<RecordId> = self.noted_rotten()?.into_iter().collect();
        let found = found.clone();
        let put = move |rows: &mut NamedRows<'_, '_>| {
            for id in before.difference(&found) {
                rows.remove(ROTTEN, &id.to_string());
            }
            for id in found.difference(&before) {
                rows.put(ROTTEN, &id.to_string(), Vec::new());
            }
            Ok(())
        };
        self.change_named(put).await
    }

    /// The records that are remembered as damaged.
    ///
    /// # Errors
    /// A disk fault.
    pub fn noted_rotten(&self) -> Result<Vec<RecordId>, StoreError> {
        let noted = self.all_named(ROTTEN)?.into_iter();
        Ok(noted
            .filter_map(|(name, _)| RecordId::parse(&name).ok())
            .collect())
    }

    /// Puts a record in the place of a damaged version of it. `false` if nothing was damaged there; it is
    /// then taken in as any other.
    ///
    /// # Errors
    /// As [`Store::admit`].
    pub async fn mend(&self, offered: Offered, now: Timestamp) -> Result<bool, Refusal> {
        let rules = self.rules;
        let answer = self.writer.submit(move |tx| {
            let is_mended = clear_rotten(tx, &offered)?;
            records::admit(tx, &rules, offered, Arrival::without_quota(now, &None))?;
            Ok(is_mended)
        });
        answer.await.unwrap_or(Err(StoreError::Closed.into()))
    }
}

/// Whether a row is not what was written: its record's bytes, and what stands before them. That it leads to
/// its place in the change log is asked of the log.
fn is_rotten(
    key: &[u8],
    row: &[u8],
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<bool, StoreError> {
    let whole = || {
        let row = HeldRow::read(row).ok()?;
        let record = Envelope::parse(&row.canonical().ok()?).ok()?;
        let header = record.header();
        let is_same = (header.seq, header.status) == (row.rank.seq, row.status);
        (is_same && keys::id_of_held(key)? == header.record_id()).then_some(row.change)
    };
    let Some(change) = whole() else {
        return Ok(true);
    };
    let told = get(&keys::change(change))?;
    Ok(told.is_none_or(|told| told != ChangeRow::Held(key.to_vec()).write()))
}

/// Takes the damaged versions of a record out, so that a whole one can be taken in.
fn clear_rotten(tx: &mut Transaction<'_>, offered: &Offered) -> Result<bool, StoreError> {
    let record = offered.proven().record();
    let id = record.header.record_id();
    let mut is_cleared = false;
    for (key, row) in tx.rows(&keys::held_of(&id))? {
        if !is_rotten(&key, &row, |place| tx.get(place))? {
            continue;
        }
        let change = ChangeRow::Held(key.clone()).write();
        if let Ok(held) = HeldRow::read(&row) {
            // Only what leads to this very row: its numbers may be what was damaged.
            let place = keys::change(held.change);
            if tx.get(&place)?.is_some_and(|row| row == change) {
                tx.remove(place);
            }
            let version = VersionRow::of(tx, &held.rank.hash)?;
            if version == Some(VersionRow::Held(held.change)) {
                tx.remove(keys::version(&held.rank.hash));
            }
        }
        tx.remove(keys::version(&record.hash));
        tx.remove(key);
        is_cleared = true;
    }
    if is_cleared {
        if tx.rows(&keys::held_of(&id))?.is_empty() {
            quota::count_off(tx, &id.author)?;
        }
        tx.remove(keys::named(ROTTEN, id.to_string().as_bytes()));
        // Whatever is taken in its place, what counts may be another now.
        tx.append(&ChangeRow::Judged(keys::held_of(&id)))?;
    }
    Ok(is_cleared)
}
