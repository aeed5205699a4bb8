//! Which signed requests were taken already: a copy of one has no second effect, before or after a
//! restart (docs/protocol.md, 5).
//!
//! What is remembered is bounded by its form: a ring of numbered rows, each free again once its
//! signature is too old to be taken anyway. When all are in use, requests wait outside (503).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError};

const TABLE: &str = "replays";

/// Most requests remembered at a time: some 250 a second for as long as a signature by RFC 9421 is good, and
/// 14 a second of the older kind, which is good for two hours.
const SEEN_MAX: u32 = 100_000;

/// One remembered request.
#[derive(Serialize, Deserialize)]
struct Row {
    fingerprint: String,
    until: i64,
}

#[derive(Default)]
struct Seen {
    /// Row and end of each request.
    by_fingerprint: HashMap<String, (u32, i64)>,
    by_end: BTreeSet<(i64, String)>,
    free: Vec<u32>,
    unused: u32,
}

/// What became of the question whether a request is new.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is; it is remembered from now on.
    New,
    /// A copy was taken, or is being taken.
    Seen,
    /// There is no room to remember it: it cannot be taken now.
    Full,
}

/// The requests that were taken.
pub struct Replays {
    store: Arc<Store>,
    seen: Mutex<Seen>,
}

impl Replays {
    /// Those of a store; `now` in seconds since 1970.
    ///
    /// # Errors
    /// A disk fault.
    pub fn open(store: Arc<Store>, now: i64) -> Result<Self, StoreError> {
        let mut seen = Seen::default();
        for (name, row) in store.all_named(TABLE)? {
            let (Ok(number), Ok(row)) = (name.parse::<u32>(), serde_json::from_slice::<Row>(&row))
            else {
                return Err(StoreError::Corrupt {
                    detail: "a remembered request that does not read".to_owned(),
                });
            };
            seen.unused = seen.unused.max(number.saturating_add(1));
            if row.until < now || seen.by_fingerprint.contains_key(&row.fingerprint) {
                seen.free.push(number);
            } else {
                seen.insert(row.fingerprint, number, row.until);
            }
        }
        // Rows that were never written lie between those that were only after a failed write.
        let used: BTreeSet<u32> = seen.by_fingerprint.values().map(|(row, _)| *row).collect();
        seen.free = (0..seen.unused).filter(|row| !used.contains(row)).collect();
        Ok(Self {
            store,
            seen: Mutex::new(seen),
        })
    }

    /// Remembers a request until its signature is too old, unless it is remembered already. Durable
    /// on return.
    ///
    /// # Errors
    /// A disk fault; nothing is remembered then.
    pub async fn claim(
        &self,
        fingerprint: &[u8; 32],
        until: i64,
        now: i64,
    ) -> Result<Claim, StoreError> {
        let fingerprint = hex(fingerprint);
        let number = {
            let mut seen = self.lock();
            seen.forget_before(now);
            if seen.by_fingerprint.contains_key(&fingerprint) {
                return Ok(Claim::Seen);
            }
            let Some(number) = seen.take_row() else {
                return Ok(Claim::Full);
            };
            seen.insert(fingerprint.clone(), number, until);
            number
        };
        let row = serde_json::to_vec(&Row {
            fingerprint: fingerprint.clone(),
            until,
        })
        .map_err(|error| StoreError::Corrupt {
            detail: error.to_string(),
        })?;
        let put = self
            .store
            .put_named(TABLE, &number.to_string(), Some(row))
            .await;
        if put.is_err() {
            self.lock().remove(&fingerprint);
        }
        put.map(|()| Claim::New)
    }

    /// Forgets a request that was refused or failed: a copy of it meets the same answer, not a 202.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn release(&self, fingerprint: &[u8; 32]) -> Result<(), StoreError> {
        let Some(number) = self.lock().remove(&hex(fingerprint)) else {
            return Ok(());
        };
        self.store.put_named(TABLE, &number.to_string(), None).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn insert(&mut self, fingerprint: String, number: u32, until: i64) {
        self.by_end.insert((until, fingerprint.clone()));
        self.by_fingerprint.insert(fingerprint, (number, until));
    }

    fn remove(&mut self, fingerprint: &str) -> Option<u32> {
        let (number, until) = self.by_fingerprint.remove(fingerprint)?;
        self.by_end.remove(&(until, fingerprint.to_owned()));
        self.free.push(number);
        Some(number)
    }

    fn forget_before(&mut self, now: i64) {
        while let Some((until, fingerprint)) = self.by_end.first().cloned()
            && until < now
        {
            self.remove(&fingerprint);
        }
    }

    fn take_row(&mut self) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        let number = self.unused;
        (number < SEEN_MAX).then(|| {
            self.unused += 1;
            number
        })
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Claim, Replays, SEEN_MAX, Seen, TABLE};
    use crate::store::Store;

    #[tokio::test]
    async fn s10_a_copy_is_known_across_a_restart_and_rows_are_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), "e".into()).unwrap());
        let replays = Replays::open(Arc::clone(&store), 0).unwrap();
        assert_eq!(replays.claim(&[1; 32], 300, 0).await.unwrap(), Claim::New);
        assert_eq!(replays.claim(&[1; 32], 300, 0).await.unwrap(), Claim::Seen);
        assert_eq!(replays.claim(&[2; 32], 300, 0).await.unwrap(), Claim::New);
        replays.release(&[2; 32]).await.unwrap();
        let again = Replays::open(Arc::clone(&store), 10).unwrap();
        assert_eq!(again.claim(&[1; 32], 300, 10).await.unwrap(), Claim::Seen);
        assert_eq!(again.claim(&[2; 32], 300, 10).await.unwrap(), Claim::New);
        for n in 3..200u8 {
            let now = i64::from(n) * 1_000;
            assert_eq!(
                again.claim(&[n; 32], now + 300, now).await.unwrap(),
                Claim::New
            );
        }
        assert!(store.all_named(TABLE).unwrap().len() <= 3);
        store.close();
    }

    #[test]
    fn r10_requests_are_remembered_up_to_a_bound_and_rows_are_free_again_after_their_time() {
        let mut seen = Seen::default();
        let mut fill = |until: i64| {
            let mut taken = 0;
            for n in 0..SEEN_MAX * 2 {
                if let Some(number) = seen.take_row() {
                    seen.insert(format!("{until}-{n}"), number, until);
                    taken += 1;
                }
            }
            seen.forget_before(until + 1);
            assert!(seen.by_fingerprint.is_empty() && seen.by_end.is_empty());
            taken
        };
        assert_eq!(fill(300), SEEN_MAX);
        assert_eq!(fill(600), SEEN_MAX);
    }
}
