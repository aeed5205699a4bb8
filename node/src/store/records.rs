//! Holding records: stops 4 to 6 of a record's path, inside one transaction.

use std::collections::BTreeSet;

use protocol::acceptance::{Decision, Rank, Rules, Standing, due};
use protocol::envelope::{Envelope, Status};
use protocol::id::{RecordId, Scid};
use protocol::identity::KeyRing;
use protocol::key::PublicKey;
use protocol::time::Timestamp;
use protocol::verified::{Judged, Proven, Record, Verified, VerifyError};

use super::engine::Row;
use super::quota::{self, Quotas};
use super::rows::{AuthorRow, ChangeRow, HeldRow, VersionRow, corrupt, pack, unpack};
use super::transaction::{Reader as _, Transaction};
use super::{StoreError, facets, keys, past, twins};

/// Records of one author that wait for their key. The log of an author who moves or rotates may come
/// after a whole page of records.
const PARKED_PER_AUTHOR_MAX: u64 = 1_000;

/// Records from one sender that wait: a sender who invents authors fills this and nothing else.
const PARKED_PER_SENDER_MAX: u64 = 10_000;

/// Records and entries that one transaction takes in because they are due.
const DUE_MAX: usize = 256;

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
    /// As many records are held as are taken.
    #[error(
        "this node has {max} records of this {of}, which is as many as it takes: ask its operator to raise federation.{setting}"
    )]
    Quota {
        /// `author` or `sender`.
        of: &'static str,
        /// How many.
        max: u64,
        /// What the operator would raise.
        setting: &'static str,
    },
    /// This node does not carry its author.
    #[error("the operator of this node blocked the author: nothing of it is taken here")]
    AuthorBlocked,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses a record of an author that is not carried, and notes that the author is not whole here: it is
/// caught up with when the block ends.
pub(super) fn refuse_blocked(
    tx: &mut Transaction<'_>,
    author: &Scid,
) -> Result<Refusal, StoreError> {
    // Of an author of whom nothing was held before, nothing is kept.
    if tx.author(author)? != AuthorRow::default() {
        tx.change_author(author, |author| author.is_incomplete = true)?;
    }
    Ok(Refusal::AuthorBlocked)
}

/// A proven record with its bytes packed: what is dear is done before the one thread that writes has it.
#[derive(Debug)]
pub struct Offered {
    proven: Proven,
    packed: Vec<u8>,
}

impl Offered {
    /// Packs a proven record's bytes.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(proven: Proven) -> Result<Self, StoreError> {
        Ok(Self {
            packed: pack(&proven.record().canonical)?,
            proven,
        })
    }

    /// What is offered.
    pub fn proven(&self) -> &Proven {
        &self.proven
    }
}

/// Who handed a record over, for bounds: a peer's name, or `None` for this node itself.
pub type Sender = Option<Box<str>>;

/// How records came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) now: Timestamp,
    pub(super) sender: &'a Sender,
    pub(super) quotas: Option<&'a Quotas>,
}

impl<'a> Arrival<'a> {
    /// Of what waited here before, or was made here.
    pub(super) fn without_quota(now: Timestamp, sender: &'a Sender) -> Self {
        Self {
            now,
            sender,
            quotas: None,
        }
    }
}

/// What to [look ahead](Transaction::look_ahead) for before many records are admitted.
pub(super) fn places_of<'o>(offered: impl IntoIterator<Item = &'o Offered>) -> BTreeSet<Vec<u8>> {
    let records = offered.into_iter().map(|offered| offered.proven().record());
    records
        .map(|record| keys::held_of(&record.header.record_id()))
        .collect()
}

/// Takes a proven record in, or says why not.
pub(super) fn admit(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    offered: Offered,
    arrival: Arrival<'_>,
) -> Result<Receipt, Refusal> {
    let Offered { proven, packed } = offered;
    let (author, hash) = (*proven.record().header.author.scid(), proven.record().hash);
    let versions = held_of(tx, &proven.record().header.record_id())?;
    if versions.iter().any(|(_, held)| held.rank.hash == hash) {
        return Ok(Receipt::AlreadyHeld);
    }
    if let Some(due) = due(proven.record().header.issued, arrival.now) {
        return park_until(tx, due, proven.record(), arrival.sender);
    }
    let ring = tx.ring_of(&author)?;
    match proven.against(rules, ring.as_deref())? {
        Judged::Verified(record) => hold(tx, rules, &record, packed, versions, arrival),
        Judged::NotYet(proven) => park(tx, &author, proven.record(), arrival.sender),
    }
}

/// Holds a record that counts, by the rules, beside the `versions` of it that are held.
fn hold(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    record: &Verified<Record>,
    packed: Vec<u8>,
    versions: Vec<(Vec<u8>, HeldRow)>,
    Arrival {
        now,
        sender,
        quotas,
    }: Arrival<'_>,
) -> Result<Receipt, Refusal> {
    let id = record.header.record_id();
    let slot = rules.slot(&record.key);
    let key = keys::held(&id, &slot);
    let held = versions
        .iter()
        .find(|(place, _)| *place == key)
        .map(|(_, held)| held);
    let rank = Rank {
        seq: record.header.seq,
        hash: record.hash,
    };
    let row = HeldRow {
        rank,
        status: record.header.status,
        change: 0,
        received: now,
        packed,
    };
    match (rules.judge(rank, held.map(|held| held.rank)), held) {
        (Decision::AlreadyHeld, _) => Ok(Receipt::AlreadyHeld),
        (Decision::Superseded, _) => Ok(Receipt::Superseded),
        (Decision::BesideTwin, _) => {
            twins::keep(tx, &id, &row)?;
            Ok(Receipt::Twin)
        }
        (decision, displaced) => {
            if let Some(displaced) = displaced {
                tx.remove(keys::change(displaced.change));
                facets::note(tx, &id, displaced, record)?;
                if decision == Decision::HoldOverTwin {
                    twins::keep(tx, &id, displaced)?;
                } else {
                    past::keep_displaced(tx, &id, &slot, displaced, now)?;
                    twins::keep_beside(tx, &id, displaced)?;
                }
            }
            if versions.is_empty() {
                if let Some(quotas) = quotas {
                    quota::check(tx, quotas, &id.author, sender)?;
                }
                quota::count(tx, &id.author, sender)?;
            }
            let change = tx.append(&ChangeRow::Held(key.clone()))?;
            tx.put(
                keys::version(&record.hash),
                VersionRow::Held(change).write(),
            );
            tx.put(key, HeldRow { change, ..row }.write());
            show_again(tx, rules, &id, &versions)?;
            Ok(Receipt::Stored)
        }
    }
}

/// The rows of one record, one for each key.
fn held_of(tx: &Transaction<'_>, id: &RecordId) -> Result<Vec<(Vec<u8>, HeldRow)>, StoreError> {
    tx.rows(&keys::held_of(id))?
        .into_iter()
        .map(|(key, row)| Ok((key, HeldRow::read(&row)?)))
        .collect()
}

/// The tombstone that counts among the versions held of one record: the others are neither shown nor
/// relayed.
pub(super) fn tombstone<'v>(
    rules: &Rules,
    versions: &'v [(Vec<u8>, HeldRow)],
) -> Option<&'v HeldRow> {
    let counts = rules.counting(versions, |(_, row)| {
        (row.rank, row.status == Status::Withdrawn)
    })?;
    let (_, row) = versions.get(counts)?;
    (row.status == Status::Withdrawn).then_some(row)
}

/// Puts the versions of a record that a tombstone hid until now at the end of the change log: whoever
/// passed their places meanwhile was not shown them.
fn show_again(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    id: &RecordId,
    before: &[(Vec<u8>, HeldRow)],
) -> Result<(), StoreError> {
    let Some(hid) = tombstone(rules, before) else {
        return Ok(());
    };
    let after = held_of(tx, id)?;
    let hides = tombstone(rules, &after).map(|row| row.rank);
    for (key, row) in after {
        let was_hidden = row.rank != hid.rank && before.iter().any(|(_, old)| old.rank == row.rank);
        let is_hidden = hides.is_some_and(|hides| hides != row.rank);
        if was_hidden && !is_hidden {
            tx.remove(keys::change(row.change));
            let change = tx.append(&ChangeRow::Held(key.clone()))?;
            tx.put(
                keys::version(&row.rank.hash),
                VersionRow::Held(change).write(),
            );
            tx.put(key, HeldRow { change, ..row }.write());
        }
    }
    Ok(())
}

/// Judges an author's records anew after its log grew from what `before` says: drops what no longer
/// counts, takes in what waited for it.
pub(super) fn judge_anew(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    author: &Scid,
    before: Option<&KeyRing>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ring = tx.ring_of(author)?;
    let counts = |ring, key: &PublicKey| rules.standing(author, ring, key) == Standing::Counts;
    let lost: BTreeSet<[u8; 32]> = before
        .into_iter()
        .flat_map(KeyRing::listed)
        .filter(|key| counts(before, key) && !counts(ring.as_deref(), key))
        .map(|key| rules.slot(key))
        .collect();
    if !lost.is_empty() {
        let is_lost = |key: &[u8]| keys::slot_of_held(key).is_some_and(|slot| lost.contains(&slot));
        for (key, row) in tx.rows_where(&keys::held_by(author), is_lost)? {
            let held = HeldRow::read(&row)?;
            let slot = keys::slot_of_held(&key).ok_or_else(|| corrupt("a row without a slot"))?;
            if !counts(ring.as_deref(), &signer_of(&slot, &held)?) {
                drop_held(tx, rules, key, &held, now)?;
            }
        }
    }
    for (key, row) in tx.rows(&keys::parked_by(author))? {
        let (sender, proven) = read_parked(&row)?;
        match proven.against(rules, ring.as_deref()) {
            Ok(Judged::NotYet(_)) => continue,
            Ok(Judged::Verified(record)) => {
                let packed = pack(&record.canonical)?;
                let versions = held_of(tx, &record.header.record_id())?;
                let arrival = Arrival::without_quota(now, &sender);
                match hold(tx, rules, &record, packed, versions, arrival) {
                    Err(Refusal::Store(error)) => return Err(error),
                    _held_or_older => {}
                }
            }
            // It will never count: the key was dropped or the author closed.
            Err(_) => {}
        }
        tx.remove(key);
        count_parked(tx, author, &sender, -1)?;
    }
    Ok(())
}

/// Takes a version whose key no longer counts out of what is held; followers are told to look again.
fn drop_held(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    key: Vec<u8>,
    held: &HeldRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record id"))?;
    let slot = keys::slot_of_held(&key).ok_or_else(|| corrupt("a row without a slot"))?;
    let versions = match held.status {
        Status::Withdrawn => held_of(tx, &id)?,
        Status::Active => Vec::new(),
    };
    tx.remove(keys::change(held.change));
    tx.remove(key);
    past::keep_dropped(tx, &id, &slot, held, now);
    if tx.rows(&keys::held_of(&id))?.is_empty() {
        quota::count_off(tx, &id.author)?;
    }
    tx.append(&ChangeRow::Judged(keys::held_of(&id)))?;
    show_again(tx, rules, &id, &versions)
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
    let known = tx.author(author)?;
    let of = if known.parked >= PARKED_PER_AUTHOR_MAX {
        "author"
    } else if tx.counter(&sender_counter(sender))? >= PARKED_PER_SENDER_MAX {
        "sender"
    } else {
        return Ok(());
    };
    // A sender who invents authors leaves no note for each of them.
    if known != AuthorRow::default() {
        tx.change_author(author, |author| author.is_incomplete = true)?;
    }
    Err(Refusal::ParkedFull { of })
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

/// What [`admit_due`] did.
pub(super) struct Due {
    /// How many were taken in.
    pub(super) admitted: usize,
    /// Whether others are due still.
    pub(super) is_more: bool,
}

/// Takes in the records and entries whose date has come, so many as one transaction may carry.
pub(super) fn admit_due(
    tx: &mut Transaction<'_>,
    rules: &Rules,
    now: Timestamp,
) -> Result<Due, StoreError> {
    let due = tx.between(&keys::all_ahead(), &keys::ahead_until(now))?;
    let is_more = due.len() > DUE_MAX;
    let mut admitted = 0;
    for (key, row) in due.into_iter().take(DUE_MAX) {
        match row.split_first() {
            Some((b'r', row)) => {
                let (sender, proven) = read_parked(row)?;
                tx.remove(key);
                count_parked(tx, proven.record().header.author.scid(), &sender, -1)?;
                let arrival = Arrival::without_quota(now, &sender);
                match admit(tx, rules, Offered::new(proven)?, arrival) {
                    Err(Refusal::Store(error)) => return Err(error),
                    Ok(_) => admitted += 1,
                    Err(_) => {}
                }
            }
            Some((b'l', waiting)) => {
                super::logs::learn_due(tx, rules, &key, waiting, now)?;
                admitted += 1;
            }
            _ => return Err(corrupt("a row of what is due")),
        }
    }
    Ok(Due { admitted, is_more })
}

/// The versions held of one record: all of them, and which one counts.
pub(super) fn counting(rules: &Rules, rows: Vec<HeldRow>) -> Option<HeldRow> {
    let counts = rules.counting(&rows, |row| (row.rank, row.status == Status::Withdrawn))?;
    rows.into_iter().nth(counts)
}

/// Those of all rows of one record that no tombstone beats: what may be handed out.
pub(super) fn relayed(
    rules: &Rules,
    rows: Vec<Row>,
) -> Result<Vec<(Vec<u8>, HeldRow)>, StoreError> {
    let mut held = rows
        .into_iter()
        .map(|(key, row)| Ok((key, HeldRow::read(&row)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    if let Some(hides) = tombstone(rules, &held).map(|row| row.rank) {
        held.retain(|(_, row)| row.rank == hides);
    }
    Ok(held)
}
