//! A store that is written anew holds what it held, whatever happens meanwhile.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use baraza::clock::Stopwatch;
use baraza::store::embedded::Embedded;
use baraza::store::engine::{Engine, Row};
use baraza::store::{Store, StoreError};
use baraza_store_tests::{Author, Node, Version, at};
use protocol::acceptance::Rules;
use sha2::{Digest as _, Sha256};

const RECORDS: u64 = 3_000;

/// For a write that may not come.
const PATIENCE: Duration = Duration::from_secs(1);

fn open(folder: &Path) -> Node {
    let engine = Embedded::open(folder).unwrap();
    Node::on(Arc::new(engine), Rules::decided()).unwrap()
}

/// A store of records that came in no order, and one of their authors.
fn grown(folder: &Path) -> (Node, Author) {
    let node = open(folder);
    let author = Author::found(1, &[1], at(-1_000));
    node.learn([&author.entries[0]]);
    let says = "a course of many words. ".repeat(20);
    for n in 0..RECORDS {
        // Not in the order of their names.
        let local = format!("r-{}", n * 7_919 % RECORDS);
        let record = author.record(&Version::of(&local, 1).saying(&says));
        node.take(&record).unwrap();
    }
    (node, author)
}

fn rows(engine: &dyn Engine) -> Vec<Row> {
    let rows = engine.range(&[], &[u8::MAX; 64]);
    rows.collect::<Result<_, _>>().unwrap()
}

/// The folders that rows were written anew in.
fn folders(store: &Path) -> Vec<String> {
    let entries = fs::read_dir(store).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<String> = names.filter(|name| name.starts_with("rows-")).collect();
    folders.sort();
    folders
}

#[test]
fn a_store_that_is_compacted_while_others_write_has_all_they_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let (node, author) = grown(folder.path());
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                if is_over.load(SeqCst) {
                    return;
                }
                let local = format!("beside-{n}");
                node.take(&author.record(&Version::of(&local, 1))).unwrap();
                written.store(n, SeqCst);
            }
        });
        scope.spawn(|| {
            // Whoever reads is never told that there is nothing to read.
            while !is_over.load(SeqCst) {
                assert!(node.store.counting(&author.id("r-7")).unwrap().is_some());
            }
        });
        let compacted = node.store.compact(&mut |_| ());
        // It is written to after as well.
        let during = written.load(SeqCst);
        while compacted.is_ok() && written.load(SeqCst) < during + 10 {
            std::thread::yield_now();
        }
        is_over.store(true, SeqCst);
        compacted.unwrap().unwrap();
    });
    let state = node.store.state_hash().unwrap();
    let held = RECORDS + written.load(SeqCst);
    assert_eq!(node.held().len() as u64, held);
    drop(node);
    let node = open(folder.path());
    assert_eq!(node.store.state_hash().unwrap(), state);
    assert_eq!(node.held().len() as u64, held);
    assert_eq!(folders(folder.path()), ["rows-1"]);
    assert!(!folder.path().join("db").exists());
    // And again.
    node.store.compact(&mut |_| ()).unwrap().unwrap();
    assert_eq!(node.store.state_hash().unwrap(), state);
    assert_eq!(folders(folder.path()), ["rows-2"]);
}

/// Rows as following brings them: the large ones near one another, each with a small one that is nowhere near.
fn scattered(number: u64) -> [(Vec<u8>, Option<Vec<u8>>); 2] {
    let digest = Sha256::digest(number.to_be_bytes());
    let bytes: Vec<u8> = (0..750_u64)
        .map(|n| (n * (number + 7)).to_be_bytes()[6])
        .collect();
    let large = format!("Nlarge\0{:03}-{number}", number % 100);
    let small = [b"Nsmall\0", digest.as_slice()].concat();
    [
        (large.clone().into_bytes(), Some(bytes)),
        (small, Some(large.into_bytes())),
    ]
}

#[test]
fn what_is_written_while_the_copy_lags_behind_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(Embedded::open(folder.path()).unwrap());
    // More pieces than wait for whoever takes them.
    engine
        .commit(&(0..10_000).flat_map(scattered).collect())
        .unwrap();
    let node = Node::on(engine, Rules::decided()).unwrap();
    let author = Author::found(1, &[1], at(-1_000));
    node.learn([&author.entries[0]]);
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                if is_over.load(SeqCst) {
                    return;
                }
                let local = format!("beside-{n}");
                node.take(&author.record(&Version::of(&local, 1))).unwrap();
                written.store(n, SeqCst);
            }
        });
        // Whoever fills the copy takes each piece late, so that the last one has to wait.
        let compacted = node.store.compact(&mut |_| {
            let (before, since) = (written.load(SeqCst), Stopwatch::start());
            // After the last piece nobody can write.
            while written.load(SeqCst) < before + 50 && since.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
        });
        is_over.store(true, SeqCst);
        compacted.unwrap().unwrap();
    });
    let held = written.load(SeqCst);
    assert_eq!(node.held().len() as u64, held);
    drop(node);
    assert_eq!(open(folder.path()).held().len() as u64, held);
}

#[test]
fn a_store_that_grew_in_no_order_takes_less_room_after() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(Embedded::open(folder.path()).unwrap());
    for start in (0..60_000).step_by(2_500) {
        let rows = (start..start + 2_500).flat_map(scattered);
        engine.commit(&rows.collect()).unwrap();
    }
    let before = rows(&*engine);
    let shared: Arc<dyn Engine> = engine.clone();
    let node = Node::on(shared, Rules::decided()).unwrap();
    let compacted = node.store.compact(&mut |_| ()).unwrap().unwrap();
    let bytes: usize = before.iter().map(|(key, row)| key.len() + row.len()).sum();
    assert!(
        compacted.after < compacted.before * 9 / 10,
        "{compacted:?} of {bytes}"
    );
    let after = rows(&*engine);
    assert!(before.iter().all(|row| after.binary_search(row).is_ok()));
}

#[test]
fn a_compaction_cut_short_anywhere_leaves_every_row() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");
    let (node, _) = grown(&folder);
    let state = node.store.state_hash().unwrap();
    drop(node);
    // Killed while it copied: there are two sets of rows, and the first one counts.
    let engine = Embedded::open(&folder).unwrap();
    let all = rows(&engine);
    assert!(engine.begin_anew().unwrap());
    engine
        .add_anew(
            &all[..9]
                .iter()
                .cloned()
                .map(|(key, value)| (key, Some(value)))
                .collect(),
        )
        .unwrap();
    let again = engine.begin_anew().unwrap_err();
    assert!(matches!(again, StoreError::Compacting), "{again}");
    drop(engine);
    assert_eq!(folders(&folder), ["rows-1"]);
    let engine = Embedded::open(&folder).unwrap();
    assert!(rows(&engine) == all);
    assert!(folders(&folder).is_empty());
    // Killed when it had chosen the second set and removed none of the first.
    assert!(engine.begin_anew().unwrap());
    engine
        .add_anew(
            &all.iter()
                .cloned()
                .map(|(key, value)| (key, Some(value)))
                .collect(),
        )
        .unwrap();
    engine.take_anew().unwrap();
    drop(engine);
    assert!(folder.join("db").exists());
    let node = open(&folder);
    assert_eq!(node.store.state_hash().unwrap(), state);
    assert!(!folder.join("db").exists());
}

#[test]
fn a_compaction_that_was_not_ended_is_not_taken_and_its_room_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(Embedded::open(folder.path()).unwrap());
    // More pieces than wait for whoever takes them: it is closed before the last one is read.
    engine
        .commit(&(0..10_000).flat_map(scattered).collect())
        .unwrap();
    let node = Node::on(engine, Rules::decided()).unwrap();
    let state = node.store.state_hash().unwrap();
    let ended = std::thread::scope(|scope| {
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (closed, is_closed) = std::sync::mpsc::channel::<()>();
        let store: &Store = &node.store;
        let compacting = scope.spawn(move || {
            store.compact(&mut |_| {
                let _ = begun.send(());
                let _ = is_closed.recv();
            })
        });
        has_begun.recv().unwrap();
        store.close();
        drop(closed);
        compacting.join().unwrap()
    });
    assert!(matches!(ended, Err(StoreError::Closed)), "{ended:?}");
    assert!(folders(folder.path()).is_empty());
    drop(node);
    assert_eq!(open(folder.path()).store.state_hash().unwrap(), state);
}
