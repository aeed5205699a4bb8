//! Following a part of another node: what is in it comes, and what leaves it is told.

use std::fs;

use serde_json::{Map, Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::hostile::given_line;
use crate::support::node::{Node, port};
use crate::support::until;

/// An offering of an author about these areas.
fn about(author: &Author, local: &str, seq: u64, areas: &[&str]) -> Vec<u8> {
    let mut tree: Map<String, Value> = author.offering(local, seq, &format!("{local} {seq}"));
    tree["body"]["areas"] = json!(areas);
    author.sign(tree)
}

fn withdrawn(author: &Author, local: &str, seq: u64) -> Vec<u8> {
    let mut tree = author.offering(local, seq, "");
    tree.insert("status".into(), "withdrawn".into());
    tree.remove("body");
    tree.remove("language");
    author.sign(tree)
}

/// Waits until a node has this version, and no other, of a record.
fn until_said(node: &Node, author: &Author, local: &str, record: &[u8]) {
    until(&format!("{local} is what was said last"), || {
        (node.get(&author.path(local)).body == record).then_some(())
    });
}

/// A hub, and a node that follows these areas there.
fn followed_in_part(areas: &[&str]) -> (Node, Node, Author) {
    let hub = Node::hosting(&[]);
    let reader = Node::running(&[hub.port]);
    let author = Author::hosted(&hub.url);
    let mut follow = vec!["follow", hub.url.as_str()];
    for area in areas {
        follow.extend(["--topic", area]);
    }
    reader.json(&follow);
    (hub, reader, author)
}

fn hand_all(hub: &Node, records: &[&Vec<u8>]) {
    for record in records {
        let answer = hand_in(&hub.url, record);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

#[test]
fn t7_a_record_that_leaves_a_followed_topic_is_told_to_the_follower_and_shown_as_it_is_now() {
    let (hub, reader, author) = followed_in_part(&["cyber"]);
    let first = about(&author, "leaves", 1, &["cyber"]);
    hand_all(&hub, &[&first, &about(&author, "other", 1, &["policy"])]);
    until_said(&reader, &author, "leaves", &first);
    reader.until_found("area=cyber", 1);

    let left = about(&author, "leaves", 2, &["policy"]);
    hand_all(&hub, &[&left]);
    until_said(&reader, &author, "leaves", &left);
    until("it is found where it is now", || {
        (reader.found("area=cyber").is_empty() && reader.found("area=policy").len() == 1)
            .then_some(())
    });
    // What it says outside is told as well, and its end.
    let revised = about(&author, "leaves", 3, &["data-ai"]);
    hand_all(&hub, &[&revised]);
    until_said(&reader, &author, "leaves", &revised);
    hand_all(&hub, &[&withdrawn(&author, "leaves", 4)]);
    until("it is gone", || {
        (reader.get(&author.path("leaves")).status == 410).then_some(())
    });
    // What was never about the topic did not come.
    assert_eq!(reader.get(&author.path("other")).status, 404);
}

#[test]
fn t7_departures_are_told_to_who_was_away_and_after_the_hub_and_the_follower_were_restarted() {
    let (mut hub, mut reader, author) = followed_in_part(&["cyber"]);
    let first = about(&author, "leaves", 1, &["cyber"]);
    let kept = about(&author, "kept", 1, &["cyber", "policy"]);
    hand_all(&hub, &[&first, &kept]);
    until_said(&reader, &author, "leaves", &first);
    until_said(&reader, &author, "kept", &kept);
    reader.stop();
    // More versions than a node keeps of one day: what they were about is known all the same.
    let mut newest = first;
    for seq in 2..=20 {
        let area = ["policy", "data-ai"][seq as usize % 2];
        newest = about(&author, "leaves", seq, &[area]);
        hand_all(&hub, &[&newest]);
    }
    hub.stop();
    hub.start();
    reader.start();
    until_said(&reader, &author, "leaves", &newest);
    let peer = reader.peer();
    assert_eq!(peer["filter"], "area=cyber", "{peer}");
    assert_eq!(reader.get(&author.path("kept")).body, kept);
}

#[test]
fn t7_a_record_that_leaves_with_a_new_key_is_told_too() {
    let (hub, reader, mut author) = followed_in_part(&["cyber"]);
    let first = about(&author, "leaves", 1, &["cyber"]);
    hand_all(&hub, &[&first]);
    until_said(&reader, &author, "leaves", &first);
    author.rotate();
    author.hand_log_to(&hub.url);
    until("the old key counts no more", || {
        (reader.get(&author.path("leaves")).status != 200).then_some(())
    });
    let left = about(&author, "leaves", 2, &["policy"]);
    hand_all(&hub, &[&left]);
    until_said(&reader, &author, "leaves", &left);
}

#[test]
fn t2_what_is_withdrawn_at_its_source_is_gone_at_every_follower_whole_or_in_part() {
    let ports = [port(), port(), port()];
    let mut nodes = ports.map(|port| Node::make_on(port, &ports));
    nodes[0].host_anyone();
    for node in &mut nodes {
        node.start();
    }
    let [source, whole, part] = &nodes;
    let author = Author::hosted(&source.url);
    whole.json(&["follow", &source.url]);
    // The second follower has it from the first.
    part.json(&["follow", &whole.url, "--topic", "cyber"]);
    let first = about(&author, "course", 1, &["cyber"]);
    hand_all(source, &[&first]);
    until_said(part, &author, "course", &first);
    for node in [whole, part] {
        node.until_found("area=cyber", 1);
    }
    let end = withdrawn(&author, "course", 2);
    hand_all(source, &[&end]);
    let id = format!("{}/course", author.scid());
    for node in &nodes {
        node.until_found("area=cyber", 0);
        let gone = node.get(&author.path("course"));
        assert_eq!(gone.status, 410, "{}", gone.text());
        // The tombstone is there as it was signed.
        let want = json!({ "want": [id] }).to_string();
        let given = crate::support::client::post(&node.url, "/sync/v1/fetch", want.as_bytes());
        assert_eq!(given.body.trim_ascii_end(), given_line(&end));
    }
}

#[test]
fn several_topics_are_followed_as_one_part_which_peers_and_the_page_say() {
    let (hub, mut reader, author) = followed_in_part(&["policy", "cyber"]);
    let records = ["cyber", "policy", "data-ai"].map(|area| about(&author, area, 1, &[area]));
    hand_all(&hub, &records.each_ref());
    for (local, record) in [("cyber", &records[0]), ("policy", &records[1])] {
        until_said(&reader, &author, local, record);
    }
    reader.stop();
    reader.start();
    let last = about(&author, "last", 1, &["policy"]);
    hand_all(
        &hub,
        &[&about(&author, "passed-over", 1, &["data-ai"]), &last],
    );
    until_said(&reader, &author, "last", &last);
    for local in ["data-ai", "passed-over"] {
        assert_eq!(reader.get(&author.path(local)).status, 404);
    }
    assert_eq!(reader.peer()["filter"], "area=cyber&area=policy");
    let told = reader.run(&["peers"]).ok().out;
    assert!(told.contains("in part:"), "{told}");
    for (page, words) in [("/en/nodes", "In part:"), ("/fr/nodes", "En partie")] {
        let page = reader.get(page).text();
        assert!(page.contains(words), "{page}");
        assert!(page.contains("area=cyber"), "{page}");
    }
    // What is no area is refused, with those that are.
    let wrong = reader.run(&["follow", &hub.url, "--topic", "welding"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(wrong.err.contains("data-ai"), "{}", wrong.err);
}

#[test]
fn y12_who_follows_a_part_of_a_node_that_began_anew_asks_for_what_it_has_and_is_not_told() {
    let (mut hub, reader, author) = followed_in_part(&["cyber"]);
    let stays = about(&author, "stays", 1, &["cyber"]);
    let first = about(&author, "leaves", 1, &["cyber"]);
    hand_all(&hub, &[&stays, &first]);
    until_said(&reader, &author, "stays", &stays);
    until_said(&reader, &author, "leaves", &first);
    // The hub loses its disk, and has from elsewhere what is said now: it does not know what was.
    hub.kill();
    let left = about(&author, "leaves", 2, &["policy"]);
    let entry = String::from_utf8(author.log[0].clone()).unwrap();
    let lines = [
        format!("{{\"log\":{entry},\"scid\":\"{}\"}}", author.scid()).into_bytes(),
        given_line(&left),
        given_line(&stays),
        given_line(&about(&author, "new", 1, &["cyber"])),
        given_line(&about(&author, "other", 1, &["policy"])),
    ];
    let other = Node::make_on(hub.port, &[]);
    fs::remove_dir_all(hub.dir()).unwrap();
    fs::rename(other.dir(), hub.dir()).unwrap();
    let file = hub.write("known.ndjson", lines.join(&b'\n'));
    hub.json(&["bundle", "import", &file]);
    hub.start();
    until_said(&reader, &author, "leaves", &left);
    until("what is new came too", || {
        (reader.get(&author.path("new")).status == 200).then_some(())
    });
    assert_eq!(reader.get(&author.path("stays")).body, stays);
    assert_eq!(reader.get(&author.path("other")).status, 404);
    // It reads on from there.
    until("all is well", || {
        reader.peer()["last_error"].is_null().then_some(())
    });
    assert!(reader.peer()["read_to"].is_string());
}

#[test]
fn a_new_node_is_known_by_its_card_to_the_peers_of_its_peer_and_followed_by_none_of_them() {
    let ports = [port(), port(), port(), port()];
    let mut nodes = ports.map(|port| Node::make_on(port, &ports));
    for node in &mut nodes[..3] {
        node.announce();
    }
    for node in &mut nodes {
        node.start();
    }
    let [far, middle, near, silent] = &nodes;
    middle.json(&["follow", &near.url]);
    middle.json(&["follow", &silent.url]);
    far.json(&["follow", &middle.url]);
    let known = until("both cards have come", || {
        let known = far.json(&["peers", "--known"]);
        (known["total"] == 2).then_some(known)
    });
    let items = known["items"].as_array().unwrap();
    // Those that are followed come first; who did not announce itself is not there.
    let told = |node: &Node, is_followed: bool| {
        json!([node.url, format!("node {}", node.port), is_followed])
    };
    let seen = items
        .iter()
        .map(|item| json!([item["url"], item["name"], item["is_followed"]]));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [told(middle, true), told(near, false)]
    );
    assert_eq!(far.json(&["peers"])["total"], 1);
    for (page, words) in [
        ("/en/nodes", "Known by their cards"),
        ("/fr/nodes", "Connus par leur carte"),
    ] {
        let page = far.get(page).text();
        assert!(page.contains(words), "{page}");
        for node in [middle, near] {
            assert!(page.contains(&format!("node {}", node.port)), "{page}");
        }
        assert!(!page.contains(&format!("{}", silent.port)), "{page}");
    }
    let told = far.run(&["peers", "--known"]).ok().out;
    assert!(told.contains(&near.url), "{told}");
}
