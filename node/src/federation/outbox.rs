//! What this node sends: announcements to followers, answers to those who follow, and the follows of
//! its own (docs/protocol.md, 5).
//!
//! Everything that is owed stands in the store: a cursor into the change log for each host that
//! followers receive at (`deliveries`), a mark on each follower that was not answered, a stage on each
//! peer that is to be followed. So there is no queue to fill up or to lose. Push is a hint: a host that
//! stays away for long finds what it missed by pulling, and costs next to nothing until then.
//!
//! One host has one job at a time. Hosts that failed or were slow when they were last sent something
//! share a part of the places only, so that the others do not wait for them.

mod page;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::activity::{self, Kind};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use page::{Item, Pages, proven};
use turns::{Retry, Turns};

use super::actors::{Actors, Local, Sending, SpeakError, origin};
use super::client::{Client, FetchError};
use super::courier::{Courier, CourierError};
use super::deliveries::{Deliveries, FAILURES_MAX, Said, pause};
use super::followers::{Follower, FollowerError, Followers};
use super::peers::{Asked, Peer, PeerError, Peers, Stage, TurnedAway};
use super::remote::{Freshness, RemoteActors, RemoteError};
use crate::chance;
use crate::clock::SharedClock;
use crate::keychain::{KeychainError, random_name};
use crate::store::{Store, StoreError};

/// How long one job goes on before others have their turn.
const JOB_TIME: Duration = Duration::from_secs(20);

/// Who takes longer for one activity is slow.
const SLOW: Duration = Duration::from_secs(3);

/// Changes that one job reads before others have their turn.
const ROWS: usize = 200;

/// Changes that a host may be behind before what lies between is left to pulling.
const BEHIND_MAX: u64 = 10_000;

/// How long news is gathered before it is looked at.
const GATHER: Duration = Duration::from_millis(50);

/// Why something was not sent, or not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is nobody there.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is no such actor.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// It was answered with a refusal.
    #[error("{reason}")]
    Refused {
        /// Its status.
        status: u16,
        /// How long we are asked to stay away.
        retry_after: Option<Duration>,
        /// In the other side's words.
        reason: String,
        /// Set if it does not deal with this node at all.
        turned_away: Option<TurnedAway>,
    },
    /// It cannot be signed.
    #[error("it cannot be signed: {0}")]
    Unsigned(String),
    /// Our keys.
    #[error(transparent)]
    Keys(#[from] KeychainError),
    /// About a peer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Our disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CourierError> for SendError {
    fn from(error: CourierError) -> Self {
        match error {
            CourierError::Fetch(error) => Self::Fetch(error),
            CourierError::Unsigned(reason) => Self::Unsigned(reason),
            CourierError::Store(error) => Self::Store(error),
        }
    }
}

impl From<SpeakError> for SendError {
    fn from(error: SpeakError) -> Self {
        match error {
            SpeakError::Store(error) => Self::Store(error),
            SpeakError::Keys(error) => Self::Keys(error),
        }
    }
}

impl SendError {
    /// Whether the very same will be refused again, so that it is passed over.
    fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                (400..500).contains(status) && !matches!(status, 408 | 425 | 429)
            }
            // Of one actor, not of its host.
            Self::Remote(error) => !error.is_temporary(),
            _ => false,
        }
    }

    /// Whether whoever was there says that it is gone for good (RFC 9110, 15.5.11).
    fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 410, .. })
    }

    fn turned_away(&self) -> Option<&TurnedAway> {
        match self {
            Self::Refused { turned_away, .. } => turned_away.as_ref(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. }
            | Self::Fetch(FetchError::Status { retry_after, .. })
            | Self::Remote(RemoteError::Fetch(FetchError::Status { retry_after, .. })) => {
                *retry_after
            }
            _ => None,
        }
    }
}

/// Something that is owed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    /// The changes since its cursor, to a host.
    Announce { host: String },
    /// An answer to a follower of one of our actors.
    Answer { actor: String, followed: String },
    /// A `Follow` or its `Undo`, to a peer.
    Ask { peer: String },
}

impl Job {
    /// To whom it goes.
    fn host(&self) -> String {
        match self {
            Self::Announce { host } => host.clone(),
            Self::Answer { actor, .. } => origin(actor).unwrap_or_default(),
            Self::Ask { peer } => peer.clone(),
        }
    }
}

/// Sends what is owed. Clones share it.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    actors: Actors,
    client: Client,
    courier: Courier,
    remote: RemoteActors,
    followers: Followers,
    peers: Peers,
    store: Arc<Store>,
    clock: SharedClock,
    wake: Notify,
    deliveries: Deliveries,
    pages: Pages,
    /// Peers to which a `Follow` or an `Undo` is to be sent.
    asking: Mutex<BTreeSet<String>>,
}

/// The parts that an [`Outbox`] works with.
pub struct Parts {
    /// Who we are.
    pub actors: Actors,
    /// How others are reached.
    pub client: Client,
    /// What signs and sends.
    pub courier: Courier,
    /// Who others are.
    pub remote: RemoteActors,
    /// Who is told.
    pub followers: Followers,
    /// Whom we follow.
    pub peers: Peers,
    /// How far each host was told.
    pub deliveries: Deliveries,
    /// The change log.
    pub store: Arc<Store>,
    /// What time signatures bear.
    pub clock: SharedClock,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    /// What is owed by a store. Nothing is sent before [`Outbox::run`].
    ///
    /// # Errors
    /// A disk fault.
    pub fn open(parts: Parts) -> Result<Self, StoreError> {
        let asking = parts.peers.all()?.into_iter().filter(|peer| {
            let stage = peer.asked.as_ref().map(|asked| asked.stage);
            matches!(stage, Some(Stage::Wanted | Stage::Ending))
        });
        Ok(Self(Arc::new(Inner {
            asking: Mutex::new(asking.map(|peer| peer.url).collect()),
            actors: parts.actors,
            client: parts.client,
            courier: parts.courier,
            remote: parts.remote,
            followers: parts.followers,
            peers: parts.peers,
            store: parts.store,
            clock: parts.clock,
            wake: Notify::new(),
            deliveries: parts.deliveries,
            pages: Pages::default(),
        })))
    }

    /// Tells a new follower of what changes from now on, and that it is accepted.
    ///
    /// # Errors
    /// [`FollowerError`].
    pub async fn accept(&self, follower: Follower) -> Result<(), FollowerError> {
        let host = follower.host.clone();
        self.0.followers.add(follower).await?;
        self.0.deliveries.begin(&host).await?;
        // Whoever follows is there, and waits for an answer.
        self.0.deliveries.try_now(&host);
        self.0.wake.notify_one();
        Ok(())
    }

    /// Asks a peer to push, from now on until it is done: by its actor, or that of the node there.
    ///
    /// # Errors
    /// [`PeerError`]; whether the peer can be asked shows later, in its `last_error`.
    pub async fn follow(&self, url: &str, actor: Option<String>) -> Result<(), PeerError> {
        let chance =
            |error: KeychainError| StoreError::Io(std::io::Error::other(error.to_string()));
        let name = random_name().map_err(chance)?;
        let follow = format!("{}#follows/{name}", self.0.actors.id(&Local::Node));
        let change = |peer: &mut Peer| match &mut peer.asked {
            Some(asked) if asked.stage == Stage::Granted => {}
            Some(asked) if matches!(asked.stage, Stage::Wanted | Stage::Sent) => {
                asked.stage = Stage::Wanted;
            }
            asked => {
                *asked = Some(Asked {
                    follow,
                    actor,
                    stage: Stage::Wanted,
                });
            }
        };
        self.0.peers.change(url, change).await?;
        self.0.ask(url);
        Ok(())
    }

    /// Looks anew at what is owed: a node is not blocked any more.
    pub fn resume(&self) {
        self.0.wake.notify_one();
    }

    /// Asks a peer to push no longer, if it was asked to.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn unfollow(&self, url: &str) -> Result<(), PeerError> {
        let change = |peer: &mut Peer| match &mut peer.asked {
            Some(asked) if asked.actor.is_some() => asked.stage = Stage::Ending,
            asked => *asked = None,
        };
        self.0.peers.change(url, change).await?;
        self.0.ask(url);
        Ok(())
    }

    /// The actor behind an account such as `acct:node@hub.example` (RFC 7033).
    ///
    /// # Errors
    /// The account is none, its host says nothing of it, or the actor is not a node's.
    pub async fn find(&self, account: &str) -> Result<String, SendError> {
        let unknown = || SendError::Refused {
            status: 404,
            retry_after: None,
            turned_away: None,
            reason: format!(
                "“{account}” is no account of a node: write it like acct:node@hub.example"
            ),
        };
        let account = account.trim_start_matches("acct:").trim_start_matches('@');
        let (_, host) = account.split_once('@').ok_or_else(unknown)?;
        let secure = Url::parse(&format!("https://{host}")).map_err(|_| unknown())?;
        let name = secure.host_str().ok_or_else(unknown)?;
        let is_insecure = secure
            .port()
            .is_some_and(|port| self.0.client.is_insecure_peer(name, port));
        let scheme = if is_insecure { "http" } else { "https" };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("resource", &format!("acct:{account}"))
            .finish();
        let address = format!("{scheme}://{host}/.well-known/webfinger?{query}");
        let answer = self
            .0
            .client
            .document(&address, "application/jrd+json")
            .await?;
        let answer: Value = serde_json::from_slice(&answer.bytes).map_err(|_| unknown())?;
        let links = answer.get("links").and_then(Value::as_array).into_iter();
        let of = |link: &Value, name: &str| {
            link.get(name)
                .and_then(Value::as_str)
                .map(ToOwned::to_owned)
        };
        let actor = links
            .flatten()
            .find(|link| {
                of(link, "rel").as_deref() == Some("self")
                    && of(link, "type").is_some_and(|kind| activity::is_activity_type(&kind))
            })
            .and_then(|link| of(link, "href"))
            .ok_or_else(unknown)?;
        let actor = self.0.remote.get(&actor, Freshness::Kept).await?;
        if actor.is_service() {
            Ok(actor.id.clone())
        } else {
            Err(unknown())
        }
    }

    /// Sends what is owed until `stopping`. What is under way then is sent again after the next start.
    pub async fn run(&self, stopping: impl Future<Output = ()>) {
        self.send_all(stopping).await;
        self.0.flush().await;
    }

    async fn send_all(&self, stopping: impl Future<Output = ()>) {
        tokio::pin!(stopping);
        let hosts = self.0.followers.hosts().into_iter().collect();
        if let Err(error) = self.0.deliveries.retain(&hosts).await {
            tracing::error!(%error, "hosts without followers are still remembered");
        }
        let mut ticks = self.0.store.ticks();
        let mut jobs = JoinSet::new();
        let mut turns = Turns::default();
        let mut flushing = JoinSet::new();
        // When it is looked at what is owed.
        let mut look = Some(Instant::now());
        loop {
            // Only what is looked at now is old: news that came meanwhile is not.
            if look.is_some_and(|at| at <= Instant::now()) {
                ticks.mark_unchanged();
                let inner = Arc::clone(&self.0);
                let owed = tokio::task::spawn_blocking(move || inner.owed()).await;
                match owed.unwrap_or(Err(StoreError::Closed)) {
                    Ok(owed) => turns.wait(owed),
                    Err(error) => tracing::error!(%error, "nothing is delivered"),
                }
                look = None;
            }
            while let Some(job) = turns.next(&self.0.deliveries, Instant::now()) {
                let inner = Arc::clone(&self.0);
                jobs.spawn(async move {
                    let done = inner.work(&job).await;
                    (job, done)
                });
            }
            if flushing.is_empty() && self.0.deliveries.has_unwritten() {
                let inner = Arc::clone(&self.0);
                flushing.spawn(async move { inner.flush().await });
            }
            if jobs.is_empty() {
                self.0.pages.forget();
            }
            let later = look.into_iter().chain(turns.again).min();
            let later = async {
                match later {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let now = Instant::now();
            tokio::select! {
                Some(done) = jobs.join_next(), if !jobs.is_empty() => match done {
                    Ok((job, result)) => {
                        turns.end(&job);
                        self.0.settle(job, result, &mut turns.retries).await;
                        // While others wait for a place, what else this one is owed waits as well.
                        if !turns.is_full() {
                            look = Some(now);
                        }
                    }
                    // A panic in a job is a defect of ours: it is not tried again before the next start.
                    Err(error) => tracing::error!(%error, "a delivery broke off"),
                },
                // What came meanwhile is written now.
                Some(_) = flushing.join_next(), if !flushing.is_empty() => {}
                changed = ticks.changed() => match changed {
                    Ok(()) => look = look.or(Some(now + GATHER)),
                    Err(_) => return,
                },
                () = self.0.wake.notified() => look = Some(now),
                () = later => look = Some(now),
                () = &mut stopping => return,
            }
        }
    }
}

impl Inner {
    fn ask(&self, peer: &str) {
        lock(&self.asking).insert(peer.to_owned());
        self.wake.notify_one();
    }

    async fn flush(&self) {
        if let Err(error) = self.deliveries.flush().await {
            tracing::error!(%error, "how far hosts were told is not written down");
        }
    }

    /// What is owed, but to those with whom nothing is exchanged.
    fn owed(&self) -> Result<Vec<Job>, StoreError> {
        let last = self.store.last_change()?;
        let hosts = self.followers.hosts().into_iter();
        let mut owed: Vec<Job> = hosts
            .filter(|host| !self.deliveries.is_told(host, last))
            .map(|host| Job::Announce { host })
            .collect();
        let unanswered = self.followers.unanswered().into_iter();
        owed.extend(unanswered.map(|(actor, followed)| Job::Answer { actor, followed }));
        owed.extend(
            lock(&self.asking)
                .iter()
                .map(|peer| Job::Ask { peer: peer.clone() }),
        );
        let mut wanted = Vec::with_capacity(owed.len());
        for job in owed {
            if !self.peers.is_blocked(&job.host())? {
                wanted.push(job);
            }
        }
        Ok(wanted)
    }

    async fn work(&self, job: &Job) -> Result<(), SendError> {
        match job {
            Job::Announce { host } => self.announce(host).await,
            Job::Answer { actor, followed } => self.answer(actor, followed).await,
            Job::Ask { peer } => self.ask_now(peer).await,
        }
    }

    /// Notes how a job went, and when it may be tried again.
    async fn settle(
        &self,
        job: Job,
        result: Result<(), SendError>,
        retries: &mut BTreeMap<Job, Retry>,
    ) {
        let Err(error) = result else {
            retries.remove(&job);
            return;
        };
        tracing::debug!(?job, %error, "not delivered");
        let noted = match &job {
            Job::Ask { peer } => {
                let retry = retries.entry(job.clone()).or_default();
                retry.failures = retry.failures.saturating_add(1);
                let pause = pause(retry.failures, error.retry_after(), chance::byte());
                retry.not_before = Some(Instant::now() + pause);
                let is_given_up = retry.failures >= FAILURES_MAX;
                self.note_not_asked(peer, &error, is_given_up).await
            }
            Job::Announce { .. } | Job::Answer { .. } => self
                .note_failed(&job.host(), &error)
                .await
                .map_err(Into::into),
        };
        if let Err(error) = noted {
            tracing::error!(?job, %error, "it was not noted that a delivery failed");
        }
    }

    async fn note_not_asked(
        &self,
        peer: &str,
        error: &SendError,
        is_given_up: bool,
    ) -> Result<(), PeerError> {
        let problem = format!("it was not asked to push, only pulled from: {error}");
        let turned_away = error.turned_away().cloned();
        let note = |peer: &mut Peer| {
            peer.last_error = Some(problem);
            if turned_away.is_some() {
                peer.turned_away = turned_away;
            }
            // Whom we follow no longer need not hear of it if it cannot.
            peer.asked = peer
                .asked
                .take()
                .filter(|asked| !(is_given_up && asked.stage == Stage::Ending));
        };
        self.peers.change(peer, note).await.map(|_| ())
    }

    async fn note_failed(&self, host: &str, error: &SendError) -> Result<(), StoreError> {
        let words = error.to_string();
        let now = self.clock.now();
        let failed = self
            .deliveries
            .note_failed(host, &words, error.retry_after(), now);
        if failed.await?.is_left_to_pulling() {
            // An answer that cannot be given is asked for again by whoever wants it.
            for (actor, followed) in self.followers.unanswered() {
                if origin(&actor).as_deref() == Some(host) {
                    self.followers.note_answered(&actor, &followed).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends a host what changed since its cursor, as far as one job goes.
    async fn announce(&self, host: &str) -> Result<(), SendError> {
        let cursor = self.deliveries.get(host).map(|delivery| delivery.told_to);
        let wanted = self.followers.at(host);
        let followed = wanted.values().flatten().cloned().collect();
        let now = self.clock.now();
        let page = self
            .pages
            .get(&self.store, &self.actors, cursor, followed, now);
        let page = page.await?;
        let mut done = page.after;
        let mut told_to = page.read_to;
        let mut said = Said::default();
        let begun = Instant::now();
        for (item, inbox) in page.owed_to(&wanted) {
            // Several inboxes of one host may be owed one change: it is done when all have it.
            let before = item.number.saturating_sub(1).max(done);
            let sent = Instant::now();
            if before > done && sent.duration_since(begun) > JOB_TIME {
                told_to = before;
                break;
            }
            done = before;
            let posted = self.send(&item.by, inbox, &item.body).await;
            self.deliveries.note_pace(host, sent.elapsed() > SLOW);
            match posted {
                Ok(()) => {
                    said.taken = Some(self.clock.now());
                    self.peers.note_taken(host).await?;
                    self.part(item, inbox).await?;
                }
                // The rest of the page would be answered alike.
                Err(error) if error.turned_away().is_some() => {
                    tracing::info!(host, %error, "does not deal with this node: it is left to pulling");
                    let turned_away = error.turned_away().cloned();
                    self.peers.note_turned_away(host, turned_away).await?;
                    said.refusal = Some(error.to_string());
                    break;
                }
                Err(error) if error.is_gone() => {
                    tracing::info!(inbox, "is gone for good: nothing more is sent there");
                    self.followers.remove_inbox(inbox).await?;
                    self.peers.forget_inbox(inbox).await?;
                }
                Err(error) if error.is_final() => {
                    tracing::info!(host, %error, "an announcement was refused");
                    said.refusal = Some(error.to_string());
                    self.part(item, inbox).await?;
                }
                Err(error) => {
                    // Whoever took something before is there: it is the first failure since.
                    self.deliveries.note_answered(host, done, said);
                    return Err(error);
                }
            }
        }
        self.deliveries.note_answered(host, told_to, said);
        Ok(())
    }

    /// Whoever was told that an actor moved follows it here no longer.
    async fn part(&self, item: &Item, inbox: &str) -> Result<(), StoreError> {
        match item.is_farewell {
            true => self.followers.remove_at(inbox, &item.followed).await,
            false => Ok(()),
        }
    }

    /// Accepts a follower's `Follow`.
    async fn answer(&self, actor: &str, followed: &str) -> Result<(), SendError> {
        let (Some(follower), Some(local)) = (
            self.followers.get(actor, followed),
            self.actors.of_id(followed)?,
        ) else {
            // The organisation has moved on, or the follower has.
            return Ok(self.followers.note_answered(actor, followed).await?);
        };
        // For an organisation that keeps its keys to itself, nobody here can speak.
        if let Some(by) = self.actors.sending(&local)? {
            let id = format!("{followed}#accepts/{}", random_name()?);
            let follow = follow_of(&follower.follow, actor, followed);
            let accept = activity::about(Kind::Accept, &id, followed, follow, actor);
            // An actor is answered at its own inbox, where it looks for answers.
            let inbox = self.remote.get(actor, Freshness::Kept).await?.inbox.clone();
            match self.post(&by, &inbox, accept).await {
                Err(error) if !error.is_final() => return Err(error),
                _ => {}
            }
        }
        Ok(self.followers.note_answered(actor, followed).await?)
    }

    /// Sends a peer the `Follow` or `Undo` that it is owed.
    async fn ask_now(&self, url: &str) -> Result<(), SendError> {
        let asked = self.peers.get(url)?.and_then(|peer| peer.asked);
        let (Some(asked), Some(by)) = (asked, self.actors.sending(&Local::Node)?) else {
            lock(&self.asking).remove(url);
            return Ok(());
        };
        let target = asked.actor.unwrap_or_else(|| format!("{url}/actor"));
        let about = |kind, id: &str, object| activity::about(kind, id, &by.actor, object, &target);
        match asked.stage {
            Stage::Wanted => {
                let actor = self.remote.get(&target, Freshness::Anew).await?;
                // Noted first: the answer may be here before our request returns.
                self.change_asked(url, &asked.follow, |asked| {
                    asked.actor = Some(target.clone());
                })
                .await?;
                let follow = about(Kind::Follow, &asked.follow, target.as_str().into());
                self.post(&by, &actor.inbox, follow).await?;
                self.peers.note_taken(url).await?;
                self.change_asked(url, &asked.follow, |asked| {
                    if asked.stage == Stage::Wanted {
                        asked.stage = Stage::Sent;
                    }
                })
                .await?;
            }
            Stage::Ending => {
                let actor = self.remote.get(&target, Freshness::Kept).await?;
                let id = format!("{}/undone", asked.follow);
                let undo = about(
                    Kind::Undo,
                    &id,
                    follow_of(&asked.follow, &by.actor, &target),
                );
                match self.post(&by, &actor.inbox, undo).await {
                    Err(error) if !error.is_final() => return Err(error),
                    _ => {}
                }
                let forget = |peer: &mut Peer| {
                    peer.asked = peer.asked.take().filter(|now| now.follow != asked.follow);
                };
                self.peers.change(url, forget).await?;
            }
            Stage::Sent | Stage::Granted | Stage::Refused => {}
        }
        // Unless it was changed meanwhile, nothing is owed any more.
        let stage = self
            .peers
            .get(url)?
            .and_then(|peer| peer.asked)
            .map(|asked| asked.stage);
        if !matches!(stage, Some(Stage::Wanted | Stage::Ending)) {
            lock(&self.asking).remove(url);
        }
        Ok(())
    }

    /// Changes what is noted of a `Follow`, if it is still that one.
    async fn change_asked(
        &self,
        url: &str,
        follow: &str,
        change: impl FnOnce(&mut Asked),
    ) -> Result<(), PeerError> {
        let change = |peer: &mut Peer| {
            if let Some(asked) = peer.asked.as_mut().filter(|asked| asked.follow == follow) {
                change(asked);
            }
        };
        self.peers.change(url, change).await.map(|_| ())
    }

    /// Proves, signs and sends one activity.
    async fn post(
        &self,
        by: &Sending,
        inbox: &str,
        activity: Map<String, Value>,
    ) -> Result<(), SendError> {
        let body = proven(by, activity, self.clock.now())?;
        self.send(by, inbox, &body).await
    }

    /// Signs and sends what is proven.
    async fn send(&self, by: &Sending, inbox: &str, body: &[u8]) -> Result<(), SendError> {
        let answer = self.courier.post(&by.http, inbox, body).await?;
        if answer.is_success() {
            return Ok(());
        }
        Err(SendError::Refused {
            status: answer.status,
            retry_after: answer.retry_after,
            turned_away: answer.turned_away(),
            reason: answer.reason(),
        })
    }
}

/// A `Follow` as it stands within the activities about it.
fn follow_of(id: &str, actor: &str, object: &str) -> Value {
    json!({"id": id, "type": Kind::Follow.as_str(), "actor": actor, "object": object})
}
