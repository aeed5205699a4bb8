//! How long a backup takes, how much memory, and how long it keeps writers waiting. To be run by hand:
//! `BARAZA_RECORDS=1000000 cargo test --release -p baraza-store-tests --test measure_backup -- --ignored --nocapture`
#![allow(clippy::unwrap_used, reason = "tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement reads the clock, and how much to measure is chosen outside"
)]

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use baraza::backup::{self, Includes, Manifest};
use baraza::config::Config;
use baraza::store::{Offered, SCHEMA, Store};
use baraza_store_tests::{Author, Version, at, proven, wait};
use protocol::identity::WitnessProofs;

/// Kilobytes, by its name in the process's status.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn fill(store: &Store, author: &Author, records: u64) {
    let none = WitnessProofs::empty();
    wait(store.learn(author.entries[0].clone(), none, at(0))).unwrap();
    let says = "Digital capacity for public administrations, in six modules. ".repeat(12);
    let numbers: Vec<u64> = (0..records).collect();
    std::thread::scope(|scope| {
        for part in numbers.chunks(numbers.len().div_ceil(2)) {
            let says = &says;
            scope.spawn(move || {
                for chunk in part.chunks(1_000) {
                    let offered = chunk.iter().map(|n| {
                        let says = format!("{n} {says} {}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                        let version = Version::of("x", 1).saying(&says);
                        let local = format!("record-{n}");
                        let version = Version {
                            local: &local,
                            ..version
                        };
                        Offered::new(proven(&author.record(&version))).unwrap()
                    });
                    wait(store.admit_all(offered.collect(), at(0), None, None)).unwrap();
                }
            });
        }
    });
}

/// The slowest of the writes, one after another, until it is over; and how many there were.
fn slowest_write(
    store: &Store,
    author: &Author,
    what: &str,
    is_over: &AtomicBool,
) -> (Duration, u64) {
    let (mut slowest, mut count) = (Duration::ZERO, 0);
    while !is_over.load(SeqCst) {
        let local = format!("{what}-{count}");
        let record = proven(&author.record(&Version::of(&local, 1)));
        let start = Instant::now();
        wait(store.admit(record, at(0), None)).unwrap();
        slowest = slowest.max(start.elapsed());
        count += 1;
    }
    (slowest, count)
}

#[test]
#[ignore = "a measurement"]
fn a_backup_of_many_records_while_others_write() {
    let records = std::env::var("BARAZA_RECORDS").map_or(20_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("node");
    fs::create_dir_all(dir.join("keys")).unwrap();
    let settings = "name = \"Measured\"\nurl = \"https://hub.example\"\n";
    fs::write(dir.join("baraza.toml"), settings).unwrap();
    fs::write(dir.join("keys/node.key"), "not a key").unwrap();
    let config = Config::load(&dir).unwrap();
    let store = Store::open(&config.store_folder(), "first".to_owned()).unwrap();
    let author = Author::found(1, &[1], at(-1_000));
    let start = Instant::now();
    fill(&store, &author, records);
    println!(
        "{records} records in {:.1?}, {} MB on disk",
        start.elapsed(),
        store.size_on_disk().unwrap() >> 20
    );

    let is_over = AtomicBool::new(false);
    let target = folder.path().join("backup");
    let manifest = Manifest {
        software: "a measurement".to_owned(),
        created: at(0).to_string(),
        did: author.did().to_string(),
        name: "Measured".to_owned(),
        url: "https://hub.example".to_owned(),
        schema: SCHEMA,
        epoch: "first".to_owned(),
        includes: Includes::All,
    };
    let (store, author, over) = (&store, &author, &is_over);
    std::thread::scope(|scope| {
        let alone = scope.spawn(move || slowest_write(store, author, "alone", over));
        std::thread::sleep(Duration::from_secs(5));
        is_over.store(true, SeqCst);
        let (slowest, count) = alone.join().unwrap();
        println!("alone: {count} writes, the slowest took {slowest:.1?}");
        is_over.store(false, SeqCst);
        let before = memory("VmRSS");
        let beside = scope.spawn(move || slowest_write(store, author, "beside", over));
        let start = Instant::now();
        let taken =
            backup::take(store, &config, manifest, BTreeSet::new(), &target, |_| {}).unwrap();
        let took = start.elapsed();
        is_over.store(true, SeqCst);
        let (slowest, count) = beside.join().unwrap();
        println!(
            "backup: {took:.1?}, {} MB, {} rows; beside it {count} writes, the slowest took {slowest:.1?}; memory {} MB before, {} MB at most",
            taken.bytes >> 20,
            taken.seal.rows,
            before >> 10,
            memory("VmHWM") >> 10
        );
    });
    let restored = folder.path().join("restored");
    let start = Instant::now();
    let made = backup::restore(&target, &restored, "second".to_owned(), |_, _| {}).unwrap();
    println!(
        "restore: {:.1?}, state {}",
        start.elapsed(),
        made.seal.state_hash
    );
    let size = Store::open(&Config::store_in(&restored), "third".to_owned()).unwrap();
    println!(
        "{} MB on disk after it, {} before",
        size.size_on_disk().unwrap() >> 20,
        store.size_on_disk().unwrap() >> 20
    );
}
