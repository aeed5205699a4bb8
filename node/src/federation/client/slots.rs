//! How many requests run at a time, to one host and in all.
//!
//! Streams last long and are given a part of the places only: a pull that needs a document of the
//! same host to go on would otherwise wait for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::error::FetchError;
use super::target::Target;

const REQUESTS_MAX: usize = 64;
const STREAMS_MAX: usize = 48;
pub(super) const REQUESTS_PER_HOST_MAX: usize = 4;
const STREAMS_PER_HOST_MAX: usize = 3;

/// Most requests that run or wait, and so the most hosts in the table.
const WAITING_MAX: usize = 1_024;

/// Short or long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Document,
    Stream,
}

struct Places {
    all: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Places {
    fn new(all: usize, streams: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            streams: Arc::new(Semaphore::new(streams)),
        }
    }
}

/// The places.
pub(super) struct Slots {
    waiting: Arc<Semaphore>,
    everywhere: Places,
    hosts: Mutex<HashMap<String, Arc<Places>>>,
}

/// The right to make one request; gives the place back when dropped.
pub(super) struct Slot {
    _permits: Vec<OwnedSemaphorePermit>,
    _host: HostEntry,
    _waiting: OwnedSemaphorePermit,
}

/// Keeps a host in the table while anybody asks it or waits to.
struct HostEntry {
    slots: Arc<Slots>,
    origin: String,
    places: Arc<Places>,
}

impl Drop for HostEntry {
    fn drop(&mut self) {
        let mut hosts = self
            .slots
            .hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The table's and our own; clones are made under the lock only.
        if Arc::strong_count(&self.places) == 2 {
            hosts.remove(&self.origin);
        }
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            everywhere: Places::new(REQUESTS_MAX, STREAMS_MAX),
            hosts: Mutex::default(),
        }
    }
}

impl Slots {
    /// Waits for a place until `deadline`.
    pub(super) async fn take(
        self: &Arc<Self>,
        target: &Target,
        class: Class,
        deadline: Instant,
    ) -> Result<Slot, FetchError> {
        let busy = || FetchError::Busy {
            host: target.host.clone(),
        };
        let waiting = self
            .waiting
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let host = self.host(target.origin());
        let mut permits = Vec::with_capacity(4);
        // The host's place first: whoever waits for a slow host holds nothing that others need.
        for places in [&*host.places, &self.everywhere] {
            let streams = (class == Class::Stream).then_some(&places.streams);
            for semaphore in streams.into_iter().chain([&places.all]) {
                let permit = timeout_at(deadline, semaphore.clone().acquire_owned()).await;
                permits.push(permit.map_err(|_| busy())?.map_err(|_| busy())?);
            }
        }
        Ok(Slot {
            _permits: permits,
            _host: host,
            _waiting: waiting,
        })
    }

    fn host(self: &Arc<Self>, origin: String) -> HostEntry {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let places = hosts
            .entry(origin.clone())
            .or_insert_with(|| Arc::new(Places::new(REQUESTS_PER_HOST_MAX, STREAMS_PER_HOST_MAX)))
            .clone();
        HostEntry {
            slots: self.clone(),
            origin,
            places,
        }
    }

    #[cfg(test)]
    pub(super) fn hosts_held(&self) -> usize {
        self.hosts.lock().unwrap().len()
    }
}
