//! Reading the change log, for whoever follows it.

use protocol::id::{RecordId, Scid};

use super::rows::{ChangeRow, corrupt};
use super::{Change, Store, StoreError, What, keys, logs, rows};

/// A state of the store, for whoever keeps what it read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AsOf {
    /// The last change.
    pub change: u64,
    /// How often the engine was opened again: a number may have been given twice.
    pub opened_again: u64,
}

impl Store {
    /// The rows of the change log after `after`, at most `limit` of them, and the number up to which
    /// it was read. Versions beaten by a tombstone are left out, and come again once it beats them no
    /// longer. Only what is durable is given: it waits for a write that is on its way to disk.
    ///
    /// # Errors
    /// A disk fault; [`StoreError::NotWritten`] while the store cannot be opened again after a failed write.
    pub fn changes(&self, after: u64, limit: usize) -> Result<(Vec<Change>, u64), StoreError> {
        let _durable = self.durable.wait()?;
        let mut read_to = after;
        let mut changes = Vec::new();
        for row in self.log_after(after, limit) {
            let (number, row) = row?;
            let what = match row {
                ChangeRow::Held(key) => {
                    let relayed = self.relayed(&key)?;
                    // A damaged record that was mended stands at the end; its former place may be left.
                    let here = relayed.filter(|(_, row)| row.change == number);
                    here.map(|(id, row)| What::Held { id, row })
                }
                ChangeRow::Entry(key) => match self.engine.get(&key)? {
                    None => None,
                    Some(row) => {
                        let entry = rows::unpack(logs::split_entry(&row)?.1)?;
                        let scid = author_of_entry(&key)?;
                        (!self.is_blocked(&scid)).then_some(What::Entry { scid, entry })
                    }
                },
                ChangeRow::Judged(key) => Some(What::Judged {
                    id: judged_id(&key)?,
                }),
            };
            changes.extend(what.map(|what| Change { number, what }));
            read_to = number;
        }
        Ok((changes, read_to))
    }

    /// The rows of the change log after a place in it.
    pub(super) fn log_after(
        &self,
        after: u64,
        limit: usize,
    ) -> impl Iterator<Item = Result<(u64, ChangeRow), StoreError>> + '_ {
        let from = keys::change(after.saturating_add(1));
        let rows = self.engine.range(&from, &keys::change(u64::MAX));
        rows.take(limit).map(|row| {
            let (key, row) = row?;
            let number =
                keys::number_of_change(&key).ok_or_else(|| corrupt("a change without a number"))?;
            Ok((number, ChangeRow::read(&row)?))
        })
    }

    /// Of which records something changed after a place in the log, with the number of the change: at
    /// most `limit` rows of the log, and the place to which it was read. For those who only ask what
    /// counts now; durable as in [`Store::changes`].
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub fn changed_records(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, RecordId)>, u64), StoreError> {
        let _durable = self.durable.wait()?;
        let mut read_to = after;
        let mut changed = Vec::new();
        for row in self.log_after(after, limit) {
            let (number, row) = row?;
            read_to = number;
            let id = match row {
                ChangeRow::Held(key) => {
                    keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record id"))?
                }
                ChangeRow::Judged(key) => judged_id(&key)?,
                ChangeRow::Entry(_) => continue,
            };
            changed.push((number, id));
        }
        Ok((changed, read_to))
    }

    /// Whose logs grew after a place in the log and up to another, with the number of the change.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub fn changed_logs(&self, after: u64, read_to: u64) -> Result<Vec<(u64, Scid)>, StoreError> {
        let _durable = self.durable.wait()?;
        let mut changed = Vec::new();
        for row in self.log_after(after, usize::MAX) {
            let (number, row) = row?;
            if number > read_to {
                break;
            }
            if let ChangeRow::Entry(key) = row {
                changed.push((number, author_of_entry(&key)?));
            }
        }
        Ok(changed)
    }

    /// The number of the last change that is durable. Waits for nobody.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub fn last_change(&self) -> Result<u64, StoreError> {
        self.durable.last_change()
    }

    /// The state of now: what was read after this is as it was while this is the same.
    ///
    /// # Errors
    /// As [`Store::last_change`].
    pub fn as_of(&self) -> Result<AsOf, StoreError> {
        Ok(AsOf {
            change: self.last_change()?,
            opened_again: self.durable.opened_again(),
        })
    }
}

/// Whose log an entry is of.
fn author_of_entry(key: &[u8]) -> Result<Scid, StoreError> {
    let scid = key.get(1..33).and_then(|scid| scid.try_into().ok());
    let scid = scid.ok_or_else(|| corrupt("an entry without an author"))?;
    Ok(Scid::from_digest(scid))
}

/// The record that a change of judgement names.
pub(super) fn judged_id(key: &[u8]) -> Result<RecordId, StoreError> {
    keys::id_of_held_of(key).ok_or_else(|| corrupt("a change without a record id"))
}
