//! A new store, filled from a copy of another.

use std::path::Path;

use super::copy::Piece;
use super::embedded::{Embedded, IN_ORDER_BYTES, write_form};
use super::engine::{Batch, Engine};
use super::{Named, StoreError, keys};

/// A store that is being filled. Nobody else has it open.
pub struct Filling {
    engine: Embedded,
    batch: Batch,
    bytes: usize,
}

impl Filling {
    /// Begins a store in `folder`, where there is none.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            engine: Embedded::open_to_fill(folder)?,
            batch: Batch::new(),
            bytes: 0,
        })
    }

    /// Applies the next changes of the copy.
    ///
    /// # Errors
    /// The disk.
    pub fn apply(&mut self, piece: Piece) -> Result<(), StoreError> {
        for (key, value) in piece.changes {
            self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            self.batch.insert(key, value);
        }
        if self.bytes >= IN_ORDER_BYTES {
            self.bytes = 0;
            self.engine
                .apply_in_order(&std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }

    /// Ends the store in order. Its change log has the name `epoch` from now on: what is published here next
    /// is not what stood at the same places of the log that was copied. `form` is that of
    /// its rows, `beside` is put with them.
    ///
    /// # Errors
    /// The disk.
    pub fn finish(
        mut self,
        folder: &Path,
        form: u64,
        epoch: &str,
        beside: Vec<Named>,
    ) -> Result<(), StoreError> {
        self.batch.extend(own_rows(epoch, beside));
        self.engine.commit(&self.batch)?;
        self.engine.end();
        drop(self.engine);
        write_form(folder, form)
    }
}

/// Makes a copy of a store one of its own, as [`Filling::finish`] does: for engines without a folder.
/// Nobody has it open.
///
/// # Errors
/// The engine.
pub fn make_own(engine: &dyn Engine, epoch: &str, beside: Vec<Named>) -> Result<(), StoreError> {
    engine.commit(&own_rows(epoch, beside))
}

/// The rows by which a copy differs from what was copied.
fn own_rows(epoch: &str, beside: Vec<Named>) -> Batch {
    let epoch = epoch.as_bytes().to_vec();
    let mut rows = Batch::from([(keys::meta("epoch"), Some(epoch))]);
    for Named { table, name, value } in beside {
        rows.insert(keys::named(table, name.as_bytes()), Some(value));
    }
    rows
}
