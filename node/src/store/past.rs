//! Versions that are no longer held, kept for a while: whoever stole a key can overwrite and withdraw,
//! and the author must be able to get back what it said before.
//!
//! Of each record and key, and for 30 days: the first version displaced on each day, which is the one
//! that stood at the end of the day before; of today and yesterday the first four, so that what was
//! published and stolen on one day is there too; and the version that stood when the key was dropped.
//!
//! Of a record that its author took back, what it said is erased after that time; its numbers, hashes and
//! dates stay.

use protocol::acceptance::Rules;
use protocol::envelope::Status;
use protocol::id::RecordId;
use protocol::time::Timestamp;

use super::engine::Row;
use super::rows::{HeldRow, VersionRow, corrupt};
use super::transaction::{Reader as _, Transaction, after};
use super::{Store, StoreError, keys, records};

/// Days for which past versions are kept.
const DAYS: i64 = 30;

/// Versions kept of one day while it is today or yesterday. Those displaced first stay, or a thief who
/// publishes five times would be rid of the honest one.
const OF_A_DAY: i64 = 4;

/// Places within a day; the last is for the version that stood when the key was dropped.
const PLACES: i64 = OF_A_DAY + 1;

/// Rows that are looked at, and let go, in one step: whoever writes beside waits for no more.
const LOOKED_AT: usize = 500;

/// What is done with a past version on some day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// It stays.
    Whole,
    /// It is one of several of a day that is over, and goes.
    Extra,
    /// It was kept long enough.
    Over,
}

impl Keeping {
    /// By the place of the row.
    fn of(key: &[u8], today: i64) -> Self {
        let place = keys::place_of_past(key).unwrap_or(i64::MIN);
        let (day, number) = (place.div_euclid(PLACES), place.rem_euclid(PLACES));
        if day < today - DAYS {
            Self::Over
        } else if (1..OF_A_DAY).contains(&number) && day < today - 1 {
            Self::Extra
        } else {
            Self::Whole
        }
    }
}

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
        if Keeping::of(key, today) != Keeping::Whole {
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

impl Store {
    /// Forgets past versions that were kept long enough, and erases what records said that were taken back as long
    /// ago. Some rows at a time, and blocking. Gives how many rows were let go or erased.
    ///
    /// # Errors
    /// A disk fault; what was done before it stays done.
    pub fn forget_past(&self, now: Timestamp) -> Result<usize, StoreError> {
        let (rules, today) = (self.rules, now.unix_day());
        let mut done = 0;
        for table in [keys::all_past(), keys::all_twins()] {
            let end = after(&table);
            let mut from = table;
            loop {
                let rows = self.engine.range(&from, &end).take(LOOKED_AT);
                let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
                let Some((last, _)) = rows.last() else {
                    break;
                };
                from = [last.as_slice(), &[0]].concat();
                let mut meant = Vec::new();
                for (key, row) in rows {
                    let is_over =
                        !keys::is_past(&key) || Keeping::of(&key, today) != Keeping::Whole;
                    if is_over && !HeldRow::read(&row)?.is_erased() {
                        meant.push(key);
                    }
                }
                if !meant.is_empty() {
                    let step = move |tx: &mut Transaction<'_>| let_go(tx, &rules, &meant, today);
                    let step = self.writer.submit(step).blocking_recv();
                    done += step.unwrap_or(Err(StoreError::Closed))?;
                }
            }
        }
        Ok(done)
    }
}

/// Forgets or erases these rows as far as they still ask for it; gives how many.
fn let_go(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    rows: &[Vec<u8>],
    today: i64,
) -> Result<usize, StoreError> {
    let mut done = 0;
    for key in rows {
        let Some(row) = tx.get(key)? else {
            continue;
        };
        let row = HeldRow::read(&row)?;
        let is_past = keys::is_past(key);
        let id = match is_past {
            true => keys::id_of_past(key),
            false => keys::id_of_held(key),
        };
        let id = id.ok_or_else(|| corrupt("a version without a record"))?;
        let held = tx.rows(&keys::held_of(&id))?;
        let held = held.iter().map(|(_, row)| HeldRow::read(row));
        let counting = records::counting(rules, held.collect::<Result<_, _>>()?);
        let taken_back = counting.filter(|row| row.status == Status::Withdrawn);
        match (is_past, taken_back) {
            (true, Some(_)) if Keeping::of(key, today) == Keeping::Over => {
                tx.put(key.clone(), row.erased().write());
            }
            (true, _) => forget(tx, key, &row)?,
            // Twins are evidence as long as what they say is said.
            (false, Some(tombstone)) if tombstone.received.unix_day() < today - DAYS => {
                forget(tx, key, &row)?;
            }
            (false, _) => continue,
        }
        done += 1;
    }
    Ok(done)
}
