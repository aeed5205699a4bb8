//! Rows that are not what was written are found, served to nobody, and put right by whoever has the record.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use baraza::store::Offered;
use baraza::store::engine::{Batch, Engine, Memory};
use baraza_store_tests::{Author, Node, Version, at, proven, wait};
use protocol::acceptance::Rules;

/// Bytes of a row that say when the record came here: nobody else's copy has them.
const RECEIVED: std::ops::Range<usize> = 18..26;

#[test]
fn d04_a_record_with_one_bit_turned_anywhere_is_named_not_served_and_mended() {
    let engine = Arc::new(Memory::default());
    let node = Node::on(Arc::clone(&engine) as Arc<dyn Engine>, Rules::decided()).unwrap();
    let author = Author::found(1, &[1], at(-1_000));
    node.learn([&author.entries[0]]);
    let records: Vec<_> = (1..=3)
        .map(|n| author.record(&Version::of(&format!("r-{n}"), n)))
        .collect();
    for record in &records {
        node.take(record).unwrap();
    }
    let id = author.id("r-2");
    let scan = || node.store.scan(&|_| {}).unwrap();
    assert!(scan().rotten.is_empty());
    let all_held = || node.held().len();
    let row = engine
        .range(b"R", b"S")
        .map(Result::unwrap)
        .find(|(key, _)| String::from_utf8_lossy(key).contains("r-2"));
    let (key, whole) = row.unwrap();
    let mut found = 0;
    for (at_byte, bit) in (0..whole.len()).zip((0..8).cycle()) {
        if RECEIVED.contains(&at_byte) {
            continue;
        }
        let row_before = engine.get(&key).unwrap().unwrap();
        let mut damaged = row_before.clone();
        damaged[at_byte] ^= 1 << bit;
        engine
            .commit(&Batch::from([(key.clone(), Some(damaged))]))
            .unwrap();
        if scan().rotten.is_empty() {
            // A bit of the packing that says nothing: what comes out is what was signed.
            let row = node.store.counting(&id).unwrap().unwrap();
            assert_eq!(
                row.canonical().unwrap(),
                records[1].canonical(),
                "byte {at_byte}"
            );
            assert_eq!(row.rank.seq, 2);
            engine
                .commit(&Batch::from([(key.clone(), Some(row_before))]))
                .unwrap();
            continue;
        }
        assert_eq!(
            scan().rotten,
            BTreeSet::from([id.clone()]),
            "byte {at_byte}"
        );
        found += 1;
        // Nobody is given other bytes than those that were signed.
        if let Ok(Some(row)) = node.store.counting(&id)
            && let Ok(bytes) = row.canonical()
        {
            assert_eq!(bytes, records[1].canonical());
        }
        wait(node.store.note_rotten(&scan().rotten)).unwrap();
        assert!(node.store.noted_rotten().unwrap().iter().eq([&id]));
        let offered = Offered::new(proven(&records[1])).unwrap();
        assert!(wait(node.store.mend(offered, at(0))).unwrap());
        assert!(scan().rotten.is_empty(), "byte {at_byte}");
        assert!(node.store.noted_rotten().unwrap().is_empty());
        assert_eq!(node.counting(&id).unwrap().0, 2);
        assert_eq!(all_held(), 3);
        // A follower who reads the log from its start is told of each version once.
        let told = node.told(0);
        let hashes: BTreeSet<_> = told.iter().copied().collect();
        assert_eq!((told.len(), hashes), (3, node.held()), "byte {at_byte}");
    }
    assert!(found > 200, "{found}");
    // What is whole stays as it is.
    let offered = Offered::new(proven(&records[0])).unwrap();
    assert!(!wait(node.store.mend(offered, at(0))).unwrap());
}
