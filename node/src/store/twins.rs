//! Versions of a record that one key signed under one number: evidence that its author says two things, or that
//! two copies of its key are at work. The lower hash is held; the others stand here.

use std::collections::BTreeSet;

use protocol::envelope::Status;
use protocol::id::{RecordId, Scid};

use super::rows::{HeldRow, VersionRow, corrupt};
use super::transaction::{self, Reader, Transaction};
use super::{Store, StoreError, keys};

/// Versions of one record that lost a tie and are kept: two are evidence enough, and a key can sign
/// any number of them.
const TWINS_PER_RECORD_MAX: usize = 8;

impl Store {
    /// Versions of a record of which one key signed several under one number: evidence that it did, since each
    /// has its own proof. None while a tombstone counts.
    ///
    /// # Errors
    /// A disk fault.
    pub fn twins_of(&self, id: &RecordId) -> Result<Vec<HeldRow>, StoreError> {
        if self.is_blocked(&id.author) {
            return Ok(Vec::new());
        }
        let rows = |prefix: &[u8]| -> Result<Vec<HeldRow>, StoreError> {
            let rows = Reader::rows(&*self.engine, prefix)?.into_iter();
            rows.map(|(_, row)| HeldRow::read(&row)).collect()
        };
        let (mut twins, held) = (rows(&keys::twins_of(id))?, rows(&keys::held_of(id))?);
        let counting = self.counting(id)?;
        if twins.is_empty() || counting.is_some_and(|row| row.status == Status::Withdrawn) {
            return Ok(Vec::new());
        }
        let numbers: BTreeSet<u64> = twins.iter().map(|row| row.rank.seq).collect();
        let won = held
            .into_iter()
            .filter(|row| numbers.contains(&row.rank.seq));
        twins.extend(won);
        twins.sort_by_key(|row| (std::cmp::Reverse(row.rank.seq), row.rank.hash));
        twins.dedup_by_key(|row| row.rank.hash);
        Ok(twins)
    }

    /// The records of an author of which [`Store::twins_of`] may tell, at most `limit`.
    ///
    /// # Errors
    /// A disk fault.
    pub fn records_with_twins(
        &self,
        author: &Scid,
        limit: usize,
    ) -> Result<BTreeSet<RecordId>, StoreError> {
        let prefix = keys::twins_by(author);
        let mut records = BTreeSet::new();
        for row in self.engine.range(&prefix, &transaction::after(&prefix)) {
            let (key, _) = row?;
            records
                .insert(keys::id_of_held(&key).ok_or_else(|| corrupt("a twin without a record"))?);
            if records.len() >= limit {
                break;
            }
        }
        Ok(records)
    }
}

/// Keeps a version that lost a tie, and flags its author.
pub(super) fn keep(
    tx: &mut Transaction<'_>,
    id: &RecordId,
    twin: &HeldRow,
) -> Result<(), StoreError> {
    let twins = tx.rows(&keys::twins_of(id))?;
    let key = keys::twin(id, &twin.rank.hash);
    if twins.iter().all(|(held, _)| *held != key) {
        if twins.len() < TWINS_PER_RECORD_MAX {
            let place = VersionRow::Beside(key.clone());
            tx.put(keys::version(&twin.rank.hash), place.write());
            tx.put(key, twin.write());
        } else {
            tx.remove(keys::version(&twin.rank.hash));
        }
    }
    tx.change_author(&id.author, |author| author.has_twins = true)
}

/// Keeps a version that won over a twin and is displaced now: one of the two alone shows nothing.
pub(super) fn keep_beside(
    tx: &mut Transaction<'_>,
    id: &RecordId,
    displaced: &HeldRow,
) -> Result<(), StoreError> {
    for (_, twin) in tx.rows(&keys::twins_of(id))? {
        if HeldRow::read(&twin)?.rank.seq == displaced.rank.seq {
            tx.put(keys::twin(id, &displaced.rank.hash), displaced.write());
            break;
        }
    }
    Ok(())
}
