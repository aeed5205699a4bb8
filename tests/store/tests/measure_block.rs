//! How long blocking an author of many records keeps others waiting that write. To be run by hand:
//! `BARAZA_RECORDS=100000 cargo test --release -p baraza-store-tests --test measure_block -- --ignored --nocapture`
#![allow(clippy::unwrap_used, reason = "tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, and how much to measure is chosen outside"
)]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use baraza::store::{NamedRows, Offered, Store, StoreError};
use baraza_store_tests::{Author, Version, at, proven, wait};
use protocol::identity::WitnessProofs;

fn fill(store: &Store, author: &Author, records: u64) {
    let says = "Digital capacity for public administrations, in six modules. ".repeat(12);
    let numbers: Vec<u64> = (0..records).collect();
    for chunk in numbers.chunks(1_000) {
        let offered = chunk.iter().map(|n| {
            let local = format!("record-{n}");
            let version = Version::of(&local, 1).saying(&says);
            Offered::new(proven(&author.record(&version))).unwrap()
        });
        wait(store.admit_all(offered.collect(), at(0), None, None)).unwrap();
    }
}

/// How long the slowest write took while `work` went on, and that itself.
fn beside<T>(store: &Store, author: &Author, work: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (mut slowest, mut seq) = (Duration::ZERO, 1);
            while !is_over.load(SeqCst) {
                let record = proven(&author.record(&Version::of("hot", seq)));
                let start = Instant::now();
                wait(store.admit(record, at(0), None)).unwrap();
                slowest = slowest.max(start.elapsed());
                seq += 1;
            }
            slowest
        });
        let start = Instant::now();
        let done = work();
        let took = start.elapsed();
        is_over.store(true, SeqCst);
        (done, took, writing.join().unwrap())
    })
}

#[test]
#[ignore = "a measurement"]
fn blocking_an_author_of_many_records_while_another_writes() {
    let records = std::env::var("BARAZA_RECORDS").map_or(20_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), "first".to_owned()).unwrap();
    let [large, other] = [1, 2].map(|seed| Author::found(seed, &[seed], at(-1_000)));
    for author in [&large, &other] {
        let none = WitnessProofs::empty();
        wait(store.learn(author.entries[0].clone(), none, at(0))).unwrap();
    }
    let start = Instant::now();
    fill(&store, &large, records);
    println!("{records} records in {:.1?}", start.elapsed());
    let scid = *large.did().scid();
    for (what, row) in [("blocking", Some(b"why".to_vec())), ("unblocking", None)] {
        let put = move |rows: &mut NamedRows<'_, '_>| rows.block_author(&scid, row);
        let work = || {
            wait(store.change_named::<_, StoreError>(put))?;
            wait(store.look_again())
        };
        let (done, took, slowest) = beside(&store, &other, work);
        done.unwrap();
        println!("{what}: {took:.2?}; the slowest write beside it: {slowest:.2?}");
    }
}
