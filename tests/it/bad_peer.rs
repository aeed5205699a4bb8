//! Rows Y and T4: peers that forge, garble, stall or break off. What is good arrives, what is bad is
//! counted, and nothing blocks what comes after.

use std::io::Write as _;

use serde_json::json;

use crate::support::author::{Author, hand_in};
use crate::support::client;
use crate::support::hostile::{
    Hostile, answer, end_line, given_line, hold, log_line, record_line, version_line, wanted,
};
use crate::support::node::Node;
use crate::support::{started, until};

/// An author whose home is nowhere: it is known by what peers tell.
fn stranger() -> Author {
    Author::at("http://127.0.0.1:9")
}

fn ndjson(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.join(&b'\n')
}

/// Waits until the reading of a peer has failed for this reason. Whether it was asked to push is noted in
/// the same place, sooner or later.
fn until_error(node: &Node, peer: &Hostile, reason: &str) {
    until(reason, || {
        let peers = node.json(&["peers"]);
        let items = peers["items"].as_array().unwrap();
        let told = items.iter().find(|told| told["url"] == peer.url)?;
        let error = told["last_error"].as_str()?;
        error.contains(reason).then_some(())
    });
}

#[test]
fn y06_t4_good_records_arrive_between_forged_and_poisonous_ones() {
    let (author, other) = (stranger(), stranger());
    let forged = {
        let good = String::from_utf8(author.record("forged", 1, "Forged")).unwrap();
        let altered = good.replace("Forged", "forged");
        assert_ne!(altered, good);
        altered.into_bytes()
    };
    let method = format!("{}#{}", other.did(), other.key.public());
    let time = crate::support::now();
    let foreign = author.sign_as(
        author.offering("foreign", 1, "Foreign"),
        &other.key,
        &method,
        time,
    );
    let unlisted = author.sign_with(author.offering("unlisted", 1, "Unlisted"), &other.key);
    let mut private = author.offering("private", 1, "Private");
    private.insert("type".into(), "Request".into());
    let mut newer = author.offering("newer", 1, "Newer");
    newer.insert("spec".into(), "baraza/2".into());
    let mut broken_log = String::from_utf8(other.log[0].clone()).unwrap();
    broken_log = broken_log.replace("\"portable\":true", "\"portable\":false");
    let bad: Vec<Vec<u8>> = vec![
        record_line(2, &forged),
        b"this is no JSON".to_vec(),
        b"{}".to_vec(),
        b"[1,2,3]".to_vec(),
        vec![0xff; 40],
        record_line(3, &foreign),
        record_line(4, &author.sign(private)),
        record_line(5, &author.sign(newer)),
        record_line(6, b"5"),
        record_line(7, format!("[0{}]", ",0".repeat(30_000)).as_bytes()),
        record_line(8, "[".repeat(50).as_bytes()),
        record_line(9, br#"{"a":1,"a":2}"#),
        log_line(10, &other.scid(), broken_log.as_bytes()),
        log_line(11, "nonsense", b"{}"),
        log_line(12, &author.scid(), b"{\"versionId\":\"2-x\"}"),
    ];
    let mut lines = vec![log_line(1, &author.scid(), &author.log[0])];
    lines.push(record_line(1, &author.record("good-first", 1, "Good")));
    for (n, line) in bad.iter().enumerate() {
        lines.push(line.clone());
        lines.push(record_line(
            20,
            &author.record(&format!("good-{n}"), 1, "Good"),
        ));
    }
    // Y15: what a later version may send is passed over.
    lines.push(br#"{"cursor":"feed-80","future":{"x":[1]}}"#.to_vec());
    lines.push(record_line(90, &unlisted));
    lines.push(record_line(99, &author.record("good-last", 1, "Good")));
    lines.push(end_line(99));
    let peer = Hostile::feed(lines);
    let node = Node::running(&[peer.port]);
    let before = node.number("records");
    node.json(&["follow", &peer.url]);
    let found = node.until_found("q=good&limit=100", bad.len() + 2);
    assert!(found.contains(&format!("{}/good-last", author.scid())));

    let told = node.peer();
    assert_eq!(told["refused"], bad.len(), "{told}");
    assert_eq!(told["received"], bad.len() + 2, "{told}");
    peer.until_asked_since("feed-99");
    assert!(told["last_refusal"].as_str().unwrap().len() > 10, "{told}");
    assert_eq!(told["last_error"], json!(null), "{told}");
    assert_eq!(node.number("refused"), bad.len() as u64);
    assert_eq!(node.number("records"), before + bad.len() as u64 + 2);
    // What no log allows is kept aside; nothing bad is shown or handed on.
    assert_eq!(node.number("parked"), 1);
    let handed_on: Vec<String> = node.holdings().into_iter().collect();
    assert_eq!(
        handed_on.len(),
        bad.len() + 3,
        "the good ones and one log entry"
    );
    for local in ["forged", "foreign", "unlisted", "private", "newer"] {
        assert_eq!(node.get(&author.path(local)).status, 404, "{local}");
    }
}

#[test]
fn y15_of_a_peer_of_a_later_version_what_is_understood_is_taken_and_the_rest_named_or_passed_over()
{
    let author = stranger();
    let mut unknown_type = author.offering("apprenticeship", 1, "Later kind");
    unknown_type.insert("type".into(), "Apprenticeship".into());
    let unknown_type = author.sign(unknown_type);
    let mut more = author.offering("more", 1, "With more");
    more.insert("future".into(), json!({"anything": [1, "x"]}));
    let more = author.sign(more);
    let mut newer = author.offering("newer", 1, "Newer");
    newer.insert("spec".into(), "baraza/2".into());
    let with_more = String::from_utf8(record_line(3, &more)).unwrap();
    let with_more = with_more.replacen('{', "{\"later\":{\"x\":1},", 1);
    let peer = Hostile::feed(vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &unknown_type),
        with_more.into_bytes(),
        br#"{"cursor":"feed-4","future":{"x":[1]}}"#.to_vec(),
        record_line(5, &author.sign(newer)),
        record_line(6, &author.record("known", 1, "Known")),
        end_line(6),
    ]);
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    node.until_found("q=known", 1);
    for (local, whole) in [("apprenticeship", &unknown_type), ("more", &more)] {
        let held = node.get(&author.path(local));
        assert_eq!((held.status, &held.body), (200, whole), "{local}");
        let text = String::from_utf8_lossy(whole).into_owned();
        assert!(
            node.holdings().contains(&text),
            "{local} is handed on whole"
        );
    }
    assert_eq!(node.get(&author.path("newer")).status, 404);
    let told = node.peer();
    assert_eq!(told["refused"], 1, "{told}");
    let reason = told["last_refusal"].as_str().unwrap();
    assert!(reason.contains("baraza/2"), "{reason}");
    assert_eq!(told["last_error"], json!(null), "{told}");
    // And asked in a later way: more parameters are passed over, another protocol is not here.
    let asked = node.get("/sync/v1/changes?later=yes&limit=1");
    assert_eq!(asked.status, 200, "{}", asked.text());
    let elsewhere = node.get("/sync/v2/changes");
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_str()),
        (404, "not-found")
    );
}

#[test]
fn y17_f26_what_is_private_is_refused_at_every_door_and_is_no_part_of_sync() {
    const MARK: &str = "zebraprivate";
    let author = stranger();
    let mut lines = vec![log_line(1, &author.scid(), &author.log[0])];
    let mut hashes = Vec::new();
    for (number, kind) in (2..).zip(protocol::envelope::PRIVATE_TYPES) {
        let mut private = author.offering(&format!("private-{number}"), 1, MARK);
        private.insert("type".into(), kind.into());
        let private = author.sign(private);
        hashes.push(protocol::id::VersionHash::of(&private).to_string());
        lines.push(record_line(number, &private));
    }
    lines.push(record_line(20, &author.record("public", 1, "Public")));
    lines.push(end_line(20));
    let peer = Hostile::feed(lines);
    let mut node = Node::make(&[peer.port]);
    node.host_anyone();
    node.start();
    node.json(&["follow", &peer.url]);
    node.until_found("q=public", 1);
    assert_eq!(
        node.peer()["refused"],
        protocol::envelope::PRIVATE_TYPES.len()
    );
    let hosted = Author::hosted(&node.url);
    for kind in protocol::envelope::PRIVATE_TYPES {
        let mut private = hosted.offering("private", 1, MARK);
        private.insert("type".into(), kind.into());
        let answer = hand_in(&node.url, &hosted.sign(private));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (422, "private-type"),
            "{kind}"
        );
    }
    // Whoever knows its hash is given nothing either.
    let want = json!({"want": hashes}).to_string();
    let fetched = client::post(&node.url, "/sync/v1/fetch", want.as_bytes());
    assert_eq!((fetched.status, fetched.text().as_str()), (200, ""));
    for path in [
        "/sync/v1/changes?limit=1000",
        "/outbox?after=0",
        "/api/v1/search?q=zebraprivate",
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let items = answer.text().replace("\"q\":\"zebraprivate\"", "");
        assert!(
            !items.contains("private-") && !items.contains("\"zebraprivate\""),
            "{path}: {items}"
        );
    }
    assert!(!node.log().contains(MARK), "{}", node.log());
}

/// A node with this change feed that answers to `fetch` with those lines, whatever it is asked.
fn feed_and_fetch(feed: Vec<Vec<u8>>, given: Vec<Vec<u8>>) -> Hostile {
    Hostile::start(move |first, stream| {
        if first.starts_with("POST /sync/v1/fetch") {
            let asked = wanted(stream);
            assert!(asked.len() <= 500, "{}", asked.len());
            answer(stream, "200 OK", "application/x-ndjson", &ndjson(&given));
        } else if first.starts_with("GET /sync/v1/changes") && !first.contains("since=") {
            answer(stream, "200 OK", "application/x-ndjson", &ndjson(&feed));
        } else {
            hold(stream);
        }
    })
}

fn asked_by_hash(peer: &Hostile) -> usize {
    let requests = peer.requests();
    let is_fetch = |head: &&String| head.starts_with("POST /sync/v1/fetch");
    requests.iter().filter(is_fetch).count()
}

#[test]
fn r09_who_sends_more_than_a_share_fills_that_share_and_nobody_elses() {
    let (first, second, other) = (stranger(), stranger(), stranger());
    let feed = |authors: &[&Author], more: Vec<Vec<u8>>| {
        let mut lines = Vec::new();
        for (author, n) in authors.iter().zip(1..) {
            lines.push(log_line(n, &author.scid(), &author.log[0]));
            lines.extend(
                (0..20).map(|n| record_line(9, &author.record(&format!("r{n:02}"), 1, "Many"))),
            );
        }
        lines.extend(more.iter().map(|record| record_line(9, record)));
        lines.push(end_line(10));
        Hostile::start(move |first, stream| {
            // As an earlier release.
            if first.starts_with("POST /sync/v1/reconcile") {
                return answer(stream, "404 Not Found", "text/plain", b"");
            }
            let has_read = first.contains("since=");
            let waits = has_read && !first.contains("wait=0");
            if !first.starts_with("GET /sync/v1/changes") || waits {
                return hold(stream);
            }
            let lines = if has_read {
                end_line(10)
            } else {
                ndjson(&lines)
            };
            answer(stream, "200 OK", "application/x-ndjson", &lines);
        })
    };
    // What is held may be changed and withdrawn all the same.
    let mut withdrawn = first.offering("r01", 2, "");
    withdrawn.insert("status".into(), json!("withdrawn"));
    withdrawn.remove("body");
    withdrawn.remove("language");
    let changed = first.record("r00", 2, "Changed");
    let more = vec![changed.clone(), first.sign(withdrawn)];
    let greedy = feed(&[&first, &second], more);
    let modest = feed(&[&other], Vec::new());
    let mut node = Node::make(&[greedy.port, modest.port]);
    node.edit("records_per_author = 200000", "records_per_author = 10");
    node.edit("records_per_peer = 2000000", "records_per_peer = 15");
    node.edit("policy = \"closed\"", "policy = \"open\"");
    node.start();
    node.json(&["follow", &greedy.url]);
    greedy.until_asked_since("feed-10");
    node.json(&["follow", &modest.url]);
    modest.until_asked_since("feed-10");
    let held = |author: &Author| {
        let is_held = |n: &usize| node.get(&author.path(&format!("r{n:02}"))).status != 404;
        (0..20).filter(is_held).count()
    };
    assert_eq!((held(&first), held(&second), held(&other)), (10, 5, 10));
    assert_eq!(node.get(&first.path("r00")).body, changed);
    assert_eq!(node.get(&first.path("r01")).status, 410);
    let told = node.json(&["peers"]);
    let items = told["items"].as_array().unwrap();
    let told = items.iter().find(|told| told["url"] == greedy.url).unwrap();
    assert_eq!(told["refused"], 25, "{told}");
    let reason = told["last_refusal"].as_str().unwrap();
    assert!(reason.contains("records_per_peer"), "{reason}");
    let organizations = node.get("/api/v1/organizations").json();
    let is_full = |author: &Author| {
        let items = organizations["items"].as_array().unwrap();
        let told = items
            .iter()
            .find(|told| told["id"] == author.scid())
            .unwrap();
        told["isFull"].clone()
    };
    assert_eq!(
        (is_full(&first), is_full(&second)),
        (json!(true), json!(false))
    );
    // Nor does an author who brings records itself fill more than its share.
    let hosted = Author::hosted(&node.url);
    for n in 0..12 {
        let answer = hand_in(&node.url, &hosted.record(&format!("r{n:02}"), 1, "Own"));
        let expected = if n < 10 { 201 } else { 422 };
        assert_eq!(answer.status, expected, "{}", answer.text());
        if n >= 10 {
            assert_eq!(answer.json()["code"], "quota-reached");
        }
    }

    // The operator takes more, and reads anew.
    node.stop();
    node.edit("records_per_author = 10", "records_per_author = 1000");
    node.edit("records_per_peer = 15", "records_per_peer = 1000");
    node.start();
    node.json(&["sync", "--full"]);
    let held = |author: &Author| {
        let is_held = |n: &usize| node.get(&author.path(&format!("r{n:02}"))).status != 404;
        (0..20).filter(is_held).count()
    };
    assert_eq!((held(&first), held(&second), held(&other)), (20, 20, 20));
}

#[test]
fn y05_only_what_was_asked_for_by_hash_is_taken_and_the_rest_is_counted() {
    let author = stranger();
    let record = |local: &str| author.record(local, 1, "Named");
    let (first, second, unasked) = (record("first"), record("second"), record("unasked"));
    let altered = String::from_utf8(second.clone()).unwrap();
    let altered = altered.replace("Named", "Renamed").into_bytes();
    let feed = vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &record("before")),
        version_line(3, &first),
        version_line(4, &second),
        record_line(5, &record("after")),
        end_line(5),
    ];
    let given = vec![
        given_line(&unasked),
        given_line(&altered),
        given_line(&first),
        // One line more than was asked for is read, and nothing beyond it.
        given_line(&second),
    ];
    let peer = feed_and_fetch(feed, given);
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    peer.until_asked_since("feed-5");
    for (local, status) in [
        ("before", 200),
        ("after", 200),
        ("first", 200),
        ("second", 404),
        ("unasked", 404),
    ] {
        assert_eq!(node.get(&author.path(local)).status, status, "{local}");
    }
    assert_eq!(node.get(&author.path("first")).body, first);
    // Two that were not asked for, and one that was named and not given in time.
    let told = node.peer();
    assert_eq!(told["refused"], 3, "{told}");
    assert_eq!(told["received"], 3, "{told}");
    assert_eq!(asked_by_hash(&peer), 1);
}

#[test]
fn y13_what_one_peer_names_and_does_not_have_is_fetched_from_another() {
    let author = stranger();
    let record = author.record("rotten-there", 1, "Named");
    let first = feed_and_fetch(
        vec![
            log_line(1, &author.scid(), &author.log[0]),
            version_line(2, &record),
            end_line(2),
        ],
        Vec::new(),
    );
    let other = feed_and_fetch(vec![end_line(1)], vec![given_line(&record)]);
    let node = Node::running(&[first.port, other.port]);
    node.json(&["follow", &other.url]);
    node.json(&["follow", &first.url]);
    until("the record is here", || {
        (node.get(&author.path("rotten-there")).status == 200).then_some(())
    });
    assert_eq!(node.get(&author.path("rotten-there")).body, record);
    assert_eq!(node.number("refused"), 0);
    assert_eq!((asked_by_hash(&first), asked_by_hash(&other)), (1, 1));
}

#[test]
fn y03_a_peer_that_names_much_and_gives_nothing_is_marked_and_asked_a_page_at_a_time() {
    let author = stranger();
    let mut feed = vec![log_line(1, &author.scid(), &author.log[0])];
    feed.extend((2..10_000_u64).map(|n| version_line(n, &n.to_be_bytes())));
    feed.push(end_line(10_000));
    let peer = feed_and_fetch(feed, Vec::new());
    let other = feed_and_fetch(vec![end_line(1)], Vec::new());
    let node = Node::running(&[peer.port, other.port]);
    node.json(&["follow", &other.url]);
    node.json(&["follow", &peer.url]);
    until_error(&node, &peer, "500 versions");
    // A page ends with as many names as are asked for at a time: the place is after those.
    peer.until_asked_since("feed-501");
    assert_eq!((asked_by_hash(&peer), asked_by_hash(&other)), (1, 1));
    let peers = node.json(&["peers"]);
    let items = peers["items"].as_array().unwrap();
    let told = items.iter().find(|told| told["url"] == peer.url).unwrap();
    assert_eq!(told["refused"], 500, "{told}");
}

#[test]
fn an_answer_that_unpacks_to_more_than_a_page_is_ended_and_what_came_before_it_stays() {
    let author = stranger();
    let good = ndjson(&[
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &author.record("before", 1, "Before")),
        Vec::new(),
    ]);
    // Half a gigabyte of blank lines behind what is good.
    let mut packed = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    packed.write_all(&good).unwrap();
    for _ in 0..512 {
        packed.write_all(&vec![b'\n'; 1024 * 1024]).unwrap();
    }
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 100_000, "{}", packed.len());
    let peer = Hostile::start(move |first, stream| {
        if !first.starts_with("GET /sync/v1/changes") || first.contains("since=") {
            return hold(stream);
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            packed.len()
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&packed);
    });
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    until_error(&node, &peer, "67108864 bytes");
    peer.until_asked_since("feed-2");
    assert_eq!(node.get(&author.path("before")).status, 200);
}

#[test]
fn an_endless_line_ends_the_reading_and_what_came_before_it_stays() {
    let author = stranger();
    let good = vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &author.record("before", 1, "Before")),
    ];
    let hostile = Hostile::start(move |first, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n");
        if !first.contains("since=") {
            let _ = stream.write_all(&ndjson(&good));
        }
        let _ = stream.write_all(b"\n{\"record\":\"");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    let honest_author = stranger();
    let honest = Hostile::feed(vec![
        log_line(1, &honest_author.scid(), &honest_author.log[0]),
        record_line(2, &honest_author.record("honest", 1, "Honest")),
        end_line(2),
    ]);
    let node = Node::running(&[hostile.port, honest.port]);
    node.json(&["follow", &hostile.url]);
    until_error(&node, &hostile, "line");
    hostile.until_asked_since("feed-2");
    assert_eq!(node.get(&author.path("before")).status, 200);
    // Nobody else is kept waiting.
    node.json(&["follow", &honest.url]);
    until("the honest peer is read", || {
        (node.get(&honest_author.path("honest")).status == 200).then_some(())
    });
}

#[test]
fn y11_an_answer_that_breaks_off_goes_on_where_it_stopped() {
    let author = stranger();
    let rows: Vec<Vec<u8>> = (2..10)
        .map(|n| record_line(n, &author.record(&format!("r-{n}"), 1, "Row")))
        .collect();
    let mut lines = vec![log_line(1, &author.scid(), &author.log[0])];
    lines.extend(rows);
    let peer = Hostile::start(move |first, stream| {
        // Two lines after the cursor, the second one cut in its middle.
        let read = first.split("since=feed-").nth(1);
        let read = read.map_or(0, |rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<usize>().unwrap()
        });
        match lines.get(read..) {
            None | Some([]) => hold(stream),
            Some([last]) => {
                let body = ndjson(&[last.clone(), end_line(9)]);
                answer(stream, "200 OK", "application/x-ndjson", &body);
            }
            Some([next, after, ..]) => {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: 99999\r\n\r\n",
                );
                let _ = stream.write_all(next);
                let _ = stream.write_all(b"\n");
                let _ = stream.write_all(&after[..after.len() / 2]);
            }
        }
    });
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    until("all rows are there", || {
        // Asking for it spares the pause between attempts.
        let _ = node.run(&["sync"]);
        (node.number("records") == 8).then_some(())
    });
    let asked: Vec<String> = peer
        .requests()
        .iter()
        .filter_map(|head| Some(head.split("since=feed-").nth(1)?.chars().take(1).collect()))
        .collect();
    for n in 1..9 {
        assert!(asked.contains(&n.to_string()), "{n} is not among {asked:?}");
    }
}

#[test]
fn a_peer_that_answers_at_once_with_nothing_is_not_asked_without_pause() {
    let peer = Hostile::start(|_, stream| {
        answer(stream, "200 OK", "application/x-ndjson", &end_line(1));
    });
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    // Its actor is asked for too: that is no reading of its log.
    let readings = || {
        let requests = peer.requests();
        let is_reading = |first: &&String| first.contains("/sync/v1/changes");
        requests.iter().filter(is_reading).count()
    };
    until("it was asked once", || (readings() >= 1).then_some(()));
    let start = started();
    let before = readings();
    until("it was asked five times more", || {
        (readings() >= before + 5).then_some(())
    });
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds > 2.0, "five more times within {seconds} s");
}

#[test]
fn a_peer_whose_log_begins_anew_is_read_from_the_start() {
    let author = stranger();
    let (log, record) = (author.log[0].clone(), author.record("x", 1, "Old"));
    let (newer, scid) = (author.record("x", 2, "New"), author.scid());
    let anew = |line: Vec<u8>| {
        String::from_utf8(line)
            .unwrap()
            .replace("feed-", "anew-")
            .into_bytes()
    };
    let peer = {
        let first = ndjson(&[
            log_line(1, &scid, &log),
            record_line(2, &record),
            end_line(2),
        ]);
        let second = ndjson(&[
            anew(log_line(1, &scid, &log)),
            anew(record_line(2, &newer)),
            anew(end_line(2)),
        ]);
        let is_gone = std::sync::atomic::AtomicBool::new(false);
        Hostile::start(move |head, stream| {
            use std::sync::atomic::Ordering::SeqCst;
            if head.contains("since=feed-2") {
                is_gone.store(true, SeqCst);
                let body = br#"{"type":"about:blank","title":"Gone","status":410,"code":"cursor-gone","detail":"begun anew"}"#;
                answer(stream, "410 Gone", "application/problem+json", body);
            } else if head.contains("since=anew-2") {
                hold(stream);
            } else {
                let body = if is_gone.load(SeqCst) {
                    &second
                } else {
                    &first
                };
                answer(stream, "200 OK", "application/x-ndjson", body);
            }
        })
    };
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    peer.until_asked_since("anew-2");
    // That it cannot be asked to push is noted in the same place.
    assert!(!node.peer()["last_error"].to_string().contains("410"));
    assert_eq!(node.get(&author.path("x")).json()["seq"], 2);
}
