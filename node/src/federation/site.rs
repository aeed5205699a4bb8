//! Providers without a node: `did.jsonl` and `records.ndjson` side by side on a web site, followed like a
//! peer. Such a page speaks for one identity, and is looked at now and then: it cannot say that it has
//! news.

use protocol::id::{Did, Scid};
use protocol::identity::{LogEntry, WitnessProofs, read_lines};
use serde::Deserialize;
use url::Url;

use super::client::{Client, StreamRequest};
use super::peers::PeerError;
use super::pull::PullError;
use crate::ingest::{Ingest, IngestError};
use crate::place::log_address;
use crate::store::LogReceipt;

/// What a followed address ends with if it is such a page.
const LOG: &str = "/did.jsonl";
const RECORDS: &str = "/records.ndjson";

/// Whether a peer's address is that of a page.
pub fn is_site(url: &str) -> bool {
    url.ends_with(LOG)
}

/// The address of a page's log, from what a person writes; `None` if it is not meant as one.
///
/// # Errors
/// [`PeerError::Address`].
pub fn site_address(text: &str) -> Option<Result<String, PeerError>> {
    let text = text.trim();
    if !is_site(text) {
        return None;
    }
    let wrong = || PeerError::Address {
        text: text.chars().take(80).collect(),
    };
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path().ends_with(LOG)
    });
    Some(url.map(|url| url.to_string()).ok_or_else(wrong))
}

/// The log that stands on a page.
pub(super) struct SiteLog {
    pub(super) scid: Scid,
    /// Entries that were new here.
    pub(super) grown: u64,
    /// Whether its newest entry says that it is served at this very address.
    pub(super) is_at_home: bool,
}

/// Takes the log of a page in.
pub(super) async fn take_log(
    client: &Client,
    ingest: &Ingest,
    url: &str,
) -> Result<SiteLog, PullError> {
    let document = client.document(url, "text/jsonl, */*;q=0.1").await?;
    let entries = read_lines(&document.bytes)
        .collect::<Result<Vec<LogEntry>, _>>()
        .map_err(|error| PullError::Site(error.to_string()))?;
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return Err(PullError::Site("did.jsonl is empty".to_owned()));
    };
    let scid = *first.scid();
    let mut grown = 0;
    for entry in &entries {
        let line = entry.to_canonical_bytes();
        match ingest.log_entry(&line, &WitnessProofs::empty()).await {
            Ok(LogReceipt::Grown) => grown += 1,
            Ok(_) => {}
            Err(IngestError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(PullError::Site(format!("did.jsonl: {error}"))),
        }
    }
    // Where it was found in the end: who redirects elsewhere serves it elsewhere.
    let is_at_home = document.url.as_str() == log_address(last.did());
    Ok(SiteLog {
        scid,
        grown,
        is_at_home,
    })
}

/// Where to read the records that stand beside a page's log.
pub(super) fn records_of(url: &str, bytes_max: u64) -> StreamRequest {
    let folder = url.strip_suffix(LOG).unwrap_or(url);
    StreamRequest::get(format!("{folder}{RECORDS}"), bytes_max)
}

/// Whether a line is a record of this author, as it says itself.
pub(super) fn is_by(line: &[u8], scid: &Scid) -> bool {
    #[derive(Deserialize)]
    struct Said {
        author: String,
    }
    serde_json::from_slice::<Said>(line)
        .ok()
        .and_then(|said| Did::parse(&said.author).ok())
        .is_some_and(|author| author.scid() == scid)
}
