//! The one door: every record and every key log entry, ours or foreign, comes in here.
//!
//! Parse, prove, then one transaction that asks the author's key ring and the rules and writes. The
//! answer is given when that is durable. HTTP and engines are somebody else's.

mod own;

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::envelope::{Envelope, EnvelopeError};
use protocol::id::{RecordId, Scid, VersionHash};
use protocol::identity::{LogEntry, LogError, WitnessProofs};
use protocol::sync::Filter;
use protocol::verified::{Proven, VerifyError};

pub use own::Watch;

use crate::clock::SharedClock;
use crate::store::{
    BatchRefusal, LogReceipt, LogRefusal, Named, Offered, Receipt, Refusal, Sender, Sequence,
    Store, StoreError,
};

/// Why something is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The bytes are no record.
    #[error(transparent)]
    Malformed(#[from] EnvelopeError),
    /// The bytes are no log entry, or the entry is not valid.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The signature does not fit, or the key does not count.
    #[error(transparent)]
    Unverified(#[from] VerifyError),
    /// A bound was reached.
    #[error("{0}")]
    Full(String),
    /// This node has as many records of the author, or from the sender, as it takes.
    #[error("{0}")]
    Quota(String),
    /// This node does not carry the author.
    #[error("{0}")]
    AuthorBlocked(String),
    /// An own log entry that does not become the newest of its log at once.
    #[error("{0}")]
    Unfit(String),
    /// The disk, never the sender's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for IngestError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Verify(error) => Self::Unverified(error),
            Refusal::Store(error) => Self::Store(error),
            full @ Refusal::ParkedFull { .. } => Self::Full(full.to_string()),
            full @ Refusal::Quota { .. } => Self::Quota(full.to_string()),
            blocked @ Refusal::AuthorBlocked => Self::AuthorBlocked(blocked.to_string()),
        }
    }
}

impl From<BatchRefusal> for IngestError {
    fn from(refusal: BatchRefusal) -> Self {
        match refusal {
            BatchRefusal::Log(refusal) => refusal.into(),
            BatchRefusal::Record(refusal) => refusal.into(),
        }
    }
}

impl From<LogRefusal> for IngestError {
    fn from(refusal: LogRefusal) -> Self {
        match refusal {
            LogRefusal::Log(error) => Self::Log(error),
            LogRefusal::Store(error) => Self::Store(error),
            unfit @ LogRefusal::Unfit => Self::Unfit(unfit.to_string()),
            full @ LogRefusal::OrphansFull => Self::Full(full.to_string()),
            blocked @ LogRefusal::AuthorBlocked => Self::AuthorBlocked(blocked.to_string()),
        }
    }
}

/// What became of each of many records, in the order given.
pub type Receipts = Vec<Result<Receipt, IngestError>>;

/// Of so many records that come together it is looked up whether they are held before the others are.
const LOOKED_UP: usize = 16;

/// Records that were checked and are not taken in yet.
#[derive(Debug)]
pub struct Checked {
    /// `None` for those that are held, byte for byte.
    results: Vec<Result<Option<Offered>, IngestError>>,
    /// One of them that only this node could have made, and that it does not know.
    unknown: Option<RecordId>,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    store: Arc<Store>,
    clock: SharedClock,
    watch: Option<Watch>,
}

impl Ingest {
    /// A door to a store, by a clock.
    pub fn new(store: Arc<Store>, clock: SharedClock) -> Self {
        Self {
            store,
            clock,
            watch: None,
        }
    }

    /// The same door, with somebody who watches over this node's own authors.
    #[must_use]
    pub fn watched_by(self, watch: Watch) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }

    /// Notes that somebody else has a record that only this node could have made and that it does not know:
    /// whatever becomes of it here, there is a second copy of this node.
    async fn note_second_copy(
        &self,
        unknown: Option<RecordId>,
        sender: &Sender,
    ) -> Result<(), StoreError> {
        match (&self.watch, unknown) {
            // What the operator brings along is no stranger's.
            (Some(watch), Some(id)) if sender.is_some() => watch.hold(id).await,
            _ => Ok(()),
        }
    }

    /// Whether this version came in before, whatever became of it; not those that wait.
    ///
    /// # Errors
    /// A disk fault.
    pub fn knows(&self, hash: &VersionHash) -> Result<bool, StoreError> {
        self.store.knows(hash)
    }

    /// Whether the key log of an author is here.
    ///
    /// # Errors
    /// A disk fault.
    pub fn has_log(&self, scid: &Scid) -> Result<bool, StoreError> {
        Ok(self.store.author(scid)?.is_some())
    }

    /// The records of which a version is here that this filter lets through.
    ///
    /// # Errors
    /// A disk fault.
    pub fn held_by(&self, filter: &Filter) -> Result<BTreeSet<RecordId>, StoreError> {
        let mut ids = BTreeSet::new();
        for held in self.store.held(None) {
            let (id, row) = held?;
            let is_wanted = match row.canonical() {
                Ok(bytes) => self.store.lets_through(filter, &id, &bytes)?,
                // What rotted here had better come anew.
                Err(StoreError::Corrupt { .. }) => true,
                Err(error) => return Err(error),
            };
            if is_wanted {
                ids.insert(id);
            }
        }
        Ok(ids)
    }

    /// Takes one record in. `sender` is the peer who handed it over, for bounds.
    ///
    /// # Errors
    /// See [`IngestError`]; nothing of a refused record is kept.
    pub async fn record(&self, bytes: &[u8], sender: Sender) -> Result<Receipt, IngestError> {
        let proven = Envelope::parse(bytes)?.prove()?;
        self.proven(proven, sender).await
    }

    /// Takes one record in that was read and proven already.
    ///
    /// # Errors
    /// As [`Ingest::record`].
    pub async fn proven(&self, proven: Proven, sender: Sender) -> Result<Receipt, IngestError> {
        let watch = self.watch.as_ref().filter(|_| sender.is_some());
        let unknown = watch.map_or(Ok(None), |watch| watch.unknown([proven.record()]))?;
        let now = self.clock.now();
        let receipt = self.store.admit(proven, now, sender.clone()).await;
        self.note_second_copy(unknown, &sender).await?;
        Ok(receipt?)
    }

    /// Takes many records in: checked on all cores, written as one transaction. One bad record stops
    /// none of the others; the receipts stand in the order given. `beside` is written with them.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn records(
        &self,
        lines: Vec<Vec<u8>>,
        sender: Sender,
        beside: impl IntoIterator<Item = Named>,
    ) -> Result<Receipts, StoreError> {
        let checked = self.check(lines).await?;
        let beside = beside.into_iter().collect();
        self.take(checked, sender, beside, &Sequence::default())
            .await
    }

    /// Checks many records on all cores: the first half of [`Ingest::records`]. What is held is not proven
    /// again: whoever follows several nodes gets most records from each of them. Where of some of the records
    /// none is held, the others are not looked up: who follows a node for the first time gets a million of them
    /// that are new, and [`Ingest::take`] looks in any case.
    ///
    /// # Errors
    /// None but that the node is stopping.
    pub async fn check(&self, lines: Vec<Vec<u8>>) -> Result<Checked, StoreError> {
        let store = Arc::clone(&self.store);
        let watch = self.watch.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let is_held = |line: &[u8]| store.holds(&VersionHash::of(line));
            let mut some = lines.iter().step_by(lines.len().div_ceil(LOOKED_UP).max(1));
            let is_any_held = some.try_fold(false, |any, line| {
                Ok::<_, StoreError>(any || is_held(line)?)
            })?;
            let results = each(&lines, |line| match is_any_held && is_held(line)? {
                true => Ok(None),
                false => prove(line).map(Some),
            });
            let proven = results
                .iter()
                .filter_map(|result| result.as_ref().ok()?.as_ref());
            let records = proven.map(|offered| offered.proven().record());
            let unknown = watch.map_or(Ok(None), |watch| watch.unknown(records))?;
            Ok(Checked { results, unknown })
        });
        checked.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes checked records in, as the next of a sequence: the second half of [`Ingest::records`].
    ///
    /// # Errors
    /// As [`Store::admit_next`].
    pub fn take(
        &self,
        Checked { results, unknown }: Checked,
        sender: Sender,
        beside: Vec<Named>,
        sequence: &Sequence,
    ) -> impl Future<Output = Result<Receipts, StoreError>> + Send + use<> {
        let mut refusals = Vec::with_capacity(results.len());
        let mut proven = Vec::with_capacity(results.len());
        for result in results {
            refusals.push(result.map(|good| good.map(|good| proven.push(good))));
        }
        let now = self.clock.now();
        let written = self
            .store
            .admit_next(proven, now, sender.clone(), beside, sequence);
        let door = self.clone();
        async move {
            let receipts = written.await?;
            door.note_second_copy(unknown, &sender).await?;
            let mut receipts = receipts.into_iter();
            let mut next = || match receipts.next() {
                Some(receipt) => Ok(receipt?),
                None => Err(IngestError::Store(StoreError::Closed)),
            };
            Ok(refusals
                .into_iter()
                .map(|refusal| refusal?.map_or(Ok(Receipt::AlreadyHeld), |()| next()))
                .collect())
        }
    }

    /// Takes one log entry in, with the witness proofs that came along.
    ///
    /// # Errors
    /// See [`IngestError`].
    pub async fn log_entry(
        &self,
        line: &[u8],
        proofs: &WitnessProofs,
    ) -> Result<LogReceipt, IngestError> {
        let entry = LogEntry::parse(line)?;
        Ok(self
            .store
            .learn(entry, proofs.clone(), self.clock.now())
            .await?)
    }

    /// Takes one log entry in together with the records that are signed under it: all or nothing.
    ///
    /// # Errors
    /// See [`IngestError`].
    pub async fn log_entry_with(
        &self,
        entry: LogEntry,
        lines: Vec<Vec<u8>>,
    ) -> Result<LogReceipt, IngestError> {
        let offered = tokio::task::spawn_blocking(move || each(&lines, prove))
            .await
            .map_err(|_| StoreError::Closed)?
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let now = self.clock.now();
        Ok(self.store.learn_with(entry, offered, now).await?)
    }
}

/// Reads, proves and packs a record.
fn prove(line: &[u8]) -> Result<Offered, IngestError> {
    Ok(Offered::new(Envelope::parse(line)?.prove()?)?)
}

/// Does the same with each of many records, on as many threads as there are cores.
fn each<T: Send>(
    lines: &[Vec<u8>],
    work: impl Fn(&[u8]) -> Result<T, IngestError> + Sync,
) -> Vec<Result<T, IngestError>> {
    if lines.len() < 32 {
        return lines.iter().map(|line| work(line)).collect();
    }
    // To be asked only where it matters: it reads files.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = lines.len().div_ceil(threads).max(1);
    if threads == 1 {
        return lines.iter().map(|line| work(line)).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let shares: Vec<_> = lines
            .chunks(share)
            .map(|share| {
                (
                    share.len(),
                    scope.spawn(move || share.iter().map(|line| work(line)).collect::<Vec<_>>()),
                )
            })
            .collect();
        let mut proven = Vec::with_capacity(lines.len());
        for (length, share) in shares {
            match share.join() {
                Ok(share) => proven.extend(share),
                // A panic in the checks is a defect of ours: these records are not taken, the rest is.
                Err(_) => {
                    proven.extend((0..length).map(|_| Err(IngestError::Store(StoreError::Closed))))
                }
            }
        }
        proven
    })
}
