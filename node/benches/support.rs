//! What the benchmarks share: the records, the peer that gives them, the program as a process, and
//! how times are written down.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "each benchmark uses a part; it measures time, and a fault ends it"
)]

pub(crate) mod corpus;
pub(crate) mod peer;
pub(crate) mod process;

use std::time::Duration;

/// A number from the environment, or what stands for it.
pub(crate) fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

/// Numbers from the environment, with commas between.
pub(crate) fn settings(name: &str, default: &[usize]) -> Vec<usize> {
    match std::env::var(name) {
        Ok(text) => text
            .split(',')
            .map(|part| {
                part.trim()
                    .parse()
                    .unwrap_or_else(|_| panic!("{name} is no list of numbers"))
            })
            .collect(),
        Err(_) => default.to_vec(),
    }
}

/// Times of single calls.
#[derive(Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that so many of a hundred calls stay within, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len() - 1;
        milliseconds(sorted[(sorted.len() * percent / 100).min(last)])
    }
}

/// The best of several rounds, in milliseconds.
pub(crate) fn best(rounds: &[Times], percent: usize) -> f64 {
    let of_each = rounds.iter().map(|times| times.percentile(percent));
    of_each.min_by(f64::total_cmp).unwrap()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1_000.0)
}

pub(crate) fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
