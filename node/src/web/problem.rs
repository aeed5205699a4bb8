//! The one place that knows which error is which status. Answers are `application/problem+json`
//! (RFC 9457) with a stable `code` for programs and a `detail` for people.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use protocol::activity::ActivityError;
use protocol::canonical::JsonError;
use protocol::envelope::EnvelopeError;
use protocol::identity::LogError;
use protocol::limits::LOG_BODY_BYTES_MAX;
use protocol::proof::ProofError;
use protocol::verified::VerifyError;
use serde_json::{Value, json};

use super::visitor::WAITING_MAX;
use crate::choices::Hidden;
use crate::federation::actors::SpeakError;
use crate::federation::inbox::InboxError;
use crate::federation::policy::Barred;
use crate::ingest::IngestError;
use crate::search::SearchError;
use crate::sets::AnswerError;
use crate::store::StoreError;

/// An error as the one who asked sees it. Never holds keys, paths or private text.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<String>,
    retry_after_seconds: Option<u32>,
    /// Whose choice it is: the address of a node.
    blocked_by: Option<String>,
}

impl Problem {
    /// A problem with a code that programs may rely on, and a sentence that says what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            retry_after_seconds: None,
            blocked_by: None,
        }
    }

    /// 400: what was sent cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 404: there is no such thing, or not for whoever asks.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 413: more bytes than are read of any request.
    pub fn too_large() -> Self {
        let detail = format!(
            "a request has at most {} bytes, a key log {LOG_BODY_BYTES_MAX}",
            super::BODY_BYTES_MAX
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// 451: this node, at `address`, does not show it. 410 would say that its author took it back, which only
    /// the author can; 451 is for what whoever serves it may or will not show, and names them (RFC 7725, 4).
    pub fn hidden(hidden: &Hidden, address: &str) -> Self {
        let contact = hidden.contact.as_deref();
        let ask = contact.map_or_else(String::new, |contact| format!(" Ask about it: {contact}"));
        let detail = format!(
            "this node does not show this record: {}. Other nodes decide for themselves.{ask}",
            hidden.reason.trim_end_matches('.')
        );
        Self {
            blocked_by: Some(address.to_owned()),
            ..Self::new(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, "hidden", detail)
        }
    }

    /// 422 or 400, naming a member.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// 503: not now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after_seconds: Some(10),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// 429: one visitor has as many requests waiting as it may.
    pub fn too_many_waiting() -> Self {
        let detail = format!(
            "{WAITING_MAX} requests from your address wait for news already: end some, or ask without wait"
        );
        Self {
            retry_after_seconds: Some(30),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-waiting", detail)
        }
    }

    /// 429: one visitor has asked as much as it may for now.
    pub fn too_many_requests(per_minute: u32, wait: Duration) -> Self {
        let detail = format!(
            "this node answers {per_minute} requests a minute from one address: ask more slowly"
        );
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        Self {
            retry_after_seconds: Some(seconds.saturating_add(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
        }
    }

    /// 503: this node's clock is wrong, so that it cannot judge dates.
    pub fn wrong_clock(detail: impl Into<String>) -> Self {
        Self {
            retry_after_seconds: Some(300),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "wrong-clock", detail)
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What it says beside its type: `status`, `code`, `detail`, and `field` where there is one.
    pub(super) fn members(&self) -> Value {
        let mut members = json!({
            "status": self.status.as_u16(), "code": self.code, "detail": self.detail,
        });
        if let Some(field) = &self.field {
            members["field"] = field.as_str().into();
        }
        members
    }

    /// What is wrong and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members();
        if let Some(members) = body.as_object_mut() {
            members.insert("type".to_owned(), "about:blank".into());
            let title = self.status.canonical_reason().unwrap_or("Error");
            members.insert("title".to_owned(), title.into());
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let link = self
            .blocked_by
            .and_then(|address| format!("<{address}>; rel=\"blocked-by\"").parse().ok());
        if let Some(link) = link {
            headers.insert(header::LINK, link);
        }
        response
    }
}

/// Puts what the framework says of a request that it could not take apart into our form.
pub(super) fn in_our_form(response: Response) -> Response {
    let status = response.status();
    let is_plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_plain || !status.is_client_error() {
        return response;
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        StatusCode::BAD_REQUEST => Problem::malformed("the address or the body cannot be read"),
        _ => Problem::new(status, "refused", "the request cannot be taken as it is"),
    }
    .into_response()
}

fn unacceptable(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

impl From<SpeakError> for Problem {
    fn from(error: SpeakError) -> Self {
        match error {
            SpeakError::Store(error) => error.into(),
            SpeakError::Keys(error) => {
                tracing::error!(%error, "an actor cannot speak");
                Self::unavailable(
                    "the node cannot read its keys: its operator must look at its log",
                )
            }
        }
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        let detail = error.to_string();
        match error {
            JsonError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
            }
            JsonError::DuplicateName { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "duplicate-name", detail)
            }
            error if error.is_well_formed() => unacceptable("unsafe-value", detail),
            _ => Self::malformed(detail),
        }
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        let code = match &error {
            ProofError::Missing => "proof-required",
            ProofError::Unsupported { .. } => "unsupported-proof",
            ProofError::Key(_) => "bad-key",
            ProofError::BadSignature => "bad-signature",
            _ => "bad-proof",
        };
        unacceptable(code, error.to_string())
    }
}

impl From<EnvelopeError> for Problem {
    fn from(error: EnvelopeError) -> Self {
        let detail = error.to_string();
        match error {
            EnvelopeError::Json(error) => error.into(),
            EnvelopeError::Proof(error) => error.into(),
            EnvelopeError::NotAnObject => Self::malformed(detail),
            EnvelopeError::UnsupportedVersion { .. } => {
                unacceptable("unsupported-version", detail).at("spec")
            }
            EnvelopeError::PrivateType { .. } => unacceptable("private-type", detail).at("type"),
            EnvelopeError::Field { field, .. } => unacceptable("bad-field", detail).at(field),
            EnvelopeError::LinkedData { name } => unacceptable("linked-data", detail).at(name),
        }
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        let detail = error.to_string();
        match error {
            VerifyError::Proof(error) => error.into(),
            VerifyError::ForeignSigner { .. } => unacceptable("foreign-signer", detail),
            VerifyError::Purpose { .. } => unacceptable("bad-proof", detail),
            VerifyError::KeyRetired { .. } => unacceptable("key-retired", detail),
            VerifyError::AuthorClosed => unacceptable("author-closed", detail),
        }
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Json(error) => error.into(),
            error => unacceptable("bad-log", error.to_string()),
        }
    }
}

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Talk(error) => Self::malformed(error.to_string()),
            AnswerError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request met a fault of the store");
        Self::unavailable("the node cannot read or write its data just now")
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        tracing::error!(%error, "a request met a fault of the search index");
        Self::unavailable("the node cannot search just now")
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Malformed(error) => error.into(),
            IngestError::Log(error) => error.into(),
            IngestError::Unverified(error) => error.into(),
            IngestError::Full(detail) => Self {
                retry_after_seconds: Some(60),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "parked-full", detail)
            },
            IngestError::Quota(detail) => unacceptable("quota-reached", detail),
            // Only of our own entries, which come from no request.
            IngestError::Unfit(detail) => Self::unavailable(detail),
            IngestError::AuthorBlocked(detail) => {
                Self::new(StatusCode::FORBIDDEN, "author-blocked", detail)
            }
            IngestError::Store(error) => error.into(),
        }
    }
}

impl From<ActivityError> for Problem {
    fn from(error: ActivityError) -> Self {
        let detail = error.to_string();
        match error {
            ActivityError::Json(error) => error.into(),
            ActivityError::NotAnObject => unacceptable("not-one-activity", detail),
            ActivityError::Member { member, .. } => unacceptable("bad-activity", detail).at(member),
            ActivityError::Proof(error) => error.into(),
            ActivityError::Purpose { .. } => unacceptable("bad-proof", detail),
            ActivityError::KeyNotListed { .. } | ActivityError::ForeignKey { .. } => {
                unacceptable("key-not-listed", detail)
            }
        }
    }
}

impl From<Barred> for Problem {
    fn from(error: Barred) -> Self {
        let detail = error.to_string();
        match error {
            Barred::NewcomerFull { seconds } => Self {
                retry_after_seconds: Some(seconds),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, error.code(), detail)
            },
            Barred::TooManyNewcomers => Self::unavailable(detail),
            Barred::Store(error) => error.into(),
            Barred::Blocked { .. } | Barred::ApprovalNeeded | Barred::NotAllowed => {
                Self::new(StatusCode::FORBIDDEN, error.code(), detail)
            }
        }
    }
}

impl From<InboxError> for Problem {
    fn from(error: InboxError) -> Self {
        let detail = error.to_string();
        let unsigned = |code| Self::new(StatusCode::UNAUTHORIZED, code, detail.clone());
        let forbidden = |code| Self::new(StatusCode::FORBIDDEN, code, detail.clone());
        match error {
            InboxError::Signature(error) => unsigned(error.code()),
            InboxError::Actor(error) if error.is_temporary() => Self::unavailable(detail),
            InboxError::Actor(_) => unsigned("actor-refused"),
            InboxError::UnknownKey { .. } => unsigned("unknown-key"),
            InboxError::OtherActor { .. } => unsigned("actor-mismatch"),
            InboxError::Activity(error) => error.into(),
            InboxError::ForeignId => unacceptable("foreign-id", detail).at("id"),
            InboxError::ForeignObject => forbidden("foreign-object"),
            InboxError::ForeignFollow => forbidden("foreign-follow"),
            InboxError::NoRecord => unacceptable("record-required", detail).at("object"),
            InboxError::SelfReference => unacceptable("self-reference", detail).at("object"),
            InboxError::NotHere => unacceptable("not-here", detail).at("object"),
            InboxError::NoSuchFollow => unacceptable("no-such-follow", detail).at("object"),
            InboxError::MovedAway { .. } => unacceptable("moved-away", detail).at("object"),
            InboxError::Move(error) if error.is_temporary() => Self::unavailable(detail),
            InboxError::Move(_) => unacceptable("move-refused", detail).at("target"),
            InboxError::WrongClock { .. } => Self::wrong_clock(detail),
            InboxError::Full(detail) => Self::unavailable(detail),
            InboxError::Ingest(error) => error.into(),
            InboxError::Barred(error) => error.into(),
            InboxError::Store(error) => error.into(),
        }
    }
}
