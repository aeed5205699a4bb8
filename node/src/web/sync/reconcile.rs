//! `POST /sync/v1/reconcile`: one message of set reconciliation in, one out.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, header};
use protocol::sync::SetName;
use serde::Deserialize;

use super::{blocking, turn_away};
use crate::web::App;
use crate::web::problem::Problem;

/// The header that says from where to read the change log on.
const CURSOR: &str = "baraza-cursor";

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
    let set = query.set.as_deref().and_then(SetName::parse);
    let set = set.ok_or_else(|| {
        Problem::malformed("set must be identities, records or author:SCID").at("set")
    })?;
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
    let answer = answer.await?;
    let cursor = HeaderValue::try_from(answer.cursor.to_string())
        .map_err(|_| Problem::unavailable("the name of this node's log does not read"))?;
    let kind = HeaderValue::from_static("application/octet-stream");
    let fresh = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, fresh),
        (header::HeaderName::from_static(CURSOR), cursor),
    ];
    Ok((headers, answer.message).into_response())
}
