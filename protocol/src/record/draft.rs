//! A record before it is signed: what a person or an importer writes.

use serde_json::{Map, Value};

use super::fields::no_language;
use super::{Body, Checkpoint, FieldErrors};
use crate::codes::language::is_no_language;
use crate::envelope::{Envelope, EnvelopeError, SPEC, Status};
use crate::id::{Did, LocalId};
use crate::key::SecretKey;
use crate::proof::sign;
use crate::time::Timestamp;

/// A record without author, number, dates and proof, whose body was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    local: LocalId,
    members: Map<String, Value>,
}

/// Why a draft cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A member of the envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A `language` that is well-formed and the code of no language.
    #[error("language {0}")]
    Language(String),
    /// Members of the body.
    #[error("{0}")]
    Body(FieldErrors),
}

/// The members that a draft may have; the rest is added by signing.
const MEMBERS: [&str; 9] = [
    "type",
    "localId",
    "status",
    "confirmed",
    "validUntil",
    "language",
    "licence",
    "sources",
    "body",
];

impl Draft {
    /// Takes a draft as its writer left it. A missing `licence` becomes `licence`, a missing
    /// `status` active; members that signing adds (`seq`, `issued`, `author`, `proof`) are left out.
    ///
    /// # Errors
    /// The body does not have the form of its type, or has a type that this version does not know how
    /// to check; or what is no checkpoint has the name of checkpoints. Faults of the envelope come out when it is signed.
    pub fn new(tree: &Map<String, Value>, licence: &str) -> Result<Self, DraftError> {
        const KIND: &str = "a type that this node can check: Offering, Organization or Solution";
        let unknown = EnvelopeError::Field {
            field: "type",
            expected: KIND,
        };
        let kind = tree
            .get("type")
            .and_then(Value::as_str)
            .ok_or(unknown.clone())?;
        let is_checkpoint = kind == "Checkpoint";
        let has_its_name = |local: &Value| local.as_str() == Some(Checkpoint::LOCAL_ID);
        if !is_checkpoint && tree.get("localId").is_some_and(has_its_name) {
            const OTHER: &str = "another name than checkpoint, which the count of records has";
            return Err(EnvelopeError::Field {
                field: "localId",
                expected: OTHER,
            }
            .into());
        }
        let language = tree.get("language").and_then(Value::as_str);
        if let Some(tag) = language.filter(|tag| is_no_language(tag)) {
            return Err(DraftError::Language(no_language(tag)));
        }
        if let Some(Value::Object(body)) = tree.get("body") {
            Body::read_draft(kind, body)
                .map_err(DraftError::Body)?
                .ok_or(unknown)?;
        }
        Ok(Self::unchecked(tree, licence)?)
    }

    /// Takes a draft whose body was checked before, such as a record that its author signs anew.
    ///
    /// # Errors
    /// There is no valid `localId`.
    pub fn unchecked(tree: &Map<String, Value>, licence: &str) -> Result<Self, EnvelopeError> {
        let mut members: Map<String, Value> = tree
            .iter()
            .filter(|(name, value)| MEMBERS.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut default = |name: &str, value: &str| {
            members.entry(name).or_insert_with(|| value.into());
        };
        default("licence", licence);
        default("status", "active");
        const LOCAL: &str = "1 to 96 of a-z 0-9 . _ - beginning with a letter or digit";
        let local = tree
            .get("localId")
            .and_then(Value::as_str)
            .and_then(|text| LocalId::parse(text).ok())
            .ok_or(EnvelopeError::Field {
                field: "localId",
                expected: LOCAL,
            })?;
        Ok(Self { local, members })
    }

    /// The tombstone of a record of type `kind`.
    pub fn withdrawal(kind: &str, local: LocalId, licence: &str) -> Self {
        let mut members = Map::new();
        members.insert("type".to_owned(), kind.into());
        members.insert("localId".to_owned(), local.as_str().into());
        members.insert("status".to_owned(), "withdrawn".into());
        members.insert("licence".to_owned(), licence.into());
        Self { local, members }
    }

    /// The record's name within its author.
    pub fn local(&self) -> &LocalId {
        &self.local
    }

    /// Active, or a tombstone.
    pub fn status(&self) -> Status {
        match self.members.get("status").and_then(Value::as_str) {
            Some("withdrawn") => Status::Withdrawn,
            _ => Status::Active,
        }
    }

    /// Whether `published` already says all that this draft says: then signing it again would change
    /// nothing but number and dates.
    pub fn is_said_by(&self, published: &Map<String, Value>) -> bool {
        let same = |name: &&str| self.members.get(*name) == published.get(*name);
        // A draft that says nothing of a date leaves the published one standing.
        MEMBERS
            .iter()
            .filter(|name| **name != "confirmed" || self.members.contains_key(**name))
            .all(same)
    }

    /// Signs the draft as version `seq` of its record.
    ///
    /// # Errors
    /// A member of the envelope is wrong, or the whole is too large.
    pub fn sign(
        &self,
        author: &Did,
        seq: u64,
        issued: Timestamp,
        key: &SecretKey,
    ) -> Result<Envelope, EnvelopeError> {
        let mut tree = self.members.clone();
        let mut put = |name: &str, value: Value| tree.insert(name.to_owned(), value);
        put("spec", SPEC.into());
        put("author", author.to_string().into());
        put("seq", seq.into());
        put("issued", issued.to_string().into());
        let method = format!("{author}#{}", key.public());
        let proof = sign(&tree, key, &method, issued);
        tree.insert("proof".to_owned(), proof.into());
        // Through the strict reader, so that what we publish meets what we demand.
        Envelope::parse(&crate::canonical::to_canonical(&Value::Object(tree)))
    }
}
