//! Runs seeds of the simulated network: `cargo run -p baraza-harness --release -- --seeds 10000 --nodes 5`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use baraza::clock::Stopwatch;
use baraza_harness::{Failure, Report, Settings, run};
use clap::Parser;
use protocol::id::VersionHash;
use serde_json::json;

/// Runs a simulated network from seeds and says whether it came to what it must.
#[derive(Parser)]
struct Arguments {
    /// How many seeds, from the first on.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Nodes, a fifth of which are hostile.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=100))]
    nodes: u8,
    /// Things that happen before the network heals.
    #[arg(long, default_value_t = 240)]
    operations: usize,
    /// Prints every event of a single seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Seeds that run at a time; twice as many as there are cores if not given, for each waits for its
    /// stores now and then.
    #[arg(long)]
    threads: Option<usize>,
}

/// What came of all seeds so far.
#[derive(Default)]
struct Outcome {
    reports: BTreeMap<u64, Report>,
    failures: Vec<Failure>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = Settings {
        operations: arguments.operations,
        is_printed: arguments.trace,
        ..Settings::of(usize::from(arguments.nodes))
    };
    let (from, to) = match arguments.seed {
        Some(seed) => (seed, seed + 1),
        None => (arguments.from, arguments.from + arguments.seeds),
    };
    let stopwatch = Stopwatch::start();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(2 * cores).max(1);
    let (next, outcome) = (AtomicU64::new(from), Mutex::new(Outcome::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        return;
                    }
                    let result = one(seed, &settings);
                    note(&outcome, seed, result, to - from, &stopwatch);
                }
            });
        }
    });
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    let line = summary(&outcome, &settings, stopwatch.elapsed().as_secs_f64());
    println!("{line}");
    match outcome.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A panic is a failure of its seed like any other.
fn one(seed: u64, settings: &Settings) -> Result<Report, Failure> {
    catch_unwind(AssertUnwindSafe(|| run(seed, settings))).unwrap_or_else(|_| {
        Err(Failure {
            seed,
            nodes: settings.nodes,
            operations: settings.operations,
            what: "it panicked".to_owned(),
        })
    })
}

/// Says how far it is and about how long it still takes, and at once what went wrong.
fn note(
    outcome: &Mutex<Outcome>,
    seed: u64,
    result: Result<Report, Failure>,
    seeds: u64,
    stopwatch: &Stopwatch,
) {
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(report) => {
            outcome.reports.insert(seed, report);
        }
        Err(failure) => {
            eprintln!("{failure}");
            outcome.failures.push(failure);
        }
    }
    let done = (outcome.reports.len() + outcome.failures.len()) as u64;
    if seeds >= 40 && done < seeds && done.is_multiple_of(seeds / 40) {
        let seconds = stopwatch.elapsed().as_secs_f64();
        let left = seconds * (seeds - done) as f64 / done as f64;
        let failed = outcome.failures.len();
        eprintln!(
            "{done} of {seeds} seeds in {seconds:.0} s, {failed} failed; about {left:.0} s left"
        );
    }
}

/// One line of JSON.
fn summary(outcome: &Outcome, settings: &Settings, seconds: f64) -> serde_json::Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut traces = Vec::new();
    for report in outcome.reports.values() {
        traces.extend_from_slice(report.trace.as_digest());
        for (what, count) in &report.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    let seeds = outcome.reports.len() + outcome.failures.len();
    let rounds_max = outcome.reports.values().map(|report| report.rounds).max();
    let mut failed: Vec<u64> = outcome
        .failures
        .iter()
        .map(|failure| failure.seed)
        .collect();
    failed.sort_unstable();
    failed.truncate(20);
    json!({
        "seeds": seeds,
        "nodes": settings.nodes,
        "operations": seeds * settings.operations,
        "counts": counts,
        "roundsMax": rounds_max,
        "failures": outcome.failures.len(),
        "failedSeeds": failed,
        "trace": VersionHash::of(&traces).to_string(),
        "seconds": (seconds * 10.0).round() / 10.0,
    })
}
