//! What a store promises, on every engine.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use baraza::federation::topics;
use baraza::ingest::IngestError;
use baraza::store::embedded::Embedded;
use baraza::store::engine::{Engine, Memory};
use baraza::store::{LogReceipt, NamedRows, Offered, Receipt, Store, What};
use baraza_store_tests::{Author, Chance, Node, Version, at, proven, record_key, wait};
use protocol::acceptance::Rules;
use protocol::canonical::to_canonical;
use protocol::envelope::{Envelope, Status};
use protocol::id::{Scid, VersionHash};
use protocol::identity::{LogEntry, WitnessProofs};
use protocol::limits::INTEGER_MAX;
use protocol::proof;
use protocol::time::Timestamp;
use protocol::verified::{Proven, VerifyError};
use serde_json::{Map, Value, json};

const SEQ_MAX: u64 = INTEGER_MAX as u64;
const DAY: i64 = 86_400;

/// Records as the door hands them over.
fn offered(records: Vec<Proven>) -> Vec<Offered> {
    records
        .into_iter()
        .map(|record| Offered::new(record).unwrap())
        .collect()
}

fn on_every_engine(test: impl Fn(&Node)) {
    test(&Node::in_memory());
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path()).unwrap();
    test(&Node::on(Arc::new(engine), Rules::decided()).unwrap());
}

/// An author with record keys 1 and 2, whose log the node holds.
fn known(node: &Node) -> Author {
    let author = Author::found(1, &[1, 2], at(-1_000));
    assert_eq!(node.learn(&author.entries), [LogReceipt::Grown]);
    author
}

fn is_listed(node: &Node, record: &Envelope) -> bool {
    let is_held = node.held().contains(&record.hash());
    let is_told = node.told(0).contains(&record.hash());
    let by_hash = node.store.by_hash(&record.hash()).unwrap();
    if let Some((id, row)) = &by_hash {
        assert_eq!(*id, record.header().record_id());
        assert_eq!(row.canonical().unwrap(), record.canonical());
    }
    assert_eq!([is_held, is_told], [by_hash.is_some(); 2]);
    is_held
}

/// Every version that is handed out stands once in the change log, and nothing else does.
fn assert_log_is_whole(node: &Node) {
    let told = node.told(0);
    let distinct: BTreeSet<_> = told.iter().copied().collect();
    assert_eq!(told.len(), distinct.len(), "a version stands twice");
    assert_eq!(distinct, node.held());
}

fn is_retired(refusal: &Result<Receipt, IngestError>) -> bool {
    matches!(
        refusal,
        Err(IngestError::Unverified(VerifyError::KeyRetired { .. }))
    )
}

#[test]
fn a_record_is_held_once_and_replaced_by_a_higher_number_alone() {
    on_every_engine(|node| {
        let author = known(node);
        let versions: Vec<Envelope> = [2, 3, 1]
            .map(|seq| author.record(&Version::of("a", seq)))
            .into();
        assert_eq!(node.take(&versions[0]).unwrap(), Receipt::Stored);
        assert_eq!(node.take(&versions[0]).unwrap(), Receipt::AlreadyHeld);
        assert_eq!(node.take(&versions[1]).unwrap(), Receipt::Stored);
        assert_eq!(node.take(&versions[2]).unwrap(), Receipt::Superseded);
        assert_eq!(node.take(&versions[0]).unwrap(), Receipt::Superseded);
        let id = author.id("a");
        assert_eq!(node.counting(&id), Some((3, Status::Active)));
        assert_eq!(node.store.highest_seq(&id).unwrap(), 3);
        assert_eq!(node.store.highest_seq(&author.id("b")).unwrap(), 0);
        assert_eq!(
            versions
                .iter()
                .map(|v| is_listed(node, v))
                .collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_log_is_whole(node);
    });
}

#[test]
fn records_that_come_together_are_taken_as_if_each_came_alone() {
    on_every_engine(|node| {
        let author = known(node);
        let alone = Node::in_memory();
        alone.learn(&author.entries);
        let [a1, a2, b1, c1, c2] = [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("c", 2)]
            .map(|(local, seq)| author.record(&Version::of(local, seq)));
        let mut twins = ["x", "y"].map(|says| author.record(&Version::of("d", 5).saying(says)));
        twins.sort_by_key(Envelope::hash);
        let [lower, higher] = twins;
        for held in [&a1, &c2] {
            node.take(held).unwrap();
            alone.take(held).unwrap();
        }
        let come = [&a1, &a2, &a1, &b1, &b1, &c1, &c2, &higher, &lower, &higher];
        let all = come.map(proven).into();
        let together = wait(node.store.admit_all(offered(all), at(0), None, None)).unwrap();
        let together: Vec<Receipt> = together.into_iter().map(Result::unwrap).collect();
        assert_eq!(together, come.map(|record| alone.take(record).unwrap()));
        use Receipt::{AlreadyHeld, Stored, Superseded, Twin};
        assert_eq!(
            together,
            [
                AlreadyHeld,
                Stored,
                Superseded,
                Stored,
                AlreadyHeld,
                Superseded,
                AlreadyHeld,
                Stored,
                Stored,
                Twin,
            ]
        );
        assert_eq!(
            node.store.state_hash().unwrap(),
            alone.store.state_hash().unwrap()
        );
        assert_log_is_whole(node);
    });
}

#[test]
fn among_many_new_records_those_that_are_held_are_known_wherever_they_stand() {
    on_every_engine(|node| {
        let author = known(node);
        for held in [[49, 50], [50, 51], [0, 99]] {
            let records: Vec<Envelope> = (0..100)
                .map(|n| {
                    let local = format!("r{}.{}.{n}", held[0], held[1]);
                    author.record(&Version::of(&local, 1))
                })
                .collect();
            for place in held {
                assert_eq!(node.take(&records[place]).unwrap(), Receipt::Stored);
            }
            let lines = records.iter().map(|record| record.canonical().to_vec());
            let receipts = wait(node.ingest.records(lines.collect(), None, None)).unwrap();
            let known: Vec<usize> = (0..100)
                .filter(|place| matches!(receipts[*place], Ok(Receipt::AlreadyHeld)))
                .collect();
            assert_eq!(known, held);
            assert!(receipts.iter().all(Result::is_ok));
        }
        assert_log_is_whole(node);
    });
}

#[test]
fn t09_of_two_versions_with_one_number_the_lower_hash_is_held_and_the_author_flagged() {
    on_every_engine(|node| {
        let author = known(node);
        let mut twins: Vec<Envelope> = ["x", "y", "z"]
            .map(|says| author.record(&Version::of("a", 5).saying(says)))
            .into();
        twins.sort_by_key(Envelope::hash);
        assert_eq!(node.take(&twins[1]).unwrap(), Receipt::Stored);
        assert!(
            !node
                .store
                .author(&author.scid())
                .unwrap()
                .unwrap()
                .has_twins
        );
        assert_eq!(node.take(&twins[2]).unwrap(), Receipt::Twin);
        assert!(
            node.store
                .author(&author.scid())
                .unwrap()
                .unwrap()
                .has_twins
        );
        assert_eq!(node.take(&twins[0]).unwrap(), Receipt::Stored);
        assert_eq!(node.take(&twins[1]).unwrap(), Receipt::Twin);
        assert_eq!(node.held(), BTreeSet::from([twins[0].hash()]));
        assert_log_is_whole(node);
    });
}

#[test]
fn any_number_of_twins_leaves_the_lowest_held_and_a_bounded_trace() {
    let node = Node::in_memory();
    let author = known(&node);
    let mut twins: Vec<Envelope> = (0..40)
        .map(|n| author.record(&Version::of("a", 5).saying(&n.to_string())))
        .collect();
    twins.sort_by_key(|twin| std::cmp::Reverse(twin.hash()));
    for twin in &twins {
        assert_eq!(node.take(twin).unwrap(), Receipt::Stored);
    }
    assert_eq!(node.held(), BTreeSet::from([twins[39].hash()]));
    assert_log_is_whole(&node);
}

#[test]
fn f06_both_of_two_versions_with_one_number_stay_as_evidence_when_a_later_one_comes() {
    on_every_engine(|node| {
        let author = known(node);
        let id = author.id("a");
        let evidence = |node: &Node| -> Vec<VersionHash> {
            let twins = node.store.twins_of(&id).unwrap();
            twins.iter().map(|row| row.rank.hash).collect()
        };
        let mut both = ["x", "y"].map(|says| author.record(&Version::of("a", 5).saying(says)));
        both.sort_by_key(Envelope::hash);
        let mut expected: Vec<VersionHash> = both.iter().map(Envelope::hash).collect();
        expected.sort();
        node.take(&both[1]).unwrap();
        assert_eq!(evidence(node), [], "one version is none");
        node.take(&both[0]).unwrap();
        assert_eq!(evidence(node), expected);
        // Longer than anything else of the past is kept.
        for (seq, days) in [(6, 40), (7, 80), (8, 120)] {
            let later = proven(&author.record(&Version::of("a", seq)));
            wait(node.store.admit(later, at(days * DAY), None)).unwrap();
        }
        let history = node.store.history(&id).unwrap();
        assert!(
            history.iter().all(|row| row.rank.seq > 5),
            "the past is gone"
        );
        assert_eq!(evidence(node), expected);
        let named = node.store.records_with_twins(&author.scid(), 9).unwrap();
        assert_eq!(named, BTreeSet::from([id.clone()]));
        // What is withdrawn says nothing, and what says it again says all.
        node.take(&author.record(&Version::of("a", 9).withdrawn()))
            .unwrap();
        assert_eq!(evidence(node), []);
        node.take(&author.record(&Version::of("a", 10))).unwrap();
        assert_eq!(evidence(node), expected);
        assert_log_is_whole(node);
    });
}

#[test]
fn a_tombstone_hides_earlier_versions_under_other_keys_from_every_way_out() {
    on_every_engine(|node| {
        let author = known(node);
        let old = author.record(&Version::of("a", 1));
        let other = author.record(&Version::of("a", 2).by(2));
        let gone = author.record(&Version::of("a", 3).by(2).withdrawn());
        let late = author.record(&Version::of("a", 2).saying("late"));
        for record in [&old, &other] {
            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
        }
        assert!(is_listed(node, &old) && is_listed(node, &other));
        assert_eq!(node.take(&gone).unwrap(), Receipt::Stored);
        assert_eq!(node.take(&late).unwrap(), Receipt::Stored);
        assert_eq!(node.counting(&author.id("a")), Some((3, Status::Withdrawn)));
        assert_eq!(node.held(), BTreeSet::from([gone.hash()]));
        for hidden in [&old, &other, &late] {
            assert!(!is_listed(node, hidden));
        }
        assert_eq!(node.store.highest_seq(&author.id("a")).unwrap(), 3);
        assert_log_is_whole(node);
    });
}

#[test]
fn a_higher_number_brings_a_withdrawn_record_back_and_followers_hear_of_what_was_hidden() {
    on_every_engine(|node| {
        let author = known(node);
        let gone = author.record(&Version::of("a", 3).by(2).withdrawn());
        let hidden = author.record(&Version::of("a", 2));
        let back = author.record(&Version::of("a", 4).by(2));
        for record in [&gone, &hidden] {
            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
        }
        let seen = node.store.last_change().unwrap();
        assert_eq!(node.told(0), [gone.hash()]);
        assert_eq!(node.take(&back).unwrap(), Receipt::Stored);
        assert_eq!(node.counting(&author.id("a")), Some((4, Status::Active)));
        assert_eq!(node.told(seen), [back.hash(), hidden.hash()]);
        assert_log_is_whole(node);
    });
}

#[test]
fn when_a_tombstones_key_is_dropped_followers_hear_of_what_it_hid() {
    on_every_engine(|node| {
        let mut author = known(node);
        let hidden = author.record(&Version::of("a", 2));
        let thief = author.record(&Version::of("a", SEQ_MAX).by(2).withdrawn());
        for record in [&thief, &hidden] {
            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
        }
        let seen = node.store.last_change().unwrap();
        node.learn([&author.rotate(&[1], at(-900))]);
        assert_eq!(node.counting(&author.id("a")), Some((2, Status::Active)));
        assert_eq!(node.told(seen), [hidden.hash()]);
        assert_log_is_whole(node);
    });
}

#[test]
fn k08_after_a_rotation_only_what_the_new_key_signed_counts() {
    on_every_engine(|node| {
        let mut author = known(node);
        let old = author.record(&Version::of("a", 1));
        let gone = author.record(&Version::of("b", 1).withdrawn());
        let new = author.record(&Version::of("a", 2).by(3));
        let still_gone = author.record(&Version::of("b", 2).by(3).withdrawn());
        for record in [&old, &gone] {
            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
        }
        assert_eq!(node.take(&new).unwrap(), Receipt::Parked);
        let seen = node.store.last_change().unwrap();
        node.learn([&author.rotate(&[2, 3], at(-900))]);
        assert_eq!(node.held(), BTreeSet::from([new.hash()]));
        assert_eq!(node.counting(&author.id("b")), None);
        let judged: Vec<_> = node
            .changes(seen, 10)
            .into_iter()
            .filter_map(|change| match change.what {
                What::Judged { id } => Some(id),
                _ => None,
            })
            .collect();
        assert_eq!(judged, [author.id("a"), author.id("b")]);
        let (changed, read_to) = node.store.changed_records(seen, 10).unwrap();
        let changed: BTreeSet<_> = changed.into_iter().map(|(_, id)| id).collect();
        assert_eq!(changed, BTreeSet::from([author.id("a"), author.id("b")]));
        assert_eq!(read_to, node.store.last_change().unwrap());
        assert_eq!(node.take(&still_gone).unwrap(), Receipt::Stored);
        assert_eq!(node.counting(&author.id("b")), Some((2, Status::Withdrawn)));
        assert_log_is_whole(node);
    });
}

#[test]
fn k10_a_record_under_a_dropped_key_is_refused_even_if_the_key_is_listed_again() {
    on_every_engine(|node| {
        let mut author = known(node);
        let record = author.record(&Version::of("a", 9).issued(at(-950)));
        node.learn([&author.rotate(&[2], at(-900))]);
        assert!(is_retired(&node.take(&record)));
        node.learn([&author.rotate(&[1, 2], at(-800))]);
        assert!(is_retired(&node.take(&record)));
        assert_eq!(node.store.parked().unwrap(), 0);
        assert_eq!(node.held(), BTreeSet::new());
    });
}

#[test]
fn k07_a_record_under_a_key_that_the_log_does_not_list_is_shown_nowhere() {
    on_every_engine(|node| {
        let mut author = known(node);
        let good = author.record(&Version::of("a", 1));
        let strange = author.record(&Version::of("a", 2).by(7));
        node.take(&good).unwrap();
        assert_eq!(node.take(&strange).unwrap(), Receipt::Parked);
        assert_eq!(node.take(&strange).unwrap(), Receipt::Parked);
        assert_eq!(node.store.parked().unwrap(), 1);
        assert_eq!(node.held(), BTreeSet::from([good.hash()]));
        assert!(!is_listed(node, &strange));
        // A move says nothing of keys: it stays parked. Listing the key releases it.
        node.learn([&author.move_to("elsewhere.example", at(-900))]);
        assert_eq!(node.store.parked().unwrap(), 1);
        node.learn([&author.rotate(&[1, 2, 7], at(-800))]);
        assert_eq!(node.store.parked().unwrap(), 0);
        assert_eq!(node.counting(&author.id("a")), Some((2, Status::Active)));
        assert_log_is_whole(node);
    });
}

#[test]
fn a_thiefs_last_number_dies_with_the_stolen_key_and_the_record_goes_on() {
    on_every_engine(|node| {
        let mut author = known(node);
        let id = author.id("a");
        node.take(&author.record(&Version::of("a", 7))).unwrap();
        node.take(&author.record(&Version::of("a", SEQ_MAX).withdrawn()))
            .unwrap();
        assert_eq!(node.counting(&id), Some((SEQ_MAX, Status::Withdrawn)));
        assert_eq!(node.store.highest_seq(&id).unwrap(), SEQ_MAX);
        node.learn([&author.rotate(&[3], at(-900))]);
        assert_eq!(node.counting(&id), None);
        assert_eq!(node.store.highest_seq(&id).unwrap(), 0);
        node.take(&author.record(&Version::of("a", 8).by(3)))
            .unwrap();
        assert_eq!(node.counting(&id), Some((8, Status::Active)));
        assert_eq!(node.store.highest_seq(&id).unwrap(), 8);
    });
}

#[test]
fn nothing_of_a_closed_author_counts_and_nothing_more_is_taken() {
    on_every_engine(|node| {
        let mut author = known(node);
        let record = author.record(&Version::of("a", 1));
        node.take(&record).unwrap();
        node.take(&author.record(&Version::of("b", 1).by(7)))
            .unwrap();
        node.learn(&author.close(at(-900)));
        assert_eq!(node.held(), BTreeSet::new());
        assert_eq!(node.store.parked().unwrap(), 0);
        for refused in [record, author.record(&Version::of("c", 1).by(8))] {
            assert!(matches!(
                node.take(&refused),
                Err(IngestError::Unverified(VerifyError::AuthorClosed))
            ));
        }
        assert!(
            node.store
                .author(&author.scid())
                .unwrap()
                .unwrap()
                .state
                .is_deactivated()
        );
    });
}

#[test]
fn records_before_their_log_and_a_log_backwards_end_as_if_all_came_in_order() {
    on_every_engine(|node| {
        let mut author = Author::found(1, &[1, 2], at(-1_000));
        author.rotate(&[2, 3], at(-900));
        author.rotate(&[3], at(-800));
        let records: Vec<Envelope> = [1, 2, 3]
            .map(|key| author.record(&Version::of("a", u64::from(key)).by(key)))
            .into();
        for record in &records {
            assert_eq!(node.take(record).unwrap(), Receipt::Parked);
        }
        assert!(node.store.author(&author.scid()).unwrap().is_none());
        let receipts = node.learn(author.entries.iter().rev());
        use LogReceipt::{Grown, Waiting};
        assert_eq!(receipts, [Waiting, Waiting, Grown]);
        assert_eq!(node.held(), BTreeSet::from([records[2].hash()]));
        assert_eq!(node.store.parked().unwrap(), 0);
        let lines: Vec<_> = author
            .entries
            .iter()
            .map(LogEntry::to_canonical_bytes)
            .collect();
        assert_eq!(node.store.log_of(&author.scid()).unwrap(), lines);
        assert_eq!(node.learn(&author.entries), [LogReceipt::AlreadyHeld; 3]);
    });
}

#[test]
fn an_altered_entry_that_comes_before_the_true_one_does_not_keep_it_out() {
    on_every_engine(|node| {
        let mut author = Author::found(1, &[1], at(-1_000));
        author.rotate(&[2], at(-900));
        author.rotate(&[3], at(-800));
        let [first, second, last] = author.entries.as_slice() else {
            panic!("three entries")
        };
        // It says that it is the same version: that its hash does not fit shows once the second is here.
        let text = String::from_utf8(last.to_canonical_bytes()).unwrap();
        let altered = text.replace(&at(-800).to_string(), &at(-799).to_string());
        assert_ne!(altered, text);
        let altered = LogEntry::parse(altered.as_bytes()).unwrap();
        assert_eq!(altered.version_id(), last.version_id());
        use LogReceipt::{Grown, Waiting};
        let receipts = node.learn([first, &altered, last, second]);
        assert_eq!(receipts, [Grown, Waiting, Waiting, Grown]);
        let head = node.store.author(&author.scid()).unwrap().unwrap().state;
        assert_eq!(head.version_id(), last.version_id());
    });
}

#[test]
fn t05_what_is_dated_ahead_is_shown_nowhere_until_it_is_due_and_then_taken_in() {
    on_every_engine(|node| {
        let mut author = known(node);
        let ahead = author.record(&Version::of("a", 2).issued(at(365 * DAY)));
        let further = author.record(&Version::of("b", 1).issued(at(366 * DAY)));
        let almost = author.record(&Version::of("c", 1).issued(at(600)));
        node.take(&author.record(&Version::of("a", 1))).unwrap();
        for record in [&ahead, &further, &ahead] {
            assert_eq!(node.take(record).unwrap(), Receipt::Parked);
        }
        assert_eq!(node.take(&almost).unwrap(), Receipt::Stored);
        assert_eq!(node.store.parked().unwrap(), 2);
        assert_eq!(wait(node.store.admit_due(at(0))).unwrap(), 0);
        assert!(!is_listed(node, &ahead));
        let due = 365 * DAY - 600;
        assert_eq!(wait(node.store.admit_due(at(due - 1))).unwrap(), 0);
        assert_eq!(wait(node.store.admit_due(at(due))).unwrap(), 1);
        assert!(is_listed(node, &ahead));
        assert_eq!(node.store.parked().unwrap(), 1);
        // A log entry dated ahead waits as well, and what it lists with it.
        let entry = author.rotate(&[1, 5], at(370 * DAY));
        let under_it = author.record(&Version::of("d", 1).by(5));
        node.clock.advance(due);
        assert_eq!(node.learn([&entry]), [LogReceipt::Waiting]);
        assert_eq!(node.take(&under_it).unwrap(), Receipt::Parked);
        assert_eq!(wait(node.store.admit_due(at(400 * DAY))).unwrap(), 2);
        assert!(is_listed(node, &under_it) && is_listed(node, &further));
        assert_eq!(node.store.parked().unwrap(), 0);
        assert_log_is_whole(node);
    });
}

#[test]
fn many_that_become_due_at_once_are_all_taken_in() {
    let node = Node::in_memory();
    let author = known(&node);
    let records: Vec<_> = (0..700)
        .map(|n| {
            let local = format!("r{n}");
            proven(&author.record(&Version::of(&local, 1).issued(at(DAY))))
        })
        .collect();
    let receipts = wait(node.store.admit_all(offered(records), at(0), None, None)).unwrap();
    assert!(
        receipts
            .iter()
            .all(|receipt| matches!(receipt, Ok(Receipt::Parked)))
    );
    assert_eq!(wait(node.store.admit_due(at(DAY))).unwrap(), 700);
    assert_eq!(node.held().len(), 700);
    // What waited no longer counts against the bound.
    assert_eq!(node.store.parked().unwrap(), 0);
}

#[test]
fn t06_a_record_of_1970_is_taken_and_dates_order_nothing() {
    on_every_engine(|node| {
        let author = known(node);
        let newer = author.record(&Version::of("a", 1).issued(at(0)));
        let older = author.record(&Version::of("a", 2).issued(Timestamp::from_unix_seconds(0)));
        assert_eq!(node.take(&newer).unwrap(), Receipt::Stored);
        assert_eq!(node.take(&older).unwrap(), Receipt::Stored);
        assert_eq!(node.counting(&author.id("a")), Some((2, Status::Active)));
    });
}

#[test]
fn y06_a_record_with_one_altered_byte_is_refused_and_leaves_no_trace() {
    on_every_engine(|node| {
        let author = known(node);
        let record = author.record(&Version::of("a", 1).saying("honest"));
        let text = String::from_utf8(record.canonical().to_vec()).unwrap();
        let forged = text.replace("honest", "forged");
        let refused = wait(node.ingest.record(forged.as_bytes(), None));
        assert!(matches!(
            refused,
            Err(IngestError::Unverified(VerifyError::Proof(_)))
        ));
        let lines = vec![forged.into_bytes(), text.into_bytes(), b"{".to_vec()];
        let receipts = wait(node.ingest.records(lines, None, None)).unwrap();
        assert!(matches!(
            receipts[..],
            [
                Err(IngestError::Unverified(_)),
                Ok(Receipt::Stored),
                Err(IngestError::Malformed(_))
            ]
        ));
        assert_eq!(node.held(), BTreeSet::from([record.hash()]));
    });
}

#[test]
fn parked_records_are_bounded_for_each_author_and_nobody_is_evicted() {
    on_every_engine(|node| {
        let author = known(node);
        let early = |n: usize| {
            let local = format!("r{n}");
            author.record(&Version::of(&local, 1).by(9))
        };
        let records: Vec<Envelope> = (0..1_002).map(early).collect();
        let all = records[..1_001].iter().map(proven).collect();
        let receipts = wait(
            node.store
                .admit_all(offered(all), at(0), Some("peer".into()), None),
        )
        .unwrap();
        let parked = receipts
            .iter()
            .filter(|receipt| matches!(receipt, Ok(Receipt::Parked)))
            .count();
        assert_eq!(parked, 1_000);
        assert!(matches!(
            node.take(&records[1_001]),
            Err(IngestError::Full(_))
        ));
        let is_incomplete = || {
            node.store
                .author(&author.scid())
                .unwrap()
                .unwrap()
                .is_incomplete
        };
        assert!(is_incomplete());
        // Another author is not concerned, and one that waits already may come again.
        let other = Author::found(2, &[1], at(-1_000));
        assert_eq!(
            node.take(&other.record(&Version::of("a", 1))).unwrap(),
            Receipt::Parked
        );
        assert_eq!(node.take(&records[0]).unwrap(), Receipt::Parked);
        assert_eq!(node.store.parked().unwrap(), 1_001);
        let mut grown = author.clone();
        node.learn([&grown.rotate(&[1, 9], at(-900))]);
        assert_eq!(node.held().len(), 1_000);
        assert_eq!(node.take(&records[1_001]).unwrap(), Receipt::Stored);
        assert!(is_incomplete());
        let scid = author.scid();
        let note = move |rows: &mut NamedRows<'_, '_>| rows.note_complete(&scid);
        wait(node.store.change_named(note)).unwrap();
        assert!(!is_incomplete());
    });
}

#[test]
fn one_refused_record_is_enough_to_note_the_author_as_incomplete() {
    let node = Node::in_memory();
    let author = known(&node);
    for n in 0..1_000 {
        let local = format!("r{n}");
        let record = proven(&author.record(&Version::of(&local, 1).by(9)));
        wait(node.store.admit(record, at(0), Some("peer".into()))).unwrap();
    }
    let is_incomplete = || {
        node.store
            .author(&author.scid())
            .unwrap()
            .unwrap()
            .is_incomplete
    };
    assert!(!is_incomplete());
    let one_more = node.take(&author.record(&Version::of("more", 1).by(9)));
    assert!(matches!(one_more, Err(IngestError::Full(_))));
    assert!(is_incomplete());
}

#[test]
fn a_sender_who_invents_authors_fills_its_own_room_and_nobody_elses() {
    let node = Node::in_memory();
    let mut parked = 0;
    for name in 10..21 {
        let author = Author::found(name, &[1], at(-1_000));
        let records = (0..999)
            .map(|n| {
                let local = format!("r{n}");
                proven(&author.record(&Version::of(&local, 1)))
            })
            .collect();
        let receipts =
            wait(
                node.store
                    .admit_all(offered(records), at(0), Some("liar".into()), None),
            )
            .unwrap();
        parked += receipts.iter().filter(|receipt| receipt.is_ok()).count();
    }
    assert_eq!(parked, 10_000);
    let author = Author::found(30, &[1], at(-1_000));
    let record = author.record(&Version::of("a", 1));
    assert!(matches!(
        node.take_from(&record, Some("liar")),
        Err(IngestError::Full(_))
    ));
    assert_eq!(
        node.take_from(&record, Some("honest")).unwrap(),
        Receipt::Parked
    );
    node.learn(&author.entries);
    assert!(is_listed(&node, &record));
    assert_eq!(node.store.parked().unwrap(), 10_000);
}

#[test]
fn log_entries_of_invented_authors_wait_within_a_bound() {
    let node = Node::in_memory();
    let mut author = Author::found(1, &[1], at(-1_000));
    author.follow_with(json!({}), at(-900));
    // Text that does not pack well, so that few entries fill the room.
    let mut chance = Chance::of(1);
    let text: Vec<String> = (0..60)
        .map(|_| {
            (0..900)
                .map(|_| format!("{:016x}", chance.number()))
                .collect()
        })
        .collect();
    let mut refused = 0;
    for n in 0..180_u8 {
        let mut tree = author.entries[1].tree().clone();
        let did = format!("did:webvh:{}:hub.example", Scid::of(&[n]));
        tree.insert("state".to_owned(), json!({ "id": did, "text": text }));
        let line = to_canonical(&Value::Object(tree));
        match wait(node.ingest.log_entry(&line, &WitnessProofs::empty())) {
            Ok(LogReceipt::Waiting) => {}
            Err(IngestError::Full(_)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0);
    // A log that comes in order needs no room to wait in.
    assert_eq!(node.learn(&author.entries), [LogReceipt::Grown; 2]);
    assert_eq!(node.store.authors().unwrap().len(), 1);
}

#[test]
fn a_fork_is_evidence_and_a_pin_changes_the_line_and_what_counts() {
    on_every_engine(|node| {
        let mut author = known(node);
        let mut thief = author.stolen(1, 1);
        let ours = author.rotate(&[1, 3], at(-900));
        let theirs = thief.rotate(&[4], at(-800));
        let kept = author.record(&Version::of("a", 1).by(3));
        let forged = author.record(&Version::of("a", 2).by(4));
        let plain = author.record(&Version::of("b", 1));
        assert_eq!(
            node.learn([&ours, &theirs]),
            [LogReceipt::Grown, LogReceipt::Forked]
        );
        let known = || node.store.author(&author.scid()).unwrap().unwrap();
        assert!(known().is_disputed && !known().is_pinned);
        node.take(&kept).unwrap();
        node.take(&plain).unwrap();
        assert_eq!(node.take(&forged).unwrap(), Receipt::Parked);
        assert_eq!(node.held().len(), 2);
        let pin = |entry: &LogEntry| {
            wait(
                node.store
                    .pin(author.scid(), entry.version_id(), at(0), |_| Ok(())),
            )
            .unwrap()
        };
        assert!(pin(&theirs));
        assert!(known().is_disputed && known().is_pinned);
        assert_eq!(node.held(), BTreeSet::from([forged.hash()]));
        // Back again: what the line lists is taken again, and stays within reach when days go by.
        assert!(pin(&ours));
        assert_eq!(node.held(), BTreeSet::new());
        assert!(is_retired(&node.take(&forged)) || node.take(&forged).unwrap() == Receipt::Parked);
        for record in [&kept, &plain] {
            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
            assert!(is_listed(node, record));
        }
        assert_log_is_whole(node);
        assert!(!pin(&Author::found(9, &[1], at(0)).entries[0]));
    });
}

#[test]
fn a_version_held_again_after_a_pin_is_found_by_its_hash_when_its_past_is_let_go() {
    let node = Node::in_memory();
    let mut author = known(&node);
    let mut thief = author.stolen(1, 1);
    let ours = author.rotate(&[1, 3], at(-900));
    let theirs = thief.rotate(&[4], at(-800));
    node.learn([&ours, &theirs]);
    let record = author.record(&Version::of("a", 1));
    let pin = |entry: &LogEntry, days: i64| {
        wait(node.store.pin(
            author.scid(),
            entry.version_id(),
            at(days * DAY),
            |_| Ok(()),
        ))
        .unwrap()
    };
    node.take(&record).unwrap();
    assert!(pin(&theirs, 0));
    assert!(pin(&ours, 0));
    // 60 days later another version of the slot is displaced, which lets old past rows go.
    let admit = |record: &Envelope, days: i64| {
        wait(node.store.admit(proven(record), at(days * DAY), None)).unwrap()
    };
    assert_eq!(admit(&record, 1), Receipt::Stored);
    assert!(is_listed(&node, &record));
    assert_eq!(
        admit(&author.record(&Version::of("a", 2)), 60),
        Receipt::Stored
    );
    assert!(pin(&theirs, 61));
    assert!(pin(&ours, 61));
    assert_eq!(admit(&record, 62), Receipt::Stored);
    assert!(is_listed(&node, &record));
    assert_eq!(
        admit(&author.record(&Version::of("a", 3).by(3)), 63),
        Receipt::Stored
    );
    assert!(is_listed(&node, &record));
}

#[test]
fn what_a_thief_overwrote_or_withdrew_is_handed_out_once_his_key_is_dropped_and_not_before() {
    on_every_engine(|node| {
        let mut author = known(node);
        let honest = [
            author.record(&Version::of("a", 1).saying("first")),
            author.record(&Version::of("a", 2).saying("second")),
            author.record(&Version::of("b", 1)),
        ];
        let stolen = [
            author.record(&Version::of("a", SEQ_MAX).saying("thief")),
            author.record(&Version::of("b", SEQ_MAX).withdrawn()),
        ];
        // All of it within one day.
        for record in honest.iter().chain(&stolen) {
            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
        }
        let past = |record: &Envelope| {
            let past = node.store.past_by_hash(&record.hash()).unwrap();
            past.map(|(_, row)| row.canonical().unwrap()) == Some(record.canonical().to_vec())
        };
        assert!(!honest.iter().any(past));
        let (listed, is_more) = node.store.history_of(&author.scid(), None, 100).unwrap();
        assert!(!is_more);
        let told: BTreeSet<_> = listed.iter().map(|version| version.row.rank.hash).collect();
        let all: BTreeSet<_> = honest.iter().chain(&stolen).map(Envelope::hash).collect();
        assert_eq!(told, all);

        let entry = author.rotate(&[2], at(-900));
        node.learn([&entry]);
        assert!(honest.iter().chain(&stolen).all(past));
        // They count no more than before: nobody can hold them as records again.
        assert!(is_retired(&node.take(&honest[0])));
        assert_eq!(node.held(), BTreeSet::new());
        // The author withdraws one of them itself: what it said is not handed out any longer.
        node.take(&author.record(&Version::of("b", 2).by(2).withdrawn()))
            .unwrap();
        assert!(past(&honest[1]) && !past(&honest[2]));
        assert_log_is_whole(node);
    });
}

#[test]
fn past_versions_are_kept_for_thirty_days_within_a_bound_and_the_first_of_a_day_longest() {
    let node = Node::in_memory();
    let author = known(&node);
    let admit = |seq: u64, day: i64| {
        let record = author.record(&Version::of("a", seq));
        let now = at(day * DAY);
        wait(node.store.admit(proven(&record), now, None)).unwrap();
    };
    let kept = || {
        let (versions, _) = node.store.history_of(&author.scid(), None, 1_000).unwrap();
        let mut seqs: Vec<u64> = versions
            .iter()
            .map(|version| version.row.rank.seq)
            .collect();
        seqs.sort_unstable();
        seqs
    };
    // A thief who publishes a hundred times in a day is not rid of what stood before.
    (1..=100).for_each(|seq| admit(seq, 0));
    assert_eq!(kept(), [1, 2, 3, 4, 100]);
    admit(101, 1);
    assert_eq!(kept(), [1, 2, 3, 4, 100, 101]);
    // Of days before yesterday one is left, of those more than thirty days ago none.
    admit(102, 2);
    assert_eq!(kept(), [1, 100, 101, 102]);
    admit(103, 32);
    assert_eq!(kept(), [101, 102, 103]);
}

#[test]
fn what_a_withdrawn_record_said_is_erased_after_thirty_days_and_its_numbers_stay() {
    on_every_engine(|node| {
        let mut author = known(node);
        let admit = |record: &Envelope, day: i64| {
            wait(node.store.admit(proven(record), at(day * DAY), None)).unwrap();
        };
        let first = author.record(&Version::of("a", 1));
        admit(&first, 0);
        admit(&author.record(&Version::of("a", 2)), 0);
        admit(&author.record(&Version::of("a", 3).withdrawn()), 5);
        // One that lives on, and one of which the key said two things.
        admit(&author.record(&Version::of("b", 1)), 0);
        admit(&author.record(&Version::of("b", 2)), 0);
        for says in ["x", "y"] {
            admit(&author.record(&Version::of("c", 1).saying(says)), 0);
        }
        admit(&author.record(&Version::of("c", 2).withdrawn()), 5);
        let told = |local: &str| -> Vec<(u64, bool)> {
            let history = node.store.history(&author.id(local)).unwrap();
            let told = history.iter();
            told.map(|row| (row.rank.seq, row.canonical().is_ok()))
                .collect()
        };
        let is_evident = || {
            let twins = node.store.records_with_twins(&author.scid(), 9).unwrap();
            !twins.is_empty()
        };
        assert_eq!(node.store.forget_past(at(30 * DAY)).unwrap(), 0);
        assert_eq!(told("a"), [(3, true), (2, true), (1, true)]);
        assert!(is_evident());

        assert_eq!(node.store.forget_past(at(31 * DAY)).unwrap(), 2);
        assert_eq!(told("a"), [(3, true), (2, true), (1, false)]);
        assert_eq!(told("b"), [(2, true)]);
        node.store.forget_past(at(36 * DAY)).unwrap();
        assert_eq!(told("a"), [(3, true), (2, false), (1, false)]);
        assert!(!is_evident());
        assert_eq!(node.store.forget_past(at(37 * DAY)).unwrap(), 0);
        // What is erased was about nothing, and stops nobody who tells of it.
        let was_about = topics::was_about(&node.store, "cyber", &author.id("a"));
        assert!(!was_about.unwrap());

        // It is gone for good, also once it could be handed out again.
        let entry = author.rotate(&[2], at(-900));
        node.learn([&entry]);
        node.take(&author.record(&Version::of("a", 4).by(2)))
            .unwrap();
        assert!(node.store.past_by_hash(&first.hash()).unwrap().is_none());
        assert_log_is_whole(node);
    });
}

#[test]
fn an_authors_history_is_told_in_pages_that_miss_nothing() {
    let node = Node::in_memory();
    let author = known(&node);
    for local in ["a", "a-1", "a.b", "b"] {
        for seq in 1..=3 {
            node.take(&author.record(&Version::of(local, seq))).unwrap();
        }
    }
    let mut told = Vec::new();
    let mut pages = 0;
    loop {
        let after = told
            .last()
            .map(|version: &baraza::store::Version| version.id.local.clone());
        let (page, is_more) = node
            .store
            .history_of(&author.scid(), after.as_ref(), 4)
            .unwrap();
        assert!(page.len() <= 6, "a page ends with the record under way");
        told.extend(page);
        pages += 1;
        if !is_more {
            break;
        }
    }
    let told: Vec<_> = told
        .iter()
        .map(|version| (version.id.local.as_str(), version.row.rank.seq))
        .collect();
    let locals: BTreeSet<_> = told.iter().map(|(local, _)| *local).collect();
    assert_eq!((told.len(), locals.len(), pages), (12, 4, 2), "{told:?}");
}

/// A `did-witness.json` with the approval of one witness over some entries.
fn approved(witness: u8, entries: &[&LogEntry]) -> WitnessProofs {
    let key = record_key(200, witness);
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut tree = Map::new();
            tree.insert(
                "versionId".to_owned(),
                entry.version_id().to_string().into(),
            );
            let signed = proof::sign(&tree, &key, &key.public().to_did_key_url(), at(0));
            json!({ "versionId": entry.version_id().to_string(), "proof": [signed] })
        })
        .collect();
    WitnessProofs::from_json(&list.into()).unwrap()
}

/// An author whose third and fourth entry need the approval of a witness.
fn witnessed() -> Author {
    let mut author = Author::found(1, &[1], at(-1_000));
    let id = format!("did:key:{}", record_key(200, 1).public());
    author.rotate(&[1, 2], at(-950));
    author.follow_with(
        json!({ "witness": { "threshold": 1, "witnesses": [{ "id": id }] } }),
        at(-900),
    );
    author.rotate(&[2], at(-800));
    author
}

#[test]
fn proofs_of_witnesses_count_in_whatever_order_they_and_the_entries_come() {
    let author = witnessed();
    let [first, second, third, fourth] = &author.entries[..] else {
        panic!("four entries");
    };
    // A proof over the last entry stands for the one before.
    let proofs = approved(1, &[fourth]);
    let none = WitnessProofs::empty();
    let orders: [&[(&LogEntry, &WitnessProofs)]; 5] = [
        &[
            (first, &none),
            (second, &none),
            (third, &none),
            (fourth, &proofs),
        ],
        &[
            (fourth, &proofs),
            (third, &none),
            (second, &none),
            (first, &none),
        ],
        &[
            (fourth, &none),
            (third, &none),
            (second, &none),
            (first, &proofs),
        ],
        &[
            (first, &none),
            (second, &none),
            (fourth, &proofs),
            (third, &proofs),
        ],
        &[
            (first, &none),
            (second, &none),
            (third, &none),
            (fourth, &none),
            (fourth, &proofs),
        ],
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let node = Node::in_memory();
        for (entry, proofs) in order {
            node.learn_with(entry, proofs);
        }
        let known = node.store.author(&author.scid()).unwrap().unwrap();
        assert_eq!(
            known.state.version_id(),
            fourth.version_id(),
            "order {number}"
        );
        assert!(node.store.witness_of(&author.scid()).unwrap().is_some());
        // Each entry stands once in the change log.
        let told: Vec<Vec<u8>> = node
            .changes(0, 3)
            .into_iter()
            .filter_map(|change| match change.what {
                What::Entry { entry, .. } => Some(entry),
                _ => None,
            })
            .collect();
        let distinct: BTreeSet<_> = told.iter().collect();
        assert_eq!((told.len(), distinct.len()), (4, 4), "order {number}");
    }
}

#[test]
fn proofs_of_witnesses_that_came_with_an_entry_dated_ahead_count_when_it_is_due() {
    let mut author = witnessed();
    let node = Node::in_memory();
    node.learn(&author.entries);
    let ahead = author.rotate(&[5], at(10 * DAY));
    let proofs = approved(1, &[&ahead]);
    assert_eq!(node.learn_with(&ahead, &proofs), LogReceipt::Waiting);
    assert_eq!(wait(node.store.admit_due(at(10 * DAY))).unwrap(), 1);
    let known = node.store.author(&author.scid()).unwrap().unwrap();
    assert_eq!(known.state.version_id(), ahead.version_id());
}

#[test]
fn an_own_change_that_would_have_to_wait_is_refused_and_the_next_one_forks_nothing() {
    let mut author = Author::found(1, &[1], at(-1_000));
    let node = Node::in_memory();
    node.learn(&author.entries);
    let before = author.clone();
    let ahead = author.rotate(&[2], at(10 * DAY));
    let refused = wait(node.store.learn_with(ahead, Vec::new(), at(0))).unwrap_err();
    assert!(refused.to_string().contains("clock"), "{refused}");
    // It is not kept for later, either.
    assert_eq!(wait(node.store.admit_due(at(10 * DAY))).unwrap(), 0);
    author = before;
    let now = author.rotate(&[3], at(1));
    let taken = wait(node.store.learn_with(now, Vec::new(), at(1))).unwrap();
    assert_eq!(taken, LogReceipt::Grown);
    assert!(
        !node
            .store
            .author(&author.scid())
            .unwrap()
            .unwrap()
            .is_disputed
    );
}

#[test]
fn followers_hear_of_proofs_that_came_after_the_entry() {
    let author = witnessed();
    let node = Node::in_memory();
    node.learn(&author.entries);
    let seen = node.store.last_change().unwrap();
    let last = author.entries.last().unwrap();
    node.learn_with(last, &approved(1, &[last]));
    let told = node.changes(seen, 10);
    assert!(
        told.iter().any(|change| matches!(
            &change.what,
            What::Entry { entry, .. } if *entry == last.to_canonical_bytes()
        )),
        "{told:?}"
    );
}

#[test]
fn a_follower_who_reads_while_others_publish_misses_nothing_and_sees_numbers_rise() {
    on_every_engine(|node| {
        let author = known(node);
        const THREADS: u64 = 4;
        const EACH: u64 = 60;
        let lines: Vec<Vec<Envelope>> = (0..THREADS)
            .map(|thread| {
                (0..EACH)
                    .map(|n| {
                        // Each second version displaces one of the same thread.
                        let local = format!("t{thread}-{}", n / 2);
                        author.record(&Version::of(&local, n + 1))
                    })
                    .collect()
            })
            .collect();
        let mut seen = BTreeSet::new();
        std::thread::scope(|scope| {
            let writers: Vec<_> = lines
                .iter()
                .map(|records| {
                    scope.spawn(move || {
                        for record in records {
                            assert_eq!(node.take(record).unwrap(), Receipt::Stored);
                        }
                    })
                })
                .collect();
            let mut read_to = 0;
            let mut is_last = false;
            loop {
                let before = read_to;
                let (changes, end) = node.store.changes(read_to, 5).unwrap();
                assert!(end >= read_to);
                for change in changes {
                    assert!(change.number > read_to, "a number came twice or too late");
                    read_to = change.number;
                    if let What::Held { row, .. } = change.what {
                        assert_eq!(row.change, change.number);
                        seen.insert(row.rank.hash);
                    }
                }
                assert!(read_to <= end);
                // Only a page with nothing in it is the end of the log.
                if end == before && is_last {
                    break;
                }
                is_last = writers
                    .iter()
                    .all(std::thread::ScopedJoinHandle::is_finished);
                read_to = end;
            }
        });
        assert!(node.held().is_subset(&seen));
        assert_eq!(node.held().len() as u64, THREADS * EACH / 2);
        assert_log_is_whole(node);
    });
}

#[test]
fn a_store_opened_again_is_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut author = Author::found(1, &[1, 2], at(-1_000));
    let open = || {
        let engine = Embedded::open(folder.path()).unwrap();
        Node::on(Arc::new(engine), Rules::decided()).unwrap()
    };
    let node = open();
    let epoch = node.store.epoch().to_owned();
    node.learn(&author.entries);
    let held = author.record(&Version::of("a", 1));
    let early = author.record(&Version::of("b", 1).by(3));
    let ahead = author.record(&Version::of("c", 1).issued(at(DAY)));
    for record in [&held, &early, &ahead] {
        node.take(record).unwrap();
    }
    wait(
        node.store
            .put_named("table", "name", Some(b"value".to_vec())),
    )
    .unwrap();
    let (last, told) = (node.store.last_change().unwrap(), node.told(0));
    drop(node);

    let node = open();
    assert_eq!(node.store.epoch(), epoch);
    assert_eq!(node.store.last_change().unwrap(), last);
    assert_eq!(node.told(0), told);
    assert_eq!(node.store.parked().unwrap(), 2);
    assert_eq!(
        node.store.named("table", "name").unwrap(),
        Some(b"value".to_vec())
    );
    assert_eq!(node.take(&held).unwrap(), Receipt::AlreadyHeld);
    node.learn([&author.rotate(&[1, 2, 3], at(-900))]);
    wait(node.store.admit_due(at(DAY))).unwrap();
    assert_eq!(
        node.held(),
        [held, early, ahead].iter().map(Envelope::hash).collect()
    );
    assert!(node.store.last_change().unwrap() > last);
    assert_log_is_whole(&node);
}

#[test]
fn an_epoch_stays_whatever_name_the_next_start_brings() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path(), "first".to_owned()).unwrap();
    assert_eq!(first.epoch(), "first");
    drop(first);
    assert_eq!(
        Store::open(folder.path(), "second".to_owned())
            .unwrap()
            .epoch(),
        "first"
    );
    let memory = Arc::new(Memory::default());
    let on = |epoch: &str| {
        let engine = Arc::clone(&memory) as Arc<dyn Engine>;
        Store::on(engine, epoch.to_owned(), Rules::decided()).unwrap()
    };
    assert_eq!(on("first").epoch(), "first");
    assert_eq!(on("second").epoch(), "first");
}

#[test]
fn y12_a_store_restored_from_an_old_copy_catches_up_and_brings_nothing_back() {
    let memory = Arc::new(Memory::default());
    let node = Node::on(Arc::clone(&memory) as Arc<dyn Engine>, Rules::decided()).unwrap();
    let peer = Node::in_memory();
    let author = known(&node);
    known(&peer);
    let [old, gone, changed] = [
        author.record(&Version::of("a", 1)),
        author.record(&Version::of("a", 2).withdrawn()),
        author.record(&Version::of("b", 1)),
    ];
    for node in [&node, &peer] {
        node.take(&old).unwrap();
    }
    let copy = memory.image();
    for node in [&node, &peer] {
        node.take(&gone).unwrap();
        node.take(&changed).unwrap();
    }
    drop(node);
    let restored = Node::on(Arc::new(copy), Rules::decided()).unwrap();
    for (from, to) in [(&restored, &peer), (&peer, &restored)] {
        for row in from.store.held(None) {
            let line = row.unwrap().1.canonical().unwrap();
            wait(to.ingest.record(&line, None)).unwrap();
        }
    }
    let expected = BTreeSet::from([gone.hash(), changed.hash()]);
    assert_eq!((restored.held(), peer.held()), (expected.clone(), expected));
}

#[test]
fn a_closed_store_takes_no_more_and_still_answers() {
    on_every_engine(|node| {
        let author = known(node);
        node.take(&author.record(&Version::of("a", 1))).unwrap();
        node.store.close();
        assert!(matches!(
            node.take(&author.record(&Version::of("a", 2))),
            Err(IngestError::Store(baraza::store::StoreError::Closed))
        ));
        assert_eq!(node.counting(&author.id("a")), Some((1, Status::Active)));
    });
}

#[test]
fn held_gives_each_record_in_order_for_one_author_or_all() {
    on_every_engine(|node| {
        let authors = [1, 2].map(|name| {
            let author = Author::found(name, &[1, 2, 3], at(-1_000));
            node.learn(&author.entries);
            author
        });
        for author in &authors {
            for (local, key) in [("b", 1), ("a", 2), ("a", 1), ("a.b", 3), ("ab", 1)] {
                let seq = u64::from(key);
                node.take(&author.record(&Version::of(local, seq).by(key)))
                    .unwrap();
            }
        }
        let all: Vec<_> = node.store.held(None).map(|row| row.unwrap().0).collect();
        assert_eq!(all.len(), 10);
        for author in &authors {
            let scid = author.scid();
            let of_one = node.store.held(Some(&scid)).map(|row| row.unwrap().0);
            let mut locals: Vec<_> = of_one.map(|id| id.local.as_str().to_owned()).collect();
            assert!(locals.is_sorted());
            locals.dedup();
            assert_eq!(locals, ["a", "a.b", "ab", "b"]);
        }
    });
}
