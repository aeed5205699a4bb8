//! A backup is a whole node in one file, and a node that was made of one does no harm.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use protocol::id::{EntryHash, VersionHash};
use protocol::sync::Line;
use serde_json::{Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::client;
use crate::support::node::{Node, baraza, port};
use crate::support::{now, until};

fn course(local: &str, name: &str) -> Value {
    json!({
        "type": "Offering", "localId": local,
        "body": {"kind": "course", "name": {"en": name}},
    })
}

/// Since 1970, as the numbers that follow a restore.
fn seconds() -> u64 {
    now().unix_seconds().unsigned_abs()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Puts a node that was made of a backup in the place of another, which is gone.
fn replace(node: &mut Node, backup: &Path) -> Value {
    fs::remove_dir_all(node.dir()).unwrap();
    node.json(&["restore", path(backup)])
}

/// Every file below a folder, and when each was changed last.
fn content(folder: &Path) -> BTreeMap<String, (i64, i64, u64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::metadata(&path).unwrap();
        found.insert(
            path.display().to_string(),
            (about.mtime(), about.mtime_nsec(), about.len()),
        );
        if about.is_dir() {
            let entries = fs::read_dir(path).unwrap();
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn d13_fifty_damaged_backups_are_refused_and_no_folder_is_touched() {
    let node = Node::make(&[]);
    node.org("itu");
    let drafts: Vec<Value> = (0..200)
        .map(|n| course(&format!("c-{n}"), &format!("Course {n}")))
        .collect();
    node.publish("itu", &json!(drafts));
    let file = node.file("whole");
    node.json(&["backup", path(&file)]);
    let whole = fs::read(&file).unwrap();
    let length = whole.len();
    let lines: Vec<usize> = (0..length)
        .filter(|at| whole[*at] == b'\n')
        .take(2)
        .collect();
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    // Cut off: at nothing, within the first lines, at their ends, within the rows, in the digest.
    let cuts = [
        0,
        1,
        13,
        15,
        16,
        17,
        lines[1],
        lines[1] + 1,
        lines[1] + 5,
        length / 3,
        length / 2,
    ];
    let cuts = cuts
        .into_iter()
        .chain([length - 33, length - 32, length - 31, length - 1]);
    for at in cuts {
        damaged.push((format!("cut at {at}"), whole[..at].to_vec()));
    }
    // One bit turned: in the name of the form, its number, the manifest, the first and last rows, the digest.
    let mut flips = vec![
        0,
        14,
        15,
        16,
        40,
        lines[1],
        lines[1] + 1,
        lines[1] + 9,
        length - 40,
    ];
    flips.extend([length - 33, length - 32, length - 1]);
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    while damaged.len() + flips.len() < 46 {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        flips.push((chance >> 33) as usize % length);
    }
    for (at, bit) in flips.into_iter().zip((0..8).cycle()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        damaged.push((format!("bit {bit} of byte {at} turned"), bytes));
    }
    // Longer than it was, another's digest, a form of later, something else.
    damaged.push(("longer".to_owned(), [&whole[..], b"x"].concat()));
    let mut digest = whole.clone();
    digest[length - 32..].fill(7);
    damaged.push(("another digest".to_owned(), digest));
    let newer = [b"baraza-backup 2\n", &whole[16..]].concat();
    damaged.push(("newer".to_owned(), newer));
    damaged.push(("none".to_owned(), b"PK\x03\x04".repeat(100)));
    assert_eq!(damaged.len(), 50);

    let target = node.file("target");
    fs::create_dir(&target).unwrap();
    let before = content(&target);
    let parent = content(node.dir().parent().unwrap()).len();
    for (what, bytes) in &damaged {
        let file = node.file("damaged");
        fs::write(&file, bytes).unwrap();
        for dir in [&target, &node.file("not-there")] {
            let ran = baraza(&["restore", path(&file), "--dir", path(dir)]);
            assert_eq!(ran.code, 1, "{what}: {} {}", ran.out, ran.err);
            assert!(ran.err.contains(path(&file)), "{what}: {}", ran.err);
        }
        assert_eq!(content(&target), before, "{what}");
    }
    assert!(!node.file("not-there").exists());
    // One more file than before, the damaged one, and nothing left beside.
    assert_eq!(content(node.dir().parent().unwrap()).len(), parent + 1);
    let newer = node.write("newer", [b"baraza-backup 2\n", &whole[16..]].concat());
    baraza(&["restore", &newer, "--dir", path(&target)]).refused("install the newer release");
    // The whole one is taken by the same folder.
    baraza(&["restore", path(&file), "--dir", path(&target)]).ok();
}

#[test]
fn a_folder_with_something_in_it_is_never_restored_into() {
    let node = Node::make(&[]);
    let file = node.file("backup");
    node.json(&["backup", path(&file)]);
    let before = content(&node.dir());
    node.run(&["restore", path(&file)]).refused("is not empty");
    assert_eq!(content(&node.dir()), before);
    baraza(&["restore", path(&node.file("none")), "--dir", "x"]).refused("none");
    assert_eq!(baraza(&["restore"]).code, 2);
}

#[test]
fn a_backup_can_be_read_by_its_owner_only_and_replaces_an_earlier_one_whole() {
    let mut node = Node::make(&[]);
    node.org("itu");
    let file = node.file("backup");
    let first = node.json(&["backup", path(&file)]);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(first["includes"], "all");
    assert_eq!(first["bytes"], fs::metadata(&file).unwrap().len());
    node.start();
    assert_eq!(first["stateHash"], node.state_hash());
    node.publish("itu", &course("c-1", "Course"));
    let second = node.json(&["backup", path(&file)]);
    assert_eq!(second["stateHash"], node.state_hash());
    assert_ne!(first["stateHash"], second["stateHash"]);
    // A place that cannot be written is named, and the earlier backup stays.
    let kept = fs::read(&file).unwrap();
    let nowhere = node.file("nowhere/backup");
    node.run(&["backup", path(&nowhere)]).refused("nowhere");
    assert_eq!(fs::read(&file).unwrap(), kept);
    let beside = fs::read_dir(file.parent().unwrap()).unwrap();
    let left: Vec<_> = beside
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The state hash of what a node had when its log had come to `last`, from what it tells others.
fn state_at(node: &Node, last: u64) -> String {
    let mut heads = BTreeMap::new();
    let mut digests = Vec::new();
    let mut since = String::new();
    loop {
        let page = node
            .get(&format!("/sync/v1/changes?limit=1000{since}"))
            .text();
        let mut rows = 0;
        for line in page.lines() {
            let (line, cursor) = Line::read(line.as_bytes()).unwrap();
            let cursor = cursor.unwrap();
            since = format!("&since={cursor}");
            if line != Line::End {
                rows += 1;
            }
            if cursor.number > last {
                continue;
            }
            match line {
                Line::Record { record } => {
                    digests.push(*VersionHash::of(record.as_bytes()).as_digest());
                }
                Line::Log { scid, entry, .. } => {
                    let entry: Value = serde_json::from_str(entry).unwrap();
                    let version = entry["versionId"].as_str().unwrap();
                    let (_, hash) = version.split_once('-').unwrap();
                    heads.insert(scid, *EntryHash::parse(hash).unwrap().as_digest());
                }
                _ => {}
            }
        }
        if rows == 0 {
            digests.extend(heads.into_values());
            digests.sort_unstable();
            return VersionHash::of(&digests.concat()).to_string();
        }
    }
}

#[test]
fn d12_a_backup_taken_under_load_restores_to_the_state_of_a_moment_within() {
    let node = Node::hosting(&[]);
    let authors: Vec<Author> = (0..4).map(|_| Author::hosted(&node.url)).collect();
    let is_over = AtomicBool::new(false);
    let acknowledged = AtomicU64::new(0);
    let url = node.url.clone();
    let taken: Vec<(u64, u64, Value)> = std::thread::scope(|scope| {
        for author in &authors {
            let (url, is_over, acknowledged) = (&url, &is_over, &acknowledged);
            scope.spawn(move || {
                for n in 0.. {
                    if is_over.load(SeqCst) {
                        return;
                    }
                    let record = author.record(&format!("r-{n}"), 1, "Load");
                    let answer = client::try_request(url, "POST", "/api/v1/records", &[], &record);
                    assert_eq!(answer.map(|answer| answer.status), Some(201));
                    acknowledged.fetch_add(1, SeqCst);
                }
            });
        }
        let more = |than: u64| {
            until("there is load", || {
                (acknowledged.load(SeqCst) > than).then_some(())
            });
        };
        more(200);
        let taken = (0..5).map(|n| {
            let first = acknowledged.load(SeqCst);
            let taken = node.json(&["backup", path(&node.file(&format!("backup-{n}")))]);
            let last = acknowledged.load(SeqCst);
            more(last + 20);
            (first, last, taken)
        });
        let taken = taken.collect();
        is_over.store(true, SeqCst);
        taken
    });
    let mut states = std::collections::BTreeSet::new();
    for (n, (first, last, taken)) in taken.iter().enumerate() {
        // All that was acknowledged before is in it; of what came during, a part: 4 may be under way.
        let held = taken["held"].as_u64().unwrap();
        assert!(*first <= held && held <= last + 4, "{first} {held} {last}");
        let moment = state_at(&node, taken["lastChange"].as_u64().unwrap());
        assert_eq!(taken["stateHash"], moment);
        let dir = node.file(&format!("restored-{n}"));
        let file = node.file(&format!("backup-{n}"));
        let restored = baraza(&["restore", path(&file), "--dir", path(&dir), "--json"]);
        assert_eq!(restored.ok().json()["stateHash"], moment);
        states.insert(moment);
        println!("{first} acknowledged before, {last} after, {held} in the backup");
    }
    assert_eq!(states.len(), 5);
    assert!(
        taken.iter().any(|(first, last, _)| first < last),
        "nothing was written during any backup"
    );
}

#[test]
fn a_restored_node_publishes_nothing_until_a_peer_told_what_it_had_and_then_no_number_twice() {
    let ports = [port(), port()];
    let mut hub = Node::make_on(ports[0], &ports);
    let mut peer = Node::make_on(ports[1], &ports);
    hub.start();
    peer.start();
    let scid = hub.org("itu");
    hub.befriend(&peer);
    for n in 0..3 {
        hub.publish("itu", &course(&format!("c-{n}"), "Before"));
    }
    let file = hub.file("backup");
    let taken = hub.json(&["backup", path(&file)]);
    // What the backup does not know: later versions, a new record, and one that was withdrawn.
    for n in 1..=5 {
        let said = hub.publish("itu", &course("c-0", &format!("After {n}")));
        assert_eq!(said["seq"], n + 1);
    }
    hub.publish("itu", &course("new", "New"));
    hub.json(&["withdraw", &format!("{scid}/c-1")]);
    peer.until_equal(&hub);
    let whole = peer.state_hash();
    let epoch = hub.census()["epoch"].clone();
    let since = seconds();
    hub.kill();
    peer.stop();

    let restored = replace(&mut hub, &file);
    assert_eq!(restored["stateHash"], taken["stateHash"]);
    assert_ne!(restored["newEpoch"], epoch);
    hub.start();
    assert_eq!(hub.census()["epoch"], restored["newEpoch"]);
    assert_eq!(hub.census()["publishes"], false);
    // Whatever is signed in the name of anyone here is refused, with what to do about it.
    let draft = hub.write("draft.json", course("c-0", "Too early").to_string());
    let early: [&[&str]; 5] = [
        &["publish", &draft, "--org", "itu"],
        &["withdraw", &format!("{scid}/c-0")],
        &["org", "rotate", "itu"],
        &["org", "add", "other", "--name", "Other"],
        &["org", "member", "itu"],
    ];
    let before = hub.state_hash();
    for command in early {
        hub.run(command).refused("baraza reconcile");
    }
    // Nobody answers.
    hub.run(&["reconcile"]).refused("still publishes nothing");
    assert_eq!(hub.state_hash(), before);
    // A restart changes nothing of that.
    hub.stop();
    hub.start();
    hub.run(early[0]).refused("baraza reconcile");

    peer.start();
    until("the restored node publishes again", || {
        (hub.census()["publishes"] == true).then_some(())
    });
    peer.until_equal(&hub);
    assert_eq!(
        hub.state_hash(),
        whole,
        "nothing is lost, and nothing came back"
    );
    assert_eq!(hub.get(&format!("/api/v1/records/{scid}/c-1")).status, 410);
    let seq = |local: &str, name: &str| {
        let said = hub.publish("itu", &course(local, name));
        said["seq"].as_u64().unwrap()
    };
    let again = seq("c-0", "Again");
    assert!(again >= since, "{again}");
    assert_eq!(seq("c-0", "And again"), again + 1);
    let other = seq("c-2", "Again");
    assert!(other >= since, "{other}");
    assert!(seq("never", "Published before") >= since);
    let many = json!([course("new", "Once more"), course("c-2", "Once more")]);
    let said = hub.publish("itu", &many);
    assert!(said[0]["seq"].as_u64() >= Some(since), "{said}");
    assert_eq!(said[1]["seq"], other + 1);
    // An import goes the same way, by its journal.
    let rows = hub.write(
        "rows.csv",
        "id,title,url\nc-2,Imported,https://a.example/\n",
    );
    hub.json(&[
        "import",
        &rows,
        "--org",
        "itu",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ]);
    assert_eq!(seq("c-2", "After the import"), other + 3);
    peer.until_equal(&hub);
}

#[test]
fn a_restored_node_without_peers_publishes_once_its_operator_says_that_it_is_alone() {
    for by_command in [true, false] {
        let mut node = Node::running(&[]);
        node.org("itu");
        node.publish("itu", &course("c-0", "Before"));
        let file = node.file("backup");
        node.json(&["backup", path(&file)]);
        assert_eq!(node.publish("itu", &course("c-0", "After"))["seq"], 2);
        let since = seconds();
        node.stop();
        replace(&mut node, &file);
        let draft = node.write("draft.json", course("c-0", "Again").to_string());
        let publish = ["publish", &draft, "--org", "itu"];
        node.run(&publish).refused("publishes nothing yet");
        node.run(&["reconcile"]).refused("--alone");
        if by_command {
            assert_eq!(node.json(&["reconcile", "--alone"])["publishes"], true);
        } else {
            node.start_with(&["--alone"]);
        }
        let seq = node.json(&publish)["seq"].as_u64();
        assert!(seq >= Some(since), "{seq:?}");
        assert_eq!(node.json(&["reconcile"])["publishes"], true);
    }
}

#[test]
fn an_own_backup_has_what_is_at_home_here_and_fetches_the_rest_again() {
    let (hub, mut node) = Node::pair();
    hub.org("other");
    let drafts: Vec<Value> = (0..50)
        .map(|n| course(&format!("c-{n}"), "Foreign"))
        .collect();
    hub.publish("other", &json!(drafts));
    node.org("itu");
    node.publish("itu", &course("own", "Our own"));
    let guest = Author::hosted(&node.url);
    assert_eq!(
        crate::support::author::hand_in(&node.url, &guest.record("g", 1, "A guest's")).status,
        201
    );
    node.befriend(&hub);
    node.until_equal(&hub);
    let whole = node.state_hash();
    let (all, own) = (node.file("all"), node.file("own"));
    assert_eq!(node.json(&["backup", path(&all)])["stateHash"], whole);
    let taken = node.json(&["backup", "--own", path(&own)]);
    assert_eq!(taken["includes"], "own");
    // The node itself, the organisation and the guest; a profile, a course and the guest's.
    assert_eq!((&taken["authors"], &taken["held"]), (&json!(3), &json!(3)));
    node.stop();
    assert_eq!(replace(&mut node, &own)["stateHash"], taken["stateHash"]);
    node.start();
    node.until_equal(&hub);
    assert_eq!(node.state_hash(), whole);
    node.until_found("q=foreign&limit=100", 50);
}

#[test]
fn k18_of_two_nodes_with_one_key_the_one_that_hears_of_the_other_stops_publishing() {
    let ports = [port(), port()];
    let mut hub = Node::make_on(ports[0], &ports);
    let mut peer = Node::make_on(ports[1], &ports);
    hub.start();
    peer.start();
    hub.org("itu");
    hub.publish("itu", &course("c-0", "Before"));
    hub.befriend(&peer);
    peer.until_equal(&hub);
    let file = hub.file("backup");
    hub.json(&["backup", path(&file)]);
    let since = seconds();
    let second = hub.file("second");
    let on_second = |arguments: &[&str]| {
        let all = [arguments, &["--dir", path(&second), "--json"]].concat();
        baraza(&all).ok().json()
    };
    on_second(&["restore", path(&file)]);
    on_second(&["reconcile", "--alone"]);
    let draft = hub.write("draft.json", course("c-0", "By the second").to_string());
    let said = on_second(&["publish", &draft, "--org", "itu"]);
    let of_second = said["seq"].as_u64();
    assert!(of_second >= Some(since), "{said}");
    // What the first one publishes itself, and what comes back of it, is no reason to stop.
    hub.publish("itu", &course("c-1", "By the first"));
    peer.until_equal(&hub);
    hub.json(&["sync"]);
    assert_eq!(hub.census()["publishes"], true);
    let bundle = hub.file("second.zst");
    on_second(&["bundle", "export", path(&bundle)]);
    peer.json(&["bundle", "import", path(&bundle)]);
    until("the first one has heard of the second", || {
        (hub.census()["publishes"] == false).then_some(())
    });
    assert!(
        hub.log().contains("another node runs with the same keys"),
        "{}",
        hub.log()
    );
    let own = hub.write("own.json", course("c-1", "Again").to_string());
    hub.run(&["publish", &own, "--org", "itu"])
        .refused("stop it first");
    let told = hub.run(&["doctor"]).refused("SERIOUS");
    assert!(told.out.contains("same keys"), "{}", told.out);
    // It does not go on by itself, not even after a restart.
    hub.stop();
    hub.start();
    hub.json(&["sync"]);
    assert_eq!(hub.census()["publishes"], false);
    assert_eq!(hub.json(&["reconcile"])["publishes"], true);
    let said = hub.json(&["publish", &own, "--org", "itu"]);
    assert!(said["seq"].as_u64() >= Some(since), "{said}");
    let again = hub.write(
        "again.json",
        course("c-0", "By the first again").to_string(),
    );
    let said = hub.json(&["publish", &again, "--org", "itu"]);
    assert!(said["seq"].as_u64() > of_second, "{said}");
    peer.until_equal(&hub);
    assert_eq!(hub.census()["publishes"], true);
}

#[test]
fn a_store_that_was_compacted_under_a_running_node_holds_the_same_after_a_kill() {
    let mut node = Node::make(&[]);
    node.host_anyone();
    node.start();
    let author = Author::hosted(&node.url);
    for n in 0..50 {
        let record = author.record(&format!("r-{n}"), 1, "A course");
        assert_eq!(hand_in(&node.url, &record).status, 201);
    }
    let state = node.state_hash();
    let done = node.json(&["compact"]);
    let bytes = |member: &str| done[member].as_u64().unwrap();
    assert!(bytes("after") <= bytes("before"), "{done}");
    assert_eq!(node.state_hash(), state);
    let after = author.record("after", 1, "Another");
    assert_eq!(hand_in(&node.url, &after).status, 201);
    let state = node.state_hash();
    node.kill();
    node.start();
    assert_eq!(node.state_hash(), state);
    assert_eq!(node.get(&author.path("after")).status, 200);
}
