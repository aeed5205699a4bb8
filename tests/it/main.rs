//! Promises to the user, kept by real `baraza` processes that talk over real sockets.
//!
//! Rules are tested in `protocol` and `node`; here stands only what a running program can show. Each
//! test runs its own nodes in its own folders; a log with a panic in it fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

mod backups;
mod bad_http;
mod bad_identity;
mod bad_inbox;
mod bad_json;
mod bad_peer;
mod bad_times;
mod clocks;
mod command_line;
mod completeness;
mod disk_faults;
mod doctor;
mod examples;
mod exchange;
mod faults;
mod imports;
mod measuring;
mod own_fetches;
mod own_identity;
mod policy;
mod proxy;
mod reconcile;
mod spreadsheets;
mod thin_link;
mod tidy;
mod topics;
mod twelve;
