//! What a node keeps, and the one way to change it.
//!
//! [`Store`] is the contract that the rest of the node sees; an [`engine::Engine`] below it keeps
//! ordered bytes. Records and the change log are written in one transaction, so whoever tails the log
//! misses nothing. The rules of what is held are asked of `protocol`, never decided here.

mod compact;
mod copy;
pub mod embedded;
pub mod engine;
mod facets;
mod fill;
mod keys;
mod left_out;
mod logs;
mod migrate;
mod named;
mod past;
mod quota;
mod records;
mod rows;
mod scan;
mod state;
#[cfg(test)]
mod tests;
mod touched;
mod transaction;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::acceptance::Rules;
use protocol::envelope::Status;
use protocol::id::{LocalId, RecordId, Scid, VersionHash};
use protocol::identity::{LogEntry, LogState, VersionId, WitnessProofs};
use protocol::key::PublicKey;
use protocol::time::Timestamp;
use protocol::verified::Proven;
use tokio::sync::watch;

pub use compact::Compacted;
use copy::Copying;
pub use copy::{Moment, Part, Piece, Pieces};
pub use embedded::FREE_BYTES_MIN;
use engine::{Engine, Row};
pub use facets::matches;
pub use fill::{Filling, begin_anew};
use left_out::LeftOut;
pub use logs::{LogReceipt, LogRefusal};
pub use named::NamedRows;
pub use quota::Quotas;
pub use records::{Offered, Receipt, Refusal, Sender};
pub use rows::HeldRow;
use rows::{AuthorRow, ChangeRow, corrupt};
pub use scan::Scan;
pub use touched::Touched;
use transaction::{Durable, Reader, Writer};

/// The form of what is on disk. A newer one is refused, an older one migrated.
pub const SCHEMA: u64 = 3;

/// A fault of the disk or of what is on it. Never a reason to think that something is not there.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{} is in use by another process: stop that one, or choose another folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be read or written.
    #[error("{} cannot be used: {reason}", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The store was written by a later release.
    #[error(
        "the store has form {found}, this program knows up to {SCHEMA}: install the newer release; nothing was changed"
    )]
    Newer {
        /// The form found.
        found: u64,
    },
    /// What is on disk is damaged.
    #[error("damaged data: {detail}")]
    Corrupt {
        /// What, and where.
        detail: String,
    },
    /// The disk failed.
    #[error("the disk: {0}")]
    Io(#[from] std::io::Error),
    /// There is hardly any room left.
    #[error(
        "the disk has only {free_bytes} bytes left, and the store needs some to go on: make room, and it writes again"
    )]
    Full {
        /// What is left.
        free_bytes: u64,
    },
    /// A write failed, and nothing more is written until the store could be opened again.
    #[error("the store could not write: {reason}")]
    NotWritten {
        /// Why the first one failed.
        reason: String,
    },
    /// Its rows are being written anew.
    #[error("the store is being compacted: wait until that is done")]
    Compacting,
    /// The node is stopping.
    #[error("the store is closed")]
    Closed,
}

/// Why a log entry and the records that came with it were not taken.
#[derive(Debug, thiserror::Error)]
pub enum BatchRefusal {
    /// The entry.
    #[error(transparent)]
    Log(#[from] LogRefusal),
    /// A record.
    #[error(transparent)]
    Record(#[from] Refusal),
}

impl From<StoreError> for BatchRefusal {
    fn from(error: StoreError) -> Self {
        Self::Log(error.into())
    }
}

/// One row of the change log.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its number: rows are read in this order, and numbers have gaps.
    pub number: u64,
    /// What changed.
    pub what: What,
}

/// What changed.
#[derive(Debug, Clone)]
pub enum What {
    /// A version came to be held, and still is.
    Held {
        /// Of which record.
        id: RecordId,
        /// The version.
        row: HeldRow,
    },
    /// An entry of an author's log came to be held.
    Entry {
        /// The author.
        scid: Scid,
        /// The canonical bytes of the entry.
        entry: Vec<u8>,
    },
    /// What counts of a record may have changed although no version came.
    Judged {
        /// The record.
        id: RecordId,
    },
}

/// Transactions of which none is written once one has failed, such as the batches of a peer's page:
/// what leads past a batch must not be there without it. They meet in the one thread that writes.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    has_failed: Arc<AtomicBool>,
}

/// A row that another module keeps, to be put with records.
#[derive(Debug, Clone)]
pub struct Named {
    /// The table.
    pub table: &'static str,
    /// The name within it.
    pub name: String,
    /// The value.
    pub value: Vec<u8>,
}

/// One version of a record in a listing of all that a node knows of.
#[derive(Debug, Clone)]
pub struct Version {
    /// Of which record.
    pub id: RecordId,
    /// The key that signed it.
    pub key: PublicKey,
    /// Number, digest, status and when it came.
    pub row: HeldRow,
}

/// What is known of an author.
#[derive(Debug, Clone)]
pub struct Author {
    /// What its log says.
    pub state: LogState,
    /// The log is forked: somebody else holds an update key.
    pub is_disputed: bool,
    /// The operator chose the line that this node goes by.
    pub is_pinned: bool,
    /// One key signed two versions with one number.
    pub has_twins: bool,
    /// Records were refused because too many waited for the log.
    pub is_incomplete: bool,
    /// As many of its records are held as this node takes of one author: it takes no new ones.
    pub is_full: bool,
}

/// What a node keeps. Cheap to clone through its `Arc`s; one writer thread behind it.
pub struct Store {
    engine: Arc<dyn Engine>,
    writer: Writer,
    durable: Arc<Durable>,
    ticks: watch::Receiver<u64>,
    epoch: String,
    rules: Rules,
    quotas: Quotas,
    left_out: LeftOut,
    was_ended: bool,
}

impl Store {
    /// Opens the store on disk in `folder`, or makes it. `epoch` names the new one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(folder: &Path, epoch: String) -> Result<Self, StoreError> {
        migrate::migrate(folder)?;
        let form = embedded::form_of(folder)?;
        if let Some(found) = form.filter(|found| *found > SCHEMA) {
            return Err(StoreError::Newer { found });
        }
        let engine = embedded::Embedded::open(folder)?;
        let was_ended = engine.was_ended();
        begin_anew_after_loss(&engine, &epoch)?;
        let mut store = Self::on(Arc::new(engine), epoch, Rules::decided())?;
        store.was_ended = was_ended;
        if !was_ended {
            let last_change = store.last_change()?;
            tracing::warn!(
                last_change,
                "the store was not closed in order, by a kill or a power cut: all that was acknowledged is here, what was being written then is dropped"
            );
        }
        if form != Some(SCHEMA) {
            embedded::write_form(folder, SCHEMA)?;
        }
        Ok(store)
    }

    /// A store on an engine, under rules.
    ///
    /// # Errors
    /// [`StoreError::Newer`], or a fault of the engine.
    pub fn on(engine: Arc<dyn Engine>, epoch: String, rules: Rules) -> Result<Self, StoreError> {
        let schema = match engine.get(&keys::meta("schema"))? {
            None => None,
            Some(row) => {
                let row = row
                    .try_into()
                    .map_err(|_| corrupt("a schema version that does not read"))?;
                Some(u64::from_be_bytes(row))
            }
        };
        let epoch = match schema {
            Some(found) if found > SCHEMA => return Err(StoreError::Newer { found }),
            Some(found) if found < SCHEMA => {
                return Err(corrupt("an older form than the file beside it says"));
            }
            Some(_) => {
                let epoch = engine
                    .get(&keys::meta("epoch"))?
                    .ok_or_else(|| corrupt("no epoch"))?;
                String::from_utf8(epoch).map_err(|_| corrupt("an epoch that does not read"))?
            }
            None => {
                let first = [
                    (keys::meta("schema"), Some(SCHEMA.to_be_bytes().to_vec())),
                    (keys::meta("epoch"), Some(epoch.clone().into_bytes())),
                ];
                engine.commit(&first.into_iter().collect())?;
                epoch
            }
        };
        let (tick, ticks) = watch::channel(0);
        let durable = Arc::new(Durable::default());
        let writer = Writer::start(Arc::clone(&engine), Arc::clone(&durable), tick)?;
        Ok(Self {
            left_out: LeftOut::of(&*engine)?,
            engine,
            writer,
            durable,
            ticks,
            epoch,
            rules,
            quotas: Quotas::default(),
            was_ended: true,
        })
    }

    /// Takes no more records than this.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// Whether whoever had it open before came to an orderly end.
    pub fn was_ended(&self) -> bool {
        self.was_ended
    }

    /// The name of this change log: random, and new after a restore. Cursors are bound to it.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Ticks after every commit.
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.clone()
    }

    /// Takes a proven record in. The receipt comes when it is durable.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn admit(
        &self,
        proven: Proven,
        now: Timestamp,
        sender: Sender,
    ) -> Result<Receipt, Refusal> {
        let offered = Offered::new(proven)?;
        let mut receipts = self.admit_all(vec![offered], now, sender, None).await?;
        receipts
            .pop()
            .unwrap_or(Err(Refusal::Store(StoreError::Closed)))
    }

    /// Takes many proven records in, as one transaction: all their receipts come when all are durable.
    /// `beside` is put with them: rows of other modules' tables, such as how far a peer was read.
    ///
    /// # Errors
    /// A disk fault; refusals of single records stand in the list, in the order given.
    pub async fn admit_all(
        &self,
        offered: Vec<Offered>,
        now: Timestamp,
        sender: Sender,
        beside: impl IntoIterator<Item = Named>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, StoreError> {
        let beside = beside.into_iter().collect();
        self.admit_next(offered, now, sender, beside, &Sequence::default())
            .await
    }

    /// As [`Store::admit_all`], as the next of a sequence: it is written after those that were called
    /// before, whichever is waited for, and not at all once one of them failed.
    ///
    /// # Errors
    /// As [`Store::admit_all`]; [`StoreError::Closed`] after a failure.
    pub fn admit_next(
        &self,
        offered: Vec<Offered>,
        now: Timestamp,
        sender: Sender,
        beside: Vec<Named>,
        sequence: &Sequence,
    ) -> impl Future<Output = Result<Vec<Result<Receipt, Refusal>>, StoreError>> + Send + use<>
    {
        let (rules, quotas) = (self.rules, self.quotas);
        let left_out = self.left_out.clone();
        let sequence = sequence.clone();
        let failed = sequence.clone();
        let job = move |tx: &mut transaction::Transaction<'_>| {
            if sequence.has_failed.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            for Named { table, name, value } in beside {
                tx.put(keys::named(table, name.as_bytes()), value);
            }
            let receipts: Result<Vec<_>, StoreError> = offered
                .into_iter()
                .map(|offered| {
                    let author = *offered.proven().record().header.author.scid();
                    if left_out.has_author(&author) {
                        return records::refuse_blocked(tx, &author).map(Err);
                    }
                    match records::admit(tx, &rules, offered, now, &sender, Some(&quotas)) {
                        // A refusal is written too: an author of whom records were refused for want
                        // of room is noted.
                        Err(Refusal::Store(error)) => Err(error),
                        receipt => Ok(receipt),
                    }
                })
                .collect();
            if receipts.is_err() {
                sequence.has_failed.store(true, Ordering::Relaxed);
            }
            receipts
        };
        let answer = self.writer.submit_and(job, move |is_written| {
            if !is_written {
                failed.has_failed.store(true, Ordering::Relaxed);
            }
        });
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Takes a log entry in, with the witness proofs that came with it.
    ///
    /// # Errors
    /// See [`LogRefusal`].
    pub async fn learn(
        &self,
        entry: LogEntry,
        proofs: WitnessProofs,
        now: Timestamp,
    ) -> Result<LogReceipt, LogRefusal> {
        let rules = self.rules;
        let left_out = self.left_out.clone();
        let answer = self.writer.submit(move |tx| {
            if left_out.has_author(entry.scid()) {
                return Err(LogRefusal::AuthorBlocked);
            }
            logs::learn(tx, &rules, &entry, &proofs, now)
        });
        answer.await.unwrap_or(Err(StoreError::Closed.into()))
    }

    /// Takes an own log entry in together with the records that are signed under it, as one transaction: all
    /// of it or nothing. An entry that would have to wait is refused: the next change would be made
    /// without it, and fork the log.
    ///
    /// # Errors
    /// See [`BatchRefusal`].
    pub async fn learn_with(
        &self,
        entry: LogEntry,
        offered: Vec<Offered>,
        now: Timestamp,
    ) -> Result<LogReceipt, BatchRefusal> {
        let rules = self.rules;
        let answer = self.writer.submit(move |tx| {
            let receipt = logs::learn(tx, &rules, &entry, &WitnessProofs::empty(), now)?;
            if matches!(receipt, LogReceipt::Waiting | LogReceipt::Forked) {
                return Err(LogRefusal::Unfit.into());
            }
            for offered in offered {
                records::admit(tx, &rules, offered, now, &None, None)?;
            }
            Ok(receipt)
        });
        answer
            .await
            .unwrap_or(Err(BatchRefusal::from(StoreError::Closed)))
    }

    /// Goes by another line of a forked log from now on; `beside` is put with it. `false` if that entry is
    /// not held.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn pin(
        &self,
        scid: Scid,
        version: VersionId,
        now: Timestamp,
        beside: impl FnOnce(&mut NamedRows<'_, '_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<bool, StoreError> {
        let (rules, left_out) = (self.rules, self.left_out.clone());
        let answer = self.writer.submit(move |tx| {
            let is_held = logs::pin(tx, &rules, &scid, &version, now)?;
            if is_held {
                beside(&mut NamedRows {
                    tx,
                    left_out: &left_out,
                })?;
            }
            Ok(is_held)
        });
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes in what was dated ahead and is due now; gives how many.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn admit_due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let rules = self.rules;
        let mut admitted = 0;
        loop {
            let answer = self
                .writer
                .submit(move |tx| records::admit_due(tx, &rules, now));
            let due = answer.await.unwrap_or(Err(StoreError::Closed))?;
            admitted += due.admitted;
            if !due.is_more {
                return Ok(admitted);
            }
        }
    }

    /// Notes that an author was reconciled, so that nothing of it is missing for want of room.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_complete(&self, scid: Scid) -> Result<(), StoreError> {
        let answer = self
            .writer
            .submit(move |tx| tx.change_author(&scid, |author| author.is_incomplete = false));
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What is known of an author; `None` if no log is held.
    ///
    /// # Errors
    /// A disk fault.
    pub fn author(&self, scid: &Scid) -> Result<Option<Author>, StoreError> {
        self.author_of(scid, &AuthorRow::read(&*self.engine, scid)?)
    }

    fn author_of(&self, scid: &Scid, row: &AuthorRow) -> Result<Option<Author>, StoreError> {
        let is_full = quota::is_reached(&*self.engine, &self.quotas, scid)?;
        Ok(row.state()?.map(|state| Author {
            state,
            is_disputed: row.is_disputed,
            is_pinned: row.is_pinned,
            has_twins: row.has_twins,
            is_incomplete: row.is_incomplete,
            is_full,
        }))
    }

    /// Every author that is carried and whose log is held, by SCID.
    ///
    /// # Errors
    /// A disk fault.
    pub fn authors(&self) -> Result<Vec<Author>, StoreError> {
        let prefix = keys::authors();
        let mut authors = Vec::new();
        for row in self.engine.range(&prefix, &transaction::after(&prefix)) {
            let (key, row) = row?;
            let scid =
                keys::scid_of_author(&key).ok_or_else(|| corrupt("an author without a name"))?;
            let row: AuthorRow = serde_json::from_slice(&row)
                .map_err(|_| corrupt("an author that does not read"))?;
            if !self.is_blocked(&scid) {
                authors.extend(self.author_of(&scid, &row)?);
            }
        }
        Ok(authors)
    }

    /// All lines of an author's log, first entry first, those of forks among them; none of an author
    /// that is not carried.
    ///
    /// # Errors
    /// A disk fault.
    pub fn log_of(&self, scid: &Scid) -> Result<Vec<Vec<u8>>, StoreError> {
        if self.is_blocked(scid) {
            return Ok(Vec::new());
        }
        let rows = Reader::rows(&*self.engine, &keys::entries(scid))?;
        rows.iter()
            .map(|(_, row)| rows::unpack(logs::split_entry(row)?.1))
            .collect()
    }

    /// The lines of the branch of an author's log that this node goes by, first entry first: what a
    /// did:webvh resolver reads.
    ///
    /// # Errors
    /// A disk fault.
    pub fn active_log_of(&self, scid: &Scid) -> Result<Vec<Vec<u8>>, StoreError> {
        if self.is_blocked(scid) {
            return Ok(Vec::new());
        }
        logs::active_line(&*self.engine, scid)
    }

    /// The witness proofs of an author's log, as `did-witness.json`; `None` if it uses none.
    ///
    /// # Errors
    /// A disk fault.
    pub fn witness_of(&self, scid: &Scid) -> Result<Option<Vec<u8>>, StoreError> {
        if self.is_blocked(scid) {
            return Ok(None);
        }
        self.engine.get(&keys::witness(scid))
    }

    /// The version of a record that counts.
    ///
    /// # Errors
    /// A disk fault.
    pub fn counting(&self, id: &RecordId) -> Result<Option<HeldRow>, StoreError> {
        if self.is_blocked(&id.author) {
            return Ok(None);
        }
        let rows = Reader::rows(&*self.engine, &keys::held_of(id))?;
        let held = rows
            .iter()
            .map(|(_, row)| HeldRow::read(row))
            .collect::<Result<_, _>>()?;
        Ok(records::counting(&self.rules, held))
    }

    /// Every record of an author with the version of it that counts, tombstones included, in order of
    /// local id.
    ///
    /// # Errors
    /// A disk fault.
    pub fn counting_of(&self, author: &Scid) -> Result<Vec<(RecordId, HeldRow)>, StoreError> {
        let mut counting: Vec<(RecordId, HeldRow)> = Vec::new();
        for held in self.held(Some(author)) {
            let (id, _) = held?;
            if counting.last().is_none_or(|(last, _)| *last != id) {
                counting.extend(self.counting(&id)?.map(|row| (id, row)));
            }
        }
        Ok(counting)
    }

    /// The versions of a record that this node knows of, highest number first: those held and those
    /// that were displaced. Bodies of displaced ones are not handed out by this.
    ///
    /// # Errors
    /// A disk fault.
    pub fn history(&self, id: &RecordId) -> Result<Vec<HeldRow>, StoreError> {
        if self.is_blocked(&id.author) {
            return Ok(Vec::new());
        }
        let mut versions = Vec::new();
        for prefix in [keys::held_of(id), keys::past_of(id)] {
            for (_, row) in Reader::rows(&*self.engine, &prefix)? {
                versions.push(HeldRow::read(&row)?);
            }
        }
        versions.sort_by_key(|row| (std::cmp::Reverse(row.rank.seq), row.rank.hash));
        versions.dedup_by_key(|row| row.rank.hash);
        Ok(versions)
    }

    /// The versions of an author's records that this node knows of, held and past, in order of local
    /// id, from the record after `after`; once there are `enough`, the record under way is the last. Whether there are more records is told beside.
    ///
    /// # Errors
    /// A disk fault.
    pub fn history_of(
        &self,
        author: &Scid,
        after: Option<&LocalId>,
        enough: usize,
    ) -> Result<(Vec<Version>, bool), StoreError> {
        if self.is_blocked(author) {
            return Ok((Vec::new(), false));
        }
        let rows_from = |prefix: Vec<u8>| {
            let from = match after {
                Some(local) => keys::after_record(&prefix, local),
                None => prefix.clone(),
            };
            self.engine.range(&from, &transaction::after(&prefix))
        };
        let damaged = || corrupt("a version without a record or a key");
        let mut held = rows_from(keys::held_by(author)).peekable();
        let mut past = rows_from(keys::past_by(author)).peekable();
        let mut versions: Vec<Version> = Vec::new();
        loop {
            let id_of = |row: Option<&Result<Row, StoreError>>,
                         id: fn(&[u8]) -> Option<RecordId>| {
                row.and_then(|row| row.as_ref().ok())
                    .map(|(key, _)| id(key).ok_or_else(damaged))
                    .transpose()
            };
            let next_held = id_of(held.peek(), keys::id_of_held)?;
            let next_past = id_of(past.peek(), keys::id_of_past)?;
            let is_past = match (&next_held, &next_past) {
                (Some(held), Some(past)) => past.local < held.local,
                (held, _) => held.is_none(),
            };
            let row = if is_past { past.next() } else { held.next() };
            let Some(row) = row else {
                return Ok((versions, false));
            };
            let (key, row) = row?;
            let (id, slot) = if is_past {
                (next_past, keys::slot_of_past(&key))
            } else {
                (next_held, keys::slot_of_held(&key))
            };
            let (id, slot) = id.zip(slot).ok_or_else(damaged)?;
            if versions.len() >= enough && versions.last().is_some_and(|last| last.id != id) {
                return Ok((versions, true));
            }
            // The decided rules hold each key's versions in a slot of its own.
            let key = PublicKey::from_bytes(&slot).map_err(|_| damaged())?;
            let row = HeldRow::read(&row)?;
            versions.push(Version { id, key, row });
        }
    }

    /// The highest number that any version of a record has here under a key that counts, held or past:
    /// the next own version must be above it. What a dropped key signed is left aside, or a thief who
    /// took the last number would have ended the record.
    ///
    /// # Errors
    /// A disk fault.
    pub fn highest_seq(&self, id: &RecordId) -> Result<u64, StoreError> {
        let mut highest = 0;
        for (_, row) in Reader::rows(&*self.engine, &keys::held_of(id))? {
            highest = highest.max(HeldRow::read(&row)?.rank.seq);
        }
        let past = Reader::rows(&*self.engine, &keys::past_of(id))?;
        if past.is_empty() {
            return Ok(highest);
        }
        let author = AuthorRow::read(&*self.engine, &id.author)?.state()?;
        let slots: Vec<[u8; 32]> = author
            .iter()
            .flat_map(|state| state.keys().listed().filter(|key| state.keys().counts(key)))
            .map(|key| self.rules.slot(key))
            .collect();
        for (key, row) in past {
            if keys::slot_of_past(&key).is_some_and(|slot| slots.contains(&slot)) {
                highest = highest.max(HeldRow::read(&row)?.rank.seq);
            }
        }
        Ok(highest)
    }

    /// The version with this hash, if it may be handed out: held and not beaten by a tombstone.
    ///
    /// # Errors
    /// A disk fault.
    pub fn by_hash(&self, hash: &VersionHash) -> Result<Option<(RecordId, HeldRow)>, StoreError> {
        let Some(key) = self.engine.get(&keys::version(hash))? else {
            return Ok(None);
        };
        if !key.starts_with(&keys::all_held()) {
            return Ok(None);
        }
        self.relayed(&key)
    }

    /// Whether this version is in the held set.
    ///
    /// # Errors
    /// A disk fault.
    pub fn holds(&self, hash: &VersionHash) -> Result<bool, StoreError> {
        let place = self.engine.get(&keys::version(hash))?;
        Ok(place.is_some_and(|place| keys::is_held(&place)))
    }

    /// Whether this version is held, or was.
    ///
    /// # Errors
    /// A disk fault.
    pub fn knows(&self, hash: &VersionHash) -> Result<bool, StoreError> {
        Ok(self.engine.get(&keys::version(hash))?.is_some())
    }

    /// The past version with this hash, if its key was dropped since and no tombstone counts: so an author
    /// gets back what a thief overwrote. Nobody can hold it as a record again.
    ///
    /// # Errors
    /// A disk fault.
    pub fn past_by_hash(
        &self,
        hash: &VersionHash,
    ) -> Result<Option<(RecordId, HeldRow)>, StoreError> {
        let Some(key) = self.engine.get(&keys::version(hash))? else {
            return Ok(None);
        };
        if !keys::is_past(&key) {
            return Ok(None);
        }
        let damaged = || corrupt("a past version without a record or a key");
        let id = keys::id_of_past(&key).ok_or_else(damaged)?;
        if self.is_blocked(&id.author) {
            return Ok(None);
        }
        let slot = keys::slot_of_past(&key).ok_or_else(damaged)?;
        let signer = PublicKey::from_bytes(&slot).map_err(|_| damaged())?;
        let state = AuthorRow::read(&*self.engine, &id.author)?.state()?;
        let is_dropped =
            state.is_some_and(|state| !state.is_deactivated() && state.keys().was_dropped(&signer));
        let is_withdrawn = self
            .counting(&id)?
            .is_some_and(|row| row.status == Status::Withdrawn);
        if !is_dropped || is_withdrawn {
            return Ok(None);
        }
        let row = self.engine.get(&key)?;
        row.map(|row| Ok((id, HeldRow::read(&row)?))).transpose()
    }

    /// A held row by its key, unless a tombstone beats it.
    fn relayed(&self, key: &[u8]) -> Result<Option<(RecordId, HeldRow)>, StoreError> {
        let id = keys::id_of_held(key).ok_or_else(|| corrupt("a row without a record id"))?;
        if self.is_blocked(&id.author) {
            return Ok(None);
        }
        let rows = Reader::rows(&*self.engine, &keys::held_of(&id))?;
        let relayed = records::relayed(&self.rules, rows)?;
        let row = relayed.into_iter().find(|(held, _)| held == key);
        Ok(row.map(|(_, row)| (id, row)))
    }

    /// Every version that may be handed out of the records of one author, or of all, in order of
    /// record id; a disk fault ends the iteration as an error.
    pub fn held(
        &self,
        author: Option<&Scid>,
    ) -> impl Iterator<Item = Result<(RecordId, HeldRow), StoreError>> + '_ {
        self.all_held(author).filter(|held| {
            held.as_ref()
                .map_or(true, |(id, _)| !self.is_blocked(&id.author))
        })
    }

    /// As [`Store::held`], with those of authors that are not carried.
    fn all_held(
        &self,
        author: Option<&Scid>,
    ) -> impl Iterator<Item = Result<(RecordId, HeldRow), StoreError>> + '_ {
        let prefix = author.map_or_else(keys::all_held, keys::held_by);
        let mut rows = self
            .engine
            .range(&prefix, &transaction::after(&prefix))
            .peekable();
        std::iter::from_fn(move || {
            let first = match rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            // One record's rows stand together and differ in the slot at their end.
            let record = keys::record_of_held(&first.0).to_vec();
            let mut of_record = vec![first];
            while let Some(row) = rows.next_if(|row| {
                row.as_ref()
                    .is_ok_and(|(key, _)| keys::record_of_held(key) == record)
            }) {
                match row {
                    Ok(row) => of_record.push(row),
                    Err(error) => return Some(Err(error)),
                }
            }
            Some(records::relayed(&self.rules, of_record))
        })
        .flat_map(|record| match record {
            Ok(held) => held
                .into_iter()
                .map(|(key, row)| {
                    let id = keys::id_of_held(&key)
                        .ok_or_else(|| corrupt("a row without a record id"))?;
                    Ok((id, row))
                })
                .collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// The rows of the change log after `after`, at most `limit` of them, and the number up to which
    /// it was read. Versions beaten by a tombstone are left out, and come again once it beats them no
    /// longer. Only what is durable is given: it waits for a write that is on its way to disk.
    ///
    /// # Errors
    /// A disk fault; [`StoreError::NotWritten`] while the store cannot be opened again after a failed write.
    pub fn changes(&self, after: u64, limit: usize) -> Result<(Vec<Change>, u64), StoreError> {
        let _durable = self.durable.wait()?;
        let mut read_to = after;
        let mut changes = Vec::new();
        for row in self.log_after(after, limit) {
            let (number, row) = row?;
            let what = match row {
                ChangeRow::Held(key) => {
                    let relayed = self.relayed(&key)?;
                    // A damaged record that was mended stands at the end; its former place may be left.
                    let here = relayed.filter(|(_, row)| row.change == number);
                    here.map(|(id, row)| What::Held { id, row })
                }
                ChangeRow::Entry(key) => match self.engine.get(&key)? {
                    None => None,
                    Some(row) => {
                        let entry = rows::unpack(logs::split_entry(&row)?.1)?;
                        let scid = key.get(1..33).and_then(|scid| scid.try_into().ok());
                        let scid = Scid::from_digest(
                            scid.ok_or_else(|| corrupt("an entry without an author"))?,
                        );
                        (!self.is_blocked(&scid)).then_some(What::Entry { scid, entry })
                    }
                },
                ChangeRow::Judged(key) => Some(What::Judged {
                    id: judged_id(&key)?,
                }),
            };
            changes.extend(what.map(|what| Change { number, what }));
            read_to = number;
        }
        Ok((changes, read_to))
    }

    /// The rows of the change log after a place in it.
    fn log_after(
        &self,
        after: u64,
        limit: usize,
    ) -> impl Iterator<Item = Result<(u64, ChangeRow), StoreError>> + '_ {
        let from = keys::change(after.saturating_add(1));
        let rows = self.engine.range(&from, &keys::change(u64::MAX));
        rows.take(limit).map(|row| {
            let (key, row) = row?;
            let number =
                keys::number_of_change(&key).ok_or_else(|| corrupt("a change without a number"))?;
            Ok((number, ChangeRow::read(&row)?))
        })
    }

    /// Of which records something changed after a place in the log, with the number of the change: at
    /// most `limit` rows of the log, and the place to which it was read. For those who only ask what
    /// counts now; durable as in [`Store::changes`].
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub fn changed_records(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, RecordId)>, u64), StoreError> {
        let _durable = self.durable.wait()?;
        let mut read_to = after;
        let mut changed = Vec::new();
        for row in self.log_after(after, limit) {
            let (number, row) = row?;
            read_to = number;
            let id = match row {
                ChangeRow::Held(key) => {
                    keys::id_of_held(&key).ok_or_else(|| corrupt("a row without a record id"))?
                }
                ChangeRow::Judged(key) => judged_id(&key)?,
                ChangeRow::Entry(_) => continue,
            };
            changed.push((number, id));
        }
        Ok((changed, read_to))
    }

    /// The number of the last change that is durable.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub fn last_change(&self) -> Result<u64, StoreError> {
        let _durable = self.durable.wait()?;
        match self.engine.get(&keys::meta("changes"))? {
            None => Ok(0),
            Some(row) => row
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| corrupt("a counter that does not read")),
        }
    }

    /// Records that wait for a key log or for their date.
    ///
    /// # Errors
    /// A disk fault.
    pub fn parked(&self) -> Result<usize, StoreError> {
        let mut parked = 0;
        for prefix in [keys::all_parked(), keys::all_ahead()] {
            for row in self.engine.range(&prefix, &transaction::after(&prefix)) {
                row?;
                parked += 1;
            }
        }
        Ok(parked)
    }

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

    /// The state hash: that of another store is the same if both hold the same.
    ///
    /// # Errors
    /// A disk fault.
    pub fn state_hash(&self) -> Result<VersionHash, StoreError> {
        self.state_hash_of(|_| true)
    }

    /// The state hash of some authors alone.
    ///
    /// # Errors
    /// A disk fault.
    pub fn state_hash_of(
        &self,
        is_meant: impl Fn(&Scid) -> bool,
    ) -> Result<VersionHash, StoreError> {
        let mut digests = Vec::new();
        for author in self.authors()? {
            if is_meant(author.state.scid()) {
                digests.push(*author.state.version_id().hash.as_digest());
            }
        }
        for row in self.held(None) {
            let (id, row) = row?;
            if is_meant(&id.author) {
                digests.push(*row.rank.hash.as_digest());
            }
        }
        Ok(state::hash(digests))
    }

    /// As [`Store::state_hash`], with the authors that are held and not carried: that of a copy of the store,
    /// which has all of them.
    ///
    /// # Errors
    /// A disk fault.
    pub fn whole_state_hash(&self) -> Result<VersionHash, StoreError> {
        let mut digests = Vec::new();
        let prefix = keys::authors();
        for row in self.engine.range(&prefix, &transaction::after(&prefix)) {
            let row: AuthorRow = serde_json::from_slice(&row?.1)
                .map_err(|_| corrupt("an author that does not read"))?;
            digests.extend(state::of_author(&row)?);
        }
        for row in self.all_held(None) {
            digests.push(*row?.1.rank.hash.as_digest());
        }
        Ok(state::hash(digests))
    }

    /// A copy of a part of the store as it stands at one moment, while others write; `at_end` is called at
    /// that moment, before anything more is written. Whoever takes the pieces too slowly gets no end.
    pub fn copy(&self, part: Part, at_end: impl FnOnce() + Send + 'static) -> Pieces {
        let (copying, pieces) = Copying::new(part, self.rules, Box::new(at_end));
        self.writer.copy(copying);
        pieces
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// A disk fault.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.engine.size_on_disk()
    }

    /// Finishes what is queued and takes no more.
    pub fn close(&self) {
        self.writer.stop();
    }
}

/// Where it stands that acknowledged changes were lost, and under which epoch the log went on.
pub(crate) const LOST: (&str, &str) = ("standing", "lost");

/// A store that has fewer changes than it acknowledged goes on under a new epoch, and reads all of its
/// peers again: somebody turned bits in its file, or put an older one in its place.
fn begin_anew_after_loss(engine: &embedded::Embedded, epoch: &str) -> Result<(), StoreError> {
    let has = match Engine::get(engine, &keys::meta("changes"))? {
        None => 0,
        Some(row) => row
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| corrupt("a counter that does not read"))?,
    };
    let acknowledged = engine.acknowledged();
    if has >= acknowledged {
        return Ok(());
    }
    tracing::error!(
        has,
        acknowledged,
        "the store lacks changes that it had acknowledged: its file was damaged, or an older one was put in its place. It publishes nothing until peers told what is missing"
    );
    let mark = epoch.as_bytes().to_vec();
    let mut batch = engine::Batch::from([
        (keys::meta("schema"), Some(SCHEMA.to_be_bytes().to_vec())),
        (keys::meta("epoch"), Some(mark.clone())),
        (keys::named(LOST.0, LOST.1.as_bytes()), Some(mark)),
    ]);
    let places = keys::named("places", &[]);
    for row in engine.range(&places, &transaction::after(&places)) {
        batch.insert(row?.0, None);
    }
    engine.commit(&batch)?;
    engine.note_acknowledged(has);
    Ok(())
}

/// The record that a change of judgement names.
fn judged_id(key: &[u8]) -> Result<RecordId, StoreError> {
    keys::id_of_held(&[key, &[0; 32]].concat())
        .ok_or_else(|| corrupt("a change without a record id"))
}
