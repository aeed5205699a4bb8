//! A simulated network: nodes that run the production code of ingest, acceptance, publishing and catching
//! up, without sockets, disks or a real clock. Every choice comes from one seed, so the same seed gives
//! the same run, event by event.
//!
//! [`run`] is the whole story of a seed: a network lives through some hundred operations and faults
//! ([`life`]), heals, and is held against the rule written a second time ([`Ideal`]) and against what its
//! organisations meant ([`check`]). [`Network`] alone is for tests that tell a story of their own.
//! `docs/ARCHITECTURE.md` says how to run it and how to read it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what cannot be made here is a fault of the test"
)]

mod author;
mod chance;
pub mod check;
mod hostile;
mod ideal;
pub mod life;
mod network;
mod node;
mod organisation;
mod run;
pub mod told;
mod trace;
mod wire;

pub use author::{Author, START, Version, at, proven, record_key};
pub use chance::Chance;
pub use hostile::{Liar, Mood};
pub use ideal::Ideal;
pub use network::{Network, address};
pub use node::{Node, wait};
pub use organisation::Organisation;
pub use run::{Failure, Report, Settings, run};
pub use told::Told;
pub use wire::Fault;
