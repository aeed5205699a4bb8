//! Rows D and K17: broken folders, killed processes, and a stop under load.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::json;

use crate::support::author::Author;
use crate::support::client;
use crate::support::node::Node;
use crate::support::{PATIENCE, started, until};

/// Every file below a folder, with its content.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            files.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn d07_a_store_that_is_missing_or_no_folder_or_read_only_is_refused_by_name() {
    let mut node = Node::make(&[]);
    let store = node.dir().join("data/store");
    let aside = node.file("aside");
    fs::rename(&store, &aside).unwrap();
    node.start_refused()
        .refused("data/store cannot be used: it is missing");
    assert!(!store.exists(), "an empty store must not take its place");
    node.run(&["search", "x"]).refused("it is missing");
    fs::write(&store, "a file").unwrap();
    node.start_refused().refused("data/store cannot be used");
    fs::remove_file(&store).unwrap();
    // Nobody, not even the superuser, makes files there.
    symlink("/proc/self", &store).unwrap();
    node.start_refused().refused("data/store cannot be used");
    fs::remove_file(&store).unwrap();
    fs::rename(&aside, &store).unwrap();
    node.start();
    node.stop();
}

#[test]
fn d08_a_second_process_on_one_folder_is_refused_and_the_first_goes_on() {
    let mut node = Node::running(&[]);
    node.org("itu");
    let before = node.state_hash();
    node.start_refused().refused("in use by another process");
    assert_eq!(node.state_hash(), before);
    // The first one's commands still find it.
    node.org("diplo");
    assert_eq!(node.json(&["org", "list"])["total"], 3);
    assert_ne!(node.state_hash(), before);
    // Another node on the same port is told so too.
    let mut other = Node::make_on(node.port, &[]);
    other.start_refused().refused("cannot listen on");
    node.stop();
    // What a killed process left behind stands in nobody's way.
    node.start();
    node.kill();
    assert!(node.dir().join("control.sock").exists());
    assert_eq!(node.json(&["org", "list"])["total"], 3);
    node.start();
    assert_eq!(node.json(&["org", "list"])["total"], 3);
}

#[test]
fn d09_an_index_that_is_deleted_or_damaged_is_made_anew_and_finds_the_same() {
    let mut node = Node::running(&[]);
    node.org("itu");
    let drafts: Vec<_> = (0..20)
        .map(|n| json!({"type": "Offering", "localId": format!("c-{n}"), "body": {"kind": "course", "name": {"en": format!("Course {n}")}}}))
        .collect();
    node.publish("itu", &json!(drafts));
    let found = node.until_found("q=course&sort=id&limit=100", 20);
    node.stop();
    let index = node.dir().join("data/index");
    fs::remove_dir_all(&index).unwrap();
    node.start();
    assert_eq!(node.until_found("q=course&sort=id&limit=100", 20), found);
    node.stop();
    // By what a file's name ends in: an index made anew has other names.
    let ending = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let endings: BTreeSet<String> = content(&index)
        .iter()
        .filter(|(_, bytes)| bytes.len() > 8)
        .map(|(path, _)| ending(path))
        .collect();
    assert!(endings.len() >= 6, "{endings:?}");
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    for wanted in endings {
        for damage in [&cut as &dyn Fn(&mut Vec<u8>), &flip] {
            let files = content(&index);
            let file = files.into_iter().find(|(path, _)| ending(path) == wanted);
            let (file, mut bytes) = file.unwrap_or_else(|| panic!("no .{wanted}"));
            damage(&mut bytes);
            fs::write(&file, &bytes).unwrap();
            let again = node.json(&["search", "course", "--limit", "100"]);
            let items = again["items"].as_array().unwrap().iter();
            let mut ids: Vec<&str> = items.map(|item| item["id"].as_str().unwrap()).collect();
            ids.sort_unstable();
            let mut right = found.clone();
            right.sort();
            assert_eq!(ids, right, "{file}");
        }
    }
    node.start();
    assert_eq!(node.until_found("q=course&sort=id&limit=100", 20), found);
    node.stop();
    fs::write(index.join("meta.json"), "{}").unwrap();
    node.start();
    assert_eq!(node.until_found("q=course&sort=id&limit=100", 20), found);
}

#[test]
fn d11_a_store_of_a_newer_release_is_refused_and_not_touched() {
    let mut node = Node::make(&[]);
    let store = node.dir().join("data/store");
    let form = store.join("form");
    let known = fs::read_to_string(&form).unwrap();
    fs::write(&form, "999\n").unwrap();
    let before = content(&store);
    node.start_refused().refused("install the newer release");
    node.run(&["search", "x"]).refused("999");
    assert_eq!(content(&store), before);
    fs::write(&form, known).unwrap();
    node.start();
}

#[test]
fn k17_keys_that_others_can_read_stop_the_node_from_starting() {
    let mut node = Node::make(&[]);
    node.org("itu");
    let keys = node.dir().join("keys");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&keys).unwrap() {
        let key = entry.unwrap().path();
        assert_eq!(mode(&key), 0o600, "{}", key.display());
        for wrong in [0o644, 0o660, 0o601] {
            fs::set_permissions(&key, fs::Permissions::from_mode(wrong)).unwrap();
            let refused = node.start_refused().refused("can be read by others");
            assert!(
                refused.err.contains(key.to_str().unwrap()),
                "{}",
                refused.err
            );
            assert!(refused.err.contains("chmod 600"), "{}", refused.err);
        }
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        files += 1;
    }
    assert!(files >= 6, "{files} files");
    node.start();
    assert_eq!(mode(&node.dir().join("control.sock")), 0o600);
}

#[test]
fn a_rotation_that_is_killed_leaves_every_record_counted_and_the_keys_in_force() {
    const COURSES: u64 = 400;
    let mut node = Node::make(&[]);
    node.org("itu");
    let drafts: Vec<_> = (0..COURSES)
        .map(|n| json!({"type": "Offering", "localId": format!("c-{n}"), "body": {"kind": "course", "name": {"en": format!("Course {n}")}}}))
        .collect();
    node.publish("itu", &json!(drafts));
    let start = started();
    assert_eq!(node.json(&["org", "rotate", "itu"])["signed"], COURSES + 1);
    let whole = start.elapsed();
    let mut killed = 0;
    for step in 1..=20 {
        let mut process = node.begin(&["org", "rotate", "itu"]);
        // The moment is chosen by the clock because any moment must do.
        std::thread::sleep(whole * step / 12);
        killed += u32::from(process.try_wait().unwrap().is_none());
        process.kill().unwrap();
        process.wait().unwrap();
        let found = node.json(&["search", "--type", "Offering"]);
        assert_eq!(found["total"], COURSES, "after step {step}");
        let revised = json!({"type": "Offering", "localId": "c-0", "body": {"kind": "course", "name": {"en": format!("Course 0, revision {step}")}}});
        assert_eq!(node.publish("itu", &revised)["outcome"], "changed");
    }
    println!("killed {killed} times within {whole:?}");
    assert!(killed >= 4, "killed {killed} times");
    node.json(&["org", "rotate", "itu"]);
    node.start();
    assert_eq!(node.number("records"), COURSES + 1);
}

/// Hands records in from several threads while `end` ends the process; gives what was acknowledged.
fn load(
    node: &mut Node,
    author: &Author,
    round: usize,
    end: impl FnOnce(&mut Node),
) -> Vec<String> {
    let is_over = AtomicBool::new(false);
    let is_warm = AtomicBool::new(false);
    let url = node.url.clone();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (url, is_over, is_warm) = (&url, &is_over, &is_warm);
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for n in 0.. {
                        if is_over.load(SeqCst) {
                            break;
                        }
                        let local = format!("r-{round}-{thread}-{n}");
                        let record = author.record(&local, 1, "Load");
                        let answer =
                            client::try_request(url, "POST", "/api/v1/records", &[], &record);
                        match answer {
                            Some(answer) if answer.status == 201 => kept.push(local),
                            Some(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                            None => {}
                        }
                        if kept.len() >= 10 {
                            is_warm.store(true, SeqCst);
                        }
                    }
                    kept
                })
            })
            .collect();
        until("there is load", || is_warm.load(SeqCst).then_some(()));
        end(node);
        is_over.store(true, SeqCst);
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn assert_kept(node: &Node, author: &Author, kept: &[String]) {
    assert!(kept.len() >= 10, "{}", kept.len());
    for local in kept {
        let read = node.get(&author.path(local));
        assert_eq!(read.status, 200, "{local} was acknowledged");
    }
}

#[test]
fn d16_a_stop_under_load_ends_well_and_loses_nothing_that_was_acknowledged() {
    let mut node = Node::hosting(&[]);
    let author = Author::hosted(&node.url);
    // Someone waits for news, and someone has sent half a request.
    let mut waiting = client::connect(&node.url).unwrap();
    let mut half = client::connect(&node.url).unwrap();
    use std::io::Write as _;
    let host = client::authority(&node.url).to_owned();
    write!(
        waiting,
        "GET /sync/v1/changes?wait=30&since= HTTP/1.1\r\nhost: {host}\r\n\r\n"
    )
    .unwrap();
    write!(
        half,
        "POST /api/v1/records HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100\r\n\r\n{{"
    )
    .unwrap();
    let kept = load(&mut node, &author, 0, |node| {
        node.terminate();
        let start = started();
        let status = node.ended();
        assert!(status.success(), "{status}: {}", node.log());
        println!(
            "stopped under load within {:.1} s",
            start.elapsed().as_secs_f64()
        );
        assert!(start.elapsed().as_secs() < 30);
    });
    node.start();
    assert_kept(&node, &author, &kept);
    assert!(PATIENCE.as_secs() > 30);
}

#[test]
fn d01_a_killed_node_has_every_record_that_it_acknowledged() {
    let mut node = Node::hosting(&[]);
    let author = Author::hosted(&node.url);
    for round in 0..3 {
        let kept = load(&mut node, &author, round, Node::kill);
        node.start();
        assert_kept(&node, &author, &kept);
        println!("round {round}: {} acknowledged, none lost", kept.len());
    }
}

#[test]
fn d03_a_node_that_was_killed_says_so_at_its_next_start_and_one_that_was_stopped_does_not() {
    let mut node = Node::running(&[]);
    let says_so = |node: &Node| node.log().matches("not closed in order").count();
    node.stop();
    node.start();
    assert_eq!(says_so(&node), 0, "{}", node.log());
    node.kill();
    node.start();
    assert_eq!(says_so(&node), 1, "{}", node.log());
    node.stop();
    node.start();
    assert_eq!(says_so(&node), 1, "{}", node.log());
}
