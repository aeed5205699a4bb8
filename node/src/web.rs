//! What the node answers over HTTP: pages for people, the API for programs, sync for other nodes.
//!
//! Handlers take a request apart, call one function and shape the answer. Every bound of the server
//! is here.

mod accept;
mod activitypub;
pub mod answered;
pub mod api;
pub mod ask;
mod guard;
mod handed;
mod hosting;
pub mod pace;
pub mod pages;
pub mod problem;
pub mod sync;
pub mod visitor;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::cors::{Any, CorsLayer};
use tower_http::timeout::TimeoutBody;

use crate::node::Node;
use guard::Guarded;
use problem::Problem;

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

/// Every route, in one table, and what holds for all of them.
pub fn service(
    app: App,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let public_reads = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::GET]);
    let routes = Router::new()
        .merge(sync::routes())
        .merge(api::routes())
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
        .with_state(Arc::clone(&app));
    // Around the table as a whole: what is laid around the routes of a table is copied for each request.
    let inner = ServiceBuilder::new()
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new().compress_when(
            SizeAbove::new(512).and(NotForContentType::const_new("application/zstd")),
        ))
        .layer(public_reads)
        .map_response(problem::in_our_form)
        .service(routes);
    Guarded::new(app, inner)
}

/// As [`service`], with one type, for whoever has no socket.
pub fn router(app: App) -> Router {
    Router::new().fallback_service(service(app))
}

async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.store.last_change()?;
    Ok("ok")
}

/// Serves until the node stops, then lets open requests finish.
pub(crate) async fn serve(app: App, listener: TcpListener) {
    let service = service(Arc::clone(&app));
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
        let service = service.clone();
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            service.clone().oneshot(from_outside(request, peer))
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

/// A request as it is answered: whose it is, and with a body that must not trickle in.
fn from_outside(request: http::Request<Incoming>, peer: SocketAddr) -> Request {
    // A body that trickles in is as bad as headers that do.
    let mut request =
        request.map(|body| axum::body::Body::new(TimeoutBody::new(REQUEST_READ, body)));
    request.extensions_mut().insert(PeerAddress(peer));
    request
}

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub SocketAddr);
