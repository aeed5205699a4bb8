//! Search against PostgreSQL, SQLite and bare tantivy on the same records and searches, in one run:
//! `cargo bench --bench search`.
//!
//! Plain ASCII words, all of them required, and two codes; the total, and the first 20 by id. Answers
//! that differ end the benchmark. Beside it the product's own search: stems, labels, relevance and nine
//! counts. The engines take turns at each search; of each search the best of the rounds counts.
//! Prints one JSON line. `BARAZA_BENCH_RECORDS` sets how many records (100,000),
//! `BARAZA_BENCH_SEARCHES` how many searches (300), `BARAZA_BENCH_ROUNDS` how many rounds (3).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod engines;
mod support;

use std::time::{Duration, Instant};

use baraza::clock::{Clock as _, SystemClock};
use baraza::search::{Document, Facet, Index, Query, QueryParts, WriterBudget};
use protocol::time::Timestamp;
use serde_json::{Value, json};

use engines::bare::Bare;
use engines::postgres::Postgres;
use engines::sqlite::Sqlite;
use engines::{Answer, Row};
use support::corpus::{Asked, Corpus};
use support::{Times, rounded, seconds};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records that every engine takes in at a time.
const PART: usize = 50_000;

/// What a page of results counts.
const COUNTED: [Facet; 9] = [
    Facet::Area,
    Facet::Kind,
    Facet::Country,
    Facet::Language,
    Facet::Audience,
    Facet::Mode,
    Facet::Cost,
    Facet::Level,
    Facet::Type,
];

fn main() {
    let records = support::setting("BARAZA_BENCH_RECORDS", 100_000);
    let searches = support::setting("BARAZA_BENCH_SEARCHES", 300);
    let rounds = support::setting("BARAZA_BENCH_ROUNDS", 3);
    let corpus = Corpus::new();
    let asked = corpus.asked(searches);
    // The server that runs as another user must be able to reach its folder.
    let folder = tempfile::Builder::new()
        .permissions(everyone())
        .tempdir()
        .unwrap();
    let mut engines = Engines {
        index: Index::create_fresh(&folder.path().join("index")).unwrap(),
        bare: Bare::new(&folder.path().join("bare")),
        sqlite: Sqlite::new(&folder.path().join("sqlite")),
        postgres: Postgres::new(&folder.path().join("postgres")),
        now: SystemClock.now(),
    };
    let filled = engines.fill(&corpus, records);

    let mut best = vec![[Duration::MAX; ENGINES.len()]; asked.len()];
    let mut totals = vec![0; asked.len()];
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        for (number, asked) in asked.iter().enumerate() {
            let mut answers: [Option<Answer>; ENGINES.len()] = [const { None }; ENGINES.len()];
            for turn in 0..ENGINES.len() {
                let engine = (turn + number + round) % ENGINES.len();
                let start = Instant::now();
                let answer = engines.search(engine, asked);
                let time = start.elapsed();
                answers[engine] = Some(answer);
                // The first round warms what is read.
                if round > 0 {
                    best[number][engine] = best[number][engine].min(time);
                }
            }
            let [ours, bare, postgres, sqlite, _] = answers;
            assert!(ours == bare, "{:?}: {ours:?}, bare {bare:?}", asked.words);
            assert!(
                ours == postgres,
                "{:?}: {ours:?}, PostgreSQL {postgres:?}",
                asked.words
            );
            assert!(
                ours == sqlite,
                "{:?}: {ours:?}, SQLite {sqlite:?}",
                asked.words
            );
            totals[number] = ours.unwrap().total;
        }
    }
    let times = |engine: usize, class: Option<&str>| {
        let mut times = Times::default();
        for (asked, best) in asked.iter().zip(&best) {
            if class.is_none_or(|class| class == asked.class) {
                times.add(best[engine]);
            }
        }
        times
    };
    let told = |engine: usize| {
        let of = |class| {
            let times = times(engine, class);
            json!({"p50_ms": times.percentile(50), "p99_ms": times.percentile(99)})
        };
        let mut told = of(None);
        for class in ["rare", "middle", "common"] {
            told[class] = of(Some(class));
        }
        told["fill_seconds"] = json!(filled.get(engine));
        told
    };
    let p99 = |engine| times(engine, None).percentile(99);
    println!(
        "{}",
        json!({
            "benchmark": "search", "records": records, "searches": searches, "rounds": rounds,
            "words": corpus.words.source, "vocabulary": corpus.words.count(),
            "hits": hits(&asked, &totals), "answers_equal": true,
            "segments_bare": engines.bare.segments(),
            "engines": ENGINES.iter().enumerate().map(|(engine, name)| ((*name).to_owned(), told(engine))).collect::<serde_json::Map<_, _>>(),
            "postgres_to_ours_p99": rounded(p99(POSTGRES) / p99(OURS)),
            "sqlite_to_ours_p99": rounded(p99(SQLITE) / p99(OURS)),
            "ours_to_bare_p99": rounded(p99(OURS) / p99(BARE)),
        })
    );
}

const ENGINES: [&str; 5] = ["ours", "bare_tantivy", "postgres", "sqlite", "product"];
const OURS: usize = 0;
const BARE: usize = 1;
const POSTGRES: usize = 2;
const SQLITE: usize = 3;

struct Engines {
    index: Index,
    bare: Bare,
    postgres: Postgres,
    sqlite: Sqlite,
    now: Timestamp,
}

impl Engines {
    /// Puts the records into every engine; gives how long each took.
    fn fill(&mut self, corpus: &Corpus, records: usize) -> [f64; 4] {
        let places = corpus.places(records);
        let mut writer = self.index.writer(WriterBudget::default()).unwrap();
        let mut took = [Duration::ZERO; 4];
        let mut part = |engine: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            took[engine] += start.elapsed();
        };
        for start in (0..records).step_by(PART) {
            let numbers = start..records.min(start + PART);
            let trees: Vec<Value> = corpus
                .sign(numbers.clone())
                .iter()
                .map(|record| serde_json::from_slice(record).unwrap())
                .collect();
            let rows: Vec<Row> = trees
                .iter()
                .zip(numbers)
                .map(|(tree, number)| Row::of(tree, places[number], corpus.id(number)))
                .collect();
            part(OURS, &mut || {
                for tree in &trees {
                    let tree = tree.as_object().unwrap();
                    let header = protocol::envelope::Header::read(tree).unwrap();
                    writer.put(Document::of(&header, tree).unwrap()).unwrap();
                }
                writer.commit("x-1").unwrap();
            });
            part(BARE, &mut || self.bare.put(&rows));
            part(POSTGRES, &mut || self.postgres.put(&rows));
            part(SQLITE, &mut || self.sqlite.put(&rows));
            eprintln!("{} records", start + rows.len());
        }
        let mut writer = Some(writer);
        part(OURS, &mut || writer.take().unwrap().finish().unwrap());
        part(BARE, &mut || self.bare.finish());
        part(POSTGRES, &mut || self.postgres.finish());
        part(SQLITE, &mut || self.sqlite.finish());
        took.map(seconds)
    }

    fn search(&self, engine: usize, asked: &Asked) -> Answer {
        let words = asked.words.join(" ");
        let filters = [(Facet::Area, asked.area), (Facet::Country, asked.country)];
        match engine {
            OURS => self.found(&Query::plain_tokens(&words, &filters, self.now).unwrap()),
            BARE => self.bare.search(asked),
            POSTGRES => self.postgres.search(asked),
            SQLITE => self.sqlite.search(asked),
            _ => {
                let parts = QueryParts {
                    text: &words,
                    filters: filters.to_vec(),
                    facets: COUNTED.to_vec(),
                    language: Some("en"),
                    ..QueryParts::at(self.now)
                };
                self.found(&Query::parse(&parts).unwrap())
            }
        }
    }

    fn found(&self, query: &Query) -> Answer {
        let found = self.index.search(query).unwrap();
        Answer {
            total: found.total,
            ids: found.hits.iter().map(|hit| hit.id.to_string()).collect(),
        }
    }
}

/// How many records are found, by class: the least, the middle and the most.
fn hits(asked: &[Asked], totals: &[u64]) -> Value {
    let mut hits = serde_json::Map::new();
    for class in ["rare", "middle", "common"] {
        let of_class = asked
            .iter()
            .zip(totals)
            .filter(|(asked, _)| asked.class == class);
        let mut totals: Vec<u64> = of_class.map(|(_, total)| *total).collect();
        totals.sort_unstable();
        let told = json!([totals.first(), totals.get(totals.len() / 2), totals.last()]);
        hits.insert(class.to_owned(), told);
    }
    hits.into()
}

fn everyone() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}
