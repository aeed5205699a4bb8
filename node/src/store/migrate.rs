//! A store of an older form becomes one of this form, or stays what it was.
//!
//! First the folder is copied beside, as it is; that is the snapshot, and it stays until its owner deletes
//! it. Then each step changes rows in place. A file says meanwhile that it is under way: who finds it at
//! the next start puts the snapshot back and begins anew, so no step ever sees what another left half done.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use protocol::id::{RecordId, VersionHash};

use super::embedded::{self, Embedded};
use super::engine::{Batch, Engine};
use super::rows::{HeldRow, VersionRow, corrupt};
use super::transaction::after;
use super::{SCHEMA, StoreError, keys};

/// A file in the store's folder while it is changed.
const UNDER_WAY: &str = "migrating";

/// Changes all rows of a store from one form to the next, in as many commits as it likes.
type Step = fn(&dyn Engine) -> Result<(), StoreError>;

/// What leads from form 0 to 1, from 1 to 2 and so on.
const STEPS: [Step; SCHEMA as usize] = [count_waiting, count_records, allow_anew, shorten_versions];

/// Rows that one commit changes.
const ROWS_A_COMMIT: usize = 10_000;

/// Form 0 did not count the bytes of log entries that wait for others, which bounds them. No release wrote
/// it: it is here so that there is an older form to come from.
fn count_waiting(engine: &dyn Engine) -> Result<(), StoreError> {
    let mut bytes: u64 = 0;
    for prefix in keys::all_waiting() {
        for row in engine.range(&prefix, &after(&prefix)) {
            let (key, value) = row?;
            if keys::is_waiting_entry(&key, &value) {
                bytes += value.len() as u64;
            }
        }
    }
    let counted = (keys::meta("waiting"), Some(bytes.to_be_bytes().to_vec()));
    engine.commit(&Batch::from([counted]))
}

/// Form 1 did not count the records of each author. Who sent them is not known any more.
fn count_records(engine: &dyn Engine) -> Result<(), StoreError> {
    let mut counts = Batch::new();
    let mut counted: Option<(RecordId, u64)> = None;
    let mut put = |counted: &Option<(RecordId, u64)>| {
        if let Some((id, count)) = counted {
            let count = count.to_be_bytes().to_vec();
            counts.insert(keys::count_of_author(&id.author), Some(count));
        }
    };
    let held = keys::all_held();
    for row in engine.range(&held, &after(&held)) {
        let (key, _) = row?;
        let id = keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record id"))?;
        counted = match counted.take() {
            Some((last, count)) if last == id => Some((last, count)),
            Some((last, count)) if last.author == id.author => Some((id, count + 1)),
            before => {
                put(&before);
                Some((id, 1))
            }
        };
    }
    put(&counted);
    engine.commit(&counts)
}

/// From form 3 on the rows may stand in a folder of their own, where a program that knows form 2 would not
/// find them. In a store of form 2 they stand where they may stand still.
fn allow_anew(_engine: &dyn Engine) -> Result<(), StoreError> {
    Ok(())
}

/// Form 3 had the whole hash of a version in the name of its row, and the key of the row of a version that is held in
/// its value; now its place in the change log stands there.
fn shorten_versions(engine: &dyn Engine) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    let held = keys::all_held();
    for row in engine.range(&held, &after(&held)) {
        let row = HeldRow::read(&row?.1)?;
        let place = VersionRow::Held(row.change).write();
        batch.insert(keys::version(&row.rank.hash), Some(place));
        commit_if_full(engine, &mut batch)?;
    }
    let versions = keys::versions();
    for row in engine.range(&versions, &after(&versions)) {
        let (key, place) = row?;
        let Some(Ok(digest)) = key.get(1..).map(<[u8; 32]>::try_from) else {
            continue;
        };
        if !keys::is_held(&place) {
            let hash = VersionHash::from_digest(digest);
            batch.insert(keys::version(&hash), Some(place));
        }
        batch.insert(key, None);
        commit_if_full(engine, &mut batch)?;
    }
    engine.commit(&batch)
}

fn commit_if_full(engine: &dyn Engine, batch: &mut Batch) -> Result<(), StoreError> {
    match batch.len() < ROWS_A_COMMIT {
        true => Ok(()),
        false => engine.commit(&std::mem::take(batch)),
    }
}

/// Brings the store in `folder` to this form. It does nothing to one that has it, to a new one and to one of
/// a newer form.
///
/// # Errors
/// The disk; the store is as it was, or becomes so at the next start.
pub(super) fn migrate(folder: &Path) -> Result<(), StoreError> {
    migrate_by(folder, &STEPS)
}

fn migrate_by(folder: &Path, steps: &[Step]) -> Result<(), StoreError> {
    let newest = steps.len() as u64;
    let mark = folder.join(UNDER_WAY);
    if mark.exists() {
        let snapshot = folder.with_file_name(fs::read_to_string(&mark)?);
        tracing::warn!(
            snapshot = %snapshot.display(),
            "a migration of the store was cut short: it is put back as it was and begun anew"
        );
        put_back(&snapshot, folder)?;
    }
    let Some(found) = embedded::form_of(folder)?.filter(|found| *found < newest) else {
        return Ok(());
    };
    let name = format!("store-of-form-{found}");
    let snapshot = folder.with_file_name(&name);
    tracing::warn!(
        found,
        newest,
        snapshot = %snapshot.display(),
        "the store has an older form: it is copied beside and then migrated"
    );
    // Whoever has it open would write on.
    drop(Embedded::open(folder)?);
    if !mark.exists() {
        copy(folder, &snapshot)?;
        embedded::write_whole(&mark, &name)?;
    }
    let engine = Embedded::open(folder)?;
    for (form, step) in (0_u64..).zip(steps) {
        if form >= found {
            step(&engine)?;
            let form = (form + 1).to_be_bytes().to_vec();
            engine.commit(&Batch::from([(keys::meta("schema"), Some(form))]))?;
        }
    }
    engine.end();
    drop(engine);
    embedded::write_form(folder, newest)?;
    fs::remove_file(&mark)?;
    sync(folder)
}

fn sync(path: &Path) -> Result<(), StoreError> {
    Ok(File::open(path)?.sync_all()?)
}

/// Copies a folder; it has its name only once it is whole and on disk.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let new = to.with_extension("new");
    for old in [to, &new] {
        match fs::remove_dir_all(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    fs::create_dir(&new)?;
    copy_files(from, &new)?;
    fs::rename(&new, to)?;
    to.parent().map_or(Ok(()), sync)
}

fn copy_files(from: &Path, to: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            sync(&target)?;
        }
    }
    sync(to)
}

/// Makes a folder what its snapshot is. The mark stays until the migration is over: until then this is
/// done again.
fn put_back(snapshot: &Path, folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == UNDER_WAY {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    copy_files(snapshot, folder)
}

#[cfg(test)]
mod tests;
