//! Publishes into a store from several threads and says on its standard output what was acknowledged,
//! until it is killed: `publish_until_killed FOLDER ROUND THREADS [COUNT]`.
//!
//! Lines are `seen NUMBER` (a follower read the change log up to there), `new LOCAL HASH` and
//! `hot LOCAL SEQ` (a record of the thread's own that has one version after another). With COUNT each
//! thread publishes so many and the process ends by itself.
#![allow(clippy::unwrap_used, reason = "a test's tool")]

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use baraza::store::{Receipt, Store};
use baraza_store_tests::{Author, Version, at, proven, wait};
use protocol::identity::WitnessProofs;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| -> Option<u64> { arguments.get(place)?.parse().ok() };
    let store = match Store::open(Path::new(&arguments[0]), "epoch".to_owned()) {
        Ok(store) => store,
        Err(error) => {
            say(&format!("refused {error}"));
            std::process::exit(1);
        }
    };
    let (round, threads) = (number(1).unwrap(), number(2).unwrap());
    let count = number(3).unwrap_or(u64::MAX);
    let author = Author::found(1, &[1], at(-1_000));
    let none = WitnessProofs::empty();
    wait(store.learn(author.entries[0].clone(), none, at(0))).unwrap();
    say("ready");

    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..threads)
            .map(|thread| {
                let (store, author) = (&store, &author);
                scope.spawn(move || publish(store, author, round, thread, count))
            })
            .collect();
        scope.spawn(|| follow(&store, &is_done));
        for publisher in publishers {
            publisher.join().unwrap();
        }
        is_done.store(true, Ordering::SeqCst);
    });
}

fn publish(store: &Store, author: &Author, round: u64, thread: u64, count: u64) {
    let hot = format!("hot-{thread}");
    let mut seq = store.highest_seq(&author.id(&hot)).unwrap();
    for n in 0..count {
        let local = format!("r{round}-t{thread}-{n}");
        let new = author.record(&Version::of(&local, 1));
        let receipt = wait(store.admit(proven(&new), at(0), None)).unwrap();
        assert_eq!(receipt, Receipt::Stored);
        say(&format!("new {local} {}", new.hash()));
        if n % 3 == 0 {
            seq += 1;
            let version = author.record(&Version::of(&hot, seq));
            let receipt = wait(store.admit(proven(&version), at(0), None)).unwrap();
            assert_eq!(receipt, Receipt::Stored);
            say(&format!("hot {hot} {seq}"));
        }
    }
}

/// Reads the change log as it grows. What it was shown must never be taken back.
fn follow(store: &Store, is_done: &AtomicBool) {
    let mut read_to = 0;
    while !is_done.load(Ordering::SeqCst) {
        let (_, end) = store.changes(read_to, 500).unwrap();
        if end == read_to {
            std::thread::yield_now();
        } else {
            say(&format!("seen {end}"));
            read_to = end;
        }
    }
}

/// One whole line in one write, so that a kill leaves no half of it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
