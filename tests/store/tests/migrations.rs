//! A store of an older form, as a file of it lies here, is migrated when it is opened.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baraza::store::embedded::{Embedded, form_of, write_form};
use baraza::store::engine::{Batch, Engine as _};
use baraza::store::{LogReceipt, Store};
use baraza_store_tests::{Author, Node, Version, at};
use protocol::acceptance::Rules;

/// Where a store counts the bytes of log entries that wait.
const WAITING: &[u8] = b"Mwaiting";

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store-of-form-0")
}

/// A known author with records, and another of whose log only the second entry is there.
fn authors() -> (Author, Author) {
    let known = Author::found(1, &[1], at(-1_000));
    let mut late = Author::found(2, &[1], at(-1_000));
    late.rotate(&[2], at(-900));
    (known, late)
}

fn number(row: Option<Vec<u8>>) -> Option<u64> {
    row.map(|row| u64::from_be_bytes(row.try_into().unwrap()))
}

/// How the sample was made: `cargo test -p baraza-store-tests -- --ignored the_sample`. Form 0 is form 1
/// without the count of waiting bytes; no release wrote it.
#[test]
#[ignore = "the sample is not to change"]
fn the_sample_of_form_0_is_made_by_this() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(Embedded::open(folder.path()).unwrap());
    {
        let engine = Arc::clone(&engine);
        let node = Node::on(engine, Rules::decided()).unwrap();
        let (known, late) = authors();
        node.learn([&known.entries[0]]);
        for n in 1..=20 {
            node.take(&known.record(&Version::of(&format!("r-{n}"), n)))
                .unwrap();
        }
        assert_eq!(node.learn([&late.entries[1]]), [LogReceipt::Waiting]);
        node.take(&late.record(&Version::of("r", 1).by(2))).unwrap();
        node.store.close();
    }
    let schema = 0_u64.to_be_bytes().to_vec();
    let older = [
        (b"Mschema".to_vec(), Some(schema)),
        (WAITING.to_vec(), None),
    ];
    engine.commit(&Batch::from(older)).unwrap();
    engine.end();
    drop(engine);
    write_form(folder.path(), 0).unwrap();
    fs::create_dir_all(sample()).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let name = format!("{}.zst", entry.file_name().to_str().unwrap());
            let packed = zstd::encode_all(fs::File::open(entry.path()).unwrap(), 19).unwrap();
            fs::write(sample().join(name), packed).unwrap();
        }
    }
}

fn unpacked() -> tempfile::TempDir {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");
    fs::create_dir_all(folder.join("blobs")).unwrap();
    for entry in fs::read_dir(sample()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
        fs::write(folder.join(path.file_stem().unwrap()), bytes).unwrap();
    }
    parent
}

#[test]
fn d10_a_store_of_an_older_form_is_migrated_after_a_snapshot_and_has_all_that_it_had() {
    let parent = unpacked();
    let folder = parent.path().join("store");
    assert_eq!(form_of(&folder).unwrap(), Some(0));
    let store = Store::open(&folder, "another".to_owned()).unwrap();
    assert_eq!(form_of(&folder).unwrap(), Some(baraza::store::SCHEMA));
    assert_eq!(store.epoch(), "epoch", "nobody has to read it anew");
    let (known, late) = authors();
    let mut held = Vec::new();
    for row in store.held(Some(&known.scid())) {
        let (id, row) = row.unwrap();
        let by_hash = store.by_hash(&row.rank.hash).unwrap();
        assert_eq!(by_hash.map(|(id, _)| id), Some(id));
        held.push(row.rank.seq);
    }
    held.sort_unstable();
    assert_eq!(held, (1..=20).collect::<Vec<_>>());
    assert_eq!(store.last_change().unwrap(), 21);
    assert_eq!(store.parked().unwrap(), 1);
    store.close();
    drop(store);
    let engine = Embedded::open(&folder).unwrap();
    let waiting = number(engine.get(WAITING).unwrap());
    assert!(waiting > Some(100), "{waiting:?}");
    // What waited is taken in as soon as it fits.
    let node = Node::on(Arc::new(engine), Rules::decided()).unwrap();
    assert_eq!(node.learn([&late.entries[0]]), [LogReceipt::Grown]);
    assert_eq!(node.counting(&late.id("r")).unwrap().0, 1);
    node.store.close();
    // The snapshot is the store as it was.
    let snapshot = parent.path().join("store-of-form-0");
    assert_eq!(form_of(&snapshot).unwrap(), Some(0));
    let engine = Embedded::open(&snapshot).unwrap();
    assert_eq!(engine.get(WAITING).unwrap(), None);
}
