//! `POST /sync/v1/reconcile`: one message of set reconciliation in, one out.

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use protocol::sync::{CURSOR_HEADER, SetName};
use serde::Deserialize;

use super::{blocking, turn_away};
use crate::sets::{Answer, Sets};
use crate::web::App;
use crate::web::problem::Problem;

#[derive(Deserialize)]
pub(in crate::web) struct ReconcileQuery {
    set: Option<String>,
}

pub(in crate::web) async fn reconcile(
    State(app): State<App>,
    Query(query): Query<ReconcileQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    turn_away(&app, &headers)?;
    let set = set_of(&query)?;
    let Some(place) = app.sets.place() else {
        return Err(Problem::unavailable(
            "this node compares with as many others as it can at a time: try again later",
        ));
    };
    let sets = app.sets.clone();
    let answer = blocking(move || {
        let _place = place;
        sets.answer(&set, &body)
    });
    Ok(said(answer.await?)?.map(Body::from))
}

/// As [`reconcile`], for whoever has the sets at hand and takes no place.
pub(super) fn answer(
    sets: &Sets,
    address: &http::Uri,
    message: &[u8],
) -> Result<http::Response<Vec<u8>>, Problem> {
    let query = Query::<ReconcileQuery>::try_from_uri(address)
        .map_err(|error| Problem::malformed(error.to_string()))?;
    said(sets.answer(&set_of(&query.0)?, message)?)
}

fn set_of(query: &ReconcileQuery) -> Result<SetName, Problem> {
    let set = query.set.as_deref().and_then(SetName::parse);
    set.ok_or_else(|| {
        Problem::malformed("set must be identities, records or author:SCID").at("set")
    })
}

fn said(answer: Answer) -> Result<http::Response<Vec<u8>>, Problem> {
    let cursor = HeaderValue::try_from(answer.cursor.to_string())
        .map_err(|_| Problem::unavailable("the name of this node's log does not read"))?;
    let mut response = http::Response::new(answer.message);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    let fresh = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, fresh);
    headers.insert(header::HeaderName::from_static(CURSOR_HEADER), cursor);
    Ok(response)
}
