//! Signatures of HTTP requests: RFC 9421, and draft-cavage-12 for those who send nothing newer.
//!
//! From the head of a request this module makes the bytes that were signed and a verdict on what
//! the signature covers and when it was made. It opens no socket, fetches no key and reads no clock.
//! Such a signature shows who delivered a request and dies with it; it never proves a record.
//!
//! The order for a receiver is: [`read`]; [`ParsedSignature::check_policy`];
//! [`ParsedSignature::key_url`] and a look-up of that key; [`verify_ed25519`], or for RSA
//! [`ParsedSignature::algorithm_for`] and a check of [`ParsedSignature::signature`] over
//! [`ParsedSignature::base`]; last, the comparison of the key's owner with the actor, which is not
//! made here. A sender uses [`sign_ed25519`], or [`Unsigned`] and a signature made elsewhere.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

use self::fields::{
    Bare, InnerList, Item, Member, Parameters, is_text, is_token_byte, read_dictionary,
    write_base64,
};
use crate::key::{PublicKey, SecretKey};
use crate::limits::{
    KEY_ID_BYTES_MAX, SIGNATURE_AGE_SECONDS_MAX, SIGNATURE_AHEAD_SECONDS_MAX, SIGNATURE_BYTES_MAX,
    SIGNATURE_COMPONENTS_MAX, SIGNATURE_FIELD_BYTES_MAX, SIGNATURE_LIFETIME_SECONDS_MAX,
    SIGNATURES_MAX,
};
use crate::time::Timestamp;

pub mod cavage;
mod fields;

/// What to cover in a request without a body.
pub const FETCH_COMPONENTS: [&str; 3] = ["@method", "@target-uri", "@authority"];

/// What to cover in a request with a body.
pub const DELIVERY_COMPONENTS: [&str; 4] =
    ["@method", "@target-uri", "@authority", "content-digest"];

/// Why a request's signature is not taken. Every one of them is answered with 401.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpSigError {
    /// There is none.
    #[error("the request is not signed")]
    MissingSignature,
    /// The signature, or the request it is on, is not written as the specification says.
    #[error("the signature cannot be read: {detail}")]
    Malformed {
        /// What is wrong.
        detail: &'static str,
    },
    /// Something that every signature must cover is not covered.
    #[error("the signature must cover “{component}”")]
    MissingComponent {
        /// The component.
        component: &'static str,
    },
    /// Something that every signature must say is not said.
    #[error("the signature must have the parameter “{parameter}”")]
    MissingParameter {
        /// The parameter.
        parameter: &'static str,
    },
    /// The signature covers something that the request does not have.
    #[error("the signature covers “{component}”, which the request does not have")]
    AbsentComponent {
        /// The component, shortened.
        component: String,
    },
    /// The signature covers something that is not understood here.
    #[error("the signature covers “{component}”, which is not understood here")]
    UnsupportedComponent {
        /// The component, shortened.
        component: String,
    },
    /// No algorithm that is accepted here.
    #[error("the algorithm “{found}” is not accepted")]
    UnsupportedAlgorithm {
        /// Its name, shortened.
        found: String,
    },
    /// The signature names an algorithm that its key is not made for.
    #[error("the signature says {named}, but its key is for {key}")]
    AlgorithmMismatch {
        /// What the signature says.
        named: Algorithm,
        /// What the key is.
        key: KeyKind,
    },
    /// The key id is no address that a key may be fetched from.
    #[error("the key id must be an https address")]
    BadKeyId,
    /// Made too long ago.
    #[error("signed {age_seconds} s ago, at most {max_seconds} s are allowed")]
    Stale {
        /// Its age.
        age_seconds: i64,
        /// The age allowed.
        max_seconds: i64,
    },
    /// Made too far ahead of our clock.
    #[error("signed {ahead_seconds} s in the future, at most {max_seconds} s are allowed")]
    FromTheFuture {
        /// How far.
        ahead_seconds: i64,
        /// How far is allowed.
        max_seconds: i64,
    },
    /// Past its own `expires`.
    #[error("the signature expired {ago_seconds} s ago")]
    Expired {
        /// How long ago.
        ago_seconds: i64,
    },
    /// `expires` is not after `created`.
    #[error("the signature expires before it was made")]
    ExpiresBeforeCreated,
    /// `expires` is too long after `created`.
    #[error("the signature is valid for more than {SIGNATURE_LIFETIME_SECONDS_MAX} s")]
    ExpiresTooLate,
    /// The request was signed for another host.
    #[error("the request was signed for another host")]
    WrongHost,
    /// No digest by an algorithm that is accepted here.
    #[error("the body's digest must be by SHA-256 or SHA-512")]
    UnsupportedDigest,
    /// The body is not the one whose digest was given.
    #[error("the body does not fit its digest")]
    DigestMismatch,
    /// The signature does not fit the request and the key.
    #[error("the signature does not fit: the request was changed, or another key signed it")]
    BadSignature,
}

impl HttpSigError {
    /// A name for machines that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingSignature => "missing-signature",
            Self::Malformed { .. } => "malformed-signature",
            Self::MissingComponent { .. } => "missing-component",
            Self::MissingParameter { .. } => "missing-parameter",
            Self::AbsentComponent { .. } => "absent-component",
            Self::UnsupportedComponent { .. } => "unsupported-component",
            Self::UnsupportedAlgorithm { .. } => "unsupported-algorithm",
            Self::AlgorithmMismatch { .. } => "algorithm-mismatch",
            Self::BadKeyId => "bad-key-id",
            Self::Stale { .. } => "stale",
            Self::FromTheFuture { .. } => "from-the-future",
            Self::Expired { .. } => "expired",
            Self::ExpiresBeforeCreated => "expires-before-created",
            Self::ExpiresTooLate => "expires-too-late",
            Self::WrongHost => "wrong-host",
            Self::UnsupportedDigest => "unsupported-digest",
            Self::DigestMismatch => "digest-mismatch",
            Self::BadSignature => "bad-signature",
        }
    }
}

fn malformed(detail: &'static str) -> HttpSigError {
    HttpSigError::Malformed { detail }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// How a signature is made (RFC 9421, 6.2.2). Nothing with a shared secret is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 9421, 3.3.6): the only one that this crate checks itself.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 9421, 3.3.2): what the fediverse uses.
    RsaV15Sha256,
    /// RSASSA-PSS with SHA-512 (RFC 9421, 3.3.1).
    RsaPssSha512,
}

impl Algorithm {
    fn parse(text: &str) -> Result<Self, HttpSigError> {
        match text {
            "ed25519" => Ok(Self::Ed25519),
            "rsa-v1_5-sha256" => Ok(Self::RsaV15Sha256),
            "rsa-pss-sha512" => Ok(Self::RsaPssSha512),
            _ => Err(HttpSigError::UnsupportedAlgorithm {
                found: shortened(text),
            }),
        }
    }

    /// The name in the registry, as the parameter `alg` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What kind of key was found for a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A [`PublicKey`].
    Ed25519,
    /// An [`RsaPublicKey`](crate::key::RsaPublicKey).
    Rsa,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

/// Which specification a signature follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 9421.
    Rfc9421,
    /// draft-cavage-http-signatures-12.
    Cavage12,
}

/// The address of a request, taken apart: <http or https> `://` authority path `?` query.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    scheme: &'static str,
    authority: String,
    path: String,
    query: Option<String>,
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        if !text
            .bytes()
            .all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#')
        {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => ("https", "443"),
            "http" => ("http", "80"),
            _ => return None,
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        Some(Self {
            scheme,
            authority: read_authority(authority, own_port)?,
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                path.to_owned()
            },
            query,
        })
    }

    fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Host and port in lower case without the scheme's own port (RFC 9110, 4.2.3). Names before an
/// `@` are refused: they serve to make one host look like another.
fn read_authority(text: &str, own_port: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text.as_str(), ""),
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)),
        None => host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    if host.is_empty() || !is_host || !is_port {
        return None;
    }
    if port.is_empty() || port == own_port {
        return Some(host.to_owned());
    }
    Some(format!("{host}:{port}"))
}

/// The head of a request, as far as signatures can cover it.
#[derive(Debug, Clone)]
pub struct RequestParts<'a> {
    method: &'a str,
    target: Target,
    headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> RequestParts<'a> {
    /// `target_uri` is the whole address, made from our configured public URL and the path and query
    /// of the request line, never from `Host` or forwarded headers. `headers` are names and values
    /// in the order received, a name once for each of its lines.
    ///
    /// # Errors
    /// [`HttpSigError::Malformed`] if the method is no token or the address is not http or https
    /// with a host, and without a user name and a fragment.
    pub fn new(
        method: &'a str,
        target_uri: &str,
        headers: &'a [(&'a str, &'a [u8])],
    ) -> Result<Self, HttpSigError> {
        if method.is_empty() || !method.bytes().all(is_token_byte) {
            return Err(malformed("the method is no token"));
        }
        let target = Target::parse(target_uri).ok_or(malformed(
            "the request's address is no http or https address",
        ))?;
        Ok(Self {
            method,
            target,
            headers,
        })
    }

    /// All lines of a field in one (RFC 9421, 2.1): each trimmed and unfolded, joined by comma and
    /// space. `None` if there is no such line.
    fn field(&self, name: &str) -> Result<Option<String>, HttpSigError> {
        let mut joined: Option<String> = None;
        for (_, value) in self
            .headers
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
        {
            let value = field_line(value)?;
            match &mut joined {
                None => joined = Some(value),
                Some(joined) => {
                    joined.push_str(", ");
                    joined.push_str(&value);
                }
            }
        }
        Ok(joined)
    }

    /// As [`RequestParts::field`], refusing fields that are too long to be taken apart.
    fn short_field(&self, name: &str) -> Result<Option<String>, HttpSigError> {
        let field = self.field(name)?;
        if field
            .as_ref()
            .is_some_and(|text| text.len() > SIGNATURE_FIELD_BYTES_MAX)
        {
            return Err(malformed("a field is too long"));
        }
        Ok(field)
    }

    /// The value of a component (RFC 9421, 2).
    fn component(&self, name: &str, parameters: &Parameters) -> Result<String, HttpSigError> {
        let unsupported = || {
            Err(HttpSigError::UnsupportedComponent {
                component: shortened(name),
            })
        };
        if name == "@query-param" {
            return match parameters.only("name") {
                Some(Bare::Text(wanted)) => self.query_parameter(wanted),
                _ => unsupported(),
            };
        }
        if !parameters.is_empty() {
            return unsupported();
        }
        let target = &self.target;
        Ok(match name {
            "@method" => self.method.to_owned(),
            "@target-uri" => {
                format!(
                    "{}://{}{}",
                    target.scheme,
                    target.authority,
                    target.path_and_query()
                )
            }
            "@authority" => target.authority.clone(),
            "@scheme" => target.scheme.to_owned(),
            "@request-target" => target.path_and_query(),
            "@path" => target.path.clone(),
            "@query" => format!("?{}", target.query.as_deref().unwrap_or_default()),
            _ if name.starts_with('@') => return unsupported(),
            _ if !is_field_name(name) => return Err(malformed("a covered field has no name")),
            _ => self
                .field(name)?
                .ok_or_else(|| HttpSigError::AbsentComponent {
                    component: shortened(name),
                })?,
        })
    }

    /// RFC 9421, 2.2.8: a name that stands twice in the query cannot be covered so.
    fn query_parameter(&self, wanted: &str) -> Result<String, HttpSigError> {
        let mut found = None;
        for pair in self.target.query.as_deref().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !pair.is_empty() && recoded(name) == wanted {
                if found.is_some() {
                    return Err(malformed("a covered query parameter stands twice"));
                }
                found = Some(recoded(value));
            }
        }
        found.ok_or_else(|| HttpSigError::AbsentComponent {
            component: shortened(&format!("@query-param {wanted}")),
        })
    }
}

/// One line of a field as text without space around it; a folded line (RFC 9112, 5.2) is unfolded.
fn field_line(value: &[u8]) -> Result<String, HttpSigError> {
    let mut line = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\t' | 0x20..=0x7e => line.push(char::from(byte)),
            b'\r' if matches!(rest, [b'\n', b' ' | b'\t', ..]) => {
                rest = rest.get(1..).unwrap_or_default().trim_ascii_start();
                line.truncate(line.trim_end().len());
                line.push(' ');
            }
            // A bare line break would let one component pass for two.
            _ => {
                return Err(malformed(
                    "a field that signatures cover must be printable ASCII",
                ));
            }
        }
    }
    Ok(line.trim().to_owned())
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| is_token_byte(byte) && !byte.is_ascii_uppercase())
}

/// Decodes a part of a query and encodes it in the one way of RFC 9421, 2.2.8.
fn recoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => byte,
            },
            _ => byte,
        });
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in String::from_utf8_lossy(&decoded).bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// A signature of a request, taken apart, with the bytes it was made over. Nothing of it is checked.
#[derive(Debug, Clone)]
pub struct ParsedSignature {
    dialect: Dialect,
    label: String,
    key_id: String,
    algorithm: Option<Algorithm>,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    nonce: Option<String>,
    tag: Option<String>,
    components: Vec<String>,
    base: String,
    signature: Vec<u8>,
    request: RequestFacts,
}

/// What the policy asks of the request, kept so that no other request can be asked by mistake.
#[derive(Debug, Clone)]
struct RequestFacts {
    has_query: bool,
    digest: Option<String>,
    date: Option<String>,
    host_fits: bool,
}

/// Reads the signatures of a request: by RFC 9421 if it has `Signature-Input`, else by
/// draft-cavage-12.
///
/// Of several labels, those that can be read are given, in the order of `Signature-Input`: a proxy
/// may have added one that is not understood here. There is at least one.
///
/// # Errors
/// [`HttpSigError::MissingSignature`]; or why the field or, if none can be read, the first signature
/// cannot be read.
pub fn read(request: &RequestParts<'_>) -> Result<Vec<ParsedSignature>, HttpSigError> {
    let input = request.short_field("signature-input")?;
    let Some(signature) = request.short_field("signature")? else {
        return Err(HttpSigError::MissingSignature);
    };
    let Some(input) = input else {
        return Ok(vec![cavage::read(request, &signature)?]);
    };
    let lists = read_dictionary(&input, SIGNATURES_MAX, SIGNATURE_COMPONENTS_MAX)?;
    let mut values = read_dictionary(&signature, SIGNATURES_MAX, 0)?;
    let mut readable = Vec::new();
    let mut refused = HttpSigError::MissingSignature;
    // From the last to the first, so that the refusal kept is that of the first.
    for (label, list) in lists.into_iter().rev() {
        let Member::InnerList(list) = list else {
            return Err(malformed("a member of Signature-Input is no list"));
        };
        let position = values.iter().position(|(given, _)| *given == label);
        let value = position.map(|position| values.swap_remove(position).1);
        let Some(Member::Item(Item {
            value: Bare::Bytes(signature),
            ..
        })) = value
        else {
            return Err(malformed("a label has no byte sequence in Signature"));
        };
        match read_one(request, label, &list, signature) {
            Ok(signature) => readable.push(signature),
            Err(error) => refused = error,
        }
    }
    if !values.is_empty() {
        return Err(malformed("a label of Signature is not in Signature-Input"));
    }
    readable.reverse();
    if readable.is_empty() {
        Err(refused)
    } else {
        Ok(readable)
    }
}

fn read_one(
    request: &RequestParts<'_>,
    label: String,
    list: &InnerList,
    signature: Vec<u8>,
) -> Result<ParsedSignature, HttpSigError> {
    let given = &list.parameters;
    let (components, base) = signature_base(request, list)?;
    Ok(ParsedSignature {
        dialect: Dialect::Rfc9421,
        label,
        key_id: checked_key_id(given.text("keyid")?)?,
        algorithm: given.text("alg")?.map(Algorithm::parse).transpose()?,
        created: given.integer("created")?.map(Timestamp::from_unix_seconds),
        expires: given.integer("expires")?.map(Timestamp::from_unix_seconds),
        nonce: given.text("nonce")?.map(str::to_owned),
        tag: given.text("tag")?.map(str::to_owned),
        components,
        base,
        signature: checked_signature(signature)?,
        request: RequestFacts {
            has_query: request.target.query.is_some(),
            digest: request.short_field("content-digest")?,
            date: None,
            host_fits: true,
        },
    })
}

fn checked_key_id(key_id: Option<&str>) -> Result<String, HttpSigError> {
    let key_id = key_id.ok_or(HttpSigError::MissingParameter { parameter: "keyid" })?;
    if key_id.len() > KEY_ID_BYTES_MAX {
        return Err(malformed("the key id is too long"));
    }
    Ok(key_id.to_owned())
}

fn checked_signature(signature: Vec<u8>) -> Result<Vec<u8>, HttpSigError> {
    if signature.is_empty() || signature.len() > SIGNATURE_BYTES_MAX {
        return Err(malformed(
            "the signature has no length that a signature has",
        ));
    }
    Ok(signature)
}

/// The identifiers of the covered components, and the text that is signed (RFC 9421, 2.5).
fn signature_base(
    request: &RequestParts<'_>,
    list: &InnerList,
) -> Result<(Vec<String>, String), HttpSigError> {
    let mut identifiers: Vec<String> = Vec::with_capacity(list.items.len());
    let mut base = String::with_capacity(512);
    for item in &list.items {
        let Bare::Text(name) = &item.value else {
            return Err(malformed("a covered component is no quoted text"));
        };
        let value = request.component(name, &item.parameters)?;
        let mut identifier = name.clone();
        item.parameters.write(&mut identifier);
        if identifiers.contains(&identifier) {
            return Err(malformed("a component is covered twice"));
        }
        base.push('"');
        base.push_str(name);
        base.push('"');
        item.parameters.write(&mut base);
        base.push_str(": ");
        base.push_str(&value);
        base.push('\n');
        identifiers.push(identifier);
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(&list.to_text());
    Ok((identifiers, base))
}

impl ParsedSignature {
    /// Which specification it follows; a sender answers in the same.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its label in `Signature-Input`; empty in draft-cavage-12.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The key's name as the signer wrote it, at most [`KEY_ID_BYTES_MAX`] bytes. Before fetching
    /// it, ask [`ParsedSignature::key_url`].
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The algorithm that the signature names. What counts is
    /// [`ParsedSignature::algorithm_for`].
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// When it says it was made.
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Until when it says it is good.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// The signer's nonce.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The application that the signature was made for, by its own word.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// What it covers: names, with their parameters as written in the base.
    pub fn components(&self) -> &[String] {
        &self.components
    }

    /// The bytes that were signed (RFC 9421, 2.5; draft-cavage-12, 2.3).
    pub fn base(&self) -> &[u8] {
        self.base.as_bytes()
    }

    /// The signature itself, 1 to [`SIGNATURE_BYTES_MAX`] bytes.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The same for every copy of a request, another for every other: SHA-256 over key id and base.
    /// For remembering what was seen; the signature is left out, since some algorithms sign the same
    /// bytes in many ways.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key_id.as_bytes());
        hash.update([0]);
        hash.update(self.base.as_bytes());
        hash.finalize().into()
    }

    /// The address to fetch the key from, if the key id is one: https, or http at a host and port
    /// (`127.0.0.1:8101`) that `insecure_peers` names.
    ///
    /// # Errors
    /// [`HttpSigError::BadKeyId`].
    pub fn key_url(&self, insecure_peers: &[impl AsRef<str>]) -> Result<&str, HttpSigError> {
        let (address, fragment) = self.key_id.split_once('#').unwrap_or((&self.key_id, ""));
        let target = Target::parse(address).ok_or(HttpSigError::BadKeyId)?;
        let may_be_insecure = || {
            insecure_peers
                .iter()
                .any(|p| p.as_ref() == target.authority)
        };
        let plain = fragment
            .bytes()
            .all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
        if plain && (target.scheme == "https" || may_be_insecure()) {
            Ok(&self.key_id)
        } else {
            Err(HttpSigError::BadKeyId)
        }
    }

    /// The algorithm to check with. It comes from the key that was found; the one that the signature
    /// names can only agree. An RSA key without a word is taken as the fediverse does,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    ///
    /// # Errors
    /// [`HttpSigError::AlgorithmMismatch`].
    pub fn algorithm_for(&self, key: KeyKind) -> Result<Algorithm, HttpSigError> {
        match (key, self.algorithm) {
            (KeyKind::Ed25519, None | Some(Algorithm::Ed25519)) => Ok(Algorithm::Ed25519),
            (KeyKind::Rsa, None) => Ok(Algorithm::RsaV15Sha256),
            (KeyKind::Rsa, Some(named)) if named != Algorithm::Ed25519 => Ok(named),
            (_, Some(named)) => Err(HttpSigError::AlgorithmMismatch { named, key }),
        }
    }

    /// Whether the signature covers what it must, was made about `now`, and the body is the one it
    /// was made for. `body` is as received; empty if there is none.
    ///
    /// By RFC 9421, covered must be `@method`; `@target-uri`, or `@authority` with `@path` and, if
    /// there is a query, `@query` (or both as `@request-target`); and with a body,
    /// `content-digest`. `created` is needed, at most [`SIGNATURE_AGE_SECONDS_MAX`] old and
    /// [`SIGNATURE_AHEAD_SECONDS_MAX`] ahead. For draft-cavage-12 see [`cavage`].
    ///
    /// # Errors
    /// Every [`HttpSigError`] about coverage, time and digest.
    pub fn check_policy(&self, body: &[u8], now: Timestamp) -> Result<(), HttpSigError> {
        match self.dialect {
            Dialect::Rfc9421 => {
                self.check_coverage(body)?;
                let created = self.created.ok_or(HttpSigError::MissingParameter {
                    parameter: "created",
                })?;
                check_window(
                    created,
                    now,
                    SIGNATURE_AGE_SECONDS_MAX,
                    SIGNATURE_AHEAD_SECONDS_MAX,
                )?;
                self.check_expiry(created, now)?;
                self.check_digest("content-digest", body, check_content_digest)
            }
            Dialect::Cavage12 => cavage::check_policy(self, body, now),
        }
    }

    fn check_coverage(&self, body: &[u8]) -> Result<(), HttpSigError> {
        self.must_cover("@method")?;
        if !self.covers("@target-uri") {
            if !self.covers("@path") && !self.covers("@request-target") {
                return Err(HttpSigError::MissingComponent {
                    component: "@target-uri",
                });
            }
            self.must_cover("@authority")?;
            if self.request.has_query && !self.covers("@request-target") {
                self.must_cover("@query")?;
            }
        }
        if !body.is_empty() {
            self.must_cover("content-digest")?;
        }
        Ok(())
    }

    fn covers(&self, component: &str) -> bool {
        self.components.iter().any(|covered| covered == component)
    }

    fn must_cover(&self, component: &'static str) -> Result<(), HttpSigError> {
        if self.covers(component) {
            Ok(())
        } else {
            Err(HttpSigError::MissingComponent { component })
        }
    }

    fn check_expiry(&self, created: Timestamp, now: Timestamp) -> Result<(), HttpSigError> {
        let Some(expires) = self.expires else {
            return Ok(());
        };
        if expires <= created {
            return Err(HttpSigError::ExpiresBeforeCreated);
        }
        if expires.seconds_after(created) > SIGNATURE_LIFETIME_SECONDS_MAX {
            return Err(HttpSigError::ExpiresTooLate);
        }
        match now.seconds_after(expires) {
            0 => Ok(()),
            ago_seconds => Err(HttpSigError::Expired { ago_seconds }),
        }
    }

    /// A digest that is covered is always checked; one that is not covered says nothing.
    fn check_digest(
        &self,
        component: &'static str,
        body: &[u8],
        check: fn(&str, &[u8]) -> Result<(), HttpSigError>,
    ) -> Result<(), HttpSigError> {
        if !self.covers(component) {
            return Ok(());
        }
        let absent = || HttpSigError::AbsentComponent {
            component: component.to_owned(),
        };
        check(self.request.digest.as_deref().ok_or_else(absent)?, body)
    }
}

fn check_window(
    dated: Timestamp,
    now: Timestamp,
    past_seconds_max: i64,
    future_seconds_max: i64,
) -> Result<(), HttpSigError> {
    let age_seconds = now.seconds_after(dated);
    if age_seconds > past_seconds_max {
        return Err(HttpSigError::Stale {
            age_seconds,
            max_seconds: past_seconds_max,
        });
    }
    let ahead_seconds = dated.seconds_after(now);
    if ahead_seconds > future_seconds_max {
        return Err(HttpSigError::FromTheFuture {
            ahead_seconds,
            max_seconds: future_seconds_max,
        });
    }
    Ok(())
}

/// Whether `key` made the signature (RFC 9421, 3.3.6). Time and coverage are asked of
/// [`ParsedSignature::check_policy`].
///
/// # Errors
/// [`HttpSigError::AlgorithmMismatch`] and [`HttpSigError::BadSignature`].
pub fn verify_ed25519(signature: &ParsedSignature, key: &PublicKey) -> Result<(), HttpSigError> {
    signature.algorithm_for(KeyKind::Ed25519)?;
    match signature.signature().try_into() {
        Ok(bytes) if key.verifies(signature.base(), bytes) => Ok(()),
        _ => Err(HttpSigError::BadSignature),
    }
}

/// The value of `Content-Digest` for a body: its SHA-256 (RFC 9530, 2).
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", write_base64(&Sha256::digest(body)))
}

/// Checks a body against its `Content-Digest` (RFC 9530, 2): all digests by SHA-256 and SHA-512 must
/// fit, others are left aside.
///
/// # Errors
/// [`HttpSigError::UnsupportedDigest`] if it has neither of the two,
/// [`HttpSigError::DigestMismatch`], and [`HttpSigError::Malformed`].
pub fn check_content_digest(header: &str, body: &[u8]) -> Result<(), HttpSigError> {
    if header.len() > SIGNATURE_FIELD_BYTES_MAX {
        return Err(malformed("a field is too long"));
    }
    let mut fits = Err(HttpSigError::UnsupportedDigest);
    for (algorithm, member) in read_dictionary(header, 16, 0)? {
        let Member::Item(Item {
            value: Bare::Bytes(given),
            ..
        }) = member
        else {
            return Err(malformed("a digest is no byte sequence"));
        };
        check_one_digest(&algorithm, &given, body, &mut fits)?;
    }
    fits
}

/// Sets `fits` if `algorithm` is one of ours and the digest is the body's.
fn check_one_digest(
    algorithm: &str,
    given: &[u8],
    body: &[u8],
    fits: &mut Result<(), HttpSigError>,
) -> Result<(), HttpSigError> {
    let equal = match algorithm {
        "sha-256" => given == &Sha256::digest(body)[..],
        "sha-512" => given == &Sha512::digest(body)[..],
        _ => return Ok(()),
    };
    if !equal {
        return Err(HttpSigError::DigestMismatch);
    }
    *fits = Ok(());
    Ok(())
}

/// What a new signature by RFC 9421 says of itself.
#[derive(Debug, Clone)]
pub struct SigningOptions<'a> {
    /// Its name in both fields; lower-case letters, digits, `_`, `-`, `.` and `*`.
    pub label: &'a str,
    /// The key's address.
    pub key_id: &'a str,
    /// Now.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Option<Timestamp>,
    /// Random text from the caller.
    pub nonce: Option<&'a str>,
    /// The algorithm, if it shall be named; receivers take it from the key.
    pub algorithm: Option<Algorithm>,
}

impl<'a> SigningOptions<'a> {
    /// The label `sig1`, and nothing but key and date.
    pub fn new(key_id: &'a str, created: Timestamp) -> Self {
        Self {
            label: "sig1",
            key_id,
            created,
            expires: None,
            nonce: None,
            algorithm: None,
        }
    }
}

/// A signature but for the signature: the bytes to sign, and what goes around them.
#[derive(Debug, Clone)]
pub struct Unsigned {
    dialect: Dialect,
    label: String,
    parameters: String,
    base: String,
}

/// The fields to add to a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// The value of `Signature-Input`; draft-cavage-12 has none.
    pub signature_input: Option<String>,
    /// The value of `Signature`.
    pub signature: String,
}

impl Unsigned {
    /// Prepares a signature by RFC 9421 over `components`, in their order, such as
    /// [`DELIVERY_COMPONENTS`]. Fields covered must already be among the request's.
    ///
    /// # Errors
    /// [`HttpSigError::AbsentComponent`], [`HttpSigError::UnsupportedComponent`], and
    /// [`HttpSigError::Malformed`] if label, key id or nonce cannot be written.
    pub fn new(
        request: &RequestParts<'_>,
        components: &[&str],
        options: &SigningOptions<'_>,
    ) -> Result<Self, HttpSigError> {
        let is_label = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        };
        let starts_well = options
            .label
            .starts_with(|c: char| c.is_ascii_lowercase() || c == '*');
        if !starts_well || !options.label.bytes().all(is_label) {
            return Err(malformed("the label is no name"));
        }
        if !is_text(options.key_id) || !options.nonce.is_none_or(is_text) {
            return Err(malformed("key id and nonce must be printable ASCII"));
        }
        let mut list = InnerList::default();
        for &component in components {
            let value = Bare::Text(component.to_owned());
            list.items.push(Item {
                value,
                parameters: Parameters::default(),
            });
        }
        let given = &mut list.parameters;
        given.push("created", Bare::Integer(options.created.unix_seconds()));
        given.push("keyid", Bare::Text(options.key_id.to_owned()));
        if let Some(algorithm) = options.algorithm {
            given.push("alg", Bare::Text(algorithm.as_str().to_owned()));
        }
        if let Some(expires) = options.expires {
            given.push("expires", Bare::Integer(expires.unix_seconds()));
        }
        if let Some(nonce) = options.nonce {
            given.push("nonce", Bare::Text(nonce.to_owned()));
        }
        let (_, base) = signature_base(request, &list)?;
        Ok(Self {
            dialect: Dialect::Rfc9421,
            label: options.label.to_owned(),
            parameters: list.to_text(),
            base,
        })
    }

    /// The bytes to sign.
    pub fn base(&self) -> &[u8] {
        self.base.as_bytes()
    }

    /// Puts the signature over [`Unsigned::base`] in.
    pub fn finish(self, signature: &[u8]) -> SignatureHeaders {
        let Self {
            dialect,
            label,
            parameters,
            ..
        } = self;
        let value = write_base64(signature);
        match dialect {
            Dialect::Rfc9421 => SignatureHeaders {
                signature_input: Some(format!("{label}={parameters}")),
                signature: format!("{label}=:{value}:"),
            },
            Dialect::Cavage12 => SignatureHeaders {
                signature_input: None,
                signature: format!("{parameters},signature=\"{value}\""),
            },
        }
    }
}

/// Signs a request by RFC 9421 with Ed25519.
///
/// # Errors
/// As [`Unsigned::new`].
///
/// ```
/// use baraza_protocol::httpsig::{self, RequestParts, SigningOptions};
/// use baraza_protocol::key::SecretKey;
/// use baraza_protocol::time::Timestamp;
///
/// let now = Timestamp::from_unix_seconds(1_800_000_000);
/// let (key, body) = (SecretKey::from_seed(&[7; 32]), b"{}");
/// let digest = httpsig::content_digest(body);
/// let mut headers = vec![("content-digest", digest.as_bytes())];
/// let request = RequestParts::new("POST", "https://hub.example/inbox", &headers)?;
/// let options = SigningOptions::new("https://us.example/actor#key", now);
/// let signed =
///     httpsig::sign_ed25519(&request, &httpsig::DELIVERY_COMPONENTS, &options, &key)?;
///
/// let input = signed.signature_input.unwrap_or_default();
/// headers.extend([
///     ("signature-input", input.as_bytes()),
///     ("signature", signed.signature.as_bytes()),
/// ]);
/// let received = RequestParts::new("POST", "https://hub.example/inbox", &headers)?;
/// let signature = &httpsig::read(&received)?[0];
/// signature.check_policy(body, now)?;
/// httpsig::verify_ed25519(signature, &key.public())?;
/// # Ok::<(), httpsig::HttpSigError>(())
/// ```
pub fn sign_ed25519(
    request: &RequestParts<'_>,
    components: &[&str],
    options: &SigningOptions<'_>,
    key: &SecretKey,
) -> Result<SignatureHeaders, HttpSigError> {
    let unsigned = Unsigned::new(request, components, options)?;
    let signature = key.sign(unsigned.base());
    Ok(unsigned.finish(&signature))
}

#[cfg(test)]
mod tests;
