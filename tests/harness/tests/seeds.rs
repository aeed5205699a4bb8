//! Seeds of the simulated network, and that each rule matters to it.
//!
//! A bounded share: `cargo run -p baraza-harness --release -- --seeds 10000` runs more.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use baraza_harness::{Failure, Settings, run};
use protocol::acceptance::Rules;

/// Runs seeds on all cores; the failures, in order of seeds.
fn failures(seeds: std::ops::Range<u64>, settings: &Settings) -> Vec<Failure> {
    let (next, failures) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        return;
                    }
                    if let Err(failure) = run(seed, settings) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.seed);
    failures
}

fn assert_none_fails(seeds: std::ops::Range<u64>, settings: &Settings) {
    let failures = failures(seeds, settings);
    let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", words.join("\n"));
}

#[test]
fn a_network_with_hostile_nodes_comes_to_what_was_meant_and_nothing_else() {
    assert_none_fails(0..24, &Settings::of(5));
}

#[test]
fn a_network_of_twenty_nodes_comes_to_rest_too() {
    let settings = Settings {
        operations: 400,
        ..Settings::of(20)
    };
    assert_none_fails(0..2, &settings);
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let settings = Settings::of(5);
    let [first, again, other] = [7, 7, 8].map(|seed| run(seed, &settings).unwrap().trace);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn all_that_can_happen_happens_in_a_few_seeds() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..6 {
        for (what, count) in run(seed, &Settings::of(5)).unwrap().counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for what in [
        "publish",
        "update",
        "withdraw",
        "bring back",
        "rotate",
        "add key",
        "move",
        "close",
        "steal",
        "recover",
        "fork",
        "equivocate",
        "replay",
        "flood",
        "read",
        "crash",
        "back up",
        "restore",
        "reconcile",
        "compare",
        "compare for a log begun anew",
        "heal by comparing",
        "block node",
        "block author",
        "unblock node",
        "unblock author",
        "part",
        "join",
        "turn a clock",
        "pass hours",
        "checkpoint",
    ] {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

/// How many seeds a rule may go unnoticed when it is switched off.
const NOTICED_WITHIN: u64 = 80;

fn assert_is_noticed(rules: Rules) {
    assert_ne!(rules, Rules::decided());
    let settings = Settings {
        rules,
        ..Settings::of(5)
    };
    let noticed = (0..NOTICED_WITHIN).find_map(|seed| run(seed, &settings).err());
    let failure = noticed.expect("no seed shows that this rule matters");
    println!("noticed at seed {}: {}", failure.seed, failure.what);
}

#[test]
fn it_is_noticed_when_dropped_keys_count_again() {
    assert_is_noticed(Rules::without_never_again());
}

#[test]
fn it_is_noticed_when_all_keys_share_one_place() {
    assert_is_noticed(Rules::without_per_key());
}

#[test]
fn it_is_noticed_when_what_comes_early_is_forgotten() {
    assert_is_noticed(Rules::without_park());
}

#[test]
fn it_is_noticed_when_the_first_of_two_twins_stays() {
    assert_is_noticed(Rules::without_tie());
}

#[test]
fn it_is_noticed_when_a_tombstone_hides_nothing() {
    assert_is_noticed(Rules::without_tombstone_hides());
}

#[test]
fn it_is_noticed_when_a_closed_author_is_read_like_any_other() {
    assert_is_noticed(Rules::without_deactivated());
}

#[test]
fn it_is_noticed_when_comparing_leaves_out_tombstones() {
    assert_is_noticed(Rules::without_tombstones_compared());
}
