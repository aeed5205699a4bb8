//! Holding key logs: entries in any order, forks as evidence, orphans until they fit.

use protocol::acceptance::Rules;
use protocol::id::{Scid, VersionHash};
use protocol::identity::{Branches, LogEntry, LogError, LogState, Taken, VersionId, WitnessProofs};
use protocol::limits::CLOCK_SKEW_SECONDS_MAX;
use protocol::time::Timestamp;

use super::rows::{AuthorRow, ChangeRow, corrupt, pack, unpack};
use super::transaction::{Reader, Transaction};
use super::{StoreError, keys, records};

/// Entries of one author that fit nothing yet: a log that arrives backwards, not a store for strangers.
const ORPHANS_MAX: usize = 64;

/// Bytes of waiting entries of all authors: strangers can name any number of authors. At the bound
/// an entry is still taken when it follows what is held.
const WAITING_BYTES_MAX: u64 = 64 * 1024 * 1024;

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
    /// An own entry does not become the newest of its log at once.
    #[error(
        "the change of the identity cannot take effect now: it is dated ahead of this machine's clock, or does not follow the newest entry of its log. See `baraza doctor`; with the clock set right, the same command goes on where it stopped"
    )]
    Unfit,
    /// This node does not carry its author.
    #[error("the operator of this node blocked the author: nothing of it is taken here")]
    AuthorBlocked,
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
    if proofs.is_empty() && is_held(tx, entry)? {
        return Ok(LogReceipt::AlreadyHeld);
    }
    let mut branches = read_branches(tx, &scid)?;
    let mut is_growing = false;
    let receipt = match branches.take(entry, now, proofs) {
        Ok(Taken::Orphan) => keep_orphan(tx, entry, proofs).map(|()| LogReceipt::Waiting),
        Ok(taken) => {
            write_taken(tx, entry, &taken)?;
            is_growing = taken != Taken::Held;
            Ok(receipt_of(&taken))
        }
        Err(LogError::NotYetDue { .. }) => {
            keep_until_due(tx, entry, proofs).map(|()| LogReceipt::Waiting)
        }
        Err(error) => Err(error.into()),
    };
    let receipt = match receipt {
        Ok(receipt) => receipt,
        Err(refusal) => {
            tx.keep_branches(branches);
            return Err(refusal);
        }
    };
    is_growing |= take_witness_proofs(tx, &mut branches, proofs)?;
    while is_growing {
        is_growing = adopt_orphans(tx, &mut branches, now)?;
        // The proofs at hand may be over an entry that was an orphan until now.
        is_growing |= take_witness_proofs(tx, &mut branches, proofs)?;
    }
    write_head(tx, rules, &branches, now)?;
    tx.keep_branches(branches);
    Ok(receipt)
}

/// Whether this very entry is held, byte for byte: told without reading the whole log.
fn is_held(tx: &Transaction<'_>, entry: &LogEntry) -> Result<bool, StoreError> {
    let version = entry.version_id();
    match tx.get(&keys::entry(entry.scid(), version.number, &version.hash))? {
        None => Ok(false),
        Some(row) => Ok(unpack(split_entry(&row)?.1)? == entry.to_canonical_bytes()),
    }
}

fn receipt_of(taken: &Taken) -> LogReceipt {
    match taken {
        Taken::Grown => LogReceipt::Grown,
        Taken::Held => LogReceipt::AlreadyHeld,
        Taken::Forked { .. } => LogReceipt::Forked,
        Taken::Unwitnessed { .. } | Taken::Orphan => LogReceipt::Waiting,
    }
}

/// An entry whose date has come, as [`records::admit_due`] finds it under `key`.
pub(super) fn learn_due(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    key: &[u8],
    waiting: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (entry, proofs) = read_waiting(waiting)?;
    remove_waiting(tx, key.to_vec(), 1 + waiting.len())?;
    match learn(tx, rules, &entry, &proofs, now) {
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
        write_entry(tx, key, &pack(&entry.to_canonical_bytes())?)?;
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

/// Writes an entry at the end of the change log, and nowhere else in it.
fn write_entry(tx: &mut Transaction<'_>, key: Vec<u8>, packed: &[u8]) -> Result<(), StoreError> {
    if let Some(row) = tx.get(&key)? {
        tx.remove(keys::change(split_entry(&row)?.0));
    }
    let change = tx.append(&ChangeRow::Entry(key.clone()))?;
    tx.put(key, [&change.to_be_bytes(), packed].concat());
    Ok(())
}

/// Counts proofs that came after their entries. If the log grew by them, its newest entry goes to the
/// end of the change log: followers must hear of the proofs.
fn take_witness_proofs(
    tx: &mut Transaction<'_>,
    branches: &mut Branches,
    proofs: &WitnessProofs,
) -> Result<bool, StoreError> {
    if !branches.take_witness_proofs(proofs) {
        return Ok(false);
    }
    if let Some(head) = branches.head() {
        let version = head.version_id();
        let key = keys::entry(branches.scid(), version.number, &version.hash);
        let row = tx
            .get(&key)?
            .ok_or_else(|| corrupt("a key log without its newest entry"))?;
        write_entry(tx, key, split_entry(&row)?.1)?;
    }
    Ok(true)
}

fn keep_orphan(
    tx: &mut Transaction<'_>,
    entry: &LogEntry,
    proofs: &WitnessProofs,
) -> Result<(), LogRefusal> {
    // By what its bytes are, not by what it says: whether its hash fits shows only once its predecessor is
    // here, and an altered copy that came first must not keep the true one out.
    let digest = VersionHash::of(&entry.to_canonical_bytes());
    let number = entry.version_id().number;
    let key = keys::orphan(entry.scid(), number, digest.as_digest());
    if tx.get(&key)?.is_none() && tx.rows(&keys::orphans(entry.scid()))?.len() >= ORPHANS_MAX {
        return Err(LogRefusal::OrphansFull);
    }
    keep_waiting(tx, key, write_waiting(entry, proofs)?)
}

fn keep_until_due(
    tx: &mut Transaction<'_>,
    entry: &LogEntry,
    proofs: &WitnessProofs,
) -> Result<(), LogRefusal> {
    let waiting = write_waiting(entry, proofs)?;
    keep_waiting(tx, ahead_of(entry), [b"l".as_slice(), &waiting].concat())
}

/// The place of an entry among what is dated ahead.
fn ahead_of(entry: &LogEntry) -> Vec<u8> {
    let due = entry.version_time().plus_seconds(-CLOCK_SKEW_SECONDS_MAX);
    keys::ahead(due, entry.digest().as_digest())
}

fn keep_waiting(tx: &mut Transaction<'_>, key: Vec<u8>, row: Vec<u8>) -> Result<(), LogRefusal> {
    if tx.get(&key)?.is_some() {
        return Ok(());
    }
    let bytes = row.len() as u64;
    if tx.counter(&keys::meta("waiting"))? + bytes > WAITING_BYTES_MAX {
        return Err(LogRefusal::OrphansFull);
    }
    tx.count(&keys::meta("waiting"), bytes.cast_signed())?;
    tx.put(key, row);
    Ok(())
}

fn remove_waiting(tx: &mut Transaction<'_>, key: Vec<u8>, bytes: usize) -> Result<(), StoreError> {
    tx.remove(key);
    tx.count(&keys::meta("waiting"), -(bytes as u64).cast_signed())?;
    Ok(())
}

/// A waiting entry with the proofs that came along: they may not come again.
fn write_waiting(entry: &LogEntry, proofs: &WitnessProofs) -> Result<Vec<u8>, StoreError> {
    let packed = match proofs.is_empty() {
        true => Vec::new(),
        false => pack(&proofs.to_canonical_bytes())?,
    };
    let length = u32::try_from(packed.len()).map_err(|_| corrupt("proofs beyond their limit"))?;
    let entry = pack(&entry.to_canonical_bytes())?;
    Ok([length.to_be_bytes().as_slice(), &packed, &entry].concat())
}

fn read_waiting(row: &[u8]) -> Result<(LogEntry, WitnessProofs), StoreError> {
    let damaged = || corrupt("a waiting log entry that does not read");
    let (length, rest) = row.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (proofs, entry) = rest
        .split_at_checked(u32::from_be_bytes(*length) as usize)
        .ok_or_else(damaged)?;
    let proofs = match proofs.is_empty() {
        true => WitnessProofs::empty(),
        false => WitnessProofs::parse(&unpack(proofs)?).map_err(|_| damaged())?,
    };
    Ok((read_entry(entry)?, proofs))
}

/// Takes in the orphans that fit now. `true` if the log grew or forked by it: others may fit then.
fn adopt_orphans(
    tx: &mut Transaction<'_>,
    branches: &mut Branches,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut is_grown = false;
    for (key, row) in tx.rows(&keys::orphans(branches.scid()))? {
        let (entry, proofs) = read_waiting(&row)?;
        match branches.take(&entry, now, &proofs) {
            Ok(Taken::Orphan) => continue,
            Ok(taken) => {
                write_taken(tx, &entry, &taken)?;
                is_grown |= taken != Taken::Held;
                is_grown |= take_witness_proofs(tx, branches, &proofs)?;
            }
            Err(LogError::NotYetDue { .. }) => {
                // It keeps its share of the bytes that may wait.
                let row = [b"l".as_slice(), &row].concat();
                tx.count(&keys::meta("waiting"), row.len() as i64)?;
                tx.put(ahead_of(&entry), row);
            }
            // It fits, and is not valid: it never will be.
            Err(_) => {}
        }
        remove_waiting(tx, key, row.len())?;
    }
    Ok(is_grown)
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
        records::judge_anew(tx, rules, scid, before.as_deref(), now)?;
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
    tx.keep_branches(branches);
    Ok(true)
}

/// The canonical entries of the active line, first entry first.
pub(super) fn active_line(
    rows: &(impl Reader + ?Sized),
    scid: &Scid,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let branches = stored_branches(rows, scid)?;
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

/// The newest entry of each line of an author's log, with its date.
pub(super) fn ends(
    rows: &(impl Reader + ?Sized),
    scid: &Scid,
) -> Result<Vec<(VersionId, Timestamp)>, StoreError> {
    let branches = stored_branches(rows, scid)?;
    let ends = branches.ends().into_iter();
    Ok(ends
        .map(|state| (state.version_id(), state.version_time()))
        .collect())
}

/// The author's log. Once it was changed and written, give it back with
/// [`Transaction::keep_branches`].
fn read_branches(tx: &mut Transaction<'_>, scid: &Scid) -> Result<Branches, StoreError> {
    match tx.take_branches(scid) {
        Some(branches) => Ok(branches),
        None => stored_branches(tx, scid),
    }
}

fn stored_branches(rows: &(impl Reader + ?Sized), scid: &Scid) -> Result<Branches, StoreError> {
    let entries = rows
        .rows(&keys::entries(scid))?
        .iter()
        .map(|(_, row)| read_entry(split_entry(row)?.1))
        .collect::<Result<Vec<_>, _>>()?;
    let tip = AuthorRow::read(rows, scid)?
        .state()?
        .map(|head| head.version_id());
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
