//! Reading and writing inside one atomic step, and the one thread that takes the steps.
//!
//! The writer takes what has queued, runs each job on what the earlier ones left, commits them as one
//! batch, and only then answers: a flush is dear, and many share one. Acknowledged means durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::id::Scid;
use protocol::identity::{Branches, KeyRing};
use tokio::sync::{oneshot, watch};

use super::copy::{self, Copying, Step};
use super::each::under_each;
use super::engine::{Batch, Engine, Row};
use super::named::DECISIONS;
use super::rows::{AuthorRow, ChangeRow, corrupt};
use super::{StoreError, keys};
use crate::clock::Stopwatch;

/// Jobs that wait for the writer; beyond, submitters wait.
const QUEUE_MAX: usize = 4_096;

/// Jobs and bytes that one commit carries.
const GROUP_JOBS_MAX: usize = 2_048;
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Between two attempts to open the engine again after a failed write.
const MEND_PAUSE: Duration = Duration::from_secs(1);

/// Something rows are read from.
pub(super) trait Reader {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The rows with `from <= key < to`, in order.
    fn between(&self, from: &[u8], to: &[u8]) -> Result<Vec<Row>, StoreError>;

    /// All rows whose keys begin with `prefix`, in order.
    fn rows(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.between(prefix, &after(prefix))
    }

    /// The number under a key, 0 if there is none.
    fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        match self.get(key)? {
            None => Ok(0),
            Some(row) => row
                .try_into()
                .map(u64::from_be_bytes)
                .map_err(|_| corrupt("a counter that does not read")),
        }
    }
}

impl Reader for dyn Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Engine::get(self, key)
    }

    fn between(&self, from: &[u8], to: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.range(from, to).collect()
    }
}

/// What the writer keeps at hand of what it wrote, so as not to read it again.
#[derive(Default)]
struct AtHand {
    /// Key rings, `None` for authors without a log.
    rings: BTreeMap<Scid, Option<Arc<KeyRing>>>,
    /// The log that was written last: its entries come one after another, and reading a long log
    /// takes longer than checking the entry that follows.
    branches: Option<Branches>,
}

/// Authors whose key rings the writer keeps at hand.
const RINGS_MAX: usize = 20_000;

/// One atomic step: sees the store as of now, and its own writes.
pub(super) struct Transaction<'s> {
    engine: &'s dyn Engine,
    group: &'s Batch,
    own: Batch,
    bytes: usize,
    at_hand: &'s mut AtHand,
    /// Prefixes under which the engine has nothing.
    empty: BTreeSet<Vec<u8>>,
}

impl Reader for Transaction<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.own.get(key).or_else(|| self.group.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.engine.get(key),
        }
    }

    fn between(&self, from: &[u8], to: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.between_where(from, to, |_| true)
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.rows_where(prefix, |_| true)
    }
}

impl Transaction<'_> {
    /// As [`Reader::rows`], of those rows whose keys `is_meant` picks.
    pub(super) fn rows_where(
        &self,
        prefix: &[u8],
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Row>, StoreError> {
        let to = after(prefix);
        match self.empty.contains(prefix) {
            true => Ok(self.with_written(BTreeMap::new(), prefix, &to, is_meant)),
            false => self.between_where(prefix, &to, is_meant),
        }
    }

    fn between_where(
        &self,
        from: &[u8],
        to: &[u8],
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let is_row_meant =
            |row: &Result<Row, StoreError>| row.as_ref().map_or(true, |(key, _)| is_meant(key));
        let rows: Result<_, StoreError> =
            self.engine.range(from, to).filter(is_row_meant).collect();
        Ok(self.with_written(rows?, from, to, is_meant))
    }

    /// Rows of the engine as what was written since has changed them.
    fn with_written(
        &self,
        mut rows: BTreeMap<Vec<u8>, Vec<u8>>,
        from: &[u8],
        to: &[u8],
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Vec<Row> {
        for batch in [self.group, &self.own] {
            for (key, value) in batch.range(from.to_vec()..to.to_vec()) {
                match value {
                    Some(value) if is_meant(key) => rows.insert(key.clone(), value.clone()),
                    Some(_) => None,
                    None => rows.remove(key),
                };
            }
        }
        rows.into_iter().collect()
    }

    /// Looks in one pass under which of many prefixes the engine has nothing: most records of many that come are new,
    /// and to look for each alone takes several times as long.
    pub(super) fn look_ahead(&mut self, prefixes: BTreeSet<Vec<u8>>) -> Result<(), StoreError> {
        for under in under_each(self.engine, prefixes) {
            let (prefix, rows) = under?;
            if rows.is_empty() {
                self.empty.insert(prefix);
            }
        }
        Ok(())
    }

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
        if let Some(ring) = self.at_hand.rings.get(author) {
            return Ok(ring.clone());
        }
        let ring = self
            .author(author)?
            .state()?
            .map(|state| Arc::new(state.keys().clone()));
        if self.at_hand.rings.len() >= RINGS_MAX {
            self.at_hand.rings.clear();
        }
        self.at_hand.rings.insert(*author, ring.clone());
        Ok(ring)
    }

    /// The author's log, if it is at hand. Whoever takes it gives it back with
    /// [`Transaction::keep_branches`] once what became of it is written.
    pub(super) fn take_branches(&mut self, author: &Scid) -> Option<Branches> {
        let is_meant = self.at_hand.branches.as_ref()?.scid() == author;
        is_meant.then(|| self.at_hand.branches.take()).flatten()
    }

    /// Keeps a log at hand that is written as it stands.
    pub(super) fn keep_branches(&mut self, branches: Branches) {
        self.at_hand.branches = Some(branches);
    }

    /// What is known of an author.
    pub(super) fn author(&self, scid: &Scid) -> Result<AuthorRow, StoreError> {
        AuthorRow::read(self, scid)
    }

    /// Changes what is known of an author. Nothing is written if nothing changes: strangers may name
    /// authors that do not exist.
    pub(super) fn change_author(
        &mut self,
        scid: &Scid,
        change: impl FnOnce(&mut AuthorRow),
    ) -> Result<(), StoreError> {
        let before = self.author(scid)?;
        let mut row = before.clone();
        change(&mut row);
        if row != before {
            self.at_hand.rings.remove(scid);
            self.put(keys::author(scid), row.write()?);
        }
        Ok(())
    }

    /// Appends a row to the change log and gives its number. Numbers are given in commit order, so a
    /// follower who has read up to one has missed none before it.
    pub(super) fn append(&mut self, change: &ChangeRow) -> Result<u64, StoreError> {
        let number = self.count(&keys::meta("changes"), 1)?;
        self.put(keys::change(number), change.write());
        Ok(number)
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

/// Closed while a batch is on its way to disk. Who tails the change log waits here: a row that was read
/// before it was durable could be taken back by a crash, and its number given to another.
#[derive(Debug)]
pub(super) struct Durable {
    /// Why the last write failed, until the engine could be opened again.
    failed: RwLock<Option<String>>,
    /// The number of the last change on disk.
    last_change: AtomicU64,
    /// How often the engine was opened again.
    opened_again: AtomicU64,
}

impl Durable {
    /// What an engine that was opened just now has.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) fn of(engine: &dyn Engine) -> Result<Self, StoreError> {
        Ok(Self {
            failed: RwLock::default(),
            last_change: AtomicU64::new(engine.counter(&keys::meta("changes"))?),
            opened_again: AtomicU64::new(0),
        })
    }

    /// The number of the last change on disk. Waits for nobody: it is asked by tasks that must not.
    ///
    /// # Errors
    /// As [`Durable::wait`].
    pub(super) fn last_change(&self) -> Result<u64, StoreError> {
        match self.failed.try_read() {
            Ok(failed) => not_written(&failed)?,
            Err(TryLockError::Poisoned(failed)) => not_written(&failed.into_inner())?,
            // A batch is on its way.
            Err(TryLockError::WouldBlock) => {}
        }
        Ok(self.last_change.load(Ordering::Acquire))
    }

    /// How often the engine was opened again: what was read before a failed write may be gone.
    pub(super) fn opened_again(&self) -> u64 {
        self.opened_again.load(Ordering::Acquire)
    }

    /// Waits until all that was written is durable; nothing is written while the guard is held.
    ///
    /// # Errors
    /// [`StoreError::NotWritten`] after a failed write, until the engine could be opened again.
    pub(super) fn wait(&self) -> Result<RwLockReadGuard<'_, Option<String>>, StoreError> {
        let guard = self.failed.read().unwrap_or_else(PoisonError::into_inner);
        not_written(&guard)?;
        Ok(guard)
    }

    /// Commits, unless an earlier commit failed: after that nobody knows what the engine has of it, and
    /// fsync is not simply tried again.
    fn commit(&self, engine: &dyn Engine, group: &Batch) -> Result<(), StoreError> {
        if group.is_empty() {
            return self.wait().map(|_| ());
        }
        engine.check_room(0)?;
        let mut failed = self.write();
        if failed.is_none()
            && let Err(error) = engine.commit(group)
        {
            tracing::error!(%error, "the store could not write");
            *failed = Some(error.to_string());
        }
        not_written(&failed)?;
        if let Some(Some(number)) = group.get(&keys::meta("changes"))
            && let Ok(number) = number.as_slice().try_into()
        {
            let number = u64::from_be_bytes(number);
            engine.note_acknowledged(number);
            self.last_change.store(number, Ordering::Release);
        }
        Ok(())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<String>> {
        self.failed.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the engine go on with rows that were written anew, while nobody writes or tails the log.
    pub(super) fn take_over(&self, engine: &dyn Engine) -> Result<(), StoreError> {
        let mut failed = self.write();
        not_written(&failed)?;
        let taken = engine.take_anew();
        if let Err(error) = &taken {
            *failed = Some(error.to_string());
            drop(failed);
            self.mend(engine);
        }
        taken
    }

    /// Opens the engine again if a commit failed, so that it has what is on disk and nothing else. `false`
    /// if it cannot be opened yet.
    fn mend(&self, engine: &dyn Engine) -> bool {
        let mut failed = self.write();
        if failed.is_some() {
            let opened = engine.reopen();
            match opened.and_then(|()| engine.counter(&keys::meta("changes"))) {
                Ok(number) => {
                    tracing::warn!("the store was opened again and takes writes");
                    // Of a batch that failed, all may have reached the disk.
                    self.last_change.store(number, Ordering::Release);
                    self.opened_again.fetch_add(1, Ordering::AcqRel);
                    *failed = None;
                }
                Err(error) => tracing::error!(%error, "the store could not be opened again yet"),
            }
        }
        failed.is_none()
    }
}

fn not_written(failed: &Option<String>) -> Result<(), StoreError> {
    match failed {
        None => Ok(()),
        Some(reason) => Err(StoreError::NotWritten {
            reason: reason.clone(),
        }),
    }
}

/// What the writer is asked for.
enum Work {
    /// To write.
    Job(Job),
    /// To make a copy beside.
    Copy(Box<Copying>),
}

/// The one thread that writes.
pub(super) struct Writer {
    jobs: Mutex<Option<SyncSender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. It sends a tick to `ticks` after each group that somebody may wait for.
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        durable: Arc<Durable>,
        ticks: watch::Sender<u64>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel::<Work>(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&*engine, &durable, &queue, &ticks))?;
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
        self.submit_and(job, |_| {})
    }

    /// As [`Writer::submit`]; before any later job is begun, `then` hears whether this one was written.
    pub(super) fn submit_and<T, E, F>(
        &self,
        job: F,
        then: impl FnOnce(bool) + Send + 'static,
    ) -> oneshot::Receiver<Result<T, E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let result = job(transaction);
            let keep = result.is_ok();
            let give: Answer = Box::new(move |written: Result<(), StoreError>| {
                then(keep && written.is_ok());
                // Whoever asked may have gone; the work is done all the same.
                let _ = answer.send(written.map_err(E::from).and(result));
            });
            (keep, give)
        });
        self.ask(Work::Job(job));
        answered
    }

    /// Makes a copy between the groups that are written.
    pub(super) fn copy(&self, copying: Copying) {
        self.ask(Work::Copy(Box::new(copying)));
    }

    fn ask(&self, work: Work) {
        let jobs = self
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(jobs) = jobs {
            // A writer that has stopped drops the job, and the answer with it.
            let _ = jobs.send(work);
        }
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

fn run(engine: &dyn Engine, durable: &Durable, queue: &Receiver<Work>, ticks: &watch::Sender<u64>) {
    let mut at_hand = AtHand::default();
    let mut copies: Vec<Copying> = Vec::new();
    let mut has_moved = false;
    let mut mended = Stopwatch::start();
    loop {
        // A copy gives way to what there is to write.
        let asked = match has_moved {
            true => queue.recv_timeout(Duration::ZERO),
            false if copies.is_empty() => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => queue.recv_timeout(copy::LOOK),
        };
        let mut next = match asked {
            Ok(work) => Some(work),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if durable.wait().is_err() && mended.elapsed() >= MEND_PAUSE {
            durable.mend(engine);
            mended = Stopwatch::start();
        }
        let mut group = Batch::new();
        let mut bytes = 0;
        let mut answers = Vec::new();
        while let Some(work) = next.take() {
            match work {
                Work::Copy(copying) => copies.push(*copying),
                Work::Job(job) => {
                    let mut transaction = Transaction {
                        engine,
                        group: &group,
                        own: Batch::new(),
                        bytes: 0,
                        at_hand: &mut at_hand,
                        empty: BTreeSet::new(),
                    };
                    let (keep, answer) = job(&mut transaction);
                    let Transaction {
                        mut own,
                        bytes: written,
                        ..
                    } = transaction;
                    if keep {
                        group.append(&mut own);
                        bytes += written;
                    } else if !own.is_empty() {
                        // What is at hand may have been read from what is now forgotten.
                        at_hand = AtHand::default();
                    }
                    answers.push(answer);
                }
            }
            if answers.len() < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX {
                next = queue.try_recv().ok();
            }
        }
        let written = commit(engine, durable, &group, &mut copies);
        if written.is_err() {
            // It was read from what is now forgotten.
            at_hand = AtHand::default();
            if !durable.mend(engine) {
                mended = Stopwatch::start();
            }
        }
        for answer in answers {
            answer(match &written {
                Ok(()) => Ok(()),
                Err(StoreError::Full { free_bytes }) => Err(StoreError::Full {
                    free_bytes: *free_bytes,
                }),
                Err(StoreError::NotWritten { reason }) => Err(StoreError::NotWritten {
                    reason: reason.clone(),
                }),
                Err(error) => Err(StoreError::NotWritten {
                    reason: error.to_string(),
                }),
            });
        }
        if written.is_ok() && is_awaited(&group) {
            ticks.send_modify(|tick| *tick = tick.wrapping_add(1));
        }
        has_moved = false;
        copies.retain_mut(|copy| {
            let step = copy.step(engine);
            has_moved |= step == Step::Moved;
            if step == Step::Whole
                && let Some(handover) = copy.take_handover()
            {
                handover.carry_out(engine, durable);
            }
            matches!(step, Step::Moved | Step::Waits)
        });
    }
    // After a failed write nobody knows how it ended.
    if durable.wait().is_ok() {
        engine.end();
    }
}

/// Whether somebody may wait for what a group says: the change log grew, or something was decided about
/// others. What a node notes for itself wakes nobody.
fn is_awaited(group: &Batch) -> bool {
    let decisions = keys::named(DECISIONS, &[]);
    group.contains_key(&keys::meta("changes"))
        || group
            .range(decisions.clone()..after(&decisions))
            .next()
            .is_some()
}

/// Commits a group, and lets the copies in the making know what it changed.
fn commit(
    engine: &dyn Engine,
    durable: &Durable,
    group: &Batch,
    copies: &mut Vec<Copying>,
) -> Result<(), StoreError> {
    let before: Vec<_> = copies
        .iter()
        .map(|copy| copy.before(engine, group))
        .collect();
    let written = durable.commit(engine, group);
    let mut before = before.into_iter();
    copies.retain_mut(|copy| match (before.next(), &written) {
        (Some(Ok(before)), Ok(())) => copy.add(engine, group, before),
        // Nothing was written, and a node whose disk is full is one to take a backup of.
        (_, Err(StoreError::Full { .. })) => true,
        (Some(Err(error)), _) => {
            copy.fail(error);
            false
        }
        // What is in the store after a failed write is not known, so neither is what to copy.
        (_, written) => {
            let reason = written
                .as_ref()
                .err()
                .map_or_else(String::new, ToString::to_string);
            copy.fail(StoreError::NotWritten { reason });
            false
        }
    });
    written
}
