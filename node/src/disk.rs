//! How much room a disk has.

use std::io;
use std::path::Path;

/// Bytes that are free for us on the disk that `path` is on.
///
/// # Errors
/// The path is not there.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let about = rustix::fs::statvfs(path)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}
