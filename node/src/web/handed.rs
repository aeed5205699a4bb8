//! Records that are handed in by those who signed them, or by whoever has them: one, or many as JSON lines.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode, header};
use protocol::envelope::Envelope;
use protocol::id::{RecordId, VersionHash};
use protocol::limits::RECORDS_HANDED_MAX;
use protocol::record::Body;
use protocol::verified::Proven;
use serde_json::{Value, json};

use super::App;
use super::problem::Problem;
use super::sync::blocking;
use super::visitor::Visitor;
use crate::ingest::IngestError;
use crate::store::{Receipt, Refusal};

/// So many lines are counted as one more request of a visitor: each costs the check of a signature.
const LINES_A_REQUEST: usize = 10;

/// What is said of one of many that is refused: all of it would not fit.
const DETAIL_CHARS_MAX: usize = 300;

/// Media types of JSON lines.
const LINES: [&str; 3] = ["text/jsonl", "application/jsonl", "application/x-ndjson"];

/// What became of a record that is not refused.
struct Taken {
    status: StatusCode,
    id: RecordId,
    version: VersionHash,
}

impl Taken {
    fn members(&self) -> Value {
        json!({"id": self.id.to_string(), "version": self.version.to_string()})
    }
}

/// `POST /api/v1/records`: a record, or up to [`RECORDS_HANDED_MAX`] of them as JSON lines. Of many each is answered as it
/// would be alone, in the order given, and a refusal stops none of the others.
pub(super) async fn receive(
    State(app): State<App>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let work = Arc::clone(&app);
    if !is_lines(&headers) {
        let proven = blocking(move || read(&work, &body)).await?;
        let taken = take(&app, proven).await?;
        return Ok((taken.status, Json(taken.members())).into_response());
    }
    let lines: Vec<Bytes> = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| body.slice_ref(line))
        .collect();
    if lines.is_empty() {
        return Err(Problem::malformed("send records as JSON lines, one a line"));
    }
    if lines.len() > RECORDS_HANDED_MAX {
        let detail = format!("send at most {RECORDS_HANDED_MAX} records in one request");
        return Err(Problem::malformed(detail));
    }
    for _ in 0..lines.len() / LINES_A_REQUEST {
        let per_minute = app.config.requests_per_minute();
        let counted = app.pace.count(visitor);
        counted.map_err(|wait| Problem::too_many_requests(per_minute, wait))?;
    }
    let each = move || lines.iter().map(|line| read(&work, line)).collect();
    let read: Vec<Result<Proven, Problem>> = blocking(move || Ok::<_, Problem>(each())).await?;
    // All at once, so that they share what it takes to make them durable.
    let results = read
        .into_iter()
        .map(async |proven| take(&app, proven?).await);
    let results = join_all(results).await;
    let results: Vec<Value> = results.iter().map(answer).collect();
    Ok(Json(json!({"results": results})).into_response())
}

fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    LINES.iter().any(|lines| kind.eq_ignore_ascii_case(lines))
}

/// One line's answer: the members that it would have alone, and the status.
fn answer(result: &Result<Taken, Problem>) -> Value {
    match result {
        Ok(taken) => {
            let mut members = taken.members();
            members["status"] = taken.status.as_u16().into();
            members
        }
        Err(problem) => {
            let mut members = problem.members();
            let detail: String = problem.detail().chars().take(DETAIL_CHARS_MAX).collect();
            members["detail"] = detail.into();
            members
        }
    }
}

/// Reads and proves a record that this node may take, or says why it may not.
fn read(app: &App, bytes: &[u8]) -> Result<Proven, Problem> {
    let envelope = Envelope::parse(bytes)?;
    if protocol::acceptance::due(envelope.header().issued, app.clock.now()).is_some() {
        if app.standing.clock_ahead()?.is_some() {
            let detail = "this node's clock is wrong, so it cannot judge “issued”: try again later";
            return Err(Problem::wrong_clock(detail));
        }
        let detail = "“issued” lies in the future: check the clock of the machine that signed it";
        return Err(
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "from-the-future", detail).at("issued"),
        );
    }
    if let Some(body) = envelope.body()
        && let Err(faults) = Body::read(&envelope.header().kind, body)
    {
        let first = faults
            .0
            .first()
            .map(|fault| format!("body.{}", fault.path))
            .unwrap_or_default();
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-field",
            faults.to_string(),
        )
        .at(first));
    }
    let proven = envelope.prove()?;
    let record = proven.record();
    let author = record.header.author.scid();
    if app.store.is_blocked(author) {
        return Err(IngestError::from(Refusal::AuthorBlocked).into());
    }
    let is_wanted = match app.store.author(author)? {
        None => false,
        Some(held) if app.hosts(held.state.did())? => true,
        // Of others a node carries what it chose to carry, and takes news of that from whoever has them:
        // an author whose hub is gone must be able to reach those who show its records. Nothing of theirs
        // is kept aside for a log to come, or strangers could fill the room for it.
        Some(held) => {
            let keys = held.state.keys();
            (keys.counts(&record.key) || keys.was_dropped(&record.key))
                && !app.store.history(&record.header.record_id())?.is_empty()
        }
    };
    if !is_wanted {
        let detail = "this node takes new records only of organisations that it hosts, and of others \
                      newer versions of records that it carries, under keys that their log lists: push \
                      to the organisation's own hub";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-hosted", detail));
    }
    Ok(proven)
}

/// Takes a record in that was read and proven.
async fn take(app: &App, proven: Proven) -> Result<Taken, Problem> {
    let (id, version) = (proven.record().header.record_id(), proven.record().hash);
    let receipt = app.ingest.proven(proven, Some("api".into())).await?;
    let status = match receipt {
        Receipt::Stored | Receipt::Parked => StatusCode::CREATED,
        Receipt::AlreadyHeld | Receipt::Superseded | Receipt::Twin => StatusCode::OK,
    };
    Ok(Taken {
        status,
        id,
        version,
    })
}
