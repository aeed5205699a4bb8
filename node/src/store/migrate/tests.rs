//! A migration that is cut short anywhere leaves a store that the next start migrates whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use protocol::acceptance::Rank;
use protocol::envelope::Status;
use protocol::id::{RecordId, Scid, VersionHash};
use protocol::time::Timestamp;

use super::super::embedded::{Embedded, form_of, write_form};
use super::super::engine::{Batch, Engine, Memory};
use super::super::rows::{HeldRow, VersionRow};
use super::super::transaction::after;
use super::super::{StoreError, keys};
use super::{UNDER_WAY, migrate_by, shorten_versions};

const ROWS: u8 = 200;

/// A store of form 0: rows `a…`, each with the value 0.
fn of_form_0(folder: &Path) {
    let engine = Embedded::open(folder).unwrap();
    let mut batch: Batch = (0..ROWS).map(|n| (vec![b'a', n], Some(vec![0]))).collect();
    let schema = 0_u64.to_be_bytes().to_vec();
    batch.insert(keys::meta("schema"), Some(schema));
    engine.commit(&batch).unwrap();
    engine.end();
    drop(engine);
    write_form(folder, 0).unwrap();
}

fn rows(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let engine = Embedded::open(folder).unwrap();
    let rows = engine.range(b"a", &after(b"a"));
    rows.collect::<Result<_, _>>().unwrap()
}

/// After how many rows the next migration fails.
static FAIL_AFTER: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Adds one to every row, a commit each: to do it twice would be seen.
fn add_one(engine: &dyn Engine) -> Result<(), StoreError> {
    let rows: Vec<_> = engine.range(b"a", &after(b"a")).collect::<Result<_, _>>()?;
    for (key, value) in rows {
        if FAIL_AFTER.fetch_sub(1, SeqCst) == 0 {
            return Err(StoreError::Closed);
        }
        let value = vec![value.first().copied().unwrap_or_default() + 1];
        engine.commit(&Batch::from([(key, Some(value))]))?;
    }
    Ok(())
}

#[test]
fn d10_a_migration_cut_short_anywhere_is_rolled_back_and_done_whole_at_the_next_start() {
    for fail_after in [0, 1, 77, 199, 200, 201, 399] {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("store");
        of_form_0(&folder);
        FAIL_AFTER.store(fail_after, SeqCst);
        migrate_by(&folder, &[add_one, add_one]).unwrap_err();
        assert!(folder.join(UNDER_WAY).exists());
        // Killed once more while it was put back: its rows and the file of its form are gone.
        fs::remove_file(folder.join("form")).unwrap();
        fs::remove_file(folder.join("db")).unwrap();
        FAIL_AFTER.store(usize::MAX, SeqCst);
        migrate_by(&folder, &[add_one, add_one]).unwrap();
        assert_eq!(form_of(&folder).unwrap(), Some(2));
        assert!(!folder.join(UNDER_WAY).exists());
        let rows = rows(&folder);
        assert_eq!(rows.len(), usize::from(ROWS));
        assert!(
            rows.values().all(|value| *value == [2]),
            "cut after {fail_after}"
        );
        // The snapshot is the store as it was.
        let snapshot = parent.path().join("store-of-form-0");
        assert_eq!(form_of(&snapshot).unwrap(), Some(0));
        assert!(self::rows(&snapshot).values().all(|value| *value == [0]));
        // Nothing is done to a store of this form.
        FAIL_AFTER.store(0, SeqCst);
        migrate_by(&folder, &[add_one, add_one]).unwrap();
    }
}

#[test]
fn d10_in_a_store_of_form_3_each_version_is_where_it_was_under_the_beginning_of_its_hash() {
    let id = RecordId::parse(&format!("{}/a", Scid::of(b"x"))).unwrap();
    let (held, past) = (keys::held(&id, &[7; 32]), keys::past(&id, &[7; 32], 5));
    let row = |seq: u8| HeldRow {
        rank: Rank {
            seq: seq.into(),
            hash: VersionHash::of(&[seq]),
        },
        status: Status::Active,
        change: 10 + u64::from(seq),
        received: Timestamp::from_unix_seconds(0),
        packed: Vec::new(),
    };
    let form_3 = |seq: u8| [b"V".as_slice(), VersionHash::of(&[seq]).as_digest()].concat();
    let engine = Memory::default();
    let rows = [
        (held.clone(), row(2).write()),
        (past.clone(), row(1).write()),
        (form_3(2), held),
        (form_3(1), past.clone()),
    ];
    let rows = rows.map(|(key, value)| (key, Some(value)));
    engine.commit(&Batch::from(rows)).unwrap();
    shorten_versions(&engine).unwrap();
    let engine: &dyn Engine = &engine;
    let place = |seq: u8| VersionRow::of(engine, &VersionHash::of(&[seq])).unwrap();
    assert_eq!(place(2), Some(VersionRow::Held(12)));
    assert_eq!(place(1), Some(VersionRow::Beside(past)));
    assert_eq!(engine.range(b"V", &after(b"V")).count(), 2);
}
