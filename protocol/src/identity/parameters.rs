//! What one entry's `parameters` say (did:webvh 1.0, DID Method Parameters).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::witness::WitnessRule;
use super::{LogError, METHOD, shortened};
use crate::id::{EntryHash, Scid};
use crate::key::PublicKey;
use crate::limits::{ALSO_KNOWN_AS_MAX, NEXT_KEY_HASHES_MAX, UPDATE_KEYS_MAX};

/// The keys that a log commits to for its next entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Commitment {
    /// Whether there is any commitment. The method allows any text as one, so a list of texts that
    /// are no hashes still commits: to nothing that can be revealed.
    pub(super) is_active: bool,
    pub(super) hashes: BTreeSet<EntryHash>,
}

/// The parameters that one entry sets; `None` where it leaves the previous value in force.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) method: bool,
    pub(super) scid: Option<Scid>,
    pub(super) update_keys: Option<BTreeSet<PublicKey>>,
    pub(super) next_keys: Option<Commitment>,
    pub(super) witness: Option<Option<WitnessRule>>,
    pub(super) portable: Option<bool>,
    pub(super) deactivated: bool,
}

impl Parameters {
    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, LogError> {
        const KNOWN: [&str; 9] = [
            "method",
            "scid",
            "updateKeys",
            "nextKeyHashes",
            "witness",
            "watchers",
            "portable",
            "deactivated",
            "ttl",
        ];
        if let Some(name) = object.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(LogError::UnknownParameter {
                name: shortened(name),
            });
        }
        texts(object, "watchers", ALSO_KNOWN_AS_MAX)?;
        check_ttl(object.get("ttl"))?;
        Ok(Self {
            method: read_method(object.get("method"))?,
            scid: read_scid(object.get("scid"))?,
            update_keys: texts(object, "updateKeys", UPDATE_KEYS_MAX)?
                .map(|keys| keys.into_iter().map(read_update_key).collect())
                .transpose()?,
            next_keys: texts(object, "nextKeyHashes", NEXT_KEY_HASHES_MAX)?.map(read_commitment),
            witness: object.get("witness").map(WitnessRule::read).transpose()?,
            portable: flag(object, "portable")?,
            deactivated: flag(object, "deactivated")?.unwrap_or(false),
        })
    }
}

fn read_method(value: Option<&Value>) -> Result<bool, LogError> {
    match value {
        None => Ok(false),
        Some(Value::String(method)) if method == METHOD => Ok(true),
        Some(Value::String(other)) => Err(LogError::UnknownMethod {
            found: shortened(other),
        }),
        Some(_) => Err(LogError::Parameter {
            name: "method",
            expected: "a text",
        }),
    }
}

fn read_scid(value: Option<&Value>) -> Result<Option<Scid>, LogError> {
    match value {
        None => Ok(None),
        Some(Value::String(scid)) => Ok(Some(Scid::parse(scid)?)),
        Some(_) => Err(LogError::Parameter {
            name: "scid",
            expected: "a text",
        }),
    }
}

fn read_update_key(text: &str) -> Result<PublicKey, LogError> {
    PublicKey::parse(text).map_err(|_| LogError::Parameter {
        name: "updateKeys",
        expected: "Ed25519 Multikeys",
    })
}

fn read_commitment(texts: Vec<&str>) -> Commitment {
    Commitment {
        is_active: !texts.is_empty(),
        hashes: texts
            .into_iter()
            .filter_map(|text| EntryHash::parse(text).ok())
            .collect(),
    }
}

fn check_ttl(value: Option<&Value>) -> Result<(), LogError> {
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(ttl) if ttl.as_u64().is_some_and(|ttl| ttl <= 1 << 31) => Ok(()),
        Some(_) => Err(LogError::Parameter {
            name: "ttl",
            expected: "seconds, from 0 to 2^31",
        }),
    }
}

/// A list of texts. `null` is the list's default, the empty one, as early logs have it.
fn texts<'o>(
    object: &'o Map<String, Value>,
    name: &'static str,
    max: usize,
) -> Result<Option<Vec<&'o str>>, LogError> {
    let malformed = LogError::Parameter {
        name,
        expected: "a list of texts",
    };
    match object.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Vec::new())),
        Some(Value::Array(list)) if list.len() > max => Err(LogError::TooMany { what: name, max }),
        Some(Value::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.map(Some).ok_or(malformed)
        }
        Some(_) => Err(malformed),
    }
}

/// Yes or no. `null` is the default, no, as early logs have it.
fn flag(object: &Map<String, Value>, name: &'static str) -> Result<Option<bool>, LogError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(false)),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(LogError::Parameter {
            name,
            expected: "true or false",
        }),
    }
}
