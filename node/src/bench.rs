//! `baraza bench`: what this machine can carry.
//!
//! Measures the machine's own limits and a node's rates on made-up records, sets one against the other,
//! and says in a sentence how large a node may grow here. Everything happens in a folder of its own on
//! the disk that the node's data is on; it is removed at the end, and the node is not touched.

mod machine;
mod node;
mod records;
mod sizing;

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::clock::SharedClock;
use crate::commands::Done;
use crate::keychain;
use crate::node::NodeError;
use machine::Machine;
use node::Rates;

/// Records to measure with if nothing is said: enough for the rates to be steady, done within a minute.
pub const RECORDS: u64 = 20_000;

/// Measures, and tells.
///
/// # Errors
/// The folder cannot be written, or the disk is full.
pub async fn run(folder: &Path, records: u64, clock: SharedClock) -> Result<Done, NodeError> {
    let scratch = Scratch::beside(folder)?;
    let progress = Progress::start();
    let machine = Machine::measure(&scratch.0, &progress).await?;
    let rates = Rates::measure(&scratch.0, records, clock, &progress).await?;
    progress.0.finish_and_clear();
    let carries = sizing::of(&machine, &rates);
    let ratio = |part: f64, whole: f64| (part / whole * 1_000.0).round() / 1_000.0;
    let ingest_to_signatures = ratio(rates.ingest_per_second, machine.signatures_per_second);
    let single_to_syncs = ratio(rates.single_per_second, machine.syncs_per_second);
    let json = json!({
        "machine": machine, "node": rates, "carries": carries,
        "ratios": {"ingestToSignatures": ingest_to_signatures, "singleToSyncs": single_to_syncs},
    });
    let text = format!(
        "This machine: {cores} cores, {memory:.1} GB of memory, {free:.1} GB of disk free\n  \
           signatures checked  {signatures:>9.0} a second\n  \
           writes made safe    {syncs:>9.0} a second (fsync)\n  \
           disk writes         {disk:>9.0} MB a second\n\
         The node, with {records} records of {record_bytes} bytes\n  \
           takes in            {ingest:>9.0} records a second: {ingest_to_signatures} of what signatures allow\n  \
           one at a time       {single:>9.0} a second: {single_to_syncs} of what the disk makes safe\n  \
           searches            {p50:>9.1} ms, the slowest of a hundred {p99:.1} ms\n  \
           starts in           {start:>9.2} s\n  \
           keeps               {kept:>9} bytes of disk for a record\n\n{sentence}",
        cores = machine.cores,
        memory = gigabytes(machine.memory_bytes),
        free = gigabytes(machine.free_bytes),
        signatures = machine.signatures_per_second,
        syncs = machine.syncs_per_second,
        disk = machine.disk_bytes_per_second / 1e6,
        record_bytes = rates.record_bytes,
        ingest = rates.ingest_per_second,
        single = rates.single_per_second,
        p50 = rates.search_p50_ms,
        p99 = rates.search_p99_ms,
        start = rates.start_seconds,
        kept = rates.disk_bytes_per_record,
        sentence = carries.sentence,
    );
    Ok(Done::new(text, json))
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// A folder that is gone once nobody has it.
struct Scratch(PathBuf);

impl Scratch {
    /// In `folder` or, if that is not there yet, in the nearest folder above it: on the same disk.
    fn beside(folder: &Path) -> Result<Self, NodeError> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let there = folder.ancestors().find(|folder| folder.is_dir());
        let name = format!(".bench-{}", keychain::random_name()?);
        let path = there.unwrap_or(&folder).join(name);
        std::fs::create_dir(&path).map_err(|source| NodeError::Socket {
            what: path.display().to_string(),
            source,
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "what was measured with was not removed");
        }
    }
}

/// What is measured at present, on a terminal.
struct Progress(ProgressBar);

impl Progress {
    const STEPS: u64 = 8;

    fn start() -> Self {
        let style = ProgressStyle::with_template("{bar:20} {pos} of {len}  {msg}");
        let bar = ProgressBar::new(Self::STEPS);
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn step(&self, what: &'static str) {
        self.0.set_message(what);
        self.0.inc(1);
    }
}
