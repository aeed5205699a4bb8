//! `/sync/v1`: how other nodes catch up (docs/protocol.md, 4).

mod feed;
mod given;
mod pieces;
mod reconcile;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use protocol::id::RecordId;
use protocol::limits::{
    CHANGES_ROWS_MAX, CHANGES_WAIT_SECONDS_MAX, FETCH_BYTES_MAX, FETCH_IDS_MAX,
};
use protocol::sync::{Cursor, Filter};
use serde::Deserialize;
use serde_json::Value;

use self::feed::Feed;
use self::given::Given;
use self::reconcile::reconcile;
use super::App;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::bundle;
use crate::federation::actors::origin;
use crate::federation::policy::Barred;
use crate::sets::Sets;
use crate::store::{HeldRow, Store, StoreError};

/// The routes below `/sync/v1`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sync/v1/changes", get(changes))
        .route("/sync/v1/fetch", post(fetch))
        .route("/sync/v1/reconcile", post(reconcile))
        .route("/sync/v1/bundle", get(bundle))
}

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

#[derive(Deserialize)]
pub(super) struct ChangesQuery {
    since: Option<String>,
    limit: Option<usize>,
    wait: Option<u64>,
    filter: Option<String>,
}

/// Tells a node that is blocked that it is, if it says who it is, as nodes do under `User-Agent`. That is a
/// courtesy: reading is open to everyone, and whoever wants to read unnamed can.
fn turn_away(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let named = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .and_then(|agent| agent.split_once("(+"))
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(address, _)| origin(address));
    match named.map(|node| app.gate.check_sender(&node)) {
        Some(Err(blocked @ Barred::Blocked { .. })) => Err(blocked.into()),
        Some(Err(Barred::Store(error))) => Err(error.into()),
        _ => Ok(()),
    }
}

/// `GET /sync/v1/changes`: the rows after a cursor, or, if there are none, whatever comes within
/// `wait` seconds.
async fn changes(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    Query(query): Query<ChangesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut feed = feed_of(&app.store, &query)?;
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(CHANGES_WAIT_SECONDS_MAX));
    let patience = tokio::time::sleep(wait);
    tokio::pin!(patience);
    let mut ticks = app.store.ticks();
    let mut place = None;
    loop {
        // Anew each time: it may have been blocked while it waited.
        turn_away(&app, &headers)?;
        ticks.mark_unchanged();
        let (first, read) = pieces::next(feed).await?;
        if read.has_lines || wait.is_zero() {
            return Ok(pieces::answer(first, read));
        }
        feed = read.again();
        if place.is_none() {
            let free = app.waiting.place(visitor);
            place = Some(free.ok_or_else(Problem::too_many_waiting)?);
        }
        tokio::select! {
            changed = ticks.changed() => changed.map_err(|_| Problem::unavailable("the node is stopping"))?,
            () = app.stopping() => return Ok(as_lines(first.into())),
            () = &mut patience => return Ok(as_lines(first.into())),
        }
    }
}

/// The page that is asked for.
fn feed_of(store: &Arc<Store>, query: &ChangesQuery) -> Result<Feed, Problem> {
    let filter = Filter::parse(query.filter.as_deref().unwrap_or_default())
        .map_err(|error| Problem::malformed(error.to_string()).at("filter"))?;
    let after = read_cursor(store, query.since.as_deref().unwrap_or_default())?;
    let limit = query
        .limit
        .unwrap_or(CHANGES_ROWS_MAX)
        .clamp(1, CHANGES_ROWS_MAX);
    Ok(Feed::new(Arc::clone(store), after, limit, filter))
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

/// The bytes of a version; `None` if they are damaged here, which stops nothing else.
fn whole(id: &RecordId, held: &HeldRow) -> Result<Option<Vec<u8>>, StoreError> {
    match held.canonical() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StoreError::Corrupt { detail }) => {
            let hash = held.rank.hash;
            tracing::error!(%id, %hash, detail, "a record is damaged here and is not handed out");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the store holds was UTF-8 when it came in.
fn utf8(bytes: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(bytes).map_err(|_| StoreError::Corrupt {
        detail: "text that is no UTF-8".to_owned(),
    })
}

/// `POST /sync/v1/fetch`: records by version hash or id, logs by SCID.
async fn fetch(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    turn_away(&app, &headers)?;
    let given = given_of(&app.store, &body)?.by_heads(app.sets.clone());
    let (first, given) = pieces::next(given).await?;
    Ok(pieces::answer(first, given))
}

/// What is asked for by name.
fn given_of(store: &Arc<Store>, body: &[u8]) -> Result<Given, Problem> {
    let wrong =
        || Problem::malformed("send {\"want\": [version hash, record id or SCID, …]}").at("want");
    let body = protocol::canonical::parse(
        body,
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
    let mut want: Vec<String> = want
        .iter()
        .map(|id| id.as_str().map(ToOwned::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    // Each is given once, however often it is asked for.
    let mut seen = HashSet::new();
    want.retain(|id| seen.insert(id.clone()));
    Ok(Given::new(Arc::clone(store), want, FETCH_BYTES_MAX))
}

/// What a node with this store and its sets answers to a request for `/sync/v1/changes` (which waits for
/// nothing) or, with a body, `/sync/v1/fetch` and `/sync/v1/reconcile`: for networks without sockets.
///
/// # Errors
/// As these answer.
pub fn answer(
    store: &Arc<Store>,
    sets: &Sets,
    address: &http::Uri,
    body: Option<&[u8]>,
) -> Result<http::Response<Vec<u8>>, Problem> {
    let lines = match (address.path(), body) {
        ("/sync/v1/changes", None) => {
            let query = Query::<ChangesQuery>::try_from_uri(address)
                .map_err(|error| Problem::malformed(error.to_string()))?;
            pieces::whole(feed_of(store, &query.0)?)?
        }
        ("/sync/v1/fetch", Some(body)) => {
            pieces::whole(given_of(store, body)?.by_heads(sets.clone()))?
        }
        ("/sync/v1/reconcile", Some(message)) => {
            return reconcile::answer(sets, address, message);
        }
        _ => return Err(Problem::not_found("there is nothing at this address")),
    };
    Ok(http::Response::new(lines.into_bytes()))
}

#[derive(Deserialize)]
pub(super) struct BundleQuery {
    filter: Option<String>,
}

/// `GET /sync/v1/bundle`: everything, as one file that verifies by itself.
async fn bundle(
    State(app): State<App>,
    Query(query): Query<BundleQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    turn_away(&app, &headers)?;
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

fn as_lines(body: Body) -> Response {
    (
        [
            (header::CONTENT_TYPE, LINES),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        body,
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

#[cfg(test)]
mod tests;
