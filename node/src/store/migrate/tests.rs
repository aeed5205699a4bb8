//! A migration that is cut short anywhere leaves a store that the next start migrates whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::super::embedded::{Embedded, form_of, write_form};
use super::super::engine::{Batch, Engine};
use super::super::transaction::after;
use super::super::{StoreError, keys};
use super::{UNDER_WAY, migrate_by};

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
