//! `POST /sync/v1/fetch`, as it is asked for: records by id or version hash, logs by their digest or SCID
//! (docs/protocol.md). At most [`FETCH_IDS_MAX`](protocol::limits::FETCH_IDS_MAX) ids at a time.

use protocol::limits::{FETCH_BYTES_MAX, FETCH_IDS_MAX, LINE_BYTES_MAX};
use serde_json::json;

use super::client::StreamRequest;

/// Records, one for each id: no more bytes are read than so many have.
pub(crate) fn records(url: &str, ids: &[String]) -> StreamRequest {
    request(url, ids, ids.len() * (FETCH_BYTES_MAX / FETCH_IDS_MAX))
}

/// Logs, whose lengths nobody knows: the answer ends with the line that takes it over the bound.
pub(crate) fn logs(url: &str, ids: &[String]) -> StreamRequest {
    request(url, ids, FETCH_BYTES_MAX + LINE_BYTES_MAX)
}

fn request(url: &str, ids: &[String], bytes_max: usize) -> StreamRequest {
    let body = json!({ "want": ids }).to_string().into_bytes();
    StreamRequest::post_json(format!("{url}/sync/v1/fetch"), body, bytes_max as u64)
}
