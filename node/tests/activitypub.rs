//! ActivityPub over real sockets: our nodes among themselves, and what a hostile server sends.
//!
//! The rows of `security/BAD_INPUTS.md` that a test covers stand in its name.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "activitypub/dialects.rs"]
mod dialects;
#[path = "activitypub/documents.rs"]
mod documents;
#[path = "activitypub/hostile.rs"]
mod hostile;
#[path = "activitypub/keys.rs"]
mod keys;
#[path = "activitypub/moves.rs"]
mod moves;
#[path = "activitypub/pair.rs"]
mod pair;
#[path = "activitypub/policy.rs"]
mod policy;
#[path = "activitypub/rows.rs"]
mod rows;
#[path = "activitypub/topics.rs"]
mod topics;
#[path = "activitypub/world.rs"]
mod world;
