//! Reading other nodes' logs: what is pushed is a hint, what is pulled is complete.
//!
//! One task for each followed peer. A page is verified line by line as it comes; the cursor moves only
//! with what is durable, so a cut line or a killed process resumes where it stopped. A line that is
//! refused is counted and passed over: it never blocks what comes after. Versions that are named
//! without their bytes are asked for by hash (`pull/wanted.rs`). A log that has begun anew is not read
//! again where the peer can compare (`pull/reconcile.rs`); of a part it is (`pull/part.rs`).

mod mend;
mod own;
mod part;
mod reconcile;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::id::VersionHash;
use protocol::identity::WitnessProofs;
use protocol::limits::{CHANGES_ROWS_MAX, CHANGES_WAIT_SECONDS_MAX, FETCH_IDS_MAX};
use protocol::sync::{Cursor, Line};
use serde::Serialize;
use tokio::sync::{Mutex as Turn, Notify, oneshot};
use tokio::task::JoinHandle;

use super::client::{Client, FetchError, StreamRequest};
use super::peers::{Peer, PeerError, Peers, peer_address};
use super::policy::BLOCKED;
use super::site;
use crate::audit::{Act, Decision};
use crate::chance;
use crate::clock::{SharedClock, Stopwatch};
use crate::completeness;
use crate::ingest::{Ingest, IngestError, Receipts};
use crate::sets::{Sets, TalkError};
use crate::store::{Named, Receipt, Sequence, StoreError};

/// Records taken in as one transaction: half a page.
const BATCH: usize = CHANGES_ROWS_MAX / 2;

/// Batches that are checked and written while more is read.
const BATCHES_UNDER_WAY_MAX: usize = 3;

/// Bytes that one page may have, unpacked.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Between attempts after a failure: doubled each time, up to the longest.
const RETRY_SECONDS_MIN: u64 = 1;
const RETRY_SECONDS_MAX: u64 = 600;

/// A peer that is too busy to compare for longer than this is read from its beginning.
const RECONCILE_RETRY_SECONDS_MAX: u64 = 64;

/// Between readings of a provider's page.
const SITE_PAUSE: Duration = Duration::from_secs(900);

/// Between readings of a peer that answers at once and brings nothing further.
const IDLE: Duration = Duration::from_secs(1);

/// Why a peer's log was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The peer cannot be asked, or does not answer as a node.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The answer ended before it was whole.
    #[error("the answer was cut off; it goes on from where it stopped")]
    CutOff,
    /// It names what nobody has. The reading goes on after it.
    #[error("{count} versions that it names were given by nobody, {first} among them")]
    Withheld {
        /// How many.
        count: usize,
        /// One of them.
        first: VersionHash,
    },
    /// It does not compare as agreed.
    #[error("comparing with it: {0}")]
    Talk(#[from] TalkError),
    /// Much of what it offers cannot be used.
    #[error("{count} versions that it offers brought nothing: what else differs is left")]
    Fruitless {
        /// How many, one after the other.
        count: usize,
    },
    /// About the peer itself.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A provider's page does not read.
    #[error("{0}")]
    Site(String),
    /// Our disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    /// Whether the peer's log has begun anew since it was read.
    fn is_cursor_gone(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.status() == Some((410, Some("cursor-gone"))))
    }
}

/// What one reading brought.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Pulled {
    /// Lines read.
    pub lines: u64,
    /// Records that are new here.
    pub stored: u64,
    /// Log entries read.
    pub log_entries: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// Messages that were sent to compare sets.
    pub messages: u64,
    /// Bytes of those and of their answers.
    pub message_bytes: u64,
}

impl Pulled {
    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.stored += other.stored;
        self.log_entries += other.log_entries;
        self.refused += other.refused;
        self.messages += other.messages;
        self.message_bytes += other.message_bytes;
    }
}

/// The reader of other nodes' logs. Cheap to clone.
#[derive(Clone)]
pub struct Puller(Arc<Inner>);

struct Inner {
    client: Client,
    peers: Peers,
    ingest: Ingest,
    sets: Sets,
    clock: SharedClock,
    tasks: Mutex<BTreeMap<String, Task>>,
}

/// The task that keeps up with one peer.
struct Task {
    handle: JoinHandle<()>,
    hint: Arc<Notify>,
    /// One reading of a peer's log at a time.
    turn: Arc<Turn<()>>,
}

impl Puller {
    /// A reader that takes in through `ingest`, and compares `sets` with those of others.
    pub fn new(
        client: Client,
        peers: Peers,
        ingest: Ingest,
        sets: Sets,
        clock: SharedClock,
    ) -> Self {
        Self(Arc::new(Inner {
            client,
            peers,
            ingest,
            sets,
            clock,
            tasks: Mutex::default(),
        }))
    }

    /// Starts keeping up with every followed peer.
    ///
    /// # Errors
    /// A disk fault.
    pub fn start(&self) -> Result<(), StoreError> {
        for peer in self.0.peers.all()? {
            if peer.is_read() {
                self.keep_up(&peer.url);
            }
        }
        Ok(())
    }

    /// Ends all tasks. What they have taken in stays, and so do their cursors.
    pub fn stop(&self) {
        for task in std::mem::take(&mut *self.tasks()).into_values() {
            task.handle.abort();
        }
    }

    /// Follows a node from now on; with `every_hours`, it is read once in so many and not kept up with.
    ///
    /// # Errors
    /// The address is none, or a disk fault. Whether the node answers shows later, in its `last_error`.
    pub async fn follow(
        &self,
        address: &str,
        filter: &str,
        every_hours: Option<NonZeroU8>,
    ) -> Result<Peer, PeerError> {
        let url = peer_address(address)?;
        if self.0.peers.is_blocked(&url)? {
            return Err(PeerError::Blocked { url });
        }
        let start = |peer: &mut Peer| {
            peer.filter = filter.to_owned();
            peer.every_hours = every_hours;
            peer.is_followed = true;
            peer.is_unfollowed = false;
        };
        let part = (!filter.is_empty()).then(|| filter.to_owned());
        let pace = every_hours.map(|hours| format!("every {hours} hours"));
        let how = part
            .into_iter()
            .chain(pace)
            .reduce(|part, pace| format!("{part}, {pace}"));
        let peer = self.0.decide(&url, Act::Follow, start, how).await?;
        self.keep_up(&url);
        // A task that waits for news waits for those of the filter it asked with.
        self.hint(&url);
        Ok(peer)
    }

    /// Follows a node no longer. What came from it stays.
    ///
    /// # Errors
    /// It was not followed, or a disk fault.
    pub async fn unfollow(&self, address: &str) -> Result<(), PeerError> {
        let url = peer_address(address)?;
        let is_followed = self.0.peers.get(&url)?.is_some_and(|peer| peer.is_followed);
        if !is_followed {
            return Err(PeerError::Unknown { url });
        }
        self.pause(&url);
        let stop = |peer: &mut Peer| {
            peer.is_followed = false;
            peer.is_unfollowed = true;
        };
        self.0.decide(&url, Act::Unfollow, stop, None).await?;
        Ok(())
    }

    /// Goes on with a followed node at the address to which it moved. The operator decided nothing, so it
    /// stands in the list of peers and not in the audit log.
    ///
    /// # Errors
    /// [`PeerError::Full`], or a disk fault.
    pub async fn follow_to(&self, former: &str, url: &str) -> Result<(), PeerError> {
        let peer = self.0.peers.get(former)?;
        let Some(peer) = peer.filter(|peer| peer.is_followed && former != url) else {
            return Ok(());
        };
        let start = |new: &mut Peer| {
            new.filter = peer.filter;
            new.is_followed = true;
            new.is_unfollowed = false;
        };
        self.0.peers.change(url, start).await?;
        self.keep_up(url);
        self.pause(former);
        let stop = |old: &mut Peer| {
            old.is_followed = false;
            old.is_unfollowed = true;
            old.last_error = Some(format!("it moved to {url}, which is followed instead"));
        };
        self.0.peers.change(former, stop).await?;
        Ok(())
    }

    /// Reads a peer's log no more for now: it is blocked. [`Puller::start`] goes on.
    pub fn pause(&self, url: &str) {
        if let Some(task) = self.tasks().remove(url) {
            task.handle.abort();
        }
    }

    /// Has a followed peer's log read from its beginning, soon: what was refused before may be taken now.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn begin_anew(&self, url: &str) -> Result<(), StoreError> {
        let turn = self.tasks().get(url).map(|task| Arc::clone(&task.turn));
        self.hint(url);
        // What is being read would note how far it was read.
        let _turn = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        self.0.peers.begin_anew(url).await
    }

    /// Asks a peer's task to look now: the peer said that it has news.
    pub fn hint(&self, url: &str) {
        if let Some(task) = self.tasks().get(url) {
            task.hint.notify_one();
        }
    }

    /// Reads a followed peer's log to its end, now.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn catch_up(&self, url: &str) -> Result<Pulled, PullError> {
        self.read_to_end(url, false).await
    }

    /// Reads a followed peer's log from its beginning to its end: what was refused before may be taken
    /// now.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn read_anew(&self, url: &str) -> Result<Pulled, PullError> {
        self.read_to_end(url, true).await
    }

    /// Reads one page of a peer's log, now: for whoever drives a node step by step and lets no task keep up.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn read_page(&self, url: &str) -> Result<Pulled, PullError> {
        match self.0.page(url, 0, pending()).await {
            Err(error) if error.is_cursor_gone() => {
                let mut all = self.0.begin_anew(url, false).await?;
                all.add(self.0.page(url, 0, pending()).await?);
                Ok(all)
            }
            page => page,
        }
    }

    async fn read_to_end(&self, url: &str, mut is_anew: bool) -> Result<Pulled, PullError> {
        let turn = self.tasks().get(url).map(|task| Arc::clone(&task.turn));
        let turn = turn.ok_or_else(|| PeerError::Unknown {
            url: url.to_owned(),
        })?;
        let mut all = Pulled::default();
        let mut was_gone = false;
        loop {
            let pulled = {
                // The task waits for news while it has the turn; it is asked to give way.
                let free = turn.try_lock();
                let _turn = match free {
                    Ok(turn) => turn,
                    Err(_) => {
                        self.hint(url);
                        turn.lock().await
                    }
                };
                if std::mem::take(&mut is_anew) {
                    self.0.peers.begin_anew(url).await?;
                }
                match self.0.page(url, 0, pending()).await {
                    Err(error)
                        if error.is_cursor_gone() && !std::mem::replace(&mut was_gone, true) =>
                    {
                        all.add(self.0.begin_anew(url, false).await?);
                        continue;
                    }
                    page => page?,
                }
            };
            all.add(pulled);
            if pulled.lines == 0 {
                return Ok(all);
            }
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Task>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_up(&self, url: &str) {
        let mut tasks = self.tasks();
        if tasks.contains_key(url) {
            return;
        }
        let (hint, turn) = (Arc::new(Notify::new()), Arc::new(Turn::new(())));
        let work = keep_up(
            Arc::clone(&self.0),
            url.to_owned(),
            Arc::clone(&hint),
            Arc::clone(&turn),
        );
        tasks.insert(
            url.to_owned(),
            Task {
                handle: tokio::spawn(work),
                hint,
                turn,
            },
        );
    }
}

async fn keep_up(inner: Arc<Inner>, url: String, hint: Arc<Notify>, turn: Arc<Turn<()>>) {
    let mut retry_seconds = RETRY_SECONDS_MIN;
    loop {
        let stopwatch = Stopwatch::start();
        let before = inner.cursor(&url);
        let every = inner.every(&url);
        let wait_seconds = if every.is_some() {
            0
        } else {
            CHANGES_WAIT_SECONDS_MAX
        };
        let (mut was_gone, mut is_hinted) = (false, false);
        let attempt = {
            let _turn = turn.lock().await;
            // Whoever hints wants the turn, or knows that there is something new.
            let leave = async {
                hint.notified().await;
                is_hinted = true;
            };
            match inner.page(&url, wait_seconds, leave).await {
                // No hint breaks this off: it would begin from the beginning each time.
                Err(error) if error.is_cursor_gone() && before.is_some() => {
                    was_gone = true;
                    let is_patient = retry_seconds < RECONCILE_RETRY_SECONDS_MAX;
                    let begun = inner.begin_anew(&url, is_patient).await;
                    inner.noted(&url, begun).await
                }
                attempt => attempt,
            }
        };
        match attempt {
            Ok(_) if is_hinted => retry_seconds = RETRY_SECONDS_MIN,
            Ok(pulled) => {
                retry_seconds = RETRY_SECONDS_MIN;
                let pause = match every {
                    // A provider's page has no way to say that it has news.
                    None => site::is_site(&url).then_some(SITE_PAUSE),
                    // To its end, and then not for a while.
                    every if pulled.lines == 0 && !was_gone => every,
                    Some(_) => None,
                };
                if let Some(pause) = pause {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = hint.notified() => {}
                    }
                    continue;
                }
                // A peer that does not wait for news when it is asked to is not asked without pause.
                if stopwatch.elapsed() < IDLE && (was_gone || inner.cursor(&url) == before) {
                    tokio::select! {
                        () = tokio::time::sleep(IDLE) => {}
                        () = hint.notified() => {}
                    }
                }
            }
            Err(error) => {
                tracing::debug!(peer = url, %error, "a peer's log was not read");
                let pause = Duration::from_secs(retry_seconds) + jitter();
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = hint.notified() => {}
                }
                retry_seconds = (retry_seconds * 2).min(RETRY_SECONDS_MAX);
            }
        }
    }
}

/// Up to a second, so that peers of a node that comes back do not all knock at once.
fn jitter() -> Duration {
    Duration::from_millis(u64::from(chance::byte()) * 4)
}

impl Inner {
    /// Changes a peer by a decision of the operator.
    async fn decide(
        &self,
        url: &str,
        act: Act,
        change: impl FnOnce(&mut Peer),
        reason: Option<String>,
    ) -> Result<Peer, PeerError> {
        let decision = Decision {
            time: self.clock.now(),
            act,
            subject: url.to_owned(),
            reason,
        };
        self.peers.decide(url, change, decision).await
    }

    /// The time from one reading of a peer's log to the next, if it is not kept up with.
    fn every(&self, url: &str) -> Option<Duration> {
        self.peers.get(url).ok().flatten()?.every()
    }

    /// How far a peer's log was read, if that is known.
    fn cursor(&self, url: &str) -> Option<String> {
        let peer = self.peers.get(url).ok().flatten()?;
        self.peers.cursor(url, &peer.filter).ok().flatten()
    }

    /// Reads one page and notes how it went, unless the peer's log has begun anew: then it goes on with
    /// [`Inner::begin_anew`]. Once `leave` is over no more of it is read; what was read is taken in.
    async fn page(
        &self,
        url: &str,
        wait_seconds: u64,
        leave: impl Future<Output = ()>,
    ) -> Result<Pulled, PullError> {
        let result = self.read_page(url, wait_seconds, leave).await;
        match &result {
            Err(error) if error.is_cursor_gone() && self.cursor(url).is_some() => result,
            _ => self.noted(url, result).await,
        }
    }

    /// Notes how a reading went.
    async fn noted(
        &self,
        url: &str,
        result: Result<Pulled, PullError>,
    ) -> Result<Pulled, PullError> {
        let now = self.clock.now().unix_seconds();
        let noted = match &result {
            // A quiet peer is not written down every half minute.
            Ok(pulled) => {
                let known = self.peers.get(url)?;
                let is_news = pulled.lines > 0
                    || known.is_none_or(|peer| {
                        peer.last_error.is_some()
                            || peer.last_heard.is_none_or(|heard| now - heard > 300)
                    });
                is_news.then_some(None)
            }
            Err(error) => Some(Some(error.to_string())),
        };
        match &result {
            Ok(_) => {
                let known = self.peers.get(url)?.and_then(|peer| peer.turned_away);
                // Reading is open to those who wait to be allowed: it says nothing of that.
                if known.is_some_and(|known| known.code == BLOCKED) {
                    self.peers.note_turned_away(url, None).await?;
                }
            }
            Err(PullError::Fetch(error)) => {
                if let Some(turned_away) = error.turned_away() {
                    self.peers.note_turned_away(url, Some(turned_away)).await?;
                }
            }
            Err(_) => {}
        }
        if let Some(error) = noted {
            self.peers
                .change(url, |peer| {
                    if error.is_none() {
                        peer.last_heard = Some(now);
                    }
                    peer.last_error = error;
                })
                .await?;
        }
        result
    }

    async fn read_page(
        &self,
        url: &str,
        wait_seconds: u64,
        leave: impl Future<Output = ()>,
    ) -> Result<Pulled, PullError> {
        tokio::pin!(leave);
        let Some(peer) = self.peers.get(url)? else {
            return Err(PeerError::Unknown {
                url: url.to_owned(),
            }
            .into());
        };
        if site::is_site(url) {
            return tokio::select! {
                read = self.read_site(url) => read,
                () = leave => Ok(Pulled::default()),
            };
        }
        let cursor = self.peers.cursor(url, &peer.filter)?;
        let address = changes_address(&peer, cursor.as_deref(), wait_seconds);
        let request =
            StreamRequest::get(&address, PAGE_BYTES_MAX).waiting(Duration::from_secs(wait_seconds));
        let mut lines = tokio::select! {
            lines = self.client.lines(request) => lines?,
            () = &mut leave => return Ok(Pulled::default()),
        };
        let mut page = PageReader::new(self, url, peer.filter, cursor);
        let mut is_whole = false;
        let ended = loop {
            let line = tokio::select! {
                line = lines.next() => line,
                () = &mut leave => {
                    is_whole = true;
                    break Ok(());
                }
            };
            match line {
                Ok(Some(line)) => is_whole = page.take(&line).await?,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            // One page asks for so many; the next one goes on from there.
            if page.wanted.len() >= FETCH_IDS_MAX {
                is_whole = true;
                break Ok(());
            }
        };
        // What came before a fault is taken in, or a peer whose answers break off would never be read.
        page.flush().await?;
        page.settle().await?;
        let withheld = page.complete().await?;
        let stored = page.pulled.stored;
        if stored > 0 {
            self.peers
                .change(url, |peer| peer.received += stored)
                .await?;
        }
        ended?;
        if let Some(&first) = withheld.first() {
            let count = withheld.len();
            Err(PullError::Withheld { count, first })
        } else if is_whole {
            Ok(page.pulled)
        } else {
            Err(PullError::CutOff)
        }
    }
}

impl Inner {
    /// Counts refused lines against a peer.
    async fn count_refused(&self, url: &str, count: u64, reason: &str) -> Result<(), PeerError> {
        tracing::info!(peer = url, count, reason, "refused a line");
        self.peers
            .change(url, |peer| {
                peer.refused += count;
                peer.last_refusal = Some(reason.to_owned());
            })
            .await?;
        Ok(())
    }

    /// Reads a provider's page: its log, then its records.
    async fn read_site(&self, url: &str) -> Result<Pulled, PullError> {
        let log = site::take_log(&self.client, &self.ingest, url).await?;
        let at_home = log.is_at_home.then_some(&log.scid);
        self.peers.note_site(url, at_home).await?;
        let request = site::records_of(url, PAGE_BYTES_MAX);
        let mut lines = self.client.lines(request).await?;
        let mut page = PageReader::new(self, url, String::new(), None);
        let ended = loop {
            match lines.next().await {
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) if site::is_by(&line, &log.scid) => {
                    page.batch.push(line.to_vec());
                    if page.batch.len() >= BATCH {
                        page.flush().await?;
                    }
                }
                Ok(Some(_)) => {
                    let reason = "a line is no record of the identity whose log stands beside it";
                    page.refuse(&reason).await?;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        page.flush().await?;
        page.settle().await?;
        let mut pulled = page.pulled;
        pulled.log_entries = log.grown;
        // The whole page is read each time: only what was new is news.
        pulled.lines = pulled.stored + log.grown;
        if pulled.stored > 0 {
            self.peers
                .change(url, |peer| peer.received += pulled.stored)
                .await?;
        }
        ended?;
        Ok(pulled)
    }
}

fn changes_address(peer: &Peer, cursor: Option<&str>, wait_seconds: u64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(cursor) = cursor {
        query.append_pair("since", cursor);
    }
    if !peer.filter.is_empty() {
        query.append_pair("filter", &peer.filter);
    }
    query.append_pair("limit", &CHANGES_ROWS_MAX.to_string());
    query.append_pair("wait", &wait_seconds.to_string());
    format!("{}/sync/v1/changes?{}", peer.url, query.finish())
}

/// What of a page was read and not yet taken in.
struct PageReader<'p> {
    inner: &'p Inner,
    url: &'p str,
    sender: Box<str>,
    /// Which part was asked for.
    filter: String,
    batch: Vec<Vec<u8>>,
    /// What is put with the batch: which checkpoints the peer gave.
    beside: Vec<Named>,
    cursor: Option<Cursor>,
    /// How far the log was read before.
    read_to: Option<String>,
    /// In the order of the peer's log.
    under_way: VecDeque<UnderWay>,
    sequence: Sequence,
    /// Told when the last of them has its place in the sequence.
    last_placed: Option<oneshot::Receiver<()>>,
    /// Whether the next reading goes on from where this one ends.
    keeps_place: bool,
    /// Versions that were named and are not here.
    wanted: BTreeSet<VersionHash>,
    pulled: Pulled,
}

/// A batch that was handed over.
type UnderWay = JoinHandle<Result<Receipts, StoreError>>;

impl Drop for PageReader<'_> {
    /// Whoever is stopped in the middle takes nothing in after that.
    fn drop(&mut self) {
        self.sequence.stop();
    }
}

impl<'p> PageReader<'p> {
    fn new(inner: &'p Inner, url: &'p str, filter: String, read_to: Option<String>) -> Self {
        Self {
            inner,
            url,
            sender: url.into(),
            filter,
            batch: Vec::new(),
            beside: Vec::new(),
            cursor: None,
            read_to,
            under_way: VecDeque::new(),
            sequence: Sequence::default(),
            last_placed: None,
            keeps_place: true,
            wanted: BTreeSet::new(),
            pulled: Pulled::default(),
        }
    }

    /// Takes one line; `true` if it is the end of the page.
    async fn take(&mut self, line: &[u8]) -> Result<bool, PullError> {
        let (line, cursor) = match Line::read(line) {
            Ok(read) => read,
            Err(error) => {
                self.refuse(&error).await?;
                return Ok(false);
            }
        };
        let is_end = line == Line::End;
        match line {
            Line::End => {}
            Line::Record { record } => {
                self.pulled.lines += 1;
                let ingest = &self.inner.ingest;
                let given =
                    completeness::note_given(record, self.url, |scid| ingest.has_log(scid))?;
                self.beside.extend(given);
                self.batch.push(record.as_bytes().to_vec());
            }
            Line::Version { hash } => {
                self.pulled.lines += 1;
                if !self.inner.ingest.knows(&hash)? {
                    self.wanted.insert(hash);
                }
            }
            Line::Log { entry, witness, .. } => {
                // Records before an entry were signed under what the log said then.
                self.flush().await?;
                self.settle().await?;
                self.pulled.lines += 1;
                let proofs = witness.map_or(Ok(WitnessProofs::empty()), |witness| {
                    WitnessProofs::parse(witness.as_bytes())
                });
                let taken = match proofs {
                    Ok(proofs) => self.inner.ingest.log_entry(entry.as_bytes(), &proofs).await,
                    Err(error) => Err(error.into()),
                };
                match taken {
                    Ok(_) => self.pulled.log_entries += 1,
                    // Our operator's choice, and no fault of the peer's.
                    Err(IngestError::AuthorBlocked(_)) => {
                        self.inner.sets.pass_over_entry(entry.as_bytes());
                    }
                    Err(IngestError::Store(error)) => return Err(error.into()),
                    Err(error) => self.refuse(&error).await?,
                }
            }
        }
        self.cursor = cursor.or(self.cursor.take());
        if self.batch.len() >= BATCH {
            self.flush().await?;
        }
        Ok(is_end)
    }

    /// Hands over what waits, to be checked and written together with the cursor that it leads to,
    /// while the next lines are read.
    async fn flush(&mut self) -> Result<(), PullError> {
        let lines = std::mem::take(&mut self.batch);
        self.inner.sets.pass_over(lines.iter().map(Vec::as_slice));
        // The place stays before a version that is still to be asked for.
        let cursor = if self.wanted.is_empty() && self.keeps_place {
            self.cursor.take().map(|cursor| cursor.to_string())
        } else {
            None
        };
        // A quiet peer is not written down each time that it says so.
        if lines.is_empty() && (cursor.is_none() || cursor == self.read_to) {
            return Ok(());
        }
        if cursor.is_some() {
            self.read_to.clone_from(&cursor);
        }
        while self.under_way.len() >= BATCHES_UNDER_WAY_MAX {
            self.settle_one().await?;
        }
        let mut beside = std::mem::take(&mut self.beside);
        if let Some(cursor) = cursor {
            beside.push(self.inner.peers.place(self.url, &self.filter, &cursor)?);
        }
        let (ingest, sender) = (self.inner.ingest.clone(), self.sender.clone());
        let sequence = self.sequence.clone();
        let (placed, is_placed) = oneshot::channel();
        let before = self.last_placed.replace(is_placed);
        self.under_way.push_back(tokio::spawn(async move {
            let checked = ingest.check(lines).await?;
            // Batches are checked side by side and written in order: a cursor must not come before
            // what it leads past.
            if let Some(before) = before {
                before.await.map_err(|_| StoreError::Closed)?;
            }
            let receipts = ingest.take(checked, Some(sender), beside, &sequence);
            // Whoever waits for it may have gone.
            let _ = placed.send(());
            receipts.await
        }));
        Ok(())
    }

    /// Waits for all that was handed over, and counts what became of it.
    async fn settle(&mut self) -> Result<(), PullError> {
        while !self.under_way.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), PullError> {
        let Some(under_way) = self.under_way.pop_front() else {
            return Ok(());
        };
        let mut refused = 0;
        let mut last_refusal = None;
        for receipt in under_way.await.map_err(|_| StoreError::Closed)?? {
            match receipt {
                Ok(Receipt::Stored) => self.pulled.stored += 1,
                Ok(_) | Err(IngestError::AuthorBlocked(_)) => {}
                Err(IngestError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    refused += 1;
                    last_refusal = Some(error);
                }
            }
        }
        // Written down once: a peer may send a million that are refused.
        if let Some(error) = last_refusal {
            self.pulled.refused += refused;
            let reason = error.to_string();
            self.inner.count_refused(self.url, refused, &reason).await?;
        }
        Ok(())
    }

    /// Asks for what was named and is not here, takes it in, and gives what nobody had.
    async fn complete(&mut self) -> Result<BTreeSet<VersionHash>, PullError> {
        if self.wanted.is_empty() {
            return Ok(BTreeSet::new());
        }
        let found = self.inner.find(self.url, self.wanted.clone()).await?;
        self.wanted.clear();
        self.pulled.refused += found.faults;
        self.batch.extend(found.records);
        if let Some(hash) = found.missing.first() {
            let count = found.missing.len() as u64;
            self.pulled.refused += count;
            let reason = format!("named and not given: {hash}");
            self.inner.count_refused(self.url, count, &reason).await?;
        }
        self.flush().await?;
        self.settle().await?;
        Ok(found.missing)
    }

    /// Counts a refused line against the peer.
    async fn refuse(&mut self, error: &(dyn std::fmt::Display + Sync)) -> Result<(), PullError> {
        self.pulled.refused += 1;
        self.inner
            .count_refused(self.url, 1, &error.to_string())
            .await?;
        Ok(())
    }
}
