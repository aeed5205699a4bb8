//! What comparing sets costs, and what a hostile side can do to it.

use std::sync::Arc;

use negentropy::NegentropyStorageBase as _;
use proptest::prelude::*;
use protocol::acceptance::Rules;
use protocol::canonical::to_canonical;
use protocol::identity::write::{Change, Place, create, update};
use protocol::identity::{LogEntry, WitnessProofs, key_hash};
use protocol::key::SecretKey;
use protocol::limits::{RECONCILE_BYTES_MAX, RECONCILE_ROUNDS_MAX};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::clock::ManualClock;
use crate::ingest::Ingest;
use crate::store::NamedRows;
use crate::store::engine::Memory;

const TAG: Tag = Tag {
    author: 0,
    record: 0,
};

fn member(seconds: i64, name: &str) -> Member {
    let digest: [u8; 32] = Sha256::digest(name).into();
    Member::new(Timestamp::from_unix_seconds(seconds), digest, TAG)
}

/// A shared set in the course of some years, and what each side has beside it of the last days.
fn two_sides(shared: usize, recent: usize) -> (Arc<Items>, Items) {
    let shared: Vec<Member> = (0..shared)
        .map(|n| member(1_600_000_000 + 1_500 * n as i64, &format!("both {n}")))
        .collect();
    let side = |name: &str| {
        let latest = 1_600_000_000 + 1_500 * shared.len() as i64;
        let own = (0..recent).map(|n| member(latest - 600 * n as i64, &format!("{name} {n}")));
        Items::new(shared.iter().copied().chain(own).collect())
    };
    (Arc::new(side("here")), side("there"))
}

/// What a whole comparison came to.
struct Cost {
    rounds: usize,
    bytes: usize,
    lacking: HashSet<VersionHash>,
}

fn compare(here: &Arc<Items>, there: &Items) -> Cost {
    let (mut talk, mut message) = Talk::begin(Arc::clone(here)).unwrap();
    let (mut bytes, mut lacking) = (0, HashSet::new());
    loop {
        let said = answer(there, &message).unwrap();
        assert!(message.len().max(said.len()) <= RECONCILE_BYTES_MAX);
        bytes += message.len() + said.len();
        let heard = talk.hear(&said).unwrap();
        lacking.extend(heard.lacking);
        match heard.reply {
            Some(reply) => message = reply,
            None => break,
        }
    }
    Cost {
        rounds: talk.rounds(),
        bytes,
        lacking,
    }
}

fn digests(items: &Items) -> HashSet<VersionHash> {
    let mut digests = HashSet::new();
    let each = &mut |item: negentropy::Item, _| {
        digests.insert(VersionHash::from_digest(item.id.to_bytes()));
        Ok(true)
    };
    items.iterate(0, items.count(), each).unwrap();
    digests
}

#[test]
fn a_version_takes_48_bytes_of_memory() {
    assert_eq!(size_of::<Member>(), 48);
}

#[test]
fn equal_sets_of_100_000_are_known_to_be_so_after_one_round_and_less_than_a_kilobyte() {
    let (here, there) = two_sides(100_000, 0);
    let cost = compare(&here, &there);
    assert_eq!((cost.rounds, cost.lacking.len()), (1, 0));
    assert!(cost.bytes < 1_000, "{}", cost.bytes);
}

#[test]
fn sets_of_100_000_that_differ_by_500_recent_ones_each_side_take_three_rounds_and_300_kb() {
    let (here, there) = two_sides(100_000, 500);
    let cost = compare(&here, &there);
    let missing: HashSet<VersionHash> = digests(&there)
        .difference(&digests(&here))
        .copied()
        .collect();
    assert_eq!(missing.len(), 500);
    assert_eq!(cost.lacking, missing);
    assert!(cost.rounds <= 3, "{}", cost.rounds);
    assert!(cost.bytes <= 300_000, "{}", cost.bytes);
}

/// The `n`th of ids that share all but their last bytes. The very last ones are of chance: fingerprints are sums, and
/// those of plain numbers can be made to agree.
fn crowded(n: u32) -> [u8; 32] {
    // Steele, Lea and Flood: SplitMix.
    let mixed = (u64::from(n) ^ (u64::from(n) >> 15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut digest = [7; 32];
    digest[20..24].copy_from_slice(&n.to_be_bytes());
    digest[24..].copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    digest
}

/// Ids in one second that share their beginnings.
fn crowd(ids: impl Iterator<Item = u32>) -> Items {
    let member = |n| Member::new(Timestamp::from_unix_seconds(1), crowded(n), TAG);
    Items::new(ids.map(member).collect())
}

#[test]
fn y14_a_million_ids_in_one_second_that_share_their_beginnings_cost_no_more_than_scattered_ones() {
    const COUNT: u32 = 1 << 20;
    const APART: u32 = 1 << 10;
    // Each side lacks one in 1,024 of them, all over the crowd.
    let of_side = |side: u32| (0..COUNT).filter(move |n| n % (2 * APART) != side * APART);
    let (here, there) = (Arc::new(crowd(of_side(0))), crowd(of_side(1)));
    let clock = Stopwatch::start();
    let cost = compare(&here, &there);
    let crowded_time = clock.elapsed();
    assert_eq!(cost.lacking.len() as u32, COUNT / APART / 2);

    let scattered = |side: u32| {
        let member = |n: u32| {
            let mut digest = crowded(n);
            digest.reverse();
            Member::new(
                Timestamp::from_unix_seconds(1_000 + i64::from(n)),
                digest,
                TAG,
            )
        };
        Items::new(of_side(side).map(member).collect())
    };
    let (here, there) = (Arc::new(scattered(0)), scattered(1));
    let clock = Stopwatch::start();
    let usual = compare(&here, &there);
    let usual_time = clock.elapsed();
    assert_eq!(usual.lacking.len(), cost.lacking.len());
    assert!(
        cost.rounds <= usual.rounds + 1,
        "{}, {}",
        cost.rounds,
        usual.rounds
    );
    assert!(
        cost.bytes <= 2 * usual.bytes,
        "{}, {}",
        cost.bytes,
        usual.bytes
    );
    assert!(
        crowded_time <= 4 * usual_time,
        "{crowded_time:?}, {usual_time:?}"
    );
}

#[test]
fn y14_of_half_a_million_crowded_ids_a_hundred_thousand_are_told_before_the_64_messages_are_over() {
    const COUNT: u32 = 1 << 20;
    let side = |first: u32| crowd((first..COUNT).step_by(2));
    let (here, there) = (Arc::new(side(0)), side(1));
    let (mut talk, mut message) = Talk::begin(here).unwrap();
    let mut lacking = HashSet::new();
    // What was told is fetched meanwhile, so the next comparison goes on where this one is given up.
    let error = loop {
        let said = answer(&there, &message).unwrap();
        assert!(message.len().max(said.len()) <= RECONCILE_BYTES_MAX);
        match talk.hear(&said) {
            Ok(heard) => {
                lacking.extend(heard.lacking);
                message = heard.reply.expect("so many ids do not fit");
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TalkError::Endless));
    assert_eq!(talk.rounds(), RECONCILE_ROUNDS_MAX);
    assert!(lacking.len() >= 100_000, "{}", lacking.len());
}

#[test]
fn y01_each_single_bit_flip_of_a_valid_message_is_refused_or_answered() {
    let (here, there) = two_sides(2_000, 20);
    let (mut talk, first) = Talk::begin(here).unwrap();
    let said = answer(&there, &first).unwrap();
    let second = talk.hear(&said).unwrap().reply.unwrap();
    let (mut refused, mut answered) = (0, 0);
    for message in [&first, &second] {
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match answer(&there, &flipped) {
                Ok(said) => {
                    assert!(said.len() <= RECONCILE_BYTES_MAX);
                    answered += 1;
                }
                Err(TalkError::Malformed(_)) => refused += 1,
                Err(TalkError::Endless) => panic!("who answers counts no rounds"),
            }
        }
    }
    assert!(refused > 100 && answered > 100, "{refused}, {answered}");
}

#[test]
fn y01_a_message_that_lost_its_end_is_refused_and_not_answered_as_if_it_asked_for_less() {
    let (here, there) = two_sides(2_000, 20);
    let (mut talk, first) = Talk::begin(here).unwrap();
    let said = answer(&there, &first).unwrap();
    let second = talk.hear(&said).unwrap().reply.unwrap();
    for message in [&first, &said, &second] {
        let mut whole = 0;
        for end in 1..message.len() {
            match answer(&there, &message[..end]) {
                Ok(_) => whole += 1,
                Err(TalkError::Malformed(_)) => {}
                Err(TalkError::Endless) => panic!("who answers counts no rounds"),
            }
        }
        // Only what ends where a range does is whole; each takes some bytes.
        assert!(whole < message.len() / 4, "{whole} of {}", message.len());
    }
    // A bound of which the last byte is missing, one that is not there, and a number without end.
    let endless = [[0x61].as_slice(), &[0xff; 40]].concat();
    for (message, words) in [
        (&[0x61, 0x80][..], "within a number"),
        (&[0x61, 0], "within a number"),
        (&[0x61, 0, 0], "within a number"),
        (&[0x61, 0, 0, 2, 0x81], "within a number"),
        (&[0x61, 0, 0, 1, 7], "within a range"),
        (&[0x61, 0, 0, 3], "of kind 3"),
        (&endless, "more than 64 bits"),
    ] {
        let refused = answer(&there, message).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
        let refused = talk.hear(message).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

proptest! {
    #[test]
    fn y01_random_bytes_are_refused_or_answered_by_either_side(
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let (here, there) = two_sides(100, 5);
        let (mut talk, _) = Talk::begin(here).unwrap();
        for version in [None, Some(0x61)] {
            let message: Vec<u8> = version.into_iter().chain(noise.iter().copied()).collect();
            if let Ok(said) = answer(&there, &message) {
                prop_assert!(said.len() <= RECONCILE_BYTES_MAX);
            }
            let _ = talk.hear(&message);
        }
    }
}

#[test]
fn y02_a_count_that_no_message_holds_is_refused_before_anything_is_reserved_for_it() {
    // No end in time, no bytes of an id, a list of 2^63 ids.
    let mut message = vec![0x61, 0, 0, 2];
    message.extend([0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]);
    let (here, there) = two_sides(100, 0);
    assert!(matches!(
        answer(&there, &message),
        Err(TalkError::Malformed(_))
    ));
    let (mut talk, _) = Talk::begin(here).unwrap();
    assert!(matches!(talk.hear(&message), Err(TalkError::Malformed(_))));
}

#[test]
fn y03_one_message_tells_no_more_ids_than_it_has_bytes_for() {
    let lists = RECONCILE_BYTES_MAX / 32 - 1;
    let mut message = vec![0x61, 0, 0, 2];
    message.extend([0x80 | (lists >> 7) as u8, (lists & 0x7f) as u8]);
    for n in 0..lists {
        message.extend_from_slice(&Sha256::digest(n.to_be_bytes()));
    }
    assert!(message.len() <= RECONCILE_BYTES_MAX);
    let (mut talk, _) = Talk::begin(Arc::default()).unwrap();
    let heard = talk.hear(&message).unwrap();
    assert_eq!(heard.lacking.len(), lists);
    assert!(heard.reply.is_none());
}

#[test]
fn y04_a_side_that_never_agrees_is_given_up_after_64_messages() {
    let (here, _) = two_sides(1_000, 0);
    let (mut talk, _) = Talk::begin(here).unwrap();
    // Another fingerprint of everything, whatever was said.
    let message = [[0x61, 0, 0, 1].as_slice(), &[9; 16]].concat();
    let mut said = 1;
    let error = loop {
        match talk.hear(&message) {
            Ok(heard) => assert!(heard.reply.is_some()),
            Err(error) => break error,
        }
        said += 1;
    };
    assert!(matches!(error, TalkError::Endless));
    assert_eq!(
        (said, talk.rounds()),
        (RECONCILE_ROUNDS_MAX, RECONCILE_ROUNDS_MAX)
    );
}

#[test]
fn a_date_before_1970_counts_as_1970() {
    let items = Items::new(vec![member(-5, "a"), member(3, "b")]);
    let first = items.get_item(0).unwrap().unwrap();
    assert_eq!(first.timestamp, 0);
}

/// A door to an empty store, an author's first log entry, and its keys: two that sign log entries, two
/// that sign records.
struct Begun {
    store: Arc<Store>,
    door: Ingest,
    now: Timestamp,
    entry: LogEntry,
    change: Change,
    keys: [SecretKey; 4],
}

impl Begun {
    async fn new() -> Self {
        let epoch = "epoch".to_owned();
        let store = Store::on(Arc::new(Memory::default()), epoch, Rules::decided()).unwrap();
        let store = Arc::new(store);
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let door = Ingest::new(Arc::clone(&store), Arc::new(ManualClock::at(now)));
        let keys = [1, 2, 3, 4].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let change = Change {
            place: Place::new("hub.example", None, &["orgs", "x"]).unwrap(),
            record_keys: [keys[2].public(), keys[3].public()].into(),
            next_key_hashes: [key_hash(&keys[1].public())].into(),
            also_known_as: Vec::new(),
            services: Vec::new(),
        };
        let entry = create(&change, &keys[0], now).unwrap();
        let begun = Self {
            store,
            door,
            now,
            entry,
            change,
            keys,
        };
        begun.learn(&begun.entry).await;
        begun
    }

    async fn learn(&self, entry: &LogEntry) {
        let none = WitnessProofs::empty();
        let line = entry.to_canonical_bytes();
        self.door.log_entry(&line, &none).await.unwrap();
    }

    /// Takes in a version that one of the two keys signs.
    async fn take(&self, key: usize, local: &str, seq: u64, is_withdrawn: bool) {
        let did = self.entry.did().to_string();
        let mut record = json!({
            "spec": "baraza/1", "type": "Offering", "author": did, "localId": local, "seq": seq,
            "status": "active", "issued": self.now.to_string(), "licence": "CC-BY-4.0",
            "language": "en", "body": {"kind": "course", "name": {"en": "A course"}},
        });
        let tree = record.as_object_mut().unwrap();
        if is_withdrawn {
            tree.insert("status".to_owned(), "withdrawn".into());
            tree.remove("body");
            tree.remove("language");
        }
        let key = &self.keys[2 + key];
        let method = format!("{did}#{}", key.public());
        let proof = protocol::proof::sign(tree, key, &method, self.now);
        tree.insert("proof".to_owned(), proof.into());
        let record = to_canonical(&Value::Object(tree.clone()));
        self.door.record(&record, None).await.unwrap();
    }

    /// That sets which were kept up say what sets that are read anew say.
    fn assert_follows(&self, sets: &Sets, records: usize) {
        let (kept, fresh) = (sets.now().unwrap(), Sets::new(Arc::clone(&self.store)));
        let fresh = fresh.now().unwrap();
        assert_eq!(kept.read_to, self.store.last_change().unwrap());
        assert_eq!(kept.records.count(), records);
        assert_eq!(digests(&kept.records), digests(&fresh.records));
        assert_eq!(digests(&kept.identities), digests(&fresh.identities));
        let held = self.store.held(None).map(|row| row.unwrap().1.rank.hash);
        assert_eq!(digests(&kept.records), held.collect());
    }
}

#[tokio::test]
async fn the_sets_follow_new_versions_tombstones_and_dropped_keys() {
    let begun = Begun::new().await;
    let sets = Sets::new(Arc::clone(&begun.store));
    begun.assert_follows(&sets, 0);
    for n in 0..20 {
        begun.take(0, &format!("r-{n}"), 1, false).await;
    }
    begun.assert_follows(&sets, 20);
    // A new version takes the place of the old one under the same key, and stands beside one of another.
    begun.take(0, "r-0", 2, false).await;
    begun.take(1, "r-1", 2, false).await;
    begun.assert_follows(&sets, 21);
    // A tombstone that counts hides what other keys signed.
    begun.take(1, "r-2", 2, true).await;
    begun.take(0, "r-3", 2, true).await;
    begun.assert_follows(&sets, 21);
    // What waits for a log is in no set. With the second key go its versions.
    let state = begun
        .store
        .author(begun.entry.scid())
        .unwrap()
        .unwrap()
        .state;
    let mut change = begun.change.clone();
    change.record_keys = [begun.keys[2].public()].into();
    change.next_key_hashes = [key_hash(&begun.keys[0].public())].into();
    let later = begun.now.plus_seconds(1);
    let entry = update(&state, &change, &begun.keys[1], later).unwrap();
    begun.learn(&entry).await;
    begun.assert_follows(&sets, 20);
    let head = VersionHash::from_digest(*entry.version_id().hash.as_digest());
    assert_eq!(sets.author_by_head(&head), Some(*begun.entry.scid()));
}

#[tokio::test]
async fn that_a_log_is_forked_is_told_by_the_newest_entry_of_each_line() {
    let begun = Begun::new().await;
    let sets = Sets::new(Arc::clone(&begun.store));
    begun.assert_follows(&sets, 0);
    let scid = *begun.entry.scid();
    let state = begun.store.author(&scid).unwrap().unwrap().state;
    let mut ends = HashSet::new();
    for key in [2, 3] {
        let mut change = begun.change.clone();
        change.record_keys = [begun.keys[key].public()].into();
        change.next_key_hashes = [key_hash(&begun.keys[0].public())].into();
        let later = begun.now.plus_seconds(1);
        let entry = update(&state, &change, &begun.keys[1], later).unwrap();
        begun.learn(&entry).await;
        ends.insert(VersionHash::from_digest(
            *entry.version_id().hash.as_digest(),
        ));
    }
    assert!(begun.store.author(&scid).unwrap().unwrap().is_disputed);
    begun.assert_follows(&sets, 0);
    assert_eq!(digests(sets.now().unwrap().identities()), ends);
    for end in &ends {
        assert_eq!(sets.author_by_head(end), Some(scid));
    }
}

#[tokio::test]
async fn of_a_blocked_author_nothing_is_in_sets_that_were_kept_up_and_all_is_once_it_is_carried_again()
 {
    let begun = Begun::new().await;
    let sets = Sets::new(Arc::clone(&begun.store));
    begun.take(0, "r-0", 1, false).await;
    begun.take(0, "r-1", 1, true).await;
    begun.assert_follows(&sets, 2);
    let scid = *begun.entry.scid();
    for (row, records) in [(Some(b"{}".to_vec()), 0), (None, 2)] {
        let put = move |rows: &mut NamedRows<'_, '_>| rows.block_author(&scid, row);
        begun
            .store
            .change_named::<_, StoreError>(put)
            .await
            .unwrap();
        begun.store.look_again().await.unwrap();
        begun.assert_follows(&sets, records);
    }
}

#[tokio::test]
async fn the_set_of_one_author_has_that_authors_versions_and_no_others() {
    let begun = Begun::new().await;
    begun.take(0, "r-0", 1, false).await;
    let sets = Sets::new(Arc::clone(&begun.store));
    let (_, first) = Talk::begin(Arc::default()).unwrap();
    let asked = |set| {
        let (mut talk, _) = Talk::begin(Arc::default()).unwrap();
        let said = sets.answer(&set, &first).unwrap();
        assert_eq!(said.cursor.number, begun.store.last_change().unwrap());
        talk.hear(&said.message).unwrap().lacking.len()
    };
    let stranger = Scid::from_digest([9; 32]);
    assert_eq!(asked(SetName::Author(*begun.entry.scid())), 1);
    assert_eq!(asked(SetName::Author(stranger)), 0);
    assert_eq!(
        (asked(SetName::Records), asked(SetName::Identities)),
        (1, 1)
    );
}

#[test]
fn y18_at_the_bound_there_is_no_place_until_somebody_goes() {
    let store = Store::on(
        Arc::new(Memory::default()),
        "e".to_owned(),
        Rules::decided(),
    );
    let sets = Sets::new(Arc::new(store.unwrap()));
    let mut places: Vec<_> = (0..PLACES).map(|_| sets.place().unwrap()).collect();
    assert!(sets.place().is_none());
    places.pop();
    assert!(sets.place().is_some());
}
