//! A node of the Baraza network.

pub mod clock;
pub mod config;
pub mod federation;
pub mod ingest;
pub mod keychain;
pub mod publish;
pub mod store;
