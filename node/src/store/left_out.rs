//! What the operator of this node chose to leave out: authors that are not carried, and records that
//! are not shown. It is asked of every record that is read, so it is kept at hand.
//!
//! Of a blocked author nothing is taken, shown or handed out; what is held of it stays, unseen, until
//! the block ends. A hidden record is held and relayed as ever. Which version of a record counts is
//! decided by neither.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::id::{RecordId, Scid};
use protocol::identity::LogState;

use super::engine::Engine;
use super::logs::split_entry;
use super::named::NamedRows;
use super::rows::{AuthorRow, ChangeRow, HeldRow, corrupt};
use super::transaction::Reader;
use super::{Store, StoreError, keys};

/// Authors that are not carried, by SCID. What the rows say is the business of whoever puts them.
const BLOCKED: &str = "blocked-authors";
/// Records that are not shown, by id.
const HIDDEN: &str = "hidden-records";

/// Clones share what is at hand.
#[derive(Debug, Clone, Default)]
pub(super) struct LeftOut(Arc<RwLock<Sets>>);

#[derive(Debug, Default)]
struct Sets {
    blocked: BTreeSet<Scid>,
    hidden: BTreeSet<RecordId>,
}

impl LeftOut {
    /// What an engine holds of it.
    pub(super) fn of(engine: &dyn Engine) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(RwLock::new(Sets::read(engine)?))))
    }

    /// Forgets what was not written.
    pub(super) fn read_again(&self, engine: &dyn Engine) {
        match Sets::read(engine) {
            Ok(sets) => *self.0.write().unwrap_or_else(PoisonError::into_inner) = sets,
            Err(error) => tracing::error!(%error, "what is left out here could not be read again"),
        }
    }

    pub(super) fn has_author(&self, scid: &Scid) -> bool {
        self.sets().blocked.contains(scid)
    }

    fn sets(&self) -> std::sync::RwLockReadGuard<'_, Sets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sets)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Sets {
    fn read(engine: &dyn Engine) -> Result<Self, StoreError> {
        let names = |table: &str| -> Result<Vec<String>, StoreError> {
            let prefix = keys::named(table, &[]);
            let name = |key: &[u8]| String::from_utf8(key.get(prefix.len()..)?.to_vec()).ok();
            Reader::rows(engine, &prefix)?
                .iter()
                .map(|(key, _)| name(key).ok_or_else(|| corrupt("a name that does not read")))
                .collect()
        };
        let damaged = |_| corrupt("a name of what is left out that does not read");
        Ok(Self {
            blocked: names(BLOCKED)?
                .iter()
                .map(|name| Scid::parse(name).map_err(damaged))
                .collect::<Result<_, _>>()?,
            hidden: names(HIDDEN)?
                .iter()
                .map(|name| RecordId::parse(name).map_err(damaged))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl NamedRows<'_, '_> {
    /// Carries an author no longer, or again with `None`. `row` is kept with the decision, which holds at once.
    /// Who follows the change log is told of every record by [`Store::look_again`], which is to be called next.
    ///
    /// # Errors
    /// A disk fault.
    pub fn block_author(&mut self, scid: &Scid, row: Option<Vec<u8>>) -> Result<(), StoreError> {
        let name = scid.to_string();
        let is_blocked = row.is_some();
        match row {
            Some(row) => self.put(BLOCKED, &name, row),
            None => self.remove(BLOCKED, &name),
        }
        // The log too: whoever keeps sets of what is handed out looks at it again.
        for (key, row) in self.tx.rows(&keys::entries(scid))? {
            let (change, packed) = split_entry(&row)?;
            self.tx.remove(keys::change(change));
            let change = self.tx.append(&ChangeRow::Entry(key.clone()))?;
            let row = [&change.to_be_bytes()[..], packed].concat();
            self.tx.put(key, row);
        }
        self.begin_looking(scid);
        self.left_out.change(|sets| match is_blocked {
            true => drop(sets.blocked.insert(*scid)),
            false => drop(sets.blocked.remove(scid)),
        });
        Ok(())
    }

    /// Shows a record no longer, or again with `None`. `row` is kept with the decision.
    ///
    /// # Errors
    /// A disk fault.
    pub fn hide_record(&mut self, id: &RecordId, row: Option<Vec<u8>>) -> Result<(), StoreError> {
        let name = id.to_string();
        self.tx.append(&ChangeRow::Judged(keys::held_of(id)))?;
        let is_hidden = row.is_some();
        match row {
            Some(row) => self.put(HIDDEN, &name, row),
            None => self.remove(HIDDEN, &name),
        }
        self.left_out.change(|sets| match is_hidden {
            true => drop(sets.hidden.insert(id.clone())),
            false => drop(sets.hidden.remove(id)),
        });
        Ok(())
    }
}

impl Store {
    /// Whether this node does not carry an author.
    pub fn is_blocked(&self, scid: &Scid) -> bool {
        self.left_out.has_author(scid)
    }

    /// Whether there are authors that this node does not carry.
    pub fn leaves_out_authors(&self) -> bool {
        !self.left_out.sets().blocked.is_empty()
    }

    /// As [`Store::held`], of an author that may be one that is not carried: for knowing what is here, never for
    /// showing or handing it out.
    pub fn held_unseen(
        &self,
        scid: &Scid,
    ) -> impl Iterator<Item = Result<(RecordId, HeldRow), StoreError>> + '_ {
        self.all_held(Some(scid))
    }

    /// What the log of an author says that may be one that is not carried, if there is one.
    ///
    /// # Errors
    /// A disk fault.
    pub fn state_unseen(&self, scid: &Scid) -> Result<Option<LogState>, StoreError> {
        AuthorRow::read(&*self.engine, scid)?.state()
    }

    /// Whether this node does not show a record.
    pub fn is_hidden(&self, id: &RecordId) -> bool {
        self.left_out.sets().hidden.contains(id)
    }

    /// What was kept with the block of an author; `None` if it is carried.
    ///
    /// # Errors
    /// A disk fault.
    pub fn blocked_author(&self, scid: &Scid) -> Result<Option<Vec<u8>>, StoreError> {
        self.named(BLOCKED, &scid.to_string())
    }

    /// The authors that are not carried, with what was kept of each.
    ///
    /// # Errors
    /// A disk fault.
    pub fn blocked_authors(&self) -> Result<Vec<(Scid, Vec<u8>)>, StoreError> {
        let read = |(name, row): (String, Vec<u8>)| {
            let scid =
                Scid::parse(&name).map_err(|_| corrupt("a blocked author without a name"))?;
            Ok((scid, row))
        };
        self.all_named(BLOCKED)?.into_iter().map(read).collect()
    }

    /// What was kept with the hiding of a record; `None` if it is shown.
    ///
    /// # Errors
    /// A disk fault.
    pub fn hidden_record(&self, id: &RecordId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.is_hidden(id) {
            true => self.named(HIDDEN, &id.to_string()),
            false => Ok(None),
        }
    }
}
