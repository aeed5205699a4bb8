//! Making log entries. Whatever is written here was verified by [`LogState`] before it is handed
//! out.
//!
//! Every log begun here is portable and keeps pre-rotation on: each entry reveals the key that
//! signs it and commits to those that may sign the next. The secret keys are the caller's affair.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::entry::{LogEntry, PLACEHOLDER, hash_after, replaced};
use super::{LogError, LogState, METHOD, VersionId, WitnessProofs, number_after};
use crate::canonical::to_canonical_without;
use crate::id::{Did, EntryHash, IdError, Scid};
use crate::key::{PublicKey, SecretKey};
use crate::proof;
use crate::time::Timestamp;

/// Where a log is served: a DID less its author. The part of `did:webvh:SCID:…` after the SCID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Box<str>);

impl Place {
    /// From a host name, a port unless it is 443, and the path's segments (none for a host's own
    /// identity).
    ///
    /// # Errors
    /// As [`Did::parse`]: a host that is no dotted name, a segment that a DID cannot carry.
    pub fn new(host: &str, port: Option<u16>, path: &[&str]) -> Result<Self, IdError> {
        let mut text = host.to_owned();
        if let Some(port) = port {
            text.push_str(&format!("%3A{port}"));
        }
        for segment in path {
            text.push(':');
            text.push_str(segment);
        }
        let did = Did::parse(&format!("did:webvh:{}:{text}", Scid::from_digest([0; 32])))?;
        Ok(Self::of(&did))
    }

    /// Where this DID's log is served.
    pub fn of(did: &Did) -> Self {
        let author = format!("did:webvh:{}:", did.scid());
        Self(
            did.to_string()
                .strip_prefix(&author)
                .unwrap_or_default()
                .into(),
        )
    }

    fn did(&self, scid: &str) -> String {
        format!("did:webvh:{scid}:{}", self.0)
    }
}

/// All that an entry of ours says, but who signs it and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where the log is served from now on. Another place than before is a move.
    pub place: Place,
    /// The keys that sign the author's records from now on.
    pub record_keys: BTreeSet<PublicKey>,
    /// The digests of the keys of which one must sign the next entry: see
    /// [`key_hash`](super::key_hash). Empty ends pre-rotation, which is only good before
    /// [`deactivate`].
    pub next_key_hashes: BTreeSet<EntryHash>,
    /// The author's other names. A move adds the former DID by itself.
    pub also_known_as: Vec<String>,
    /// The document's `service` list; left out if empty.
    pub services: Vec<Value>,
}

impl Change {
    /// What the log says now, as the beginning of a change; without next keys, which every entry
    /// must name anew.
    pub fn of(state: &LogState) -> Self {
        let services = state.document().get("service").and_then(Value::as_array);
        Self {
            place: Place::of(state.did()),
            record_keys: state.keys().listed().copied().collect(),
            next_key_hashes: BTreeSet::new(),
            also_known_as: state.also_known_as().to_vec(),
            services: services.cloned().unwrap_or_default(),
        }
    }

    /// The DID document for a DID with this SCID (or what stands for it).
    fn document(&self, scid: &str) -> Map<String, Value> {
        let did = self.place.did(scid);
        let ids: Vec<String> = self
            .record_keys
            .iter()
            .map(|key| format!("{did}#{key}"))
            .collect();
        let methods: Vec<Value> = self
            .record_keys
            .iter()
            .zip(&ids)
            .map(|(key, id)| {
                json!({
                    "id": id,
                    "type": "Multikey",
                    "controller": did,
                    "publicKeyMultibase": key.to_string(),
                })
            })
            .collect();
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put(
            "@context",
            json!([
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1"
            ]),
        );
        put("id", did.into());
        put("verificationMethod", methods.into());
        put("assertionMethod", ids.into());
        if !self.also_known_as.is_empty() {
            put("alsoKnownAs", self.also_known_as.clone().into());
        }
        if !self.services.is_empty() {
            put("service", self.services.clone().into());
        }
        document
    }
}

/// Writes the first entry of a new log, signed by its first update key (did:webvh 1.0, Create).
///
/// # Errors
/// [`LogError::Parameter`] without next keys; whatever else makes an entry unfit.
pub fn create(change: &Change, signer: &SecretKey, time: Timestamp) -> Result<LogEntry, LogError> {
    if change.next_key_hashes.is_empty() {
        return Err(LogError::Parameter {
            name: "nextKeyHashes",
            expected: "given: every log begins with pre-rotation on",
        });
    }
    let parameters = json!({
        "method": METHOD,
        "scid": PLACEHOLDER,
        "portable": true,
        "updateKeys": [signer.public().to_string()],
        "nextKeyHashes": texts(&change.next_key_hashes),
    });
    let preliminary = tree(PLACEHOLDER, time, parameters, change.document(PLACEHOLDER));
    let scid = Scid::of(&to_canonical_without(&preliminary, "proof")).to_string();
    let tree = replaced(&preliminary, PLACEHOLDER, &scid);
    let entry = sealed(tree, &scid, 1, signer, time)?;
    LogState::begin(&entry, time, &WitnessProofs::empty())?;
    Ok(entry)
}

/// Writes the entry that follows `state`, signed by the key it reveals (did:webvh 1.0, Update). It
/// is dated `time`, or a second after the entry before if that is later.
///
/// Where the log's document has members that [`Change`] does not know, they are not carried over.
///
/// # Errors
/// [`LogError::NotCommitted`] or [`LogError::NotAuthorized`] if the signer may not extend the log;
/// whatever else makes an entry unfit.
pub fn update(
    state: &LogState,
    change: &Change,
    signer: &SecretKey,
    time: Timestamp,
) -> Result<LogEntry, LogError> {
    let mut change = change.clone();
    let former = state.did().to_string();
    if Place::of(state.did()) != change.place && !change.also_known_as.contains(&former) {
        change.also_known_as.push(former);
    }
    let parameters = json!({
        "updateKeys": [signer.public().to_string()],
        "nextKeyHashes": texts(&change.next_key_hashes),
    });
    follow(state, &change, parameters, signer, time)
}

/// Writes the entry that closes a log for good (did:webvh 1.0, Deactivate). Pre-rotation must have
/// been ended by an [`update`] that names no next key; `signer` is that entry's update key.
///
/// # Errors
/// [`LogError::PreRotationOn`]; [`LogError::NotAuthorized`]; whatever else makes an entry unfit.
pub fn deactivate(
    state: &LogState,
    signer: &SecretKey,
    time: Timestamp,
) -> Result<LogEntry, LogError> {
    if state.is_pre_rotating() {
        return Err(LogError::PreRotationOn);
    }
    let change = Change {
        record_keys: BTreeSet::new(),
        ..Change::of(state)
    };
    follow(
        state,
        &change,
        json!({ "updateKeys": [], "deactivated": true }),
        signer,
        time,
    )
}

fn follow(
    state: &LogState,
    change: &Change,
    parameters: Value,
    signer: &SecretKey,
    time: Timestamp,
) -> Result<LogEntry, LogError> {
    let time = time.max(state.version_time().plus_seconds(1));
    let document = change.document(&state.scid().to_string());
    let previous = state.version_id();
    let tree = tree(&previous.to_string(), time, parameters, document);
    let number = number_after(previous.number)?;
    let entry = sealed(tree, &previous.to_string(), number, signer, time)?;
    state.next(&entry, time, &WitnessProofs::empty())?;
    Ok(entry)
}

fn tree(
    version_id: &str,
    time: Timestamp,
    parameters: Value,
    document: Map<String, Value>,
) -> Map<String, Value> {
    let mut tree = Map::new();
    tree.insert("versionId".to_owned(), version_id.into());
    tree.insert("versionTime".to_owned(), time.to_string().into());
    tree.insert("parameters".to_owned(), parameters);
    tree.insert("state".to_owned(), document.into());
    tree
}

/// Gives the entry its `versionId` and its proof.
pub(super) fn sealed(
    mut tree: Map<String, Value>,
    predecessor: &str,
    number: u32,
    signer: &SecretKey,
    time: Timestamp,
) -> Result<LogEntry, LogError> {
    let version_id = VersionId {
        number,
        hash: hash_after(&tree, predecessor),
    };
    tree.insert("versionId".to_owned(), version_id.to_string().into());
    let signature = proof::sign(&tree, signer, &signer.public().to_did_key_url(), time);
    tree.insert("proof".to_owned(), json!([signature]));
    LogEntry::from_tree(tree)
}

fn texts(hashes: &BTreeSet<EntryHash>) -> Vec<String> {
    hashes.iter().map(EntryHash::to_string).collect()
}
