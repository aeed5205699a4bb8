//! Taking up 1,000 changes among many records, in three ways, in one run: `cargo bench --bench catch_up`.
//!
//! A node serves records, and one that has all but the last of them takes these up over loopback: by
//! reading on in the change feed, by reconciling sets and fetching what is named, and by harvesting
//! everything again into an empty store, which is what it would do without either. Counted are requests,
//! the bytes of both bodies (zstd, as nodes ask for it), and seconds until all is durable, the sets that are
//! read for the first time included. Headers are not counted.
//! Prints one JSON line. `BARAZA_BENCH_RECORDS` sets how many records there are (100,000),
//! `BARAZA_BENCH_DIFFERING` how many of them are new (1,000).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baraza::clock::{Clock as _, SystemClock};
use baraza::config::{Config, Settings};
use baraza::ingest::Ingest;
use baraza::node::Node;
use baraza::sets::{Sets, Talk};
use baraza::store::Store;
use protocol::id::Scid;
use protocol::identity::WitnessProofs;
use protocol::sync::Cursor;
use serde_json::{Value, json};

use support::corpus::Corpus;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PORT: u16 = 9_494;
/// Records that are taken in at a time.
const BATCH: usize = 2_500;
/// Ids in one request (docs/protocol.md, 4).
const FETCH: usize = 500;
/// Between the dates of two records.
const STEP_SECONDS: i64 = 600;

fn main() {
    let records = support::setting("BARAZA_BENCH_RECORDS", 100_000);
    let differing = support::setting("BARAZA_BENCH_DIFFERING", 1_000);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "{}",
        runtime.block_on(measure(folder.path(), records, differing))
    );
}

async fn measure(folder: &Path, records: usize, differing: usize) -> Value {
    let corpus = Corpus::new();
    let node = node(&folder.join("node")).await;
    let before = Side::open(&folder.join("feed"));
    let entries: Vec<Vec<u8>> = corpus
        .entries()
        .iter()
        .map(|entry| entry.to_canonical_bytes())
        .collect();
    for entry in &entries {
        for door in [&node.ingest, &before.door] {
            door.log_entry(entry, &WitnessProofs::empty())
                .await
                .unwrap();
        }
    }
    let now = SystemClock.now();
    let shared = records - differing;
    let mut cursor = String::new();
    for first in (0..records).step_by(BATCH) {
        let sign = |number: usize| {
            corpus.sign_at(
                number,
                now.plus_seconds(-STEP_SECONDS * (records - number) as i64),
            )
        };
        let (old, new): (Vec<usize>, Vec<usize>) =
            (first..records.min(first + BATCH)).partition(|number| *number < shared);
        let old: Vec<Vec<u8>> = old.into_iter().map(sign).collect();
        take(&before.door, old.clone()).await;
        take(&node.ingest, old).await;
        if cursor.is_empty() && !new.is_empty() {
            let number = node.store.last_change().unwrap();
            let epoch = node.store.epoch().to_owned();
            cursor = Cursor { epoch, number }.to_string();
        }
        take(&node.ingest, new.into_iter().map(sign).collect()).await;
    }
    before.store.close();
    drop(before);
    copy(&folder.join("feed"), &folder.join("sets"));
    let authors: BTreeSet<Scid> = corpus
        .entries()
        .iter()
        .map(|entry| *entry.did().scid())
        .collect();
    let wanted = node
        .store
        .state_hash_of(|author| authors.contains(author))
        .unwrap();
    node.serve().await.unwrap();
    let mut http = Http::new();

    let feed = Side::open(&folder.join("feed"));
    let by_feed = http
        .timed(async |http| read_feed(http, &feed, cursor).await)
        .await;
    let sets = Side::open(&folder.join("sets"));
    let by_sets = http.timed(async |http| reconcile(http, &sets).await).await;
    let empty = Side::open(&folder.join("empty"));
    for entry in &entries {
        empty
            .door
            .log_entry(entry, &WitnessProofs::empty())
            .await
            .unwrap();
    }
    let anew = http
        .timed(async |http| read_feed(http, &empty, String::new()).await)
        .await;
    for side in [&feed, &sets, &empty] {
        let held = side.store.state_hash_of(|author| authors.contains(author));
        assert!(held.unwrap() == wanted, "not all was taken up");
        side.store.close();
    }
    node.stop().await;
    json!({
        "benchmark": "catch_up", "records": records, "differing": differing,
        "is_optimised": !cfg!(debug_assertions),
        "feed": by_feed.json(), "reconcile": by_sets.json(), "harvest": anew.json(),
        "harvest_seconds_to_feed": support::rounded(anew.time.as_secs_f64() / by_feed.time.as_secs_f64()),
        "harvest_bytes_to_reconcile": support::rounded(anew.bytes as f64 / by_sets.bytes as f64),
    })
}

async fn node(folder: &Path) -> Arc<Node> {
    std::fs::create_dir_all(folder).unwrap();
    let mut settings: Settings = toml::from_str(&format!(
        "name = \"Bench\"\nurl = \"http://127.0.0.1:{PORT}\""
    ))
    .unwrap();
    settings.listen = Some(format!("127.0.0.1:{PORT}"));
    let config = Config::check(folder, settings).unwrap();
    Node::init(&config, Arc::new(SystemClock)).await.unwrap();
    Node::open(config, Arc::new(SystemClock)).unwrap()
}

/// Who takes up.
struct Side {
    store: Arc<Store>,
    door: Ingest,
    sets: Sets,
}

impl Side {
    fn open(folder: &Path) -> Self {
        let store = Arc::new(Store::open(folder, "bench".to_owned()).unwrap());
        Self {
            door: Ingest::new(Arc::clone(&store), Arc::new(SystemClock)),
            sets: Sets::new(Arc::clone(&store)),
            store,
        }
    }
}

async fn take(door: &Ingest, records: Vec<Vec<u8>>) {
    if !records.is_empty() {
        let receipts = door.records(records, None, []).await.unwrap();
        assert!(receipts.iter().all(Result::is_ok));
    }
}

/// Takes in the records of an answer, and gives the cursor of its last line; none if it brought nothing.
async fn take_lines(side: &Side, answer: &[u8]) -> Option<String> {
    let (mut records, mut cursor, mut has_lines) = (Vec::new(), None, false);
    for line in answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line: Value = serde_json::from_slice(line).unwrap();
        cursor = line["cursor"].as_str().map(ToOwned::to_owned);
        match (&line["record"], &line["log"]) {
            // The end of a page.
            (Value::Null, Value::Null) => continue,
            (Value::Null, entry) => {
                let entry = serde_json::to_vec(entry).unwrap();
                let none = WitnessProofs::empty();
                side.door.log_entry(&entry, &none).await.unwrap();
            }
            (record, _) => records.push(serde_json::to_vec(record).unwrap()),
        }
        has_lines = true;
    }
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        take(&side.door, records.by_ref().take(BATCH).collect()).await;
    }
    cursor.filter(|_| has_lines)
}

async fn read_feed(http: &mut Http, side: &Side, mut since: String) {
    loop {
        let answer = http
            .ask("GET", &format!("changes?since={since}"), Vec::new())
            .await;
        match take_lines(side, &answer).await {
            Some(cursor) => since = cursor,
            None => return,
        }
    }
}

async fn reconcile(http: &mut Http, side: &Side) {
    for set in ["identities", "records"] {
        let held = side.sets.now().unwrap();
        let own = match set {
            "identities" => Arc::clone(held.identities()),
            _ => Arc::clone(held.records()),
        };
        let (mut talk, mut message) = Talk::begin(own).unwrap();
        let mut lacking = Vec::new();
        loop {
            let answer = http
                .ask("POST", &format!("reconcile?set={set}"), message)
                .await;
            let heard = talk.hear(&answer).unwrap();
            lacking.extend(heard.lacking);
            match heard.reply {
                Some(reply) => message = reply,
                None => break,
            }
        }
        for some in lacking.chunks(FETCH) {
            let want: Vec<String> = some.iter().map(ToString::to_string).collect();
            let body = serde_json::to_vec(&json!({ "want": want })).unwrap();
            let answer = http.ask("POST", "fetch", body).await;
            take_lines(side, &answer).await;
        }
    }
}

/// Asks the node, and counts.
struct Http {
    client: reqwest::Client,
    requests: usize,
    bytes: usize,
}

/// What one way came to.
struct Cost {
    requests: usize,
    bytes: usize,
    time: Duration,
}

impl Cost {
    fn json(&self) -> Value {
        json!({"requests": self.requests, "bytes": self.bytes, "seconds": support::seconds(self.time)})
    }
}

impl Http {
    fn new() -> Self {
        Self {
            client: reqwest::Client::new(),
            requests: 0,
            bytes: 0,
        }
    }

    async fn timed(&mut self, work: impl AsyncFnOnce(&mut Self)) -> Cost {
        (self.requests, self.bytes) = (0, 0);
        let start = Instant::now();
        work(self).await;
        Cost {
            requests: self.requests,
            bytes: self.bytes,
            time: start.elapsed(),
        }
    }

    async fn ask(&mut self, method: &str, path: &str, body: Vec<u8>) -> Vec<u8> {
        self.requests += 1;
        self.bytes += body.len();
        let url = format!("http://127.0.0.1:{PORT}/sync/v1/{path}");
        let kind = match path.starts_with("reconcile") {
            true => "application/octet-stream",
            false => "application/json",
        };
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request
            .header("accept-encoding", "zstd")
            .header("content-type", kind);
        let answer = request.body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let is_packed = answer
            .headers()
            .get("content-encoding")
            .is_some_and(|name| name == "zstd");
        let bytes = answer.bytes().await.unwrap();
        self.bytes += bytes.len();
        match is_packed {
            true => zstd::decode_all(&bytes[..]).unwrap(),
            false => bytes.to_vec(),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }
}
