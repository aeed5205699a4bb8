//! What a node behind a thin line costs that line.

use serde_json::{Value, json};

use crate::support::node::{Node, port};
use crate::support::thin_line::ThinLine;
use crate::support::tube::Tube;
use crate::support::{sources, until};

/// What a day may cost: 25 seconds of a line of 64 kbit/s.
const DAY_BYTES_MAX: u64 = 200_000;
const CHANGES: usize = 200;

/// Records that differ as courses of one provider do.
fn courses() -> Value {
    let course = |n: usize| {
        json!({
            "type": "Offering", "localId": format!("course-{n}"),
            "body": {
                "kind": "course", "name": {"en": format!("Course number {n}")},
                "summary": {"en": format!("The {n}th course of this provider, for people who begin.")},
                "areas": ["cyber"], "languages": ["en"], "cost": {"kind": "free"},
            },
        })
    };
    (0..CHANGES).map(course).collect()
}

#[test]
fn a_hub_takes_up_a_day_of_200_changes_in_under_200_kb_in_both_directions() {
    let ports = [port(), port()];
    let (to_source, mut source) = Tube::before(ports[0], &ports);
    let (to_hub, mut hub) = Tube::before(ports[1], &ports);
    source.start();
    hub.start();
    source.org("school");
    // Who follows a part reads the log and is pushed nothing.
    hub.json(&["follow", &source.url, "--topic", "cyber"]);
    until("the hub has heard of the source", || {
        hub.peer()["last_heard"].is_i64().then_some(())
    });
    // The line is down for the day.
    hub.stop();
    source.publish("school", &courses());
    let _ = (to_source.passed(), to_hub.passed());
    hub.start();
    until("all that changed is here", || {
        let received = hub.peer()["received"].as_u64().unwrap();
        (received >= CHANGES as u64).then_some(())
    });
    let bytes = to_source.passed() + to_hub.passed();
    eprintln!("{CHANGES} changes: {bytes} bytes");
    // At least what cannot be packed, the signatures: otherwise nothing was counted.
    assert!(bytes > CHANGES as u64 * 64, "{bytes}");
    assert!(bytes < DAY_BYTES_MAX, "{bytes}");
}

/// How often a day a hub behind a thin line reads whom it follows, as docs/operators.md has it.
const READINGS: usize = 4;

/// Organisations whose records change, and what changes between two readings.
const AUTHORS: [&str; 3] = ["coast-lab", "itu-academy", "open-school"];
const NEW: usize = 25;
const UPDATED: usize = 20;
const WITHDRAWN: usize = 5;

/// What people wrote: the pages of this repository, without what is no prose.
fn prose() -> Vec<String> {
    let pages = [
        "README",
        "docs/publishers",
        "docs/protocol",
        "docs/operators",
        "docs/integrators",
        "docs/ARCHITECTURE",
    ];
    let mut words = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(sources().join(format!("{page}.md"))).unwrap();
        words.extend(text.split_whitespace().map(ToOwned::to_owned));
    }
    words
}

/// A course with a body of some 1.5 kB, in the words that stand at a place of its own.
fn course(prose: &[String], n: usize, edition: usize) -> Value {
    let from = n * 180 % (prose.len() - 300);
    let text = |from: usize, length: usize| prose[from..from + length].join(" ");
    json!({
        "type": "Offering", "localId": format!("course-{n}"), "language": "en",
        "body": {
            "kind": "course", "name": {"en": text(from, 6)}, "summary": {"en": text(from + 6, 25)},
            "description": {"en": format!("{} Edition {edition}.", text(from + 31, 190))},
            "url": format!("https://courses.example/catalogue/{n}"), "areas": ["cyber"],
            "audiences": ["civil-servants"], "levels": ["basic"], "languages": ["en"], "modes": ["online-live"],
            "countries": ["FJ", "TO", "WS"], "cost": {"kind": "free"},
            "instances": [{"start": format!("2027-{:02}-{:02}", n % 12 + 1, n % 28 + 1)}],
        },
    })
}

fn by(author: usize, drafts: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    drafts.filter(move |n| n % AUTHORS.len() == author)
}

#[test]
fn a_hub_behind_64_kbit_s_takes_up_a_day_of_200_changes_in_under_200_kb_in_all() {
    assert_eq!(READINGS * (NEW + UPDATED + WITHDRAWN), CHANGES);
    let Some(line) = ThinLine::lay() else {
        return;
    };
    let mut source = Node::at(&line.ends[0], &[]);
    let mut hub = Node::at(&line.ends[1], &[&source]);
    source.start_at(&line.ends[0]);
    hub.start_at(&line.ends[1]);
    let prose = prose();
    let bodies: usize = (0..CHANGES)
        .map(|n| course(&prose, n, 1)["body"].to_string().len())
        .sum();
    assert!(bodies > CHANGES * 1_500, "{bodies} bytes in all");
    let known = READINGS * (UPDATED + WITHDRAWN);
    for (author, handle) in AUTHORS.iter().enumerate() {
        source.org(handle);
        let drafts = by(author, 0..known).map(|n| course(&prose, n, 1));
        source.publish(handle, &drafts.collect());
    }
    hub.json(&["follow", &source.url, "--every", "6"]);
    let has = |node: &Node, records: u64| {
        let search = node.json(&["search", "--type", "Offering"]);
        (search["total"] == records).then_some(())
    };
    until("the hub has what there was before", || {
        has(&hub, known as u64)
    });
    hub.json(&["sync", "--full"]);

    line.make_thin();
    let begin = line.bytes();
    for reading in 0..READINGS {
        let before = line.bytes();
        for (author, handle) in AUTHORS.iter().enumerate() {
            let new = known + reading * NEW..known + (reading + 1) * NEW;
            let changed = reading * (UPDATED + WITHDRAWN)..(reading + 1) * (UPDATED + WITHDRAWN);
            let (updated, withdrawn) = (changed.clone().take(UPDATED), changed.skip(UPDATED));
            let drafts = by(author, new).map(|n| course(&prose, n, 1))
                .chain(by(author, updated).map(|n| course(&prose, n, 2)))
                .chain(by(author, withdrawn).map(|n| json!({"type": "Offering", "localId": format!("course-{n}"), "status": "withdrawn"})));
            source.publish(handle, &drafts.collect());
        }
        // Each says how many records it has now, as it does hourly.
        source.json(&["bundle", "export", source.file("bundle").to_str().unwrap()]);
        // A node that keeps up would have it all by now. What may cross is the end of an idle connection.
        let idle = line.bytes() - before;
        assert!(idle < 500, "{idle} bytes between two readings");
        // As it does by itself when six hours are over: it reads, and asks what time it is.
        hub.json(&["sync"]);
        hub.run(&["doctor"]);
        eprintln!("reading {reading}: {} bytes", line.bytes() - before);
    }
    // And once a day it compares all that it has.
    let before = line.bytes();
    hub.json(&["sync", "--full"]);
    eprintln!("comparing: {} bytes", line.bytes() - before);
    assert_eq!(hub.peer()["refused"], 0, "{}", hub.peer());
    let records = known + READINGS * (NEW - WITHDRAWN);
    until("all that changed is found", || has(&hub, records as u64));
    let bytes = line.bytes() - begin;
    eprintln!(
        "{CHANGES} changes of {} authors: {bytes} bytes",
        AUTHORS.len()
    );
    // At least what cannot be packed, the signatures: otherwise nothing was counted.
    assert!(bytes > CHANGES as u64 * 64, "{bytes}");
    assert!(bytes < DAY_BYTES_MAX, "{bytes}");
    let before = line.bytes();
    hub.json(&["sync"]);
    let nothing = line.bytes() - before;
    eprintln!("a reading that brings nothing: {nothing} bytes");
    assert!(nothing < 2_500, "{nothing}");
}
