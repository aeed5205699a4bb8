//! What the change log says was touched, for whoever keeps a set of what is held.

use std::collections::BTreeSet;

use protocol::id::RecordId;

use super::rows::{ChangeRow, HeldRow, corrupt};
use super::tail::judged_id;
use super::transaction::Reader;
use super::{Store, StoreError, keys, records};

/// What may differ since a place in the change log.
#[derive(Debug, Default)]
pub struct Touched {
    /// Records of which other versions may be held or handed out.
    pub records: BTreeSet<RecordId>,
    /// Whether what a key log says may have changed.
    pub has_logs: bool,
    /// How far the log was read.
    pub read_to: u64,
}

impl Store {
    /// What was touched after a place in the log: at most `limit` rows of it. Durable as in
    /// [`Store::changes`].
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub fn touched(&self, after: u64, limit: usize) -> Result<Touched, StoreError> {
        let _durable = self.durable.wait()?;
        let mut touched = Touched {
            read_to: after,
            ..Touched::default()
        };
        for row in self.log_after(after, limit) {
            let (number, row) = row?;
            touched.read_to = number;
            touched.records.extend(match row {
                ChangeRow::Held(key) => Some(
                    keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record id"))?,
                ),
                // What is judged anew is so because a log grew, or another line of it is gone by.
                ChangeRow::Judged(key) => {
                    touched.has_logs = true;
                    Some(judged_id(&key)?)
                }
                ChangeRow::Entry(_) => {
                    touched.has_logs = true;
                    None
                }
            });
        }
        Ok(touched)
    }

    /// The versions of one record that may be handed out; none of an author that is not carried.
    ///
    /// # Errors
    /// A disk fault.
    pub fn relayed_of(&self, id: &RecordId) -> Result<Vec<HeldRow>, StoreError> {
        if self.is_blocked(&id.author) {
            return Ok(Vec::new());
        }
        let rows = Reader::rows(&*self.engine, &keys::held_of(id))?;
        let relayed = records::relayed(&self.rules, rows)?;
        Ok(relayed.into_iter().map(|(_, row)| row).collect())
    }
}
