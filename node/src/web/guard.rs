//! What holds for every request and every answer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use protocol::limits::LOG_BODY_BYTES_MAX;
use tower::Service;

use super::problem::Problem;
use super::visitor::Visitor;
use super::{App, BODY_BYTES_MAX, PeerAddress, TARGET_BYTES_MAX, hosting};

/// Refuses what no handler is to see, and says with every answer how browsers are to take it. Neither an own
/// future nor a copy of what is within is made for a request: this is in the way of each of them.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    app: App,
    inner: S,
}

impl<S> Guarded<S> {
    pub(super) fn new(app: App, inner: S) -> Self {
        Self { app, inner }
    }
}

impl<S, B> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = http::Response<B>, Error = Infallible>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<
        Ready<Result<Response, Infallible>>,
        MapOk<S::Future, fn(http::Response<B>) -> Response>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match check(&self.app, &request) {
            Ok(visitor) => {
                request.extensions_mut().insert(visitor);
                let answered = match *request.method() {
                    Method::HEAD => without_body,
                    _ => answered,
                };
                Either::Right(self.inner.call(request).map_ok(answered))
            }
            Err(refused) => Either::Left(ready(Ok(refused))),
        }
    }
}

/// Whose request it is, or the answer that refuses it.
fn check(app: &App, request: &Request) -> Result<Visitor, Response> {
    let refused = |problem: Problem| problem.into_response();
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX) {
        let detail = "the address is longer than 4 KiB";
        let problem = Problem::new(StatusCode::URI_TOO_LONG, "target-too-long", detail);
        return Err(refused(problem));
    }
    // Links are only ever built from the configured address, and only requests for it are answered.
    let authority = request.uri().authority().map(Authority::as_str);
    let host = authority.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
    if !host.is_some_and(|host| app.answers_for(host)) {
        let detail = "this node does not answer for that host";
        let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", detail);
        return Err(refused(problem));
    }
    // Whoever says that he will send too much is not listened to.
    let bytes_max = match hosting::takes_log(request.uri().path()) {
        true => LOG_BODY_BYTES_MAX,
        false => BODY_BYTES_MAX,
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max as u64) {
        let mut response = refused(Problem::too_large());
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        return Err(response);
    }
    // Two readers might each believe another one.
    let mut kinds = request.headers().get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next();
    if kinds.any(|other| Some(other) != kind) {
        let detail = "there are two Content-Type headers that differ";
        return Err(refused(Problem::malformed(detail)));
    }
    let is_chosen_encoding = |value: &HeaderValue| value.as_bytes() != b"identity";
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(is_chosen_encoding) {
        let detail = "send the body without Content-Encoding";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(refused(Problem::new(status, "encoded-body", detail)));
    }
    // Without a socket, as in tests of the routes alone, all requests are one visitor's.
    let peer = request.extensions().get::<PeerAddress>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let visitor = Visitor::of(peer, request.headers(), &app.config.trusted_proxies);
    if let Err(wait) = app.pace.count(visitor) {
        let per_minute = app.config.requests_per_minute();
        return Err(refused(Problem::too_many_requests(per_minute, wait)));
    }
    Ok(visitor)
}

/// What a layer within gave a body, HEAD has none of.
fn without_body<B>(response: http::Response<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    answered(response).map(|_| Body::empty())
}

fn answered<B>(response: http::Response<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut response = response.map(Body::new);
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
