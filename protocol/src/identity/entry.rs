//! One line of a log: parsed, not yet believed.

use serde_json::{Map, Value};

use super::{LogError, VersionId};
use crate::canonical::{self, Numbers, to_canonical, to_canonical_without};
use crate::id::{Did, EntryHash, Scid};
use crate::key::PublicKey;
use crate::limits::{LOG_BYTES_MAX, LOG_PROOFS_MAX};
use crate::proof::{ASSERTION_METHOD, Proof};
use crate::time::Timestamp;

/// What stands for the SCID while the first entry is hashed (did:webvh 1.0, Generate SCID).
pub(super) const PLACEHOLDER: &str = "{SCID}";

/// A log entry as it came: the JSON tree and what it claims. Nothing of it is believed.
///
/// The tree is what is hashed, kept and relayed, unknown members included.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    tree: Map<String, Value>,
    version_id: VersionId,
    version_time: Timestamp,
    did: Did,
    scid: Scid,
}

impl LogEntry {
    /// Reads one line of a log.
    ///
    /// # Errors
    /// [`LogError::Json`], or a member that every entry needs is missing or malformed.
    pub fn parse(line: &[u8]) -> Result<Self, LogError> {
        match canonical::parse(line, LOG_BYTES_MAX, Numbers::SafeIntegers)? {
            Value::Object(tree) => Self::from_tree(tree),
            _ => Err(LogError::Member {
                member: "entry",
                expected: "an object",
            }),
        }
    }

    /// As [`LogEntry::parse`], of an entry that stands inside another document read by
    /// [`canonical::parse`], such as a line of the change feed.
    ///
    /// # Errors
    /// As [`LogEntry::parse`], [`LogError::Json`] excepted.
    pub fn from_tree(tree: Map<String, Value>) -> Result<Self, LogError> {
        let version_id = VersionId::parse(text(&tree, "versionId")?)?;
        let version_time = utc(text(&tree, "versionTime")?)?;
        let parameters = object(&tree, "parameters")?;
        let did = Did::parse(text(object(&tree, "state")?, "id")?)?;
        let scid = match parameters.get("scid") {
            Some(Value::String(scid)) if version_id.number == 1 => Scid::parse(scid)?,
            _ => *did.scid(),
        };
        Ok(Self {
            version_id,
            version_time,
            did,
            scid,
            tree,
        })
    }

    /// Which entry it says it is.
    pub fn version_id(&self) -> VersionId {
        self.version_id
    }

    /// The digest in its `versionId`: what reconciliation of identities carries.
    pub fn digest(&self) -> EntryHash {
        self.version_id.hash
    }

    /// When it says it was made.
    pub fn version_time(&self) -> Timestamp {
        self.version_time
    }

    /// Whose log it says it belongs to: `parameters.scid` of a first entry, else the SCID in
    /// `state.id`.
    pub fn scid(&self) -> &Scid {
        &self.scid
    }

    /// The DID in `state.id`.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The JSON as it came.
    pub fn tree(&self) -> &Map<String, Value> {
        &self.tree
    }

    /// The canonical form, proof included and without a line end: what is kept and relayed.
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        to_canonical(&Value::Object(self.tree.clone()))
    }

    /// The bytes of the canonical form without its proof: what counts against the log's size, since
    /// holders of one entry may hold different proofs.
    pub(super) fn bytes_without_proof(&self) -> usize {
        to_canonical_without(&self.tree, "proof").len()
    }

    pub(super) fn parameters(&self) -> Result<&Map<String, Value>, LogError> {
        object(&self.tree, "parameters")
    }

    pub(super) fn document(&self) -> Result<&Map<String, Value>, LogError> {
        object(&self.tree, "state")
    }

    pub(super) fn version_time_text(&self) -> Result<&str, LogError> {
        text(&self.tree, "versionTime")
    }

    /// Whether the digest fits the content when the entry follows `predecessor`: the previous
    /// `versionId`, or the SCID for the first entry (did:webvh 1.0, Verify The Entry Hash).
    pub(super) fn follows(&self, predecessor: &str) -> bool {
        hash_after(&self.tree, predecessor) == self.version_id.hash
    }

    /// Checks that the SCID is the digest of this first entry (did:webvh 1.0, Verify SCID).
    pub(super) fn check_scid(&self) -> Result<(), LogError> {
        let mut preliminary = self.tree.clone();
        preliminary.remove("proof");
        if mentions(&preliminary, PLACEHOLDER) {
            return Err(LogError::Placeholder);
        }
        preliminary.insert("versionId".to_owned(), PLACEHOLDER.into());
        let preliminary = replaced(&preliminary, &self.scid.to_string(), PLACEHOLDER);
        if Scid::of(&to_canonical_without(&preliminary, "proof")) == self.scid {
            Ok(())
        } else {
            Err(LogError::WrongScid)
        }
    }

    /// Checks every proof of the entry, of which there must be one. A signer that `may_sign` does
    /// not know is refused before the costly part.
    pub(super) fn check_proofs(
        &self,
        may_sign: impl Fn(&PublicKey) -> bool,
    ) -> Result<(), LogError> {
        let malformed = LogError::Member {
            member: "proof",
            expected: "a list of proofs",
        };
        let list = match self.tree.get("proof") {
            Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(malformed),
        };
        if list.len() > LOG_PROOFS_MAX {
            return Err(LogError::TooMany {
                what: "proofs over one entry",
                max: LOG_PROOFS_MAX,
            });
        }
        for proof in list {
            let proof = proof.as_object().ok_or_else(|| malformed.clone())?;
            let proof = Proof::read(proof, self.tree.get("@context"))?;
            let key = did_key_signer(&proof)?;
            if !may_sign(&key) {
                return Err(LogError::NotAuthorized { key: Box::new(key) });
            }
            proof.check(&self.tree, &key)?;
        }
        Ok(())
    }
}

/// The key of a proof made by a `did:key`, whose body and fragment must be one Multikey: a reader
/// that authorises by one and verifies by the other can be made to take any signature.
pub(super) fn did_key_signer(proof: &Proof) -> Result<PublicKey, LogError> {
    if proof.purpose() != ASSERTION_METHOD {
        return Err(LogError::WrongPurpose);
    }
    let key = proof.claimed_key()?;
    if proof.verification_method() == key.to_did_key_url() {
        Ok(key)
    } else {
        Err(LogError::SignerForm)
    }
}

/// The digest of an entry that follows `predecessor`; its own `versionId` and proof are left aside.
pub(super) fn hash_after(tree: &Map<String, Value>, predecessor: &str) -> EntryHash {
    let mut chained = tree.clone();
    chained.insert("versionId".to_owned(), predecessor.into());
    EntryHash::of(&to_canonical_without(&chained, "proof"))
}

/// The tree with one text replaced by another wherever it stands, in names and in values.
pub(super) fn replaced(tree: &Map<String, Value>, old: &str, new: &str) -> Map<String, Value> {
    tree.iter()
        .map(|(name, value)| (name.replace(old, new), replaced_in(value, old, new)))
        .collect()
}

fn replaced_in(value: &Value, old: &str, new: &str) -> Value {
    match value {
        Value::String(text) => text.replace(old, new).into(),
        Value::Array(list) => list
            .iter()
            .map(|element| replaced_in(element, old, new))
            .collect(),
        Value::Object(object) => replaced(object, old, new).into(),
        other => other.clone(),
    }
}

fn mentions(tree: &Map<String, Value>, needle: &str) -> bool {
    tree.iter()
        .any(|(name, value)| name.contains(needle) || mentions_in(value, needle))
}

fn mentions_in(value: &Value, needle: &str) -> bool {
    match value {
        Value::String(text) => text.contains(needle),
        Value::Array(list) => list.iter().any(|element| mentions_in(element, needle)),
        Value::Object(object) => mentions(object, needle),
        _ => false,
    }
}

/// Reads a date that must be in UTC.
pub(super) fn utc(text: &str) -> Result<Timestamp, LogError> {
    let moment = Timestamp::parse(text)?;
    if text.ends_with('Z') || text.ends_with("+00:00") {
        Ok(moment)
    } else {
        Err(LogError::Member {
            member: "versionTime",
            expected: "a moment in UTC",
        })
    }
}

fn text<'t>(tree: &'t Map<String, Value>, member: &'static str) -> Result<&'t str, LogError> {
    match tree.get(member) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(LogError::Member {
            member,
            expected: "a text",
        }),
    }
}

fn object<'t>(
    tree: &'t Map<String, Value>,
    member: &'static str,
) -> Result<&'t Map<String, Value>, LogError> {
    match tree.get(member) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(LogError::Member {
            member,
            expected: "an object",
        }),
    }
}
