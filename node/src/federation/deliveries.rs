//! How it stands with each host that is delivered to: how far it was told, what went wrong last, and
//! when it is tried next (docs/protocol.md, 5).
//!
//! A host that fails is left alone for longer and longer. After [`FAILURES_MAX`] failures in a row the
//! circuit is open: what waited for the host is left to pulling, and it is tried once an hour, if there
//! is anything to tell. One success closes it. All of this outlives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::sync::Cursor;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::chance;
use crate::store::{NamedRows, Store, StoreError};

const TABLE: &str = "deliveries";

/// Failures in a row after which what waits for a host is left to pulling.
pub const FAILURES_MAX: u32 = 8;

/// Between attempts after a failure: doubled each time, up to the longest, which is also that of an
/// open circuit. Chance adds up to half, so that what failed together is not tried again together.
const RETRY_SECONDS_MIN: u64 = 1;
const RETRY_SECONDS_MAX: u64 = 3_600;

/// Longest pause that a row is believed about: a day, as a host may ask for, and what chance adds. A
/// later time was written before the clock was put back.
const PAUSE_SECONDS_MAX: i64 = 129_600;

/// Longest error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// How it stands with one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Number of the change up to which it was told, or up to which it is left to pulling.
    pub told_to: u64,
    /// Failures since it last took something.
    pub failures: u32,
    /// When it last took something, in seconds since 1970.
    pub last_taken: Option<i64>,
    /// Why the last attempt failed, in plain words; none if it did not.
    pub last_error: Option<String>,
    /// When it is tried again, in seconds since 1970; none if nothing keeps it from being tried now.
    pub next_attempt: Option<i64>,
}

impl Delivery {
    fn new(told_to: u64) -> Self {
        Self {
            told_to,
            failures: 0,
            last_taken: None,
            last_error: None,
            next_attempt: None,
        }
    }

    /// How many changes it was not told of yet: at most, for numbers of the log have gaps.
    pub fn behind(&self, last: u64) -> u64 {
        last.saturating_sub(self.told_to)
    }

    /// When it is tried again; none if nothing keeps it from being tried now.
    pub fn next_attempt(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.next_attempt.map(Timestamp::from_unix_seconds);
        at.filter(|at| *at > now)
    }

    /// Whether what waits for the host is left to pulling.
    pub fn is_left_to_pulling(&self) -> bool {
        self.failures >= FAILURES_MAX
    }
}

/// What a host said to a page of changes; nothing if none was for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// When it took the last one that it took.
    pub(super) taken: Option<Timestamp>,
    /// Its words to one that it refused for good.
    pub(super) refusal: Option<String>,
}

/// A delivery as it is stored. Before there was more to say, a row was the bare cursor.
#[derive(Serialize, Deserialize)]
struct Row {
    cursor: String,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    last_taken: Option<i64>,
    #[serde(default)]
    last_error: Option<String>,
    #[serde(default)]
    next_attempt: Option<i64>,
}

struct Kept {
    delivery: Delivery,
    /// By the clock that nobody sets.
    not_before: Option<Instant>,
    /// It answers, and takes its time: it does not keep others waiting.
    is_slow: bool,
}

/// The deliveries, kept in the store and at hand. Clones share them.
#[derive(Clone)]
pub struct Deliveries {
    store: Arc<Store>,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    /// Hosts whose rows say less than what is kept.
    unwritten: Arc<Mutex<BTreeSet<String>>>,
    /// One write at a time, so that an older row never follows a newer one.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Deliveries {
    /// Those of a store. After a restore nothing old is sent anew.
    ///
    /// # Errors
    /// A disk fault.
    pub fn open(store: Arc<Store>, now: Timestamp) -> Result<Self, StoreError> {
        let last = store.last_change()?;
        let mut kept = BTreeMap::new();
        for (host, row) in store.all_named(TABLE)? {
            let delivery = read(&row, store.epoch(), last);
            let wait = delivery.next_attempt.map(|at| at - now.unix_seconds());
            let wait = wait.filter(|seconds| (1..=PAUSE_SECONDS_MAX).contains(seconds));
            let not_before =
                wait.map(|seconds| Instant::now() + Duration::from_secs(seconds.unsigned_abs()));
            kept.insert(
                host,
                Kept {
                    delivery,
                    not_before,
                    is_slow: false,
                },
            );
        }
        Ok(Self {
            store,
            kept: Arc::new(Mutex::new(kept)),
            unwritten: Arc::default(),
            turn: Arc::default(),
        })
    }

    /// How it stands with every host, by address.
    pub fn all(&self) -> Vec<(String, Delivery)> {
        let kept = self.kept();
        kept.iter()
            .map(|(host, kept)| (host.clone(), kept.delivery.clone()))
            .collect()
    }

    /// How it stands with one host.
    pub fn get(&self, host: &str) -> Option<Delivery> {
        self.kept().get(host).map(|kept| kept.delivery.clone())
    }

    /// Whether a host was told of all changes up to this number.
    pub(super) fn is_told(&self, host: &str, last: u64) -> bool {
        let kept = self.kept();
        kept.get(host)
            .is_some_and(|kept| kept.delivery.told_to >= last)
    }

    /// Before when a host is to be left alone, if it is.
    pub(super) fn not_before(&self, host: &str) -> Option<Instant> {
        self.kept().get(host)?.not_before
    }

    /// Whether a host failed or was slow when it was last sent something.
    pub(super) fn is_ailing(&self, host: &str) -> bool {
        let kept = self.kept();
        kept.get(host)
            .is_some_and(|kept| kept.is_slow || kept.delivery.failures > 0)
    }

    /// Notes whether a host took its time.
    pub(super) fn note_pace(&self, host: &str, is_slow: bool) {
        if let Some(kept) = self.kept().get_mut(host) {
            kept.is_slow = is_slow;
        }
    }

    /// Tells a host of what changes from now on, unless it is told already. Durable on return.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) async fn begin(&self, host: &str) -> Result<(), StoreError> {
        if self.get(host).is_some() {
            return Ok(());
        }
        let told_to = self.store.last_change()?;
        self.keep(host, Delivery::new(told_to), None).await
    }

    /// Lets a host be tried at once, because it was heard of; its failures still count.
    pub(super) fn try_now(&self, host: &str) {
        if let Some(kept) = self.kept().get_mut(host) {
            kept.not_before = None;
            kept.delivery.next_attempt = None;
        }
    }

    /// Forgets hosts at which nobody follows any more.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) async fn retain(&self, hosts: &BTreeSet<String>) -> Result<(), StoreError> {
        let all = self.all().into_iter().map(|(host, _)| host);
        for host in all.filter(|host| !hosts.contains(host)) {
            self.store.put_named(TABLE, &host, None).await?;
            self.kept().remove(&host);
        }
        Ok(())
    }

    /// Notes how far a host was told, in the middle of what it is owed; durable once it is
    /// [flushed](Self::flush).
    pub(super) fn note_told(&self, host: &str, told_to: u64) {
        let known = self.get(host).unwrap_or_else(|| Delivery::new(told_to));
        let not_before = self.not_before(host);
        self.remember(host, Delivery { told_to, ..known }, not_before);
        self.unwritten().insert(host.to_owned());
    }

    /// Notes what a host said to what it was owed up to a change: whoever answers is there, and its
    /// circuit is closed. Durable once it is [flushed](Self::flush).
    pub(super) fn note_answered(&self, host: &str, told_to: u64, said: Said) {
        if said == Said::default() {
            return self.note_told(host, told_to);
        }
        let taken = said.taken.map(Timestamp::unix_seconds);
        let before = self.get(host).and_then(|known| known.last_taken);
        let delivery = Delivery {
            last_taken: taken.or(before),
            last_error: said.refusal.map(|words| shortened(&words)),
            ..Delivery::new(told_to)
        };
        self.remember(host, delivery, None);
        self.unwritten().insert(host.to_owned());
    }

    /// Whether something is noted that is not durable yet: after a crash, what was sent last is sent
    /// again.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.unwritten().is_empty()
    }

    /// Writes what is noted, for all hosts together: a thousand that took something are one write.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let hosts = std::mem::take(&mut *self.unwritten());
        let mut written = Vec::with_capacity(hosts.len());
        for host in hosts {
            if let Some(delivery) = self.get(&host) {
                written.push((host, write(&delivery, self.store.epoch())?));
            }
        }
        let put = move |rows: &mut NamedRows<'_, '_>| {
            for (host, row) in written {
                rows.put(TABLE, &host, row);
            }
            Ok::<_, StoreError>(())
        };
        self.store.change_named(put).await
    }

    /// Notes that a host failed, and leaves it alone for a while. Durable on return.
    ///
    /// # Errors
    /// A disk fault.
    pub(crate) async fn note_failed(
        &self,
        host: &str,
        error: &str,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> Result<Delivery, StoreError> {
        let last = self.store.last_change()?;
        let mut delivery = self.get(host).unwrap_or_else(|| Delivery::new(last));
        delivery.failures = delivery.failures.saturating_add(1);
        delivery.last_error = Some(shortened(error));
        let pause = pause(delivery.failures, retry_after, chance::byte());
        let seconds = i64::try_from(pause.as_secs()).unwrap_or(PAUSE_SECONDS_MAX);
        delivery.next_attempt = Some(now.unix_seconds() + seconds);
        if delivery.is_left_to_pulling() {
            tracing::info!(host, "does not take what is sent: it is left to pulling");
            delivery.told_to = last;
        }
        self.keep(host, delivery.clone(), Some(Instant::now() + pause))
            .await?;
        Ok(delivery)
    }

    async fn keep(
        &self,
        host: &str,
        delivery: Delivery,
        not_before: Option<Instant>,
    ) -> Result<(), StoreError> {
        let row = Some(write(&delivery, self.store.epoch())?);
        let _turn = self.turn.lock().await;
        self.remember(host, delivery, not_before);
        self.store.put_named(TABLE, host, row).await
    }

    fn remember(&self, host: &str, delivery: Delivery, not_before: Option<Instant>) {
        let mut kept = self.kept();
        let is_slow = kept.get(host).is_some_and(|kept| kept.is_slow);
        kept.insert(
            host.to_owned(),
            Kept {
                delivery,
                not_before,
                is_slow,
            },
        );
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeSet<String>> {
        let unwritten = self.unwritten.lock();
        unwritten.unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to leave somebody alone who failed so often in a row: at least as long as they ask for.
/// `chance` is any number.
pub(super) fn pause(failures: u32, retry_after: Option<Duration>, chance: u8) -> Duration {
    let seconds = match failures {
        FAILURES_MAX.. => RETRY_SECONDS_MAX,
        _ => (RETRY_SECONDS_MIN << failures.saturating_sub(1)).min(RETRY_SECONDS_MAX),
    };
    let pause = Duration::from_secs(seconds).max(retry_after.unwrap_or_default());
    pause + pause * u32::from(chance) / 512
}

fn shortened(words: &str) -> String {
    words.chars().take(ERROR_CHARS_MAX).collect()
}

fn write(delivery: &Delivery, epoch: &str) -> Result<Vec<u8>, StoreError> {
    let cursor = Cursor {
        epoch: epoch.to_owned(),
        number: delivery.told_to,
    };
    let row = Row {
        cursor: cursor.to_string(),
        failures: delivery.failures,
        last_taken: delivery.last_taken,
        last_error: delivery.last_error.clone(),
        next_attempt: delivery.next_attempt,
    };
    serde_json::to_vec(&row).map_err(|error| StoreError::Corrupt {
        detail: error.to_string(),
    })
}

fn read(row: &[u8], epoch: &str, last: u64) -> Delivery {
    let bare = || Row {
        cursor: String::from_utf8_lossy(row).into_owned(),
        failures: 0,
        last_taken: None,
        last_error: None,
        next_attempt: None,
    };
    let row: Row = serde_json::from_slice(row).unwrap_or_else(|_| bare());
    let here =
        Cursor::parse(&row.cursor).filter(|cursor| cursor.epoch == epoch && cursor.number <= last);
    Delivery {
        told_to: here.map_or(last, |cursor| cursor.number),
        failures: row.failures,
        last_taken: row.last_taken,
        last_error: row.last_error,
        next_attempt: row.next_attempt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_an_hour_and_are_never_shorter_than_asked_for() {
        let seconds: Vec<u64> = (1..=9).map(|n| pause(n, None, 0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 3_600, 3_600]);
        assert_eq!(pause(u32::MAX, None, 0).as_secs(), 3_600);
        let asked = Some(Duration::from_secs(7_200));
        assert_eq!(pause(1, asked, 0).as_secs(), 7_200);
        assert_eq!(pause(9, Some(Duration::from_secs(1)), 0).as_secs(), 3_600);
    }

    #[test]
    fn chance_spreads_pauses_over_half_of_their_length() {
        let pauses: BTreeSet<u64> = (0..=u8::MAX).map(|n| pause(8, None, n).as_secs()).collect();
        assert!(pauses.len() > 200, "{}", pauses.len());
        assert!(
            pauses
                .iter()
                .all(|seconds| (3_600..5_400).contains(seconds))
        );
    }

    #[tokio::test]
    async fn a_row_of_an_earlier_release_is_its_cursor() {
        let row = read(b"e-7", "e", 9);
        assert_eq!(row, Delivery::new(7));
        // Of another epoch, or beyond the log's end: after a restore nothing old is sent anew.
        assert_eq!(read(b"other-7", "e", 9), Delivery::new(9));
        assert_eq!(read(b"e-10", "e", 9), Delivery::new(9));
    }

    #[tokio::test]
    async fn f25_an_open_circuit_stays_open_over_a_restart_and_one_success_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), "e".into()).unwrap());
        let now = Timestamp::from_unix_seconds(1_000_000);
        let host = "https://m.example";
        let deliveries = Deliveries::open(Arc::clone(&store), now).unwrap();
        deliveries.begin(host).await.unwrap();
        for _ in 0..FAILURES_MAX {
            let failed = deliveries.note_failed(host, "it answered 500", None, now);
            failed.await.unwrap();
        }
        let again = Deliveries::open(Arc::clone(&store), now).unwrap();
        let row = again.get(host).unwrap();
        assert_eq!(row, deliveries.get(host).unwrap());
        assert!(row.is_left_to_pulling());
        assert_eq!(row.last_error.as_deref(), Some("it answered 500"));
        let wait = again.not_before(host).unwrap() - Instant::now();
        assert!(wait > Duration::from_secs(3_500), "{wait:?}");
        // A clock that was put back by years keeps nobody waiting for years.
        let earlier = Timestamp::from_unix_seconds(0);
        let put_back = Deliveries::open(Arc::clone(&store), earlier).unwrap();
        assert_eq!(put_back.not_before(host), None);

        let taken = Said {
            taken: Some(now),
            refusal: None,
        };
        again.note_answered(host, 0, taken);
        again.flush().await.unwrap();
        assert!(!again.has_unwritten());
        let closed = Deliveries::open(Arc::clone(&store), now).unwrap();
        let row = closed.get(host).unwrap();
        assert!(!row.is_left_to_pulling());
        assert_eq!((row.failures, row.last_error), (0, None));
        assert_eq!(row.last_taken, Some(1_000_000));
        assert_eq!(closed.not_before(host), None);
        store.close();
    }
}
