//! `/sync/v1`: how other nodes catch up (docs/protocol.md, 4).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use protocol::id::{RecordId, Scid, VersionHash};
use protocol::limits::{CHANGES_ROWS_MAX, CHANGES_WAIT_SECONDS_MAX, FETCH_IDS_MAX};
use protocol::sync::{Cursor, Filter, Line};
use serde::Deserialize;
use serde_json::Value;

use super::App;
use super::problem::Problem;
use crate::bundle;
use crate::store::{Store, StoreError, What};

/// Bytes after which a page of the feed ends, whatever its limit.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

#[derive(Deserialize)]
pub(super) struct ChangesQuery {
    since: Option<String>,
    limit: Option<usize>,
    wait: Option<u64>,
    filter: Option<String>,
}

/// `GET /sync/v1/changes`: the rows after a cursor, or, if there are none, whatever comes within
/// `wait` seconds.
pub(super) async fn changes(
    State(app): State<App>,
    Query(query): Query<ChangesQuery>,
) -> Result<Response, Problem> {
    let filter = Filter::parse(query.filter.as_deref().unwrap_or_default())
        .map_err(|error| Problem::malformed(error.to_string()).at("filter"))?;
    let after = read_cursor(&app.store, query.since.as_deref().unwrap_or_default())?;
    let limit = query
        .limit
        .unwrap_or(CHANGES_ROWS_MAX)
        .clamp(1, CHANGES_ROWS_MAX);
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(CHANGES_WAIT_SECONDS_MAX));
    let patience = tokio::time::sleep(wait);
    tokio::pin!(patience);
    let mut ticks = app.store.ticks();
    let mut after = after;
    loop {
        ticks.mark_unchanged();
        let (store, page_filter) = (Arc::clone(&app.store), filter.clone());
        let page = blocking(move || Page::read(&store, after, limit, &page_filter)).await?;
        if page.has_lines || wait.is_zero() {
            return Ok(lines(page.text));
        }
        after = page.read_to;
        tokio::select! {
            changed = ticks.changed() => changed.map_err(|_| Problem::unavailable("the node is stopping"))?,
            () = app.stopping() => return Ok(lines(page.text)),
            () = &mut patience => return Ok(lines(page.text)),
        }
    }
}

fn read_cursor(store: &Store, text: &str) -> Result<u64, Problem> {
    if text.is_empty() {
        return Ok(0);
    }
    let cursor = Cursor::parse(text).ok_or_else(|| {
        Problem::malformed("since must be a cursor that this node gave, or absent").at("since")
    })?;
    if cursor.epoch != store.epoch() || cursor.number > store.last_change()? {
        return Err(Problem::new(
            StatusCode::GONE,
            "cursor-gone",
            "this node's log has begun anew since that cursor: read it from the start",
        ));
    }
    Ok(cursor.number)
}

/// A page of the feed, as text.
struct Page {
    text: String,
    has_lines: bool,
    read_to: u64,
}

impl Page {
    fn read(store: &Store, after: u64, limit: usize, filter: &Filter) -> Result<Self, StoreError> {
        let cursor = |number| Cursor {
            epoch: store.epoch().to_owned(),
            number,
        };
        let mut text = String::new();
        let mut read_to = after;
        // A narrow filter may pass over many rows: they are read in steps, the page ends at the bound.
        'log: loop {
            let (rows, end) = store.changes(read_to, limit)?;
            let is_end = end == read_to;
            for row in rows {
                match &row.what {
                    What::Entry { scid, entry } if filter.wants_author(scid) => {
                        let witness = store.witness_of(scid)?;
                        let line = Line::Log {
                            scid: *scid,
                            entry: utf8(entry)?,
                            witness: witness.as_deref().map(utf8).transpose()?,
                        };
                        text.push_str(&line.write(Some(&cursor(row.number))));
                    }
                    What::Held { id, row: held } => {
                        let record = held.canonical()?;
                        if filter.is_all() || bundle::wants(filter, &id.author, &record) {
                            let line = Line::Record {
                                record: utf8(&record)?,
                            };
                            text.push_str(&line.write(Some(&cursor(row.number))));
                        }
                    }
                    What::Entry { .. } | What::Judged { .. } => {}
                }
                read_to = row.number;
                if text.len() > PAGE_BYTES_MAX {
                    break 'log;
                }
            }
            read_to = end;
            if is_end || !text.is_empty() {
                break;
            }
        }
        let has_lines = !text.is_empty();
        text.push_str(&Line::End.write(Some(&cursor(read_to))));
        Ok(Self {
            text,
            has_lines,
            read_to,
        })
    }
}

/// What the store holds was UTF-8 when it came in.
fn utf8(bytes: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(bytes).map_err(|_| StoreError::Corrupt {
        detail: "text that is no UTF-8".to_owned(),
    })
}

/// `POST /sync/v1/fetch`: records by version hash or id, logs by SCID.
pub(super) async fn fetch(State(app): State<App>, body: Bytes) -> Result<Response, Problem> {
    let wrong =
        || Problem::malformed("send {\"want\": [version hash, record id or SCID, …]}").at("want");
    let body = protocol::canonical::parse(
        &body,
        super::BODY_BYTES_MAX,
        protocol::canonical::Numbers::Any,
    )?;
    let want = body
        .get("want")
        .and_then(Value::as_array)
        .ok_or_else(wrong)?;
    if want.len() > FETCH_IDS_MAX {
        return Err(
            Problem::malformed(format!("at most {FETCH_IDS_MAX} ids at a time")).at("want"),
        );
    }
    let want: Vec<String> = want
        .iter()
        .map(|id| id.as_str().map(ToOwned::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let store = Arc::clone(&app.store);
    let text = blocking(move || {
        let mut text = String::new();
        for id in &want {
            if let Ok(id) = RecordId::parse(id) {
                if let Some(held) = store.counting(&id)? {
                    text.push_str(
                        &Line::Record {
                            record: utf8(&held.canonical()?)?,
                        }
                        .write(None),
                    );
                }
            } else if let Ok(hash) = VersionHash::parse(id) {
                let held = match store.by_hash(&hash)? {
                    None => store.past_by_hash(&hash)?,
                    held => held,
                };
                if let Some((_, row)) = held {
                    text.push_str(
                        &Line::Record {
                            record: utf8(&row.canonical()?)?,
                        }
                        .write(None),
                    );
                } else {
                    // A hash and an SCID are written alike.
                    bundle::write_log(&store, &Scid::from_digest(*hash.as_digest()), &mut text)?;
                }
            }
        }
        Ok::<_, StoreError>(text)
    })
    .await?;
    Ok(lines(text))
}

#[derive(Deserialize)]
pub(super) struct BundleQuery {
    filter: Option<String>,
}

/// `GET /sync/v1/bundle`: everything, as one file that verifies by itself.
pub(super) async fn bundle(
    State(app): State<App>,
    Query(query): Query<BundleQuery>,
) -> Result<Response, Problem> {
    let filter = Filter::parse(query.filter.as_deref().unwrap_or_default())
        .map_err(|error| Problem::malformed(error.to_string()).at("filter"))?;
    // Written while it is sent: a slow reader holds back the writer, not memory.
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(8);
    let store = Arc::clone(&app.store);
    tokio::task::spawn_blocking(move || {
        let out = bundle::ChannelWriter::new(sender.clone());
        if let Err(error) = bundle::export(&store, &filter, out) {
            // The reader sees a file cut off, which zstd notices.
            let _ = sender.blocking_send(Err(std::io::Error::other(error.to_string())));
        }
    });
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let disposition = HeaderValue::from_static("attachment; filename=\"bundle.ndjson.zst\"");
    let kind = HeaderValue::from_static("application/zstd");
    Ok((
        [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_DISPOSITION, disposition),
        ],
        body,
    )
        .into_response())
}

fn lines(text: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, LINES),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        text,
    )
        .into_response()
}

/// Runs something that reads the disk where it may block.
pub(super) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Problem::unavailable("the node is stopping")),
    }
}
