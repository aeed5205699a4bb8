//! Rows that other modules keep, several of them changed as one step.

use protocol::id::Scid;

use super::left_out::LeftOut;
use super::transaction::{Reader, Transaction};
use super::{Store, StoreError, keys};

/// The table of what the operator decided about others: whoever waits for news looks again when it grows,
/// because it may have been blocked.
pub const DECISIONS: &str = "audit";

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

    /// Notes that an author was reconciled, so that nothing of it is missing for want of room.
    ///
    /// # Errors
    /// A disk fault.
    pub fn note_complete(&mut self, author: &Scid) -> Result<(), StoreError> {
        self.tx
            .change_author(author, |author| author.is_incomplete = false)
    }

    /// Removes a value.
    pub fn remove(&mut self, table: &str, name: &str) {
        self.tx.remove(keys::named(table, name.as_bytes()));
    }
}

impl Store {
    /// A value that another module keeps under a name in a table of its own.
    ///
    /// # Errors
    /// A disk fault.
    pub fn named(&self, table: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(&keys::named(table, name.as_bytes()))
    }

    /// All values of such a table, by name.
    ///
    /// # Errors
    /// A disk fault.
    pub fn all_named(&self, table: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let prefix = keys::named(table, &[]);
        let name = |key: &[u8]| {
            String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned()
        };
        let rows = Reader::rows(&*self.engine, &prefix)?;
        Ok(rows
            .into_iter()
            .map(|(key, value)| (name(&key), value))
            .collect())
    }

    /// Puts such a value, or removes it with `None`. Durable on return.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn put_named(
        &self,
        table: &str,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let key = keys::named(table, name.as_bytes());
        let answer = self.writer.submit(move |tx| {
            match value {
                Some(value) => tx.put(key, value),
                None => tx.remove(key),
            }
            Ok(())
        });
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

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
