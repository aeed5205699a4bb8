//! `baraza bench`: what a machine can carry, measured without touching the node.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::node::{Node, baraza};

fn names(folder: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn bench_measures_beside_a_running_node_and_leaves_nothing_behind() {
    let node = Node::running(&[]);
    let before = names(&node.dir());
    let told = node.json(&["bench", "--records", "200"]);
    assert_eq!(names(&node.dir()), before);
    for (part, member) in [
        ("machine", "cores"),
        ("machine", "freeBytes"),
        ("machine", "signaturesPerSecond"),
        ("machine", "syncsPerSecond"),
        ("machine", "diskBytesPerSecond"),
        ("node", "ingestPerSecond"),
        ("node", "singlePerSecond"),
        ("node", "searchP99Ms"),
        ("node", "diskBytesPerRecord"),
        ("ratios", "ingestToSignatures"),
        ("ratios", "singleToSyncs"),
    ] {
        let number = told[part][member].as_f64();
        assert!(
            number.is_some_and(|number| number > 0.0),
            "{part}.{member}: {told}"
        );
    }
    assert_eq!(told["node"]["records"], 200);
    let carries = &told["carries"];
    let sentence = carries["sentence"].as_str().unwrap();
    let records = carries["records"].as_u64().unwrap();
    assert!(records <= 1_000_000, "{told}");
    assert!(
        sentence.starts_with(&format!("This machine can carry {records} records.")),
        "{told}"
    );
    assert!(node.log().is_empty(), "{}", node.log());
}

#[test]
fn bench_needs_no_node() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("not/there");
    let ran = baraza(&[
        "bench",
        "--records",
        "100",
        "--dir",
        missing.to_str().unwrap(),
    ])
    .ok();
    assert!(ran.out.contains("This machine can carry"), "{}", ran.out);
    assert!(names(folder.path()).is_empty());
    let wrong = baraza(&["bench", "--records", "0"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
}
