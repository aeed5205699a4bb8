//! What ended or hurt other systems of this kind, each tried here between processes. Those that have
//! a better place are listed with it in `docs/ARCHITECTURE.md`.

use std::fs;

use serde_json::{Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::hostile::{Hostile, end_line, log_line, record_line};
use crate::support::node::{Node, baraza, port};
use crate::support::relay::Relay;
use crate::support::{now, until};

fn course(local: &str, name: &str) -> Value {
    json!({
        "type": "Offering", "localId": local,
        "body": {"kind": "course", "name": {"en": name}, "areas": ["cyber"]},
    })
}

/// Nodes that may talk to each other, and run.
fn nodes<const N: usize>() -> [Node; N] {
    let ports = [(); N].map(|()| port());
    ports.map(|own| {
        let mut node = Node::make_on(own, &ports);
        node.host_anyone();
        node.start();
        node
    })
}

#[test]
fn t1_a_record_that_goes_round_three_nodes_becomes_no_new_record() {
    let ring = nodes::<3>();
    let [first, second, third] = &ring;
    for [reader, read] in [[first, third], [second, first], [third, second]] {
        reader.json(&["follow", &read.url]);
    }
    let scid = first.org("school");
    first.publish("school", &course("loop", "Round and round"));
    first.publish("school", &course("loop", "Round and round again"));
    for node in [second, third] {
        node.until_equal(first);
    }
    let state = |node: &Node| {
        let changes = node.number("changes");
        (node.state_hash(), node.number("records"), changes)
    };
    let before: Vec<_> = ring.iter().map(state).collect();
    // Three times round, and compared as well.
    for _ in 0..3 {
        for node in &ring {
            let read = node.json(&["sync", "--full"]);
            assert_eq!(read["peers"][0]["pulled"]["stored"], 0, "{read}");
        }
    }
    assert_eq!(ring.iter().map(state).collect::<Vec<_>>(), before);
    for node in &ring {
        let found = node.until_found("q=round&type=Offering", 1);
        assert_eq!(found, [format!("{scid}/loop")]);
        let path = format!("/api/v1/records/{scid}/loop");
        assert_eq!(node.get(&path).json()["seq"], 2);
    }
}

#[test]
fn t2_what_is_withdrawn_at_its_source_is_gone_everywhere_and_its_signed_tombstone_stays() {
    let [source, hub, end] = nodes::<3>();
    hub.json(&["follow", &source.url]);
    end.json(&["follow", &hub.url]);
    let scid = source.org("school");
    source.publish("school", &course("stays", "Tides and currents"));
    source.publish("school", &course("goes", "Tides and moons"));
    end.until_found("q=tides", 2);
    let log = end.get(&format!("/api/v1/organizations/{scid}/did.jsonl"));
    let log = end.write("did.jsonl", log.body);

    source.json(&["withdraw", &format!("{scid}/goes")]);
    // The source is gone before anyone asks again: what it said travels without it.
    let path = format!("/api/v1/records/{scid}/goes");
    let until_gone = |node: &Node| {
        until("the tombstone is there", || {
            (node.get(&path).status == 410).then_some(())
        });
    };
    until_gone(&hub);
    drop(source);
    until_gone(&end);
    for node in [&hub, &end] {
        assert_eq!(
            node.until_found("q=tides", 1),
            [format!("{scid}/stays")],
            "{}",
            node.url
        );
        let tombstone = node.get(&path);
        assert_eq!(tombstone.json()["status"], "withdrawn");
        let tombstone = node.write("tombstone.json", tombstone.body);
        baraza(&["verify", &tombstone, "--log", &log]).ok();
        for path in ["/sync/v1/changes", "/en/search?q=tides"] {
            assert!(!node.get(path).text().contains("Tides and moons"), "{path}");
        }
    }
}

#[test]
fn t3_a_peer_that_was_away_catches_up_with_all_in_few_requests_and_keeps_nobody_waiting() {
    const MISSED: usize = 2_000;
    let mut hub = Node::make(&[]);
    let relay_peer = port();
    // The hub knows that peer, which is not there, as one that it may call.
    hub.edit(
        "insecure_peers = []",
        &format!("insecure_peers = [\"127.0.0.1:{relay_peer}\"]"),
    );
    hub.start();
    hub.org("school");
    hub.publish("school", &course("before", "Before"));
    let relay = Relay::before(&hub);
    let mut peer = Node::make_on(relay_peer, &[relay.port, hub.port]);
    peer.start();
    peer.json(&["follow", &relay.url]);
    peer.until_found("q=before", 1);
    peer.kill();
    relay.passed();

    let rows = (0..MISSED).map(|n| format!("Missed course {n},https://courses.example/{n}\n"));
    let file = hub.write(
        "rows.csv",
        format!("title,url\n{}", rows.collect::<String>()),
    );
    let import = [
        "--org",
        "school",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ];
    let said = hub.json(&[&["import", &file][..], &import[..]].concat());
    assert_eq!(said["new"], MISSED, "{said}");
    hub.publish("school", &course("after", "After all that"));
    hub.until_found("q=after+all+that", 1);
    // The one question that was open when it went may have been answered, to nobody.
    assert!(relay.passed().len() <= 1, "nobody was there to ask");

    peer.start();
    peer.until_found("q=after+all+that", 1);
    let (has, had) = (peer.holdings(), hub.holdings());
    assert!(had.len() > MISSED && had.is_subset(&has), "{}", has.len());
    let passed = relay.passed();
    let asked = passed.iter().filter(|it| it.lines > 1).count();
    assert!((1..=10).contains(&asked), "{passed:?}");
    // Each record came once, with its author's checkpoint and log perhaps.
    let lines: usize = passed.iter().map(|it| it.lines).sum();
    assert!((MISSED..MISSED + 100).contains(&lines), "{lines}");
}

#[test]
fn t5_a_peer_whose_clock_is_half_an_hour_off_is_heard_and_holds_nothing_up() {
    let author = Author::dated("http://127.0.0.1:9", now().plus_seconds(-7_200));
    let dated = |local: &str, seconds: i64| {
        let mut tree = author.offering(local, 1, &format!("Clock {local}"));
        let issued = now().plus_seconds(seconds).to_string();
        tree.insert("issued".into(), issued.into());
        author.sign_as(
            tree,
            &author.key,
            &format!("{}#{}", author.did(), author.key.public()),
            now().plus_seconds(seconds),
        )
    };
    let peer = Hostile::feed(vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &dated("slow", -1_800)),
        record_line(3, &dated("fast", 1_800)),
        record_line(4, &dated("within", 500)),
        record_line(5, &dated("right", 0)),
        end_line(5),
    ]);
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    let found = node.until_found("q=clock", 3);
    assert!(!found.contains(&format!("{}/fast", author.scid())));
    // It is not lost: it waits until it is due. And it was read past.
    assert_eq!(node.number("parked"), 1);
    peer.until_asked_since("feed-5");
    assert_eq!(node.peer()["refused"], 0);
}

#[test]
fn t6_a_record_dated_before_the_last_look_is_still_told_to_followers() {
    let [hub, follower] = nodes::<2>();
    follower.json(&["follow", &hub.url]);
    let author = Author::hosted(&hub.url);
    assert_eq!(
        hand_in(&hub.url, &author.record("today", 1, "Backdated one")).status,
        201
    );
    follower.until_found("q=backdated", 1);
    let mut old = author.offering("old", 1, "Backdated two");
    old.insert("issued".into(), "1999-12-31T23:59:59Z".into());
    assert_eq!(hand_in(&hub.url, &author.sign(old)).status, 201);
    follower.until_found("q=backdated", 2);
    // Also as a change of what is there.
    let mut older = author.offering("today", 2, "Backdated three");
    older.insert("issued".into(), "1998-01-01T00:00:00Z".into());
    assert_eq!(hand_in(&hub.url, &author.sign(older)).status, 201);
    follower.until_found("q=%22backdated+three%22", 1);
}

#[test]
fn t8_whichever_node_or_index_is_switched_off_the_others_search_and_check() {
    let mut net = nodes::<3>();
    let urls: Vec<String> = net.iter().map(|node| node.url.clone()).collect();
    let mut scids = Vec::new();
    for (n, node) in net.iter().enumerate() {
        scids.push(node.org(&format!("org-{n}")));
        node.publish(&format!("org-{n}"), &course("course", "Mangroves"));
        for url in urls.iter().filter(|url| **url != node.url) {
            node.json(&["follow", url]);
        }
    }
    for node in &net {
        node.until_found("q=mangroves", 3);
    }
    for off in 0..3 {
        net[off].stop();
        for node in net.iter().filter(|node| node.runs()) {
            assert_eq!(node.found("q=mangroves").len(), 3);
            let page = node.get("/en/search?q=mangroves");
            assert_eq!(page.status, 200);
            // What the absent one said is checked without it.
            let scid = &scids[off];
            let record = node.get(&format!("/api/v1/records/{scid}/course"));
            let log = node.get(&format!("/api/v1/organizations/{scid}/did.jsonl"));
            let record = node.write("record.json", record.body);
            let log = node.write("did.jsonl", log.body);
            baraza(&["verify", &record, "--log", &log]).ok();
        }
        // Its index is lost too: it makes another.
        fs::remove_dir_all(net[off].dir().join("data/index")).unwrap();
        net[off].start();
        net[off].until_found("q=mangroves", 3);
    }
}

#[test]
fn t9_a_language_that_no_list_has_is_published_followed_filtered_and_found() {
    let [hub, follower] = nodes::<2>();
    follower.json(&["follow", &hub.url]);
    let scid = hub.org("school");
    // Runyankole, and a private tag that nobody can know.
    for (local, language, name) in [
        ("farming", "nyn", "Okuhinga kurungi omu kyaro"),
        ("weaving", "x-hillside", "Zelmuvir tarakon besh"),
    ] {
        let draft = json!({
            "type": "Offering", "localId": local, "language": language,
            "body": {"kind": "course", "name": {language: name}, "languages": [language]},
        });
        hub.publish("school", &draft);
    }
    for node in [&hub, &follower] {
        for (query, local) in [
            ("q=okuhinga", "farming"),
            // By the beginning of a word, as for every language without a stemmer.
            ("q=kurung", "farming"),
            ("language=nyn", "farming"),
            ("q=zelmuvir", "weaving"),
            ("language=x-hillside", "weaving"),
        ] {
            let id = format!("{scid}/{local}");
            assert_eq!(node.until_found(query, 1), [id], "{query}");
        }
        let page = node.get(&format!("/en/o/{scid}/farming"));
        assert_eq!(page.status, 200);
        assert!(page.text().contains("Okuhinga kurungi"));
    }
}
