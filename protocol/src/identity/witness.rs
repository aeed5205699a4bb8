//! Witnesses: third parties whose approval a log may ask for (did:webvh 1.0, DID Witnesses).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::entry::did_key_signer;
use super::{LogError, VersionId};
use crate::canonical::{self, Numbers, to_canonical};
use crate::key::PublicKey;
use crate::limits::{LOG_BYTES_MAX, WITNESSES_MAX};
use crate::proof::Proof;

/// Who must approve an entry, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRule {
    pub(super) threshold: usize,
    pub(super) witnesses: BTreeSet<PublicKey>,
}

impl WitnessRule {
    /// Reads the parameter `witness`; `None` is `{}`: no witnesses.
    pub(super) fn read(value: &Value) -> Result<Option<Self>, LogError> {
        let refused = |expected: &'static str| LogError::Parameter {
            name: "witness",
            expected,
        };
        let object = match value {
            Value::Null => return Ok(None),
            Value::Object(object) if object.is_empty() => return Ok(None),
            Value::Object(object) => object,
            _ => return Err(refused("an object")),
        };
        let Some(Value::Array(list)) = object.get("witnesses") else {
            return Err(refused("a threshold and a list of witnesses"));
        };
        if list.len() > WITNESSES_MAX {
            return Err(LogError::TooMany {
                what: "witnesses",
                max: WITNESSES_MAX,
            });
        }
        let mut witnesses = BTreeSet::new();
        for witness in list {
            let id = witness.get("id").and_then(Value::as_str);
            let key = id
                .and_then(read_witness_id)
                .ok_or(refused("witnesses that are did:key"))?;
            if !witnesses.insert(key) {
                return Err(refused("a list without duplicates"));
            }
        }
        let threshold = object.get("threshold").and_then(Value::as_u64);
        match threshold.and_then(|threshold| usize::try_from(threshold).ok()) {
            Some(threshold) if (1..=witnesses.len()).contains(&threshold) => Ok(Some(Self {
                threshold,
                witnesses,
            })),
            _ => Err(refused("a threshold from 1 to the number of witnesses")),
        }
    }

    /// How many witnesses must approve.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The witnesses' keys, in order of their bytes.
    pub fn witnesses(&self) -> impl Iterator<Item = &PublicKey> {
        self.witnesses.iter()
    }
}

/// A witness is a `did:key`. Logs made by didwebvh-rs write the Multikey without it, and the
/// method's test suite has such logs.
fn read_witness_id(id: &str) -> Option<PublicKey> {
    PublicKey::parse(id.strip_prefix("did:key:").unwrap_or(id)).ok()
}

/// Proofs of witnesses, as `did-witness.json` carries them: claims until a log that names the
/// witnesses is verified with them.
///
/// What cannot be a proof of a witness is left out when read, as the method allows.
#[derive(Debug, Clone, Default)]
pub struct WitnessProofs {
    by_version: BTreeMap<VersionId, Vec<WitnessProof>>,
}

#[derive(Debug, Clone)]
struct WitnessProof {
    key: PublicKey,
    proof: Proof,
    json: Map<String, Value>,
}

impl WitnessProofs {
    /// For a log without witnesses, or none at hand.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads a `did-witness.json`: a list of objects with `versionId` and `proof`.
    ///
    /// # Errors
    /// [`LogError::Json`]; [`LogError::Member`] if it is no list of objects.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        Self::from_json(&canonical::parse(
            bytes,
            LOG_BYTES_MAX,
            Numbers::SafeIntegers,
        )?)
    }

    /// As [`WitnessProofs::parse`], of a part of another document read by [`canonical::parse`], such
    /// as a line of the change feed.
    ///
    /// # Errors
    /// [`LogError::Member`] if it is no list of objects.
    pub fn from_json(value: &Value) -> Result<Self, LogError> {
        let malformed = LogError::Member {
            member: "witness",
            expected: "a list of objects with versionId and proof",
        };
        let list = value.as_array().ok_or_else(|| malformed.clone())?;
        let mut all = Self::default();
        for element in list {
            let element = element.as_object().ok_or_else(|| malformed.clone())?;
            let version = element.get("versionId").and_then(Value::as_str);
            let Some(Ok(version)) = version.map(VersionId::parse) else {
                continue;
            };
            let proofs = match element.get("proof") {
                Some(Value::Array(proofs)) => proofs.as_slice(),
                Some(one) => std::slice::from_ref(one),
                None => continue,
            };
            let readable = proofs.iter().filter_map(WitnessProof::read);
            all.by_version.entry(version).or_default().extend(readable);
        }
        all.by_version.retain(|_, proofs| !proofs.is_empty());
        Ok(all)
    }

    /// Whether there is no proof at all.
    pub fn is_empty(&self) -> bool {
        self.by_version.is_empty()
    }

    /// As `did-witness.json` has it. Each proof is the JSON that came.
    pub fn to_json(&self) -> Value {
        self.by_version
            .iter()
            .map(|(version, proofs)| {
                let proofs: Vec<&Map<String, Value>> =
                    proofs.iter().map(|proof| &proof.json).collect();
                json!({ "versionId": version.to_string(), "proof": proofs })
            })
            .collect()
    }

    /// The canonical form of [`WitnessProofs::to_json`].
    pub fn to_canonical_bytes(&self) -> Vec<u8> {
        to_canonical(&self.to_json())
    }

    /// Which of these keys approved this very version. A proof signs nothing but the `versionId`,
    /// so it counts only for a log that has that entry: the caller asks for no other.
    pub(super) fn approvals(
        &self,
        version: &VersionId,
        wanted: &BTreeSet<PublicKey>,
    ) -> BTreeSet<PublicKey> {
        let mut approved = BTreeSet::new();
        for proof in self.by_version.get(version).into_iter().flatten() {
            if wanted.contains(&proof.key) && !approved.contains(&proof.key) && proof.fits(version)
            {
                approved.insert(proof.key);
            }
        }
        approved
    }

    /// Adds what `other` says about `version` by `keys`, if it fits and is not here yet.
    pub(super) fn adopt(&mut self, other: &Self, version: &VersionId, keys: &BTreeSet<PublicKey>) {
        for proof in other.by_version.get(version).into_iter().flatten() {
            let held = self.by_version.entry(*version).or_default();
            if keys.contains(&proof.key)
                && held.iter().all(|held| held.key != proof.key)
                && proof.fits(version)
            {
                held.push(proof.clone());
            }
        }
        self.by_version.retain(|_, proofs| !proofs.is_empty());
    }

    pub(super) fn forget(&mut self, version: &VersionId) {
        self.by_version.remove(version);
    }
}

impl WitnessProof {
    fn read(value: &Value) -> Option<Self> {
        let json = value.as_object()?;
        let proof = Proof::read(json, None).ok()?;
        Some(Self {
            key: did_key_signer(&proof).ok()?,
            proof,
            json: json.clone(),
        })
    }

    fn fits(&self, version: &VersionId) -> bool {
        let mut signed = Map::new();
        signed.insert("versionId".to_owned(), version.to_string().into());
        self.proof.check(&signed, &self.key).is_ok()
    }
}

/// A witness list that has not approved an entry, nor a later one, in sufficient number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Debt {
    pub(super) number: u32,
    pub(super) rule: WitnessRule,
    pub(super) approved: BTreeSet<PublicKey>,
}

/// The debts of a log before the proofs over its newest entry are counted.
///
/// A later entry under the same rule stands for the earlier ones: whoever approves it approves them.
pub(super) fn debts_with(
    previous: &[Debt],
    number: u32,
    in_force: Option<&WitnessRule>,
) -> Vec<Debt> {
    let mut debts = previous.to_vec();
    if let Some(rule) = in_force {
        debts.retain(|debt| debt.rule != *rule);
        debts.push(Debt {
            number,
            rule: rule.clone(),
            approved: BTreeSet::new(),
        });
    }
    debts
}

/// The keys whose approval would settle something.
pub(super) fn wanted(debts: &[Debt]) -> BTreeSet<PublicKey> {
    debts
        .iter()
        .flat_map(|debt| debt.rule.witnesses.iter().copied())
        .collect()
}

/// Counts approvals of the newest entry, and forgets what is settled.
pub(super) fn settle(debts: &mut Vec<Debt>, approved: &BTreeSet<PublicKey>) {
    for debt in debts.iter_mut() {
        debt.approved
            .extend(approved.intersection(&debt.rule.witnesses).copied());
    }
    debts.retain(|debt| debt.approved.len() < debt.rule.threshold);
}
