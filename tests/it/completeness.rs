//! Complete as of: what an author counted is compared with what came, and who gives less is shown.

use serde_json::{Value, json};

use crate::support::author::Author;
use crate::support::hostile::{Hostile, end_line, given_line, log_line, record_line};
use crate::support::laptop::Laptop;
use crate::support::node::Node;
use crate::support::until;

/// What a node says of an organisation.
fn told_of(node: &Node, scid: &str) -> Value {
    let told = node.get("/api/v1/organizations").json();
    let items = told["items"].as_array().unwrap();
    let of_author = items.iter().find(|item| item["id"] == scid);
    of_author.cloned().unwrap_or_default()
}

fn held_back_by(node: &Node, peer: &Hostile) -> Value {
    let told = node.json(&["peers"]);
    let items = told["items"].as_array().unwrap();
    let told = items.iter().find(|told| told["url"] == peer.url).unwrap();
    told["holds_back"].clone()
}

/// The feed of a node that has an author's log and these records.
fn feed(author: &Author, records: &[&Vec<u8>]) -> Hostile {
    let mut lines = vec![log_line(1, &author.scid(), &author.log[0])];
    lines.extend(
        (2..)
            .zip(records)
            .map(|(number, record)| record_line(number, record)),
    );
    lines.push(end_line(records.len() as u64 + 1));
    Hostile::feed(lines)
}

#[test]
fn y07_a_hub_that_holds_records_back_is_shown_until_they_come_from_elsewhere() {
    let author = Author::at("http://127.0.0.1:9");
    let [first, second, third] = ["first", "second", "third"].map(|it| author.record(it, 1, it));
    let count = author.checkpoint(1, &[&first, &second, &third]);
    let hub = feed(&author, &[&first, &second, &count]);
    let other = feed(&author, &[&first, &third]);
    let node = Node::running(&[hub.port, other.port]);
    node.json(&["follow", &hub.url]);
    let lacking = until("it is known that something is missing", || {
        let lacking = told_of(&node, &author.scid())["lacking"].clone();
        lacking.is_object().then_some(lacking)
    });
    assert_eq!(
        (&lacking["named"], &lacking["held"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(told_of(&node, &author.scid())["completeAsOf"], json!(null));
    let held_back = held_back_by(&node, &hub);
    assert_eq!(held_back.as_array().unwrap().len(), 1, "{held_back}");
    assert_eq!(held_back[0]["author"], author.scid());
    for page in ["/en/nodes".to_owned(), format!("/en/org/{}", author.scid())] {
        let page = node.get(&page).text();
        let plain = page.replace(['\u{2068}', '\u{2069}'], "");
        assert!(plain.contains("2 of 3 are here"), "{plain}");
    }

    node.json(&["follow", &other.url]);
    until("all that was counted is here", || {
        told_of(&node, &author.scid())["completeAsOf"]
            .is_string()
            .then_some(())
    });
    assert_eq!(told_of(&node, &author.scid())["lacking"], json!(null));
    assert_eq!(held_back_by(&node, &hub), json!([]));
    // It came from elsewhere, and whoever gave no count is not judged by it.
    assert_eq!(node.get(&author.path("third")).body, third);
    assert_eq!(held_back_by(&node, &other), json!([]));
}

#[test]
fn an_author_without_a_node_counts_its_records_and_sees_what_its_hub_lacks() {
    let hub = Node::hosting(&[]);
    let (laptop, made) = Laptop::with_identity(&format!("{}/orgs/reef", hub.url));
    let scid = made["scid"].as_str().unwrap();
    let course = |local: &str, name: &str| {
        json!({
            "type": "Offering", "localId": local, "language": "en",
            "body": {"kind": "course", "name": {"en": name}},
        })
    };
    let signed = laptop.sign(&json!([course("a", "Tides"), course("b", "Reefs")]));
    let signed = std::fs::read_to_string(signed).unwrap();
    let lines: Vec<&str> = signed.lines().collect();
    assert_eq!(
        lines.len(),
        4,
        "two courses, the profile and the count of them"
    );
    let short = laptop.write("short.ndjson", lines[1..].join("\n"));
    laptop.json(&["push", &hub.url, &short]);
    let lacking = until("one is missing at the hub", || {
        let lacking = told_of(&hub, scid)["lacking"].clone();
        lacking.is_object().then_some(lacking)
    });
    assert_eq!(
        (&lacking["named"], &lacking["held"]),
        (&json!(3), &json!(2))
    );
    let is_complete = |what: &str| {
        until(what, || {
            told_of(&hub, scid)["completeAsOf"]
                .is_string()
                .then_some(())
        });
        assert_eq!(told_of(&hub, scid)["lacking"], json!(null));
    };
    laptop.json(&["push", &hub.url]);
    is_complete("all is at the hub");

    // Changed, withdrawn, and signed by another key: the count goes along.
    laptop.publish(&hub.url, &course("b", "Reefs and tides"));
    is_complete("the change is at the hub");
    laptop.publish(
        &hub.url,
        &json!({"type": "Offering", "localId": "a", "status": "withdrawn"}),
    );
    is_complete("the withdrawal is at the hub");
    let rotated = laptop.json(&["identity", "rotate"]);
    assert_eq!(
        rotated["signed"], 3,
        "the count is no record of its own: {rotated}"
    );
    is_complete("what was signed anew is at the hub");

    // Nothing changed: the same count again.
    let again = laptop.publish(&hub.url, &course("b", "Reefs and tides"));
    assert_eq!(again["taken"], 0, "{again}");
    // Its name is taken.
    let drafts = laptop.write("drafts.json", course("checkpoint", "Mine").to_string());
    laptop.run(&["sign", &drafts]).refused("localId");
}

#[test]
fn a_bundle_says_as_of_when_it_is_complete_and_what_was_left_out_of_it() {
    let author = Author::at("http://127.0.0.1:9");
    let [first, second] = ["first", "second"].map(|it| author.record(it, 1, it));
    let count = author.checkpoint(1, &[&first, &second]);
    let log = {
        let entry = String::from_utf8(author.log[0].clone()).unwrap();
        format!("{{\"log\":{entry},\"scid\":\"{}\"}}", author.scid()).into_bytes()
    };
    let bundle = |records: &[&Vec<u8>]| {
        let mut lines = vec![log.clone()];
        lines.extend(records.iter().map(|record| given_line(record)));
        lines.join(&b'\n')
    };
    let node = Node::make(&[]);
    let whole = node.write("whole.ndjson", bundle(&[&first, &second, &count]));
    let short = node.write("short.ndjson", bundle(&[&first, &count]));

    let checked = node.json(&["bundle", "verify", &whole]);
    assert_eq!(checked["counted"][0]["isComplete"], true, "{checked}");
    assert_eq!(checked["counted"][0]["author"], author.scid());
    let ran = node.run(&["bundle", "verify", &short]);
    ran.refused("INCOMPLETE, 1 records are here that count");

    // On an island, without a network and without a process that serves.
    let taken = node.json(&["bundle", "import", &short]);
    assert_eq!(taken["counted"][0]["isComplete"], false, "{taken}");
    let taken = node.json(&["bundle", "import", &whole]);
    assert_eq!(taken["counted"][0]["isComplete"], true, "{taken}");
    assert_eq!(taken["counted"][0]["named"], 2, "{taken}");
}

#[test]
fn r09_what_this_node_refuses_for_want_of_room_nobody_is_said_to_hold_back() {
    let author = Author::at("http://127.0.0.1:9");
    let [first, second, third] = ["first", "second", "third"].map(|it| author.record(it, 1, it));
    let count = author.checkpoint(1, &[&first, &second, &third]);
    let entry = String::from_utf8(author.log[0].clone()).unwrap();
    let log = format!("{{\"log\":{entry},\"scid\":\"{}\"}}", author.scid());
    let mut lines = vec![log.into_bytes()];
    lines.extend([&count, &first, &second, &third].map(|record| given_line(record)));
    let node = Node::make(&[]);
    let whole = node.write("whole.ndjson", lines.join(&b'\n'));
    node.edit("records_per_author = 200000", "records_per_author = 3");
    let ran = node.run(&["bundle", "import", &whole, "--json"]);
    assert_eq!(ran.json()["refused_count"], 1, "{}", ran.out);
    assert_eq!(ran.json()["counted"], json!([]), "{}", ran.out);
    node.edit("records_per_author = 3", "records_per_author = 4");
    let taken = node.json(&["bundle", "import", &whole]);
    assert_eq!(taken["counted"][0]["isComplete"], true, "{taken}");
}
