//! Holding key logs: entries in any order, forks as evidence, orphans until they fit.

use protocol::acceptance::Rules;
use protocol::id::Scid;
use protocol::identity::{Branches, LogEntry, LogError, LogState, Taken, VersionId, WitnessProofs};
use protocol::limits::CLOCK_SKEW_SECONDS_MAX;
use protocol::time::Timestamp;

use super::rows::{AuthorRow, ChangeRow, corrupt, pack, unpack};
use super::transaction::{Reader, Transaction};
use super::{StoreError, keys, records};

/// Entries of one author that fit nothing yet: a log that arrives backwards, not a store for strangers.
const ORPHANS_MAX: usize = 64;

/// What became of a log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogReceipt {
    /// The author's log grew.
    Grown,
    /// This very entry was held.
    AlreadyHeld,
    /// A valid entry beside the line that this node goes by: the author is disputed.
    Forked,
    /// Kept until an earlier entry, a witness or its date has come.
    Waiting,
}

/// Why a log entry is refused.
#[derive(Debug, thiserror::Error)]
pub enum LogRefusal {
    /// It is not valid.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Too many entries wait for earlier ones.
    #[error(
        "too many entries of this log wait for earlier ones: send the log from its first entry"
    )]
    OrphansFull,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes one entry in, then whatever it made fit.
pub(super) fn learn(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    entry: &LogEntry,
    proofs: &WitnessProofs,
    now: Timestamp,
) -> Result<LogReceipt, LogRefusal> {
    let scid = *entry.scid();
    let mut branches = read_branches(tx, &scid)?;
    let receipt = match branches.take(entry, now, proofs) {
        Ok(Taken::Orphan) => {
            keep_orphan(tx, entry)?;
            LogReceipt::Waiting
        }
        Ok(taken) => {
            write_taken(tx, entry, &taken)?;
            receipt_of(&taken)
        }
        Err(LogError::NotYetDue { .. }) => {
            keep_until_due(tx, entry)?;
            LogReceipt::Waiting
        }
        Err(error) => return Err(error.into()),
    };
    let mut is_changed = !matches!(receipt, LogReceipt::Waiting | LogReceipt::AlreadyHeld);
    is_changed |= branches.take_witness_proofs(proofs);
    if is_changed {
        adopt_orphans(tx, &mut branches, proofs, now)?;
    }
    write_head(tx, rules, &branches, now)?;
    Ok(receipt)
}

fn receipt_of(taken: &Taken) -> LogReceipt {
    match taken {
        Taken::Grown => LogReceipt::Grown,
        Taken::Held => LogReceipt::AlreadyHeld,
        Taken::Forked { .. } => LogReceipt::Forked,
        Taken::Unwitnessed { .. } | Taken::Orphan => LogReceipt::Waiting,
    }
}

/// An entry whose date has come, as [`records::admit_due`] finds it.
pub(super) fn learn_due(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    packed: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let entry = read_entry(packed)?;
    match learn(tx, rules, &entry, &WitnessProofs::empty(), now) {
        Err(LogRefusal::Store(error)) => Err(error),
        // What an author dated ahead may have been overtaken by a fork since.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn write_taken(
    tx: &mut Transaction<'_>,
    entry: &LogEntry,
    taken: &Taken,
) -> Result<(), StoreError> {
    let scid = entry.scid();
    if !matches!(taken, Taken::Held | Taken::Orphan) {
        let version = entry.version_id();
        let key = keys::entry(scid, version.number, &version.hash);
        let change = tx.append(&ChangeRow::Entry(key.clone()))?;
        let row = [
            &change.to_be_bytes(),
            pack(&entry.to_canonical_bytes())?.as_slice(),
        ]
        .concat();
        tx.put(key, row);
    }
    if let Taken::Forked { let_go } | Taken::Unwitnessed { let_go } = taken {
        for version in let_go {
            let key = keys::entry(scid, version.number, &version.hash);
            if let Some(row) = tx.get(&key)? {
                let (change, _) = split_entry(&row)?;
                tx.remove(keys::change(change));
            }
            tx.remove(key);
        }
    }
    Ok(())
}

fn keep_orphan(tx: &mut Transaction<'_>, entry: &LogEntry) -> Result<(), LogRefusal> {
    let version = entry.version_id();
    let key = keys::orphan(entry.scid(), version.number, &version.hash);
    if tx.get(&key)?.is_none() {
        if tx.rows(&keys::orphans(entry.scid()))?.len() >= ORPHANS_MAX {
            return Err(LogRefusal::OrphansFull);
        }
        tx.put(key, pack(&entry.to_canonical_bytes())?);
    }
    Ok(())
}

fn keep_until_due(tx: &mut Transaction<'_>, entry: &LogEntry) -> Result<(), LogRefusal> {
    if tx.rows(&keys::all_ahead())?.len() >= 100 * ORPHANS_MAX {
        return Err(LogRefusal::OrphansFull);
    }
    let due = entry.version_time().plus_seconds(-CLOCK_SKEW_SECONDS_MAX);
    let row = [b"l".as_slice(), &pack(&entry.to_canonical_bytes())?].concat();
    tx.put(keys::ahead(due, entry.digest().as_digest()), row);
    Ok(())
}

fn adopt_orphans(
    tx: &mut Transaction<'_>,
    branches: &mut Branches,
    proofs: &WitnessProofs,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut is_growing = true;
    while is_growing {
        is_growing = false;
        for (key, row) in tx.rows(&keys::orphans(branches.scid()))? {
            let entry = read_entry(&row)?;
            match branches.take(&entry, now, proofs) {
                Ok(Taken::Orphan) => continue,
                Ok(taken) => {
                    write_taken(tx, &entry, &taken)?;
                    is_growing |= taken != Taken::Held;
                }
                Err(LogError::NotYetDue { .. }) => {
                    // Bounded by the orphans that were let in.
                    let due = entry.version_time().plus_seconds(-CLOCK_SKEW_SECONDS_MAX);
                    let row = [b"l".as_slice(), &row].concat();
                    tx.put(keys::ahead(due, entry.digest().as_digest()), row);
                }
                // It fits, and is not valid: it never will be.
                Err(_) => {}
            }
            tx.remove(key);
        }
    }
    Ok(())
}

/// Writes what the log now says; if its keys changed, the author's records are judged anew.
fn write_head(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    branches: &Branches,
    now: Timestamp,
) -> Result<(), StoreError> {
    let scid = branches.scid();
    let proofs = branches.witness_proofs();
    if !proofs.is_empty() {
        tx.put(keys::witness(scid), proofs.to_canonical_bytes());
    }
    let before = tx.ring_of(scid)?;
    tx.change_author(scid, |author| {
        author.is_disputed = branches.is_disputed();
        author.head = branches
            .head()
            .map(|head| String::from_utf8_lossy(&head.to_stored()).into_owned());
    })?;
    if before.as_deref() != branches.head().map(LogState::keys) {
        records::judge_anew(tx, rules, scid, now)?;
    }
    Ok(())
}

/// Goes by another line of a forked log from now on, at the operator's word.
pub(super) fn pin(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    scid: &Scid,
    version: &VersionId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut branches = read_branches(tx, scid)?;
    if !branches.pin(version) {
        return Ok(false);
    }
    tx.change_author(scid, |author| author.is_pinned = true)?;
    write_head(tx, rules, &branches, now)?;
    Ok(true)
}

/// The canonical entries of the active line, first entry first.
pub(super) fn active_line(rows: &(impl Reader + ?Sized), scid: &Scid) -> Result<Vec<Vec<u8>>, StoreError> {
    let branches = read_branches(rows, scid)?;
    let mut lines = branches
        .active_line()
        .map(|version| {
            let row = rows.get(&keys::entry(scid, version.number, &version.hash))?;
            let row = row.ok_or_else(|| corrupt("a key log with a gap"))?;
            unpack(split_entry(&row)?.1)
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    lines.reverse();
    Ok(lines)
}

fn read_branches(rows: &(impl Reader + ?Sized), scid: &Scid) -> Result<Branches, StoreError> {
    let entries = rows
        .rows(&keys::entries(scid))?
        .iter()
        .map(|(_, row)| read_entry(split_entry(row)?.1))
        .collect::<Result<Vec<_>, _>>()?;
    let tip = AuthorRow::read(rows, scid)?.state()?.map(|head| head.version_id());
    let proofs = match rows.get(&keys::witness(scid))? {
        Some(row) => {
            WitnessProofs::parse(&row).map_err(|_| corrupt("witness proofs that do not read"))?
        }
        None => WitnessProofs::empty(),
    };
    Branches::from_rows(*scid, entries, tip, proofs)
        .map_err(|_| corrupt("a key log that does not fit"))
}

/// The number of an entry's change, and its packed bytes.
pub(super) fn split_entry(row: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    let (change, packed) = row
        .split_first_chunk()
        .ok_or_else(|| corrupt("a log entry without a change"))?;
    Ok((u64::from_be_bytes(*change), packed))
}

fn read_entry(packed: &[u8]) -> Result<LogEntry, StoreError> {
    LogEntry::parse(&unpack(packed)?).map_err(|_| corrupt("a log entry that does not read"))
}
