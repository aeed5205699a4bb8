//! A record as a stranger sent it: read whole and within limits, not yet believed.
//!
//! Admission looks at the envelope only. What stands in `body` is the author's affair until it is
//! published ([`crate::record`] checks it then) or shown; unknown types and members are held and
//! relayed under their signature.

use serde_json::{Map, Value};

use crate::canonical::{JsonError, Numbers, parse, to_canonical};
use crate::codes::language_tag;
use crate::id::{Did, LocalId, RecordId, VersionHash};
use crate::limits::{INTEGER_MAX, RECORD_BYTES_MAX};
use crate::proof::{Proof, ProofError};
use crate::time::Timestamp;

/// The version of the record format that this crate reads.
pub const SPEC: &str = "baraza/1";

/// Types that never travel as public records: what someone asks for, and what belongs to a case.
pub const PRIVATE_TYPES: [&str; 5] = ["Request", "Match", "Referral", "CaseNote", "Message"];

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or beyond its limits.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A list, a text, a number or `null`.
    #[error("a record is a JSON object")]
    NotAnObject,
    /// Another version of the format.
    #[error("the record's spec is “{found}”; this node reads {SPEC}")]
    UnsupportedVersion {
        /// What `spec` says.
        found: String,
    },
    /// A type that is never a public record.
    #[error("a {kind} is private: it is sent to the organisation it is for, never published")]
    PrivateType {
        /// What `type` says.
        kind: String,
    },
    /// A member of the envelope is missing or not what it must be.
    #[error("“{field}” must be {expected}")]
    Field {
        /// The member's name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A JSON-LD keyword: meaning never depends on a context here.
    #[error("“{name}” is not allowed: a record is plain JSON, not JSON-LD")]
    LinkedData {
        /// The member's name.
        name: String,
    },
    /// The proof cannot be read.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// Whether a version says something or takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// There is a body.
    Active,
    /// A tombstone: no body, kept for good.
    Withdrawn,
}

/// The members of a record that every type has.
#[derive(Debug, Clone)]
pub struct Header {
    /// `type`, such as `Offering`. Types that this version does not know are held all the same.
    pub kind: Box<str>,
    /// Who says so.
    pub author: Did,
    /// The record's name within the author.
    pub local: LocalId,
    /// The version's number: 1 and upwards, with gaps.
    pub seq: u64,
    /// Active or withdrawn.
    pub status: Status,
    /// When this version was made. Orders nothing.
    pub issued: Timestamp,
    /// When the author last said that it still holds.
    pub confirmed: Option<Timestamp>,
    /// When it ceases to hold.
    pub valid_until: Option<Timestamp>,
    /// The language of the original text (BCP 47).
    pub language: Option<Box<str>>,
    /// Under what licence it may be used (SPDX).
    pub licence: Box<str>,
}

impl Header {
    /// The record that this is a version of.
    pub fn record_id(&self) -> RecordId {
        RecordId {
            author: *self.author.scid(),
            local: self.local.clone(),
        }
    }

    /// Reads the common members of a record's tree.
    ///
    /// # Errors
    /// [`EnvelopeError`], but nothing of JSON or the proof.
    pub fn read(tree: &Map<String, Value>) -> Result<Self, EnvelopeError> {
        let spec = text(tree, "spec", "the text baraza/1")?;
        if spec != SPEC {
            return Err(EnvelopeError::UnsupportedVersion {
                found: spec.chars().take(40).collect(),
            });
        }
        let kind = text(tree, "type", "a type such as Offering")?;
        if PRIVATE_TYPES.contains(&kind) {
            return Err(EnvelopeError::PrivateType { kind: kind.into() });
        }
        if !is_type_name(kind) {
            return Err(field(
                "type",
                "a name such as Offering: a capital, then letters, 64 at most",
            ));
        }
        const AUTHOR: &str = "the author's did:webvh identifier with a dotted host name";
        let author =
            Did::parse(text(tree, "author", AUTHOR)?).map_err(|_| field("author", AUTHOR))?;
        const LOCAL: &str = "1 to 96 of a-z 0-9 . _ - beginning with a letter or digit";
        let local =
            LocalId::parse(text(tree, "localId", LOCAL)?).map_err(|_| field("localId", LOCAL))?;
        let seq = tree
            .get("seq")
            .and_then(Value::as_u64)
            .filter(|seq| (1..=INTEGER_MAX as u64).contains(seq))
            .ok_or(field("seq", "a number from 1 to 2^53 - 1"))?;
        let status = match text(tree, "status", "active or withdrawn")? {
            "active" => Status::Active,
            "withdrawn" => Status::Withdrawn,
            _ => return Err(field("status", "active or withdrawn")),
        };
        match (status, tree.get("body")) {
            (Status::Active, Some(Value::Object(_))) | (Status::Withdrawn, None) => {}
            (Status::Active, _) => return Err(field("body", "an object")),
            (Status::Withdrawn, Some(_)) => {
                return Err(field("body", "absent from a withdrawn record"));
            }
        }
        let language = match tree.get("language") {
            None => None,
            Some(_) => {
                const LANGUAGE: &str = "a BCP 47 language tag such as fr or pt-BR";
                let tag = text(tree, "language", LANGUAGE)?;
                Some(language_tag(tag).ok_or(field("language", LANGUAGE))?.into())
            }
        };
        const LICENCE: &str = "the licence under which this may be used, such as CC-BY-4.0";
        let licence = text(tree, "licence", LICENCE)?;
        if licence.trim().is_empty() || licence.len() > 200 {
            return Err(field("licence", LICENCE));
        }
        if let Some(sources) = tree.get("sources") {
            let listed = sources
                .as_array()
                .is_some_and(|list| list.len() <= 32 && list.iter().all(Value::is_object));
            if !listed {
                return Err(field("sources", "a list of at most 32 objects"));
            }
        }
        Ok(Self {
            kind: kind.into(),
            author,
            local,
            seq,
            status,
            issued: date(tree, "issued")?.ok_or(field("issued", DATE))?,
            confirmed: date(tree, "confirmed")?,
            valid_until: date(tree, "validUntil")?,
            language,
            licence: licence.into(),
        })
    }
}

const DATE: &str = "a date and time such as 2026-11-22T04:00:00Z";

fn field(field: &'static str, expected: &'static str) -> EnvelopeError {
    EnvelopeError::Field { field, expected }
}

fn text<'t>(
    tree: &'t Map<String, Value>,
    name: &'static str,
    expected: &'static str,
) -> Result<&'t str, EnvelopeError> {
    tree.get(name)
        .and_then(Value::as_str)
        .ok_or(field(name, expected))
}

fn date(tree: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, EnvelopeError> {
    match tree.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| Timestamp::parse(text).ok())
            .map(Some)
            .ok_or(field(name, DATE)),
    }
}

fn is_type_name(kind: &str) -> bool {
    (1..=64).contains(&kind.len())
        && kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The first member name, at any depth, that JSON-LD would read as a keyword.
fn linked_data_keyword(value: &Value) -> Option<&str> {
    match value {
        Value::Object(object) => object.iter().find_map(|(name, value)| {
            if name.starts_with('@') {
                Some(name.as_str())
            } else {
                linked_data_keyword(value)
            }
        }),
        Value::Array(list) => list.iter().find_map(linked_data_keyword),
        _ => None,
    }
}

/// A record that was read but not believed.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub(crate) header: Header,
    pub(crate) tree: Map<String, Value>,
    pub(crate) canonical: Box<[u8]>,
    pub(crate) hash: VersionHash,
    pub(crate) proof: Proof,
}

impl Envelope {
    /// Reads a record from bytes in any spelling of its JSON.
    ///
    /// # Errors
    /// See [`EnvelopeError`]. The limits are those of [`crate::limits`]; the size is counted in
    /// canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        // White space and escapes may make the wire form larger than the canonical one.
        let tree = match parse(bytes, 6 * RECORD_BYTES_MAX, Numbers::SafeIntegers)? {
            Value::Object(tree) => tree,
            _ => return Err(EnvelopeError::NotAnObject),
        };
        Self::from_tree(tree)
    }

    /// Takes a tree that the strict parser made, such as a record inside an activity.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn from_tree(tree: Map<String, Value>) -> Result<Self, EnvelopeError> {
        let header = Header::read(&tree)?;
        let tree = Value::Object(tree);
        if let Some(name) = linked_data_keyword(&tree) {
            return Err(EnvelopeError::LinkedData {
                name: name.to_owned(),
            });
        }
        let canonical = to_canonical(&tree).into_boxed_slice();
        if canonical.len() > RECORD_BYTES_MAX {
            return Err(EnvelopeError::Json(JsonError::TooLarge {
                bytes: canonical.len(),
                max: RECORD_BYTES_MAX,
            }));
        }
        let Value::Object(tree) = tree else {
            return Err(EnvelopeError::NotAnObject);
        };
        Ok(Self {
            proof: Proof::of(&tree)?,
            hash: VersionHash::of(&canonical),
            header,
            tree,
            canonical,
        })
    }

    /// The members that every type has.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the author says, if the version is active. Not believed yet.
    pub fn body(&self) -> Option<&Map<String, Value>> {
        self.tree.get("body").and_then(Value::as_object)
    }

    /// The digest that names this version.
    pub fn hash(&self) -> VersionHash {
        self.hash
    }

    /// The canonical form: what is kept and relayed.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The proof, taken apart and not yet checked.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}
