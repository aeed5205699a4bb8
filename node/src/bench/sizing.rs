//! From rates to how large a node may grow. What was measured with few records is drawn out to many:
//! disk and the time of a search grow with their number.

use serde::Serialize;

use super::gigabytes;
use super::machine::Machine;
use super::node::Rates;

/// The largest node that was ever measured; nothing is promised beyond it.
const RECORDS_MEASURED_MAX: f64 = 1_000_000.0;
/// The slowest of a hundred searches stays within this.
const SEARCH_MS_MAX: f64 = 250.0;
/// What the node may take of the free disk: a backup, or a store made anew beside the old one, needs as
/// much again.
const DISK_SHARE: f64 = 0.4;
/// Memory of an empty node and of one with the most records that were measured (bench `footprint`).
const MEMORY_EMPTY_BYTES: f64 = 40e6;
const MEMORY_MEASURED_MAX_BYTES: f64 = 400e6;
/// What the node may take of the machine's memory: the files that it reads must have room beside it.
const MEMORY_SHARE: f64 = 0.5;

/// What the machine can carry, and what sets the limit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Carries {
    pub(super) records: u64,
    pub(super) limited_by: &'static str,
    pub(super) sentence: String,
}

pub(super) fn of(machine: &Machine, rates: &Rates) -> Carries {
    let memory = machine.memory_bytes as f64 * MEMORY_SHARE;
    let memory_a_record = (MEMORY_MEASURED_MAX_BYTES - MEMORY_EMPTY_BYTES) / RECORDS_MEASURED_MAX;
    let bounds = [
        ("no larger node was ever measured", RECORDS_MEASURED_MAX),
        (
            "the free disk",
            machine.free_bytes as f64 * DISK_SHARE / rates.disk_bytes_per_record.max(1) as f64,
        ),
        (
            "the time of a search",
            rates.records as f64 * SEARCH_MS_MAX / rates.search_p99_ms.max(0.001),
        ),
        (
            "the memory",
            ((memory - MEMORY_EMPTY_BYTES) / memory_a_record).max(0.0),
        ),
    ];
    let least = bounds
        .into_iter()
        .min_by(|(_, left), (_, right)| left.total_cmp(right));
    let (limited_by, records) = least.unwrap_or(("", 0.0));
    let records = round_down(records as u64);
    let disk = gigabytes(records * rates.disk_bytes_per_record);
    let minutes = records as f64 / rates.ingest_per_second.max(1.0) / 60.0;
    let search = (rates.search_p99_ms * records as f64 / rates.records.max(1) as f64)
        .max(rates.search_p99_ms);
    let sentence = format!(
        "This machine can carry {records} records. They would take {disk:.1} GB of disk and, from another \
         node, {minutes:.0} minutes to come in; all but one of a hundred searches would take less than \
         {search:.0} ms. What sets the limit: {limited_by}."
    );
    Carries {
        records,
        limited_by,
        sentence,
    }
}

/// To its first digit: no measurement is finer than that.
fn round_down(number: u64) -> u64 {
    let step = 10_u64.pow(number.checked_ilog10().unwrap_or(0));
    number / step * step
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::super::node::Rates;
    use super::of;

    fn machine(free_bytes: u64, memory_bytes: u64) -> Machine {
        Machine {
            cores: 2,
            memory_bytes,
            free_bytes,
            signatures_per_second: 40_000.0,
            syncs_per_second: 500.0,
            disk_bytes_per_second: 1e9,
        }
    }

    fn rates(search_p99_ms: f64) -> Rates {
        Rates {
            records: 10_000,
            record_bytes: 1_500,
            ingest_per_second: 5_000.0,
            single_per_second: 400.0,
            search_p50_ms: 0.2,
            search_p99_ms,
            start_seconds: 0.1,
            disk_bytes_per_record: 2_000,
        }
    }

    #[test]
    fn the_tightest_of_disk_memory_search_and_experience_sets_the_size() {
        let ample = 1_000_000_000_000;
        let of = |free, memory, search| {
            let carries = of(&machine(free, memory), &rates(search));
            (carries.records, carries.limited_by)
        };
        assert_eq!(
            of(ample, ample, 0.5),
            (1_000_000, "no larger node was ever measured")
        );
        assert_eq!(of(1_300_000_000, ample, 0.5), (200_000, "the free disk"));
        assert_eq!(of(ample, ample, 50.0), (50_000, "the time of a search"));
        assert_eq!(of(ample, 256_000_000, 0.5).1, "the memory");
        assert_eq!(of(ample, 0, 0.5).0, 0);
    }
}
