//! A node whose clock is wrong says so and publishes nothing until it is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use protocol::httpsig::DELIVERY_COMPONENTS;
use serde_json::json;

use crate::support::author::{Author, hand_in};
use crate::support::hostile::Hostile;
use crate::support::node::{Node, port};
use crate::support::sender::Sender;
use crate::support::{now, until};

const DAY: i64 = 86_400;

/// A hosting node that follows this many peers with one clock, and an actor that may write to it.
fn among(peers: usize) -> (Node, Sender, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(0));
    let peers: Vec<Hostile> = (0..peers)
        .map(|_| Hostile::with_clock(Arc::clone(&clock)))
        .collect();
    let home = port();
    let mut ports: Vec<u16> = peers.iter().map(|peer| peer.port).collect();
    ports.push(home);
    let node = Node::hosting(&ports);
    let sender = Sender::start_on(home, &node.url);
    node.org("itu");
    for peer in &peers {
        node.json(&["follow", &peer.url]);
    }
    (node, sender, clock)
}

fn draft(node: &Node, local: &str) -> String {
    let draft = json!([{"type": "Offering", "localId": local,
        "body": {"kind": "course", "name": {"en": format!("Welding {local}")}}}]);
    node.write("draft.json", draft.to_string())
}

/// The codes of what the doctor finds; looking also asks the peers what time it is.
fn found(node: &Node) -> Vec<String> {
    let found = node.run(&["doctor", "--json"]).json();
    let codes = found.as_array().unwrap().iter();
    codes
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn t08_while_most_peers_have_another_day_nothing_is_published_and_what_comes_is_refused_with_the_reason()
 {
    let (mut node, sender, clock) = among(2);
    let author = Author::hosted(&node.url);
    let first = draft(&node, "first");
    node.json(&["publish", &first, "--org", "itu"]);
    assert!(!found(&node).contains(&"clock".to_owned()));

    // The peers' time is a day behind: seen from them, this node's clock is a day ahead.
    clock.store(-DAY, Ordering::SeqCst);
    let codes = found(&node);
    for code in ["clock", "publishing-held"] {
        assert!(codes.contains(&code.to_owned()), "{codes:?}");
    }
    let second = draft(&node, "second");
    let publish = ["publish", &second, "--org", "itu"];
    node.run(&publish).refused("clock is 864");
    node.run(&["org", "add", "other", "--name", "Other"])
        .refused("set the clock");
    // It is not for others to say what may be published.
    node.run(&["reconcile", "--alone"]).refused("set the clock");
    let at = |seconds| sender.signed_by(&sender.key_id(), &DELIVERY_COMPONENTS, seconds);
    for seconds in [-DAY, DAY] {
        let answer = at(seconds).send(&node.url);
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.code(), "wrong-clock");
        assert!(answer.header("retry-after").is_some());
    }
    // What is wrong in another way is refused for that.
    let bare = at(0).without("signature").without("signature-input");
    assert_eq!(bare.send(&node.url).status, 401);
    // It serves all that it has.
    node.until_found("q=welding", 1);

    // The same the other way round: a clock that is behind takes what is dated right for the future.
    clock.store(DAY, Ordering::SeqCst);
    found(&node);
    node.run(&publish).refused("behind");
    let mut ahead = author.offering("ahead", 1, "Ahead");
    ahead.insert("issued".into(), now().plus_seconds(DAY).to_string().into());
    let ahead = author.sign(ahead);
    let answer = hand_in(&node.url, &ahead);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "wrong-clock")
    );

    clock.store(0, Ordering::SeqCst);
    let codes = found(&node);
    assert!(!codes.contains(&"publishing-held".to_owned()), "{codes:?}");
    node.json(&publish);
    assert_eq!(at(0).send(&node.url).status, 202);
    assert_eq!(at(DAY).send(&node.url).code(), "from-the-future");
    assert_eq!(hand_in(&node.url, &ahead).code(), "from-the-future");

    // Nobody has to ask the doctor: a node looks when it starts.
    clock.store(-DAY, Ordering::SeqCst);
    node.stop();
    node.start();
    until("it holds back what it would publish", || {
        let third = draft(&node, "third");
        let ran = node.run(&["publish", &third, "--org", "itu"]);
        ran.err.contains("clock is 864").then_some(())
    });
}

#[test]
fn t08_one_peer_alone_is_a_finding_and_keeps_nobody_from_publishing() {
    let (node, sender, clock) = among(1);
    clock.store(-DAY, Ordering::SeqCst);
    let codes = found(&node);
    assert!(codes.contains(&"clock".to_owned()), "{codes:?}");
    assert!(!codes.contains(&"publishing-held".to_owned()), "{codes:?}");
    let first = draft(&node, "first");
    node.json(&["publish", &first, "--org", "itu"]);
    let old = sender.signed_by(&sender.key_id(), &DELIVERY_COMPONENTS, -DAY);
    assert_eq!(old.send(&node.url).code(), "stale");
}
