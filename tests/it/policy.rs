//! Whom a node deals with, what it carries and what it shows: decided by its operator, told to those whom it
//! concerns, and written down.

use serde_json::{Value, json};

use crate::support::author::Author;
use crate::support::client;
use crate::support::hostile::{Hostile, end_line, log_line, record_line};
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
    // Their changes come in one log, the good one's last.
    home.publish("good", &course("c", "After those"));
    until_status(&here, &format!("{good}/c"), 200);
    // That is this operator's choice, and no fault of the peer's.
    assert_eq!(here.peer()["refused"], 0);
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

#[test]
fn a_hidden_record_is_not_shown_says_why_and_whom_to_ask_and_goes_on_to_others() {
    let [here, other] = nodes(as_set);
    let scid = here.org("itu");
    let id = format!("{scid}/a");
    here.publish(
        "itu",
        &json!([course("a", "Welding"), course("b", "Welding")]),
    );
    here.until_found("q=welding", 2);
    assert_eq!(here.run(&["hide", &id]).code, 2, "a reason is asked for");
    here.run(&["hide", &format!("{scid}/none"), "--reason", "x"])
        .refused("no record");
    let hide = [
        "hide",
        &id,
        "--reason",
        "names a person",
        "--contact",
        "desk@hub.example",
    ];
    here.json(&hide);

    assert_eq!(here.until_found("q=welding", 1), [format!("{scid}/b")]);
    let answer = here.get(&format!("/api/v1/records/{id}"));
    assert_eq!((answer.status, answer.code().as_str()), (451, "hidden"));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("names a person") && detail.contains("desk@hub.example"));
    let link = answer.header("link").unwrap();
    assert!(
        link.contains(&here.url) && link.contains("rel=\"blocked-by\""),
        "{link}"
    );
    for path in [format!("/en/o/{id}"), format!("/fr/o/{id}")] {
        let page = here.get(&path);
        assert_eq!(page.status, 451);
        let text = page.text();
        assert!(text.contains("names a person") && text.contains("desk@hub.example"));
        assert!(!text.contains("Welding"), "{text}");
    }
    assert!(
        here.get(&format!("/en/org/{scid}"))
            .text()
            .contains("Welding")
    );
    // Others get it, and decide for themselves.
    other.json(&["follow", &here.url]);
    other.until_found("q=welding", 2);
    assert_eq!(status(&other, &id), 200);
    // A newer version is hidden too; a tombstone says that its author took it back.
    here.publish("itu", &course("a", "Welding, revised"));
    other.until_found("q=revised", 1);
    assert_eq!(status(&here, &id), 451);
    assert_eq!(here.found("q=revised"), Vec::<String>::new());

    here.json(&["unhide", &id]);
    here.until_found("q=welding", 2);
    assert_eq!(status(&here, &id), 200);
    here.json(&hide);
    here.json(&["withdraw", &id]);
    assert_eq!(status(&here, &id), 410);
    let decided = decided(&here);
    for act in ["hide", "unhide"] {
        assert!(decided.contains(&format!("{act} {id}")), "{decided:?}");
    }
}

#[test]
fn t11_two_nodes_that_claim_one_organisation_are_both_shown_and_pointed_out() {
    let [first, second, reader] = nodes(as_set);
    let claim = |node: &Node, handle: &str, name: &str| {
        let made = node.json(&["org", "add", handle, "--name", name]);
        made["scid"].as_str().unwrap().to_owned()
    };
    let one = claim(&first, "dakar", "Université de Dakar");
    let two = claim(&second, "dakar", "UNIVERSITE DE DАKAR");
    let third = claim(&second, "bamako", "Université de Bamako");
    for node in [&first, &second] {
        reader.json(&["follow", &node.url]);
    }
    let organizations = until("all three are known", || {
        let items = reader.get("/api/v1/organizations").json()["items"].clone();
        let items = items.as_array().unwrap().clone();
        let is_here = |scid: &String| {
            items
                .iter()
                .any(|item| item["id"] == scid.as_str() && item["hasProfile"] == true)
        };
        [&one, &two, &third]
            .into_iter()
            .all(is_here)
            .then_some(items)
    });
    let looks_like = |scid: &String| {
        let item = organizations
            .iter()
            .find(|item| item["id"] == scid.as_str());
        item.unwrap()["looksLike"].clone()
    };
    assert_eq!(looks_like(&one), json!([two]));
    assert_eq!(looks_like(&two), json!([one]));
    assert_eq!(looks_like(&third), json!([]));
    for (scid, other) in [(&one, &two), (&two, &one)] {
        for language in ["en", "fr"] {
            let page = reader.get(&format!("/{language}/org/{scid}"));
            assert_eq!(page.status, 200);
            assert!(page.text().contains(&format!("/{language}/org/{other}")));
        }
    }
    let page = reader.get(&format!("/en/org/{third}")).text();
    assert!(!page.contains(&one) && !page.contains(&two));
    reader.until_found("q=universite&type=Organization", 3);
    // The operator of one of them sees it as well, once it knows of the other.
    second.json(&["follow", &first.url]);
    until("it is pointed out to its own operator", || {
        let listed = second.json(&["org", "list"]);
        let items = listed["items"].as_array().unwrap().clone();
        let own = items.iter().find(|item| item["scid"] == two.as_str());
        (own.unwrap()["looksLike"] == json!([one])).then_some(())
    });
}

#[test]
fn every_decision_is_written_down_and_a_backup_carries_what_was_decided() {
    let [mut node, peer] = nodes(as_set);
    let scid = node.org("itu");
    let other = peer.org("other");
    node.publish("itu", &course("a", "Welding"));
    let id = format!("{scid}/a");
    node.json(&["follow", &peer.url]);
    node.until_found("q=other", 1);
    node.json(&["unfollow", &peer.url]);
    node.json(&["peers", "allow", &peer.url]);
    node.json(&["peers", "block", &other, "--reason", "closed"]);
    node.json(&["hide", &id, "--reason", "wrong"]);
    node.run(&["peers", "block", &scid])
        .refused("keys are here");
    node.run(&["peers", "block", &node.url])
        .refused("this node itself");
    let before = node.json(&["audit", "--verify"]);
    let acts: Vec<String> = decided(&node);
    let of_node: Vec<&String> = acts
        .iter()
        .filter(|act| !act.starts_with("policy"))
        .collect();
    let expected = [
        format!("follow {}", peer.url),
        format!("unfollow {}", peer.url),
        format!("allow {}", peer.url),
        format!("block {other}"),
        format!("hide {id}"),
    ];
    assert_eq!(of_node, expected.iter().collect::<Vec<_>>());
    assert!(
        acts.contains(&"policy federation.policy".to_owned()),
        "{acts:?}"
    );
    let people = node.run(&["audit", "--verify"]).ok().out;
    assert!(
        people.contains(before["hash"].as_str().unwrap()),
        "{people}"
    );

    // Settings are changed in a file: it is written down when the node goes by them.
    node.stop();
    node.edit("policy = \"closed\"", "policy = \"invitation\"");
    node.start();
    let log = node.json(&["audit"]);
    let last = log["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["subject"], &last["reason"]),
        (&json!("hosting.policy"), &json!("invitation"))
    );

    let file = node.file("backup");
    node.json(&["backup", file.to_str().unwrap()]);
    node.stop();
    std::fs::remove_dir_all(node.dir()).unwrap();
    node.json(&["restore", file.to_str().unwrap()]);
    assert_eq!(node.json(&["audit", "--verify"])["items"], log["items"]);
    node.start();
    assert_eq!(status(&node, &id), 451);
    assert_eq!(status(&node, &format!("{other}/organization")), 404);
    let listed = node.json(&["peers"])["blocked_authors"].clone();
    assert_eq!(listed[0]["scid"], other.as_str());
}

#[test]
fn whose_log_only_says_that_it_is_at_home_here_was_not_let_in() {
    let own = port();
    let author = Author::at(&format!("http://127.0.0.1:{own}"));
    let first = author.record("first", 1, "Tides");
    let peer = Hostile::feed(vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &first),
        end_line(2),
    ]);
    let mut node = Node::make_on(own, &[peer.port]);
    node.start();
    node.json(&["follow", &peer.url]);
    until_status(&node, &format!("{}/first", author.scid()), 200);

    // It is carried like anybody else, and hosted no more than anybody else.
    let handle = author.did().handle().unwrap().to_owned();
    let log = format!("/orgs/{handle}/did.jsonl");
    assert_eq!(node.get(&log).status, 404);
    let second = author.record("second", 1, "Reefs");
    let hand_in = |record: &[u8]| client::post(&node.url, "/api/v1/records", record);
    let refused = hand_in(&second);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "not-hosted")
    );
    assert_eq!(
        hand_in(&author.record("first", 2, "High tides")).status,
        201
    );
    let refused = author.hand_log_to(&node.url);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "hosting-closed")
    );

    // A start lets nobody in either.
    node.stop();
    node.start();
    assert_eq!(node.get(&log).status, 404);

    // The operator does.
    node.stop();
    node.host_anyone();
    node.start();
    assert_eq!(
        author.hand_log_to(&node.url).status,
        200,
        "the log itself is held"
    );
    assert_eq!(node.get(&log).status, 200);
    let taken = client::post(&node.url, "/api/v1/records", &second);
    assert_eq!(taken.status, 201, "{}", taken.text());
}
