//! `/api/v1`: JSON for programs. Every record goes out as the bytes that its author signed.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use protocol::envelope::Status;
use protocol::id::{LocalId, RecordId, Scid};
use protocol::limits::LOG_BODY_BYTES_MAX;
use protocol::record::TextMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answered::Answer;
use super::ask::Ask;
use super::problem::Problem;
use super::sync::blocking;
use super::{App, accept, handed, hosting, pages};
use crate::catalogue::{Saying, Shown, choose};
use crate::choices::Hidden;
use crate::search::Facet;
use crate::store::{HeldRow, StoreError};

/// The routes below `/api/v1`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/search", get(search))
        .route("/api/v1/records", axum::routing::post(handed::receive))
        .route("/api/v1/records/{scid}/{local}", get(record))
        .route("/api/v1/records/{scid}/{local}/history", get(history))
        .route("/api/v1/organizations", get(organizations))
        .route(
            "/api/v1/organizations/{scid}/log",
            axum::routing::post(hosting::receive_log)
                .layer(DefaultBodyLimit::max(LOG_BODY_BYTES_MAX)),
        )
        .route("/api/v1/organizations/{scid}/did.jsonl", get(log))
        .route("/api/v1/organizations/{scid}/history", get(author_history))
        .route(
            "/api/v1/organizations/{scid}/did-witness.json",
            get(witness),
        )
        .route("/api/v1/node", get(node))
}

/// The facets that are counted for a search.
pub(super) const FACETS: [Facet; 9] = [
    Facet::Area,
    Facet::Kind,
    Facet::Country,
    Facet::Language,
    Facet::Audience,
    Facet::Mode,
    Facet::Cost,
    Facet::Level,
    Facet::Type,
];

/// One result.
#[derive(Serialize)]
struct Item {
    id: String,
    #[serde(rename = "type")]
    record_type: String,
    kind: Option<String>,
    name: Option<String>,
    summary: Option<String>,
    /// The language that name and summary are in.
    language: Option<String>,
    author: ItemAuthor,
    url: String,
    score: Option<u32>,
    issued: String,
    confirmed: Option<String>,
}

#[derive(Serialize)]
struct ItemAuthor {
    id: String,
    name: String,
    host: String,
    /// Its key log has two lines: somebody else may hold a key.
    disputed: bool,
    /// Its log was found on the web site that it names.
    #[serde(rename = "siteConfirmed")]
    site_confirmed: bool,
}

async fn search(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::read(query.as_deref().unwrap_or_default())?;
    let languages = pages::accepted_languages(&headers);
    let answer = blocking(move || found(&app, &ask, &languages)).await?;
    Ok(Json(answer).into_response())
}

/// What a search finds, for someone who reads `languages`.
///
/// # Errors
/// 400 with the parameter that is wrong; 503 for a fault of the disk.
pub(crate) fn found(work: &App, ask: &Ask, languages: &[String]) -> Result<Value, Problem> {
    let query = ask.query(
        languages.first().map(String::as_str),
        &FACETS,
        work.clock.now(),
    )?;
    let found = work.index.search(&query)?;
    let languages: Vec<&str> = languages.iter().map(String::as_str).collect();
    let mut items = Vec::with_capacity(found.hits.len());
    for hit in &found.hits {
        // Between the index and the store a record may have been withdrawn.
        let Some(shown) = work.catalogue.record(&hit.id)? else {
            continue;
        };
        if matches!(shown.body, Saying::Hidden(_)) {
            continue;
        }
        let Some(author) = work.catalogue.author(&hit.id.author)? else {
            continue;
        };
        let name = shown
            .name(&languages)
            .map(|(language, name)| (language.to_owned(), name.to_owned()));
        let (kind, summary) = kind_and_summary(&shown);
        let summary = summary
            .and_then(|summary| choose(summary, &languages, shown.header.language.as_deref()))
            .map(|(_, text)| text.to_owned());
        items.push(Item {
            id: shown.id.to_string(),
            record_type: shown.header.kind.to_string(),
            kind,
            language: name.as_ref().map(|(language, _)| language.clone()),
            name: name.map(|(_, name)| name),
            summary,
            author: ItemAuthor {
                id: author.scid().to_string(),
                name: author.name(&languages),
                host: author.host(),
                disputed: author.author.is_disputed,
                site_confirmed: author.has_confirmed_site,
            },
            url: work
                .config
                .address(&format!("/api/v1/records/{}", shown.id)),
            score: hit.score,
            issued: shown.header.issued.to_string(),
            confirmed: shown
                .header
                .confirmed
                .map(|confirmed| confirmed.to_string()),
        });
    }
    let language = languages.first().copied().unwrap_or("en");
    let facets: serde_json::Map<String, Value> = found
            .facets
            .iter()
            .map(|counts| {
                let values = counts.codes.iter().map(|(code, count)| {
                    json!({"code": code, "label": pages::label(work, counts.facet, code, language), "count": count})
                });
                (counts.facet.name().to_owned(), values.collect())
            })
            .collect();
    Ok(json!({"total": found.total, "items": items, "facets": facets, "next": found.next}))
}

/// The kind of a record, and its summary by language.
pub(super) fn kind_and_summary(shown: &Shown) -> (Option<String>, Option<&TextMap>) {
    let Saying::Body(body) = &shown.body else {
        return (None, None);
    };
    use protocol::record::Body;
    match &**body {
        Body::Offering(offering) => (Some(offering.kind.to_owned()), Some(&offering.summary)),
        Body::Organization(organization) => (
            organization.kind.as_ref().map(|kind| kind.code.to_string()),
            Some(&organization.summary),
        ),
        Body::Solution(solution) => (Some(solution.kind.to_owned()), Some(&solution.summary)),
        Body::Checkpoint(_) | Body::Endorsement(_) | Body::NodeCard(_) => (None, None),
    }
}

pub(super) fn record_id(scid: &str, local: &str) -> Result<RecordId, Problem> {
    RecordId::parse(&format!("{scid}/{local}"))
        .map_err(|error| Problem::not_found(error.to_string()))
}

async fn record(
    State(app): State<App>,
    Path((scid, local)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = record_id(&scid, &local)?;
    if prefers_html(&headers) {
        let target = format!("/{}/o/{id}", pages::page_language(&app, &headers));
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response());
    }
    accept::json(&headers)?;
    // While the store cannot write, what was answered says nothing.
    let as_of = app.store.as_of().ok();
    let known = as_of.and_then(|as_of| app.answered.get(&id, as_of));
    // A choice to leave something out holds at once, and is taken back at once if it cannot be written.
    let is_left_out = app.store.is_hidden(&id) || app.store.is_blocked(&id.author);
    let known = known.filter(|_| !is_left_out);
    let Answer { status, etag, body } = match known {
        Some(answer) => answer,
        None => {
            let answer = read_answer(&app, &id)?;
            if let Some(as_of) = as_of {
                app.answered.keep(id, as_of, answer.clone());
            }
            answer
        }
    };
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let kind = HeaderValue::from_static("application/json");
    let headers = [(header::CONTENT_TYPE, kind), (header::ETAG, etag)];
    Ok((status, headers, body).into_response())
}

/// A record is one row: to hand the reading to another thread takes several times as long as to read.
fn read_answer(app: &App, id: &RecordId) -> Result<Answer, Problem> {
    let row = app.store.counting(id)?;
    let row = row.ok_or_else(|| Problem::not_found("no such record is known here"))?;
    refuse_hidden(app, id, &row)?;
    let etag = HeaderValue::try_from(format!("\"{}\"", row.rank.hash));
    Ok(Answer {
        // A tombstone is told as such, with the proof that its author wanted it.
        status: match row.status {
            Status::Active => StatusCode::OK,
            Status::Withdrawn => StatusCode::GONE,
        },
        etag: etag.map_err(|_| Problem::unavailable("the version has no name for a header"))?,
        body: row.canonical()?.into(),
    })
}

/// Refuses what the operator chose not to show. A tombstone has nothing to hide.
pub(super) fn refuse_hidden(app: &App, id: &RecordId, row: &HeldRow) -> Result<(), Problem> {
    match Hidden::of(&app.store, id)? {
        Some(hidden) if row.status == Status::Active => {
            Err(Problem::hidden(&hidden, app.config.url.as_str()))
        }
        _ => Ok(()),
    }
}

fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let first = accept.split(',').next().unwrap_or_default();
    first.trim().starts_with("text/html")
}

async fn history(
    State(app): State<App>,
    Path((scid, local)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = record_id(&scid, &local)?;
    let work = Arc::clone(&app);
    let read = move || -> Result<_, StoreError> {
        let hidden = Hidden::of(&work.store, &id)?;
        let twins = match hidden {
            Some(_) => Vec::new(),
            None => work.store.twins_of(&id)?,
        };
        let twins = twins.iter().map(twin).collect::<Result<Vec<Value>, _>>()?;
        Ok((work.store.history(&id)?, twins))
    };
    let (versions, twins) = blocking(read).await?;
    if versions.is_empty() {
        return Err(Problem::not_found("no such record is known here"));
    }
    let versions: Vec<Value> = versions.iter().map(told).collect();
    let total = versions.len();
    let answer = json!({"versions": versions, "total": total, "next": null, "twins": twins});
    Ok(Json(answer).into_response())
}

/// A version with what it says: signed, so that whoever reads it need not believe this node.
fn twin(row: &HeldRow) -> Result<Value, StoreError> {
    let record: Value =
        serde_json::from_slice(&row.canonical()?).map_err(|error| StoreError::Corrupt {
            detail: error.to_string(),
        })?;
    let mut twin = told(row);
    twin["record"] = record;
    Ok(twin)
}

/// Versions on a page of an author's history.
const HISTORY_ROWS: usize = 1_000;

#[derive(Deserialize)]
struct HistoryQuery {
    after: Option<String>,
}

/// All versions that are known of an author's records, held and past, without their bodies: what an
/// author who lost its own copy needs to know which to fetch back.
async fn author_history(
    State(app): State<App>,
    Path(scid): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, Problem> {
    let scid = Scid::parse(&scid).map_err(|error| Problem::not_found(error.to_string()))?;
    let after = query
        .after
        .map(|local| LocalId::parse(&local))
        .transpose()
        .map_err(|error| Problem::malformed(error.to_string()).at("after"))?;
    let work = Arc::clone(&app);
    let page = blocking(move || match work.store.author(&scid)? {
        None => Ok(None),
        Some(author) => {
            let page = work.store.history_of(&scid, after.as_ref(), HISTORY_ROWS)?;
            Ok::<_, StoreError>(Some((author, page)))
        }
    });
    let (author, (versions, is_more)) = page
        .await?
        .ok_or_else(|| Problem::not_found("no log of that author is known here"))?;
    let next = versions.last().filter(|_| is_more);
    let next = next.map(|version| version.id.local.as_str().to_owned());
    let items: Vec<Value> = versions
        .iter()
        .map(|version| {
            let mut item = told(&version.row);
            item["id"] = version.id.to_string().into();
            item["key"] = version.key.to_string().into();
            item["counts"] = author.state.keys().counts(&version.key).into();
            item
        })
        .collect();
    Ok(Json(json!({"versions": items, "next": next})).into_response())
}

/// A version without what it says.
fn told(row: &HeldRow) -> Value {
    let status = match row.status {
        Status::Withdrawn => "withdrawn",
        Status::Active => "active",
    };
    json!({
        "seq": row.rank.seq, "version": row.rank.hash.to_string(), "status": status,
        "received": row.received.to_string(),
    })
}

async fn organizations(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let languages = pages::accepted_languages(&headers);
    let work = Arc::clone(&app);
    let items = blocking(move || {
        let languages: Vec<&str> = languages.iter().map(String::as_str).collect();
        let (hubs, now) = (work.catalogue.hubs()?, work.clock.now());
        let mut items = Vec::new();
        for author in work.catalogue.authors()? {
            let state = &author.author.state;
            let standing = work.completeness.of(author.scid())?;
            let looks_like = work.lookalikes.of(author.scid())?;
            let looks_like: Vec<String> = looks_like.iter().map(Scid::to_string).collect();
            let vouching = work.catalogue.members_of(&hubs, author.scid(), now)?;
            let member_of: Vec<Value> = vouching
                .iter()
                .map(|hub| json!({"id": hub.scid().to_string(), "name": hub.name(&languages), "host": hub.host()}))
                .collect();
            items.push(json!({
                "id": author.scid().to_string(),
                "did": state.did().to_string(),
                "name": author.name(&languages),
                "host": author.host(),
                "keys": state.keys().listed().map(ToString::to_string).collect::<Vec<_>>(),
                "logVersion": state.version_id().to_string(),
                "disputed": author.author.is_disputed,
                "closed": state.is_deactivated(),
                "hasTwins": author.author.has_twins,
                "hasProfile": author.profile.is_some(),
                "siteConfirmed": author.has_confirmed_site,
                "isFull": author.author.is_full && !work.hosts(state.did())?,
                "completeAsOf": standing.complete.map(|count| count.as_of().to_string()),
                "lacking": standing.lacking.map(|count| json!({
                    "asOf": count.as_of().to_string(), "named": count.named, "held": count.held,
                })),
                "memberOf": member_of,
                "looksLike": looks_like,
            }));
        }
        Ok::<_, StoreError>(items)
    })
    .await?;
    Ok(Json(json!({"total": items.len(), "items": items, "next": null})).into_response())
}

async fn log(State(app): State<App>, Path(scid): Path<String>) -> Result<Response, Problem> {
    let scid = Scid::parse(&scid).map_err(|error| Problem::not_found(error.to_string()))?;
    log_of(&app, scid).await
}

/// An author's log as JSON lines. Forks are told by the change feed, not here: a resolver reads one
/// line of history.
pub(super) async fn log_of(app: &App, scid: Scid) -> Result<Response, Problem> {
    let work = Arc::clone(app);
    let lines = blocking(move || work.store.active_log_of(&scid)).await?;
    if lines.is_empty() {
        return Err(Problem::not_found("no log of that author is known here"));
    }
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    let kind = HeaderValue::from_static("text/jsonl; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn witness(State(app): State<App>, Path(scid): Path<String>) -> Result<Response, Problem> {
    let scid = Scid::parse(&scid).map_err(|error| Problem::not_found(error.to_string()))?;
    let work = Arc::clone(&app);
    let proofs = blocking(move || work.store.witness_of(&scid)).await?;
    let proofs = proofs.ok_or_else(|| Problem::not_found("that author's log uses no witnesses"))?;
    Ok((
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        proofs,
    )
        .into_response())
}

/// What this node has, in numbers that anyone can count again.
async fn node(State(app): State<App>) -> Result<Response, Problem> {
    let work = Arc::clone(&app);
    let census = blocking(move || work.census()).await?;
    Ok(Json(census).into_response())
}

/// The description of this interface.
pub(super) async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], include_str!("openapi.json")).into_response()
}
