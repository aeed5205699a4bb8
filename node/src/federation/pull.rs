//! Reading other nodes' logs: what is pushed is a hint, what is pulled is complete.
//!
//! One task for each followed peer. A page is verified line by line as it comes; the cursor moves only
//! with what is durable, so a cut line or a killed process resumes where it stopped. A line that is
//! refused is counted and passed over: it never blocks what comes after.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::identity::WitnessProofs;
use protocol::limits::{CHANGES_ROWS_MAX, CHANGES_WAIT_SECONDS_MAX};
use protocol::sync::{Cursor, Line};
use serde::Serialize;
use tokio::sync::{Mutex as Turn, Notify};
use tokio::task::JoinHandle;

use super::client::{Client, FetchError, StreamRequest};
use super::peers::{Peer, PeerError, Peers, peer_address};
use super::site;
use crate::clock::{SharedClock, Stopwatch};
use crate::ingest::{Ingest, IngestError};
use crate::store::{Receipt, StoreError};

/// Records taken in as one transaction.
const BATCH: usize = 1_024;

/// Bytes that one page may have, unpacked.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Between attempts after a failure: doubled each time, up to the longest.
const RETRY_SECONDS_MIN: u64 = 1;
const RETRY_SECONDS_MAX: u64 = 600;

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
}

impl Pulled {
    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.stored += other.stored;
        self.log_entries += other.log_entries;
        self.refused += other.refused;
    }
}

/// The reader of other nodes' logs. Cheap to clone.
#[derive(Clone)]
pub struct Puller(Arc<Inner>);

struct Inner {
    client: Client,
    peers: Peers,
    ingest: Ingest,
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
    /// A reader that takes in through `ingest`.
    pub fn new(client: Client, peers: Peers, ingest: Ingest, clock: SharedClock) -> Self {
        Self(Arc::new(Inner {
            client,
            peers,
            ingest,
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
            if peer.is_followed {
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

    /// Follows a node from now on.
    ///
    /// # Errors
    /// The address is none, or a disk fault. Whether the node answers shows later, in its `last_error`.
    pub async fn follow(&self, address: &str, filter: &str) -> Result<Peer, PeerError> {
        let url = peer_address(address)?;
        let peer = self
            .0
            .peers
            .change(&url, |peer| {
                peer.filter = filter.to_owned();
                peer.is_followed = true;
            })
            .await?;
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
        if let Some(task) = self.tasks().remove(&url) {
            task.handle.abort();
        }
        self.0
            .peers
            .change(&url, |peer| peer.is_followed = false)
            .await?;
        Ok(())
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
        let turn = self.tasks().get(url).map(|task| Arc::clone(&task.turn));
        let turn = turn.ok_or_else(|| PeerError::Unknown {
            url: url.to_owned(),
        })?;
        let mut all = Pulled::default();
        loop {
            // The task waits for news while it has the turn; it is asked to give way.
            let pulled = {
                self.hint(url);
                let _turn = turn.lock().await;
                self.0.page(url, 0).await?
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
        let attempt = {
            let _turn = turn.lock().await;
            tokio::select! {
                attempt = inner.page(&url, CHANGES_WAIT_SECONDS_MAX) => Some(attempt),
                // Whoever hints wants the turn, or knows that there is something new.
                () = hint.notified() => None,
            }
        };
        match attempt {
            Some(Ok(_)) => {
                retry_seconds = RETRY_SECONDS_MIN;
                // A provider's page has no way to say that it has news.
                if site::is_site(&url) {
                    tokio::select! {
                        () = tokio::time::sleep(SITE_PAUSE) => {}
                        () = hint.notified() => {}
                    }
                    continue;
                }
                // A peer that does not wait for news when it is asked to is not asked without pause.
                if stopwatch.elapsed() < IDLE && inner.cursor(&url) == before {
                    tokio::select! {
                        () = tokio::time::sleep(IDLE) => {}
                        () = hint.notified() => {}
                    }
                }
            }
            None => retry_seconds = RETRY_SECONDS_MIN,
            Some(Err(error)) => {
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
    let mut byte = [0];
    // Without chance there is no jitter, which is no fault.
    let _ = getrandom::fill(&mut byte);
    Duration::from_millis(u64::from(byte[0]) * 4)
}

impl Inner {
    /// How far a peer's log was read, if that is known.
    fn cursor(&self, url: &str) -> Option<String> {
        let peer = self.peers.get(url).ok().flatten()?;
        self.peers.cursor(url, &peer.filter).ok().flatten()
    }

    /// Reads one page and notes how it went.
    async fn page(&self, url: &str, wait_seconds: u64) -> Result<Pulled, PullError> {
        let mut result = self.read_page(url, wait_seconds).await;
        let is_gone = |error: &FetchError| error.status() == Some((410, Some("cursor-gone")));
        if matches!(&result, Err(PullError::Fetch(error)) if is_gone(error)) {
            // The peer's log has begun anew: so does the reading.
            self.peers.begin_anew(url).await?;
            result = self.read_page(url, wait_seconds).await;
        }
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

    async fn read_page(&self, url: &str, wait_seconds: u64) -> Result<Pulled, PullError> {
        let Some(peer) = self.peers.get(url)? else {
            return Err(PeerError::Unknown {
                url: url.to_owned(),
            }
            .into());
        };
        if site::is_site(url) {
            return self.read_site(url).await;
        }
        let cursor = self.peers.cursor(url, &peer.filter)?;
        let address = changes_address(&peer, cursor.as_deref(), wait_seconds);
        let request =
            StreamRequest::get(&address, PAGE_BYTES_MAX).waiting(Duration::from_secs(wait_seconds));
        let mut lines = self.client.lines(request).await?;
        let mut page = PageReader {
            inner: self,
            url,
            sender: url.into(),
            filter: peer.filter,
            batch: Vec::new(),
            cursor: None,
            read_to: cursor,
            under_way: None,
            pulled: Pulled::default(),
        };
        let mut is_whole = false;
        let ended = loop {
            match lines.next().await {
                Ok(Some(line)) => is_whole = page.take(&line).await?,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // What came before a fault is taken in, or a peer whose answers break off would never be read.
        page.flush().await?;
        page.settle().await?;
        let stored = page.pulled.stored;
        if stored > 0 {
            self.peers
                .change(url, |peer| peer.received += stored)
                .await?;
        }
        ended?;
        if is_whole {
            Ok(page.pulled)
        } else {
            Err(PullError::CutOff)
        }
    }
}

impl Inner {
    /// Reads a provider's page: its log, then its records.
    async fn read_site(&self, url: &str) -> Result<Pulled, PullError> {
        let log = site::take_log(&self.client, &self.ingest, url).await?;
        let at_home = log.is_at_home.then_some(&log.scid);
        self.peers.note_site(url, at_home).await?;
        let request = site::records_of(url, PAGE_BYTES_MAX);
        let mut lines = self.client.lines(request).await?;
        let mut page = PageReader {
            inner: self,
            url,
            sender: url.into(),
            filter: String::new(),
            batch: Vec::new(),
            cursor: None,
            read_to: None,
            under_way: None,
            pulled: Pulled::default(),
        };
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
    cursor: Option<Cursor>,
    /// How far the log was read before.
    read_to: Option<String>,
    under_way: Option<JoinHandle<Receipts>>,
    pulled: Pulled,
}

/// What became of a batch.
type Receipts = Result<Vec<Result<Receipt, IngestError>>, StoreError>;

impl PageReader<'_> {
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
                self.batch.push(record.as_bytes().to_vec());
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
        let cursor = self.cursor.take().map(|cursor| cursor.to_string());
        // A quiet peer is not written down each time that it says so.
        if lines.is_empty() && (cursor.is_none() || cursor == self.read_to) {
            return Ok(());
        }
        self.read_to.clone_from(&cursor);
        self.settle().await?;
        let place = match cursor {
            None => None,
            Some(cursor) => Some(self.inner.peers.place(self.url, &self.filter, &cursor)?),
        };
        let (ingest, sender) = (self.inner.ingest.clone(), self.sender.clone());
        let work = async move { ingest.records(lines, Some(sender), place).await };
        self.under_way = Some(tokio::spawn(work));
        Ok(())
    }

    /// Waits for what was handed over, and counts what became of it.
    async fn settle(&mut self) -> Result<(), PullError> {
        let Some(under_way) = self.under_way.take() else {
            return Ok(());
        };
        for receipt in under_way.await.map_err(|_| StoreError::Closed)?? {
            match receipt {
                Ok(Receipt::Stored) => self.pulled.stored += 1,
                Ok(_) => {}
                Err(IngestError::Store(error)) => return Err(error.into()),
                Err(error) => self.refuse(&error).await?,
            }
        }
        Ok(())
    }

    /// Counts a refused line against the peer.
    async fn refuse(&mut self, error: &(dyn std::fmt::Display + Sync)) -> Result<(), PullError> {
        self.pulled.refused += 1;
        let reason = error.to_string();
        tracing::info!(peer = self.url, reason, "refused a line");
        self.inner
            .peers
            .change(self.url, |peer| {
                peer.refused += 1;
                peer.last_refusal = Some(reason);
            })
            .await?;
        Ok(())
    }
}
