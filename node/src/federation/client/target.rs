//! Which addresses may be asked at all, before any look-up. Never: sockets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use super::address::is_public;
use super::error::{FetchError, shown};
use crate::config::is_localhost;

/// Longest address, in bytes: nodes read request lines of 4 KiB.
const ADDRESS_BYTES_MAX: usize = 4_096;

/// The rules for addresses.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    insecure_peers: BTreeSet<(String, u16)>,
    /// What counts as public, and at which port nodes are: constant but for tests, which cannot
    /// serve at public addresses.
    pub(super) is_public: fn(IpAddr) -> bool,
    pub(super) https_port: u16,
}

/// An address that may be asked, as far as its spelling shows.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: Url,
    /// The host without brackets, in the one spelling that URLs have.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it is one of the peers that need no https and no public address.
    pub(super) listed: bool,
}

impl Target {
    /// Whether it is an address by which a machine speaks to itself.
    pub(super) fn is_this_machine(&self) -> bool {
        let is_loopback = |address: IpAddr| address.is_loopback();
        is_localhost(&self.host) || self.host.parse().is_ok_and(is_loopback)
    }
}

impl Rules {
    pub(super) fn new(insecure_peers: BTreeSet<(String, u16)>) -> Self {
        Self {
            insecure_peers: insecure_peers
                .into_iter()
                .map(|(host, port)| (canonical_host(&host), port))
                .collect(),
            is_public,
            https_port: 443,
        }
    }

    /// Whether the operator listed this peer. Names below `localhost` mean 127.0.0.1 here, so they
    /// are listed with it.
    pub(super) fn is_listed(&self, host: &str, port: u16) -> bool {
        self.insecure_peers.contains(&(host.to_owned(), port))
            || is_localhost(host)
                && self
                    .insecure_peers
                    .contains(&(Ipv4Addr::LOCALHOST.to_string(), port))
    }

    /// Checks what an address says of itself.
    pub(super) fn check(&self, address: &str) -> Result<Target, FetchError> {
        let wrong = |reason| FetchError::NotAnAddress {
            address: shown(address),
            reason,
        };
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(wrong("it is too long"));
        }
        let url = Url::parse(address).map_err(|_| wrong("it has not the form of a web address"))?;
        self.check_url(url)
    }

    /// Checks where a redirect of `from` leads. Nobody is led from the public internet to a listed
    /// peer: what is on a closed network is not a stranger's to point at.
    pub(super) fn redirect(&self, from: &Target, location: &str) -> Result<Target, FetchError> {
        let refused = |reason| FetchError::RedirectRefused {
            host: from.host.clone(),
            to: shown(location),
            reason,
        };
        let target = from
            .url
            .join(location)
            .ok()
            .filter(|url| url.as_str().len() <= ADDRESS_BYTES_MAX)
            .ok_or_else(|| refused("it is no web address".to_owned()))
            .and_then(|url| {
                self.check_url(url)
                    .map_err(|error| refused(error.to_string()))
            })?;
        if target.listed && !from.listed {
            return Err(refused(
                "it leads from the public internet to a peer listed under insecure_peers"
                    .to_owned(),
            ));
        }
        Ok(target)
    }

    fn check_url(&self, mut url: Url) -> Result<Target, FetchError> {
        url.set_fragment(None);
        let wrong = |reason| FetchError::NotAnAddress {
            address: shown(url.as_str()),
            reason,
        };
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: it may be a password.
            return Err(FetchError::NotAnAddress {
                address: shown(url.host_str().unwrap_or_default()),
                reason: "it carries a user name or password",
            });
        }
        let (host, address) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address))),
            None => return Err(wrong("it names no host")),
        };
        // One spelling for each host, or the limits for one would be counted twice.
        if host.is_empty() || host.ends_with('.') {
            return Err(wrong("its host name is empty or ends with a dot"));
        }
        let Some(port) = url.port_or_known_default() else {
            return Err(wrong("it is not of the web"));
        };
        let listed = self.is_listed(&host, port);
        match url.scheme() {
            "https" => {}
            "http" if listed => {}
            scheme => {
                return Err(FetchError::NotHttps {
                    scheme: shown(scheme),
                    host,
                    port,
                });
            }
        }
        if !listed {
            if port != self.https_port {
                return Err(FetchError::PortNotAllowed { host, port });
            }
            match address {
                Some(address) if !(self.is_public)(address) => {
                    return Err(FetchError::PrivateAddress { host, address });
                }
                None if is_localhost(&host) => {
                    return Err(FetchError::PrivateAddress {
                        host,
                        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    });
                }
                // A resolver would complete such a name by the names of our own network.
                None if !host.contains('.') => {
                    return Err(wrong("its host name has no dot"));
                }
                _ => {}
            }
        }
        Ok(Target {
            url,
            host,
            port,
            listed,
        })
    }
}

impl Target {
    /// Whom it asks, for tables of hosts.
    pub(super) fn origin(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// A host of the settings in the spelling that URLs have.
fn canonical_host(host: &str) -> String {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_string();
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name,
        Ok(host) => host.to_string(),
        Err(_) => host.to_owned(),
    }
}
