//! What every engine must do. The promises of [`Store`](super::Store) itself are tested on every
//! engine in `tests/store`.

use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, RwLock};

use proptest::prelude::*;

use super::each::under_each;
use super::embedded::Embedded;
use super::engine::{Batch, Engine, Memory, Row};
use super::transaction::after;
use super::{Store, StoreError};

/// Runs a test on every engine, in a folder of its own.
fn on_every_engine(test: impl Fn(&dyn Engine)) {
    test(&Memory::default());
    let folder = tempfile::tempdir().unwrap();
    test(&Embedded::open(folder.path()).unwrap());
}

fn put(engine: &dyn Engine, rows: &[(&str, &str)]) {
    let batch = rows
        .iter()
        .map(|(key, value)| (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec())));
    engine.commit(&batch.collect()).unwrap();
}

fn range(engine: &dyn Engine, from: &[u8], to: &[u8]) -> Vec<Row> {
    engine.range(from, to).collect::<Result<_, _>>().unwrap()
}

fn keys(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .map(|(key, _)| std::str::from_utf8(key).unwrap())
        .collect()
}

#[test]
fn a_range_gives_its_rows_in_order_from_the_first_key_to_before_the_last() {
    on_every_engine(|engine| {
        put(engine, &[("b", "2"), ("a", "1"), ("c", "3"), ("ab", "4")]);
        assert_eq!(keys(&range(engine, b"a", b"c")), ["a", "ab", "b"]);
        assert_eq!(keys(&range(engine, b"aa", b"zz")), ["ab", "b", "c"]);
        assert_eq!(range(engine, b"c", b"a"), []);
        assert_eq!(range(engine, b"a", b"a"), []);
        assert_eq!(range(engine, b"d", b"e"), []);
    });
}

#[test]
fn the_last_row_of_a_range_is_found_without_its_end() {
    on_every_engine(|engine| {
        assert_eq!(engine.last(b"a", b"z").unwrap(), None);
        put(engine, &[("a", "1"), ("b", "2"), ("c", "3")]);
        let last = |from: &[u8], to: &[u8]| engine.last(from, to).unwrap().map(|(key, _)| key);
        assert_eq!(last(b"a", b"c"), Some(b"b".to_vec()));
        assert_eq!(last(b"a", b"cc"), Some(b"c".to_vec()));
        assert_eq!(last(b"aa", b"b"), None);
        assert_eq!(last(b"c", b"a"), None);
    });
}

#[test]
fn a_batch_puts_replaces_and_removes_at_once() {
    on_every_engine(|engine| {
        put(engine, &[("a", "1"), ("b", "2")]);
        let batch = Batch::from([
            (b"a".to_vec(), None),
            (b"b".to_vec(), Some(b"3".to_vec())),
            (b"c".to_vec(), Some(Vec::new())),
            (b"never".to_vec(), None),
        ]);
        engine.commit(&batch).unwrap();
        assert_eq!(engine.get(b"a").unwrap(), None);
        assert_eq!(engine.get(b"b").unwrap(), Some(b"3".to_vec()));
        assert_eq!(engine.get(b"c").unwrap(), Some(Vec::new()));
        engine.commit(&Batch::new()).unwrap();
        assert_eq!(keys(&range(engine, b"", b"z")), ["b", "c"]);
    });
}

#[test]
fn keys_and_values_are_any_bytes_of_any_usual_length() {
    on_every_engine(|engine| {
        let rows: Vec<Row> = (0..=255_u8)
            .map(|byte| {
                (
                    vec![byte; 1 + usize::from(byte)],
                    vec![byte; usize::from(byte)],
                )
            })
            .chain([(b"large".to_vec(), vec![7; 1024 * 1024])])
            .collect();
        let batch = rows.iter().cloned().map(|(key, value)| (key, Some(value)));
        engine.commit(&batch.collect()).unwrap();
        for (key, value) in &rows {
            assert_eq!(engine.get(key).unwrap().as_ref(), Some(value));
        }
        assert_eq!(range(engine, b"", &[u8::MAX; 300]).len(), rows.len());
    });
}

#[test]
fn a_reader_sees_all_of_a_batch_or_nothing() {
    on_every_engine(|engine| {
        put(engine, &[("a", "0"), ("z", "0")]);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 1..=200 {
                    let n = n.to_string();
                    put(engine, &[("a", &n), ("z", &n)]);
                }
            });
            let number = |key: &[u8]| -> u64 {
                let value = engine.get(key).unwrap().unwrap();
                std::str::from_utf8(&value).unwrap().parse().unwrap()
            };
            while !writer.is_finished() {
                let first = number(b"a");
                assert!(number(b"z") >= first);
                let last = number(b"z");
                assert!(number(b"a") >= last);
            }
        });
    });
}

#[test]
fn what_was_committed_is_there_when_the_folder_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5_u8 {
        let engine = Embedded::open(folder.path()).unwrap();
        for earlier in 0..round {
            assert_eq!(engine.get(&[earlier]).unwrap(), Some(vec![earlier; 3_000]));
        }
        engine
            .commit(&Batch::from([(vec![round], Some(vec![round; 3_000]))]))
            .unwrap();
        assert!(engine.size_on_disk().unwrap() > 0);
    }
}

#[test]
fn a_folder_can_be_opened_again_as_soon_as_it_was_let_go() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..60_u8 {
        let engine = Embedded::open(folder.path()).unwrap();
        for row in 0..4_u8 {
            let batch = Batch::from([(vec![row, round], Some(vec![round; 20_000]))]);
            engine.commit(&batch).unwrap();
        }
    }
}

#[test]
fn an_image_of_memory_is_not_changed_by_what_comes_after() {
    let memory = Memory::default();
    put(&memory, &[("a", "1")]);
    let image = memory.image();
    put(&memory, &[("a", "2")]);
    assert_eq!(image.get(b"a").unwrap(), Some(b"1".to_vec()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn engines_give_the_same_answers(
        batches in prop::collection::vec(
            prop::collection::btree_map(
                prop::collection::vec(0..4_u8, 0..4),
                prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
                0..12,
            ),
            1..6,
        ),
        ranges in prop::collection::vec(
            (prop::collection::vec(0..5_u8, 0..4), prop::collection::vec(0..5_u8, 0..4)),
            8,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let engines: [Box<dyn Engine>; 2] =
            [Box::<Memory>::default(), Box::new(Embedded::open(folder.path()).unwrap())];
        let mut model = Batch::new();
        for batch in &batches {
            for engine in &engines {
                engine.commit(batch).unwrap();
            }
            model.extend(batch.clone());
        }
        model.retain(|_, value| value.is_some());
        for (from, to) in &ranges {
            let within = (Bound::Included(from.clone()), Bound::Excluded(to.clone()));
            let rows: Vec<Row> = match from < to {
                true => model
                    .range::<Vec<u8>, _>(within)
                    .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
                    .collect(),
                false => Vec::new(),
            };
            for engine in &engines {
                prop_assert_eq!(&range(&**engine, from, to), &rows);
                prop_assert_eq!(engine.last(from, to).unwrap(), rows.last().cloned());
                prop_assert_eq!(engine.get(from).unwrap(), model.get(from).cloned().flatten());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_under_many_prefixes_is_what_stands_under_each(
        keys in prop::collection::btree_set(prop::collection::vec(0..6_u8, 1..5), 0..200),
        prefixes in prop::collection::btree_set(prop::collection::vec(0..7_u8, 2), 0..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let engines: [Box<dyn Engine>; 2] =
            [Box::<Memory>::default(), Box::new(Embedded::open(folder.path()).unwrap())];
        let rows: Vec<Row> = keys.into_iter().map(|key| (key.clone(), key)).collect();
        let expected: Vec<(Vec<u8>, Vec<Row>)> = prefixes
            .iter()
            .map(|prefix| {
                let under = rows.iter().filter(|(key, _)| key.starts_with(prefix));
                (prefix.clone(), under.cloned().collect())
            })
            .collect();
        for engine in &engines {
            let batch = rows.iter().cloned().map(|(key, value)| (key, Some(value)));
            engine.commit(&batch.collect()).unwrap();
            let read: Result<Vec<_>, _> = under_each(&**engine, prefixes.clone()).collect();
            prop_assert_eq!(read.unwrap(), expected.clone());
        }
    }
}

#[test]
fn the_key_after_a_prefix_is_above_all_that_begin_with_it() {
    assert_eq!(after(b"ab"), b"ac");
    assert_eq!(after(&[1, u8::MAX]), [2]);
    assert!(after(&[u8::MAX]) > vec![u8::MAX; 40]);
}

#[test]
fn d08_a_second_instance_on_one_folder_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path(), "first".to_owned()).unwrap();
    let second = Store::open(folder.path(), "second".to_owned()).err();
    assert!(
        matches!(&second, Some(StoreError::Locked { folder: named }) if named == folder.path()),
        "{second:?}"
    );
    assert_eq!(first.last_change().unwrap(), 0);
    drop(first);
    let again = Store::open(folder.path(), "third".to_owned()).unwrap();
    assert_eq!(again.epoch(), "first");
}

#[test]
fn d07_a_folder_that_cannot_be_made_or_is_a_file_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"no folder").unwrap();
    for place in [
        file.as_path(),
        &file.join("below"),
        Path::new("/proc/baraza"),
    ] {
        let refused = Store::open(place, "epoch".to_owned()).err().unwrap();
        assert!(
            matches!(&refused, StoreError::Unusable { folder, .. } if folder == place),
            "{refused:?}"
        );
        let shown = refused.to_string();
        assert!(shown.contains(&place.display().to_string()), "{shown}");
    }
}

#[test]
fn d11_a_store_of_a_newer_release_is_refused_and_nothing_in_it_is_changed() {
    on_every_engine_shared(|engine| {
        let newer = Batch::from([
            (
                super::keys::meta("schema"),
                Some((super::SCHEMA + 1).to_be_bytes().to_vec()),
            ),
            (
                b"Zfuture".to_vec(),
                Some(b"what this release does not know".to_vec()),
            ),
        ]);
        engine.commit(&newer).unwrap();
        let before = range(&*engine, b"", &[u8::MAX; 64]);
        let refused = Store::on(
            Arc::clone(&engine),
            "epoch".to_owned(),
            protocol::acceptance::Rules::decided(),
        );
        assert!(matches!(refused, Err(StoreError::Newer { found }) if found == super::SCHEMA + 1));
        assert_eq!(range(&*engine, b"", &[u8::MAX; 64]), before);
    });
}

#[test]
fn d11_the_files_of_a_newer_release_stay_byte_for_byte() {
    let files = |folder: &Path| -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), "epoch".to_owned()).unwrap());
    assert_eq!(
        super::embedded::form_of(folder.path()).unwrap(),
        Some(super::SCHEMA)
    );
    super::embedded::write_form(folder.path(), super::SCHEMA + 1).unwrap();
    let before = files(folder.path());
    let refused = Store::open(folder.path(), "epoch".to_owned());
    assert!(matches!(refused, Err(StoreError::Newer { found }) if found == super::SCHEMA + 1));
    assert!(before == files(folder.path()));
}

#[test]
fn a_store_without_a_form_file_gets_one_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path()).unwrap());
    assert_eq!(super::embedded::form_of(folder.path()).unwrap(), None);
    drop(Store::open(folder.path(), "epoch".to_owned()).unwrap());
    assert_eq!(
        super::embedded::form_of(folder.path()).unwrap(),
        Some(super::SCHEMA)
    );
    std::fs::write(folder.path().join("form"), b"one").unwrap();
    let refused = Store::open(folder.path(), "epoch".to_owned());
    assert!(matches!(refused, Err(StoreError::Corrupt { detail }) if detail.contains("form")));
}

fn on_every_engine_shared(test: impl Fn(Arc<dyn Engine>)) {
    test(Arc::new(Memory::default()));
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(Embedded::open(folder.path()).unwrap()));
}

/// An engine whose disk fails when it is told to.
#[derive(Default)]
struct Failing {
    /// What can be read.
    rows: RwLock<Memory>,
    /// What is on disk.
    disk: Memory,
    fails: AtomicBool,
    cannot_open: AtomicBool,
    /// A row that cannot be read.
    unreadable: RwLock<Option<Vec<u8>>>,
}

impl Failing {
    fn rows(&self) -> std::sync::RwLockReadGuard<'_, Memory> {
        self.rows.read().unwrap()
    }
}

impl Engine for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows().get(key)
    }

    fn range(&self, from: &[u8], to: &[u8]) -> super::engine::Rows<'_> {
        let unreadable = self.unreadable.read().unwrap().clone();
        let rows = self.rows().range(from, to).collect::<Vec<_>>().into_iter();
        Box::new(rows.map(move |row| match row {
            Ok((key, _)) if Some(&key) == unreadable.as_ref() => {
                Err(StoreError::Io(std::io::Error::other("EIO")))
            }
            row => row,
        }))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.rows().last(from, to)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        // Like sled: the rows are there to read before the flush that fails.
        self.rows().commit(batch)?;
        match self.fails.load(SeqCst) {
            true => Err(StoreError::Io(std::io::Error::other("EIO"))),
            false => self.disk.commit(batch),
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        if self.cannot_open.load(SeqCst) {
            return Err(StoreError::Io(std::io::Error::other("EIO")));
        }
        *self.rows.write().unwrap() = self.disk.image();
        Ok(())
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.rows().size_on_disk()
    }

    fn begin_anew(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn take_anew(&self) -> Result<(), StoreError> {
        match self.fails.load(SeqCst) {
            true => Err(StoreError::Io(std::io::Error::other("EIO"))),
            false => Ok(()),
        }
    }
}

#[test]
fn d06_a_row_that_cannot_be_read_is_told_and_not_taken_for_nothing() {
    let engine = Failing::default();
    put(&engine, &[("aa", "1"), ("ab", "2"), ("cc", "3")]);
    *engine.unreadable.write().unwrap() = Some(b"ab".to_vec());
    let prefixes = [b"a", b"b", b"c"].map(|prefix| prefix.to_vec());
    let read: Vec<_> = under_each(&engine, prefixes.into()).collect();
    // Nobody knows where the row stood.
    assert!(matches!(read[..], [Err(StoreError::Io(_))]), "{read:?}");
}

fn failing() -> (Arc<Failing>, Store) {
    let engine = Arc::new(Failing::default());
    let rules = protocol::acceptance::Rules::decided();
    let store = Store::on(engine.clone(), "epoch".to_owned(), rules).unwrap();
    (engine, store)
}

#[test]
fn d06_a_compaction_that_cannot_be_ended_is_told_and_the_store_goes_on() {
    let (engine, store) = failing();
    engine.fails.store(true, SeqCst);
    let refused = store.compact(&mut |_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::Io(_)), "{refused}");
    engine.fails.store(false, SeqCst);
    let put = store.put_named("t", "n", Some(b"v".to_vec()));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(put).unwrap();
    store.compact(&mut |_| ()).unwrap().unwrap();
}

#[test]
fn d06_after_a_failed_write_nothing_is_acknowledged_and_no_follower_reads_on_until_it_was_opened_again()
 {
    let (engine, store) = failing();
    let put = |value: &[u8]| {
        let put = store.put_named("table", "name", Some(value.to_vec()));
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(put)
    };
    put(b"kept").unwrap();
    engine.fails.store(true, SeqCst);
    engine.cannot_open.store(true, SeqCst);
    assert!(matches!(put(b"lost"), Err(StoreError::NotWritten { .. })));
    engine.fails.store(false, SeqCst);
    assert!(matches!(put(b"late"), Err(StoreError::NotWritten { .. })));
    assert!(matches!(
        store.changes(0, 10),
        Err(StoreError::NotWritten { .. })
    ));
    assert!(store.named("table", "name").unwrap().is_some());
    engine.cannot_open.store(false, SeqCst);
    // It is tried again at most once a second.
    while put(b"again").is_err() {}
    assert_eq!(store.named("table", "name").unwrap().unwrap(), b"again");
    store.changes(0, 10).unwrap();
    // Where it can be opened at once, the next write goes on; of the failed one nothing is left.
    engine.fails.store(true, SeqCst);
    assert!(matches!(put(b"lost"), Err(StoreError::NotWritten { .. })));
    engine.fails.store(false, SeqCst);
    assert_eq!(store.named("table", "name").unwrap().unwrap(), b"again");
    put(b"on").unwrap();
}

#[tokio::test]
async fn what_follows_a_batch_that_the_disk_failed_is_not_written_although_the_store_goes_on() {
    let (engine, store) = failing();
    let now = record_time();
    let sequence = super::Sequence::default();
    let batch = |name: &str, sequence: &super::Sequence| {
        let beside = vec![super::Named {
            table: "peers",
            name: name.to_owned(),
            value: b"here".to_vec(),
        }];
        store.admit_next(Vec::new(), now, None, beside, sequence)
    };
    batch("first", &sequence).await.unwrap();
    engine.fails.store(true, SeqCst);
    assert!(batch("second", &sequence).await.is_err());
    engine.fails.store(false, SeqCst);
    assert!(batch("third", &sequence).await.is_err());
    batch("other", &super::Sequence::default()).await.unwrap();
    let has = |name| store.named("peers", name).unwrap().is_some();
    assert_eq!(
        ["first", "second", "third", "other"].map(has),
        [true, false, false, true]
    );
}

#[tokio::test]
async fn what_follows_a_failed_batch_of_a_sequence_is_not_written() {
    let engine = Arc::new(Memory::default());
    let rules = protocol::acceptance::Rules::decided();
    let store = Store::on(engine.clone(), "epoch".to_owned(), rules).unwrap();
    let (author, record) = offered_by_a_stranger();
    let now = record_time();
    let beside = |name: &str| {
        vec![super::Named {
            table: "peers",
            name: name.to_owned(),
            value: b"here".to_vec(),
        }]
    };
    let sequence = super::Sequence::default();
    store
        .admit_next(Vec::new(), now, None, beside("first"), &sequence)
        .await
        .unwrap();
    let damaged = [(super::keys::author(&author), Some(b"damaged".to_vec()))];
    engine.commit(&damaged.into_iter().collect()).unwrap();
    let second = store.admit_next(vec![record], now, None, beside("second"), &sequence);
    let third = store.admit_next(Vec::new(), now, None, beside("third"), &sequence);
    assert!(third.await.is_err());
    assert!(matches!(second.await, Err(StoreError::Corrupt { .. })));
    let has = |name| store.named("peers", name).unwrap().is_some();
    assert_eq!(["first", "second", "third"].map(has), [true, false, false]);
}

fn record_time() -> protocol::time::Timestamp {
    protocol::time::Timestamp::parse("2026-01-01T00:00:00Z").unwrap()
}

fn offered_by_a_stranger() -> (protocol::id::Scid, super::Offered) {
    let key = protocol::key::SecretKey::from_seed(&[7; 32]);
    let author = protocol::id::Scid::of(b"stranger");
    let did = protocol::id::Did::parse(&format!("did:webvh:{author}:hub.example")).unwrap();
    let draft = serde_json::json!({
        "type": "Offering", "localId": "r-1", "language": "en",
        "body": {"kind": "course", "name": {"en": "A course"}},
    });
    let draft = protocol::record::Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
    let record = draft.sign(&did, 1, record_time(), &key).unwrap();
    let proven = protocol::envelope::Envelope::parse(record.canonical())
        .unwrap()
        .prove()
        .unwrap();
    (author, super::Offered::new(proven).unwrap())
}
