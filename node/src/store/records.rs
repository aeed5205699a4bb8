//! Holding records: stops 4 to 6 of a record's path, inside one transaction.

use protocol::acceptance::{Decision, Rank, Rules, due};
use protocol::envelope::{Envelope, Status};
use protocol::id::{RecordId, Scid};
use protocol::key::PublicKey;
use protocol::time::Timestamp;
use protocol::verified::{Judged, Proven, Record, Verified, VerifyError};

use super::rows::{ChangeRow, HeldRow, corrupt, pack, unpack};
use super::transaction::{Reader as _, Transaction};
use super::{StoreError, keys};

/// Records of one author that wait for their key. The log of an author who moves or rotates may come
/// after a whole page of records.
const PARKED_PER_AUTHOR_MAX: u64 = 1_000;

/// Records from one sender that wait: a sender who invents authors fills this and nothing else.
const PARKED_PER_SENDER_MAX: u64 = 10_000;

/// Days for which the version that was held at the end of the day is kept, so that an author can get
/// back what a thief overwrote.
const PAST_DAYS: i64 = 30;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is held.
    Stored,
    /// This very version was held.
    AlreadyHeld,
    /// A newer version is held; this one is not kept.
    Superseded,
    /// Its twin, signed by the same key with the same number, is held; this one is evidence.
    Twin,
    /// Kept until its author's log says more, or until it is due.
    Parked,
}

/// Why a record is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Its signature or key does not count.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Too many records wait already.
    #[error("too many records of this {of} wait for a key log: send the log first")]
    ParkedFull {
        /// `author` or `sender`.
        of: &'static str,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who handed a record over, for bounds: a peer's name, or `None` for this node itself.
pub type Sender = Option<Box<str>>;

/// Takes a proven record in, or says why not.
pub(super) fn admit(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    proven: Proven,
    now: Timestamp,
    sender: &Sender,
) -> Result<Receipt, Refusal> {
    let (author, hash) = (*proven.record().header.author.scid(), proven.record().hash);
    if tx
        .get(&keys::version(&hash))?
        .is_some_and(|place| is_held(&place))
    {
        return Ok(Receipt::AlreadyHeld);
    }
    if let Some(due) = due(proven.record().header.issued, now) {
        return park_until(tx, due, proven.record(), sender);
    }
    let ring = tx.ring_of(&author)?;
    match proven.against(rules, ring.as_deref())? {
        Judged::Verified(record) => Ok(hold(tx, rules, &record, now)?),
        Judged::NotYet(proven) => park(tx, &author, proven.record(), sender),
    }
}

/// A version that is in the held set, unlike past versions and twins.
fn is_held(place: &[u8]) -> bool {
    place.first() == keys::all_held().first()
}

fn hold(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    record: &Verified<Record>,
    now: Timestamp,
) -> Result<Receipt, StoreError> {
    let id = record.header.record_id();
    let slot = rules.slot(&record.key);
    let key = keys::held(&id, &slot);
    let held = tx.get(&key)?.map(|row| HeldRow::read(&row)).transpose()?;
    let rank = Rank {
        seq: record.header.seq,
        hash: record.hash,
    };
    let row = HeldRow {
        rank,
        status: record.header.status,
        change: 0,
        received: now,
        packed: pack(&record.canonical)?,
    };
    match (rules.judge(rank, held.as_ref().map(|held| held.rank)), held) {
        (Decision::AlreadyHeld, _) => Ok(Receipt::AlreadyHeld),
        (Decision::Superseded, _) => Ok(Receipt::Superseded),
        (Decision::BesideTwin, _) => {
            keep_twin(tx, &id, &row)?;
            Ok(Receipt::Twin)
        }
        (decision, displaced) => {
            if let Some(displaced) = displaced {
                tx.remove(keys::change(displaced.change));
                if decision == Decision::HoldOverTwin {
                    keep_twin(tx, &id, &displaced)?;
                } else {
                    keep_past(tx, &id, &slot, &displaced, now)?;
                }
            }
            let change = tx.append(&ChangeRow::Held(key.clone()))?;
            tx.put(keys::version(&record.hash), key.clone());
            tx.put(key, HeldRow { change, ..row }.write());
            Ok(Receipt::Stored)
        }
    }
}

fn keep_twin(tx: &mut Transaction<'_>, id: &RecordId, twin: &HeldRow) -> Result<(), StoreError> {
    let key = keys::twin(id, &twin.rank.hash);
    tx.put(keys::version(&twin.rank.hash), key.clone());
    tx.put(key, twin.write());
    tx.change_author(&id.author, |author| author.has_twins = true)
}

/// Keeps a displaced version if it was the one held at the end of an earlier day.
fn keep_past(
    tx: &mut Transaction<'_>,
    id: &RecordId,
    slot: &[u8; 32],
    displaced: &HeldRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    if displaced.received.unix_day() == now.unix_day() {
        tx.remove(keys::version(&displaced.rank.hash));
        return Ok(());
    }
    let last_day = now.unix_day() - 1;
    let key = keys::past(id, slot, last_day);
    tx.put(keys::version(&displaced.rank.hash), key.clone());
    tx.put(key, displaced.write());
    let oldest = keys::past(id, slot, now.unix_day() - PAST_DAYS);
    let mut of_slot = keys::past_of(id);
    of_slot.extend_from_slice(slot);
    for (key, row) in tx.rows(&of_slot)? {
        if key < oldest {
            tx.remove(keys::version(&HeldRow::read(&row)?.rank.hash));
            tx.remove(key);
        }
    }
    Ok(())
}

/// Judges an author's records anew after its log grew: drops what no longer counts, takes in what
/// waited for it.
pub(super) fn judge_anew(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    author: &Scid,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ring = tx.ring_of(author)?;
    for (key, row) in tx.rows(&keys::held_by(author))? {
        let held = HeldRow::read(&row)?;
        let id = keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record id"))?;
        let slot = keys::slot_of_held(&key).ok_or_else(|| corrupt("a row without a slot"))?;
        let signer = signer_of(&slot, &held)?;
        if rules.standing(author, ring.as_deref(), &signer)
            == protocol::acceptance::Standing::Counts
        {
            continue;
        }
        tx.remove(keys::change(held.change));
        tx.remove(key);
        let past = keys::past(&id, &slot, now.unix_day());
        tx.put(keys::version(&held.rank.hash), past.clone());
        tx.put(past, held.write());
        tx.append(&ChangeRow::Judged(keys::held_of(&id)))?;
    }
    for (key, row) in tx.rows(&keys::parked_by(author))? {
        let (sender, proven) = read_parked(&row)?;
        match proven.against(rules, ring.as_deref()) {
            Ok(Judged::NotYet(_)) => continue,
            Ok(Judged::Verified(record)) => {
                hold(tx, rules, &record, now)?;
            }
            // It will never count: the key was dropped or the author closed.
            Err(_) => {}
        }
        tx.remove(key);
        count_parked(tx, author, &sender, -1)?;
    }
    Ok(())
}

/// The key that signed a held version: its slot, unless the rules give all keys one slot.
fn signer_of(slot: &[u8; 32], held: &HeldRow) -> Result<PublicKey, StoreError> {
    if let Ok(key) = PublicKey::from_bytes(slot) {
        return Ok(key);
    }
    let envelope =
        Envelope::parse(&held.canonical()?).map_err(|_| corrupt("a record that does not read"))?;
    envelope
        .proof()
        .claimed_key()
        .map_err(|_| corrupt("a record without a key"))
}

fn park(
    tx: &mut Transaction<'_>,
    author: &Scid,
    record: &Record,
    sender: &Sender,
) -> Result<Receipt, Refusal> {
    let key = keys::parked(author, &record.hash);
    if tx.get(&key)?.is_some() {
        return Ok(Receipt::Parked);
    }
    bound_parked(tx, author, sender)?;
    tx.put(key, write_parked(record, sender)?);
    count_parked(tx, author, sender, 1)?;
    Ok(Receipt::Parked)
}

fn park_until(
    tx: &mut Transaction<'_>,
    due: Timestamp,
    record: &Record,
    sender: &Sender,
) -> Result<Receipt, Refusal> {
    let key = keys::ahead(due, record.hash.as_digest());
    if tx.get(&key)?.is_some() {
        return Ok(Receipt::Parked);
    }
    let author = *record.header.author.scid();
    bound_parked(tx, &author, sender)?;
    let mut row = vec![b'r'];
    row.extend(write_parked(record, sender)?);
    tx.put(key, row);
    count_parked(tx, &author, sender, 1)?;
    Ok(Receipt::Parked)
}

/// At the bound newcomers are refused; nobody else's records are let go for them.
fn bound_parked(tx: &mut Transaction<'_>, author: &Scid, sender: &Sender) -> Result<(), Refusal> {
    if tx.author(author)?.parked >= PARKED_PER_AUTHOR_MAX {
        tx.change_author(author, |author| author.is_incomplete = true)?;
        return Err(Refusal::ParkedFull { of: "author" });
    }
    if tx.counter(&sender_counter(sender))? >= PARKED_PER_SENDER_MAX {
        return Err(Refusal::ParkedFull { of: "sender" });
    }
    Ok(())
}

fn sender_counter(sender: &Sender) -> Vec<u8> {
    keys::named("parked", sender.as_deref().unwrap_or_default().as_bytes())
}

fn count_parked(
    tx: &mut Transaction<'_>,
    author: &Scid,
    sender: &Sender,
    by: i64,
) -> Result<(), StoreError> {
    tx.count(&sender_counter(sender), by)?;
    tx.change_author(author, |author| {
        author.parked = author.parked.saturating_add_signed(by)
    })
}

fn write_parked(record: &Record, sender: &Sender) -> Result<Vec<u8>, StoreError> {
    let sender = sender.as_deref().unwrap_or_default().as_bytes();
    let length = u16::try_from(sender.len()).unwrap_or_default();
    let sender = sender.get(..usize::from(length)).unwrap_or_default();
    Ok([
        length.to_be_bytes().as_slice(),
        sender,
        &pack(&record.canonical)?,
    ]
    .concat())
}

fn read_parked(row: &[u8]) -> Result<(Sender, Proven), StoreError> {
    let damaged = || corrupt("a parked record that does not read");
    let (length, rest) = row.split_first_chunk::<2>().ok_or_else(damaged)?;
    let (sender, packed) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(*length)))
        .ok_or_else(damaged)?;
    let sender = std::str::from_utf8(sender).map_err(|_| damaged())?;
    let proven = Envelope::parse(&unpack(packed)?)
        .map_err(|_| damaged())?
        .prove()
        .map_err(|_| damaged())?;
    Ok(((!sender.is_empty()).then(|| sender.into()), proven))
}

/// Takes in the records whose date has come.
pub(super) fn admit_due(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut admitted = 0;
    for (key, row) in tx.rows(&keys::all_ahead())? {
        if key >= keys::ahead_until(now) {
            break;
        }
        tx.remove(key);
        match row.split_first() {
            Some((b'r', row)) => {
                let (sender, proven) = read_parked(row)?;
                count_parked(tx, proven.record().header.author.scid(), &sender, -1)?;
                match admit(tx, rules, proven, now, &sender) {
                    Err(Refusal::Store(error)) => return Err(error),
                    Ok(_) => admitted += 1,
                    Err(_) => {}
                }
            }
            Some((b'l', entry)) => {
                super::logs::learn_due(tx, rules, entry, now)?;
                admitted += 1;
            }
            _ => return Err(corrupt("a row of what is due")),
        }
    }
    Ok(admitted)
}

/// The versions held of one record: all of them, and which one counts.
pub(super) fn counting(rules: &Rules, rows: Vec<HeldRow>) -> Option<HeldRow> {
    let counts = rules.counting(&rows, |row| (row.rank, row.status == Status::Withdrawn))?;
    rows.into_iter().nth(counts)
}

/// Whether a held version is beaten by a tombstone that counts: then it is neither shown nor relayed.
pub(super) fn is_hidden(row: &HeldRow, counting: &HeldRow) -> bool {
    counting.status == Status::Withdrawn && counting.rank.hash != row.rank.hash
}
