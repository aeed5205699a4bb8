//! What happened, in words: counted into a hash, and printed if somebody reads along.

use std::fmt::Arguments;

use protocol::id::VersionHash;
use sha2::{Digest as _, Sha256};

/// The events of one run.
pub struct Trace {
    hash: Sha256,
    events: u64,
    is_printed: bool,
}

impl Trace {
    /// Nothing has happened yet.
    pub fn new(is_printed: bool) -> Self {
        Self {
            hash: Sha256::new(),
            events: 0,
            is_printed,
        }
    }

    /// Something happened `seconds` after the beginning.
    pub fn say(&mut self, seconds: i64, event: Arguments<'_>) {
        let line = format!("{:>4} {seconds:>7}s  {event}\n", self.events);
        self.events += 1;
        self.hash.update(line.as_bytes());
        if self.is_printed {
            print!("{line}");
        }
    }

    /// The same for the same events.
    pub fn hash(&self) -> VersionHash {
        VersionHash::from_digest(self.hash.clone().finalize().into())
    }
}
