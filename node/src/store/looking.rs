//! Looking again at every record of an author whose block began or ended, in pieces: an author may have a
//! hundred thousand, and nobody else can write while one piece is written.
//!
//! The decision itself is one small step and holds at once: whether an author is carried is asked of every record
//! that is read. What remains is to tell those who follow the change log. How far that is stands in the store,
//! so that a node which was killed goes on with it at its next start.

use protocol::id::Scid;

use super::named::NamedRows;
use super::rows::{ChangeRow, HeldRow, corrupt};
use super::transaction::{self, Reader as _};
use super::{Store, StoreError, keys};

/// From which row on an author is still to be looked at, by SCID.
const LOOKING: &str = "looking-again";

/// Rows of one piece.
const ROWS: usize = 500;

impl NamedRows<'_, '_> {
    /// Has all records of an author looked at again, from the first: see [`Store::look_again`].
    pub(super) fn begin_looking(&mut self, scid: &Scid) {
        self.put(LOOKING, &scid.to_string(), keys::held_by(scid));
    }

    /// Tells those who follow the change log of the rows with `from <= key < to`, whether they are carried or not.
    fn look_at(&mut self, scid: &Scid, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        for (key, row) in self.tx.between(from, to)? {
            if self.left_out.has_author(scid) {
                let id = keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record"))?;
                self.tx.append(&ChangeRow::Judged(keys::held_of(&id)))?;
            } else {
                // Other nodes passed it over while it was not carried: they find it at the end of the log.
                let held = HeldRow::read(&row)?;
                self.tx.remove(keys::change(held.change));
                let change = self.tx.append(&ChangeRow::Held(key.clone()))?;
                self.tx.put(key, HeldRow { change, ..held }.write());
            }
        }
        Ok(())
    }
}

impl Store {
    /// Looks again at all records of the authors whose block began or ended, to the end. Whoever does not wait
    /// for that, or is killed, finds it begun at the next call.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn look_again(&self) -> Result<(), StoreError> {
        while self.look_again_at_some().await? {}
        Ok(())
    }

    /// One piece of [`Store::look_again`]; `false` if nothing was left to be looked at.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn look_again_at_some(&self) -> Result<bool, StoreError> {
        let Some((name, from)) = self.all_named(LOOKING)?.into_iter().next() else {
            return Ok(false);
        };
        let scid = Scid::parse(&name).map_err(|_| corrupt("an author without a name"))?;
        let end = transaction::after(&keys::held_by(&scid));
        // How far the piece goes is found while others write.
        let last = self.engine.range(&from, &end).take(ROWS).last();
        let to = match last.transpose()? {
            Some((key, _)) => [key.as_slice(), &[0]].concat(),
            None => end.clone(),
        };
        let piece = move |rows: &mut NamedRows<'_, '_>| {
            // Somebody else was faster, or another decision began it anew.
            if rows.get(LOOKING, &name)?.as_ref() != Some(&from) {
                return Ok(());
            }
            rows.look_at(&scid, &from, &to)?;
            match to == end {
                true => rows.remove(LOOKING, &name),
                false => rows.put(LOOKING, &name, to),
            }
            Ok(())
        };
        self.change_named::<_, StoreError>(piece).await?;
        Ok(true)
    }
}
