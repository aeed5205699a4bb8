//! The programs in `examples/` do what they say, against nodes that run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::author::new_handle;
use crate::support::node::{Node, Ran, port};
use crate::support::sources;

/// Where the examples are, built once.
fn examples() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // …/TARGET/PROFILE/deps/it-0123
        let own = std::env::current_exe().unwrap();
        let profile = own.parent().and_then(Path::parent).unwrap();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        build
            .args(["build", "--quiet", "--locked", "--examples"])
            .args(["--package", "baraza-examples", "--target-dir"])
            .arg(profile.parent().unwrap())
            .current_dir(sources());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "they do not build");
        profile.join("examples")
    })
}

fn example(name: &str, arguments: &[&str]) -> Ran {
    let run = Command::new(examples().join(name))
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    Ran::of(run.unwrap())
}

#[test]
fn what_one_of_two_nodes_publishes_is_found_on_the_other() {
    // The second port is the one after the first.
    let first = loop {
        let [first, second] = [port(), port()];
        if second == first + 1 {
            break first;
        }
    };
    let ran = example("run_two_nodes", &[&first.to_string()]).ok();
    assert!(
        ran.out.contains("found    \"Introduction to welding\""),
        "{}",
        ran.out
    );
}

#[test]
fn a_laptop_publishes_through_a_node_and_a_third_party_verifies_it_without_trusting_that_node() {
    let node = Node::hosting(&[]);
    let handle = new_handle();
    let ran = example("publish_from_a_laptop", &[&node.url, &handle]).ok();
    let id = ran
        .out
        .lines()
        .find_map(|line| line.strip_prefix("record   "));
    let id = id.unwrap_or_else(|| panic!("{}", ran.out)).to_owned();
    node.until_found("q=reef", 1);

    let ran = example("read_a_node", &[&node.url, &id]).ok();
    for said in ["1 entries verify", "verified, version", "Surveying a reef"] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    // What was never signed is not believed, and what is not there is said to be not there.
    let other = format!("{}/never", id.split_once('/').unwrap().0);
    let ran = example("read_a_node", &[&node.url, &other]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("404"), "{}", ran.err);
    // A node that takes nobody in says so.
    let closed = Node::running(&[]);
    let ran = example("publish_from_a_laptop", &[&closed.url, &new_handle()]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("hosting-closed"), "{}", ran.err);
}

#[test]
fn what_is_signed_without_a_node_verifies_and_what_was_altered_does_not() {
    let signed = example("sign_offering", &[]).ok().out;
    let node = Node::make(&[]);
    let file = node.write("mine.ndjson", &signed);
    node.run(&["verify", &file]).ok();
    let altered = signed.replace("Introduction to welding", "Introduction to wedding");
    assert_ne!(signed, altered);
    let file = node.write("altered.ndjson", altered);
    let ran = node.run(&["verify", &file]);
    assert_ne!(ran.code, 0, "{}", ran.out);
}

#[test]
fn a_feed_is_read_whole_and_what_was_altered_in_it_is_refused() {
    let node = Node::running(&[]);
    node.org("welders");
    let draft = serde_json::json!({
        "type": "Offering", "localId": "welding",
        "body": {"kind": "course", "name": {"en": "Introduction to welding"}},
    });
    node.publish("welders", &draft);
    let feed = node.get("/sync/v1/changes").text();
    let read = |feed: String| {
        let file = node.write("feed.ndjson", feed);
        let run = Command::new(examples().join("read_a_feed"))
            .stdin(std::fs::File::open(file).unwrap())
            .output();
        Ran::of(run.unwrap()).ok().out
    };
    let as_it_was = read(feed.clone());
    assert!(
        as_it_was.contains("verified  Introduction to welding"),
        "{as_it_was}"
    );
    assert!(as_it_was.contains(", 0 do not"), "{as_it_was}");
    let altered = read(feed.replace("to welding", "to smelting"));
    assert!(altered.contains(", 1 do not"), "{altered}");
}
