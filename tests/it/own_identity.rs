//! An identity outlives its machine, its keys and its hub.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use protocol::canonical::to_canonical;
use serde_json::{Value, json};

use crate::support::author::hand_in;
use crate::support::laptop::Laptop;
use crate::support::node::{Node, baraza, port};
use crate::support::{now, until};

fn course(local: &str, name: &str) -> Value {
    json!({
        "type": "Offering", "localId": local, "language": "en",
        "body": {"kind": "course", "name": {"en": name}, "areas": ["cyber"], "countries": ["FJ"]},
    })
}

/// The bodies that a node shows of an author's records, byte for byte, by local id.
fn bodies(node: &Node, scid: &str, locals: &[String]) -> BTreeMap<String, Vec<u8>> {
    let mut bodies = BTreeMap::new();
    for local in locals {
        let answer = node.get(&format!("/api/v1/records/{scid}/{local}"));
        if answer.status == 200 {
            bodies.insert(local.clone(), to_canonical(&answer.json()["body"]));
        }
    }
    bodies
}

/// The ids of all records that a node shows of an author.
fn shown(node: &Node, scid: &str) -> Vec<String> {
    let mut found = node.found(&format!("org={scid}&limit=100"));
    found.sort();
    found
}

/// Checks everything that a node has, as a stranger would: with nothing but the bundle.
fn all_verify(node: &Node, records: u64) {
    let bundle = node.get("/sync/v1/bundle");
    let file = node.write("all.ndjson.zst", bundle.body);
    let said = baraza(&["bundle", "verify", &file, "--json"]).ok().json();
    assert_eq!(said["refused"], json!([]), "{said}");
    assert_eq!(said["without_log"], 0, "{said}");
    assert!(said["verified"].as_u64().unwrap() >= records, "{said}");
}

fn is_private(path: &Path) -> bool {
    fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}

#[test]
fn a_stolen_key_a_lost_laptop_and_a_dead_hub_cost_nothing_that_was_published() {
    let ports = [port(), port(), port()];
    let [mut hub_a, mut hub_b, mut aggregator] = ports.map(|own| Node::make_on(own, &ports));
    for hub in [&mut hub_a, &mut hub_b] {
        hub.host_anyone();
        hub.start();
    }
    aggregator.start();
    aggregator.json(&["follow", &hub_a.url]);

    // On its laptop a provider makes its identity; it publishes through hub A, and C finds it.
    let (laptop, made) = Laptop::with_identity(&format!("{}/orgs/pacific-ict", hub_a.url));
    let scid = made["scid"].as_str().unwrap().to_owned();
    let card = made["recoveryCode"].as_str().unwrap().to_owned();
    assert!(is_private(&laptop.dir()) && is_private(&laptop.dir().join("keys/identity.update")));
    let locals: Vec<String> = (0..8).map(|n| format!("course-{n}")).collect();
    let drafts: Vec<Value> = locals
        .iter()
        .map(|local| course(local, &format!("Lesson {local}")))
        .collect();
    laptop.json(&["push", &hub_a.url]);
    laptop.publish(&hub_a.url, &json!(drafts));
    // A correction on the same day: the last honest word is the second.
    laptop.publish(
        &hub_a.url,
        &json!([course("course-0", "Lesson one, revised")]),
    );
    aggregator.until_found(&format!("q=lesson&org={scid}"), locals.len());
    let honest = until("C has the correction", || {
        let honest = bodies(&aggregator, &scid, &locals);
        let first = String::from_utf8_lossy(honest.get("course-0")?).into_owned();
        first.contains("revised").then_some(honest)
    });
    let ids = shown(&aggregator, &scid);
    assert_eq!((honest.len(), ids.len()), (8, 9), "{ids:?}");
    let all_was_well = now();
    until("a second has gone by", || {
        (now() > all_was_well).then_some(())
    });

    // Its key is stolen: half of the records are withdrawn, half overwritten, one is added.
    let thief = laptop.stolen();
    for (number, local) in locals.iter().enumerate() {
        let forged = match number % 2 {
            0 => thief.withdrawal(local),
            _ => thief.offering(local, "Send your bank details"),
        };
        let answer = hand_in(&hub_a.url, &forged);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    hand_in(
        &hub_a.url,
        &thief.offering("free-money", "Send your bank details"),
    );
    aggregator.until_found("q=bank", 5);
    until("C has the withdrawals", || {
        (bodies(&aggregator, &scid, &locals).len() == 4).then_some(())
    });

    // The laptop is gone, hub A is destroyed. The printed card and the address of C remain.
    drop(laptop);
    hub_a.kill();
    drop(hub_a);
    let laptop = Laptop::new();
    let to = format!("{}/orgs/pacific-ict", hub_b.url);
    let as_of = all_was_well.to_string();
    let recover = [
        "identity",
        "recover",
        "--code",
        "-",
        "--from",
        &aggregator.url,
        "--as-of",
        &as_of,
        "--to",
        &to,
    ];
    let mistyped = card.replacen("Qm", "Qn", 1);
    laptop
        .run_with(&recover, &mistyped)
        .refused("compare it group by group");
    assert!(!laptop.dir().exists());
    let said = laptop.run_with(&recover, &card).ok();
    for words in [
        "RECOVERY CARD",
        "The identity is yours again",
        "9 records were fetched",
        "no longer counts",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }

    // C shows the same records with the last honest bodies, all verifying; the thief's are gone.
    aggregator.until_found(&format!("q=lesson&org={scid}"), 8);
    assert_eq!(bodies(&aggregator, &scid, &locals), honest);
    aggregator.until_found("q=bank", 0);
    assert_eq!(shown(&aggregator, &scid), ids);
    all_verify(&aggregator, 9);
    let stale = hand_in(&aggregator.url, &thief.offering("course-1", "Again"));
    assert_eq!(
        (stale.status, stale.code().as_str()),
        (422, "key-retired"),
        "{}",
        stale.text()
    );
    let organizations = aggregator.get("/api/v1/organizations").json();
    let author = organizations["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == scid.as_str());
    assert_eq!(author.unwrap()["disputed"], false);
    assert_eq!(
        author.unwrap()["host"],
        format!("node.localhost:{}", hub_b.port)
    );

    // It is at home at hub B and publishes again.
    assert_eq!(hub_b.get("/orgs/pacific-ict/did.jsonl").status, 200);
    assert_eq!(bodies(&hub_b, &scid, &locals), honest);
    laptop.publish(
        &hub_b.url,
        &json!([
            course("course-9", "Newest"),
            course("course-1", "Lesson two, revised")
        ]),
    );
    hub_b.until_found("q=newest", 1);
    // C carries course-1 and takes its newer version from its author.
    laptop.run(&["push", &aggregator.url]).refused("course-9");
    until("C has the newer version", || {
        let answer = aggregator.get(&format!("/api/v1/records/{scid}/course-1"));
        answer.text().contains("two, revised").then_some(())
    });

    // The used card is worthless, and says so.
    let again = Laptop::new();
    again
        .run_with(
            &["identity", "recover", "--code", "-", "--from", &hub_b.url],
            &card,
        )
        .refused("look for the newest card");
    assert!(!again.dir().exists());
}
