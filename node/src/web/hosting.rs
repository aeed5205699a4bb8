//! Identities that this node hosts: serving their logs, and taking in those that come here.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use protocol::id::Scid;
use protocol::identity::{Branches, LogEntry, WitnessProofs, read_lines};
use serde_json::json;

use super::App;
use super::api::log_of;
use super::problem::Problem;
use super::sync::blocking;
use crate::config::HostingPolicy;
use crate::ingest::IngestError;
use crate::keychain::is_handle;
use crate::store::{LogReceipt, LogRefusal};

/// The header that carries an invitation.
const INVITATION: &str = "baraza-invitation";

/// `GET /.well-known/did.jsonl`: the node's own log.
pub(super) async fn own_log(State(app): State<App>) -> Result<Response, Problem> {
    let own = app
        .own()
        .map_err(|_| Problem::unavailable("this node's own key cannot be read"))?;
    log_of(&app, *own.did.scid()).await
}

/// `GET /orgs/{handle}/did.jsonl`: the log of an organisation that is at home here.
pub(super) async fn hosted_log(
    State(app): State<App>,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    let work = Arc::clone(&app);
    let scid = blocking(move || work.hosted(&handle)).await?;
    let scid =
        scid.ok_or_else(|| Problem::not_found("no organisation of that name is at home here"))?;
    log_of(&app, scid).await
}

/// Whether key logs are handed in at this path.
pub(super) fn takes_log(path: &str) -> bool {
    let scid = path
        .strip_prefix("/api/v1/organizations/")
        .and_then(|rest| rest.strip_suffix("/log"));
    scid.is_some_and(|scid| !scid.contains('/'))
}

/// `POST /api/v1/organizations/{scid}/log`: JSON lines of a whole log, or of its new entries. Whoever
/// comes to live here is admitted by the hosting policy. An author that is carried here, at home or not,
/// may always add to its log: its old host can neither prevent nor undo a move.
pub(super) async fn receive_log(
    State(app): State<App>,
    Path(scid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let scid = Scid::parse(&scid).map_err(|error| Problem::malformed(error.to_string()))?;
    if app.store.is_blocked(&scid) {
        return Err(IngestError::from(LogRefusal::AuthorBlocked).into());
    }
    let entries = read_lines(&body).collect::<Result<Vec<LogEntry>, _>>()?;
    if entries.is_empty() {
        return Err(Problem::malformed(
            "send the log as JSON lines, one entry a line",
        ));
    }
    let work = Arc::clone(&app);
    let (held, is_here) = blocking(move || -> Result<(Vec<LogEntry>, bool), Problem> {
        let lines = work.store.active_log_of(&scid)?;
        let entries = lines.iter().filter_map(|line| LogEntry::parse(line).ok());
        let held: Vec<LogEntry> = entries.collect();
        // Who changes its handle here is noted under the one before.
        let mut is_here = false;
        for entry in held.iter().rev() {
            if is_here || !work.actors.is_address_here(entry.did()) {
                break;
            }
            is_here = work.hosts(entry.did())?;
        }
        Ok((held, is_here))
    })
    .await?;
    // Tried on a copy first: nothing of a log that is refused is kept.
    let now = app.clock.now();
    let mut branches = Branches::empty(scid);
    for entry in held.iter().chain(&entries) {
        branches.take(entry, now, &WitnessProofs::empty())?;
    }
    if branches.is_disputed() {
        let detail =
            "these entries fork the log that this node holds: an operator must choose between them";
        return Err(Problem::new(StatusCode::CONFLICT, "forked", detail));
    }
    let incomplete = || Problem::malformed("send the log from its first entry");
    let did = branches.head().ok_or_else(incomplete)?.did().clone();
    // Of two who come under one name at once the second finds it taken.
    let _turn = app.admitting.lock().await;
    if app.actors.is_address_here(&did) {
        if !is_here {
            admit(&app, &headers)?;
        }
        check_handle(&app, &scid, &did).await?;
    } else if held.is_empty() {
        let detail = "this log is served elsewhere, and this node carries nothing of its author: its newest entry must name this node's host";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-hosted", detail));
    }
    let mut is_new = false;
    for entry in &entries {
        let receipt = app
            .ingest
            .log_entry(&entry.to_canonical_bytes(), &WitnessProofs::empty())
            .await?;
        is_new |= receipt != LogReceipt::AlreadyHeld;
    }
    app.actors.note_home(&did).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(json!({"did": did.to_string(), "scid": scid.to_string()})),
    )
        .into_response())
}

fn admit(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let hosting = &app.config.settings.hosting;
    let invitation = headers
        .get(INVITATION)
        .and_then(|value| value.to_str().ok());
    match hosting.policy {
        HostingPolicy::Open => Ok(()),
        HostingPolicy::Invitation
            if invitation
                .is_some_and(|code| hosting.invitations.iter().any(|known| known == code)) =>
        {
            Ok(())
        }
        HostingPolicy::Invitation => {
            let detail = "this node hosts by invitation: ask its operator for a code, and give it with --invitation (the header Baraza-Invitation)";
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "invitation-needed",
                detail,
            ))
        }
        HostingPolicy::Closed => {
            let detail = "this node hosts no organisations but its own: choose another";
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "hosting-closed",
                detail,
            ))
        }
    }
}

async fn check_handle(app: &App, scid: &Scid, did: &protocol::id::Did) -> Result<(), Problem> {
    let path: Vec<&str> = did.path().collect();
    let handle = match path.as_slice() {
        ["orgs", handle] if is_handle(handle) => (*handle).to_owned(),
        _ => {
            let detail =
                "the identifier's path must be orgs:HANDLE, with a handle of a-z 0-9 and -";
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-handle",
                detail,
            ));
        }
    };
    let work = Arc::clone(app);
    let taken = blocking(move || work.actors.holder(&handle)).await?;
    match taken.filter(|by| by != scid) {
        None => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::CONFLICT,
            "handle-taken",
            "another organisation has that name here: choose another",
        )),
    }
}
