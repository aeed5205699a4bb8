//! What the tests of the store are made with: authors, records and chance of the harness.

pub use baraza_harness::{
    Author, Chance, Ideal, Node, START, Version, at, proven, record_key, wait,
};
