//! Where a page ended, as an opaque text that only the same search takes back.
//!
//! A cursor holds the order key of the last result shown, so pages never overlap, whatever was
//! added or removed in between. It is not signed: whoever makes one up only skips results.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::id::RecordId;
use sha2::{Digest as _, Sha256};

use super::query::Query;

/// The last result of the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct After {
    pub(super) rank: u64,
    pub(super) id: RecordId,
}

/// Longer texts are not ours: 8 + 8 bytes and the longest record id, in base 64.
const CURSOR_CHARS_MAX: usize = 260;

/// What tells a search from others: all that decides which results there are and in which order;
/// not the moment, the page's size, nor what is counted.
pub(super) fn fingerprint(query: &Query) -> [u8; 8] {
    let asked = format!(
        "{:?}",
        (
            &query.text,
            query.matching,
            &query.language,
            &query.filters,
            query.validity,
            query.sort
        )
    );
    let digest = Sha256::digest(asked.as_bytes());
    let mut fingerprint = [0; 8];
    for (to, from) in fingerprint.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    fingerprint
}

pub(super) fn write(fingerprint: &[u8; 8], after: &After) -> String {
    let mut bytes = fingerprint.to_vec();
    bytes.extend_from_slice(&after.rank.to_be_bytes());
    bytes.extend_from_slice(after.id.to_string().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor; `None` if no search wrote it, or another one did.
pub(super) fn read(text: &str, fingerprint: &[u8; 8]) -> Option<After> {
    if text.len() > CURSOR_CHARS_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let rest = bytes.strip_prefix(fingerprint)?;
    let (rank, id) = rest.split_first_chunk::<8>()?;
    Some(After {
        rank: u64::from_be_bytes(*rank),
        id: RecordId::parse(str::from_utf8(id).ok()?).ok()?,
    })
}
