//! An identity outlives its machine, its keys and its hub.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use protocol::canonical::to_canonical;
use serde_json::{Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::client;
use crate::support::hostile::{Hostile, answer, end_line, log_line};
use crate::support::laptop::{Laptop, Thief};
use crate::support::lossy::Lossy;
use crate::support::node::{Node, Ran, baraza, port};
use crate::support::relay::Relay;
use crate::support::{now, started, until};

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

#[test]
fn a_managed_member_takes_its_keys_over_from_its_hub() {
    let ports = [port(), port()];
    let [mut hub, mut aggregator] = ports.map(|own| Node::make_on(own, &ports));
    hub.start();
    aggregator.start();
    let scid = hub.org("coast-lab");
    hub.publish(
        "coast-lab",
        &json!([course("a", "Tides"), course("b", "Reefs")]),
    );
    hub.json(&["withdraw", &format!("{scid}/b")]);
    aggregator.befriend(&hub);
    aggregator.until_equal(&hub);

    let laptop = Laptop::new();
    let at = format!("{}/orgs/coast-lab", hub.url);
    let take_over = ["identity", "take-over", "--at", &at];
    let asked = laptop.json(&take_over);
    assert_eq!(asked["state"], "waiting", "{asked}");
    let digests: Vec<&str> = asked["digests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|digest| digest.as_str().unwrap())
        .collect();
    laptop
        .run(&take_over)
        .refused("has not let go of the identity yet");
    let release = ["org", "release", "coast-lab", "--to", &digests.join(",")];
    hub.run(&release).ok();
    hub.run(&release).ok();
    assert!(!hub.dir().join("keys/coast-lab.update").exists());
    // Until the member has taken over, the hub still publishes for it.
    hub.publish("coast-lab", &course("a", "Tides and currents"));
    let taken = laptop.json(&take_over);
    assert_eq!(
        (&taken["state"], &taken["records"]),
        (&json!("taken"), &json!(3)),
        "{taken}"
    );
    laptop.run(&take_over).refused("here already");

    // The hub can neither publish nor rotate for it any more.
    let drafts = hub.write("more.json", course("c", "Forged").to_string());
    hub.run(&["publish", &drafts, "--org", "coast-lab"])
        .refused("retired");
    hub.run(&["org", "rotate", "coast-lab"])
        .refused("update key is not here");
    // The member can, and everyone sees the same records as before.
    laptop.publish(&hub.url, &course("d", "Mangroves"));
    aggregator.until_found(&format!("q=mangroves&org={scid}"), 1);
    aggregator.until_equal(&hub);
    let read = |local: &str| aggregator.get(&format!("/api/v1/records/{scid}/{local}"));
    assert!(read("a").text().contains("Tides and currents"));
    assert_eq!(read("b").status, 410);
    assert_eq!(read("c").status, 404);
    all_verify(&aggregator, 4);
}

#[test]
fn rotation_drops_what_the_old_key_signed_and_peers_never_see_a_gap() {
    let ports = [port(), port()];
    let [mut hub, mut aggregator] = ports.map(|own| Node::make_on(own, &ports));
    hub.host_anyone();
    hub.start();
    aggregator.start();
    aggregator.befriend(&hub);
    let (laptop, made) = Laptop::with_identity(&format!("{}/orgs/itu", hub.url));
    let scid = made["scid"].as_str().unwrap().to_owned();
    laptop.json(&["push", &hub.url]);
    laptop.publish(
        &hub.url,
        &json!([course("a", "Tides"), course("b", "Reefs")]),
    );
    aggregator.until_found(&format!("org={scid}&type=Offering"), 2);

    let said = laptop.json(&["identity", "rotate"]);
    assert_eq!(
        (&said["signed"], &said["taken"]),
        (&json!(3), &json!(4)),
        "a checkpoint goes along: {said}"
    );
    aggregator.until_equal(&hub);
    assert_eq!(
        aggregator.found(&format!("org={scid}&type=Offering")).len(),
        2
    );

    // The folder was copied; the escrow file with it. The owner is faster than the thief.
    let escrow = laptop.dir().join("keys/identity.escrow");
    let (thief, old_escrow) = (laptop.stolen(), fs::read(&escrow).unwrap());
    hand_in(&hub.url, &thief.withdrawal("a"));
    aggregator.until_found(&format!("org={scid}&type=Offering"), 1);
    let said = laptop.run(&["identity", "rotate", "--compromised"]).ok();
    assert!(
        said.out.contains("Your printed card stays good"),
        "{}",
        said.out
    );
    assert_ne!(fs::read(&escrow).unwrap(), old_escrow);
    aggregator.until_found(&format!("org={scid}&type=Offering"), 2);
    aggregator.until_equal(&hub);
    let log = aggregator.get(&format!("/api/v1/organizations/{scid}/did.jsonl"));
    assert_eq!(log.text().lines().count(), 3);
    let code = made["recoveryCode"].as_str().unwrap();
    assert!(!String::from_utf8_lossy(&old_escrow).contains(code));
    let stolen_card = laptop.write("stolen.card", &old_escrow);
    Laptop::new()
        .run(&[
            "identity",
            "recover",
            "--code",
            &stolen_card,
            "--from",
            &hub.url,
        ])
        .refused("used already, or replaced");
    // The update key may be kept elsewhere.
    let kept = laptop.write(
        "usb.key",
        fs::read(laptop.dir().join("keys/identity.update")).unwrap(),
    );
    fs::remove_file(laptop.dir().join("keys/identity.update")).unwrap();
    laptop
        .run(&["identity", "rotate"])
        .refused("--update-key FILE");
    laptop.json(&["identity", "rotate", "--update-key", &kept]);
    aggregator.until_equal(&hub);
}

#[test]
fn a_hub_admits_by_its_policy_and_a_refused_provider_has_changed_nothing() {
    let mut hub = Node::make(&[]);
    hub.start();
    let at = format!("{}/orgs/itu", hub.url);
    let (laptop, _) = Laptop::with_identity(&at);
    laptop.run(&["push", &hub.url]).refused("hosting-closed");
    hub.stop();
    hub.edit("policy = \"closed\"", "policy = \"invitation\"");
    hub.edit("invitations = []", "invitations = [\"reef-2027\"]");
    hub.start();
    laptop
        .run(&["push", &hub.url, "--invitation", "wrong"])
        .refused("invitation-needed");
    assert_eq!(hub.number("authors"), 1, "its own");
    laptop
        .run(&["push", &hub.url, "--invitation", "reef-2027"])
        .ok();
    // Once at home, nobody asks again.
    laptop.publish(&hub.url, &course("a", "Tides"));
    hub.until_found("q=tides", 1);

    // A move that is refused leaves everything as it was.
    let other = Node::running(&[]);
    let to = format!("{}/orgs/itu", other.url);
    laptop
        .run(&["identity", "move", "--to", &to])
        .refused("Nothing was changed");
    assert_eq!(
        laptop.json(&["identity", "show"])["unfinished"],
        Value::Null
    );
    laptop.json(&["identity", "rotate"]);
    hub.until_found("q=tides", 1);
}

/// How many entries a node's line of a log has, and whether it knows of another line.
fn log_at(node: &Node, scid: &str) -> (usize, bool) {
    let log = node.get(&format!("/api/v1/organizations/{scid}/did.jsonl"));
    let organizations = node.get("/api/v1/organizations").json();
    let items = organizations["items"].as_array().unwrap().clone();
    let author = items.iter().find(|item| item["id"] == scid).unwrap();
    (log.text().lines().count(), author["disputed"] == true)
}

#[test]
fn a_push_that_is_told_to_go_slower_waits_and_brings_everything() {
    let own = port();
    let (_line, mut hub) = Lossy::before(own, &[own]);
    hub.host_anyone();
    let settings = "trusted_proxies = [\"127.0.0.1\"]\nrequests_per_minute = 60";
    hub.edit(
        "language = \"en\"",
        &format!("language = \"en\"\n{settings}"),
    );
    hub.start();
    let (laptop, _) = Laptop::with_identity(&format!("{}/orgs/itu", hub.url));
    let began = started();
    // Of so long ones each goes in a request of its own.
    let courses = (0..70).map(|n| {
        let mut course = course(&format!("c-{n}"), "Tides");
        let text = "Tides and currents of the reef. ".repeat(500);
        course["body"]["description"] = json!({"en": text, "fr": text});
        course
    });
    let pushed = laptop.publish(&hub.url, &courses.collect());
    assert_eq!(pushed["refused"], json!([]), "{pushed}");
    assert!(
        began.elapsed().as_secs() >= 8,
        "more than a minute's worth takes time"
    );
    until("all of it is found", || {
        let found = hub.get("/api/v1/search?q=tides").json();
        (found["total"] == 70).then_some(())
    });
}

#[test]
fn whichever_answer_is_lost_the_same_command_goes_on_and_nothing_forks() {
    let ports = [port(), port()];
    let mut hubs = ports.map(|own| Lossy::before(own, &ports));
    for (_, hub) in &mut hubs {
        hub.host_anyone();
        hub.start();
    }
    let [(first_line, first), (second_line, second)] = &hubs;
    let (laptop, made) = Laptop::with_identity(&format!("{}/orgs/itu", first.url));
    let scid = made["scid"].as_str().unwrap().to_owned();
    let mut card = made["recoveryCode"].as_str().unwrap().to_owned();
    let mut laptop = laptop;
    laptop.json(&["push", &first.url]);
    laptop.publish(
        &first.url,
        &json!([course("a", "Tides"), course("b", "Reefs")]),
    );
    let mut entries = 1;
    let mut losses = 0;

    let mut with_loss = |lines: &[&Lossy], after: i64, run: &dyn Fn() -> Ran| {
        for line in lines {
            line.lose_answer_after(after);
        }
        let ran = run();
        let is_lost = lines.iter().any(|line| line.has_lost());
        for line in lines {
            line.lose_answer_after(i64::MAX);
        }
        losses += usize::from(is_lost);
        match is_lost {
            true if ran.code != 0 => run().ok(),
            // An answer that nothing depends on.
            _ => ran.ok(),
        }
    };
    for after in 0..5 {
        with_loss(&[first_line], after, &|| {
            laptop.run(&["identity", "rotate"])
        });
        entries += 1;
        assert_eq!(log_at(first, &scid), (entries, false), "after {after}");
        assert_eq!(bodies(first, &scid, &["a".into(), "b".into()]).len(), 2);
    }
    let at = [first, second].map(|hub| format!("{}/orgs/itu", hub.url));
    for after in 0..5 {
        let (to, home, line) = match after % 2 {
            0 => (&at[1], second, second_line),
            _ => (&at[0], first, first_line),
        };
        with_loss(&[line], after, &|| {
            laptop.run(&["identity", "move", "--to", to])
        });
        entries += 1;
        assert_eq!(log_at(home, &scid), (entries, false), "after {after}");
        assert_eq!(bodies(home, &scid, &["a".into(), "b".into()]).len(), 2);
    }
    for after in 0..5 {
        let lost = laptop;
        laptop = Laptop::new();
        drop(lost);
        let said = with_loss(&[first_line, second_line], after, &|| {
            let recover = [
                "identity",
                "recover",
                "--code",
                "-",
                "--from",
                &second.url,
                "--to",
                &at[0],
                "--json",
            ];
            laptop.run_with(&recover, &card)
        });
        card = said.json()["recoveryCode"].as_str().unwrap().to_owned();
        entries += 1;
        for hub in [first, second] {
            assert_eq!(log_at(hub, &scid), (entries, false), "after {after}");
            assert_eq!(bodies(hub, &scid, &["a".into(), "b".into()]).len(), 2);
        }
    }
    assert!(losses >= 6, "{losses} answers were lost");

    // A hub that moves a member goes on in the same way.
    let member = first.org("coast-lab");
    first.publish("coast-lab", &json!([course("a", "Tides")]));
    second_line.lose_answer_after(0);
    let to_second = ["org", "move", "coast-lab", "--to", &second.url];
    first.run(&to_second).refused("run the same command again");
    assert!(second_line.has_lost());
    first.run(&to_second).ok();
    for hub in [first, second] {
        assert_eq!(log_at(hub, &member), (2, false));
    }
    assert_eq!(
        second.get(&format!("/api/v1/records/{member}/a")).status,
        200
    );
}

#[test]
fn a_disputed_identity_is_shown_until_an_operator_pins_a_line_and_stays_marked() {
    let ports = [port(), port()];
    let [mut hub, mut other] = ports.map(|own| Node::make_on(own, &ports));
    for node in [&mut hub, &mut other] {
        node.host_anyone();
        node.start();
    }
    let (laptop, made) = Laptop::with_identity(&format!("{}/orgs/itu", hub.url));
    let scid = made["scid"].as_str().unwrap().to_owned();
    laptop.json(&["push", &hub.url]);
    laptop.publish(&hub.url, &json!([course("a", "Tides")]));
    other.json(&["follow", &hub.url]);
    other.until_found("q=tides", 1);
    let nothing = other.run(&["pin"]).ok();
    assert!(
        nothing.out.contains("No key log is disputed"),
        "{}",
        nothing.out
    );

    // Somebody copied the whole folder, update key included, and is first at the other node.
    let thief = Laptop::copy_of(&laptop);
    hub.stop();
    let to = format!("{}/orgs/stolen", other.url);
    thief.json(&["identity", "move", "--to", &to]);
    hub.start();
    laptop.json(&["identity", "rotate", "--compromised"]);
    let version = laptop.json(&["identity", "show"])["logVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let listed = until("the other node has both lines", || {
        let listed = other.json(&["pin"]);
        (listed["total"] == 1).then_some(listed)
    });
    let entries = listed["items"][0]["entries"].as_array().unwrap();
    let goes_by: Vec<_> = entries
        .iter()
        .filter(|entry| entry["goesBy"] == true)
        .collect();
    assert_eq!((entries.len(), goes_by.len()), (2, 1), "{listed}");
    assert_ne!(goes_by[0]["version"], version.as_str());
    let page = other.get(&format!("/en/org/{scid}"));
    assert!(page.text().contains("disputed"), "{}", page.text());
    laptop.run(&["push", &other.url]).refused("another line");

    // The operator asks the organisation, and pins.
    other
        .run(&[
            "pin",
            &scid,
            "1-QmQ6LnqBQwy2gG8gJBcmHdKaLtmqPTxJVuoC4hKuCN6BEs",
        ])
        .refused("baraza pin");
    other
        .run(&[
            "pin",
            "QmQ6LnqBQwy2gG8gJBcmHdKaLtmqPTxJVuoC4hKuCN6BEs",
            &version,
        ])
        .refused("carries nothing");
    let pinned = other.json(&["pin", &scid, &version]);
    assert_eq!(pinned["goesBy"], version.as_str(), "{pinned}");
    until("the owner's records are shown again", || {
        let answer = other.get(&format!("/api/v1/records/{scid}/a"));
        (answer.status == 200).then_some(())
    });
    laptop.run(&["push", &other.url]).ok();
    assert_eq!(log_at(&other, &scid), (2, true));
    assert_eq!(other.json(&["pin"])["items"][0]["pinned"], true);
    let log = other.json(&["audit", "--verify"]);
    let last = log["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["act"], &last["subject"]),
        (&json!("pin"), &json!(scid))
    );
}

/// A web server that serves the files of a folder and nothing else.
fn static_site(folder: std::path::PathBuf, at: u16) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", at)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let Ok(count) = std::io::Read::read(&mut stream, &mut head) else {
                continue;
            };
            let head = String::from_utf8_lossy(&head[..count]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let name = path.trim_start_matches("/baraza/");
            match fs::read(folder.join(name)) {
                Ok(bytes) if !name.contains('/') => {
                    answer(&mut stream, "200 OK", "text/plain", &bytes)
                }
                _ => answer(&mut stream, "404 Not Found", "text/plain", b"nothing here"),
            }
        }
    });
}

#[test]
fn t12_a_provider_with_only_a_static_web_page_is_followed_verified_and_its_site_confirmed() {
    let site = port();
    let ports = [port(), port(), site];
    let [mut node, mut aggregator] = [ports[0], ports[1]].map(|own| Node::make_on(own, &ports));
    node.start();
    aggregator.start();
    let (laptop, made) = Laptop::with_identity(&format!("http://127.0.0.1:{site}/baraza"));
    let scid = made["scid"].as_str().unwrap().to_owned();
    let web = laptop.folder("web");
    let upload = || {
        for name in ["did.jsonl", "records.ndjson"] {
            fs::copy(laptop.dir().join(name), web.join(name)).unwrap();
        }
    };
    laptop.sign(&json!([course("a", "Tides")]));
    upload();
    static_site(web.clone(), site);

    let page = format!("http://127.0.0.1:{site}/baraza/did.jsonl");
    node.json(&["follow", &page]);
    node.until_found(&format!("q=tides&org={scid}"), 1);
    let author_at = |node: &Node| {
        let organizations = node.get("/api/v1/organizations").json();
        let items = organizations["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .find(|item| item["id"] == scid.as_str())
            .unwrap()
    };
    assert_eq!(author_at(&node)["siteConfirmed"], true);
    assert!(
        node.get(&format!("/en/org/{scid}"))
            .text()
            .contains("website confirmed")
    );

    // Who has it from a node has not seen the site, and does not say so.
    aggregator.json(&["follow", &node.url]);
    aggregator.until_found("q=tides", 1);
    assert_eq!(author_at(&aggregator)["siteConfirmed"], false);

    // New records, a new key: uploaded, and read anew.
    laptop.sign(&json!([course("b", "Reefs")]));
    laptop.json(&["identity", "rotate"]);
    upload();
    let pulled = node.json(&["sync", &page]);
    assert_eq!(pulled["peers"][0]["pulled"]["refused"], 0, "{pulled}");
    node.until_found(&format!("org={scid}&type=Offering"), 2);
    aggregator.until_found(&format!("org={scid}&type=Offering"), 2);
    all_verify(&aggregator, 3);

    // A page speaks for one identity: another's records on it are not taken from there.
    let (other, _) = Laptop::with_identity("https://other.example");
    let mut lines = fs::read(web.join("records.ndjson")).unwrap();
    lines.extend(fs::read(other.dir().join("records.ndjson")).unwrap());
    fs::write(web.join("records.ndjson"), lines).unwrap();
    let pulled = node.json(&["sync", &page]);
    // Its profile and its checkpoint.
    assert_eq!(pulled["peers"][0]["pulled"]["refused"], 2, "{pulled}");
    assert_eq!(node.number("parked"), 0);

    // Somebody else's log at one's own address confirms nothing.
    let (liar, _) = Laptop::with_identity("https://other.example");
    fs::copy(liar.dir().join("did.jsonl"), web.join("did.jsonl")).unwrap();
    fs::copy(
        liar.dir().join("records.ndjson"),
        web.join("records.ndjson"),
    )
    .unwrap();
    node.json(&["sync", &page]);
    let organizations = node.get("/api/v1/organizations").json();
    let confirmed = organizations["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["siteConfirmed"] == true);
    assert_eq!(confirmed.count(), 0, "{organizations}");
    node.run(&["unfollow", &page]).ok();
}

#[test]
fn a_hub_says_who_its_members_are_and_takes_it_back() {
    let ports = [port(), port()];
    let [mut hub, mut aggregator] = ports.map(|own| Node::make_on(own, &ports));
    hub.host_anyone();
    hub.start();
    aggregator.start();
    aggregator.json(&["follow", &hub.url]);
    let (laptop, made) = Laptop::with_identity(&format!("{}/orgs/itu", hub.url));
    let scid = made["scid"].as_str().unwrap().to_owned();
    laptop.json(&["push", &hub.url]);
    hub.json(&["org", "member", "itu"]);
    let members = |node: &Node| {
        let organizations = node.get("/api/v1/organizations").json();
        let items = organizations["items"].as_array().unwrap().clone();
        let author = items.into_iter().find(|item| item["id"] == scid.as_str())?;
        Some(author["memberOf"].as_array().unwrap().len())
    };
    until("the aggregator knows the membership", || {
        (members(&aggregator) == Some(1)).then_some(())
    });
    let page = aggregator.get(&format!("/en/org/{scid}")).text();
    assert!(page.contains("member of"), "{page}");
    hub.json(&["org", "member", &scid, "--end"]);
    until("it is taken back", || {
        (members(&aggregator) == Some(0)).then_some(())
    });
    hub.run(&["org", "member", "nobody"])
        .refused("neither an organisation at home here nor an SCID");
}

#[test]
fn a_hub_whose_record_key_was_stolen_goes_back_to_the_last_good_moment() {
    let ports = [port(), port()];
    let [mut hub, mut other] = ports.map(|own| Node::make_on(own, &ports));
    hub.start();
    other.edit("policy = \"closed\"", "policy = \"invitation\"");
    other.edit("invitations = []", "invitations = [\"reef-2027\"]");
    other.start();
    let scid = hub.org("coast-lab");
    let locals: Vec<String> = ["a", "b"].map(ToOwned::to_owned).to_vec();
    hub.publish(
        "coast-lab",
        &json!([course("a", "Tides"), course("b", "Reefs")]),
    );
    let honest = bodies(&hub, &scid, &locals);
    let all_was_well = now();
    until("a second has gone by", || {
        (now() > all_was_well).then_some(())
    });
    let thief = Thief::with_key_file(&hub.dir().join("keys/coast-lab.key"));
    for forged in [
        thief.withdrawal("a"),
        thief.offering("b", "Bank"),
        thief.offering("c", "Bank"),
    ] {
        assert_eq!(hand_in(&hub.url, &forged).status, 201);
    }
    hub.json(&[
        "org",
        "rotate",
        "coast-lab",
        "--compromised",
        "--as-of",
        &all_was_well.to_string(),
    ]);
    assert_eq!(bodies(&hub, &scid, &locals), honest);
    assert_eq!(hub.get(&format!("/api/v1/records/{scid}/c")).status, 404);

    let to = ["org", "move", "coast-lab", "--to", &other.url];
    hub.run(&to).refused("Nothing was changed");
    let with_code = [&to[..], &["--invitation", "reef-2027"]].concat();
    hub.run(&with_code).ok();
    assert_eq!(bodies(&other, &scid, &locals), honest);
    assert_eq!(log_at(&other, &scid), (3, false));

    // It takes its keys over at its new home from the node that still has them.
    let laptop = Laptop::new();
    let at = format!("{}/orgs/coast-lab", other.url);
    let take_over = ["identity", "take-over", "--at", &at];
    let asked = laptop.json(&take_over);
    let digests: Vec<&str> = asked["digests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|digest| digest.as_str().unwrap())
        .collect();
    hub.run(&["org", "release", "coast-lab", "--to", &digests.join(",")])
        .ok();
    assert_eq!(laptop.json(&take_over)["state"], "taken");
    assert_eq!(bodies(&other, &scid, &locals), honest);
    assert_eq!(log_at(&other, &scid), (5, false));
}

#[test]
fn a_lying_node_cannot_slip_its_words_under_the_new_key() {
    let liar = port();
    let (laptop, made) = Laptop::with_identity(&format!("http://127.0.0.1:{liar}/orgs/itu"));
    let scid = made["scid"].as_str().unwrap().to_owned();
    let card = made["recoveryCode"].as_str().unwrap().to_owned();
    let log = fs::read(laptop.dir().join("did.jsonl")).unwrap();
    // A record in the author's name under the liar's own key, and a history that claims it is the author's.
    let stranger = laptop.stolen();
    let forged = stranger.under_another_key().offering("free-money", "Bank");
    let hash = protocol::envelope::Envelope::parse(&forged).unwrap().hash();
    let row = json!({
        "id": format!("{scid}/free-money"), "seq": 1, "version": hash.to_string(), "status": "active",
        "received": now().to_string(), "key": stranger.key(), "counts": true,
    });
    let history = json!({"versions": [row], "next": null}).to_string();
    let answers = move |first: &str, stream: &mut std::net::TcpStream| {
        let forged = format!("{{\"record\":{}}}\n", String::from_utf8_lossy(&forged));
        if first.contains("/did.jsonl") {
            answer(stream, "200 OK", "text/jsonl", &log);
        } else if first.contains("/history") {
            answer(stream, "200 OK", "application/json", history.as_bytes());
        } else if first.contains("/sync/v1/fetch") {
            answer(stream, "200 OK", "application/x-ndjson", forged.as_bytes());
        } else {
            answer(stream, "201 Created", "application/json", b"{}");
        }
    };
    let liar = Hostile::start_on(liar, answers);
    let machine = Laptop::new();
    machine
        .run_with(
            &["identity", "recover", "--code", "-", "--from", &liar.url],
            &card,
        )
        .refused("sent a record that does not verify");
    let kept = fs::read_to_string(machine.dir().join("records.ndjson")).unwrap();
    assert!(!kept.contains("Bank"), "{kept}");
}

#[test]
fn a_hub_that_has_the_log_from_elsewhere_lets_its_author_in_by_the_first_push() {
    let own = port();
    let (laptop, made) = Laptop::with_identity(&format!("http://127.0.0.1:{own}/orgs/itu"));
    let scid = made["scid"].as_str().unwrap();
    let log = fs::read(laptop.dir().join("did.jsonl")).unwrap();
    let peer = Hostile::feed(vec![log_line(1, scid, log.trim_ascii()), end_line(1)]);
    let mut hub = Node::make_on(own, &[peer.port]);
    hub.edit("policy = \"closed\"", "policy = \"invitation\"");
    hub.edit("invitations = []", "invitations = [\"reef-2027\"]");
    hub.start();
    hub.json(&["follow", &peer.url]);
    until("the log is at the hub", || {
        let log = hub.get(&format!("/api/v1/organizations/{scid}/did.jsonl"));
        (log.status == 200).then_some(())
    });
    assert_eq!(hub.get("/orgs/itu/did.jsonl").status, 404);
    laptop.run(&["push", &hub.url]).refused("invitation-needed");
    let pushed = laptop.json(&["push", &hub.url, "--invitation", "reef-2027"]);
    assert_eq!(
        (&pushed["logEntries"], &pushed["taken"]),
        (&json!(0), &json!(2)),
        "{pushed}"
    );
    assert_eq!(hub.get("/orgs/itu/did.jsonl").status, 200);
    // Its name is taken now, whoever comes.
    hub.run(&["org", "add", "itu", "--name", "Another"])
        .refused("is taken");
    laptop.publish(&hub.url, &course("a", "Tides"));
    hub.until_found("q=tides", 1);
}

#[test]
fn of_many_records_in_one_request_each_is_answered_as_it_would_be_alone() {
    let node = Node::hosting(&[]);
    let author = Author::hosted(&node.url);
    let stranger = Author::at("http://127.0.0.1:9");
    let [first, second] = ["first", "second"].map(|local| author.record(local, 1, "Tides"));
    let hand_in_lines = |lines: &[&[u8]]| {
        let headers = [("content-type", "text/jsonl; charset=utf-8")];
        let body = lines.join(&b'\n');
        client::request(&node.url, "POST", "/api/v1/records", &headers, &body)
    };
    let mut altered = author.record("third", 1, "Reefs");
    let place = altered
        .windows(5)
        .position(|part| part == b"Reefs")
        .unwrap();
    altered[place] = b'r';
    let foreign = stranger.record("first", 1, "Mine");
    let lines: [&[u8]; 7] = [&first, b"{", &foreign, b"", &altered, &second, &first];
    let answer = hand_in_lines(&lines);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = answer.json()["results"].as_array().unwrap().clone();
    let told: Vec<(u64, &str)> = results
        .iter()
        .map(|result| {
            let code = result["code"].as_str().unwrap_or_default();
            (result["status"].as_u64().unwrap(), code)
        })
        .collect();
    let [taken, held] = [(201, ""), (200, "")];
    let refused = [
        (400, "malformed"),
        (403, "not-hosted"),
        (422, "bad-signature"),
    ];
    assert_eq!(
        told,
        [taken, refused[0], refused[1], refused[2], taken, held]
    );
    assert_eq!(results[4]["id"], format!("{}/second", author.scid()));
    assert_eq!(node.get(&author.path("second")).body, second);
    assert_eq!(node.get(&author.path("third")).status, 404);

    let many = vec![first.as_slice(); 101];
    for lines in [many.as_slice(), &[], &[b" "]] {
        let answer = hand_in_lines(lines);
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"));
    }
}

#[test]
fn a_thousand_records_are_pushed_in_some_dozens_of_requests() {
    let hub = Node::hosting(&[]);
    let line = Relay::before(&hub);
    let (laptop, _) = Laptop::with_identity(&format!("{}/orgs/itu", hub.url));
    let drafts: Vec<Value> = (0..1_000)
        .map(|number| course(&format!("course-{number}"), &format!("Lesson {number}")))
        .collect();
    laptop.sign(&json!(drafts));
    let pushed = laptop.json(&["push", &line.url]);
    assert_eq!(
        pushed["taken"], 1_002,
        "profile and checkpoint among them: {pushed}"
    );
    let passed = line.passed();
    let requests = passed
        .iter()
        .filter(|passed| passed.what == "POST /api/v1/records");
    let requests = requests.count();
    assert!((2..40).contains(&requests), "{requests} requests");
    let again = laptop.json(&["push", &hub.url]);
    assert_eq!(
        (&again["taken"], &again["held"]),
        (&json!(0), &json!(1_002))
    );
}
