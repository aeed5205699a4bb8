//! What a node does here, with made-up records: the same parts as in a node that serves, no sockets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Progress;
use super::machine::on_a_thread;
use super::records::{AREAS, Authors, COUNTRIES, Chance, word};
use crate::clock::{SharedClock, Stopwatch};
use crate::config::{Config, Federation, Hosting, Publishing, Settings};
use crate::node::{Node, NodeError};
use crate::web::api;
use crate::web::ask::Ask;

/// As many as a page of a peer's log gives at a time.
const BATCH: usize = 2_500;
/// Records that are taken in one at a time, each durable before the next.
const SINGLE: u64 = 100;
const SEARCHES: u64 = 500;
/// How often the index is asked whether all is found.
const LOOK: Duration = Duration::from_millis(5);

/// What a node does in a second, and what it takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rates {
    pub(super) records: u64,
    pub(super) record_bytes: u64,
    /// Checked, durable and found.
    pub(super) ingest_per_second: f64,
    pub(super) single_per_second: f64,
    /// With two words, two filters and all counts, as a page of results has them.
    pub(super) search_p50_ms: f64,
    pub(super) search_p99_ms: f64,
    /// From nothing to the first answer.
    pub(super) start_seconds: f64,
    /// Store and index.
    pub(super) disk_bytes_per_record: u64,
}

impl Rates {
    pub(super) async fn measure(
        folder: &Path,
        records: u64,
        clock: SharedClock,
        progress: &Progress,
    ) -> Result<Self, NodeError> {
        progress.step("signing records");
        let now = clock.now();
        let authors = Authors::new(now)?;
        let signers = authors.clone();
        let sign = move || {
            (0..records + SINGLE)
                .map(|number| signers.sign(number, now))
                .collect()
        };
        let signed: Result<Vec<Vec<u8>>, NodeError> = on_a_thread(sign).await?;
        let mut signed = signed?;
        let single = signed.split_off(usize::try_from(records).unwrap_or(usize::MAX));
        let bytes: u64 = signed.iter().map(|record| record.len() as u64).sum();

        let config = Config::check(&folder.join("node"), settings())?;
        Node::init(&config, Arc::clone(&clock)).await?;
        let node = Node::open(config.clone(), Arc::clone(&clock))?;
        for entry in authors.entries() {
            let line = entry.to_canonical_bytes();
            node.ingest.log_entry(&line, &Default::default()).await?;
        }
        progress.step("taking records in");
        let stopwatch = Stopwatch::start();
        take_in(&node, signed, records).await?;
        let ingest = stopwatch.elapsed();
        progress.step("one record at a time");
        let stopwatch = Stopwatch::start();
        for record in single {
            node.ingest.record(&record, None).await?;
        }
        let single = stopwatch.elapsed();
        progress.step("searches");
        let searched = Arc::clone(&node);
        let mut times = on_a_thread(move || search(&searched)).await??;
        times.sort_unstable();
        progress.step("start");
        node.stop().await;
        drop(node);
        let disk = bytes_below(&config.store_folder()) + bytes_below(&config.index_folder());
        let stopwatch = Stopwatch::start();
        let node = Node::open(config, clock)?;
        search_once(&node, &mut Chance(0))?;
        let start = stopwatch.elapsed();
        node.stop().await;

        let percentile = |percent: usize| {
            let time = times
                .get(times.len() * percent / 100)
                .copied()
                .unwrap_or_default();
            (time.as_secs_f64() * 1e6).round() / 1e3
        };
        let rate = |count: u64, time: Duration| (count as f64 / time.as_secs_f64()).round();
        Ok(Self {
            records,
            record_bytes: bytes / records.max(1),
            ingest_per_second: rate(records, ingest),
            single_per_second: rate(SINGLE, single),
            search_p50_ms: percentile(50),
            search_p99_ms: percentile(99),
            start_seconds: (start.as_secs_f64() * 1e3).round() / 1e3,
            disk_bytes_per_record: disk / (records + SINGLE),
        })
    }
}

/// Its address is never listened on.
fn settings() -> Settings {
    Settings {
        name: "bench".to_owned(),
        url: "http://127.0.0.1:9".to_owned(),
        language: "en".to_owned(),
        country: None,
        listen: None,
        trusted_proxies: Vec::new(),
        requests_per_minute: None,
        publishing: Publishing::default(),
        federation: Federation {
            insecure_peers: Vec::new(),
            announce: false,
            ..Federation::default()
        },
        hosting: Hosting::default(),
    }
}

/// Writes all, while the index follows, until all is found.
async fn take_in(node: &Arc<Node>, signed: Vec<Vec<u8>>, records: u64) -> Result<(), NodeError> {
    let write = async {
        let mut rest = signed.into_iter();
        loop {
            let batch: Vec<Vec<u8>> = rest.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(());
            }
            for receipt in node.ingest.records(batch, None, None).await? {
                receipt?;
            }
        }
    };
    let follower = Arc::clone(node);
    let find = on_a_thread(move || -> Result<(), NodeError> {
        while follower.index.count() < records {
            if let Some(pause) = follower.follower.advance()? {
                std::thread::sleep(pause.min(LOOK));
            }
        }
        Ok(())
    });
    let (written, found): (Result<(), NodeError>, _) = tokio::join!(write, find);
    written?;
    found?
}

fn search(node: &Arc<Node>) -> Result<Vec<Duration>, NodeError> {
    let mut chance = Chance(1);
    // The first ones warm what is read.
    for _ in 0..SEARCHES / 10 {
        search_once(node, &mut chance)?;
    }
    (0..SEARCHES)
        .map(|_| search_once(node, &mut chance))
        .collect()
}

fn search_once(node: &Arc<Node>, chance: &mut Chance) -> Result<Duration, NodeError> {
    let (one, other) = (word(chance), word(chance));
    let area = AREAS
        .get(chance.below(AREAS.len()))
        .copied()
        .unwrap_or_default();
    let country = COUNTRIES
        .get(chance.below(COUNTRIES.len()))
        .copied()
        .unwrap_or_default();
    let address = format!("q={one}+{other}&area={area}&country={country}");
    let refused =
        |problem: crate::web::problem::Problem| NodeError::Refused(format!("{problem:?}"));
    let stopwatch = Stopwatch::start();
    let ask = Ask::read(&address).map_err(refused)?;
    api::found(node, &ask, &["en".to_owned()]).map_err(refused)?;
    Ok(stopwatch.elapsed())
}

fn bytes_below(path: &Path) -> u64 {
    let Ok(about) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !about.is_dir() {
        return about.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_below(&entry.path())).sum()
}
