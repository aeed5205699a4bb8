//! Whom a node deals with, what it carries and what it shows: decided by its operator, told to those whom it
//! concerns, and written down.

use serde_json::{Value, json};

use crate::support::node::{Node, port};
use crate::support::until;

fn course(local: &str, name: &str) -> Value {
    json!({
        "type": "Offering", "localId": local,
        "body": {"kind": "course", "name": {"en": name}, "areas": ["cyber"]},
    })
}

/// Nodes that may talk to each other, with changed settings where `set` gives some.
fn nodes<const N: usize>(set: impl Fn(usize, &Node)) -> [Node; N] {
    let ports: Vec<u16> = (0..N).map(|_| port()).collect();
    std::array::from_fn(|n| {
        let mut node = Node::make_on(ports[n], &ports);
        set(n, &node);
        node.start();
        node
    })
}

fn as_set(_: usize, _: &Node) {}

fn status(node: &Node, id: &str) -> u16 {
    node.get(&format!("/api/v1/records/{id}")).status
}

fn until_status(node: &Node, id: &str, wanted: u16) {
    until(&format!("{id} is {wanted}"), || {
        (status(node, id) == wanted).then_some(())
    });
}

/// What a node's audit log has, as `act subject`.
fn decided(node: &Node) -> Vec<String> {
    let log = node.json(&["audit", "--verify"]);
    assert_eq!(log["faults"], json!([]), "{log}");
    let items = log["items"].as_array().unwrap();
    let told = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        format!("{} {}", text("act"), text("subject"))
    };
    items.iter().map(told).collect()
}

#[test]
fn f14_an_unknown_node_waits_for_approval_and_is_let_in_by_one_command() {
    let [guarded, asking] = nodes(|n, node: &Node| {
        if n == 0 {
            node.edit("policy = \"open\"", "policy = \"approval\"");
        }
    });
    guarded.org("itu");
    asking.json(&["follow", &guarded.url]);
    let waiting = until("the one that asks is listed", || {
        let newcomers = guarded.json(&["peers"])["newcomers"].clone();
        newcomers.as_array().unwrap().first().cloned()
    });
    assert_eq!(waiting["url"], asking.url.as_str());
    assert_eq!(waiting["waits_to"], "follow");
    let people = guarded.run(&["peers"]).ok().out;
    assert!(
        people.contains(&format!("baraza peers allow {}", asking.url)),
        "{people}"
    );
    // It is told so in words, and may read what is public.
    let told = until("the asking node knows why", || {
        let told = asking.peer()["turned_away"].clone();
        told.is_object().then_some(told)
    });
    assert_eq!(told["code"], "approval-needed");
    let words = told["detail"].as_str().unwrap();
    assert!(words.contains("baraza peers allow"), "{words}");
    asking.until_found("q=itu", 1);
    assert_eq!(guarded.json(&["peers"])["items"], json!([]));

    guarded.json(&["peers", "allow", &asking.url, "--reason", "met in Geneva"]);
    until("it follows", || {
        guarded.peer()["follower_inbox"].is_string().then_some(())
    });
    until("it is not turned away any more", || {
        asking.peer()["turned_away"].is_null().then_some(())
    });
    assert_eq!(guarded.json(&["peers"])["newcomers"], json!([]));
    assert!(decided(&guarded).contains(&format!("allow {}", asking.url)));
}

#[test]
fn t10_f11_a_blocked_node_exchanges_nothing_and_is_told_why_in_words() {
    let [here, there] = nodes(as_set);
    let ours = here.org("ours");
    let theirs = there.org("theirs");
    here.publish("ours", &course("a", "Before"));
    there.publish("theirs", &course("a", "Before"));
    here.befriend(&there);
    here.until_equal(&there);

    here.json(&[
        "peers",
        "block",
        &there.url,
        "--reason",
        "it sends advertisements",
    ]);
    here.publish("ours", &course("b", "During"));
    there.publish("theirs", &course("b", "During"));
    let told = until("the blocked node knows", || {
        let told = there.peer()["turned_away"].clone();
        told.is_object().then_some(told)
    });
    assert_eq!(told["code"], "blocked");
    let words = told["detail"].as_str().unwrap();
    assert!(words.contains("it sends advertisements"), "{words}");
    let people = there.run(&["peers"]).ok().out;
    assert!(people.contains("blocked by"), "{people}");
    for language in ["en", "fr"] {
        let page = there.get(&format!("/{language}/nodes")).text();
        assert!(page.contains("it sends advertisements"), "{page}");
        let page = here.get(&format!("/{language}/nodes")).text();
        assert!(page.contains("it sends advertisements"), "{page}");
    }
    // Nothing goes over, in either direction, also if it is asked for.
    there.run(&["sync"]).refused("it sends advertisements");
    here.run(&["follow", &there.url]).refused("is blocked here");
    assert_eq!(status(&here, &format!("{theirs}/b")), 404);
    assert_eq!(status(&there, &format!("{ours}/b")), 404);
    // What came before stays, on both sides, and reading stays open to whoever does not say that it is that node.
    assert_eq!(status(&here, &format!("{theirs}/a")), 200);
    assert_eq!(here.get("/sync/v1/changes").status, 200);

    here.json(&["peers", "unblock", &there.url]);
    here.until_equal(&there);
    assert_eq!(status(&here, &format!("{theirs}/b")), 200);
    until("the block is forgotten there", || {
        there.peer()["turned_away"].is_null().then_some(())
    });
    let decided = decided(&here);
    for act in ["follow", "block", "unblock"] {
        assert!(
            decided.contains(&format!("{act} {}", there.url)),
            "{decided:?}"
        );
    }
}

#[test]
fn a_node_that_is_blocked_stays_so_over_a_restart() {
    let [mut here, there] = nodes(as_set);
    let theirs = there.org("theirs");
    here.befriend(&there);
    here.until_equal(&there);
    here.json(&["peers", "block", &there.url]);
    here.stop();
    there.publish("theirs", &course("late", "Late"));
    here.start();
    there.run(&["sync"]).refused("blocked");
    assert_eq!(here.peer()["decided"]["blocked"]["reason"], Value::Null);
    assert_eq!(status(&here, &format!("{theirs}/late")), 404);
}

#[test]
fn f28_a_blocked_author_is_not_carried_from_whomever_it_comes_and_is_caught_up_with_after() {
    let [home, relay, here, below] = nodes(as_set);
    let (good, bad) = (home.org("good"), home.org("bad"));
    for handle in ["good", "bad"] {
        home.publish(handle, &course("a", "Before"));
    }
    relay.json(&["follow", &home.url]);
    here.json(&["follow", &relay.url]);
    here.until_found("q=before", 2);

    here.json(&["peers", "block", &bad, "--reason", "a court said so"]);
    assert_eq!(here.until_found("q=before", 1), [format!("{good}/a")]);
    for handle in ["good", "bad"] {
        home.publish(handle, &course("b", "During"));
        home.publish(handle, &course("a", "Before, revised"));
    }
    until_status(&here, &format!("{good}/b"), 200);
    until("what was sent of it was refused", || {
        (here.peer()["refused"].as_u64() >= Some(2)).then_some(())
    });
    let reason = here.peer()["last_refusal"].as_str().unwrap().to_owned();
    assert!(reason.contains("blocked the author"), "{reason}");
    assert_eq!(here.until_found("q=during", 1), [format!("{good}/b")]);
    // It is nowhere: not as a record, an organisation, a page, a log, nor in what goes to others.
    for path in [
        format!("/api/v1/records/{bad}/a"),
        format!("/api/v1/records/{bad}/a/history"),
        format!("/api/v1/organizations/{bad}/did.jsonl"),
        format!("/en/o/{bad}/a"),
        format!("/en/org/{bad}"),
    ] {
        assert_eq!(here.get(&path).status, 404, "{path}");
    }
    assert!(!here.get("/api/v1/organizations").text().contains(&bad));
    assert!(!here.get("/sync/v1/changes").text().contains(&bad));
    below.json(&["follow", &here.url]);
    until_status(&below, &format!("{good}/b"), 200);
    assert_eq!(below.json(&["sync"])["damaged"], 0);
    assert_eq!(status(&below, &format!("{bad}/a")), 404);
    // The node that it is at home at is dealt with as ever.
    assert_eq!(status(&here, &format!("{good}/a")), 200);
    let listed = here.json(&["peers"])["blocked_authors"].clone();
    assert_eq!(listed[0]["scid"], bad.as_str());
    assert_eq!(listed[0]["reason"], "a court said so");

    here.json(&["peers", "unblock", &bad]);
    here.until_found("q=during", 2);
    here.until_found("q=revised", 2);
    // Also who had read past it meanwhile gets it.
    below.until_found("q=during", 2);
    below.until_found("q=revised", 2);
}

#[test]
fn f28_a_blocked_author_hands_nothing_in() {
    use crate::support::author::{Author, hand_in};
    let node = Node::hosting(&[]);
    let mut author = Author::hosted(&node.url);
    assert_eq!(
        hand_in(&node.url, &author.record("a", 1, "Before")).status,
        201
    );
    node.json(&["peers", "block", &author.scid()]);
    let answer = hand_in(&node.url, &author.record("b", 1, "During"));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "author-blocked")
    );
    author.rotate();
    let answer = author.hand_log_to(&node.url);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "author-blocked")
    );
    node.json(&["peers", "unblock", &author.scid()]);
    assert_eq!(author.hand_log_to(&node.url).status, 201);
    assert_eq!(
        hand_in(&node.url, &author.record("b", 1, "After")).status,
        201
    );
}
