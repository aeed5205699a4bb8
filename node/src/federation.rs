//! Everything between nodes. [`client`] is the only way out and the only user of reqwest.

pub mod client;
