//! A node of the Baraza network.

pub mod search;
