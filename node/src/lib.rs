//! A node of the Baraza network.
//!
//! Read [`ingest`] first: it is the one door, and everything else reads the change log behind it.
//! [`node`] wires the parts; `docs/ARCHITECTURE.md` has the map.

pub mod audit;
mod background;
pub mod backup;
pub mod bench;
pub mod bundle;
pub mod cards;
pub mod catalogue;
mod chance;
pub mod choices;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod completeness;
pub mod config;
pub mod control;
pub mod demo;
mod disk;
pub mod doctor;
pub mod federation;
mod fold;
pub mod follow;
pub mod identity;
pub mod import;
pub mod ingest;
pub mod keychain;
pub mod labels;
pub mod lookalikes;
pub mod node;
pub mod origins;
pub mod place;
mod places;
pub mod publish;
pub mod restore;
pub mod rsa;
pub mod search;
pub mod sets;
pub mod standing;
pub mod store;
#[cfg(test)]
mod testing;
pub mod web;
