//! What the machine itself allows, whatever runs on it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use protocol::key::SecretKey;
use serde::Serialize;

use super::Progress;
use crate::clock::Stopwatch;
use crate::disk;
use crate::keychain::new_key;
use crate::node::NodeError;

/// Signatures that each core checks.
const SIGNATURES: usize = 4_000;
/// How long writes are made safe one by one.
const SYNCS: Duration = Duration::from_secs(1);
const SYNC_BYTES: usize = 4 * 1024;
/// What is written to see how fast the disk is, piece by piece.
const DISK_BYTES: usize = 128 * 1024 * 1024;
const PIECE_BYTES: usize = 1024 * 1024;

/// The machine's limits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) memory_bytes: u64,
    pub(super) free_bytes: u64,
    /// Ed25519, on all cores.
    pub(super) signatures_per_second: f64,
    /// Small writes, each of which is on the disk before the next.
    pub(super) syncs_per_second: f64,
    pub(super) disk_bytes_per_second: f64,
}

impl Machine {
    pub(super) async fn measure(folder: &Path, progress: &Progress) -> Result<Self, NodeError> {
        let failed = |source: io::Error| NodeError::Socket {
            what: folder.display().to_string(),
            source,
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        progress.step("signatures");
        let key = new_key()?;
        let signatures_per_second = on_a_thread(move || check_signatures(&key, cores)).await?;
        progress.step("writes made safe");
        let file = folder.join("syncs");
        let syncs = on_a_thread(move || sync_small_writes(&file)).await?;
        progress.step("disk writes");
        let file = folder.join("writes");
        let writes = on_a_thread(move || write_much(&file)).await?;
        Ok(Self {
            cores,
            memory_bytes: memory_bytes(),
            free_bytes: disk::free_bytes(folder).map_err(failed)?,
            signatures_per_second: signatures_per_second.round(),
            syncs_per_second: syncs.map_err(failed)?.round(),
            disk_bytes_per_second: writes.map_err(failed)?.round(),
        })
    }
}

/// Off the threads that wait for signals and sockets.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NodeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| NodeError::Refused("a measurement was not finished".to_owned()))
}

fn check_signatures(key: &SecretKey, cores: usize) -> f64 {
    let inputs: Vec<[u8; 64]> = (0..=u8::MAX).map(|number| [number; 64]).collect();
    let signed: Vec<_> = inputs
        .iter()
        .map(|input| (input, key.sign(input)))
        .collect();
    let public = key.public();
    let stopwatch = Stopwatch::start();
    let good: usize = std::thread::scope(|scope| {
        let check = || {
            let inputs = signed.iter().cycle().take(SIGNATURES);
            inputs
                .filter(|(input, signature)| public.verifies(*input, signature))
                .count()
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(check)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0))
            .sum()
    });
    good as f64 / stopwatch.elapsed().as_secs_f64()
}

fn sync_small_writes(path: &Path) -> io::Result<f64> {
    let mut file = File::create(path)?;
    let stopwatch = Stopwatch::start();
    let mut syncs = 0;
    while stopwatch.elapsed() < SYNCS {
        file.write_all(&[1; SYNC_BYTES])?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / stopwatch.elapsed().as_secs_f64())
}

fn write_much(path: &Path) -> io::Result<f64> {
    let mut file = File::create(path)?;
    let piece = vec![1; PIECE_BYTES];
    let stopwatch = Stopwatch::start();
    for _ in 0..DISK_BYTES / PIECE_BYTES {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let rate = DISK_BYTES as f64 / stopwatch.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// 0 where the system does not say.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
