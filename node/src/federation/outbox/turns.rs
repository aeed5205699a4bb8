//! Whose turn it is: one job for a host at a time, and a place for whoever is well.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::time::Instant;

use super::Job;
use crate::federation::deliveries::Deliveries;

/// Hosts that are delivered to at a time.
pub(super) const JOBS_MAX: usize = 32;

/// Of these, such as failed or were slow.
pub(super) const AILING_JOBS_MAX: usize = 8;

/// How often a peer that is asked to push failed, and when it may be asked again. Of hosts that are
/// delivered to, that stands with the deliveries.
#[derive(Default)]
pub(super) struct Retry {
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
}

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns {
    /// In the order of their turns.
    waiting: VecDeque<Job>,
    /// What is under way, by its host, and whether that was ailing when it began.
    busy: BTreeMap<String, (Job, bool)>,
    /// Of peers that are asked to push.
    pub(super) retries: BTreeMap<Job, Retry>,
    /// When the first of those that are left alone may be tried again.
    pub(super) again: Option<Instant>,
    /// Whether somebody waits only because all places are taken.
    has_waiting: bool,
}

impl Turns {
    /// What is owed now. Who waits already keeps its turn.
    pub(super) fn wait(&mut self, owed: Vec<Job>) {
        let mut owed: BTreeSet<Job> = owed.into_iter().collect();
        self.retries.retain(|job, _| owed.contains(job));
        for (job, _) in self.busy.values() {
            owed.remove(job);
        }
        self.waiting.retain(|job| owed.remove(job));
        self.waiting.extend(owed);
        self.again = None;
    }

    /// The next job, if there is a place for it and its host may be tried.
    pub(super) fn next(&mut self, deliveries: &Deliveries, now: Instant) -> Option<Job> {
        self.has_waiting = false;
        let mut passed_over = 0;
        while let Some(job) = self.waiting.get(passed_over) {
            if self.busy.len() >= JOBS_MAX {
                self.has_waiting = true;
                break;
            }
            let host = job.host();
            let retry = self.retries.get(job).and_then(|retry| retry.not_before);
            let alone = match job {
                Job::Ask { .. } => retry,
                _ => deliveries.not_before(&host),
            };
            if let Some(at) = alone.filter(|at| *at > now) {
                self.again = Some(self.again.map_or(at, |again| again.min(at)));
                self.waiting.remove(passed_over);
                continue;
            }
            let is_ailing = retry.is_some() || deliveries.is_ailing(&host);
            let ailing = self
                .busy
                .values()
                .filter(|(_, is_ailing)| *is_ailing)
                .count();
            if self.busy.contains_key(&host) || (is_ailing && ailing >= AILING_JOBS_MAX) {
                passed_over += 1;
                continue;
            }
            let job = self.waiting.remove(passed_over)?;
            self.busy.insert(host, (job.clone(), is_ailing));
            return Some(job);
        }
        None
    }

    /// Notes that a job is over.
    pub(super) fn end(&mut self, job: &Job) {
        self.busy.remove(&job.host());
    }

    /// Whether somebody waits only because all places are taken.
    pub(super) fn is_full(&self) -> bool {
        self.has_waiting
    }
}
