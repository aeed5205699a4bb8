//! What is published on one node reaches the others, whole, whatever happens on the way.

use std::fs;

use protocol::id::VersionHash;
use protocol::limits::{LOG_BODY_BYTES_MAX, LOG_BYTES_MAX};
use serde_json::{Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::client;
use crate::support::hostile::given_line;
use crate::support::node::{Node, port};
use crate::support::{started, until};

fn course(local: &str, name: &str, area: &str) -> Value {
    json!({
        "type": "Offering", "localId": local,
        "body": {"kind": "course", "name": {"en": name}, "areas": [area]},
    })
}

fn rows(count: usize) -> String {
    let rows = (0..count).map(|n| format!("Course number {n},https://courses.example/{n}\n"));
    format!("title,url\n{}", rows.collect::<String>())
}

#[test]
fn a_follower_has_a_new_record_soon_after_it_was_published() {
    let (hub, follower) = Node::pair();
    let scid = hub.org("itu");
    follower.befriend(&hub);
    follower.until_equal(&hub);
    let mut worst = 0.0f64;
    for n in 0..5 {
        let local = format!("c-{n}");
        hub.publish("itu", &course(&local, "Fresh", "cyber"));
        let start = started();
        until("the record is at the follower", || {
            let answer = follower.get(&format!("/api/v1/records/{scid}/{local}"));
            (answer.status == 200).then_some(())
        });
        worst = worst.max(start.elapsed().as_secs_f64());
    }
    let start = started();
    follower.until_found("q=fresh", 5);
    println!(
        "a record was at the follower {worst:.2} s after publishing at the latest, and found {:.2} s later",
        start.elapsed().as_secs_f64()
    );
    // The promise is two seconds; other work on this machine is allowed for.
    assert!(worst < 10.0, "{worst} s");

    // A withdrawal goes the same way.
    hub.json(&["withdraw", &format!("{scid}/c-0")]);
    until("the tombstone is at the follower", || {
        let answer = follower.get(&format!("/api/v1/records/{scid}/c-0"));
        (answer.status == 410).then_some(())
    });
    follower.until_found("q=fresh", 4);
}

#[test]
fn y11_a_follower_that_is_killed_while_it_catches_up_resumes() {
    // Four pages: what comes in one may come at once.
    const ROWS: usize = 20_000;
    let (hub, mut follower) = Node::pair();
    hub.org("many");
    let file = hub.write("rows.csv", rows(ROWS));
    let said = hub.json(&[
        "import",
        &file,
        "--org",
        "many",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ]);
    assert_eq!(said["new"], ROWS, "{said}");
    let all = hub.number("records");
    follower.befriend(&hub);
    let mut had = 0;
    let mut kills = 0;
    while kills < 3 {
        let seen = until("more records have come", || {
            let seen = follower.number("records");
            (seen > had).then_some(seen)
        });
        if seen == all {
            break;
        }
        follower.kill();
        kills += 1;
        follower.start();
        had = follower.number("records");
        assert!(had >= seen, "{had} after {seen}");
    }
    assert!(kills > 0, "it was never killed in the middle");
    println!("killed {kills} times while it caught up with {all} records");
    follower.until_equal(&hub);
    assert_eq!(follower.number("records"), all);
    until("all are found", || {
        (follower.number("indexed") == all).then_some(())
    });
}

#[test]
fn y12_a_node_put_back_to_an_older_state_catches_up_and_brings_nothing_back() {
    let (mut hub, follower) = Node::pair();
    let scid = hub.org("itu");
    let path = |local: &str| format!("/api/v1/records/{scid}/{local}");
    hub.publish(
        "itu",
        &json!([
            course("gone", "Gone", "cyber"),
            course("kept", "Kept", "cyber")
        ]),
    );
    follower.befriend(&hub);
    follower.until_equal(&hub);
    hub.stop();
    let (store, copy) = (hub.dir().join("data/store"), hub.file("backup"));
    copy_folder(&store, &copy);
    hub.start();
    hub.json(&["withdraw", &format!("{scid}/gone")]);
    hub.publish("itu", &course("kept", "Kept and revised", "cyber"));
    hub.publish("itu", &course("later", "Later", "cyber"));
    follower.until_equal(&hub);
    let before = follower.holdings();
    hub.kill();
    fs::remove_dir_all(&store).unwrap();
    copy_folder(&copy, &store);
    hub.start();
    until("the hub has what it had lost", || {
        (hub.get(&path("gone")).status == 410).then_some(())
    });
    follower.until_equal(&hub);
    for node in [&hub, &follower] {
        assert_eq!(node.get(&path("gone")).status, 410);
        assert_eq!(node.get(&path("kept")).json()["seq"], 2);
        assert_eq!(node.get(&path("later")).status, 200);
    }
    // It has met what it does not remember: it publishes nothing until it has asked for the rest.
    until("the hub has noticed", || {
        (hub.census()["publishes"] == false).then_some(())
    });
    hub.json(&["reconcile"]);
    // They go on from there.
    hub.publish("itu", &course("new", "New", "cyber"));
    until("the follower reads on", || {
        (follower.get(&path("new")).status == 200).then_some(())
    });
    // It may have come by push, before the hub was asked again.
    until("the hub is read again", || {
        follower.peer()["last_error"].is_null().then_some(())
    });
    let mut before = before;
    before.extend(
        hub.holdings()
            .into_iter()
            .filter(|line| line.contains("\"New\"")),
    );
    // The follower lost and gained nothing else.
    assert_eq!(follower.holdings(), before);
}

#[test]
fn a_cursor_beyond_the_end_of_a_log_is_gone_at_once_and_who_had_it_starts_over() {
    let (follower, mut hub) = Node::pair();
    let scid = hub.org("itu");
    hub.publish("itu", &course("kept", "Kept", "cyber"));
    hub.stop();
    let (store, copy) = (hub.dir().join("data/store"), hub.file("backup"));
    copy_folder(&store, &copy);
    hub.start();
    for n in 0..5 {
        hub.publish("itu", &course(&format!("later-{n}"), "Later", "cyber"));
    }
    follower.json(&["follow", &hub.url]);
    let has = |local: &str| {
        let path = format!("/api/v1/records/{scid}/{local}");
        until(&format!("the follower has {local}"), || {
            (follower.get(&path).status == 200).then_some(())
        });
    };
    has("later-4");
    // The copy has the same epoch and a shorter log.
    let epoch = hub.census()["epoch"].clone();
    let end = |node: &Node| {
        let page = node.get("/sync/v1/changes").text();
        let end: Value = serde_json::from_str(page.lines().last().unwrap()).unwrap();
        end["cursor"].as_str().unwrap().to_owned()
    };
    let beyond = end(&hub);
    hub.kill();
    fs::remove_dir_all(&store).unwrap();
    copy_folder(&copy, &store);
    hub.start();
    assert_eq!(hub.census()["epoch"], epoch);
    let start = started();
    let gone = hub.get(&format!("/sync/v1/changes?wait=30&since={beyond}"));
    assert_eq!((gone.status, gone.code().as_str()), (410, "cursor-gone"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    let last = hub.get(&format!("/sync/v1/changes?since={}", end(&hub)));
    assert_eq!(last.status, 200, "{}", last.text());
    // The log stays shorter than it was; the follower reads it all the same.
    hub.publish("itu", &course("new", "New", "cyber"));
    has("new");
    assert_ne!(end(&hub), beyond);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn who_follows_one_area_gets_that_area_and_who_unfollows_gets_no_more() {
    let ports = [port(), port(), port(), port()];
    let mut nodes = ports.map(|port| Node::make_on(port, &ports));
    nodes.iter_mut().for_each(Node::start);
    let [hub, topical, whole, late] = &nodes;
    let scid = hub.org("itu");
    let has = |node: &Node, local: &str| {
        node.get(&format!("/api/v1/records/{scid}/{local}")).status == 200
    };
    let until_has = |node: &Node, local: &str| {
        until(&format!("{local} has arrived"), || {
            has(node, local).then_some(())
        });
    };
    hub.publish(
        "itu",
        &json!([
            course("data-1", "Data", "data-ai"),
            course("cyber-1", "Cyber", "cyber")
        ]),
    );
    let followed = topical.json(&["follow", &hub.url, "--topic", "cyber"]);
    assert_eq!(followed["filter"], "area=cyber");
    whole.json(&["follow", &hub.url]);
    until_has(topical, "cyber-1");
    until_has(whole, "data-1");
    hub.publish(
        "itu",
        &json!([
            course("data-2", "Data", "data-ai"),
            course("cyber-2", "Cyber", "cyber")
        ]),
    );
    until_has(topical, "cyber-2");
    until_has(whole, "cyber-2");
    assert!(has(whole, "data-2"));
    // What stands in the hub's log before what has arrived was passed over.
    assert!(!has(topical, "data-1") && !has(topical, "data-2"));

    topical.json(&["unfollow", &hub.url]);
    topical
        .run(&["unfollow", &hub.url])
        .refused("is not followed");
    topical.run(&["sync", &hub.url]).refused("is not followed");
    hub.publish("itu", &course("cyber-3", "Cyber", "cyber"));
    until_has(whole, "cyber-3");
    assert!(!has(topical, "cyber-3"));
    assert!(has(topical, "cyber-2"), "what had come stays");

    // Following again, now without a filter, brings what was passed over.
    topical.json(&["follow", &hub.url]);
    for local in ["data-1", "data-2", "cyber-3"] {
        until_has(topical, local);
    }
    let wrong = topical.run(&["follow", &hub.url, "--filter", "colour=red"]);
    wrong.refused("the filter has");

    // Another filter takes the place of the one before at once, and misses nothing.
    hub.publish(
        "itu",
        &json!([
            course("data-3", "Data", "data-ai"),
            course("cyber-4", "Cyber", "cyber")
        ]),
    );
    late.json(&["follow", &hub.url, "--topic", "cyber"]);
    until_has(late, "cyber-4");
    assert!(!has(late, "data-3"));
    late.json(&["follow", &hub.url, "--topic", "data-ai"]);
    until_has(late, "data-3");
    hub.publish("itu", &course("data-4", "Data", "data-ai"));
    until_has(late, "data-4");
}

#[test]
fn i14_a_bundle_carries_everything_to_a_node_without_a_network() {
    let mut hub = Node::running(&[]);
    let scid = hub.org("itu");
    hub.org("diplo");
    let file = hub.write("rows.csv", rows(700));
    hub.json(&[
        "import",
        &file,
        "--org",
        "diplo",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ]);
    hub.publish(
        "itu",
        &json!([
            course("c-1", "Portable", "cyber"),
            course("c-2", "Gone", "cyber")
        ]),
    );
    hub.json(&["withdraw", &format!("{scid}/c-2")]);
    let bundle = hub.file("world.ndjson.zst");
    let bundle = bundle.to_str().unwrap().to_owned();
    let exported = hub.json(&["bundle", "export", &bundle]);
    let held = hub.number("held");
    assert_eq!(exported["records"], held);
    let served = hub.get("/sync/v1/bundle");
    assert_eq!(served.status, 200);
    let (theirs, bytes) = (hub.holdings(), fs::read(&bundle).unwrap());
    let unpack = |bytes: &[u8]| zstd::decode_all(bytes).unwrap();
    assert_eq!(unpack(&served.body), unpack(&bytes));
    // Exported without a process it is the same file.
    hub.stop();
    let again = hub.file("again.ndjson.zst");
    hub.json(&["bundle", "export", again.to_str().unwrap()]);
    assert_eq!(unpack(&fs::read(&again).unwrap()), unpack(&bytes));

    let mut island = Node::make(&[]);
    let checked = island.json(&["bundle", "verify", &bundle]);
    assert_eq!(
        (&checked["verified"], &checked["authors"]),
        (&json!(held), &json!(3)),
        "{checked}"
    );
    island.run(&["verify", &bundle]).ok();
    let taken = island.json(&["bundle", "import", &bundle]);
    assert_eq!(
        (&taken["stored"], &taken["refused_count"]),
        (&json!(held), &json!(0)),
        "{taken}"
    );
    let taken = island.json(&["bundle", "import", &bundle]);
    assert_eq!(
        (&taken["stored"], &taken["held"]),
        (&json!(0), &json!(held)),
        "{taken}"
    );
    island.start();
    // The hub's own log is among what the island got, so only the island's own is left aside.
    let ours: Vec<String> = island.holdings().difference(&theirs).cloned().collect();
    assert!(
        ours.iter().all(|line| line.contains("versionId")),
        "{ours:?}"
    );
    assert_eq!(ours.len(), 1, "the hub's own key log");
    assert!(theirs.is_subset(&island.holdings()));
    island.until_found("q=portable", 1);
    assert_eq!(
        island.get(&format!("/api/v1/records/{scid}/c-2")).status,
        410
    );

    // One altered byte within does not pass.
    let text = String::from_utf8(unpack(&bytes)).unwrap();
    let altered = text.replacen("Portable", "portable", 1);
    assert_ne!(text, altered);
    let altered = island.write("altered.ndjson", altered);
    let ran = island.run(&["bundle", "verify", &altered, "--json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.json()["refused"].as_array().unwrap().len(),
        1,
        "{}",
        ran.out
    );
    let before = island.state_hash();
    let ran = island.run(&["bundle", "import", &altered, "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["refused_count"]),
        (1, &json!(1)),
        "{}",
        ran.out
    );
    assert_eq!(island.state_hash(), before);
    // Nor does a file that is cut.
    let cut = island.write("cut.zst", &bytes[..bytes.len() / 2]);
    island.run(&["bundle", "verify", &cut]).refused("");
}

#[test]
fn an_organisation_that_moves_keeps_its_identity_and_its_records() {
    let (old, mut new) = Node::pair();
    let scid = old.org("itu");
    old.publish(
        "itu",
        &json!([
            course("c-1", "Moved", "cyber"),
            course("c-2", "Gone", "cyber")
        ]),
    );
    old.json(&["withdraw", &format!("{scid}/c-2")]);
    // A host that takes nobody in refuses, and all stays as it was.
    new.stop();
    new.edit(
        "[hosting]\npolicy = \"open\"",
        "[hosting]\npolicy = \"closed\"",
    );
    new.start();
    let state = old.state_hash();
    old.run(&["org", "move", "itu", "--to", &new.url])
        .refused("hosts no organisations");
    assert_eq!(old.state_hash(), state);
    // Its keys are those that its log commits to still: it can sign and change as before.
    let rotated = old.json(&["org", "rotate", "itu"]);
    assert_eq!(rotated["signed"], 3, "{rotated}");
    let before = old.get(&format!("/api/v1/records/{scid}/c-1")).body;
    old.run(&["org", "move", "itu", "--to", "http://127.0.0.1:1"])
        .refused("");
    new.stop();
    new.host_anyone();
    new.start();

    let moved = old.json(&["org", "move", "itu", "--to", &new.url]);
    assert_eq!(moved["scid"], scid.as_str());
    assert_eq!(moved["records"], 3, "{moved}");
    assert_ne!(moved["did"], moved["formerly"]);
    assert_eq!(new.get(&format!("/api/v1/records/{scid}/c-1")).body, before);
    assert_eq!(new.get(&format!("/api/v1/records/{scid}/c-2")).status, 410);
    new.until_found("q=moved", 1);
    let log = new.get("/orgs/itu/did.jsonl");
    assert_eq!((log.status, log.text().lines().count()), (200, 3));
    assert!(log.text().contains(moved["formerly"].as_str().unwrap()));
    assert_eq!(
        old.get("/orgs/itu/did.jsonl").status,
        404,
        "it is no longer at home here"
    );
    let at_old = client::get(&old.url, "/api/v1/organizations").json();
    let at_old = at_old["items"].as_array().unwrap().clone();
    let itu = at_old
        .iter()
        .find(|item| item["id"] == scid.as_str())
        .unwrap();
    assert_eq!(itu["did"], moved["did"]);
    // Whoever meets the old record afterwards still believes it.
    let file = new.write("record.json", &before);
    new.run(&["verify", &file]).ok();
}

#[test]
fn sync_answers_are_small_on_the_wire_for_who_takes_zstd() {
    let (hub, follower) = Node::pair();
    let scid = hub.org("itu");
    let file = hub.write("rows.csv", rows(300));
    let set = ["--set", "kind=course", "--set", "language=en"];
    hub.json(&[&["import", &file, "--org", "itu"][..], &set].concat());
    let take = |method: &str, path: &str, body: &[u8], encoding: &str| {
        let headers = [
            ("accept-encoding", encoding),
            ("content-type", "application/json"),
        ];
        let answer = client::request(&hub.url, method, path, &headers, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    let ids: Vec<String> = hub
        .holdings()
        .iter()
        .filter_map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            Some(format!("{scid}/{}", record["localId"].as_str()?))
        })
        .collect();
    assert!(ids.len() > 300);
    let want = json!({ "want": ids }).to_string();
    for (method, path, body) in [
        ("GET", "/sync/v1/changes", ""),
        ("POST", "/sync/v1/fetch", want.as_str()),
    ] {
        let plain = take(method, path, body.as_bytes(), "identity");
        assert_eq!(plain.header("content-encoding"), None);
        let packed = take(method, path, body.as_bytes(), "zstd");
        assert_eq!(packed.header("content-encoding"), Some("zstd"), "{path}");
        let vary = packed.header("vary").unwrap();
        assert!(vary.contains("accept-encoding"), "{vary}");
        let unpacked = zstd::decode_all(&packed.body[..]).unwrap();
        assert_eq!(unpacked, plain.body, "{path}");
        println!(
            "{path}: {} bytes, {} with zstd",
            plain.body.len(),
            packed.body.len()
        );
        assert!(packed.body.len() * 3 < plain.body.len(), "{path}");
    }
    // A follower asks for it and reads it.
    follower.befriend(&hub);
    follower.until_equal(&hub);
}

#[test]
fn what_is_fetched_comes_once_each_in_order_while_it_is_read() {
    let hub = Node::hosting(&[]);
    let author = Author::hosted(&hub.url);
    let large = "Large ".repeat(2_500);
    let records: Vec<Vec<u8>> = (0..60)
        .map(|n| {
            let mut tree = author.offering(&format!("r-{n:02}"), 1, "Large");
            let text = json!({"en": large, "fr": large, "es": large});
            tree["body"]["description"] = text;
            author.sign(tree)
        })
        .collect();
    for record in &records {
        assert_eq!(hand_in(&hub.url, record).status, 201);
    }
    let ids: Vec<String> = records
        .iter()
        .map(|record| VersionHash::of(record).to_string())
        .collect();
    let mut want = ids.clone();
    want.extend(ids.iter().cloned());
    want.push(author.scid());
    want.push("nothing".to_owned());
    let body = json!({ "want": want }).to_string();
    let answer = client::post(&hub.url, "/sync/v1/fetch", body.as_bytes());
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-length"),
        None,
        "it is not whole in memory"
    );
    let lines: Vec<&[u8]> = answer.body.split(|byte| *byte == b'\n').collect();
    assert_eq!(
        lines.len(),
        records.len() + 2,
        "the log and the last line's end"
    );
    for (line, record) in lines.iter().zip(&records) {
        assert_eq!(*line, given_line(record));
    }
    println!("{} bytes", answer.body.len());
    // Who asks for much and goes away leaves nothing behind: the node goes on.
    for _ in 0..200 {
        let mut stream = client::connect(&hub.url).unwrap();
        use std::io::Write as _;
        let host = client::authority(&hub.url);
        write!(
            stream,
            "POST /sync/v1/fetch HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    }
    assert_eq!(
        client::post(&hub.url, "/sync/v1/fetch", body.as_bytes()).body,
        answer.body
    );
}

#[test]
fn a_key_log_at_its_limit_is_handed_in_and_travels_and_one_beyond_is_refused() {
    let (follower, hub) = Node::pair();
    let mut author = Author::at(&hub.url);
    // A line of more than half of it, and the rest.
    author.grow(700_000);
    author.grow(LOG_BYTES_MAX - author.log_bytes());
    assert_eq!(author.log_bytes(), LOG_BYTES_MAX);
    let overfull = [author.log.join(&b'\n'), author.overfull_entry()].join(&b'\n');
    let path = format!("/api/v1/organizations/{}/log", author.scid());
    let refused = client::post(&hub.url, &path, &overfull);
    assert_eq!((refused.status, refused.code().as_str()), (422, "bad-log"));
    assert!(refused.text().contains("larger than"), "{}", refused.text());
    let endless = vec![b'\n'; LOG_BODY_BYTES_MAX + 1];
    let refused = client::post(&hub.url, &path, &endless);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (413, "too-large")
    );

    let answer = author.hand_log_to(&hub.url);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let record = author.record("under-a-long-log", 1, "Under a long log");
    assert_eq!(hand_in(&hub.url, &record).status, 201);
    let served = format!("/api/v1/organizations/{}/did.jsonl", author.scid());
    let whole = author.log.join(&b'\n');
    assert_eq!(hub.get(&served).text().trim_end().as_bytes(), whole);
    follower.befriend(&hub);
    until("the record is at the follower", || {
        (follower.get(&author.path("under-a-long-log")).status == 200).then_some(())
    });
    assert_eq!(follower.get(&served).text().trim_end().as_bytes(), whole);
    assert_eq!(follower.number("refused"), 0);
    // In a bundle, too.
    let file = hub.file("bundle");
    hub.json(&["bundle", "export", file.to_str().unwrap()]);
    let other = Node::running(&[]);
    other.json(&["bundle", "import", file.to_str().unwrap()]);
    assert_eq!(other.get(&author.path("under-a-long-log")).body, record);
}
