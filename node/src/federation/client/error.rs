//! Why a fetch gave nothing, in words for the operator who reads the peers page.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::federation::peers::TurnedAway;
use crate::federation::policy::turns_away;

/// Longest text of a stranger that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Longest `code` of a stranger's problem report, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// Why an address gave nothing. The text says what is wrong and what to do; [`FetchError::code`]
/// is the same for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// This machine cannot make requests at all.
    #[error("requests to other nodes cannot be made ({reason}): are CA certificates installed?")]
    Setup {
        /// Why.
        reason: String,
    },
    /// The text is no address that could be fetched.
    #[error("“{address}” cannot be fetched: {reason}; use an address such as https://hub.example")]
    NotAnAddress {
        /// The text, cut if long.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header to send has a form that HTTP does not allow.
    #[error("the header {name} cannot be sent: its name or value has a form HTTP does not allow")]
    BadHeader {
        /// Its name.
        name: String,
    },
    /// Plain http, or no http at all, to somebody who is not listed for it.
    #[error(
        "{host} would be reached by {scheme}: use https, or on a closed network list \
         \"{host}:{port}\" under insecure_peers"
    )]
    NotHttps {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What was asked for.
        scheme: String,
    },
    /// A port other than 443 of somebody who is not listed for it.
    #[error(
        "{host} would be reached at port {port}, but nodes are reached at 443: ask its operator \
         to serve there, or on a closed network list \"{host}:{port}\" under insecure_peers"
    )]
    PortNotAllowed {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The host is, or its name leads to, an address that is not on the public internet.
    #[error(
        "{host} leads to {address}, which is not on the public internet: ask its operator to \
         correct the name's DNS entry, or on a closed network list it under insecure_peers"
    )]
    PrivateAddress {
        /// The host.
        host: String,
        /// One of its addresses.
        address: IpAddr,
    },
    /// The name has no address.
    #[error("the name {host} has no address ({reason}): check its spelling and this machine's DNS")]
    NoSuchHost {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection came about.
    #[error("{host} does not answer ({reason}): it may be down; it will be tried again")]
    ConnectFailed {
        /// The host.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The other side could not show that it is who it claims to be.
    #[error("{host} has no valid certificate ({reason}): ask its operator to renew or correct it")]
    TlsFailed {
        /// The host.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {host} broke off ({reason}): it will be tried again")]
    Broken {
        /// The host.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The answer cannot be read.
    #[error("the answer of {host} cannot be read ({reason}): tell its operator")]
    BadAnswer {
        /// The host.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More bytes than a document may have.
    #[error("{host} sent more than {bytes_max} bytes for one document: tell its operator")]
    TooLarge {
        /// The host.
        host: String,
        /// The most that is read.
        bytes_max: usize,
    },
    /// One line of a stream is longer than any record.
    #[error("{host} sent a line of more than {bytes_max} bytes: tell its operator")]
    LineTooLong {
        /// The host.
        host: String,
        /// The most that a line may have.
        bytes_max: usize,
    },
    /// The stream used up the bytes that it was granted. What came before is good.
    #[error("{host} used up the {bytes_max} bytes granted at a time: the rest comes later")]
    BudgetSpent {
        /// The host.
        host: String,
        /// The bytes that were granted.
        bytes_max: u64,
    },
    /// The answer was not complete in time.
    #[error("{host} did not answer within {}: it will be tried again", Seconds(*.limit))]
    TooSlow {
        /// The host.
        host: String,
        /// The time it had.
        limit: Duration,
    },
    /// A stream stood still.
    #[error(
        "{host} sent less than {bytes_min} bytes within {}: it will be tried again",
        Seconds(*.limit)
    )]
    Stalled {
        /// The host.
        host: String,
        /// What had to come.
        bytes_min: usize,
        /// The time it had.
        limit: Duration,
    },
    /// We ask too much of this host, or of all together, at the moment.
    #[error("too many requests to {host} or others are under way: it will be tried again")]
    Busy {
        /// The host.
        host: String,
    },
    /// One redirect led to the next.
    #[error("{host} redirects more than {redirects_max} times: ask its operator for the address")]
    TooManyRedirects {
        /// The host that redirected last.
        host: String,
        /// The most that are followed.
        redirects_max: usize,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects to “{to}”, which is not followed: {reason}")]
    RedirectRefused {
        /// The host that redirects.
        host: String,
        /// Where to, cut if long.
        to: String,
        /// Why it is not followed.
        reason: String,
    },
    /// An answer other than success.
    #[error("{host} answered {status}{}", Said(.problem, .detail))]
    Status {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The `code` of its problem report, if it sent one: lower-case letters, digits, hyphens.
        problem: Option<String>,
        /// The words of its problem report, cut and without control characters.
        detail: Option<String>,
        /// How long it asks us to stay away, at most a day.
        retry_after: Option<Duration>,
    },
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} s", self.0.as_secs_f32())
    }
}

struct Said<'a>(&'a Option<String>, &'a Option<String>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.0 {
            write!(out, " {code}")?;
        }
        match self.1 {
            Some(detail) => write!(out, ": “{detail}”"),
            None => Ok(()),
        }
    }
}

impl FetchError {
    /// A word for programs, the same for good.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup { .. } => "client-setup",
            Self::NotAnAddress { .. } => "not-an-address",
            Self::BadHeader { .. } => "bad-header",
            Self::NotHttps { .. } => "not-https",
            Self::PortNotAllowed { .. } => "port-not-allowed",
            Self::PrivateAddress { .. } => "private-address",
            Self::NoSuchHost { .. } => "no-such-host",
            Self::ConnectFailed { .. } => "connect-failed",
            Self::TlsFailed { .. } => "tls-failed",
            Self::Broken { .. } => "broken-off",
            Self::BadAnswer { .. } => "bad-answer",
            Self::TooLarge { .. } => "too-large",
            Self::LineTooLong { .. } => "line-too-long",
            Self::BudgetSpent { .. } => "budget-spent",
            Self::TooSlow { .. } => "too-slow",
            Self::Stalled { .. } => "stalled",
            Self::Busy { .. } => "busy",
            Self::TooManyRedirects { .. } => "too-many-redirects",
            Self::RedirectRefused { .. } => "redirect-refused",
            Self::Status { .. } => "status",
        }
    }

    /// Whether it is certain that the other side has received nothing.
    pub fn is_before_sending(&self) -> bool {
        matches!(
            self,
            Self::Setup { .. }
                | Self::NotAnAddress { .. }
                | Self::BadHeader { .. }
                | Self::NotHttps { .. }
                | Self::PortNotAllowed { .. }
                | Self::PrivateAddress { .. }
                | Self::NoSuchHost { .. }
                | Self::ConnectFailed { .. }
                | Self::TlsFailed { .. }
                | Self::Busy { .. }
        )
    }

    /// Whether the same request may succeed later although nobody on our side changes anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NoSuchHost { .. }
            | Self::ConnectFailed { .. }
            | Self::TlsFailed { .. }
            | Self::Broken { .. }
            | Self::BudgetSpent { .. }
            | Self::TooSlow { .. }
            | Self::Stalled { .. }
            | Self::Busy { .. } => true,
            Self::Status { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 506..)
            }
            Self::Setup { .. }
            | Self::NotAnAddress { .. }
            | Self::BadHeader { .. }
            | Self::NotHttps { .. }
            | Self::PortNotAllowed { .. }
            | Self::PrivateAddress { .. }
            | Self::BadAnswer { .. }
            | Self::TooLarge { .. }
            | Self::LineTooLong { .. }
            | Self::TooManyRedirects { .. }
            | Self::RedirectRefused { .. } => false,
        }
    }

    /// The status and problem code of an answer other than success.
    pub fn status(&self) -> Option<(u16, Option<&str>)> {
        match self {
            Self::Status {
                status, problem, ..
            } => Some((*status, problem.as_deref())),
            _ => None,
        }
    }

    /// How the other side said that it does not deal with this node, if it did.
    pub fn turned_away(&self) -> Option<TurnedAway> {
        match self {
            Self::Status {
                problem: Some(code),
                detail,
                ..
            } if turns_away(code) => Some(TurnedAway {
                code: code.clone(),
                detail: detail.clone().unwrap_or_default(),
            }),
            _ => None,
        }
    }

    /// What reqwest met while it talked to `host`.
    pub(super) fn from_reqwest(host: &str, error: &reqwest::Error) -> Self {
        let host = host.to_owned();
        if error.is_builder() {
            return Self::NotAnAddress {
                address: host,
                reason: "HTTP cannot express it",
            };
        }
        let mut reason = String::new();
        let mut of_the_connection = false;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(refusal) = error.downcast_ref::<Self>() {
                return refusal.clone();
            }
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::TlsFailed {
                    host,
                    reason: shown(&tls.to_string()),
                };
            }
            of_the_connection |= error.is::<hyper::Error>();
            // The innermost text is the most exact.
            reason = shown(&error.to_string());
            next = cause(error);
        }
        if error.is_connect() {
            if error.is_timeout() {
                "no connection in time".clone_into(&mut reason);
            }
            Self::ConnectFailed { host, reason }
        } else if error.is_decode() && !of_the_connection {
            Self::BadAnswer { host, reason }
        } else {
            Self::Broken { host, reason }
        }
    }
}

/// I/O errors wrap others without naming them as their source.
fn cause<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// A stranger's text, fit for pages and logs: cut, and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut kept: String = text
        .chars()
        .filter(|c| {
            !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .take(SHOWN_CHARS_MAX)
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        kept.push('…');
    }
    kept
}

/// The `code` of a problem report, if it has the form of one.
pub(super) fn problem_code(text: &str) -> Option<String> {
    let fits = (1..=CODE_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    fits.then(|| text.to_owned())
}
