//! A node's settings: one file, checked whole. The only reader of the environment.

mod networks;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

pub use self::networks::Networks;
use crate::store::Quotas;

/// The name of the settings file within a node's folder.
pub const FILE: &str = "baraza.toml";

/// Where a command finds its node if it is not told.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the environment's one reader"
)]
pub fn default_folder() -> PathBuf {
    std::env::var("BARAZA_DIR").map_or_else(|_| PathBuf::from("baraza-data"), PathBuf::from)
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The folder holds no node.
    #[error("there is no node in {}: make one with `baraza init {} --name … --url …`", folder.display(), folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or has members that are unknown or of the wrong type.
    #[error("{}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// A setting cannot be what it is.
    #[error("the setting {setting} {problem}")]
    Setting {
        /// Its name in the file.
        setting: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// The settings as they stand in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The node's name, for people.
    pub name: String,
    /// The address under which others reach the node.
    pub url: String,
    /// The language of pages for visitors who ask for none that we have.
    #[serde(default = "default_language")]
    pub language: String,
    /// Where the node is at home (ISO 3166).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The address to serve on; by default the host and port of `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Addresses and networks of reverse proxies in front of the node: what they say of whom a request
    /// came from is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
    /// Most requests of one visitor in a minute; 0 for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// About what is published here.
    #[serde(default)]
    pub publishing: Publishing,
    /// About other nodes.
    #[serde(default)]
    pub federation: Federation,
    /// About organisations that bring their own keys.
    #[serde(default)]
    pub hosting: Hosting,
}

/// About organisations that bring their own keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosting {
    /// Who may come.
    #[serde(default)]
    pub policy: HostingPolicy,
    /// Codes that admit, where the policy is `invitation`.
    #[serde(default)]
    pub invitations: Vec<String>,
}

/// Who may be hosted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostingPolicy {
    /// Whoever comes.
    Open,
    /// Whoever has a code.
    Invitation,
    /// Nobody but those whom the operator adds.
    #[default]
    Closed,
}

impl HostingPolicy {
    /// As in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invitation => "invitation",
            Self::Closed => "closed",
        }
    }
}

/// About what is published here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publishing {
    /// The licence of records whose author names none.
    #[serde(default = "default_licence")]
    pub licence: String,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            licence: default_licence(),
        }
    }
}

/// About other nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// Hosts and ports that are reached over plain http, for trials and closed networks.
    #[serde(default)]
    pub insecure_peers: Vec<String>,
    /// Which nodes may hand records over and follow.
    #[serde(default)]
    pub policy: Policy,
    /// Most records that a node which is new here may hand over on its first day.
    #[serde(default = "default_newcomer_records")]
    pub newcomer_records: u64,
    /// Most records that are taken of one author from elsewhere.
    #[serde(default = "default_records_per_author")]
    pub records_per_author: u64,
    /// Most records that are taken from one peer.
    #[serde(default = "default_records_per_peer")]
    pub records_per_peer: u64,
    /// Whether the node publishes a card, by which others learn of it.
    #[serde(default = "default_announce")]
    pub announce: bool,
    /// How its operator is reached, as the card says it: a role's mail address or page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            insecure_peers: Vec::new(),
            policy: Policy::default(),
            newcomer_records: default_newcomer_records(),
            records_per_author: default_records_per_author(),
            records_per_peer: default_records_per_peer(),
            announce: default_announce(),
            contact: None,
        }
    }
}

/// Which nodes may hand records over and follow. Reading is open to everyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Those that are not blocked.
    #[default]
    Open,
    /// Those that the operator allowed or follows; others are listed as waiting.
    Approval,
    /// Those that the operator allowed or follows, and nobody else is listed.
    AllowList,
}

impl Policy {
    /// As in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approval => "approval",
            Self::AllowList => "allow-list",
        }
    }
}

/// Far more than a new node's own organisations have, far less than would fill a disk.
fn default_newcomer_records() -> u64 {
    1_000
}

fn default_records_per_author() -> u64 {
    Quotas::default().of_author
}

fn default_records_per_peer() -> u64 {
    Quotas::default().from_sender
}

fn default_announce() -> bool {
    true
}

fn default_language() -> String {
    "en".to_owned()
}

fn default_licence() -> String {
    "CC-BY-4.0".to_owned()
}

/// A hundred a second: far more than people and followers ask, and less than a node can answer.
const REQUESTS_PER_MINUTE: u32 = 6_000;

/// Settings that were checked whole, and the folder that they belong to.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's folder.
    pub folder: PathBuf,
    /// As in the file.
    pub settings: Settings,
    /// `url`, checked: an origin without path.
    pub url: Url,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Proxies that are believed.
    pub trusted_proxies: Networks,
    /// Peers reached over plain http.
    pub insecure_peers: BTreeSet<(String, u16)>,
}

impl Config {
    /// The settings that say whom this node deals with and hosts, by name. Codes of invitations are not told,
    /// only how many there are.
    pub fn policies(&self) -> Vec<(&'static str, String)> {
        let (federation, hosting) = (&self.settings.federation, &self.settings.hosting);
        vec![
            ("federation.policy", federation.policy.name().to_owned()),
            (
                "federation.newcomer_records",
                federation.newcomer_records.to_string(),
            ),
            ("hosting.policy", hosting.policy.name().to_owned()),
            (
                "hosting.invitations",
                format!("{} codes", hosting.invitations.len()),
            ),
        ]
    }

    /// Most requests of one visitor in a minute; 0 for any number.
    pub fn requests_per_minute(&self) -> u32 {
        self.settings
            .requests_per_minute
            .unwrap_or(REQUESTS_PER_MINUTE)
    }

    /// How many records are taken.
    pub fn quotas(&self) -> Quotas {
        let Federation {
            records_per_author: of_author,
            records_per_peer: from_sender,
            ..
        } = self.settings.federation;
        Quotas {
            of_author,
            from_sender,
        }
    }

    /// Reads and checks the settings of the node in `folder`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ConfigError::Missing {
                    folder: folder.to_owned(),
                });
            }
            Err(source) => return Err(ConfigError::File { path, source }),
        };
        let settings = toml::from_str(&text).map_err(|error| ConfigError::Form {
            path,
            reason: error.to_string(),
        })?;
        Self::check(folder, settings)
    }

    /// Checks settings before there is a file.
    ///
    /// # Errors
    /// [`ConfigError::Setting`].
    pub fn check(folder: &Path, settings: Settings) -> Result<Self, ConfigError> {
        let wrong = |setting, problem: &str| ConfigError::Setting {
            setting,
            problem: problem.to_owned(),
        };
        if settings.name.trim().is_empty() || settings.name.len() > 200 {
            return Err(wrong("name", "must be a text of 1 to 200 bytes"));
        }
        let url = Url::parse(&settings.url)
            .ok()
            .filter(|url| {
                matches!(url.scheme(), "https" | "http")
                    && url.path() == "/"
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none()
            })
            .ok_or_else(|| {
                wrong(
                    "url",
                    "must be an address without a path, such as https://hub.example",
                )
            })?;
        let host = url.host().ok_or_else(|| wrong("url", "must name a host"))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| wrong("url", "must name a port"))?;
        if url.scheme() == "http" && !is_loopback(&host) {
            return Err(wrong(
                "url",
                "may be plain http only on loopback, for trials: use https",
            ));
        }
        if matches!(&host, url::Host::Domain(name) if !name.contains('.') && *name != "localhost") {
            return Err(wrong(
                "url",
                "must have a dotted host name, such as hub.example",
            ));
        }
        if protocol::codes::language_tag(&settings.language).is_none() {
            return Err(wrong(
                "language",
                "must be a BCP 47 language tag such as fr",
            ));
        }
        if let Some(contact) = &settings.federation.contact
            && (contact.trim().is_empty() || contact.len() > 200)
        {
            return Err(wrong(
                "federation.contact",
                "must be a text of 1 to 200 bytes, such as desk@hub.example",
            ));
        }
        if let Some(country) = &settings.country
            && protocol::codes::geography::country(country).is_none()
        {
            return Err(wrong("country", "must be a country of ISO 3166 such as KE"));
        }
        let listen = match &settings.listen {
            Some(listen) => listen.parse().map_err(|_| {
                wrong(
                    "listen",
                    "must be an address and a port, such as 0.0.0.0:443",
                )
            })?,
            None => match &host {
                url::Host::Ipv4(address) => SocketAddr::from((*address, port)),
                url::Host::Ipv6(address) => SocketAddr::from((*address, port)),
                url::Host::Domain(name) if is_localhost(name) => {
                    SocketAddr::from(([127, 0, 0, 1], port))
                }
                url::Host::Domain(_) => SocketAddr::from(([0, 0, 0, 0], port)),
            },
        };
        let trusted_proxies = Networks::parse(&settings.trusted_proxies)
            .map_err(|text| {
                let problem = format!(
                    "has “{text}”: list addresses and networks, such as \"127.0.0.1\" and \"10.0.0.0/8\""
                );
                wrong("trusted_proxies", &problem)
            })?;
        let insecure_peers = settings
            .federation
            .insecure_peers
            .iter()
            .map(|peer| {
                let (host, port) = peer.rsplit_once(':')?;
                Some((
                    host.trim_matches(['[', ']']).to_ascii_lowercase(),
                    port.parse().ok()?,
                ))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| {
                wrong(
                    "federation.insecure_peers",
                    "must list hosts with ports, such as \"127.0.0.1:8101\"",
                )
            })?;
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            url,
            listen,
            trusted_proxies,
            insecure_peers,
        })
    }

    /// Writes the settings into the node's folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), ConfigError> {
        let path = self.folder.join(FILE);
        let text = toml::to_string_pretty(&self.settings).map_err(|error| ConfigError::Form {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        fs::write(&path, text).map_err(|source| ConfigError::File { path, source })
    }

    /// The address of something on this node: `/actor` gives `https://hub.example/actor`.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// The host, with a port where it is not the usual one, as `Host` headers and handles have it.
    pub fn authority(&self) -> String {
        self.url.authority().to_owned()
    }

    /// The names under which this node is asked, as `Host` headers have them. On loopback it has several.
    pub fn host_names(&self) -> Vec<String> {
        let (did_host, did_port) = self.did_host();
        let did_authority = match did_port {
            Some(port) => format!("{did_host}:{port}"),
            None => did_host,
        };
        let mut names = vec![self.authority(), did_authority];
        if self.listen.ip().is_loopback() {
            names.push(format!("localhost:{}", self.listen.port()));
        }
        names
    }

    /// The host part of DIDs that are served here. did:webvh forbids IP addresses, so a node on
    /// loopback is `node.localhost` there (docs/protocol.md, 3).
    pub fn did_host(&self) -> (String, Option<u16>) {
        (crate::place::did_host(&self.url), self.url.port())
    }

    /// Where the database is.
    pub fn store_folder(&self) -> PathBuf {
        Self::store_in(&self.folder)
    }

    /// Where the database is of the node in `folder`.
    pub fn store_in(folder: &Path) -> PathBuf {
        folder.join("data").join("store")
    }

    /// Where the search index is; it can be rebuilt.
    pub fn index_folder(&self) -> PathBuf {
        self.folder.join("data").join("index")
    }

    /// What is published by the hundred thousand, while it is.
    pub fn journal(&self) -> PathBuf {
        self.folder.join("data").join("publishing.ndjson")
    }

    /// Where secret keys are.
    pub fn keys_folder(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// The socket by which commands reach the running node.
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }
}

/// Whether a host is this machine.
pub fn is_loopback(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => is_localhost(name),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether a name means this machine, whatever a resolver would say (RFC 6761, 6.3).
pub fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
