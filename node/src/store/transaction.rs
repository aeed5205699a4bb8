//! Reading and writing inside one atomic step, and the one thread that takes the steps.
//!
//! The writer takes what has queued, runs each job on what the earlier ones left, commits them as one
//! batch, and only then answers: a flush is dear, and many share one. Acknowledged means durable.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use protocol::id::Scid;
use protocol::identity::KeyRing;
use tokio::sync::{oneshot, watch};

use super::engine::{Batch, Engine, Row};
use super::rows::{AuthorRow, ChangeRow, corrupt};
use super::{StoreError, keys};

/// Jobs that wait for the writer; beyond, submitters wait.
const QUEUE_MAX: usize = 4_096;

/// Jobs and bytes that one commit carries.
const GROUP_JOBS_MAX: usize = 2_048;
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Something rows are read from.
pub(super) trait Reader {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All rows whose keys begin with `prefix`, in order.
    fn rows(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError>;
}

impl Reader for dyn Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Engine::get(self, key)
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.range(prefix, &after(prefix)).collect()
    }
}

/// Key rings that the writer has at hand, `None` for authors without a log.
type Rings = BTreeMap<Scid, Option<Arc<KeyRing>>>;

/// Authors whose key rings the writer keeps at hand.
const RINGS_MAX: usize = 20_000;

/// One atomic step: sees the store as of now, and its own writes.
pub(super) struct Transaction<'s> {
    engine: &'s dyn Engine,
    group: &'s Batch,
    own: Batch,
    bytes: usize,
    rings: &'s mut Rings,
}

impl Reader for Transaction<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.own.get(key).or_else(|| self.group.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.engine.get(key),
        }
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        let end = after(prefix);
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> =
            self.engine.range(prefix, &end).collect::<Result<_, _>>()?;
        for batch in [self.group, &self.own] {
            for (key, value) in batch.range(prefix.to_vec()..end.clone()) {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        Ok(rows.into_iter().collect())
    }
}

impl Transaction<'_> {
    /// Puts a value under a key.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.own.insert(key, Some(value));
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.own.insert(key, None);
    }

    /// The author's key ring by its newest log; `None` if no log is held.
    pub(super) fn ring_of(&mut self, author: &Scid) -> Result<Option<Arc<KeyRing>>, StoreError> {
        if let Some(ring) = self.rings.get(author) {
            return Ok(ring.clone());
        }
        let ring = self
            .author(author)?
            .state()?
            .map(|state| Arc::new(state.keys().clone()));
        if self.rings.len() >= RINGS_MAX {
            self.rings.clear();
        }
        self.rings.insert(*author, ring.clone());
        Ok(ring)
    }

    /// What is known of an author.
    pub(super) fn author(&self, scid: &Scid) -> Result<AuthorRow, StoreError> {
        AuthorRow::read(self, scid)
    }

    /// Changes what is known of an author.
    pub(super) fn change_author(
        &mut self,
        scid: &Scid,
        change: impl FnOnce(&mut AuthorRow),
    ) -> Result<(), StoreError> {
        let mut row = self.author(scid)?;
        change(&mut row);
        self.rings.remove(scid);
        self.put(keys::author(scid), row.write()?);
        Ok(())
    }

    /// Appends a row to the change log and gives its number. Numbers are given in commit order, so a
    /// follower who has read up to one has missed none before it.
    pub(super) fn append(&mut self, change: &ChangeRow) -> Result<u64, StoreError> {
        let number = self.count(&keys::meta("changes"), 1)?;
        self.put(keys::change(number), change.write());
        Ok(number)
    }

    /// The number under a key, 0 if there is none.
    pub(super) fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        match self.get(key)? {
            None => Ok(0),
            Some(row) => row
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| corrupt("a counter that does not read")),
        }
    }

    /// Adds to the number under a key and gives the sum.
    pub(super) fn count(&mut self, key: &[u8], by: i64) -> Result<u64, StoreError> {
        let sum = self.counter(key)?.saturating_add_signed(by);
        self.put(key.to_vec(), sum.to_be_bytes().to_vec());
        Ok(sum)
    }
}

/// The first key after all that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; 64]
}

/// Gives a job's result to whoever asked, once the group is durable or has failed.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs in the writer; `true` keeps what it wrote.
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> (bool, Answer) + Send>;

/// The one thread that writes.
pub(super) struct Writer {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. After each group it sends a tick to `ticks`, so that readers look again.
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        ticks: watch::Sender<u64>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&*engine, &queue, &ticks))?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a job; its result comes when it is durable.
    pub(super) fn submit<T, E, F>(&self, job: F) -> oneshot::Receiver<Result<T, E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let result = job(transaction);
            let keep = result.is_ok();
            let give: Answer = Box::new(move |written| {
                // Whoever asked may have gone; the work is done all the same.
                let _ = answer.send(written.map_err(E::from).and(result));
            });
            (keep, give)
        });
        let jobs = self
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(jobs) = jobs {
            // A writer that has stopped drops the job, and the answer with it.
            let _ = jobs.send(job);
        }
        answered
    }

    /// Lets the queue run empty and ends the thread.
    pub(super) fn stop(&self) {
        drop(
            self.jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        if let Some(thread) = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(engine: &dyn Engine, queue: &Receiver<Job>, ticks: &watch::Sender<u64>) {
    // After a failed write the disk's state is unknown: fsync is not simply tried again.
    let mut failed: Option<String> = None;
    let mut rings = Rings::new();
    while let Ok(first) = queue.recv() {
        let mut group = Batch::new();
        let mut bytes = 0;
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let mut transaction = Transaction {
                engine,
                group: &group,
                own: Batch::new(),
                bytes: 0,
                rings: &mut rings,
            };
            let (keep, answer) = job(&mut transaction);
            let Transaction {
                own,
                bytes: written,
                ..
            } = transaction;
            if keep {
                group.extend(own);
                bytes += written;
            } else if !own.is_empty() {
                // A ring may have been read from what is now forgotten.
                rings.clear();
            }
            answers.push(answer);
            if answers.len() < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX {
                next = queue.try_recv().ok();
            }
        }
        if failed.is_none()
            && !group.is_empty()
            && let Err(error) = engine.commit(&group)
        {
            tracing::error!(%error, "the store could not write; it takes no more until the node is started again");
            failed = Some(error.to_string());
        }
        for answer in answers {
            answer(match &failed {
                None => Ok(()),
                Some(reason) => Err(StoreError::NotWritten {
                    reason: reason.clone(),
                }),
            });
        }
        if !group.is_empty() {
            ticks.send_modify(|tick| *tick = tick.wrapping_add(1));
        }
    }
}
