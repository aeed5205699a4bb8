//! What the node answers over HTTP: pages for people, the API for programs, sync for other nodes.
//!
//! Handlers take a request apart, call one function and shape the answer. Every bound of the server
//! is here.

mod accept;
mod activitypub;
pub mod api;
pub mod ask;
pub(crate) mod handed;
mod hosting;
pub mod pace;
pub mod pages;
pub mod problem;
pub mod sync;
pub mod visitor;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::cors::{Any, CorsLayer};

use crate::node::Node;
use problem::Problem;
use protocol::limits::LOG_BODY_BYTES_MAX;
use visitor::Visitor;

/// What handlers share.
pub type App = Arc<Node>;

/// Largest request body, but for a key log that is handed in.
pub const BODY_BYTES_MAX: usize = protocol::limits::ACTIVITY_BYTES_MAX;

/// Most connections at a time; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// Most headers of a request, and their bytes.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Longest request line, in bytes.
const TARGET_BYTES_MAX: usize = 4 * 1024;
/// Time to send the headers, and to send a whole request.
const HEADER_READ: Duration = Duration::from_secs(10);
const REQUEST_READ: Duration = Duration::from_secs(30);
/// Time for what is under way when the node stops.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// Every route, in one table.
pub fn router(app: App) -> Router {
    let public_reads = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::GET]);
    let sync = Router::new()
        .route("/changes", get(sync::changes))
        .route("/fetch", post(sync::fetch))
        .route("/reconcile", post(sync::reconcile))
        .route("/bundle", get(sync::bundle));
    Router::new()
        .nest("/sync/v1", sync)
        .nest("/api/v1", api::routes())
        .merge(activitypub::routes())
        .merge(pages::routes())
        .route("/.well-known/did.jsonl", get(hosting::own_log))
        .route("/orgs/{handle}/did.jsonl", get(hosting::hosted_log))
        .route("/openapi.json", get(api::openapi))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .fallback(|| async { Problem::not_found("there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this address does not take that method",
            )
        })
        .layer(middleware::map_response(|response: Response| {
            std::future::ready(problem::in_our_form(response))
        }))
        .layer(public_reads)
        .layer(CompressionLayer::new().compress_when(
            SizeAbove::new(512).and(NotForContentType::const_new("application/zstd")),
        ))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.store.last_change()?;
    Ok("ok")
}

/// What holds for every request and answer.
async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if request.uri().to_string().len() > TARGET_BYTES_MAX {
        return Problem::new(
            StatusCode::URI_TOO_LONG,
            "target-too-long",
            "the address is longer than 4 KiB",
        )
        .into_response();
    }
    // Links are only ever built from the configured address, and only requests for it are answered.
    let host = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned())
        .or_else(|| {
            Some(
                request
                    .headers()
                    .get(header::HOST)?
                    .to_str()
                    .ok()?
                    .to_owned(),
            )
        });
    if !host.is_some_and(|host| app.answers_for(&host)) {
        return Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong-host",
            "this node does not answer for that host",
        )
        .into_response();
    }
    // Whoever says that he will send too much is not listened to.
    let bytes_max = match hosting::takes_log(request.uri().path()) {
        true => LOG_BODY_BYTES_MAX,
        false => BODY_BYTES_MAX,
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max as u64) {
        let mut response = Problem::too_large().into_response();
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        return response;
    }
    // Two readers might each believe another one.
    let mut kinds = request.headers().get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next();
    if kinds.any(|other| Some(other) != kind) {
        return Problem::malformed("there are two Content-Type headers that differ")
            .into_response();
    }
    let is_chosen_encoding = |value: &HeaderValue| value.as_bytes() != b"identity";
    if request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(is_chosen_encoding)
    {
        return Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoded-body",
            "send the body without Content-Encoding",
        )
        .into_response();
    }
    // Without a socket, as in tests of the routes alone, all requests are one visitor's.
    let peer = request.extensions().get::<PeerAddress>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let visitor = Visitor::of(peer, request.headers(), &app.config.trusted_proxies);
    if let Err(wait) = app.pace.count(visitor) {
        return Problem::too_many_requests(app.config.requests_per_minute(), wait).into_response();
    }
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    response
}

/// Serves until the node stops, then lets open requests finish.
pub(crate) async fn serve(app: App, listener: TcpListener) {
    let router = router(Arc::clone(&app));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stopping() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, usually: those who are served make room.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Answers go out as they are written; a slow line is not made slower.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            answer(router.clone(), peer, request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(64)
            .max_header_list_size(HEADER_BYTES_MAX as u32)
            .max_pending_accept_reset_streams(20)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(HEADER_READ);
        let (graceful, stopping) = (graceful.watcher(), Arc::clone(&app));
        tokio::spawn(async move {
            // The time for headers is only counted from their first byte: who sends none would keep a
            // place for ever.
            let mut first = [0];
            let has_spoken = tokio::select! {
                said = tokio::time::timeout(HEADER_READ, stream.peek(&mut first)) => {
                    matches!(said, Ok(Ok(1)))
                }
                () = stopping.stopping() => false,
            };
            if !has_spoken {
                return;
            }
            let connection = builder
                .serve_connection(TokioIo::new(stream), service)
                .into_owned();
            if let Err(error) = graceful.watch(connection).await {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(SHUTDOWN) => tracing::warn!("some requests were cut off: they took too long"),
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    request: http::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(|body| {
        // A body that trickles in is as bad as headers that do.
        axum::body::Body::new(tower_http::timeout::TimeoutBody::new(REQUEST_READ, body))
    });
    request.extensions_mut().insert(PeerAddress(peer));
    match router.oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub SocketAddr);
