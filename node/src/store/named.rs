//! Rows that other modules keep, several of them changed as one step.

use super::left_out::LeftOut;
use super::transaction::{Reader as _, Transaction};
use super::{Store, StoreError, keys};

/// The rows of other modules within one transaction: it sees its own changes, and all or none of them
/// are written.
pub struct NamedRows<'r, 's> {
    pub(super) tx: &'r mut Transaction<'s>,
    pub(super) left_out: &'r LeftOut,
}

impl NamedRows<'_, '_> {
    /// The value under a name in a table.
    ///
    /// # Errors
    /// A disk fault.
    pub fn get(&self, table: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.tx.get(&keys::named(table, name.as_bytes()))
    }

    /// Puts a value.
    pub fn put(&mut self, table: &str, name: &str, value: Vec<u8>) {
        self.tx.put(keys::named(table, name.as_bytes()), value);
    }

    /// Removes a value.
    pub fn remove(&mut self, table: &str, name: &str) {
        self.tx.remove(keys::named(table, name.as_bytes()));
    }
}

impl Store {
    /// Changes rows of other modules by what they are when their turn comes, as one step. Durable on
    /// return; nothing of it is written if `change` gives an error.
    ///
    /// # Errors
    /// That of `change`, or a disk fault.
    pub async fn change_named<T, E>(
        &self,
        change: impl FnOnce(&mut NamedRows<'_, '_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (left_out, engine) = (self.left_out.clone(), self.engine.clone());
        let undone = left_out.clone();
        let job = move |tx: &mut Transaction<'_>| {
            change(&mut NamedRows {
                tx,
                left_out: &left_out,
            })
        };
        let answer = self.writer.submit_and(job, move |is_written| {
            if !is_written {
                // What was left out in memory alone comes back.
                undone.read_again(&*engine);
            }
        });
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}
