//! Authors whose keys, logs and records are made from numbers: the same numbers give the same bytes.

use std::collections::BTreeSet;

use protocol::canonical::to_canonical_without;
use protocol::envelope::Envelope;
use protocol::id::{Did, EntryHash, LocalId, RecordId, Scid};
use protocol::identity::write::{Change, Place, create, update};
use protocol::identity::{LogEntry, LogState, VersionId, WitnessProofs, key_hash};
use protocol::key::SecretKey;
use protocol::proof;
use protocol::record::Draft;
use protocol::time::Timestamp;
use protocol::verified::Proven;
use serde_json::{Map, Value, json};

/// The moment at which the clocks of these tests stand at first.
pub const START: i64 = 1_800_000_000;

/// `seconds` after [`START`].
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(START + seconds)
}

/// An author and all its secrets.
#[derive(Debug, Clone)]
pub struct Author {
    /// Its log, first entry first.
    pub entries: Vec<LogEntry>,
    state: LogState,
    name: u8,
    /// Which of the keys that each entry commits to signs the next one.
    branch: u8,
}

/// A record key of an author, by number.
pub fn record_key(author: u8, number: u8) -> SecretKey {
    secret(author, b'r', number, 0)
}

fn secret(author: u8, purpose: u8, number: u8, branch: u8) -> SecretKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&[author, purpose, number, branch]);
    SecretKey::from_seed(&seed)
}

fn update_key(author: u8, entry: u32, branch: u8) -> SecretKey {
    secret(author, b'u', u8::try_from(entry).unwrap(), branch)
}

impl Author {
    /// A new author whose log lists these record keys.
    pub fn found(name: u8, keys: &[u8], time: Timestamp) -> Self {
        let place = Place::new("hub.example", None, &["orgs", &format!("a{name}")]).unwrap();
        let change = Change {
            place,
            record_keys: keys
                .iter()
                .map(|key| record_key(name, *key).public())
                .collect(),
            next_key_hashes: commitments(name, 2),
            also_known_as: Vec::new(),
            services: Vec::new(),
        };
        let entry = create(&change, &update_key(name, 1, 0), time).unwrap();
        Self {
            state: LogState::begin(&entry, time, &WitnessProofs::empty()).unwrap(),
            entries: vec![entry],
            name,
            branch: 0,
        }
    }

    /// The author.
    pub fn scid(&self) -> Scid {
        *self.state.scid()
    }

    /// Its present DID.
    pub fn did(&self) -> Did {
        self.state.did().clone()
    }

    /// What its log says.
    pub fn state(&self) -> &LogState {
        &self.state
    }

    /// A record of this author.
    pub fn id(&self, local: &str) -> RecordId {
        RecordId {
            author: self.scid(),
            local: LocalId::parse(local).unwrap(),
        }
    }

    /// The log lists these record keys from now on.
    pub fn rotate(&mut self, keys: &[u8], time: Timestamp) -> LogEntry {
        let mut change = Change::of(&self.state);
        change.record_keys = keys
            .iter()
            .map(|key| record_key(self.name, *key).public())
            .collect();
        self.change(change, time)
    }

    /// The author is served elsewhere from now on.
    pub fn move_to(&mut self, host: &str, time: Timestamp) -> LogEntry {
        let mut change = Change::of(&self.state);
        change.place = Place::new(host, None, &[]).unwrap();
        self.change(change, time)
    }

    fn change(&mut self, mut change: Change, time: Timestamp) -> LogEntry {
        let number = self.state.version_id().number + 1;
        change.next_key_hashes = commitments(self.name, number + 1);
        let signer = update_key(self.name, number, self.branch);
        let entry = update(&self.state, &change, &signer, time).unwrap();
        self.push(entry)
    }

    /// Closes the log, by two entries. Record keys stay listed: that nothing counts any more is said
    /// by the deactivation alone.
    pub fn close(&mut self, time: Timestamp) -> Vec<LogEntry> {
        let number = self.state.version_id().number + 1;
        let signer = update_key(self.name, number, self.branch);
        let change = Change::of(&self.state);
        let last = update(&self.state, &change, &signer, time).unwrap();
        let last = self.push(last);
        let parameters = json!({ "updateKeys": [], "deactivated": true });
        vec![last, self.follow(parameters, &signer, time)]
    }

    /// An entry with whatever parameters, its hash and proof made to fit; the document stays.
    pub fn follow(&mut self, parameters: Value, signer: &SecretKey, time: Timestamp) -> LogEntry {
        let time = time.max(self.state.version_time().plus_seconds(1));
        let previous = self.state.version_id();
        let mut tree = Map::new();
        let mut put = |name: &str, value: Value| tree.insert(name.to_owned(), value);
        put("versionId", previous.to_string().into());
        put("versionTime", time.to_string().into());
        put("parameters", parameters);
        put("state", self.state.document().clone().into());
        let version = VersionId {
            number: previous.number + 1,
            hash: EntryHash::of(&to_canonical_without(&tree, "proof")),
        };
        tree.insert("versionId".to_owned(), version.to_string().into());
        let signed = proof::sign(&tree, signer, &signer.public().to_did_key_url(), time);
        tree.insert("proof".to_owned(), json!([signed]));
        self.push(LogEntry::from_tree(tree).unwrap())
    }

    /// As [`Author::follow`], with new update keys that the entry before committed to.
    pub fn follow_with(&mut self, mut parameters: Value, time: Timestamp) -> LogEntry {
        let number = self.state.version_id().number + 1;
        let signer = update_key(self.name, number, self.branch);
        parameters["updateKeys"] = json!([signer.public().to_string()]);
        let next: Vec<String> = commitments(self.name, number + 1)
            .iter()
            .map(EntryHash::to_string)
            .collect();
        parameters["nextKeyHashes"] = json!(next);
        self.follow(parameters, &signer, time)
    }

    fn push(&mut self, entry: LogEntry) -> LogEntry {
        let time = entry.version_time();
        self.state = self
            .state
            .next(&entry, time, &WitnessProofs::empty())
            .unwrap();
        self.entries.push(entry.clone());
        entry
    }

    /// The author as somebody has it who took its first `entries` entries and one of its update keys:
    /// what it writes from there on is another branch.
    pub fn stolen(&self, entries: usize, branch: u8) -> Self {
        Self::by_log(self.name, &self.entries[..entries], branch)
    }

    /// The author as its tool has it that knows these entries of its log, first entry first. `branch` tells
    /// which of the keys that each entry commits to it signs with: 0 but for thieves.
    pub fn by_log(name: u8, entries: &[LogEntry], branch: u8) -> Self {
        let none = WitnessProofs::empty();
        let mut states = entries.iter();
        let first = states.next().unwrap();
        let mut state = LogState::begin(first, first.version_time(), &none).unwrap();
        for entry in states {
            state = state.next(entry, entry.version_time(), &none).unwrap();
        }
        Self {
            entries: entries.to_vec(),
            state,
            name,
            branch,
        }
    }

    /// A version of a record, signed by one of the author's record keys.
    pub fn record(&self, version: &Version<'_>) -> Envelope {
        let mut tree = Map::new();
        let mut put = |name: &str, value: Value| tree.insert(name.to_owned(), value);
        put("type", "Offering".into());
        put("localId", version.local.into());
        put("licence", "CC-BY-4.0".into());
        if version.is_withdrawn {
            put("status", "withdrawn".into());
            put("sources", json!([{ "url": version.says }]));
        } else {
            put(
                "body",
                json!({ "kind": "course", "name": { "en": version.says } }),
            );
        }
        let key = record_key(self.name, version.key);
        Draft::unchecked(&tree, "CC-BY-4.0")
            .unwrap()
            .sign(&self.did(), version.seq, version.issued, &key)
            .unwrap()
    }
}

/// The keys that may sign entry `number`: the branches of a fork sign with one each.
fn commitments(author: u8, number: u32) -> BTreeSet<EntryHash> {
    (0..4)
        .map(|branch| key_hash(&update_key(author, number, branch).public()))
        .collect()
}

/// What a version says.
#[derive(Debug, Clone, Copy)]
pub struct Version<'v> {
    /// The record.
    pub local: &'v str,
    /// The number of the record key that signs it.
    pub key: u8,
    /// The version's number.
    pub seq: u64,
    /// A tombstone.
    pub is_withdrawn: bool,
    /// Its date.
    pub issued: Timestamp,
    /// Its text.
    pub says: &'v str,
}

impl<'v> Version<'v> {
    /// An ordinary version, signed by key 1.
    pub fn of(local: &'v str, seq: u64) -> Self {
        Self {
            local,
            key: 1,
            seq,
            is_withdrawn: false,
            issued: at(0),
            says: "a course",
        }
    }

    /// Signed by another key.
    pub fn by(self, key: u8) -> Self {
        Self { key, ..self }
    }

    /// A tombstone.
    pub fn withdrawn(self) -> Self {
        Self {
            is_withdrawn: true,
            ..self
        }
    }

    /// Saying something else.
    pub fn saying(self, says: &'v str) -> Self {
        Self { says, ..self }
    }

    /// Dated otherwise.
    pub fn issued(self, issued: Timestamp) -> Self {
        Self { issued, ..self }
    }
}

/// The first step of belief, which cannot fail for what [`Author::record`] made.
pub fn proven(envelope: &Envelope) -> Proven {
    envelope.clone().prove().unwrap()
}
