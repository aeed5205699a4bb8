//! Bulk ingest from a peer against the sum of its parts, in one run: `cargo bench --bench ingest`.
//!
//! The whole: a node follows another over loopback until every record is verified, durable and found.
//! The other's pages are read from it before and given from memory: what a peer does to write them is
//! no part of taking them in.
//! The parts, each alone on the same bytes, with both cores and at the best of three batch sizes:
//! checking the records, writing the bytes to bare sled, adding the documents to bare tantivy. The
//! whole, too, is the best of three runs, and they take turns: what else the machine does meanwhile
//! counts for neither.
//! Prints one JSON line. `BARAZA_BENCH_RECORDS` sets how many records (100,000), `BARAZA_BENCH_ROUNDS` how
//! many rounds, each with a batch size of its own (3; no more).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Query;
use baraza::clock::{Clock as _, SystemClock};
use baraza::config::{Config, Federation, Hosting, Publishing, Settings};
use baraza::node::Node;
use baraza::search::{Document, Index, WriterBudget};
use protocol::envelope::Envelope;
use protocol::identity::write::{Change, Place, create};
use protocol::identity::{LogEntry, WitnessProofs, key_hash};
use protocol::key::{PublicKey, SecretKey};
use protocol::record::Draft;
use protocol::sync::{Cursor, Line};
use serde_json::json;
use support::seconds;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AUTHORS: usize = 100;
const CORES: usize = 2;

fn main() {
    let count = support::setting("BARAZA_BENCH_RECORDS", 100_000);
    let rounds = support::setting("BARAZA_BENCH_ROUNDS", 3).clamp(1, 3);
    let folder = tempfile::tempdir().unwrap();
    eprintln!("making {count} records");
    let (entries, records) = make(count);
    let bytes: usize = records.iter().map(Vec::len).sum();

    let signatures = check_signatures(&records);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut verify, mut sled, mut tantivy, mut wholes) = (vec![], vec![], vec![], vec![]);
    for (round, [to_check, to_write, to_index]) in [
        [512, 1_024, 50_000],
        [4_096, 4_096, 100_000],
        [64, 256, 10_000],
    ]
    .into_iter()
    .take(rounds)
    .enumerate()
    {
        eprintln!("round {round}: the parts");
        verify.push(check(&records, to_check));
        sled.push(write_sled(folder.path(), &records, to_write));
        tantivy.push(index(folder.path(), &records, to_index));
        eprintln!("round {round}: the whole");
        let folder = folder.path().join(format!("whole-{round}"));
        wholes.push(runtime.block_on(follow(&folder, entries.clone(), &records)));
    }
    let [verify, sled, tantivy] =
        [&verify, &sled, &tantivy].map(|costs| *costs.iter().min().unwrap());
    let Whole {
        found: whole,
        durable,
    } = *wholes.iter().min_by_key(|whole| whole.found).unwrap();

    let sum = Cost {
        wall: verify.wall + sled.wall + tantivy.wall,
        cores: verify.cores + sled.cores + tantivy.cores,
    };
    let ratio =
        |whole: Duration, sum: Duration| support::rounded(whole.as_secs_f64() / sum.as_secs_f64());
    println!(
        "{}",
        json!({
            "benchmark": "ingest", "records": count, "bytes": bytes,
            "signatures_seconds": seconds(signatures), "verify_seconds": seconds(verify.wall),
            "sled_seconds": seconds(sled.wall), "tantivy_seconds": seconds(tantivy.wall),
            "sum_seconds": seconds(sum.wall), "whole_seconds": seconds(whole.wall),
            "whole_seconds_each": wholes.iter().map(|whole| seconds(whole.found.wall)).collect::<Vec<_>>(),
            "records_per_second": (count as f64 / whole.wall.as_secs_f64()).round(),
            "durable_seconds": seconds(durable),
            "durable_per_second": (count as f64 / durable.as_secs_f64()).round(),
            "ratio": ratio(whole.wall, sum.wall),
            "sum_core_seconds": seconds(sum.cores), "whole_core_seconds": seconds(whole.cores),
            "core_ratio": ratio(whole.cores, sum.cores),
        })
    );
}

/// Time by the clock, and time of all cores: the latter counts where others use the machine, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    wall: Duration,
    cores: Duration,
}

/// Until every record is found, and until every record is verified and durable: the index follows.
#[derive(Clone, Copy)]
struct Whole {
    found: Cost,
    durable: Duration,
}

struct Costing(Instant, Duration);

impl Costing {
    fn start() -> Self {
        Self(Instant::now(), cores_used())
    }

    fn end(&self) -> Cost {
        Cost {
            wall: self.0.elapsed(),
            cores: cores_used().saturating_sub(self.1),
        }
    }
}

/// What this process has used of all cores, in steps of 10 ms (proc(5)).
fn cores_used() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Records of some 1.5 kB, from words that repeat as words do.
fn make(count: usize) -> (Vec<LogEntry>, Vec<Vec<u8>>) {
    let now = SystemClock.now();
    let authors: Vec<(LogEntry, SecretKey)> = (0..AUTHORS)
        .map(|author| {
            let seed = |kind: u8| {
                SecretKey::from_seed(&[kind, author as u8].repeat(16).try_into().unwrap())
            };
            let change = Change {
                place: Place::new("hub.example", None, &["orgs", &format!("a{author}")]).unwrap(),
                record_keys: [seed(1).public()].into(),
                next_key_hashes: [key_hash(&seed(2).public())].into(),
                also_known_as: Vec::new(),
                services: Vec::new(),
            };
            (create(&change, &seed(3), now).unwrap(), seed(1))
        })
        .collect();
    let records = std::thread::scope(|scope| {
        let authors = &authors;
        let parts: Vec<_> = (0..CORES)
            .map(|core| {
                scope.spawn(move || {
                    (core..count)
                        .step_by(CORES)
                        .map(|number| {
                            let (entry, key) = &authors[number % AUTHORS];
                            sign(entry, key, number, now)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    });
    (
        authors.into_iter().map(|(entry, _)| entry).collect(),
        records,
    )
}

fn sign(
    entry: &LogEntry,
    key: &SecretKey,
    number: usize,
    now: protocol::time::Timestamp,
) -> Vec<u8> {
    let mut chance = number as u64;
    let mut word = || {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Squared, so that some words are common and most are rare.
        let share = ((chance >> 33) as f64 / (1u64 << 31) as f64).powi(2);
        format!("w{:x}", (share * 20_000.0) as u32)
    };
    let mut text = |words: usize| (0..words).map(|_| word()).collect::<Vec<_>>().join(" ");
    let areas = ["cyber", "policy", "data-ai", "connectivity"];
    let countries = ["KE", "SN", "BD", "EG", "FJ", "PE", "TN", "RW"];
    let draft = json!({
        "type": "Offering", "localId": format!("r{number}"), "language": "en",
        "body": {
            "kind": "course", "name": {"en": text(6)}, "summary": {"en": text(25)}, "description": {"en": text(80)},
            "url": format!("https://example.org/courses/{number}"), "areas": [areas[number % 4]],
            "countries": [countries[number % 8]], "languages": ["en"], "audiences": ["civil-servants"],
            "cost": {"kind": "free"}, "modes": ["online-self"],
        },
    });
    let draft = Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
    draft
        .sign(entry.did(), 1, now, key)
        .unwrap()
        .canonical()
        .to_vec()
}

/// Work shared between the cores.
fn on_all_cores<T: Sync>(work: &[T], run: impl Fn(&[T]) + Sync) -> Cost {
    let start = Costing::start();
    std::thread::scope(|scope| {
        for part in work.chunks(work.len().div_ceil(CORES)) {
            let run = &run;
            scope.spawn(move || run(part));
        }
    });
    start.end()
}

/// The curve alone: what no implementation can be under.
fn check_signatures(records: &[Vec<u8>]) -> Duration {
    let inputs: Vec<([u8; 64], PublicKey, [u8; 64])> = records
        .iter()
        .take(4_000)
        .map(|record| {
            let envelope = Envelope::parse(record).unwrap();
            let key = SecretKey::from_seed(&[9; 32]);
            let input: [u8; 64] = *envelope.hash().as_digest().repeat(2).first_chunk().unwrap();
            (input, key.public(), key.sign(&input))
        })
        .collect();
    let time = on_all_cores(&inputs, |part| {
        for (input, key, signature) in part {
            assert!(key.verifies(input, signature));
        }
    });
    time.wall
        .mul_f64(records.len() as f64 / inputs.len() as f64)
}

fn check(records: &[Vec<u8>], batch: usize) -> Cost {
    on_all_cores(records, |part| {
        for batch in part.chunks(batch) {
            for record in batch {
                Envelope::parse(record).unwrap().prove().unwrap();
            }
        }
    })
}

fn write_sled(folder: &Path, records: &[Vec<u8>], batch: usize) -> Cost {
    let folder = folder.join(format!("sled-{batch}"));
    let start = Costing::start();
    let rows = sled::Config::new()
        .path(&folder)
        .cache_capacity(64 << 20)
        .flush_every_ms(None)
        .open()
        .unwrap();
    let file = std::fs::File::open(folder.join("db")).unwrap();
    for (number, part) in records.chunks(batch).enumerate() {
        let mut changes = sled::Batch::default();
        for (place, record) in part.iter().enumerate() {
            changes.insert(
                &((number * batch + place) as u64).to_be_bytes(),
                record.as_slice(),
            );
        }
        rows.apply_batch(changes).unwrap();
        rows.flush().unwrap();
        file.sync_data().unwrap();
    }
    let time = start.end();
    drop(rows);
    std::fs::remove_dir_all(&folder).unwrap();
    time
}

fn index(folder: &Path, records: &[Vec<u8>], batch: usize) -> Cost {
    let folder = folder.join(format!("index-{batch}"));
    let mut documents: Vec<Document> = records
        .iter()
        .map(|record| {
            let tree = serde_json::from_slice(record).unwrap();
            Document::of(&protocol::envelope::Header::read(&tree).unwrap(), &tree).unwrap()
        })
        .collect();
    let index = Index::create_fresh(&folder).unwrap();
    let mut writer = index.writer(WriterBudget::default()).unwrap();
    let start = Costing::start();
    while !documents.is_empty() {
        for document in documents.drain(..batch.min(documents.len())) {
            writer.put(document).unwrap();
        }
        writer.commit("x-1").unwrap();
    }
    let time = start.end();
    writer.finish().unwrap();
    drop(index);
    std::fs::remove_dir_all(&folder).unwrap();
    time
}

/// One node has the records; another, new one follows it.
async fn follow(folder: &Path, entries: Vec<LogEntry>, records: &[Vec<u8>]) -> Whole {
    let peers = ["127.0.0.1:9471".to_owned(), "127.0.0.1:9472".to_owned()];
    let clock = Arc::new(SystemClock);
    let mut nodes = Vec::new();
    for port in [9_471, 9_472] {
        let settings = Settings {
            name: format!("bench {port}"),
            url: format!("http://127.0.0.1:{port}"),
            language: "en".to_owned(),
            country: None,
            listen: None,
            trusted_proxies: Vec::new(),
            requests_per_minute: None,
            publishing: Publishing::default(),
            federation: Federation {
                insecure_peers: peers.to_vec(),
                ..Federation::default()
            },
            hosting: Hosting::default(),
        };
        let config = Config::check(&folder.join(port.to_string()), settings).unwrap();
        Node::init(&config, clock.clone()).await.unwrap();
        nodes.push(Node::open(config, clock.clone()).unwrap());
    }
    let [source, target] = nodes.as_slice() else {
        unreachable!()
    };
    for entry in entries {
        source
            .ingest
            .log_entry(&entry.to_canonical_bytes(), &WitnessProofs::empty())
            .await
            .unwrap();
    }
    for batch in records.chunks(2_048) {
        for receipt in source
            .ingest
            .records(batch.to_vec(), None, None)
            .await
            .unwrap()
        {
            receipt.unwrap();
        }
    }
    source.serve().await.unwrap();
    while source.index.count() < records.len() as u64 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let pages = read_pages(source.config.url.as_str()).await;
    source.stop().await;
    let peer = tokio::spawn(give_pages(pages));
    target.serve().await.unwrap();
    eprintln!("following");
    let start = Costing::start();
    target
        .puller
        .follow(source.config.url.as_str(), "", None)
        .await
        .unwrap();
    while target.store.last_change().unwrap() < (records.len() + AUTHORS) as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let durable = start.end().wall;
    while target.index.count() < records.len() as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let found = start.end();
    target.stop().await;
    peer.abort();
    Whole { found, durable }
}

/// The pages of a node's feed, by the number of the change they come after. A new node's feed has one line
/// for each change.
type Pages = BTreeMap<u64, String>;

async fn read_pages(url: &str) -> Pages {
    let mut pages = Pages::new();
    let mut since = String::new();
    let mut read_to = 0;
    loop {
        let address = format!("{url}sync/v1/changes?limit=5000&since={since}");
        let page = reqwest::get(address).await.unwrap().text().await.unwrap();
        let end = page.trim_end().rsplit('\n').next().unwrap();
        let (_, cursor) =
            Line::read(end.as_bytes()).unwrap_or_else(|error| panic!("{error}: {end}"));
        let cursor = cursor.unwrap();
        since = cursor.to_string();
        let before = std::mem::replace(&mut read_to, cursor.number);
        assert_eq!(page.lines().count() as u64, read_to - before + 1);
        pages.insert(before, page);
        if before == read_to {
            return pages;
        }
    }
}

async fn give_pages(pages: Pages) {
    let pages = Arc::new(pages);
    let give = async move |Query(asked): Query<BTreeMap<String, String>>| {
        let since = asked.get("since").and_then(|since| Cursor::parse(since));
        let since = since.map_or(0, |cursor| cursor.number);
        let (after, page) = pages.range(..=since).next_back().unwrap();
        // Who was interrupted goes on within a page.
        let read: usize = page
            .split_inclusive('\n')
            .take((since - after) as usize)
            .map(str::len)
            .sum();
        let page = page.split_at(read).1.to_owned();
        if page.lines().count() == 1 {
            // There is no news.
            std::future::pending::<()>().await;
        }
        page
    };
    let routes = axum::Router::new().route("/sync/v1/changes", axum::routing::get(give));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9471").await;
    axum::serve(listener.unwrap(), routes).await.unwrap();
}
