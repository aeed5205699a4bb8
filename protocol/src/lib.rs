//! What Baraza nodes must agree on.
//!
//! This crate turns bytes and a time into an answer. It opens no file or socket, reads no clock,
//! draws no random number, and compiles to WebAssembly: a browser or a provider's laptop signs and
//! verifies with the code that every node runs.
//!
//! # The path of a record
//!
//! Bytes from a stranger become an [`envelope::Envelope`] (read whole, within limits), then
//! [`verified::Proven`] (the signature fits the key it names), then [`verified::Verified`] (the
//! author's log lists that key). [`acceptance::Rules`] then say whether it is held and what counts.
//! [`record::Body`] reads what it says.
#![warn(missing_docs)]

pub mod acceptance;
pub mod activity;
pub mod canonical;
pub mod codes;
pub mod envelope;
pub mod httpsig;
pub mod id;
pub mod identity;
pub mod key;
pub mod limits;
pub mod proof;
pub mod record;
pub mod sync;
pub mod time;
pub mod verified;
