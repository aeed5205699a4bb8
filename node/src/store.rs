//! What a node keeps, and the one way to change it.
//!
//! [`Store`] is the contract that the rest of the node sees; an [`engine::Engine`] below it keeps
//! ordered bytes. Records and the change log are written in one transaction, so whoever tails the log
//! misses nothing. The rules of what is held are asked of `protocol`, never decided here.

mod compact;
mod copy;
mod each;
pub mod embedded;
pub mod engine;
mod facets;
mod fill;
mod keys;
mod left_out;
mod logs;
mod looking;
mod migrate;
mod named;
mod past;
mod quota;
mod reading;
mod records;
mod rows;
mod scan;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod touched;
mod transaction;
mod twins;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::acceptance::Rules;
use protocol::id::{RecordId, Scid, VersionHash};
use protocol::identity::{LogEntry, LogState, VersionId, WitnessProofs};
use protocol::key::PublicKey;
use protocol::time::Timestamp;
use protocol::verified::Proven;
use tokio::sync::watch;

pub use compact::Compacted;
use copy::Copying;
pub use copy::{Moment, Part, Piece, Pieces};
pub use embedded::FREE_BYTES_MIN;
use engine::Engine;
pub use facets::matches;
pub use fill::{Filling, make_own};
use left_out::LeftOut;
pub use logs::{LogReceipt, LogRefusal};
pub use named::{DECISIONS, NamedRows};
pub use quota::Quotas;
use records::Arrival;
pub use records::{Offered, Receipt, Refusal, Sender};
pub use rows::HeldRow;
use rows::{AuthorRow, corrupt};
pub use scan::Scan;
pub use tail::AsOf;
pub use touched::Touched;
use transaction::{Durable, Writer};

/// The form of what is on disk. A newer one is refused, an older one migrated.
pub const SCHEMA: u64 = 4;

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

impl Sequence {
    /// Writes none of those that are not written yet.
    pub fn stop(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }
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
        let durable = Arc::new(Durable::of(&*engine)?);
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

    /// Ticks when the change log has grown, and when something was decided about others.
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
            if offered.len() > 1 {
                tx.look_ahead(records::places_of(&offered))?;
            }
            let arrival = Arrival {
                now,
                sender: &sender,
                quotas: Some(&quotas),
            };
            let receipts: Result<Vec<_>, StoreError> = offered
                .into_iter()
                .map(|offered| {
                    let author = *offered.proven().record().header.author.scid();
                    if left_out.has_author(&author) {
                        return records::refuse_blocked(tx, &author).map(Err);
                    }
                    match records::admit(tx, &rules, offered, arrival) {
                        // A refusal is written too: an author of whom records were refused for want
                        // of room is noted.
                        Err(Refusal::Store(error)) => Err(error),
                        receipt => Ok(receipt),
                    }
                })
                .collect();
            if receipts.is_err() {
                sequence.stop();
            }
            receipts
        };
        let answer = self.writer.submit_and(job, move |is_written| {
            if !is_written {
                failed.stop();
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
            let arrival = Arrival::without_quota(now, &None);
            for offered in offered {
                records::admit(tx, &rules, offered, arrival)?;
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
    let has = transaction::Reader::counter(engine as &dyn Engine, &keys::meta("changes"))?;
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
