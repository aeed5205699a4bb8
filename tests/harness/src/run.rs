//! The whole story of one seed.

use std::collections::BTreeMap;

use protocol::acceptance::Rules;
use protocol::id::VersionHash;

use crate::check;
use crate::life::World;

/// What kind of story it is.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Nodes, a fifth of which are hostile.
    pub nodes: usize,
    /// Things that happen before it heals.
    pub operations: usize,
    /// The rules that nodes go by.
    pub rules: Rules,
    /// Whether events are printed as they happen.
    pub is_printed: bool,
}

impl Settings {
    /// So many nodes by the rules of the protocol.
    pub fn of(nodes: usize) -> Self {
        Self {
            nodes,
            operations: 240,
            rules: Rules::decided(),
            is_printed: false,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// The same for the same events.
    pub trace: VersionHash,
    /// Rounds that it took to come to rest.
    pub rounds: usize,
    /// How often each thing happened.
    pub counts: BTreeMap<&'static str, u64>,
}

/// What must not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Of which seed.
    pub seed: u64,
    /// Of how many nodes.
    pub nodes: usize,
    /// After how many operations it healed.
    pub operations: usize,
    /// What.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            seed,
            nodes,
            operations,
            what,
        } = self;
        write!(
            out,
            "seed {seed}: {what}\n  cargo run -p baraza-harness --release -- --seed {seed} --nodes {nodes} --operations {operations} --trace"
        )
    }
}

/// Runs a seed: the same one gives the same events.
///
/// # Errors
/// What the network came to is not what it must come to.
pub fn run(seed: u64, settings: &Settings) -> Result<Report, Failure> {
    let Settings {
        nodes,
        operations,
        rules,
        is_printed,
    } = *settings;
    let failure = |what| Failure {
        seed,
        nodes,
        operations,
        what,
    };
    let mut world = World::new(seed, nodes, rules, is_printed);
    for _ in 0..operations {
        world.step();
    }
    let rounds = check::heal(&mut world).map_err(failure)?;
    check::verify(&world).map_err(failure)?;
    check::verify_comparing_brings_nothing(&mut world).map_err(failure)?;
    let state = world.network.sites[0].store.state_hash().unwrap();
    world
        .network
        .say(format_args!("all is as it must be: {state}"));
    Ok(Report {
        trace: world.network.trace.hash(),
        rounds,
        counts: world.counts,
    })
}
