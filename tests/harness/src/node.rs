//! A store behind its door: all that is needed to hand things in and look at what is held.

use std::collections::BTreeSet;
use std::sync::Arc;

use baraza::clock::{ManualClock, SharedClock};
use baraza::ingest::{Ingest, IngestError};
use baraza::store::engine::{Engine, Memory};
use baraza::store::{Change as Row, LogReceipt, Receipt, Store, StoreError, What};
use protocol::acceptance::Rules;
use protocol::envelope::{Envelope, Status};
use protocol::id::{RecordId, VersionHash};
use protocol::identity::{LogEntry, WitnessProofs};

use crate::author::at;

/// Waits for what a store promises.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(answer))
}

/// A store behind its door, with a clock to turn.
pub struct Node {
    /// The store.
    pub store: Arc<Store>,
    /// The door.
    pub ingest: Ingest,
    /// The clock, which shows [`START`](crate::START) at first.
    pub clock: Arc<ManualClock>,
}

impl Node {
    /// A node on an engine, under rules.
    pub fn on(engine: Arc<dyn Engine>, rules: Rules) -> Result<Self, StoreError> {
        let store = Arc::new(Store::on(engine, "epoch".to_owned(), rules)?);
        let clock = Arc::new(ManualClock::at(at(0)));
        let shared: SharedClock = Arc::clone(&clock) as SharedClock;
        Ok(Self {
            ingest: Ingest::new(Arc::clone(&store), shared),
            store,
            clock,
        })
    }

    /// A node whose store is gone with it.
    pub fn in_memory() -> Self {
        Self::on(Arc::new(Memory::default()), Rules::decided()).unwrap()
    }

    /// Hands in log entries.
    pub fn learn<'e>(&self, entries: impl IntoIterator<Item = &'e LogEntry>) -> Vec<LogReceipt> {
        entries
            .into_iter()
            .map(|entry| self.learn_with(entry, &WitnessProofs::empty()))
            .collect()
    }

    /// Hands in a log entry with witness proofs.
    pub fn learn_with(&self, entry: &LogEntry, proofs: &WitnessProofs) -> LogReceipt {
        wait(self.ingest.log_entry(&entry.to_canonical_bytes(), proofs)).unwrap()
    }

    /// Hands in a line of a log.
    pub fn learn_line(&self, line: &[u8]) {
        wait(self.ingest.log_entry(line, &WitnessProofs::empty())).unwrap();
    }

    /// Hands in a record.
    pub fn take(&self, record: &Envelope) -> Result<Receipt, IngestError> {
        self.take_from(record, None)
    }

    /// Hands in a record that a peer sent.
    pub fn take_from(
        &self,
        record: &Envelope,
        sender: Option<&str>,
    ) -> Result<Receipt, IngestError> {
        wait(
            self.ingest
                .record(record.canonical(), sender.map(Box::from)),
        )
    }

    /// The versions that it would hand out.
    pub fn held(&self) -> BTreeSet<VersionHash> {
        let held = self.store.held(None);
        held.map(|row| row.unwrap().1.rank.hash).collect()
    }

    /// The number and status of the version that counts.
    pub fn counting(&self, id: &RecordId) -> Option<(u64, Status)> {
        let row = self.store.counting(id).unwrap()?;
        Some((row.rank.seq, row.status))
    }

    /// All rows of the change log, read in pages of `page`.
    pub fn changes(&self, after: u64, page: usize) -> Vec<Row> {
        let mut all = Vec::new();
        let mut read_to = after;
        loop {
            let (changes, end) = self.store.changes(read_to, page).unwrap();
            if end == read_to {
                return all;
            }
            all.extend(changes);
            read_to = end;
        }
    }

    /// The versions in the change log.
    pub fn told(&self, after: u64) -> Vec<VersionHash> {
        self.changes(after, 7)
            .into_iter()
            .filter_map(|change| match change.what {
                What::Held { row, .. } => Some(row.rank.hash),
                _ => None,
            })
            .collect()
    }
}
