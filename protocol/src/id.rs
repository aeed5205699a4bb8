//! Names that outlive hosts: who an author is, which record, which version.
//!
//! Parsing gives a type that everything after may trust. Nothing here looks anything up.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::limits::{DID_BYTES_MAX, LOCAL_ID_CHARS_MAX};

/// A text that is no identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not {expected}")]
pub struct IdError {
    text: String,
    expected: &'static str,
}

impl IdError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            expected,
        }
    }
}

/// The two bytes that name SHA-256 and its 32 bytes in a multihash.
const MULTIHASH_SHA256: [u8; 2] = [0x12, 0x20];

/// Writes a SHA-256 digest as did:webvh and this protocol do: base58btc of its multihash, `Qm…`.
fn write_multihash(digest: &[u8; 32]) -> String {
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&MULTIHASH_SHA256);
    bytes[2..].copy_from_slice(digest);
    bs58::encode(bytes).into_string()
}

fn read_multihash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 46 {
        return None;
    }
    let mut bytes = [0; 34];
    let length = bs58::decode(text).onto(&mut bytes[..]).ok()?;
    if length != 34 || bytes[..2] != MULTIHASH_SHA256 {
        return None;
    }
    bytes[2..].try_into().ok()
}

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Reads the written form, `Qm…`, 46 characters.
            ///
            /// # Errors
            /// Anything that is not base58btc of a SHA-256 multihash.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                read_multihash(text).map(Self).ok_or_else(|| IdError::new(text, $expected))
            }

            /// The digest of these bytes.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// From a digest made elsewhere, such as a store's key.
            pub fn from_digest(digest: [u8; 32]) -> Self {
                Self(digest)
            }

            /// The 32 bytes of the digest.
            pub fn as_digest(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&write_multihash(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}

digest_type! {
    /// An author's self-certifying identifier: the digest of the first entry of its key log
    /// (did:webvh 1.0, SCID). It is the author; hosts and names may change around it.
    Scid, "an author's SCID: 46 characters that begin with Qm"
}

digest_type! {
    /// One version of a record: the digest of its whole canonical form, proof included.
    VersionHash, "a version hash: 46 characters that begin with Qm"
}

digest_type! {
    /// The digest of a key log entry, and of a key that a log commits to (did:webvh 1.0, entryHash
    /// and nextKeyHashes).
    EntryHash, "an entry hash: 46 characters that begin with Qm"
}

/// A record's name within its author: `^[a-z0-9][a-z0-9._-]{0,95}$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(Box<str>);

impl LocalId {
    /// Reads a local id.
    ///
    /// # Errors
    /// Any character outside `a-z 0-9 . _ -`, a first character that is none of `a-z 0-9`, or a
    /// length outside 1 to 96.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let first = text.bytes().next().unwrap_or(b'-');
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if text.len() <= LOCAL_ID_CHARS_MAX
            && (first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.bytes().all(allowed)
        {
            Ok(Self(text.into()))
        } else {
            Err(IdError::new(
                text,
                "a localId: 1 to 96 of a-z 0-9 . _ - beginning with a letter or digit",
            ))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocalId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Which record: its author and its local id, written `SCID/localId`. Never a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The author.
    pub author: Scid,
    /// The record's name within the author.
    pub local: LocalId,
}

impl RecordId {
    /// Reads `SCID/localId`.
    ///
    /// # Errors
    /// Either part is not what it must be.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (author, local) = text
            .split_once('/')
            .ok_or_else(|| IdError::new(text, "a record id: SCID/localId"))?;
        Ok(Self {
            author: Scid::parse(author)?,
            local: LocalId::parse(local)?,
        })
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.author, self.local)
    }
}

impl FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

/// A did:webvh 1.0 identifier: the author, and a hint of where its log was last served.
///
/// Two DIDs with one SCID are one author, whatever their hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Did {
    scid: Scid,
    host: Box<str>,
    port: Option<u16>,
    path: Vec<Box<str>>,
}

impl Did {
    /// Reads `did:webvh:SCID:host[%3Aport][:path…]`.
    ///
    /// # Errors
    /// An SCID that is no SHA-256 multihash; a host that is not a dotted name, such as an IP address
    /// in any spelling; a percent sign other than the one before a port; an empty, dotted or escaped
    /// path segment; a fragment or query; more than 512 bytes.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::new(text, "a did:webvh identifier with a dotted host name");
        if text.len() > DID_BYTES_MAX {
            return Err(refused());
        }
        let mut parts = text
            .strip_prefix("did:webvh:")
            .ok_or_else(refused)?
            .split(':');
        let scid = Scid::parse(parts.next().unwrap_or_default())?;
        let place = parts.next().unwrap_or_default();
        // Percent-encoding is the same in both cases (RFC 3986, 2.1).
        let (host, port) = match place.split_once('%') {
            None => (place, None),
            Some((host, escaped)) => {
                let digits = escaped
                    .strip_prefix("3A")
                    .or_else(|| escaped.strip_prefix("3a"))
                    .ok_or_else(refused)?;
                (host, Some(parse_port(digits).ok_or_else(refused)?))
            }
        };
        if !is_dotted_name(host) {
            return Err(refused());
        }
        let path = parts
            .map(|segment| is_path_segment(segment).then(|| segment.into()))
            .collect::<Option<Vec<Box<str>>>>()
            .ok_or_else(refused)?;
        Ok(Self {
            scid,
            host: host.to_ascii_lowercase().into(),
            port,
            path,
        })
    }

    /// The author.
    pub fn scid(&self) -> &Scid {
        &self.scid
    }

    /// The host name, in lower case, without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if the identifier names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path's segments, such as `orgs`, `itu-academy`.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.path.iter().map(AsRef::as_ref)
    }

    /// The last path segment: the name that a hub knows the author by; `None` for a host's own.
    pub fn handle(&self) -> Option<&str> {
        self.path.last().map(AsRef::as_ref)
    }

    /// Where the log is served, as a URL (did:webvh 1.0, DID to HTTPS transformation).
    pub fn log_url(&self) -> String {
        let mut url = format!("https://{}", self.host);
        if let Some(port) = self.port {
            url.push_str(&format!(":{port}"));
        }
        if self.path.is_empty() {
            url.push_str("/.well-known");
        }
        for segment in &self.path {
            url.push('/');
            url.push_str(segment);
        }
        url.push_str("/did.jsonl");
        url
    }
}

impl fmt::Display for Did {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "did:webvh:{}:{}", self.scid, self.host)?;
        if let Some(port) = self.port {
            write!(out, "%3A{port}")?;
        }
        for segment in &self.path {
            write!(out, ":{segment}")?;
        }
        Ok(())
    }
}

impl FromStr for Did {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let port = digits.parse().ok().filter(|port| *port > 0)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(port)
}

fn is_dotted_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // A last label that begins with a digit is how every spelling of an IPv4 address ends.
    let last_is_name = host.rsplit('.').next().is_some_and(|last| {
        last.bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic())
    });
    host.len() <= 253 && host.contains('.') && host.split('.').all(label) && last_is_name
}

fn is_path_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=96).contains(&segment.len())
        && segment.bytes().all(allowed)
        && !segment.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::{Did, LocalId, RecordId, Scid, VersionHash};

    const SCID: &str = "QmaaGzJyX4nx7sgxBS8DgNrvDud8XC98ge3ev1t3XMiUdQ";

    #[test]
    fn a_digest_reads_back_from_what_is_written() {
        let hash = VersionHash::of(b"abc");
        assert_eq!(VersionHash::parse(&hash.to_string()).unwrap(), hash);
        assert!(Scid::parse("Qm0000000000000000000000000000000000000000000000").is_err());
        assert!(Scid::parse(&SCID[1..]).is_err());
    }

    #[test]
    fn a_local_id_has_only_what_every_path_and_file_system_takes() {
        for good in ["a", "0", "cert-101", "a.b_c-d", &"a".repeat(96)] {
            assert!(LocalId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "A", "a/b", "a b", "é", &"a".repeat(97)] {
            assert!(LocalId::parse(bad).is_err(), "{bad}");
        }
        let id = format!("{SCID}/cert-101");
        assert_eq!(RecordId::parse(&id).unwrap().to_string(), id);
        assert!(RecordId::parse(SCID).is_err());
    }

    #[test]
    fn a_did_gives_its_parts_and_the_address_of_its_log() {
        let did = Did::parse(&format!("did:webvh:{SCID}:Hub.example%3a8443:orgs:itu")).unwrap();
        assert_eq!(
            (did.host(), did.port(), did.handle()),
            ("hub.example", Some(8443), Some("itu"))
        );
        assert_eq!(
            did.to_string(),
            format!("did:webvh:{SCID}:hub.example%3A8443:orgs:itu")
        );
        assert_eq!(did.log_url(), "https://hub.example:8443/orgs/itu/did.jsonl");
        let own = Did::parse(&format!("did:webvh:{SCID}:hub.example")).unwrap();
        assert_eq!(own.log_url(), "https://hub.example/.well-known/did.jsonl");
    }

    #[test]
    fn a_did_never_names_an_address_or_leaves_its_path() {
        for place in [
            "",
            "localhost",
            "127.0.0.1",
            "127.0.0.1%3a8080",
            "127%2E0%2E0%2E1",
            "127%2e0%2e0%2e1",
            "169%2E254%2E169%2E254",
            "0x7f.1",
            "127.1",
            "[::1]",
            "127.0.0.1#x",
            "example.com#x",
            "example.com?x=1",
            "example.com/x",
            "example.com:..:..:admin",
            "example.com:%2E%2E:admin",
            "example.com:%2e%2e:admin",
            "example.com:a%2Fb",
            "example.com::a",
            "example.com%3A0",
            "example.com%3A99999",
            "example.com%3A",
            "user@example.com",
            "-a.example",
            "exa mple.com",
        ] {
            assert!(
                Did::parse(&format!("did:webvh:{SCID}:{place}")).is_err(),
                "{place}"
            );
        }
    }
}
