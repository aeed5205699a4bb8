//! What a store needs of an engine: ordered bytes, read freely, written in atomic batches that are
//! durable when [`Engine::commit`] returns. Engines know no rules and no records.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use super::StoreError;

/// One row.
pub type Row = (Vec<u8>, Vec<u8>);

/// Rows in key order; a disk fault ends the iteration as an error, never as an end.
pub type Rows<'e> = Box<dyn Iterator<Item = Result<Row, StoreError>> + Send + 'e>;

/// Changes that are applied together: a value to put, or `None` to remove.
pub type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An ordered map from bytes to bytes. `tests.rs` in this folder holds every engine to this contract.
pub trait Engine: Send + Sync + 'static {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The rows with `from <= key < to`, in order.
    fn range(&self, from: &[u8], to: &[u8]) -> Rows<'_>;

    /// The last row with `from <= key < to`.
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError>;

    /// Applies all of the batch or nothing. When it returns, the batch survives a power cut.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Remembers outside of the rows which change was acknowledged last, for whoever opens it next.
    fn note_acknowledged(&self, _last_change: u64) {}

    /// Whether there is room for a commit, or for so many bytes more.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is not; nothing was begun then.
    fn check_room(&self, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Bytes on disk when all rows were last written anew, in order; 0 if they never were.
    fn size_in_order(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Begins to write all rows anew, beside those that are read until [`Engine::take_anew`]; `false` if
    /// there is nothing to gain.
    ///
    /// # Errors
    /// [`StoreError::Compacting`] if that was begun already; the disk.
    fn begin_anew(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Adds rows to those that are written anew; they are durable once they are taken.
    fn add_anew(&self, _batch: &Batch) -> Result<(), StoreError> {
        Ok(())
    }

    /// Goes on with what was written anew. After an error it is not known with which rows it would go on,
    /// which are the same in both: [`Engine::reopen`] finds out.
    fn take_anew(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Lets go of what was begun and not taken, or of what was read before.
    fn end_anew(&self) {}

    /// Lets go of all that is in memory and reads anew what is on disk. After a failed commit nobody knows
    /// what the engine has of it.
    ///
    /// # Errors
    /// It cannot be opened; nothing can be read until it can.
    fn reopen(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Bytes on disk.
    fn size_on_disk(&self) -> Result<u64, StoreError>;

    /// Notes that nothing more is written, for whoever opens it next.
    fn end(&self) {}
}

/// The engine of tests and simulations: nothing survives the process.
#[derive(Debug, Default)]
pub struct Memory(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Memory {
    /// A copy of what is held, as a disk image to start another node from.
    pub fn image(&self) -> Self {
        Self(RwLock::new(self.read().clone()))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8]) -> Rows<'_> {
        if from >= to {
            return Box::new(std::iter::empty());
        }
        let mut from = Bound::Included(from.to_vec());
        let to = Bound::Excluded(to.to_vec());
        Box::new(std::iter::from_fn(move || {
            let rows = self.read();
            let (key, value) = rows.range((from.clone(), to.clone())).next()?;
            from = Bound::Excluded(key.clone());
            Some(Ok((key.clone(), value.clone())))
        }))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        if from >= to {
            return Ok(None);
        }
        let rows = self.read();
        let last = rows.range(from.to_vec()..to.to_vec()).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
