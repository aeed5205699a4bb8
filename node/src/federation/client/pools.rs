//! The connections: reqwest clients for the different kinds of peers, and how they are set up.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::time::Instant;

use super::error::{FetchError, shown};
use super::memory::KeptHosts;
use super::resolve::{CheckedResolver, Lookup, SystemLookup};
use super::slots::REQUESTS_PER_HOST_MAX;
use super::target::{Rules, Target};

/// For the name, the connection and its encryption together.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// How long an unused connection is kept.
const IDLE_TIME_MAX: Duration = Duration::from_secs(15);

/// What one peer may send us unasked, on one HTTP/2 stream and on one connection.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
const HEADER_BYTES_MAX: u32 = 32 * 1024;

/// What a client is made of.
pub(super) struct Setup {
    pub(super) rules: Rules,
    pub(super) lookup: Arc<dyn Lookup>,
    user_agent: String,
    /// Whom tests trust in place of the machine's certificates.
    #[cfg(test)]
    pub(super) roots: Vec<reqwest::Certificate>,
}

impl Setup {
    pub(super) fn new(rules: Rules, user_agent: &str) -> Self {
        Self {
            rules,
            lookup: Arc::new(SystemLookup::default()),
            user_agent: user_agent.to_owned(),
            #[cfg(test)]
            roots: Vec::new(),
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peers {
    Listed,
    Public,
}

/// Connections to everybody. Listed peers have their own, with their own resolver, so that a name
/// that was let through for one port is not connected to at another.
pub(super) struct Pools {
    kept_hosts: KeptHosts,
    listed: reqwest::Client,
    kept: reqwest::Client,
    once: reqwest::Client,
    streams_listed: reqwest::Client,
    streams_public: reqwest::Client,
}

impl Pools {
    pub(super) fn new(setup: &Setup, document_time: Duration) -> Result<Self, FetchError> {
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| FetchError::Setup {
                reason: shown(&format!("{error:?}")),
            })
        };
        let listed = || builder(setup, Peers::Listed).pool_max_idle_per_host(REQUESTS_PER_HOST_MAX);
        let public = |idle_max| builder(setup, Peers::Public).pool_max_idle_per_host(idle_max);
        Ok(Self {
            kept_hosts: KeptHosts::new(document_time + IDLE_TIME_MAX),
            listed: build(listed())?,
            kept: build(public(1))?,
            once: build(public(0))?,
            // Streams are decompressed by `lines`, which counts what comes over the wire.
            streams_listed: build(listed().no_gzip())?,
            // Only those whom the operator follows are asked for streams.
            streams_public: build(public(1).no_gzip())?,
        })
    }

    pub(super) fn for_documents(&self, target: &Target, now: Instant) -> &reqwest::Client {
        if target.listed {
            &self.listed
        } else if self.kept_hosts.keeps(&target.origin(), now) {
            &self.kept
        } else {
            &self.once
        }
    }

    pub(super) fn for_streams(&self, target: &Target) -> &reqwest::Client {
        if target.listed {
            &self.streams_listed
        } else {
            &self.streams_public
        }
    }
}

fn builder(setup: &Setup, peers: Peers) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(setup.user_agent.as_str())
        // Whatever the environment says: a proxy would look names up itself.
        .no_proxy()
        // Each hop is checked by us.
        .redirect(Policy::none())
        .referer(false)
        .https_only(peers == Peers::Public)
        // Its decoder would take windows of 128 MiB from a stranger.
        .no_zstd()
        .connect_timeout(CONNECT_TIME_MAX)
        .pool_idle_timeout(IDLE_TIME_MAX)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .dns_resolver(CheckedResolver {
            lookup: setup.lookup.clone(),
            is_public: (peers == Peers::Public).then_some(setup.rules.is_public),
        });
    #[cfg(test)]
    let builder = if setup.roots.is_empty() {
        builder
    } else {
        builder.tls_certs_only(setup.roots.clone())
    };
    builder
}
