//! Rows T of the list of bad inputs: dates order nothing.

use serde_json::{Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::client::{self, get};
use crate::support::hostile::{Hostile, end_line, log_line, record_line};
use crate::support::node::Node;
use crate::support::target::Target;
use crate::support::{now, until};

#[test]
fn t05_what_we_publish_may_not_be_dated_ahead() {
    let (target, author) = Target::with_author();
    let dated = |seconds: i64| {
        let mut tree = author.offering("ahead", 1, "Ahead");
        tree.insert(
            "issued".into(),
            now().plus_seconds(seconds).to_string().into(),
        );
        author.sign(tree)
    };
    for (id, seconds) in [("a year", 365 * 86_400), ("700 s", 700)] {
        let answer = target.refuses_record(id, &dated(seconds), 422, "from-the-future");
        assert_eq!(answer.json()["field"], "issued");
    }
    target.takes("500 s ahead, which clocks differ by", &dated(500));
}

#[test]
fn t05_what_a_peer_has_dated_ahead_is_kept_aside_and_shown_nowhere() {
    let author = Author::at("http://127.0.0.1:9");
    let mut ahead = author.offering("ahead", 1, "Nextyear");
    let year = now().plus_seconds(365 * 86_400);
    ahead.insert("issued".into(), year.to_string().into());
    let peer = Hostile::feed(vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &author.sign(ahead)),
        record_line(3, &author.record("today", 1, "Today")),
        end_line(3),
    ]);
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    node.until_found("q=today", 1);
    until("it is parked", || {
        (node.number("parked") == 1).then_some(())
    });
    assert_eq!(node.get(&author.path("ahead")).status, 404);
    assert!(node.found("q=nextyear").is_empty());
    assert!(!node.get("/sync/v1/changes").text().contains("Nextyear"));
    assert_eq!(node.peer()["refused"], 0);
}

#[test]
fn t05_a_log_entry_dated_ahead_waits_and_its_author_is_not_known_until_then() {
    let ahead = Author::dated("http://127.0.0.1:9", now().plus_seconds(365 * 86_400));
    let today = Author::at("http://127.0.0.1:9");
    let peer = Hostile::feed(vec![
        log_line(1, &ahead.scid(), &ahead.log[0]),
        record_line(2, &ahead.record("x", 1, "Nextyear")),
        log_line(3, &today.scid(), &today.log[0]),
        record_line(4, &today.record("x", 1, "Today")),
        end_line(4),
    ]);
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    node.until_found("q=today", 1);
    let path = format!("/api/v1/organizations/{}/did.jsonl", ahead.scid());
    assert_eq!(node.get(&path).status, 404);
    assert_eq!(node.get(&ahead.path("x")).status, 404);
    assert_eq!(node.number("authors"), 2, "its own and today's");
    assert_eq!(node.peer()["refused"], 0);
    assert!(!node.get("/sync/v1/changes").text().contains(&ahead.scid()));
}

#[test]
fn t06_order_is_by_number_alone_whatever_the_dates_say() {
    let (target, author) = Target::with_author();
    let dated = |seq: u64, issued: &str| {
        let mut tree = author.offering("old", seq, &format!("Version {seq}"));
        tree.insert("issued".into(), issued.into());
        author.sign(tree)
    };
    let shown = || get(&target.url, &author.path("old")).json()["seq"].as_u64();
    target.takes("T06 2020", &dated(2, "2020-01-01T00:00:00Z"));
    target.takes("T06 1970", &dated(3, "1970-01-01T00:00:00Z"));
    target.takes("T06 year 0", &dated(4, "0000-01-01T00:00:00Z"));
    assert_eq!(shown(), Some(4));
    // A later date with a lower number changes nothing.
    let late = hand_in(&target.url, &dated(1, &now().to_string()));
    assert_eq!(late.status, 200, "{}", late.text());
    assert_eq!(shown(), Some(4));
}

#[test]
fn t03_dates_of_no_form_are_refused() {
    let (target, author) = Target::with_author();
    for date in [
        "2026-12-31T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "2026-11-22 04:00:00Z",
        "2026-11-22",
        "10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "",
        &"9".repeat(10_000),
    ] {
        for member in ["issued", "confirmed", "validUntil"] {
            let mut tree = author.offering("bad", 1, "A name");
            tree.insert(member.into(), date.into());
            let record = author.sign(tree);
            let answer = target.refuses_record(date, &record, 422, "bad-field");
            assert_eq!(answer.json()["field"], member, "{date}");
        }
    }
}

#[test]
fn t09_of_two_versions_with_one_number_every_node_shows_the_same() {
    let author = Author::at("http://127.0.0.1:9");
    let twins = ["One", "Two", "Three"].map(|name| author.record("twin", 5, name));
    let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0]];
    let shown: Vec<(Vec<u8>, Value)> = orders
        .iter()
        .map(|order| {
            let mut lines = vec![log_line(1, &author.scid(), &author.log[0])];
            for (twin, number) in order.iter().zip(2..) {
                lines.push(record_line(number, &twins[*twin]));
            }
            lines.push(end_line(4));
            let peer = Hostile::feed(lines);
            let node = Node::running(&[peer.port]);
            node.json(&["follow", &peer.url]);
            peer.until_asked_since("feed-4");
            let record = node.get(&author.path("twin"));
            assert_eq!(record.status, 200);
            (record.body, json!(client::census(&node.url)["held"]))
        })
        .collect();
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
    let lowest = twins
        .iter()
        .min_by_key(|twin| protocol::id::VersionHash::of(twin))
        .unwrap();
    assert_eq!(&shown[0].0, lowest);
}
