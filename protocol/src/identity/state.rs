//! What a log says after an entry that was checked together with all before it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entry::{LogEntry, utc};
use super::keyring::{KeyRing, record_keys};
use super::parameters::{Commitment, Parameters};
use super::witness::{Debt, WitnessProofs, WitnessRule, debts_with, settle, wanted};
use super::{LogError, VersionId, key_hash, number_after};
use crate::id::{Did, EntryHash, Scid};
use crate::key::{PublicKey, read_multibase, write_multibase};
use crate::limits::{ALSO_KNOWN_AS_MAX, CLOCK_SKEW_SECONDS_MAX, LOG_BYTES_MAX, WITNESS_DEBTS_MAX};
use crate::time::Timestamp;

/// An author's log up to one entry, verified: who it is, who may extend it, who signs its records.
///
/// Made only by [`LogState::begin`] and [`LogState::next`], which check everything that did:webvh
/// 1.0 asks for (hashes, SCID, numbers, dates, proofs, pre-rotation, portability, deactivation) but
/// one thing: where the log uses witnesses, a proof over a later entry counts for earlier ones, so
/// an entry may still wait for approval. Such a state has [`LogState::is_witnessed`] `false` and
/// serves only to check what follows; no key of it may be believed.
#[derive(Debug, Clone, PartialEq)]
pub struct LogState {
    version_id: VersionId,
    previous: Option<VersionId>,
    version_time: Timestamp,
    // As written: the date as a `Timestamp` is shown without fractions of a second.
    version_time_text: Box<str>,
    did: Did,
    update_keys: BTreeSet<PublicKey>,
    next_keys: Commitment,
    portable: bool,
    deactivated: bool,
    /// For the entries after this one.
    witness: Option<WitnessRule>,
    /// For this entry.
    witness_in_force: Option<WitnessRule>,
    approved_here: BTreeSet<PublicKey>,
    debts: Vec<Debt>,
    bytes: usize,
    also_known_as: Vec<String>,
    document: Map<String, Value>,
    keys: KeyRing,
}

impl LogState {
    /// Verifies a log's first entry.
    ///
    /// # Errors
    /// See [`LogError`]. [`LogError::NotYetDue`] is said only of an entry that is otherwise valid.
    pub fn begin(
        entry: &LogEntry,
        now: Timestamp,
        proofs: &WitnessProofs,
    ) -> Result<Self, LogError> {
        Self::advance(None, entry, proofs)?.signed_and_due(None, entry, now)
    }

    /// Verifies the entry that follows this state.
    ///
    /// # Errors
    /// See [`LogError`]. [`LogError::NotYetDue`] is said only of an entry that is otherwise valid.
    pub fn next(
        &self,
        entry: &LogEntry,
        now: Timestamp,
        proofs: &WitnessProofs,
    ) -> Result<Self, LogError> {
        Self::advance(Some(self), entry, proofs)?.signed_and_due(Some(self), entry, now)
    }

    /// The state after `entry`, with everything checked but its proofs and its date against the
    /// clock: for entries that were checked before and come from a store of our own.
    pub(super) fn advance(
        previous: Option<&Self>,
        entry: &LogEntry,
        proofs: &WitnessProofs,
    ) -> Result<Self, LogError> {
        if previous.is_some_and(|previous| previous.deactivated) {
            return Err(LogError::Deactivated);
        }
        let version_id = entry.version_id();
        let expected = number_after(previous.map_or(0, |previous| previous.version_id.number))?;
        if version_id.number != expected {
            return Err(LogError::WrongNumber {
                expected,
                found: version_id.number,
            });
        }
        let scid = previous.map_or(*entry.scid(), |previous| *previous.scid());
        if *entry.did().scid() != scid {
            return Err(LogError::OtherScid {
                expected: scid,
                found: *entry.did().scid(),
            });
        }
        let set = Parameters::read(entry.parameters()?)?;
        if previous.is_none() {
            check_first(&set)?;
            entry.check_scid()?;
        } else if set.scid.is_some() {
            return Err(LogError::Parameter {
                name: "scid",
                expected: "in the first entry only",
            });
        }
        let predecessor = match previous {
            None => scid.to_string(),
            Some(previous) => previous.version_id.to_string(),
        };
        if !entry.follows(&predecessor) {
            return Err(LogError::WrongHash);
        }
        if previous.is_some_and(|previous| entry.version_time() <= previous.version_time) {
            return Err(LogError::NotLater {
                at: entry.version_time(),
            });
        }
        if let Some(previous) = previous {
            check_commitment(&previous.next_keys, &set)?;
        }

        let document = entry.document()?;
        let also_known_as = read_also_known_as(document)?;
        let portable = portable_after(previous, set.portable)?;
        if let Some(previous) = previous {
            check_move(&previous.did, entry.did(), portable, &also_known_as)?;
        }
        let bytes = previous.map_or(0, |previous| previous.bytes) + entry.bytes_without_proof();
        if bytes > LOG_BYTES_MAX {
            return Err(LogError::TooLarge);
        }
        let keys = KeyRing::after(
            previous.map(|previous| &previous.keys),
            entry.did().clone(),
            record_keys(document)?,
            set.deactivated,
        )?;

        // A list of witnesses approves the entry that replaces it; where there was none before, the
        // new list approves its own entry.
        let witness_before = previous.and_then(|previous| previous.witness.clone());
        let witness = set.witness.unwrap_or_else(|| witness_before.clone());
        let witness_in_force = witness_before.or_else(|| witness.clone());
        let mut state = Self {
            version_id,
            previous: previous.map(|previous| previous.version_id),
            version_time: entry.version_time(),
            version_time_text: entry.version_time_text()?.into(),
            did: entry.did().clone(),
            update_keys: match (set.update_keys, previous) {
                (Some(keys), _) => keys,
                (None, Some(previous)) => previous.update_keys.clone(),
                (None, None) => BTreeSet::new(),
            },
            next_keys: match (set.next_keys, previous) {
                (Some(next), _) => next,
                (None, Some(previous)) => previous.next_keys.clone(),
                (None, None) => Commitment::default(),
            },
            portable,
            deactivated: set.deactivated,
            witness,
            witness_in_force,
            approved_here: BTreeSet::new(),
            debts: Vec::new(),
            bytes,
            also_known_as,
            document: document.clone(),
            keys,
        };
        state.count_witnesses(previous, proofs);
        if state.debts.len() > WITNESS_DEBTS_MAX {
            return Err(state
                .require_witnessed()
                .err()
                .unwrap_or(LogError::TooLarge));
        }
        Ok(state)
    }

    fn signed_and_due(
        self,
        previous: Option<&Self>,
        entry: &LogEntry,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        // The first entry and, under pre-rotation, every entry is signed by a key it reveals itself;
        // otherwise by a key of the entry before (did:webvh 1.0, Authorized Keys).
        let authorized = match previous {
            Some(previous) if !previous.next_keys.is_active => &previous.update_keys,
            _ => &self.update_keys,
        };
        entry.check_proofs(|key| authorized.contains(key))?;
        let due = self.version_time.plus_seconds(-CLOCK_SKEW_SECONDS_MAX);
        if due > now {
            return Err(LogError::NotYetDue { at: due });
        }
        Ok(self)
    }

    /// Counts approvals of this entry, those counted before included, on top of what the entries
    /// before it still owe. To be called again in log order when new proofs came.
    pub(super) fn count_witnesses(&mut self, previous: Option<&Self>, proofs: &WitnessProofs) {
        let owed = previous.map_or(&[][..], |previous| &previous.debts);
        self.debts = debts_with(owed, self.version_id.number, self.witness_in_force.as_ref());
        if self.debts.is_empty() {
            return;
        }
        let approved = proofs.approvals(&self.version_id, &wanted(&self.debts));
        self.approved_here.extend(approved);
        settle(&mut self.debts, &self.approved_here);
    }

    /// The keys counted as approving this entry.
    pub(super) fn approved_here(&self) -> &BTreeSet<PublicKey> {
        &self.approved_here
    }

    pub(super) fn require_witnessed(&self) -> Result<(), LogError> {
        match self.debts.first() {
            None => Ok(()),
            Some(debt) => Err(LogError::NotWitnessed {
                number: debt.number,
            }),
        }
    }

    /// The author.
    pub fn scid(&self) -> &Scid {
        self.did.scid()
    }

    /// The author's present DID. Its host may be any: it is a hint.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The newest entry.
    pub fn version_id(&self) -> VersionId {
        self.version_id
    }

    /// The entry before the newest.
    pub fn previous(&self) -> Option<VersionId> {
        self.previous
    }

    /// When the newest entry says it was made.
    pub fn version_time(&self) -> Timestamp {
        self.version_time
    }

    /// The keys that the newest entry reveals; they sign the next one unless pre-rotation is on.
    pub fn update_keys(&self) -> &BTreeSet<PublicKey> {
        &self.update_keys
    }

    /// The digests of the keys of which the next entry must reveal some (see [`key_hash`]).
    pub fn next_key_hashes(&self) -> &BTreeSet<EntryHash> {
        &self.next_keys.hashes
    }

    /// Whether the next entry must be signed by a key that this one committed to.
    pub fn is_pre_rotating(&self) -> bool {
        self.next_keys.is_active
    }

    /// Whether the DID may still move to another place.
    pub fn is_portable(&self) -> bool {
        self.portable
    }

    /// Whether the log is closed for good.
    pub fn is_deactivated(&self) -> bool {
        self.deactivated
    }

    /// Who may sign the author's records. To be believed only if [`LogState::is_witnessed`].
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The author's other names, former DIDs among them.
    pub fn also_known_as(&self) -> &[String] {
        &self.also_known_as
    }

    /// The DID document: the newest entry's `state`, as it came.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Whether witnesses must approve this entry or those after it.
    pub fn uses_witnesses(&self) -> bool {
        self.witness.is_some() || self.witness_in_force.is_some()
    }

    /// The witnesses for the entries after this one.
    pub fn witness_rule(&self) -> Option<&WitnessRule> {
        self.witness.as_ref()
    }

    /// Whether every entry that needs witnesses has their approval; always so in a log without.
    pub fn is_witnessed(&self) -> bool {
        self.debts.is_empty()
    }

    /// This state as a row for a store of our own. Never to be sent or taken from elsewhere: what
    /// [`LogState::from_stored`] reads is believed.
    pub fn to_stored(&self) -> Vec<u8> {
        let row = Stored {
            version_id: self.version_id.to_string(),
            previous: self.previous.map(|previous| previous.to_string()),
            version_time: self.version_time_text.to_string(),
            did: self.did.to_string(),
            update_keys: write_keys(&self.update_keys),
            pre_rotation: self.next_keys.is_active,
            next_key_hashes: self
                .next_keys
                .hashes
                .iter()
                .map(EntryHash::to_string)
                .collect(),
            portable: self.portable,
            deactivated: self.deactivated,
            witness: self.witness.as_ref().map(StoredRule::of),
            witness_in_force: self.witness_in_force.as_ref().map(StoredRule::of),
            approved_here: write_keys(&self.approved_here),
            debts: self
                .debts
                .iter()
                .map(|debt| StoredDebt {
                    number: debt.number,
                    rule: StoredRule::of(&debt.rule),
                    approved: write_keys(&debt.approved),
                })
                .collect(),
            bytes: self.bytes,
            also_known_as: self.also_known_as.clone(),
            document: self.document.clone(),
            record_keys: write_keys(&self.keys.listed),
            dropped: self
                .keys
                .dropped
                .iter()
                .map(|key| write_multibase(key))
                .collect(),
        };
        // Texts and numbers cannot fail to be written; an empty row would be refused when read.
        serde_json::to_vec(&row).unwrap_or_default()
    }

    /// Reads a row that [`LogState::to_stored`] wrote. Nothing is verified again.
    ///
    /// # Errors
    /// [`StoredStateError`]: not such a row.
    pub fn from_stored(row: &[u8]) -> Result<Self, StoredStateError> {
        let row: Stored = serde_json::from_slice(row)?;
        let did = Did::parse(&row.did)?;
        Ok(Self {
            version_id: VersionId::parse(&row.version_id)?,
            previous: row
                .previous
                .map(|previous| VersionId::parse(&previous))
                .transpose()?,
            version_time: utc(&row.version_time)?,
            version_time_text: row.version_time.into(),
            update_keys: read_keys(&row.update_keys)?,
            next_keys: Commitment {
                is_active: row.pre_rotation,
                hashes: row
                    .next_key_hashes
                    .iter()
                    .map(|hash| EntryHash::parse(hash))
                    .collect::<Result<_, _>>()?,
            },
            portable: row.portable,
            deactivated: row.deactivated,
            witness: row.witness.map(|rule| rule.read()).transpose()?,
            witness_in_force: row.witness_in_force.map(|rule| rule.read()).transpose()?,
            approved_here: read_keys(&row.approved_here)?,
            debts: row
                .debts
                .into_iter()
                .map(|debt| {
                    Ok(Debt {
                        number: debt.number,
                        rule: debt.rule.read()?,
                        approved: read_keys(&debt.approved)?,
                    })
                })
                .collect::<Result<_, StoredStateError>>()?,
            bytes: row.bytes,
            also_known_as: row.also_known_as,
            document: row.document,
            keys: KeyRing {
                scid: *did.scid(),
                did: did.clone(),
                listed: read_keys(&row.record_keys)?,
                dropped: row
                    .dropped
                    .iter()
                    .map(|key| read_multibase(key, 50)?.try_into().ok())
                    .collect::<Option<_>>()
                    .ok_or_else(|| StoredStateError {
                        detail: "a dropped key has not 32 bytes".to_owned(),
                    })?,
                closed: row.deactivated,
            },
            did,
        })
    }
}

fn check_first(set: &Parameters) -> Result<(), LogError> {
    let required = |name: &'static str| LogError::Parameter {
        name,
        expected: "given in the first entry",
    };
    if !set.method {
        return Err(required("method"));
    }
    if set.scid.is_none() {
        return Err(required("scid"));
    }
    if set.update_keys.as_ref().is_none_or(BTreeSet::is_empty) {
        return Err(required("updateKeys"));
    }
    Ok(())
}

/// Holds an entry to what the one before committed to (did:webvh 1.0, Pre-Rotation).
fn check_commitment(committed: &Commitment, set: &Parameters) -> Result<(), LogError> {
    if !committed.is_active {
        return Ok(());
    }
    let omitted = |name: &'static str| LogError::PreRotationOmitted { name };
    // Inheriting the old keys here would let them sign what the commitment took from them.
    let revealed = set.update_keys.as_ref().filter(|keys| !keys.is_empty());
    for key in revealed.ok_or(omitted("updateKeys"))? {
        if !committed.hashes.contains(&key_hash(key)) {
            return Err(LogError::NotCommitted {
                key: Box::new(*key),
            });
        }
    }
    set.next_keys
        .as_ref()
        .map(|_| ())
        .ok_or(omitted("nextKeyHashes"))
}

fn portable_after(previous: Option<&LogState>, set: Option<bool>) -> Result<bool, LogError> {
    match (previous, set) {
        (None, set) => Ok(set.unwrap_or(false)),
        (Some(previous), None) => Ok(previous.portable),
        (Some(_), Some(false)) => Ok(false),
        (Some(previous), Some(true)) if previous.portable => Ok(true),
        (Some(_), Some(true)) => Err(LogError::Parameter {
            name: "portable",
            expected: "true from the first entry or never",
        }),
    }
}

/// Holds a change of the DID to the rules of a move (did:webvh 1.0, DID Portability). That the SCID
/// stayed was checked before.
fn check_move(
    former: &Did,
    present: &Did,
    portable: bool,
    also_known_as: &[String],
) -> Result<(), LogError> {
    if former == present {
        return Ok(());
    }
    if !portable {
        return Err(LogError::NotPortable);
    }
    if also_known_as
        .iter()
        .any(|name| Did::parse(name).is_ok_and(|name| name == *former))
    {
        Ok(())
    } else {
        Err(LogError::FormerDidMissing {
            former: Box::new(former.clone()),
        })
    }
}

fn read_also_known_as(document: &Map<String, Value>) -> Result<Vec<String>, LogError> {
    let malformed = LogError::Member {
        member: "alsoKnownAs",
        expected: "a list of texts",
    };
    match document.get("alsoKnownAs") {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() > ALSO_KNOWN_AS_MAX => Err(LogError::TooMany {
            what: "names in alsoKnownAs",
            max: ALSO_KNOWN_AS_MAX,
        }),
        Some(Value::Array(list)) => list
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(malformed),
        Some(_) => Err(malformed),
    }
}

/// A row that [`LogState::to_stored`] did not write: the store is damaged, or of another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored identity cannot be read: {detail}")]
pub struct StoredStateError {
    detail: String,
}

macro_rules! stored_error_from {
    ($($error:ty),*) => {$(
        impl From<$error> for StoredStateError {
            fn from(error: $error) -> Self {
                Self { detail: error.to_string() }
            }
        }
    )*};
}

stored_error_from!(
    serde_json::Error,
    LogError,
    super::VersionIdError,
    crate::id::IdError,
    crate::key::KeyError
);

#[derive(Serialize, Deserialize)]
struct Stored {
    version_id: String,
    previous: Option<String>,
    version_time: String,
    did: String,
    update_keys: Vec<String>,
    pre_rotation: bool,
    next_key_hashes: Vec<String>,
    portable: bool,
    deactivated: bool,
    witness: Option<StoredRule>,
    witness_in_force: Option<StoredRule>,
    approved_here: Vec<String>,
    debts: Vec<StoredDebt>,
    bytes: usize,
    also_known_as: Vec<String>,
    document: Map<String, Value>,
    record_keys: Vec<String>,
    dropped: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredRule {
    threshold: usize,
    witnesses: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredDebt {
    number: u32,
    rule: StoredRule,
    approved: Vec<String>,
}

impl StoredRule {
    fn of(rule: &WitnessRule) -> Self {
        Self {
            threshold: rule.threshold,
            witnesses: write_keys(&rule.witnesses),
        }
    }

    fn read(self) -> Result<WitnessRule, StoredStateError> {
        Ok(WitnessRule {
            threshold: self.threshold,
            witnesses: read_keys(&self.witnesses)?,
        })
    }
}

fn write_keys(keys: &BTreeSet<PublicKey>) -> Vec<String> {
    keys.iter().map(PublicKey::to_string).collect()
}

fn read_keys(texts: &[String]) -> Result<BTreeSet<PublicKey>, StoredStateError> {
    Ok(texts
        .iter()
        .map(|text| PublicKey::parse(text))
        .collect::<Result<_, _>>()?)
}
