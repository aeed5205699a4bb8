//! A copy of a store while it is written to is the store of one moment.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;

use baraza::store::engine::{Engine, Memory};
use baraza::store::{Moment, Part, Pieces, Store};
use baraza_store_tests::{Author, Node, Version, at};
use protocol::acceptance::Rules;
use protocol::id::{Scid, VersionHash};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows_of(engine: &dyn Engine) -> Rows {
    let rows = engine.range(&[], &[u8::MAX; 64]);
    rows.collect::<Result<_, _>>().unwrap()
}

/// What comes of the pieces when they are applied in their order.
fn apply(pieces: Pieces) -> (Rows, Moment, usize) {
    let mut rows = Rows::new();
    let mut count = 0;
    for piece in pieces {
        let piece = piece.unwrap();
        count += 1;
        for (key, value) in piece.changes {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        if let Some(end) = piece.end {
            return (rows, end.moment(), count);
        }
    }
    panic!("the copy has no end");
}

/// Tells those who work that it is over, also where an assertion fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Publishes, overwrites, withdraws and rotates until it is told to stop.
fn work(node: &Node, name: u8, is_over: &AtomicBool) {
    let mut author = Author::found(name, &[1], at(-1_000));
    node.learn([&author.entries[0]]);
    let says = "a course of many words. ".repeat(40);
    let mut key = 1;
    for n in 1_u64.. {
        if is_over.load(SeqCst) {
            return;
        }
        let local = format!("r-{}", n % 17);
        let mut version = Version::of(&local, n).by(key).saying(&says);
        if n % 7 == 0 {
            version = version.withdrawn();
        }
        node.take(&author.record(&version)).unwrap();
        if n % 211 == 0 && key < 9 {
            key += 1;
            let entry = author.rotate(&[key], at(-1_000 + i64::from(key)));
            node.learn([&entry]);
        }
    }
}

#[test]
fn a_copy_taken_while_others_write_is_the_store_of_one_moment_byte_for_byte() {
    let engine = Arc::new(Memory::default());
    let node = Node::on(Arc::clone(&engine) as Arc<dyn Engine>, Rules::decided()).unwrap();
    // More than one piece.
    let author = Author::found(9, &[1], at(-1_000));
    node.learn([&author.entries[0]]);
    for n in 0..2_000 {
        let local = format!("here-before-{n}");
        node.take(&author.record(&Version::of(&local, 1))).unwrap();
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        for name in 1..=4 {
            let (node, is_over) = (&node, &is_over);
            scope.spawn(move || work(node, name, is_over));
        }
        let mut moved = BTreeSet::new();
        let mut most = 0;
        for _ in 0..30 {
            let (told, tell) = (mpsc::channel(), Arc::clone(&engine));
            let (sender, receiver) = told;
            let first = node.store.last_change().unwrap();
            let pieces = node.store.copy(Part::All, move || {
                sender.send(rows_of(&*tell)).unwrap();
            });
            let (rows, moment, count) = apply(pieces);
            assert!(rows == receiver.recv().unwrap(), "another moment's rows");
            most = most.max(count);
            // The state hash is that of the store that they make.
            let copy = Memory::default();
            let batch = rows.into_iter().map(|(key, value)| (key, Some(value)));
            copy.commit(&batch.collect()).unwrap();
            let copy = Store::on(Arc::new(copy), "epoch".to_owned(), Rules::decided()).unwrap();
            assert_eq!(copy.state_hash().unwrap(), moment.state);
            assert_eq!(copy.last_change().unwrap(), moment.last_change);
            assert_eq!(copy.held(None).count() as u64, moment.held);
            assert_eq!(copy.authors().unwrap().len() as u64, moment.authors);
            if moment.last_change > first {
                moved.insert(moment.last_change);
            }
        }
        println!(
            "{} of 30 copies had writes in them, of up to {most} pieces",
            moved.len()
        );
        assert!(moved.len() >= 10, "{moved:?}");
        assert!(most >= 2);
    });
}

#[test]
fn a_copy_of_some_authors_has_theirs_and_nothing_of_others() {
    let node = Node::in_memory();
    let mut own = None;
    for name in 1..=3 {
        let author = Author::found(name, &[1], at(-1_000));
        node.learn([&author.entries[0]]);
        for n in 0..50 {
            node.take(&author.record(&Version::of(&format!("r-{n}"), 1)))
                .unwrap();
        }
        own = Some(author);
    }
    let own = own.unwrap();
    let part = Part::Of([own.scid()].into());
    let (rows, moment, _) = apply(node.store.copy(part, || {}));
    assert_eq!((moment.authors, moment.held), (1, 50));
    let copy = Memory::default();
    let batch = rows.into_iter().map(|(key, value)| (key, Some(value)));
    copy.commit(&batch.collect()).unwrap();
    let copy = Node::on(Arc::new(copy), Rules::decided()).unwrap();
    assert_eq!(copy.store.state_hash().unwrap(), moment.state);
    let authors: Vec<_> = copy.store.authors().unwrap();
    assert_eq!(authors.len(), 1);
    assert_eq!(*authors[0].state.scid(), own.scid());
    // The log of changes leads to what is there and to nothing else.
    let told = copy.told(0);
    assert_eq!(told.len(), 50);
    assert!(told.iter().all(|hash| copy.held().contains(hash)));
    for hash in copy.held() {
        assert!(copy.store.by_hash(&hash).unwrap().is_some());
    }
}

/// Under which hash which version is, of these authors.
fn by_hash(rows: &Rows, authors: &BTreeSet<Scid>) -> Rows {
    let is_theirs = |place: &[u8]| {
        let key = match <[u8; 8]>::try_from(place) {
            // It is held: at this place of the change log.
            Ok(change) => rows[&[b"C".as_slice(), &change].concat()][1..].to_vec(),
            Err(_) => place.to_vec(),
        };
        authors.contains(&Scid::from_digest(key[1..33].try_into().unwrap()))
    };
    let versions = rows.range(b"V".to_vec()..b"W".to_vec());
    versions
        .filter(|(_, place)| is_theirs(place))
        .map(|(key, place)| (key.clone(), place.clone()))
        .collect()
}

#[test]
fn in_a_copy_of_some_authors_taken_while_they_write_each_version_of_theirs_is_under_its_hash() {
    let engine = Arc::new(Memory::default());
    let node = Node::on(Arc::clone(&engine) as Arc<dyn Engine>, Rules::decided()).unwrap();
    let mut own = BTreeSet::new();
    for name in 5..=9 {
        let author = Author::found(name, &[1], at(-1_000));
        node.learn([&author.entries[0]]);
        for n in 0..300_u16 {
            // What cannot be packed: many pieces lie between a version and what leads to it.
            let says: Vec<String> = (0..40_u16)
                .map(|word| VersionHash::of(&[name.into(), n, word].map(u16::to_be_bytes).concat()))
                .map(|word| word.to_string())
                .collect();
            let (local, says) = (format!("here-before-{n}"), says.join(" "));
            node.take(&author.record(&Version::of(&local, 1).saying(&says)))
                .unwrap();
        }
        if name % 2 == 1 {
            own.insert(author.scid());
        }
    }
    // Two who write all the time are meant, two are not.
    own.extend([1, 2].map(|name| Author::found(name, &[1], at(-1_000)).scid()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        for name in 1..=4 {
            let (node, is_over) = (&node, &is_over);
            scope.spawn(move || work(node, name, is_over));
        }
        let mut moved = 0;
        for _ in 0..30 {
            let (sender, receiver) = mpsc::channel();
            let tell = Arc::clone(&engine);
            let first = node.store.last_change().unwrap();
            let pieces = node.store.copy(Part::Of(own.clone()), move || {
                sender.send(rows_of(&*tell)).unwrap();
            });
            let (rows, moment, _) = apply(pieces);
            let all = receiver.recv().unwrap();
            assert!(by_hash(&rows, &own) == by_hash(&all, &own));
            assert_eq!(by_hash(&rows, &own).len(), versions(&rows));
            moved += usize::from(moment.last_change > first);
        }
        assert!(moved >= 10, "{moved} of 30 copies had writes in them");
    });
}

/// How many rows there are under hashes.
fn versions(rows: &Rows) -> usize {
    rows.range(b"V".to_vec()..b"W".to_vec()).count()
}

#[test]
fn whoever_takes_a_copy_may_go_and_writers_go_on() {
    let node = Node::in_memory();
    let author = Author::found(1, &[1], at(-1_000));
    node.learn([&author.entries[0]]);
    for n in 0..200 {
        drop(node.store.copy(Part::All, || {}));
        node.take(&author.record(&Version::of(&format!("r-{n}"), 1)))
            .unwrap();
    }
    assert_eq!(node.held().len(), 200);
}
