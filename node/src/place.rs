//! Where an identity's log is served: web addresses as people write them, and DIDs.
//!
//! did:webvh forbids IP addresses, so a trial on loopback is `node.localhost%3APORT` in DIDs and
//! `http://127.0.0.1:PORT` everywhere else (docs/protocol.md, 3).

use protocol::id::Did;
use protocol::identity::write::Place;
use url::{Host, Url};

use crate::config::{is_localhost, is_loopback};
use crate::federation::peers::node_address;

/// Where a log is to be served.
#[derive(Debug, Clone)]
pub struct Home {
    /// The address of the host, without a path.
    pub node: String,
    /// The part of the DID after the SCID.
    pub place: Place,
    /// The name at a hub; `None` for a web page of one's own.
    pub handle: Option<String>,
}

/// A text that is no such address.
#[derive(Debug, thiserror::Error)]
#[error(
    "“{text}” is no address for a log: write https://HUB/orgs/NAME for a hub, or the address of the folder on your own web site in which did.jsonl will stand; plain http only on loopback, for trials"
)]
pub struct HomeError {
    text: String,
}

impl Home {
    /// Reads `https://HUB/orgs/NAME`, or the address of a folder of a web site.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn parse(text: &str) -> Result<Self, HomeError> {
        let wrong = || HomeError {
            text: text.chars().take(120).collect(),
        };
        let url = Url::parse(text.trim()).map_err(|_| wrong())?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host().ok_or_else(wrong)?;
        let is_allowed = match url.scheme() {
            "https" => true,
            "http" => is_loopback(&host),
            _ => false,
        };
        if !is_plain || !is_allowed {
            return Err(wrong());
        }
        let path: Vec<&str> = url
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        // A DID without a path is served there (did:webvh 1.0, DID to HTTPS transformation).
        let path = match path.as_slice() {
            [".well-known"] => &[],
            path => path,
        };
        let handle = match path {
            ["orgs", handle] => Some((*handle).to_owned()),
            _ => None,
        };
        Ok(Self {
            node: node_address(text).map_err(|_| wrong())?,
            place: Place::new(&did_host(&url), url.port(), path).map_err(|_| wrong())?,
            handle,
        })
    }

    /// Where a DID says that its log is served.
    pub fn of(did: &Did) -> Self {
        let (scheme, host) = match is_localhost(did.host()) {
            true => ("http", "127.0.0.1"),
            false => ("https", did.host()),
        };
        let port = did
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let path: Vec<&str> = did.path().collect();
        Self {
            node: format!("{scheme}://{host}{port}"),
            place: Place::of(did),
            handle: match path.as_slice() {
                ["orgs", handle] => Some((*handle).to_owned()),
                _ => None,
            },
        }
    }
}

/// Where a DID's log is served, as an address that can be asked.
pub fn log_address(did: &Did) -> String {
    let path: Vec<&str> = did.path().collect();
    let folder = match path.is_empty() {
        true => ".well-known".to_owned(),
        false => path.join("/"),
    };
    format!("{}/{folder}/did.jsonl", Home::of(did).node)
}

/// The host part of DIDs that are served at an address.
pub fn did_host(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) if name.contains('.') => name.to_owned(),
        _ => "node.localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{Did, Scid};

    use super::Home;

    #[test]
    fn an_address_says_hub_and_name_or_a_folder_of_a_site() {
        for (text, node, place, handle) in [
            (
                "https://hub.example/orgs/itu",
                "https://hub.example",
                "hub.example:orgs:itu",
                Some("itu"),
            ),
            (
                "https://itu.example",
                "https://itu.example",
                "itu.example",
                None,
            ),
            (
                "https://itu.example/.well-known/",
                "https://itu.example",
                "itu.example",
                None,
            ),
            (
                "https://itu.example/baraza/",
                "https://itu.example",
                "itu.example:baraza",
                None,
            ),
            (
                "http://127.0.0.1:8101/orgs/itu",
                "http://127.0.0.1:8101",
                "node.localhost%3A8101:orgs:itu",
                Some("itu"),
            ),
        ] {
            let home = Home::parse(text).unwrap();
            let did = Did::parse(&format!("did:webvh:{}:{place}", Scid::of(b"x"))).unwrap();
            for home in [home, Home::of(&did)] {
                assert_eq!(
                    (home.node.as_str(), home.handle.as_deref()),
                    (node, handle),
                    "{text}"
                );
                assert_eq!(home.place, super::Place::of(&did), "{text}");
            }
        }
        for text in [
            "hub.example",
            "http://hub.example/orgs/itu",
            "ftp://hub.example",
            "https://a@hub.example",
        ] {
            assert!(Home::parse(text).is_err(), "{text}");
        }
    }
}
