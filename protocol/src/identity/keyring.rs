//! Who may sign an author's records.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::LogError;
use crate::id::{Did, Scid};
use crate::key::PublicKey;
use crate::limits::{RECORD_KEYS_EVER_MAX, RECORD_KEYS_MAX};

/// The record keys of one author, as its log says: which are listed now, which were ever dropped.
///
/// Only made from a [`LogState`](super::LogState). Keys are matched by their bytes alone, never by
/// the DID in front of a key's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    pub(super) scid: Scid,
    pub(super) did: Did,
    pub(super) listed: BTreeSet<PublicKey>,
    // A dropped key never verifies anything again, so its bytes are enough.
    pub(super) dropped: BTreeSet<[u8; 32]>,
    pub(super) closed: bool,
}

impl KeyRing {
    /// The ring after an entry that lists `listed`, when the entry before left `previous`.
    ///
    /// # Errors
    /// [`LogError::TooMany`]: more different keys in the life of one log than
    /// [`RECORD_KEYS_EVER_MAX`].
    pub(super) fn after(
        previous: Option<&KeyRing>,
        did: Did,
        listed: BTreeSet<PublicKey>,
        closed: bool,
    ) -> Result<Self, LogError> {
        let mut dropped = previous
            .map(|ring| ring.dropped.clone())
            .unwrap_or_default();
        if let Some(previous) = previous {
            dropped.extend(
                previous
                    .listed
                    .difference(&listed)
                    .map(|key| *key.as_bytes()),
            );
        }
        if dropped.len() + listed.len() > RECORD_KEYS_EVER_MAX {
            return Err(LogError::TooMany {
                what: "record keys in the life of one log",
                max: RECORD_KEYS_EVER_MAX,
            });
        }
        Ok(Self {
            scid: *did.scid(),
            did,
            listed,
            dropped,
            closed,
        })
    }

    /// The author.
    pub fn scid(&self) -> &Scid {
        &self.scid
    }

    /// The author's present DID; its host is a hint.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The keys that the newest entry lists, in order of their bytes.
    pub fn listed(&self) -> impl Iterator<Item = &PublicKey> {
        self.listed.iter()
    }

    /// Whether the newest entry lists this key.
    pub fn is_listed(&self, key: &PublicKey) -> bool {
        self.listed.contains(key)
    }

    /// Whether an entry once listed this key and a later one did not: such a key never counts
    /// again, even if it is listed again.
    pub fn was_dropped(&self, key: &PublicKey) -> bool {
        self.dropped.contains(key.as_bytes())
    }

    /// Whether the author's log is deactivated: then nothing of it counts.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether what this key signed counts: listed now, never dropped, and the log not closed.
    pub fn counts(&self, key: &PublicKey) -> bool {
        !self.closed && self.is_listed(key) && !self.was_dropped(key)
    }
}

/// The Ed25519 Multikeys in a document's `assertionMethod`, referred to or embedded. Keys of other
/// kinds are passed over: they sign nothing in this network.
pub(super) fn record_keys(document: &Map<String, Value>) -> Result<BTreeSet<PublicKey>, LogError> {
    let base = document
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let absolute = |id: &str| match id.starts_with('#') {
        true => format!("{base}{id}"),
        false => id.to_owned(),
    };
    let methods: Vec<(String, &Value)> = each(document.get("verificationMethod"))
        .into_iter()
        .filter_map(|method| Some((absolute(method.get("id")?.as_str()?), method)))
        .collect();
    let mut keys = BTreeSet::new();
    for asserted in each(document.get("assertionMethod")) {
        match asserted {
            Value::String(reference) => {
                let reference = absolute(reference);
                let meant = methods.iter().filter(|(id, _)| *id == reference);
                keys.extend(meant.filter_map(|(_, method)| multikey(method)));
            }
            embedded => keys.extend(multikey(embedded)),
        }
    }
    if keys.len() > RECORD_KEYS_MAX {
        return Err(LogError::TooMany {
            what: "record keys in one entry",
            max: RECORD_KEYS_MAX,
        });
    }
    Ok(keys)
}

/// The elements of a JSON-LD set: a list, or one value by itself.
fn each(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    }
}

fn multikey(method: &Value) -> Option<PublicKey> {
    if method.get("type")?.as_str()? != "Multikey" {
        return None;
    }
    PublicKey::parse(method.get("publicKeyMultibase")?.as_str()?).ok()
}
