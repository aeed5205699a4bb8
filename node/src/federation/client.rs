//! The one way out: every request that this node makes to another machine.
//!
//! Strangers name the addresses that we ask, so each is checked before anything is sent
//! (`docs/protocol.md`, 6): https at port 443, at a public address, and the connection goes to
//! the very addresses that were checked. Only the peers that the operator lists as insecure are
//! asked over plain http and anywhere. What comes back is bounded in bytes and in time.
//!
//! Two classes: a [`Document`] (an actor, a key log, a page) is small and whole; a stream
//! ([`Lines`]) is long, and handed on line by line. Nothing here signs, parses or believes.

mod address;
mod error;
mod lines;
mod memory;
mod pools;
mod resolve;
mod slots;
mod target;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::time::Timestamp;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use error::FetchError;
pub use lines::{Lines, StreamRequest};
pub use wire::Wire;

use super::peers::TurnedAway;
use super::policy::turns_away;
use error::{problem_code, shown};
use memory::{Failures, Flights, Key};
use pools::{Pools, Setup};
use slots::{Class, Slots};
use target::{Rules, Target};
use wire::Way;

/// Most redirects that are followed for an unsigned document.
const REDIRECTS_MAX: usize = 3;

/// What failures of signed requests are remembered under, where others have what they accept.
const SIGNED: &str = "signed";

/// Longest time that a peer may ask us to stay away.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Limits on what comes back; one set for all, but that tests are in a hurry.
#[derive(Debug, Clone)]
struct Limits {
    /// For a document or an answer, waiting and redirects included.
    document_time: Duration,
    /// Largest document, after decompression.
    document_bytes_max: usize,
    /// What is read of the answer to a POST.
    answer_bytes_max: usize,
    /// What is read of a problem report.
    problem_bytes_max: usize,
    /// How long a stream may take for `stall_bytes`.
    stall_time: Duration,
    stall_bytes: usize,
    /// Longest line of a stream.
    line_bytes_max: usize,
    /// How long a failure is not repeated.
    failure_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_time: Duration::from_secs(15),
            document_bytes_max: protocol::limits::ACTOR_BYTES_MAX,
            answer_bytes_max: 64 * 1024,
            problem_bytes_max: 16 * 1024,
            stall_time: Duration::from_secs(30),
            stall_bytes: 1_000,
            line_bytes_max: protocol::limits::LINE_BYTES_MAX,
            failure_time: Duration::from_secs(30),
        }
    }
}

/// Asks other machines. Clones share their connections, limits and memory of failures.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Who answers streams, if sockets do not.
    wire: Option<Arc<dyn Wire>>,
}

struct Inner {
    rules: Rules,
    limits: Limits,
    pools: Pools,
    slots: Arc<Slots>,
    flights: Flights<Document>,
    failures: Failures,
}

/// A successful answer, whole.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where it was found, after redirects.
    pub url: Url,
    /// 200 to 299.
    pub status: u16,
    /// Its media type as sent, if it is text.
    pub content_type: Option<String>,
    /// What time it was there.
    pub date: Option<Timestamp>,
    /// At most 1 MiB, decompressed.
    pub bytes: Bytes,
}

/// What somebody said to a POST, whether or not it was granted.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Any but a redirect.
    pub status: u16,
    /// How long we are asked to stay away, at most a day.
    pub retry_after: Option<Duration>,
    /// The first 64 KiB, decompressed.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Whether it was granted.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How the other side said that it does not deal with this node, if it did.
    pub fn turned_away(&self) -> Option<TurnedAway> {
        let problem: serde_json::Value = serde_json::from_slice(&self.bytes).ok()?;
        let text = |name: &str| problem.get(name).and_then(serde_json::Value::as_str);
        let code = text("code").and_then(problem_code)?;
        (self.status == 403 && turns_away(&code)).then(|| TurnedAway {
            detail: text("detail").map(shown).unwrap_or_default(),
            code,
        })
    }

    /// Why it was not, in the other side's words where it gave some.
    pub fn reason(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        reason(&problem).unwrap_or_else(|| format!("it answered {}", self.status))
    }
}

/// The words and the code of a problem report (RFC 9457), bounded.
pub fn reason(problem: &serde_json::Value) -> Option<String> {
    let member = |name: &str| {
        let text = problem.get(name)?.as_str()?;
        Some(text.chars().take(300).collect::<String>())
    };
    Some(format!("{} ({})", member("detail")?, member("code")?))
}

impl Client {
    /// A client that reaches the peers in `insecure_peers` (host and port) over plain http, and
    /// everybody else over https only.
    ///
    /// # Errors
    /// [`FetchError::Setup`] if this machine's trusted certificates cannot be read, or `user_agent`
    /// is no text for a header.
    pub fn new(
        insecure_peers: BTreeSet<(String, u16)>,
        user_agent: &str,
    ) -> Result<Self, FetchError> {
        let setup = Setup::new(Rules::new(insecure_peers), user_agent);
        Self::build(setup, Limits::default())
    }

    fn build(setup: Setup, limits: Limits) -> Result<Self, FetchError> {
        Ok(Self {
            inner: Arc::new(Inner {
                pools: Pools::new(&setup, limits.document_time)?,
                rules: setup.rules,
                slots: Arc::default(),
                flights: Flights::default(),
                failures: Failures::new(limits.failure_time),
                limits,
            }),
            wire: None,
        })
    }

    /// The same client, whose streams are answered by `wire` and use no socket.
    #[must_use]
    pub fn over(&self, wire: Arc<dyn Wire>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            wire: Some(wire),
        }
    }

    /// Whether the operator listed this peer, so that its addresses begin with `http://`.
    pub fn is_insecure_peer(&self, host: &str, port: u16) -> bool {
        self.inner.rules.is_listed(host, port)
    }

    /// Gets a document, following up to three redirects. Several callers that want the same one at
    /// a time share one request, and a failure is repeated from memory for half a minute.
    ///
    /// # Errors
    /// See [`FetchError`]; any status but success is [`FetchError::Status`].
    pub async fn document(&self, url: &str, accept: &str) -> Result<Document, FetchError> {
        let inner = &self.inner;
        let target = inner.rules.check(url)?;
        let accept = header_value("accept", accept)?;
        let accept_text = accept.to_str().unwrap_or_default();
        let key = Key::of_document(target.url.as_str(), accept_text);
        let now = Instant::now();
        for key in [&key, &origin_key(&target)] {
            if let Some(error) = inner.failures.get(key, now) {
                return Err(error);
            }
        }
        let host = target.host.clone();
        inner
            .flights
            .run(key, &host, || async {
                let result = inner.follow(target, accept).await;
                if let Err(error) = &result
                    && is_worth_remembering(error)
                {
                    inner.failures.note(key, error.clone(), Instant::now());
                }
                result
            })
            .await
    }

    /// Sends `body` to `url`. `headers` are what was signed, and the body's media type; `Host` is
    /// always that of the URL. A redirect is never followed: the signature was made for one
    /// host.
    ///
    /// # Errors
    /// [`FetchError::RedirectRefused`] for a redirect, and whatever kept an answer from coming; an
    /// answer, whatever it says, is no error.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, FetchError> {
        let inner = &self.inner;
        let target = inner.rules.check(url)?;
        let headers = header_map(&target, headers)?;
        let deadline = Instant::now() + inner.limits.document_time;
        let _slot = inner.slots.take(&target, Class::Document, deadline).await?;
        inner
            .in_time(&target, deadline, async {
                let mut response = inner
                    .send(&target, Method::POST, headers, Some(body))
                    .await?;
                refuse_redirect(&target, &response)?;
                let (bytes, _) =
                    read(&target, &mut response, inner.limits.answer_bytes_max).await?;
                Ok(Answer {
                    status: response.status().as_u16(),
                    retry_after: retry_after(response.headers()),
                    bytes,
                })
            })
            .await
    }

    /// Gets a document by a signed request: `headers` are what was signed. As [`Self::document`],
    /// but no redirect is followed, and no request is shared.
    ///
    /// # Errors
    /// See [`FetchError`]; any status but success is [`FetchError::Status`].
    pub async fn get_signed(
        &self,
        url: &str,
        headers: &[(&str, String)],
    ) -> Result<Document, FetchError> {
        let inner = &self.inner;
        let target = inner.rules.check(url)?;
        let headers = header_map(&target, headers)?;
        let key = Key::of_document(target.url.as_str(), SIGNED);
        if let Some(error) = inner.failures.get(&key, Instant::now()) {
            return Err(error);
        }
        let deadline = Instant::now() + inner.limits.document_time;
        let _slot = inner.slots.take(&target, Class::Document, deadline).await?;
        let result = inner
            .in_time(&target, deadline, async {
                let response = inner.send(&target, Method::GET, headers, None).await?;
                refuse_redirect(&target, &response)?;
                inner.take_document(&target, response).await
            })
            .await;
        if let Err(error) = &result
            && is_worth_remembering(error)
        {
            inner.failures.note(key, error.clone(), Instant::now());
        }
        result
    }

    /// Opens a stream of lines. It has no limit in time while it moves: see [`StreamRequest`].
    ///
    /// # Errors
    /// See [`FetchError`]; any status but success is [`FetchError::Status`], with the code of a
    /// problem report such as `cursor-gone`.
    pub async fn lines(&self, request: StreamRequest) -> Result<Lines, FetchError> {
        let inner = &self.inner;
        let target = inner.rules.check(&request.url)?;
        let deadline = Instant::now() + inner.limits.document_time;
        let slot = inner.slots.take(&target, Class::Stream, deadline).await?;
        let way = match &self.wire {
            Some(wire) => Way::Wire(&**wire),
            None => Way::Sockets(inner.pools.for_streams(&target)),
        };
        Lines::open(way, target, request, &inner.limits, slot).await
    }
}

enum Step {
    Arrived(Document),
    Onward(Target),
}

impl Inner {
    async fn follow(
        &self,
        mut target: Target,
        accept: HeaderValue,
    ) -> Result<Document, FetchError> {
        let deadline = Instant::now() + self.limits.document_time;
        // Whoever waited longer for a place would only connect to give up: behind a host that never
        // answers, hundreds would.
        let last_place = Instant::now() + self.limits.document_time / 2;
        for _ in 0..=REDIRECTS_MAX {
            let slot = self.slots.take(&target, Class::Document, last_place);
            let slot = slot.await?;
            let step = self.step(&target, accept.clone());
            let step = self.in_time(&target, deadline, step).await;
            drop(slot);
            match step {
                Ok(Step::Arrived(document)) => return Ok(document),
                Ok(Step::Onward(next)) => target = next,
                Err(error) => {
                    if is_of_the_whole_host(&error) {
                        let key = origin_key(&target);
                        self.failures.note(key, error.clone(), Instant::now());
                    }
                    return Err(error);
                }
            }
        }
        Err(FetchError::TooManyRedirects {
            host: target.host,
            redirects_max: REDIRECTS_MAX,
        })
    }

    async fn step(&self, target: &Target, accept: HeaderValue) -> Result<Step, FetchError> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
        let response = self.send(target, Method::GET, headers, None).await?;
        match redirect_location(&response) {
            Some(location) => Ok(Step::Onward(self.rules.redirect(target, &location)?)),
            None => Ok(Step::Arrived(self.take_document(target, response).await?)),
        }
    }

    async fn send(
        &self,
        target: &Target,
        method: Method,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Response, FetchError> {
        let client = self.pools.for_documents(target, Instant::now());
        let mut request = client.request(method, target.url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let sent = request.send().await;
        sent.map_err(|error| FetchError::from_reqwest(&target.host, &error))
    }

    async fn take_document(
        &self,
        target: &Target,
        mut response: Response,
    ) -> Result<Document, FetchError> {
        let status = response.status();
        if !status.is_success() {
            let problem = if is_problem(response.headers()) {
                // What cannot be read says nothing; the status still does.
                read(target, &mut response, self.limits.problem_bytes_max)
                    .await
                    .map_or_else(|_| Vec::new(), |(bytes, _)| bytes)
            } else {
                Vec::new()
            };
            return Err(status_error(
                target,
                status.as_u16(),
                response.headers(),
                &problem,
            ));
        }
        // What reqwest decodes, it takes off.
        if let Some(coding) = foreign_coding(response.headers()) {
            return Err(FetchError::BadAnswer {
                host: target.host.clone(),
                reason: format!("it is coded as {coding}, which was not asked for"),
            });
        }
        let bytes_max = self.limits.document_bytes_max;
        let (bytes, whole) = read(target, &mut response, bytes_max).await?;
        if !whole {
            return Err(FetchError::TooLarge {
                host: target.host.clone(),
                bytes_max,
            });
        }
        Ok(Document {
            url: target.url.clone(),
            status: status.as_u16(),
            content_type: response
                .headers()
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            date: date_of(response.headers()),
            bytes: bytes.into(),
        })
    }

    async fn in_time<T>(
        &self,
        target: &Target,
        deadline: Instant,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let done = timeout_at(deadline, work).await;
        done.unwrap_or_else(|_| {
            Err(FetchError::TooSlow {
                host: target.host.clone(),
                limit: self.limits.document_time,
            })
        })
    }
}

/// Reads at most `bytes_max`, and says whether that was all. Decompression happens piece by piece
/// below this, so what is not read is not decompressed either.
async fn read(
    target: &Target,
    response: &mut Response,
    bytes_max: usize,
) -> Result<(Vec<u8>, bool), FetchError> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|error| FetchError::from_reqwest(&target.host, &error))? {
            None => return Ok((bytes, true)),
            Some(chunk) => {
                let room = bytes_max - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return Ok((bytes, false));
                }
            }
        }
    }
}

fn origin_key(target: &Target) -> Key {
    Key::of_origin(target.url.scheme(), &target.origin())
}

/// Failures before a request is sent, which every document of that host would meet.
fn is_of_the_whole_host(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::PrivateAddress { .. }
            | FetchError::NoSuchHost { .. }
            | FetchError::ConnectFailed { .. }
            | FetchError::TlsFailed { .. }
    )
}

/// Failures that would be met again at once, and those of a server that is in trouble: strangers who
/// name its keys must not make us knock each time. Not our own crowding, nor a broken connection.
fn is_worth_remembering(error: &FetchError) -> bool {
    !matches!(error, FetchError::Busy { .. } | FetchError::Broken { .. })
}

fn redirect_location(response: &Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// For requests whose redirects are not followed.
fn refuse_redirect(target: &Target, response: &Response) -> Result<(), FetchError> {
    match redirect_location(response) {
        None => Ok(()),
        Some(location) => Err(FetchError::RedirectRefused {
            host: target.host.clone(),
            to: shown(&location),
            reason: "requests like this one are for one host only; if it has moved, use its new \
                     address"
                .to_owned(),
        }),
    }
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

fn is_problem(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|it| it.eq_ignore_ascii_case("application/problem+json"))
}

/// A content coding other than none.
fn foreign_coding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_ENCODING)?;
    let coding = String::from_utf8_lossy(value.as_bytes());
    let coding = coding.trim();
    (!coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).then(|| shown(coding))
}

fn status_error(target: &Target, status: u16, headers: &HeaderMap, problem: &[u8]) -> FetchError {
    let problem: serde_json::Value = serde_json::from_slice(problem).unwrap_or_default();
    let text = |member: &str| problem.get(member).and_then(serde_json::Value::as_str);
    FetchError::Status {
        host: target.host.clone(),
        status,
        problem: text("code").and_then(problem_code),
        detail: text("detail").or_else(|| text("title")).map(shown),
        retry_after: retry_after(headers),
    }
}

/// RFC 9110, 10.2.3: seconds, or a date, which is measured from the answer's own date: whose clock
/// is right does not matter then.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = |text| jiff::fmt::rfc2822::parse(text).ok();
            let until = date(value)?.timestamp();
            let from = date(headers.get(header::DATE)?.to_str().ok()?)?.timestamp();
            until.duration_since(from).try_into().unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The date of an answer (RFC 9110, 6.6.1).
fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_unix_seconds(date.timestamp().as_second()))
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, FetchError> {
    HeaderValue::from_str(value).map_err(|_| FetchError::BadHeader { name: shown(name) })
}

fn header_map(target: &Target, headers: &[(&str, String)]) -> Result<HeaderMap, FetchError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = || FetchError::BadHeader { name: shown(name) };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if header == header::HOST {
            // A signature covers it, so it is among what was signed; it is sent anyway.
            if value != target.url.authority() {
                return Err(bad());
            }
            continue;
        }
        map.append(header, header_value(name, value)?);
    }
    Ok(map)
}
