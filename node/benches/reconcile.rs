//! Two nodes that find out what differs: messages and bytes beside the records themselves, and what the
//! sets cost: `cargo bench --bench reconcile`.
//!
//! Two stores on disk share their records, dated over the years, and each has some recent ones that the
//! other lacks. They compare, give each other what is missing, and compare again.
//! Prints one JSON line. `BARAZA_BENCH_RECORDS` sets how many they share (100,000),
//! `BARAZA_BENCH_DIFFERING` how many each has alone (500).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baraza::clock::{Clock as _, SystemClock};
use baraza::ingest::Ingest;
use baraza::sets::{Member, Sets, Talk};
use baraza::store::Store;
use protocol::id::VersionHash;
use protocol::identity::WitnessProofs;
use protocol::sync::SetName;
use serde_json::json;

use support::corpus::Corpus;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Between the dates of two records.
const STEP_SECONDS: i64 = 600;
/// Records that are taken in at a time.
const BATCH: usize = 2_500;

fn main() {
    let shared = support::setting("BARAZA_BENCH_RECORDS", 100_000);
    let differing = support::setting("BARAZA_BENCH_DIFFERING", 500);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let corpus = Corpus::new();
    let open = |name: &str| runtime.block_on(Side::open(&folder.path().join(name), &corpus));
    let (here, there) = (open("here"), open("there"));
    let now = SystemClock.now();
    let sign = |number: usize, ago: usize| {
        corpus.sign_at(number, now.plus_seconds(-STEP_SECONDS * ago as i64))
    };
    for first in (0..shared).step_by(BATCH) {
        let batch = first..shared.min(first + BATCH);
        let records: Vec<Vec<u8>> = batch.map(|number| sign(number, shared - number)).collect();
        runtime.block_on(here.take(records.clone()));
        runtime.block_on(there.take(records));
    }
    let own = |from: usize| (0..differing).map(move |n| (shared + from + n, n));
    let alone = |from| own(from).map(|(number, ago)| sign(number, ago)).collect();
    runtime.block_on(here.take(alone(0)));
    runtime.block_on(there.take(alone(differing)));

    let start = Instant::now();
    here.sets.now().unwrap();
    let read = start.elapsed();
    there.sets.now().unwrap();
    let differ = compare(&here, &there);
    let back = compare(&there, &here);
    assert_eq!(
        (differ.lacking.len(), back.lacking.len()),
        (differing, differing)
    );
    runtime.block_on(here.take(there.give(&differ.lacking)));
    runtime.block_on(there.take(here.give(&back.lacking)));
    let start = Instant::now();
    here.sets.now().unwrap();
    let taken_up = start.elapsed();
    let equal = compare(&here, &there);
    assert_eq!((equal.lacking.len(), equal.messages), (0, 1));
    println!(
        "{}",
        json!({
            "benchmark": "reconcile", "records": shared, "differing_each": differing,
            "is_optimised": !cfg!(debug_assertions),
            "messages": differ.messages, "bytes": differ.bytes,
            "slowest_answer_ms": support::milliseconds(differ.slowest),
            "equal_messages": equal.messages, "equal_bytes": equal.bytes,
            "equal_answer_ms": support::milliseconds(equal.slowest),
            "sets_read_s": support::seconds(read),
            "sets_taken_up_ms": support::milliseconds(taken_up),
            "memory_bytes_a_record": size_of::<Member>(),
        })
    );
}

/// One of the two.
struct Side {
    store: Arc<Store>,
    door: Ingest,
    sets: Sets,
}

impl Side {
    async fn open(folder: &Path, corpus: &Corpus) -> Self {
        let store = Arc::new(Store::open(folder, "bench".to_owned()).unwrap());
        let door = Ingest::new(Arc::clone(&store), Arc::new(SystemClock));
        let none = WitnessProofs::empty();
        for entry in corpus.entries() {
            let line = entry.to_canonical_bytes();
            door.log_entry(&line, &none).await.unwrap();
        }
        Self {
            sets: Sets::new(Arc::clone(&store)),
            store,
            door,
        }
    }

    async fn take(&self, records: Vec<Vec<u8>>) {
        let receipts = self.door.records(records, None, []).await.unwrap();
        assert!(receipts.iter().all(Result::is_ok));
    }

    fn give(&self, hashes: &[VersionHash]) -> Vec<Vec<u8>> {
        let row = |hash| self.store.by_hash(hash).unwrap().unwrap().1;
        hashes
            .iter()
            .map(|hash| row(hash).canonical().unwrap())
            .collect()
    }
}

/// What a comparison came to.
struct Compared {
    messages: usize,
    /// Of messages and answers.
    bytes: usize,
    slowest: Duration,
    lacking: Vec<VersionHash>,
}

fn compare(asks: &Side, answers: &Side) -> Compared {
    let own = Arc::clone(asks.sets.now().unwrap().records());
    let (mut talk, mut message) = Talk::begin(own).unwrap();
    let mut compared = Compared {
        messages: 0,
        bytes: 0,
        slowest: Duration::ZERO,
        lacking: Vec::new(),
    };
    loop {
        let start = Instant::now();
        let said = answers.sets.answer(&SetName::Records, &message).unwrap();
        compared.slowest = compared.slowest.max(start.elapsed());
        compared.bytes += message.len() + said.message.len();
        let heard = talk.hear(&said.message).unwrap();
        compared.lacking.extend(heard.lacking);
        compared.messages = talk.rounds();
        match heard.reply {
            Some(reply) => message = reply,
            None => return compared,
        }
    }
}
