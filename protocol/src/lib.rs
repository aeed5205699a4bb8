//! What Baraza nodes must agree on.
//!
//! This crate turns bytes and a time into an answer. It opens no file or socket, reads no clock,
//! draws no random number, and compiles to WebAssembly: a browser or a provider's laptop signs and
//! verifies with the code that every node runs.
#![warn(missing_docs)]

pub mod canonical;
pub mod id;
pub mod key;
pub mod limits;
pub mod proof;
pub mod time;
