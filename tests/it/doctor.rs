//! The doctor says what is wrong, why it matters and what mends it; what it says to type mends it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use serde_json::{Value, json};

use crate::support::hostile::Hostile;
use crate::support::node::{Node, Ran, baraza};

/// The findings, each of which must say all that it has to.
fn findings(ran: &Ran) -> Vec<Value> {
    let Value::Array(found) = ran.json() else {
        panic!("no list: {}", ran.out);
    };
    let mut is_serious = false;
    for finding in &found {
        let text = |member: &str| finding[member].as_str().unwrap_or_default().len();
        assert!(text("code") > 3 && text("what") > 10, "{finding}");
        assert!(text("why") > 10 && text("mend") > 5, "{finding}");
        match finding["weight"].as_str() {
            Some("serious") => is_serious = true,
            Some("note") => {}
            _ => panic!("{finding}"),
        }
    }
    assert_eq!(ran.code, i32::from(is_serious), "{found:?}");
    found
}

fn codes(node: &Node) -> BTreeSet<String> {
    let found = findings(&node.run(&["doctor", "--json"]));
    let codes = found
        .iter()
        .map(|finding| finding["code"].as_str().unwrap().to_owned());
    codes.collect()
}

fn has(node: &Node, code: &str) -> bool {
    codes(node).contains(code)
}

#[test]
fn a_sound_node_has_nothing_wrong_once_it_has_a_backup() {
    let mut node = Node::running(&[]);
    node.org("itu");
    assert!(has(&node, "backup-old"));
    let file = node.file("backup");
    node.json(&["backup", file.to_str().unwrap()]);
    assert_eq!(codes(&node), BTreeSet::new());
    node.stop();
    assert_eq!(codes(&node), BTreeSet::new());
    let told = node.run(&["doctor"]).ok();
    assert!(told.out.contains("nothing is wrong"), "{}", told.out);
    node.start();
    node.kill();
    assert_eq!(codes(&node), BTreeSet::from(["killed".to_owned()]));
    assert_eq!(codes(&node), BTreeSet::new(), "the last end was in order");
}

#[test]
fn keys_that_others_can_read_are_named_whether_the_node_runs_or_not() {
    let mut node = Node::running(&[]);
    let key = node.dir().join("keys/node.key");
    for _ in 0..2 {
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let found = findings(&node.run(&["doctor", "--json"]));
        let exposed = found
            .iter()
            .find(|finding| finding["code"] == "keys-exposed");
        let mend = exposed.unwrap()["mend"].as_str().unwrap();
        let first = mend.split(';').next().unwrap();
        let typed = Command::new("sh").args(["-c", first]).status();
        assert!(typed.unwrap().success(), "{first}");
        assert!(!has(&node, "keys-exposed"));
        if node.runs() {
            node.stop();
        }
    }
}

#[test]
fn a_store_that_does_not_open_and_a_restored_node_are_findings() {
    let node = Node::make(&[]);
    node.org("itu");
    let file = node.file("backup");
    node.json(&["backup", file.to_str().unwrap()]);
    let store = node.dir().join("data/store");
    fs::rename(&store, node.file("aside")).unwrap();
    assert_eq!(codes(&node), BTreeSet::from(["store-damaged".to_owned()]));
    fs::remove_dir_all(node.dir()).unwrap();
    node.json(&["restore", file.to_str().unwrap()]);
    assert!(has(&node, "publishing-held"));
    node.json(&["reconcile", "--alone"]);
    assert!(!has(&node, "publishing-held"));
    // No node at all is no finding.
    baraza(&["doctor", "--dir", "/nowhere"]).refused("no node");
}

#[test]
fn t08_a_clock_that_differs_from_those_of_peers_is_a_finding() {
    for (days, is_wrong) in [(0, false), (1, true), (-1, true)] {
        let peer = Hostile::with_clock(Arc::new(AtomicI64::new(days * 86_400)));
        let node = Node::make(&[peer.port]);
        node.json(&["follow", &peer.url]);
        assert_eq!(has(&node, "clock"), is_wrong, "{days} days");
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

#[test]
fn d04_a_bit_turned_in_the_middle_of_the_store_is_never_served_and_never_goes_unnoticed() {
    const RECORDS: u64 = 120;
    let node = Node::make(&[]);
    node.org("itu");
    let drafts: Vec<Value> = (0..RECORDS - 1)
        .map(|n| json!({"type": "Offering", "localId": format!("c-{n}"), "body": {"kind": "course", "name": {"en": format!("Course {n}")}}}))
        .collect();
    node.publish("itu", &json!(drafts));
    let (store, whole) = (node.dir().join("data/store"), node.file("whole"));
    copy(&store, &whole);
    let length = fs::metadata(whole.join("db")).unwrap().len() as usize;
    let bytes = fs::read(whole.join("db")).unwrap();
    let (mut refused, mut lost, mut named, mut unharmed) = (0, 0, 0, 0);
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut turned = 0;
    while turned < 24 {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = (chance >> 33) as usize % length;
        if bytes[at] == 0 {
            // Mostly room that nothing was written to.
            continue;
        }
        turned += 1;
        copy(&whole, &store);
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (turned % 8);
        fs::write(store.join("db"), damaged).unwrap();
        let ran = node.run(&["doctor", "--json"]);
        let found = findings(&ran);
        let has = |code: &str| found.iter().any(|finding| finding["code"] == code);
        if has("store-damaged") {
            node.run(&["search", "x"]).refused("damage");
            refused += 1;
            continue;
        }
        let file = node.file("all.zst");
        let exported = node.json(&["bundle", "export", file.to_str().unwrap()]);
        let checked = baraza(&["bundle", "verify", file.to_str().unwrap(), "--json"])
            .ok()
            .json();
        assert_eq!(
            checked["verified"], exported["records"],
            "byte {at}: {checked}"
        );
        if has("publishing-held") {
            // Its end is gone: that is said, and what is missing can be fetched again.
            lost += 1;
        } else if has("record-damaged") {
            named += 1;
        } else {
            assert_eq!(
                exported["records"], RECORDS,
                "byte {at}: records went unnoticed: {found:?}"
            );
            unharmed += 1;
        }
    }
    println!(
        "of {turned} turned bits {refused} were refused at the start, {lost} lost changes and were noticed, {named} were named, {unharmed} did no harm"
    );
    assert!(refused + lost + named > 0);
}
