//! Two nodes find out what one lacks of the other without reading all that the other has, and what
//! hostile peers can make of that.

use std::fs;

use serde_json::{Value, json};

use crate::support::author::Author;
use crate::support::client::{self, Answer};
use crate::support::hostile::{
    Hostile, answer, end_line, given_line, log_line, record_line, wanted,
};
use crate::support::node::Node;
use crate::support::relay::{Passed, Relay};
use crate::support::{chance, started, until};

/// An author and a file of its records that nodes import.
fn known_author(records: usize) -> (Author, Vec<u8>) {
    let author = Author::at("http://127.0.0.1:9");
    let entry = String::from_utf8(author.log[0].clone()).unwrap();
    let mut lines =
        vec![format!("{{\"log\":{entry},\"scid\":\"{}\"}}", author.scid()).into_bytes()];
    lines.extend((0..records).map(|n| given_line(&author.record(&format!("r-{n}"), 1, "Known"))));
    (author, lines.join(&b'\n'))
}

/// A node that has this file's records and takes new ones from anyone.
fn carrying(bundle: &[u8]) -> Node {
    let mut node = Node::make(&[]);
    let file = node.write("known.ndjson", bundle);
    node.json(&["bundle", "import", &file]);
    node.host_anyone();
    node.start();
    node
}

/// Brings more lines to a node, which serves meanwhile or not.
fn take(node: &Node, lines: Vec<Vec<u8>>) {
    let file = node.write("more.ndjson", lines.join(&b'\n'));
    node.json(&["bundle", "import", &file]);
}

fn tombstone(author: &Author, local: &str, seq: u64) -> Vec<u8> {
    let mut tree = author.offering(local, seq, "");
    tree.insert("status".into(), json!("withdrawn"));
    tree.remove("body");
    tree.remove("language");
    author.sign(tree)
}

/// What a command that reads one peer whole says of it.
fn compared(node: &Node, url: &str) -> Value {
    node.json(&["sync", url, "--full"])["peers"][0]["pulled"].clone()
}

fn of<'p>(passed: &'p [Passed], path: &str) -> Vec<&'p Passed> {
    passed.iter().filter(|it| it.what.contains(path)).collect()
}

#[test]
fn y07_y08_a_record_and_a_tombstone_that_a_log_left_out_are_found_by_comparing() {
    let (author, bundle) = known_author(100);
    let hub = carrying(&bundle);
    let relay = Relay::before(&hub);
    relay.hide("/sync/v1/changes", "hidden");
    relay.hide("/sync/v1/changes", "withdrawn");
    let reader = Node::running(&[relay.port]);
    reader.json(&["follow", &relay.url]);
    let hidden = author.record("hidden", 1, "Left out");
    let ended = tombstone(&author, "r-3", 2);
    let last = author.record("last", 1, "Told");
    take(
        &hub,
        [&hidden, &ended, &last]
            .map(|record| given_line(record))
            .to_vec(),
    );
    until("the log was read to its end", || {
        (reader.get(&author.path("last")).status == 200).then_some(())
    });
    reader.json(&["sync", &relay.url]);
    assert_eq!(reader.get(&author.path("hidden")).status, 404);
    assert_eq!(reader.get(&author.path("r-3")).status, 200);

    relay.passed();
    let pulled = compared(&reader, &relay.url);
    assert_eq!(pulled["stored"], 2, "{pulled}");
    assert_eq!(reader.get(&author.path("hidden")).body, hidden);
    assert_eq!(reader.get(&author.path("r-3")).status, 410);
    // Both came by hash, and the log was not read again.
    let passed = relay.passed();
    let fetched = of(&passed, "POST /sync/v1/fetch").into_iter();
    assert_eq!(fetched.map(|it| it.lines).sum::<usize>(), 2, "{passed:?}");
    let anew = of(&passed, "GET /sync/v1/changes").into_iter();
    assert!(
        anew.into_iter().all(|it| it.what.contains("since=")),
        "{passed:?}"
    );

    // Nothing differs now: one message for each set, less than a kilobyte together.
    let pulled = compared(&reader, &relay.url);
    assert_eq!(
        (&pulled["stored"], &pulled["messages"]),
        (&json!(0), &json!(2)),
        "{pulled}"
    );
    assert!(
        pulled["message_bytes"].as_u64().unwrap() < 1_000,
        "{pulled}"
    );
}

#[test]
fn nothing_of_a_blocked_author_crosses_the_line_again_until_it_is_unblocked() {
    let (mut author, bundle) = known_author(60);
    let hub = carrying(&bundle);
    let relay = Relay::before(&hub);
    let reader = Node::running(&[relay.port]);
    reader.json(&["follow", &relay.url]);
    until("the reader has it", || {
        (reader.get(&author.path("r-59")).status == 200).then_some(())
    });
    reader.json(&[
        "peers",
        "block",
        &author.scid(),
        "--reason",
        "it advertises",
    ]);
    // Gives what was fetched; the sets are found to be the same by one message each.
    let compare = || {
        relay.passed();
        let pulled = compared(&reader, &relay.url);
        assert_eq!(pulled["stored"], 0, "{pulled}");
        let passed = relay.passed();
        let fetched = of(&passed, "POST /sync/v1/fetch").len();
        let bytes = pulled["message_bytes"].as_u64().unwrap();
        (fetched, pulled["messages"].as_u64().unwrap(), bytes < 1_000)
    };
    assert_eq!(compare(), (0, 2, true), "what is held is not named");

    // What comes meanwhile is refused, and then neither named nor asked for.
    let meanwhile =
        [("new", 1), ("r-0", 2)].map(|(local, seq)| author.record(local, seq, "During"));
    take(
        &hub,
        meanwhile.iter().map(|record| given_line(record)).collect(),
    );
    reader.json(&["sync", &relay.url]);
    assert_eq!(compare(), (0, 2, true), "what was refused is not named");
    // A log entry as well. What it ends there is not ended here, so the sets differ, and nothing is asked for.
    author.rotate();
    let entry = String::from_utf8(author.log[1].clone()).unwrap();
    let entry = format!("{{\"log\":{entry},\"scid\":\"{}\"}}", author.scid());
    let last = author.record("last", 1, "During");
    take(&hub, vec![entry.into_bytes(), given_line(&last)]);
    reader.json(&["sync", &relay.url]);
    assert_eq!(compare().0, 0, "what was refused is not asked for");
    assert_eq!(reader.peer()["refused"], 0, "{}", reader.peer());

    reader.json(&["peers", "unblock", &author.scid()]);
    until("what was refused meanwhile is here", || {
        (reader.get(&author.path("last")).status == 200).then_some(())
    });
    // The dropped key's records are gone here as there.
    until("both show the same of it", || {
        let shown = ["new", "r-0", "r-59", "last"].map(|local| author.path(local));
        let same = |path: &String| reader.get(path).status == hub.get(path).status;
        shown.iter().all(same).then_some(())
    });
}

#[test]
fn y07_what_a_peer_names_and_does_not_give_is_found_at_another() {
    let (author, bundle) = known_author(5);
    let (hub, other) = (carrying(&bundle), carrying(&bundle));
    let (mean, forgetful) = (Relay::before(&hub), Relay::before(&other));
    for path in ["/sync/v1/changes", "/sync/v1/fetch"] {
        mean.hide(path, "r-2");
    }
    forgetful.hide("/sync/v1/changes", "r-2");
    let reader = Node::running(&[mean.port, forgetful.port]);
    reader.json(&["follow", &mean.url]);
    reader.json(&["follow", &forgetful.url]);
    reader.json(&["sync"]);
    assert_eq!(reader.get(&author.path("r-1")).status, 200);
    assert_eq!(reader.get(&author.path("r-2")).status, 404);
    let pulled = compared(&reader, &mean.url);
    assert_eq!(pulled["stored"], 1, "{pulled}");
    assert_eq!(reader.get(&author.path("r-2")).status, 200);
}

#[test]
fn after_an_epoch_change_a_node_that_can_only_call_out_asks_for_the_differences_alone() {
    let (author, bundle) = known_author(300);
    let mut hub = carrying(&bundle);
    let relay = Relay::before(&hub);
    // The hub may not call it: it knows no peer that it could reach.
    let mut reader = Node::running(&[relay.port]);
    reader.json(&["follow", &relay.url]);
    until("all is here", || {
        (reader.number("records") >= 300).then_some(())
    });
    reader.json(&["sync"]);
    reader.stop();
    let file = hub.file("backup");
    let file = file.to_str().unwrap();
    hub.json(&["backup", file]);
    let epoch = hub.census()["epoch"].clone();
    hub.stop();
    fs::remove_dir_all(hub.dir()).unwrap();
    hub.json(&["restore", file]);
    let fresh: Vec<Vec<u8>> = (0..5)
        .map(|n| author.record(&format!("new-{n}"), 1, "New"))
        .collect();
    take(
        &hub,
        fresh.iter().map(|record| given_line(record)).collect(),
    );
    hub.start();
    assert_ne!(hub.census()["epoch"], epoch);

    relay.passed();
    reader.start();
    until("the differences are here", || {
        (reader.get(&author.path("new-4")).status == 200).then_some(())
    });
    // What comes afterwards is read on from where the log stood.
    take(&hub, vec![given_line(&author.record("last", 1, "Last"))]);
    until("the log is read on", || {
        (reader.get(&author.path("last")).status == 200).then_some(())
    });
    for record in &fresh {
        let local: Value = serde_json::from_slice(record).unwrap();
        let path = author.path(local["localId"].as_str().unwrap());
        assert_eq!(reader.get(&path).body, *record);
    }
    let passed = relay.passed();
    assert!(of(&passed, "/sync/v1/reconcile").len() <= 4, "{passed:?}");
    let fetched = of(&passed, "/sync/v1/fetch").into_iter();
    let fetched: usize = fetched.map(|it| it.lines).sum();
    assert!((5..=6).contains(&fetched), "{passed:?}");
    let lines: usize = of(&passed, "/sync/v1/changes")
        .iter()
        .map(|it| it.lines)
        .sum();
    assert!(lines < 20, "the log is not read anew: {passed:?}");
    let bytes: usize = of(&passed, "/sync/v1/").iter().map(|it| it.bytes).sum();
    assert!(bytes < 60_000, "{bytes}: {passed:?}");
}

#[test]
fn a_log_that_is_not_here_comes_by_the_digest_of_its_newest_entry_and_its_records_after_it() {
    let (mut author, bundle) = known_author(3);
    let before = author.record("before", 1, "Before");
    let old = author.rotate();
    let after = author.record("after", 1, "After");
    assert_ne!(old.public(), author.key.public());
    let hub = carrying(&bundle);
    let relay = Relay::before(&hub);
    // The log tells nothing of this author.
    relay.hide("/sync/v1/changes", &author.scid());
    let reader = Node::running(&[relay.port]);
    reader.json(&["follow", &relay.url]);
    let entry = String::from_utf8(author.log[1].clone()).unwrap();
    let entry = format!("{{\"log\":{entry},\"scid\":\"{}\"}}", author.scid()).into_bytes();
    take(&hub, vec![entry, given_line(&after)]);
    let late = hub.write("late.ndjson", given_line(&before));
    let refused = hub.run(&["bundle", "import", &late, "--json"]);
    assert_eq!(refused.json()["refused_count"], 1, "{}", refused.out);
    reader.json(&["sync"]);
    assert_eq!(reader.get(&author.path("after")).status, 404);
    compared(&reader, &relay.url);
    assert_eq!(reader.get(&author.path("after")).body, after);
    assert_eq!(reader.get(&author.path("before")).status, 404);
    let log = |node: &Node| {
        let path = format!("/api/v1/organizations/{}/did.jsonl", author.scid());
        node.get(&path).text()
    };
    assert_eq!(log(&reader).lines().count(), 2);
    assert_eq!(log(&reader), log(&hub));
}

fn say(node: &Node, set: &str, message: &[u8]) -> Answer {
    client::post(&node.url, &format!("/sync/v1/reconcile?set={set}"), message)
}

/// The first message of somebody who has nothing: a list of no ids over everything.
const NOTHING: [u8; 5] = [0x61, 0, 0, 2, 0];

#[test]
fn y01_y02_a_node_refuses_what_is_no_message_and_goes_on() {
    let (author, bundle) = known_author(40);
    let mut node = carrying(&bundle);
    let told = say(&node, "records", &NOTHING);
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(
        told.header("content-type"),
        Some("application/octet-stream")
    );
    assert!(
        told.header("baraza-cursor")
            .is_some_and(|cursor| cursor.contains('-'))
    );
    // Version, then one list over everything: 40 records, and the node's own if it has any.
    assert!(
        told.body.len() > 40 * 32 && told.body[0] == 0x61,
        "{}",
        told.body.len()
    );
    let of_author = say(&node, &format!("author:{}", author.scid()), &NOTHING);
    assert!(
        (40 * 32..40 * 32 + 10).contains(&of_author.body.len()),
        "{}",
        of_author.body.len()
    );

    let mut random = [chance(); 8].concat();
    let mut huge = vec![0x61, 0, 0, 2];
    huge.extend([0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]);
    random[0] = 0;
    for bad in [
        &[][..],
        &random,
        &huge,
        &[0x61, 0, 0, 9],
        &[0x61, 0, 0xff, 0x7f, 1],
        // Cut off within a number.
        &[0x61, 0x80],
        &[0x61, 0, 0, 2, 0x81],
    ] {
        let told = say(&node, "records", bad);
        assert_eq!(
            (told.status, told.code().as_str()),
            (400, "malformed"),
            "{bad:?}"
        );
    }
    for first in [0x61, 0x62] {
        random[0] = first;
        let status = say(&node, "identities", &random).status;
        assert!(matches!(status, 200 | 400), "{status}");
    }
    for flipped in 0..NOTHING.len() * 8 {
        let mut message = NOTHING;
        message[flipped / 8] ^= 1 << (flipped % 8);
        let status = say(&node, "records", &message).status;
        assert!(matches!(status, 200 | 400), "{status} for {message:?}");
    }
    // Another version of the protocol is answered with the one that is spoken here.
    assert_eq!(say(&node, "records", &[0x62]).body, [0x61]);
    for set in ["", "everything", "author:x"] {
        let told = say(&node, set, &NOTHING);
        assert_eq!(told.status, 400);
        assert_eq!(told.json()["field"], "set");
    }
    let large = vec![0x61; 256 * 1024 + 1];
    assert_eq!(say(&node, "records", &large).status, 413);
    assert_eq!(
        client::get(&node.url, "/sync/v1/reconcile?set=records").status,
        405
    );
    node.stop();
}

#[test]
fn y18_a_hundred_at_once_are_answered_or_sent_away_for_a_while_and_visitors_are_served() {
    let (_, bundle) = known_author(500);
    let node = carrying(&bundle);
    let url = node.url.clone();
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || {
                client::post(&url, "/sync/v1/reconcile?set=records", &NOTHING)
            })
        })
        .collect();
    let start = started();
    assert_eq!(node.get("/livez").status, 200);
    let waited = start.elapsed();
    let answers: Vec<Answer> = asking.into_iter().map(|it| it.join().unwrap()).collect();
    assert!(waited.as_secs() < 5, "{waited:?}");
    let served = answers.iter().filter(|it| it.status == 200).count();
    assert!(served > 0);
    for sent_away in answers.iter().filter(|it| it.status != 200) {
        assert_eq!(
            (sent_away.status, sent_away.code().as_str()),
            (503, "unavailable")
        );
        let after = sent_away.header("retry-after").unwrap();
        assert!(after.parse::<u32>().unwrap() > 0);
    }
    println!("{served} of 100 were answered at once");
}

/// A peer with an author and a record in its log that says this whenever it is asked to compare.
fn comparing(
    author: &Author,
    says: impl Fn(&mut std::net::TcpStream) -> Vec<u8> + Send + Sync + 'static,
) -> Hostile {
    let lines = [
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &author.record("told", 1, "Told")),
        end_line(2),
    ];
    Hostile::start(move |first, stream| {
        if first.starts_with("POST /sync/v1/reconcile") {
            // The body is left unread: it is not what matters.
            let said = says(stream);
            answer(stream, "200 OK", "application/octet-stream", &said);
        } else if first.starts_with("POST /sync/v1/fetch") {
            let _ = wanted(stream);
            answer(stream, "200 OK", "application/x-ndjson", b"");
        } else if first.starts_with("GET /sync/v1/changes") {
            let is_read = first.contains("since=");
            let body = if is_read {
                end_line(2)
            } else {
                lines.join(&b'\n')
            };
            answer(stream, "200 OK", "application/x-ndjson", &body);
        } else {
            answer(stream, "404 Not Found", "text/plain", b"");
        }
    })
}

fn count(peer: &Hostile, path: &str) -> usize {
    let requests = peer.requests();
    requests
        .iter()
        .filter(|head| head.starts_with(path))
        .count()
}

#[test]
fn y04_a_peer_that_never_agrees_is_left_after_64_messages_and_its_log_is_read() {
    let author = Author::at("http://127.0.0.1:9");
    let peer = comparing(&author, |_| [[0x61, 0, 0, 1].as_slice(), &[9; 16]].concat());
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    until("the log is read", || {
        (node.get(&author.path("told")).status == 200).then_some(())
    });
    node.json(&["sync", "--full"]);
    // Identities come first, and so it ends there.
    let asked = count(&peer, "POST /sync/v1/reconcile");
    assert_eq!(asked, 64);
}

#[test]
fn y03_a_peer_that_offers_ids_without_end_and_gives_none_is_asked_for_a_few() {
    let author = Author::at("http://127.0.0.1:9");
    let peer = comparing(&author, |_| {
        let mut message = vec![
            0x61,
            0,
            0,
            2,
            0x80 | (8_000 >> 7) as u8,
            (8_000 & 0x7f) as u8,
        ];
        message.extend((0..8_000).flat_map(|_| chance()));
        message
    });
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    until("the log is read", || {
        (node.get(&author.path("told")).status == 200).then_some(())
    });
    node.json(&["sync", "--full"]);
    assert!(count(&peer, "POST /sync/v1/reconcile") <= 2);
    assert!(count(&peer, "POST /sync/v1/fetch") <= 3);
    assert_eq!(node.get(&author.path("told")).status, 200);
}
