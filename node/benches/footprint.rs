//! What a node costs as it grows: memory, disk, start, and how fast it takes records in:
//! `cargo bench --bench footprint`.
//!
//! The real program, in a process of its own, follows a peer. At each size it is asked 1,000 searches
//! over HTTP, stopped, started, killed, started again, backed up while it runs, restored in another folder,
//! and its index is filled anew. Before it is asked it rests, and its store is written anew as a node at
//! rest does by itself after a minute. Memory is RssAnon: what is neither files nor shared.
//! Prints one JSON line. `BARAZA_BENCH_SIZES` names the sizes (0,100000,1000000);
//! `BARAZA_BENCH_FOLDER` is where its folder is made.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::corpus::{Asked, Corpus};
use support::peer::Pages;
use support::process::Process;
use support::{Times, seconds};

const PORTS: [u16; 2] = [9_473, 9_474];
const SEARCHES: usize = 1_000;
const STARTS: usize = 3;
/// Records that are signed at a time.
const PART: usize = 20_000;
/// After which a node that has nothing to do has given back what it worked with.
const REST: Duration = Duration::from_secs(15);
/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);

fn main() {
    let sizes = support::settings("BARAZA_BENCH_SIZES", &[0, 100_000, 1_000_000]);
    let folder = match std::env::var_os("BARAZA_BENCH_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let corpus = Corpus::new();
    let asked = corpus.asked(SEARCHES);
    let pages = Pages::default();
    pages.add(&corpus.entries(), &[]);
    pages.publish();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(pages.clone().serve(PORTS[0]));
    let mut node = Process::make(&folder.path().join("node"), PORTS[1], PORTS[0]);
    let points = runtime.block_on(async {
        node.start().await;
        node.run(&["follow", &format!("http://127.0.0.1:{}", PORTS[0])]);
        let (mut points, mut held, mut signed_bytes) = (Vec::new(), 0, 0);
        for size in sizes {
            eprintln!("{size} records");
            let mut pace = json!(null);
            if size > held {
                let grown = grow(&node, &corpus, &pages, held..size).await;
                signed_bytes += grown.bytes;
                pace = json!(((size - held) as f64 / grown.time.as_secs_f64()).round());
                held = size;
            }
            let mut point = measure(&mut node, &asked, signed_bytes).await;
            point["records"] = json!(held);
            point["records_per_second"] = pace;
            eprintln!("{point}");
            points.push(point);
        }
        points
    });
    println!(
        "{}",
        json!({
            "benchmark": "footprint", "words": corpus.words.source, "vocabulary": corpus.words.count(),
            "searches": SEARCHES, "points": points,
        })
    );
}

struct Grown {
    bytes: u64,
    time: Duration,
}

/// Lets the node take in records until all are found.
async fn grow(
    node: &Process,
    corpus: &Corpus,
    pages: &Pages,
    numbers: std::ops::Range<usize>,
) -> Grown {
    // All are signed before any is given: to sign takes the cores that the node needs.
    let mut bytes = 0;
    for start in numbers.clone().step_by(PART) {
        let records = corpus.sign(start..numbers.end.min(start + PART));
        bytes += records
            .iter()
            .map(|record| record.len() as u64)
            .sum::<u64>();
        pages.add(&[], &records);
    }
    eprintln!("signed");
    let start = Instant::now();
    pages.publish();
    while node.found().await < numbers.end {
        tokio::time::sleep(LOOK).await;
    }
    Grown {
        bytes,
        time: start.elapsed(),
    }
}

async fn measure(node: &mut Process, asked: &[Asked], signed_bytes: u64) -> Value {
    let grown_memory = node.anonymous_memory();
    tokio::time::sleep(REST).await;
    let grown_store = node.disk("data/store");
    let start = Instant::now();
    // It may be doing so by itself just now.
    while !node.does(&["compact"]) {
        tokio::time::sleep(LOOK).await;
    }
    let compact = start.elapsed();
    tokio::time::sleep(REST).await;
    let times = search(node, asked).await;
    let searched_memory = node.anonymous_memory();
    let (store, index) = (node.disk("data/store"), node.disk("data/index"));
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        node.stop();
        starts.push(node.start().await);
    }
    search(node, asked).await;
    let started_memory = node.anonymous_memory();
    node.kill();
    let killed_start = node.start().await;
    let backup = node.backup();
    node.stop();
    let restore = node.restore_beside();
    let start = Instant::now();
    node.run(&["reindex"]);
    let reindex = start.elapsed();
    let index_anew = node.disk("data/index");
    node.start().await;
    let ratio = |bytes: u64| {
        (signed_bytes > 0).then(|| support::rounded(bytes as f64 / signed_bytes as f64))
    };
    json!({
        "signed_bytes": signed_bytes, "store_bytes": store, "index_bytes": index,
        "store_grown_bytes": grown_store, "store_grown_ratio": ratio(grown_store),
        "compact_seconds": seconds(compact),
        "disk_ratio": ratio(store + index), "store_ratio": ratio(store), "index_ratio": ratio(index),
        "index_anew_bytes": index_anew,
        "memory_after_growth_bytes": grown_memory, "memory_after_searches_bytes": searched_memory,
        "memory_started_and_searched_bytes": started_memory,
        "http_search_p50_ms": times.percentile(50), "http_search_p99_ms": times.percentile(99),
        "start_seconds": seconds(*starts.iter().min().unwrap()),
        "start_after_kill_seconds": seconds(killed_start),
        "reindex_seconds": seconds(reindex),
        "backup_seconds": seconds(backup.time), "backup_bytes": backup.bytes,
        "restore_seconds": seconds(restore),
    })
}

async fn search(node: &Process, asked: &[Asked]) -> Times {
    let mut times = Times::default();
    for asked in asked {
        let words = asked.words.join("+");
        let path = format!(
            "/api/v1/search?q={words}&area={}&country={}",
            asked.area, asked.country
        );
        let start = Instant::now();
        node.get(&path).await;
        times.add(start.elapsed());
    }
    times
}
