//! Not a test but a measurement of speed and size, to be asked for:
//! `BARAZA_MEASURE=1000000 cargo test -p baraza --lib search::measure -- --ignored --nocapture`.

use std::time::Instant;

use protocol::envelope::Header;
use protocol::id::Scid;
use protocol::time::Timestamp;
use serde_json::json;

use super::{Document, Facet, Index, Query, QueryParts, Sort, WriterBudget};

/// A sequence of numbers that is the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Small numbers far more often than large ones, as words are in a language.
    fn word(&mut self) -> String {
        let (one, other) = (self.below(20_000) + 1, self.below(20_000) + 1);
        format!("w{}x", one * other / 20_000)
    }

    fn words(&mut self, count: u64) -> String {
        (0..count)
            .map(|_| self.word())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn pick<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

fn document(numbers: &mut Numbers, number: u64) -> Document {
    let areas = protocol::codes::AREAS.codes();
    let topics = protocol::codes::TOPICS.codes();
    let countries: Vec<&str> = protocol::codes::geography::countries()
        .map(|country| country.code())
        .collect();
    let language = numbers.pick(&["en", "fr", "es", "pt", "ar", "sw"]);
    let mut body = json!({
        "kind": numbers.pick(protocol::codes::OFFERING_KINDS.codes()),
        "name": {"en": numbers.words(6), language: numbers.words(6)},
        "summary": {language: numbers.words(15)},
        "description": {language: numbers.words(60)},
        "areas": [numbers.pick(areas), numbers.pick(areas)], "topics": [numbers.pick(topics)],
        "modes": [numbers.pick(protocol::codes::MODES.codes())], "languages": [language],
        "audiences": [numbers.pick(protocol::codes::AUDIENCES.codes())],
        "cost": {"kind": numbers.pick(protocol::codes::COST_KINDS.codes())},
    });
    if numbers.below(3) > 0 {
        body["countries"] = json!([numbers.pick(&countries), numbers.pick(&countries)]);
    }
    let author = Scid::of(&numbers.below(5_000).to_be_bytes());
    let tree = json!({
        "spec": "baraza/1", "type": "Offering", "localId": format!("o-{number}"), "seq": 1, "status": "active",
        "author": format!("did:webvh:{author}:a.example"), "licence": "CC0-1.0", "body": body,
        "issued": Timestamp::from_unix_seconds(1_700_000_000 + numbers.below(90_000_000).cast_signed()).to_string(),
    });
    let tree = tree.as_object().unwrap();
    Document::of(&Header::read(tree).unwrap(), tree).unwrap()
}

#[test]
#[ignore = "a measurement, not a test"]
#[expect(
    clippy::disallowed_methods,
    reason = "measures time, and is told how much to measure"
)]
fn speed_and_size() {
    let count: u64 =
        std::env::var("BARAZA_MEASURE").map_or(100_000, |count| count.parse().unwrap());
    let folder =
        tempfile::tempdir_in(std::env::var("BARAZA_MEASURE_DIR").unwrap_or("/tmp".into())).unwrap();
    let mut numbers = Numbers(7);
    let index = Index::create_fresh(folder.path()).unwrap();
    let mut writer = index
        .writer(WriterBudget {
            threads: 2,
            memory_bytes: 128_000_000,
        })
        .unwrap();
    let begin = Instant::now();
    let mut making = std::time::Duration::ZERO;
    for number in 0..count {
        let started = Instant::now();
        let document = document(&mut numbers, number);
        making += started.elapsed();
        writer.put(document).unwrap();
        if number % 100_000 == 99_999 {
            writer.commit(&number.to_string()).unwrap();
        }
    }
    writer.commit("end").unwrap();
    let filled = begin.elapsed();
    writer.finish().unwrap();
    let bytes: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "{count} records: filled in {filled:?} of which {making:?} made up, merged after {:?}, {} MB",
        begin.elapsed(),
        bytes / 1_000_000
    );

    let begin = Instant::now();
    drop(index);
    let index = Index::open(folder.path()).unwrap();
    println!(
        "opened in {:?}, {} segments",
        begin.elapsed(),
        index.shared.reader.searcher().segment_readers().len()
    );

    let now = Timestamp::from_unix_seconds(1_795_320_000);
    let five = || {
        vec![
            Facet::Area,
            Facet::Country,
            Facet::Language,
            Facet::Kind,
            Facet::Cost,
        ]
    };
    let filters = || vec![(Facet::Area, "cyber"), (Facet::Country, "KE")];
    type Asked = Box<dyn Fn(&str) -> Query>;
    let asked: [(&str, u64, Asked); 9] = [
        (
            "one word",
            1,
            Box::new(move |text| {
                Query::parse(&QueryParts {
                    text,
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
        (
            "two words",
            2,
            Box::new(move |text| {
                Query::parse(&QueryParts {
                    text,
                    language: Some("fr"),
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
        (
            "two words, two filters, five counts",
            2,
            Box::new(move |text| {
                Query::parse(&QueryParts {
                    text,
                    filters: filters(),
                    facets: five(),
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
        (
            "two words, five counts, own language",
            2,
            Box::new(move |text| {
                Query::parse(&QueryParts {
                    text,
                    facets: five(),
                    language: Some("fr"),
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
        (
            "three plain words by id",
            3,
            Box::new(move |text| Query::plain_tokens(text, &[], now).unwrap()),
        ),
        (
            "two plain words, two filters by id",
            2,
            Box::new(move |text| Query::plain_tokens(text, &filters(), now).unwrap()),
        ),
        (
            "two filters, five counts",
            0,
            Box::new(move |_| {
                Query::parse(&QueryParts {
                    filters: filters(),
                    facets: five(),
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
        (
            "everything, newest",
            0,
            Box::new(move |_| {
                Query::parse(&QueryParts {
                    sort: Sort::Newest,
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
        (
            "everything, all counts",
            0,
            Box::new(move |_| {
                Query::parse(&QueryParts {
                    facets: Facet::ALL.to_vec(),
                    language: Some("fr"),
                    ..QueryParts::at(now)
                })
                .unwrap()
            }),
        ),
    ];
    for (name, words, query) in asked {
        let runs = if words == 0 { 20 } else { 300 };
        let mut matches = 0;
        let mut times: Vec<_> = (0..runs)
            .map(|_| {
                let text = numbers.words(words);
                let begin = Instant::now();
                matches += index.search(&query(&text)).unwrap().total;
                begin.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!(
            "{name}: p50 {:?}, p99 {:?}, {} matches",
            times[runs / 2],
            times[runs * 99 / 100],
            matches / runs as u64
        );
    }

    let mut writer = index.writer(WriterBudget::default()).unwrap();
    let begin = Instant::now();
    for number in 0..100 {
        writer.put(document(&mut numbers, number * 17)).unwrap();
    }
    writer.commit("changes").unwrap();
    println!("100 changes visible after {:?}", begin.elapsed());
}
