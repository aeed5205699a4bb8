//! An author of many records is blocked and unblocked: the decision holds at once, and those who follow the
//! change log are told in pieces, which a kill does not end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use baraza::store::{NamedRows, Offered, Store, StoreError};
use baraza_store_tests::{Author, Version, at, proven, wait};
use protocol::id::Scid;
use protocol::identity::WitnessProofs;

/// More than two pieces.
const RECORDS: u64 = 1_200;

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("store"), "first".to_owned()).unwrap()
}

fn large_author(store: &Store) -> Scid {
    let author = Author::found(1, &[1], at(-1_000));
    let none = WitnessProofs::empty();
    wait(store.learn(author.entries[0].clone(), none, at(0))).unwrap();
    let offered = (0..RECORDS).map(|n| {
        let local = format!("record-{n}");
        Offered::new(proven(&author.record(&Version::of(&local, 1)))).unwrap()
    });
    let receipts = wait(store.admit_all(offered.collect(), at(0), None, None)).unwrap();
    assert!(receipts.iter().all(Result::is_ok));
    *author.did().scid()
}

fn decide(store: &Store, scid: Scid, row: Option<&[u8]>) {
    let row = row.map(<[u8]>::to_vec);
    let put = move |rows: &mut NamedRows<'_, '_>| rows.block_author(&scid, row);
    wait(store.change_named::<_, StoreError>(put)).unwrap();
}

/// Of how many records the change log says something after a place.
fn told(store: &Store, after: u64) -> u64 {
    let touched = store.touched(after, 100_000).unwrap();
    touched.records.len() as u64
}

#[test]
fn a_node_that_stopped_while_it_told_of_a_block_goes_on_and_tells_of_every_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let scid = large_author(&store);
    for (row, is_blocked) in [(Some(&b"why"[..]), true), (None, false)] {
        let before = store.last_change().unwrap();
        decide(&store, scid, row);
        // It holds before anything was told.
        assert_eq!(store.is_blocked(&scid), is_blocked);
        let held = store.held(Some(&scid)).count() as u64;
        assert_eq!(held, if is_blocked { 0 } else { RECORDS });
        assert!(wait(store.look_again_at_some()).unwrap());
        assert!((1..RECORDS).contains(&told(&store, before)));

        drop(store);
        store = open(folder.path());
        assert_eq!(store.is_blocked(&scid), is_blocked);
        wait(store.look_again()).unwrap();
        assert_eq!(told(&store, before), RECORDS);
        // Each once, and the log's one entry.
        assert_eq!(store.last_change().unwrap() - before, RECORDS + 1);
        assert!(!wait(store.look_again_at_some()).unwrap());
    }
}

#[test]
fn a_block_that_ends_while_it_is_told_of_leaves_every_record_handed_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let scid = large_author(&store);
    decide(&store, scid, Some(b"why"));
    assert!(wait(store.look_again_at_some()).unwrap());
    let between = store.last_change().unwrap();
    decide(&store, scid, None);
    wait(store.look_again()).unwrap();
    assert_eq!(store.held(Some(&scid)).count() as u64, RECORDS);
    assert_eq!(told(&store, between), RECORDS);
}
