//! What is remembered between requests: fetches under way, failures, hosts worth a standing
//! connection. Each table has a hard size.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::error::FetchError;

/// Most different documents under way.
const FLIGHTS_MAX: usize = 1_024;

/// Most failures remembered.
pub(super) const FAILURES_MAX: usize = 10_000;

/// Most hosts to which an unused connection is kept open.
const KEPT_MAX: usize = 64;

/// What a table is keyed by: a digest, so that long addresses cost no more than short ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Of a document, in one representation.
    pub(super) fn of_document(url: &str, accept: &str) -> Self {
        // Neither part can hold a line break.
        Self(Sha256::digest(format!("{url}\n{accept}")).into())
    }

    /// Of a host and port, over http or https.
    pub(super) fn of_origin(scheme: &str, origin: &str) -> Self {
        Self(Sha256::digest(format!("{scheme}\n\n{origin}")).into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder of these locks can leave a table half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Documents under way: who asks for the same one waits for the same answer.
pub(super) struct Flights<T>(Mutex<HashMap<Key, Arc<Flight<T>>>>);

type Flight<T> = OnceCell<Result<T, FetchError>>;

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// Runs `fetch`, or waits for whoever already runs it for `key`. If that caller gives up, one
    /// of those who wait begins anew.
    pub(super) async fn run<F>(
        &self,
        key: Key,
        host: &str,
        fetch: impl FnOnce() -> F,
    ) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let flight = self.join(key).ok_or_else(|| FetchError::Busy {
            host: host.to_owned(),
        })?;
        let seat = Seat {
            flights: self,
            key,
            flight,
        };
        seat.flight.get_or_init(fetch).await.clone()
    }

    fn join(&self, key: Key) -> Option<Arc<Flight<T>>> {
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(&key) {
            return Some(flight.clone());
        }
        if flights.len() >= FLIGHTS_MAX {
            return None;
        }
        Some(flights.entry(key).or_default().clone())
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        lock(&self.0).len()
    }
}

struct Seat<'a, T> {
    flights: &'a Flights<T>,
    key: Key,
    flight: Arc<Flight<T>>,
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights.0);
        let ours = flights
            .get(&self.key)
            .is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        // Landed: the next one to ask wants fresh bytes. Or nobody else is aboard: the table's
        // count and our own.
        if ours && (self.flight.initialized() || Arc::strong_count(&self.flight) == 2) {
            flights.remove(&self.key);
        }
    }
}

/// Failures that need not be repeated for a while.
pub(super) struct Failures {
    lifetime: Duration,
    table: Mutex<FailureTable>,
}

#[derive(Default)]
struct FailureTable {
    errors: HashMap<Key, (Instant, FetchError)>,
    /// All live equally long, so the oldest ends first.
    ends: VecDeque<(Instant, Key)>,
}

impl Failures {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            table: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<FetchError> {
        let table = lock(&self.table);
        let (end, error) = table.errors.get(key)?;
        (now < *end).then(|| error.clone())
    }

    pub(super) fn note(&self, key: Key, error: FetchError, now: Instant) {
        let mut table = lock(&self.table);
        while let Some(&(end, oldest)) = table.ends.front()
            && (end <= now || table.ends.len() >= FAILURES_MAX)
        {
            table.ends.pop_front();
            // A later failure of the same key has its own row.
            if table
                .errors
                .get(&oldest)
                .is_some_and(|(its, _)| *its == end)
            {
                table.errors.remove(&oldest);
            }
        }
        let end = now + self.lifetime;
        table.ends.push_back((end, key));
        table.errors.insert(key, (end, error));
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let table = lock(&self.table);
        (table.errors.len(), table.ends.len())
    }
}

/// Hosts to which unused connections are kept open for a while. Without a limit, somebody with many
/// names could make us run out of sockets.
pub(super) struct KeptHosts {
    lifetime: Duration,
    hosts: Mutex<HashMap<String, Instant>>,
}

impl KeptHosts {
    /// `lifetime`: how long after a request began its connection may still be open.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            hosts: Mutex::default(),
        }
    }

    /// Whether the connection for a request that begins now may be kept.
    pub(super) fn keeps(&self, origin: &str, now: Instant) -> bool {
        let mut hosts = lock(&self.hosts);
        if hosts.len() >= KEPT_MAX && !hosts.contains_key(origin) {
            hosts.retain(|_, used| now.duration_since(*used) < self.lifetime);
            if hosts.len() >= KEPT_MAX {
                return false;
            }
        }
        hosts.insert(origin.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{FAILURES_MAX, Failures, Flights, KEPT_MAX, KeptHosts, Key};
    use crate::federation::client::error::FetchError;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::Instant;

    fn busy(host: &str) -> FetchError {
        FetchError::Busy {
            host: host.to_owned(),
        }
    }

    #[test]
    fn r10_failures_end_after_their_time_and_never_outgrow_the_table() {
        let mut now = Instant::now();
        let failures = Failures::new(Duration::from_secs(30));
        let key = |n: usize| Key::of_document(&n.to_string(), "");
        for n in 0..FAILURES_MAX * 30 {
            failures.note(key(n), busy("m"), now);
        }
        assert_eq!(failures.held(), (FAILURES_MAX, FAILURES_MAX));
        assert_eq!(failures.get(&key(0), now), None);
        assert_eq!(
            failures.get(&key(FAILURES_MAX * 30 - 1), now),
            Some(busy("m"))
        );
        for _ in 0..FAILURES_MAX * 3 {
            failures.note(key(7), busy("n"), now);
        }
        assert_eq!(failures.get(&key(7), now), Some(busy("n")));
        assert_eq!(failures.held(), (1, FAILURES_MAX));
        now += Duration::from_secs(31);
        assert_eq!(failures.get(&key(7), now), None);
        failures.note(key(1), busy("m"), now);
        assert_eq!(failures.held(), (1, 1));
    }

    #[test]
    fn r10_connections_are_kept_to_a_bounded_number_of_hosts() {
        let mut now = Instant::now();
        let kept = KeptHosts::new(Duration::from_secs(30));
        for n in 0..KEPT_MAX {
            assert!(kept.keeps(&n.to_string(), now));
        }
        assert!(!kept.keeps("one more", now));
        assert!(kept.keeps("0", now));
        now += Duration::from_secs(31);
        assert!(kept.keeps("one more", now));
    }

    #[tokio::test]
    async fn a_flight_whose_first_caller_gives_up_is_taken_over() {
        let flights = Arc::new(Flights::<u8>::default());
        let key = Key::of_document("a", "b");
        let first = tokio::spawn({
            let flights = flights.clone();
            async move { flights.run(key, "h", std::future::pending).await }
        });
        while flights.under_way() == 0 {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn({
            let flights = flights.clone();
            async move { flights.run(key, "h", || async { Ok(2) }).await }
        });
        tokio::task::yield_now().await;
        first.abort();
        assert_eq!(second.await.unwrap(), Ok(2));
        assert_eq!(flights.under_way(), 0);
    }
}
