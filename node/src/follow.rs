//! Followers of the change log: whatever is derived from records reads the log behind the store and
//! keeps its own position, so that it can be rebuilt at any time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::envelope::{Header, Status};
use protocol::id::RecordId;
use protocol::sync::Cursor;
use serde_json::{Map, Value};

use crate::background;
use crate::clock::Stopwatch;
use crate::search::{Document, Index, SearchError, Writer, WriterBudget};
use crate::store::{HeldRow, Store, StoreError};

/// Rows that are read at a time.
const ROWS: usize = 2_000;

/// Rows after which the index is committed although there are more: what a crash would repeat.
const UNCOMMITTED_ROWS_MAX: usize = 50_000;

/// Why the index does not keep up.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The system gave no thread to work in.
    #[error("no thread could be started: {0}")]
    Thread(#[source] io::Error),
}

/// A commit takes the time of many records. Of the time since the last one, at most this part again is
/// spent on the next: a burst is gathered, a single record is found at once.
const COMMIT_SHARE: u32 = 4;
const COMMIT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Keeps the search index at the end of the change log.
pub struct SearchFollower {
    store: Arc<Store>,
    index: Index,
    /// Made when there is first something to do, and again after it failed.
    filling: Mutex<Option<Filling>>,
}

/// How far the index was filled, and what of that is not committed.
struct Filling {
    writer: Writer,
    position: u64,
    uncommitted: usize,
    /// Since the last commit, and how long that took.
    committed: Stopwatch,
    commit_took: Duration,
}

impl Filling {
    /// How long the next commit must wait, if anything waits for it.
    fn pause(&self) -> Option<Duration> {
        let pause = (self.commit_took * COMMIT_SHARE).min(COMMIT_PAUSE_MAX);
        (self.uncommitted > 0).then(|| pause.saturating_sub(self.committed.elapsed()))
    }

    fn commit(&mut self, epoch: &str) -> Result<(), SearchError> {
        let stopwatch = Stopwatch::start();
        let cursor = Cursor {
            epoch: epoch.to_owned(),
            number: self.position,
        };
        self.writer.commit(&cursor.to_string())?;
        self.uncommitted = 0;
        self.commit_took = stopwatch.elapsed();
        self.committed = Stopwatch::start();
        Ok(())
    }
}

impl SearchFollower {
    /// A follower of `store` that fills `index`.
    pub fn new(store: Arc<Store>, index: Index) -> Self {
        Self {
            store,
            index,
            filling: Mutex::default(),
        }
    }

    /// Reads the log to its end and commits if it is time to; else gives how long to wait before the
    /// next call.
    ///
    /// # Errors
    /// A fault of the store or of the index.
    pub fn advance(&self) -> Result<Option<Duration>, FollowError> {
        self.run(None, |filling, epoch| {
            if filling.pause() == Some(Duration::ZERO) {
                filling.commit(epoch)?;
            }
            Ok(filling.pause())
        })
    }

    /// Reads the log to its end and commits.
    ///
    /// # Errors
    /// As [`SearchFollower::advance`].
    pub fn catch_up(&self) -> Result<(), FollowError> {
        self.run(None, |filling, epoch| match filling.uncommitted {
            0 => Ok(()),
            _ => filling.commit(epoch),
        })
    }

    /// Empties the index and fills it again from the whole log; `progress` hears how far it is.
    ///
    /// # Errors
    /// As [`SearchFollower::advance`].
    pub fn refill(&self, progress: &mut (dyn FnMut(u64) + Send)) -> Result<(), FollowError> {
        self.run(Some(progress), Filling::commit)
    }

    /// Lets the writer go, with the memory that it holds, until there is something to do again; what it
    /// merges is merged first.
    ///
    /// # Errors
    /// A fault of the index.
    pub fn rest(&self) -> Result<(), FollowError> {
        let mut slot = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filling) = slot.take_if(|filling| filling.uncommitted == 0) {
            filling.writer.finish()?;
        }
        Ok(())
    }

    /// Whether all that is in the log is in the index.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn is_at_end(&self) -> Result<bool, StoreError> {
        Ok(self.position()? == self.store.last_change()?)
    }

    /// Where the index stands, if that is a place in this log: an index of another log is filled anew.
    fn position(&self) -> Result<u64, StoreError> {
        let cursor = self.index.position().and_then(|text| Cursor::parse(&text));
        let last = self.store.last_change()?;
        let here =
            cursor.filter(|cursor| cursor.epoch == self.store.epoch() && cursor.number <= last);
        Ok(here.map_or(0, |cursor| cursor.number))
    }

    /// Fills the index up to the end of the log, then does `then`. With `anew` it is emptied first. The
    /// cores are everybody else's first: records that come in and searches that are answered.
    fn run<T: Send>(
        &self,
        anew: Option<&mut (dyn FnMut(u64) + Send)>,
        then: impl FnOnce(&mut Filling, &str) -> Result<T, SearchError> + Send,
    ) -> Result<T, FollowError> {
        background::run("search-index", || self.run_here(anew, then))
            .map_err(FollowError::Thread)?
    }

    fn run_here<T>(
        &self,
        mut anew: Option<&mut (dyn FnMut(u64) + Send)>,
        then: impl FnOnce(&mut Filling, &str) -> Result<T, SearchError>,
    ) -> Result<T, FollowError> {
        let mut slot = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut filling = match slot.take() {
            Some(filling) => filling,
            None => Filling {
                writer: self.index.writer(WriterBudget::default())?,
                position: self.position()?,
                uncommitted: 0,
                committed: Stopwatch::start(),
                commit_took: Duration::ZERO,
            },
        };
        if anew.is_some() {
            filling.position = 0;
        }
        self.fill(&mut filling, &mut anew)?;
        let done = then(&mut filling, self.store.epoch())?;
        // A writer that failed was dropped with the error: what it had not committed is read again.
        *slot = Some(filling);
        Ok(done)
    }

    fn fill(
        &self,
        filling: &mut Filling,
        progress: &mut Option<&mut (dyn FnMut(u64) + Send)>,
    ) -> Result<(), FollowError> {
        if filling.position == 0 {
            filling.writer.clear()?;
        }
        loop {
            let (changed, read_to) = self.store.changed_records(filling.position, ROWS)?;
            if read_to == filling.position {
                return Ok(());
            }
            for counting in self
                .store
                .counting_of_each(changed.iter().map(|(_, id)| id))
            {
                let (id, counting) = counting?;
                self.index_record(&filling.writer, &id, counting)?;
            }
            filling.position = read_to;
            filling.uncommitted += changed.len().max(1);
            if filling.uncommitted >= UNCOMMITTED_ROWS_MAX {
                filling.commit(self.store.epoch())?;
            }
            if let Some(progress) = progress {
                progress(read_to);
            }
        }
    }

    /// Makes the index say of a record what counts now.
    fn index_record(
        &self,
        writer: &Writer,
        id: &RecordId,
        counting: Option<HeldRow>,
    ) -> Result<(), FollowError> {
        let shown =
            counting.filter(|row| row.status == Status::Active && !self.store.is_hidden(id));
        let document = match shown {
            None => None,
            Some(row) => {
                let tree = serde_json::from_slice::<Map<String, Value>>(&row.canonical()?).ok();
                tree.and_then(|tree| document(&tree))
            }
        };
        match document {
            Some(document) => writer.put(document)?,
            None => writer.remove(id),
        }
        Ok(())
    }
}

/// What is found of a record; `None` if it is of a type or form that is not shown.
fn document(tree: &Map<String, Value>) -> Option<Document> {
    let header = Header::read(tree).ok()?;
    Document::of(&header, tree).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::acceptance::Rules;
    use protocol::identity::WitnessProofs;
    use protocol::identity::write::{Change, Place, create};
    use protocol::identity::{LogEntry, key_hash};
    use protocol::key::SecretKey;
    use protocol::time::Timestamp;

    use super::SearchFollower;
    use crate::search::Index;
    use crate::store::Store;
    use crate::store::engine::Memory;

    fn first_entry(now: Timestamp) -> LogEntry {
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
        let change = Change {
            place: Place::new("hub.example", None, &["orgs", "a"]).unwrap(),
            record_keys: [key(1).public()].into(),
            next_key_hashes: [key_hash(&key(2).public())].into(),
            also_known_as: Vec::new(),
            services: Vec::new(),
        };
        create(&change, &key(3), now).unwrap()
    }

    #[tokio::test]
    async fn the_index_is_at_the_end_once_all_that_was_written_is_in_it() {
        let engine = Arc::new(Memory::default());
        let store = Store::on(engine, "epoch".to_owned(), Rules::decided()).unwrap();
        let store = Arc::new(store);
        let follower = SearchFollower::new(Arc::clone(&store), Index::in_memory().unwrap());
        assert!(follower.is_at_end().unwrap());
        let now = Timestamp::from_unix_seconds(1_795_320_000);
        store
            .learn(first_entry(now), WitnessProofs::empty(), now)
            .await
            .unwrap();
        assert!(!follower.is_at_end().unwrap());
        follower.catch_up().unwrap();
        assert!(follower.is_at_end().unwrap());
    }
}
