//! How rows are named on disk. The first byte is the table; the rest sorts as the rows are read.
//!
//! These names are kept from release to release: a change here is a new schema version.

use protocol::id::{EntryHash, LocalId, RecordId, Scid, VersionHash};
use protocol::time::Timestamp;

/// Schema version, epoch, the number of the last change, bytes of waiting log entries.
const META: u8 = b'M';
/// SCID → what is known of an author.
const AUTHOR: u8 = b'A';
/// SCID, number, hash → an entry of the author's log, of whatever branch.
const ENTRY: u8 = b'L';
/// SCID, number, hash → an entry that fits nothing yet.
const ORPHAN: u8 = b'O';
/// SCID → the author's witness proofs.
const WITNESS: u8 = b'W';
/// SCID, local id, slot → the version held.
const HELD: u8 = b'R';
/// Beginning of a version hash → where the version is.
const VERSION: u8 = b'V';
/// SCID, local id, version hash → a version that lost a tie: evidence.
const TWIN: u8 = b'E';
/// SCID, local id, slot, place → a version that was displaced, or whose key was dropped.
const PAST: u8 = b'H';
/// SCID, local id → what filters look at in versions that are held no more.
const FACETS: u8 = b'F';
/// SCID, hash → a record that cannot be judged yet.
const PARKED: u8 = b'P';
/// Time, hash → a record or entry dated ahead.
const AHEAD: u8 = b'D';
/// Number → what changed.
const CHANGE: u8 = b'C';
/// Author or sender → how many records are held of it, or came from it.
const COUNT: u8 = b'#';
/// Name → something that another module keeps: peers, followers, organisations, deliveries.
const NAMED: u8 = b'N';

pub(super) fn meta(name: &str) -> Vec<u8> {
    key(META, &[name.as_bytes()])
}

/// How many records are held of an author.
pub(super) fn count_of_author(scid: &Scid) -> Vec<u8> {
    key(COUNT, &[b"a", scid.as_digest()])
}

/// How many records came from a sender.
pub(super) fn count_from_sender(sender: &str) -> Vec<u8> {
    key(COUNT, &[b"s", sender.as_bytes()])
}

pub(super) fn author(scid: &Scid) -> Vec<u8> {
    key(AUTHOR, &[scid.as_digest()])
}

/// The author in a row of [`author`].
pub(super) fn scid_of_author(key: &[u8]) -> Option<Scid> {
    Some(Scid::from_digest(key.get(1..)?.try_into().ok()?))
}

pub(super) fn authors() -> Vec<u8> {
    vec![AUTHOR]
}

pub(super) fn entries(scid: &Scid) -> Vec<u8> {
    key(ENTRY, &[scid.as_digest()])
}

pub(super) fn entry(scid: &Scid, number: u32, hash: &EntryHash) -> Vec<u8> {
    key(
        ENTRY,
        &[scid.as_digest(), &number.to_be_bytes(), hash.as_digest()],
    )
}

pub(super) fn orphans(scid: &Scid) -> Vec<u8> {
    key(ORPHAN, &[scid.as_digest()])
}

/// A log entry whose predecessor is not held, by its number and the digest of its bytes.
pub(super) fn orphan(scid: &Scid, number: u32, digest: &[u8; 32]) -> Vec<u8> {
    key(ORPHAN, &[scid.as_digest(), &number.to_be_bytes(), digest])
}

pub(super) fn witness(scid: &Scid) -> Vec<u8> {
    key(WITNESS, &[scid.as_digest()])
}

/// All versions held of all records.
pub(super) fn all_held() -> Vec<u8> {
    vec![HELD]
}

pub(super) fn held_by(scid: &Scid) -> Vec<u8> {
    key(HELD, &[scid.as_digest()])
}

pub(super) fn held_of(id: &RecordId) -> Vec<u8> {
    // No local id contains a zero byte, so no id's rows stand among another's.
    key(
        HELD,
        &[id.author.as_digest(), id.local.as_str().as_bytes(), &[0]],
    )
}

pub(super) fn held(id: &RecordId, slot: &[u8; 32]) -> Vec<u8> {
    let mut key = held_of(id);
    key.extend_from_slice(slot);
    key
}

/// The slot in a row of [`past`].
pub(super) fn slot_of_past(key: &[u8]) -> Option<[u8; 32]> {
    slot_of_held(key.get(..key.len().checked_sub(8)?)?)
}

/// The record that a row of [`held`] belongs to.
pub(super) fn id_of_held(key: &[u8]) -> Option<RecordId> {
    id_of_held_of(key.get(..key.len().checked_sub(32)?)?)
}

/// The record in a prefix of [`held_of`].
pub(super) fn id_of_held_of(prefix: &[u8]) -> Option<RecordId> {
    let author = prefix.get(1..33)?.try_into().ok()?;
    let local = prefix.get(33..prefix.len().checked_sub(1)?)?;
    Some(RecordId {
        author: Scid::from_digest(author),
        local: LocalId::parse(std::str::from_utf8(local).ok()?).ok()?,
    })
}

/// What all rows of one record have in common: a row of [`held`] less its slot.
pub(super) fn record_of_held(key: &[u8]) -> &[u8] {
    key.get(..key.len().saturating_sub(32)).unwrap_or_default()
}

/// The slot at the end of a row of [`held`].
pub(super) fn slot_of_held(key: &[u8]) -> Option<[u8; 32]> {
    key.get(key.len().checked_sub(32)?..)?.try_into().ok()
}

/// So many bytes of a hash name its row: sled sets longer keys apart from their page, each on its own, and these rows
/// are read and written in no order. Two versions of which these bytes are alike would take 2^88 tries; whoever looks
/// a version up compares the whole hash.
const HASH_BYTES: usize = 22;

pub(super) fn version(hash: &VersionHash) -> Vec<u8> {
    let named = hash.as_digest().first_chunk::<HASH_BYTES>();
    key(VERSION, &[named.map_or(&[], <[u8; HASH_BYTES]>::as_slice)])
}

/// All rows of versions by their hashes.
pub(super) fn versions() -> Vec<u8> {
    vec![VERSION]
}

pub(super) fn twins_of(id: &RecordId) -> Vec<u8> {
    key(
        TWIN,
        &[id.author.as_digest(), id.local.as_str().as_bytes(), &[0]],
    )
}

/// All twins.
pub(super) fn all_twins() -> Vec<u8> {
    vec![TWIN]
}

/// All twins of one author's records.
pub(super) fn twins_by(scid: &Scid) -> Vec<u8> {
    key(TWIN, &[scid.as_digest()])
}

pub(super) fn twin(id: &RecordId, hash: &VersionHash) -> Vec<u8> {
    let mut key = twins_of(id);
    key.extend_from_slice(hash.as_digest());
    key
}

pub(super) fn past_of(id: &RecordId) -> Vec<u8> {
    key(
        PAST,
        &[id.author.as_digest(), id.local.as_str().as_bytes(), &[0]],
    )
}

/// All past versions.
pub(super) fn all_past() -> Vec<u8> {
    vec![PAST]
}

/// All past versions of one author's records.
pub(super) fn past_by(scid: &Scid) -> Vec<u8> {
    key(PAST, &[scid.as_digest()])
}

/// The past versions of one record under one key.
pub(super) fn past_in(id: &RecordId, slot: &[u8; 32]) -> Vec<u8> {
    let mut key = past_of(id);
    key.extend_from_slice(slot);
    key
}

/// What filters saw in earlier versions of a record.
pub(super) fn facets(id: &RecordId) -> Vec<u8> {
    key(
        FACETS,
        &[id.author.as_digest(), id.local.as_str().as_bytes(), &[0]],
    )
}

/// `place` counts days and places within a day: see `store::past`.
pub(super) fn past(id: &RecordId, slot: &[u8; 32], place: i64) -> Vec<u8> {
    let mut key = past_in(id, slot);
    key.extend_from_slice(&sortable(place));
    key
}

/// The place in a row of [`past`].
pub(super) fn place_of_past(key: &[u8]) -> Option<i64> {
    let bytes = key.get(key.len().checked_sub(8)?..)?.try_into().ok()?;
    Some((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
}

/// Whether a row is one of [`version`].
pub(super) fn is_version(key: &[u8]) -> bool {
    key.first() == Some(&VERSION)
}

/// Whether a row is one of [`past`].
pub(super) fn is_past(key: &[u8]) -> bool {
    key.first() == Some(&PAST)
}

/// The record that a row of [`past`] belongs to.
pub(super) fn id_of_past(key: &[u8]) -> Option<RecordId> {
    id_of_held(key.get(..key.len().checked_sub(8)?)?)
}

/// The first row of whatever record stands after this one in [`held_by`] or [`past_by`].
pub(super) fn after_record(prefix: &[u8], local: &LocalId) -> Vec<u8> {
    // The rows of a record have a zero after its local id.
    [prefix, local.as_str().as_bytes(), &[1]].concat()
}

pub(super) fn parked_by(scid: &Scid) -> Vec<u8> {
    key(PARKED, &[scid.as_digest()])
}

pub(super) fn parked(scid: &Scid, hash: &VersionHash) -> Vec<u8> {
    key(PARKED, &[scid.as_digest(), hash.as_digest()])
}

pub(super) fn all_parked() -> Vec<u8> {
    vec![PARKED]
}

pub(super) fn all_ahead() -> Vec<u8> {
    vec![AHEAD]
}

pub(super) fn ahead(due: Timestamp, digest: &[u8; 32]) -> Vec<u8> {
    key(AHEAD, &[&sortable(due.unix_seconds()), digest])
}

/// What is due at `now`: everything before this key.
pub(super) fn ahead_until(now: Timestamp) -> Vec<u8> {
    key(AHEAD, &[&sortable(now.unix_seconds().saturating_add(1))])
}

pub(super) fn change(number: u64) -> Vec<u8> {
    key(CHANGE, &[&number.to_be_bytes()])
}

pub(super) fn number_of_change(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?))
}

/// A row of another module: a table name and a key within it.
pub(super) fn named(table: &str, name: &[u8]) -> Vec<u8> {
    key(NAMED, &[table.as_bytes(), &[0], name])
}

pub(super) fn is_author(key: &[u8]) -> bool {
    key.first() == Some(&AUTHOR)
}

/// Whether a row is one of [`held`].
pub(super) fn is_held(key: &[u8]) -> bool {
    key.first() == Some(&HELD)
}

/// The tables in which log entries wait.
pub(super) fn all_waiting() -> [Vec<u8>; 2] {
    [vec![ORPHAN], vec![AHEAD]]
}

/// Whether a row of [`all_waiting`] is a log entry; the others are records.
pub(super) fn is_waiting_entry(key: &[u8], value: &[u8]) -> bool {
    key.first() == Some(&ORPHAN) || value.first() == Some(&b'l')
}

/// Whose a row is.
pub(super) enum Owner {
    /// An author's: its log, its records and what leads to them.
    Author(Scid),
    /// This node's own.
    Node,
    /// Of use only beside the records of others.
    Others,
    /// It leads to a version that is held, and says nothing that the row of the version does not.
    Held,
    /// It shows only in the value, which is not there.
    Unknown,
}

/// Whose a row is, by its key and its value.
pub(super) fn owner(key: &[u8], value: Option<&[u8]>) -> Owner {
    let author = |key: &[u8]| {
        let scid = key.get(1..33).and_then(|scid| scid.try_into().ok());
        scid.map_or(Owner::Others, |scid| Owner::Author(Scid::from_digest(scid)))
    };
    match (key.first(), value) {
        (Some(&(VERSION | CHANGE)), None) => Owner::Unknown,
        (Some(&VERSION), Some(place)) if place.len() == size_of::<u64>() => Owner::Held,
        (Some(&VERSION), Some(key)) => author(key),
        (Some(&CHANGE), Some(change)) => author(change.get(1..).unwrap_or_default()),
        (Some(&META), _) if key == meta("waiting") => Owner::Others,
        (Some(&META), _) => Owner::Node,
        (Some(&NAMED), _) => {
            let of_others = ["places", "parked"].map(|table| named(table, &[]));
            match of_others.iter().any(|table| key.starts_with(table)) {
                true => Owner::Others,
                false => Owner::Node,
            }
        }
        (Some(&AHEAD), _) => Owner::Others,
        (Some(&COUNT), _) => match key.get(1..) {
            Some([b'a', scid @ ..]) => scid
                .try_into()
                .map_or(Owner::Others, |scid| Owner::Author(Scid::from_digest(scid))),
            _ => Owner::Others,
        },
        _ => author(key),
    }
}

fn key(table: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(table);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// A signed number whose bytes sort as it does.
fn sortable(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use protocol::id::{RecordId, Scid};

    use super::{held, held_of, id_of_held, slot_of_held, sortable};

    #[test]
    fn a_held_row_gives_back_its_record_and_slot() {
        let id = RecordId::parse(&format!("{}/cert-101", Scid::of(b"x"))).unwrap();
        let row = held(&id, &[7; 32]);
        assert!(row.starts_with(&held_of(&id)));
        assert_eq!(
            (id_of_held(&row), slot_of_held(&row)),
            (Some(id), Some([7; 32]))
        );
        assert_eq!(id_of_held(&row[..20]), None);
    }

    #[test]
    fn numbers_sort_as_bytes_below_and_above_zero() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(numbers.map(sortable).is_sorted());
    }
}
