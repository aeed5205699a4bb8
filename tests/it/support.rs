//! Nodes as processes, a client that can send anything, authors that can sign anything, and peers
//! that can answer anything.

pub(crate) mod author;
pub(crate) mod client;
pub(crate) mod hostile;
pub(crate) mod laptop;
pub(crate) mod lossy;
pub(crate) mod node;
pub(crate) mod relay;
pub(crate) mod sender;
pub(crate) mod target;
pub(crate) mod thin_line;
pub(crate) mod tube;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::time::Timestamp;

/// How long anything may take before it counts as never: this machine may be busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "tests have a clock of their own")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix_seconds(since.as_secs().cast_signed())
}

/// A stopwatch.
#[expect(clippy::disallowed_methods, reason = "tests have a clock of their own")]
pub(crate) fn started() -> Instant {
    Instant::now()
}

/// Asks again until `attempt` gives something; how often it asks decides nothing.
pub(crate) fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = started();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "not within {} s: {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// Bytes that no other test run has.
pub(crate) fn chance() -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.chunks_mut(8) {
        let hasher = RandomState::new().build_hasher();
        part.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    bytes
}

/// The root of the source tree.
pub(crate) fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
