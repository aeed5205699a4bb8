//! ActivityPub, WebFinger and NodeInfo (docs/protocol.md, 5). What actors are, and what becomes of
//! what they are sent, is decided in [`crate::federation`].

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Path, Query, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use protocol::activity::{MEDIA_TYPE, VOCABULARY, is_activity_type};
use protocol::codes::AREAS;
use protocol::id::{RecordId, VersionHash};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::accept;
use super::api::refuse_hidden;
use super::problem::Problem;
use super::sync::blocking;
use crate::config::HostingPolicy;
use crate::federation::actors::{Local, SpeakError};
use crate::federation::inbox;
use crate::store::StoreError;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/actor", get(node_actor))
        .route("/inbox", axum::routing::post(node_inbox))
        .route("/outbox", get(node_outbox))
        .route("/followers", get(node_followers))
        .route("/activities/{hash}", get(node_activity))
        .route("/orgs/{handle}", get(actor))
        .route(
            "/orgs/{handle}/inbox",
            axum::routing::post(organization_inbox),
        )
        .route("/orgs/{handle}/outbox", get(outbox))
        .route("/orgs/{handle}/followers", get(followers))
        .route("/orgs/{handle}/activities/{hash}", get(activity))
        .route("/topics/{area}", get(topic_actor))
        .route("/topics/{area}/inbox", axum::routing::post(topic_inbox))
        .route("/topics/{area}/outbox", get(topic_outbox))
        .route("/topics/{area}/followers", get(topic_followers))
        .route("/topics/{area}/activities/{hash}", get(topic_activity))
        .route("/records/{scid}/{local}", get(record))
        .route("/.well-known/webfinger", get(webfinger))
        .route("/.well-known/nodeinfo", get(nodeinfo_links))
        .route("/nodeinfo/2.1", get(nodeinfo))
}

/// An answer in ActivityStreams.
fn activity_json(value: &Value) -> Response {
    let kind = HeaderValue::from_static(MEDIA_TYPE);
    let vary = HeaderValue::from_static("accept");
    (
        [(header::CONTENT_TYPE, kind), (header::VARY, vary)],
        value.to_string(),
    )
        .into_response()
}

/// Whether whoever asks wants a page rather than a document: browsers say so, programs do not.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    !accepted.iter().any(|kind| is_activity_type(kind))
        && accepted.iter().any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/html")
        })
}

fn nobody() -> Problem {
    Problem::not_found("no organisation of that name is at home here")
}

/// The organisation that an address names.
async fn organization(app: &App, handle: String) -> Result<Local, Problem> {
    let work = Arc::clone(app);
    let found = blocking(move || work.actors.organization(&handle)).await?;
    found.ok_or_else(nobody)
}

/// The actor of the area that an address names.
fn topic(area: &str) -> Result<Local, Problem> {
    let area = AREAS.get(area);
    let missing = || Problem::not_found("there is no area of that name");
    Ok(Local::Topic {
        area: area.ok_or_else(missing)?,
    })
}

async fn topic_actor(
    State(app): State<App>,
    Path(area): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    document(&app, topic(&area)?, &headers).await
}

async fn topic_inbox(
    State(app): State<App>,
    Path(area): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    topic(&area)?;
    receive(&app, request).await
}

async fn topic_outbox(
    State(app): State<App>,
    Path(area): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    outbox_of(&app, topic(&area)?, page).await
}

async fn topic_followers(
    State(app): State<App>,
    Path(area): Path<String>,
) -> Result<Response, Problem> {
    Ok(followers_of(&app, &topic(&area)?))
}

async fn topic_activity(
    State(app): State<App>,
    Path((area, hash)): Path<(String, String)>,
) -> Result<Response, Problem> {
    activity_of(&app, topic(&area)?, &hash).await
}

async fn node_actor(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    document(&app, Local::Node, &headers).await
}

async fn actor(
    State(app): State<App>,
    Path(handle): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let local = organization(&app, handle).await?;
    document(&app, local, &headers).await
}

async fn document(app: &App, local: Local, headers: &HeaderMap) -> Result<Response, Problem> {
    if wants_page(headers) {
        let vary = [(header::VARY, HeaderValue::from_static("accept"))];
        return Ok((vary, Redirect::to(&app.actors.page(&local))).into_response());
    }
    let work = Arc::clone(app);
    let document = blocking(move || work.actors.document(&local)).await?;
    Ok(activity_json(&document.ok_or_else(nobody)?))
}

async fn node_inbox(State(app): State<App>, request: Request) -> Result<StatusCode, Problem> {
    receive(&app, request).await
}

async fn organization_inbox(
    State(app): State<App>,
    Path(handle): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    organization(&app, handle).await?;
    receive(&app, request).await
}

/// The verdict is in the answer: 202 for what is taken, or was before.
async fn receive(app: &App, request: Request) -> Result<StatusCode, Problem> {
    check_media_type(request.headers())?;
    let target = request
        .uri()
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &()).await.map_err(|refused| {
        let status = refused.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(status, "too-large", "an activity may have 256 KiB")
        } else {
            Problem::malformed("the body broke off")
        }
    })?;
    app.inbox
        .receive(inbox::Request {
            path_and_query: &target,
            headers: &headers,
            body: &body,
        })
        .await?;
    Ok(StatusCode::ACCEPTED)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    match kind.and_then(|kind| kind.to_str().ok()) {
        Some(kind) if is_activity_type(kind) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-activitystreams",
            "send application/activity+json",
        )),
    }
}

#[derive(Deserialize)]
struct PageQuery {
    after: Option<u64>,
}

async fn node_outbox(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    outbox_of(&app, Local::Node, page).await
}

async fn outbox(
    State(app): State<App>,
    Path(handle): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    let local = organization(&app, handle).await?;
    outbox_of(&app, local, page).await
}

async fn outbox_of(app: &App, local: Local, page: PageQuery) -> Result<Response, Problem> {
    let work = Arc::clone(app);
    let read = move || -> Result<Value, SpeakError> {
        let id = work.actors.below(&local, "outbox");
        let Some(after) = page.after else {
            let mut value = json!({
                "@context": VOCABULARY,
                "id": id,
                "type": "OrderedCollection",
                "first": format!("{id}?after=0"),
            });
            if let Some(count) = work.actors.outbox_count(&local)?
                && let Some(members) = value.as_object_mut()
            {
                members.insert("totalItems".to_owned(), count.into());
            }
            return Ok(value);
        };
        let page = work.actors.outbox_page(&local, after, work.clock.now())?;
        let mut value = json!({
            "@context": VOCABULARY,
            "id": format!("{id}?after={after}"),
            "type": "OrderedCollectionPage",
            "partOf": id,
            "orderedItems": page.items,
        });
        if let (Some(next), Some(members)) = (page.next, value.as_object_mut()) {
            members.insert("next".to_owned(), format!("{id}?after={next}").into());
        }
        Ok(value)
    };
    Ok(activity_json(&blocking(read).await?))
}

async fn node_followers(State(app): State<App>) -> Response {
    followers_of(&app, &Local::Node)
}

async fn followers(
    State(app): State<App>,
    Path(handle): Path<String>,
) -> Result<Response, Problem> {
    let local = organization(&app, handle).await?;
    Ok(followers_of(&app, &local))
}

/// How many there are. Who they are is nobody else's affair.
fn followers_of(app: &App, local: &Local) -> Response {
    activity_json(&json!({
        "@context": VOCABULARY,
        "id": app.actors.below(local, "followers"),
        "type": "OrderedCollection",
        "totalItems": app.followers.count(&app.actors.id(local)),
    }))
}

async fn node_activity(
    State(app): State<App>,
    Path(hash): Path<String>,
) -> Result<Response, Problem> {
    activity_of(&app, Local::Node, &hash).await
}

async fn activity(
    State(app): State<App>,
    Path((handle, hash)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let local = organization(&app, handle).await?;
    activity_of(&app, local, &hash).await
}

async fn activity_of(app: &App, local: Local, hash: &str) -> Result<Response, Problem> {
    let missing = || Problem::not_found("there is no such activity");
    let hash = VersionHash::parse(hash).map_err(|_| missing())?;
    let work = Arc::clone(app);
    let read = move || -> Result<Option<Value>, SpeakError> {
        let Some((id, row)) = work.store.by_hash(&hash)? else {
            return Ok(None);
        };
        if !work.actors.has_told(&local, &id, &row)? {
            return Ok(None);
        }
        let now = work.clock.now();
        let Some(activity) = work.actors.announcement(&local, &id, &row, now)? else {
            return Ok(None);
        };
        let sending = work.actors.sending(&local)?;
        Ok(Some(match sending {
            Some(sending) => sending.prove(activity, now).into(),
            None => activity.into(),
        }))
    };
    Ok(activity_json(&blocking(read).await?.ok_or_else(missing)?))
}

/// A record as the object that activities are about.
async fn record(
    State(app): State<App>,
    Path((scid, local)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    accept::json(&headers)?;
    let missing = || Problem::not_found("there is no such record");
    let id = RecordId::parse(&format!("{scid}/{local}")).map_err(|_| missing())?;
    let work = Arc::clone(&app);
    let read = move || -> Result<Option<Value>, Problem> {
        let Some(row) = work.store.counting(&id)? else {
            return Ok(None);
        };
        refuse_hidden(&work, &id, &row)?;
        let activity = work
            .actors
            .announcement(&Local::Node, &id, &row, work.clock.now())?;
        Ok(activity.and_then(|mut activity| {
            let mut object = activity.remove("object")?;
            let context = activity.remove("@context")?;
            object
                .as_object_mut()?
                .insert("@context".to_owned(), context);
            Some(object)
        }))
    };
    let object = blocking(read).await?.ok_or_else(missing)?;
    let mut response = activity_json(&object);
    if object.get("type").and_then(Value::as_str) == Some("Tombstone") {
        *response.status_mut() = StatusCode::GONE;
    }
    Ok(response)
}

#[derive(Deserialize)]
struct WebFingerQuery {
    resource: Option<String>,
}

/// RFC 7033.
async fn webfinger(
    State(app): State<App>,
    Query(query): Query<WebFingerQuery>,
) -> Result<Response, Problem> {
    let resource = query
        .resource
        .ok_or_else(|| Problem::malformed("say whom: ?resource=acct:NAME@HOST").at("resource"))?;
    let work = Arc::clone(&app);
    let found = blocking(move || work.actors.webfinger(&resource)).await?;
    let found = found.ok_or_else(|| Problem::not_found("nobody of that name is at home here"))?;
    let kind = HeaderValue::from_static("application/jrd+json");
    Ok(([(header::CONTENT_TYPE, kind)], found.to_string()).into_response())
}

/// Where the description of this server is (NodeInfo 2.1, 4), and its actor (FEP-2677).
async fn nodeinfo_links(State(app): State<App>) -> Response {
    axum::Json(json!({"links": [
        {
            "rel": "http://nodeinfo.diaspora.software/ns/schema/2.1",
            "href": app.config.address("/nodeinfo/2.1"),
        },
        {
            "rel": "https://www.w3.org/ns/activitystreams#Application",
            "href": app.actors.id(&Local::Node),
        },
    ]}))
    .into_response()
}

/// NodeInfo 2.1. Users are the organisations at home here, posts their records.
async fn nodeinfo(State(app): State<App>) -> Result<Response, Problem> {
    let work = Arc::clone(&app);
    let counts = blocking(move || -> Result<_, StoreError> {
        let mut hosted = 0;
        for author in work.store.authors()? {
            let local = work.actors.of_author(author.state.did())?;
            hosted += usize::from(matches!(local, Some(Local::Organization { .. })));
        }
        let posts = work.actors.outbox_count(&Local::Node)?;
        Ok((hosted, posts.unwrap_or_default()))
    });
    let (users, posts) = counts.await?;
    let settings = &app.config.settings;
    let info = json!({
        "version": "2.1",
        "software": {"name": "baraza", "version": env!("CARGO_PKG_VERSION")},
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": []},
        "openRegistrations": settings.hosting.policy == HostingPolicy::Open,
        "usage": {"users": {"total": users}, "localPosts": posts},
        "metadata": {
            "nodeName": settings.name,
            "country": settings.country,
            "sync": app.config.address("/sync/v1/changes"),
        },
    });
    let kind = HeaderValue::from_static(
        "application/json; profile=\"http://nodeinfo.diaspora.software/ns/schema/2.1#\"",
    );
    Ok(([(header::CONTENT_TYPE, kind)], info.to_string()).into_response())
}
