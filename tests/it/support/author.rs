//! An author that holds its own keys and signs whatever a test wants, true or not.

use protocol::canonical::to_canonical;
use protocol::id::{Did, EntryHash, VersionHash};
use protocol::identity::write::{Change, Place, create, update};
use protocol::identity::{LogEntry, LogState, WitnessProofs, key_hash};
use protocol::key::SecretKey;
use protocol::proof::sign;
use protocol::record::Checkpoint;
use protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use super::client::{self, Answer};
use super::{chance, now};

pub(crate) struct Author {
    /// The key that signs records now.
    pub(crate) key: SecretKey,
    /// The key that may sign the next log entry.
    next: SecretKey,
    /// The keys that signed the log's entries so far, in their order.
    pub(crate) spent: Vec<SecretKey>,
    pub(crate) state: LogState,
    /// The log, first entry first.
    pub(crate) log: Vec<Vec<u8>>,
}

pub(crate) fn new_key() -> SecretKey {
    SecretKey::from_seed(&chance())
}

/// A handle that nobody has.
pub(crate) fn new_handle() -> String {
    let bytes = chance();
    let name: String = bytes[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("org-{name}")
}

/// Where a log says that it is served, for a node at this address.
fn place(base: &str, handle: &str) -> Place {
    let (host, port) = client::authority(base).rsplit_once(':').unwrap();
    let is_name = host.contains('.') && host.parse::<std::net::Ipv4Addr>().is_err();
    let host = if is_name { host } else { "node.localhost" };
    Place::new(host, Some(port.parse().unwrap()), &["orgs", handle]).unwrap()
}

impl Author {
    /// A new identity that names the node at `base` as its host. The node does not know of it yet.
    pub(crate) fn at(base: &str) -> Self {
        Self::with_handle(base, &new_handle())
    }

    pub(crate) fn with_handle(base: &str, handle: &str) -> Self {
        Self::made(base, handle, now())
    }

    /// A new identity whose log begins at this time.
    pub(crate) fn dated(base: &str, time: Timestamp) -> Self {
        Self::made(base, &new_handle(), time)
    }

    fn made(base: &str, handle: &str, time: Timestamp) -> Self {
        let (first, next, key) = (new_key(), new_key(), new_key());
        let change = Change {
            place: place(base, handle),
            record_keys: [key.public()].into(),
            next_key_hashes: [key_hash(&next.public())].into(),
            also_known_as: Vec::new(),
            services: Vec::new(),
        };
        let entry = create(&change, &first, time).unwrap();
        Self {
            key,
            next,
            spent: vec![first],
            state: LogState::begin(&entry, time, &WitnessProofs::empty()).unwrap(),
            log: vec![entry.to_canonical_bytes()],
        }
    }

    /// A new identity that the node at `base` hosts.
    pub(crate) fn hosted(base: &str) -> Self {
        let author = Self::at(base);
        let answer = author.hand_log_to(base);
        assert_eq!(answer.status, 201, "{}", answer.text());
        author
    }

    /// The entry that would follow if the author listed this record key only.
    pub(crate) fn next_entry(&self, key: &SecretKey, next: &SecretKey) -> LogEntry {
        let mut change = Change::of(&self.state);
        change.record_keys = [key.public()].into();
        change.next_key_hashes = [key_hash(&next.public())].into();
        update(&self.state, &change, &self.next, now()).unwrap()
    }

    /// The entry that would follow, signed by whatever key: with that key as its update key, or with
    /// the update key that the log expects.
    pub(crate) fn forged_entry(&self, signer: &SecretKey, names_signer: bool) -> Vec<u8> {
        let good = self.next_entry(&new_key(), &new_key()).to_canonical_bytes();
        let mut tree: Map<String, Value> = serde_json::from_slice(&good).unwrap();
        if names_signer {
            tree["parameters"]["updateKeys"] = json!([signer.public().to_string()]);
        }
        self.sealed(tree, signer)
    }

    /// Gives an entry that follows the log its hash and its proof.
    fn sealed(&self, mut tree: Map<String, Value>, signer: &SecretKey) -> Vec<u8> {
        let before = self.state.version_id();
        tree.remove("proof");
        tree.insert("versionId".into(), before.to_string().into());
        let hash = EntryHash::of(&to_canonical(&Value::Object(tree.clone())));
        let version = format!("{}-{hash}", before.number + 1);
        tree.insert("versionId".into(), version.into());
        let method = signer.public().to_did_key_url();
        let proof = sign(&tree, signer, &method, now());
        tree.insert("proof".into(), json!([proof]));
        to_canonical(&Value::Object(tree))
    }

    /// Adds an entry with so many bytes, its proof aside.
    pub(crate) fn grow(&mut self, bytes: usize) {
        let next = new_key();
        // Texts of a length that every reader takes.
        let mut sizes: Vec<usize> = Vec::new();
        let entry = loop {
            let mut change = Change::of(&self.state);
            change.next_key_hashes = [key_hash(&next.public())].into();
            change.services = services(&sizes);
            let entry = update(&self.state, &change, &self.next, now()).unwrap();
            let missing = bytes - bytes_without_proof(&entry.to_canonical_bytes());
            match sizes.last_mut() {
                _ if missing == 0 => break entry,
                _ if missing > 16_000 => sizes.extend(vec![15_000; missing / 16_000]),
                Some(last) if *last + missing <= 16_000 => *last += missing,
                _ => sizes.push(0),
            }
        };
        let time = entry.version_time();
        self.state = self
            .state
            .next(&entry, time, &WitnessProofs::empty())
            .unwrap();
        self.log.push(entry.to_canonical_bytes());
        self.next = next;
    }

    /// The size of the log as it is bounded: proofs aside.
    pub(crate) fn log_bytes(&self) -> usize {
        self.log
            .iter()
            .map(|entry| bytes_without_proof(entry))
            .sum()
    }

    /// The entry that would follow without any services, whether or not it fits.
    pub(crate) fn overfull_entry(&self) -> Vec<u8> {
        let mut tree: Map<String, Value> =
            serde_json::from_slice(self.log.last().unwrap()).unwrap();
        let time = self.state.version_time().plus_seconds(1);
        tree.insert("versionTime".into(), time.to_string().into());
        tree["parameters"]["updateKeys"] = json!([self.next.public().to_string()]);
        tree["state"].as_object_mut().unwrap().remove("service");
        self.sealed(tree, &self.next)
    }

    /// Adds an entry that lists another record key only; gives the key that it drops.
    pub(crate) fn rotate(&mut self) -> SecretKey {
        let (next, key) = (new_key(), new_key());
        let entry = self.next_entry(&key, &next);
        // An entry is dated after the one before it, if need be a second ahead.
        let time = entry.version_time();
        self.state = self
            .state
            .next(&entry, time, &WitnessProofs::empty())
            .unwrap();
        self.log.push(entry.to_canonical_bytes());
        let spent = std::mem::replace(&mut self.next, next);
        self.spent.push(spent);
        std::mem::replace(&mut self.key, key)
    }

    pub(crate) fn did(&self) -> &Did {
        self.state.did()
    }

    pub(crate) fn scid(&self) -> String {
        self.did().scid().to_string()
    }

    pub(crate) fn hand_log_to(&self, base: &str) -> Answer {
        let path = format!("/api/v1/organizations/{}/log", self.scid());
        client::post(base, &path, &self.log.join(&b'\n'))
    }

    /// An offering as a tree that is not signed yet.
    pub(crate) fn offering(&self, local: &str, seq: u64, name: &str) -> Map<String, Value> {
        let tree = json!({
            "spec": "baraza/1", "type": "Offering", "author": self.did().to_string(),
            "localId": local, "seq": seq, "status": "active", "issued": now().to_string(),
            "licence": "CC-BY-4.0", "language": "en",
            "body": {"kind": "course", "name": {"en": name}, "areas": ["cyber"]},
        });
        tree.as_object().unwrap().clone()
    }

    /// Signs whatever it is given with the author's key.
    pub(crate) fn sign(&self, tree: Map<String, Value>) -> Vec<u8> {
        self.sign_with(tree, &self.key)
    }

    pub(crate) fn sign_with(&self, tree: Map<String, Value>, key: &SecretKey) -> Vec<u8> {
        let method = format!("{}#{}", self.did(), key.public());
        self.sign_as(tree, key, &method, now())
    }

    pub(crate) fn sign_as(
        &self,
        mut tree: Map<String, Value>,
        key: &SecretKey,
        method: &str,
        created: Timestamp,
    ) -> Vec<u8> {
        let proof = sign(&tree, key, method, created);
        tree.insert("proof".into(), proof.into());
        to_canonical(&Value::Object(tree))
    }

    /// A signed offering.
    pub(crate) fn record(&self, local: &str, seq: u64, name: &str) -> Vec<u8> {
        self.sign(self.offering(local, seq, name))
    }

    /// The author's signed count of these versions.
    pub(crate) fn checkpoint(&self, seq: u64, counting: &[&[u8]]) -> Vec<u8> {
        let mut hashes: Vec<VersionHash> = counting.iter().map(|it| VersionHash::of(it)).collect();
        let mut tree = self.offering(Checkpoint::LOCAL_ID, seq, "");
        tree.insert("type".into(), "Checkpoint".into());
        let body = json!({
            "count": hashes.len(), "digest": Checkpoint::digest(&mut hashes).to_string(),
            "logVersion": self.state.version_id().to_string(),
        });
        tree.insert("body".into(), body);
        self.sign(tree)
    }

    /// Where a record of this author is read.
    pub(crate) fn path(&self, local: &str) -> String {
        format!("/api/v1/records/{}/{local}", self.scid())
    }
}

/// Services of a document whose texts have these lengths.
fn services(sizes: &[usize]) -> Vec<Value> {
    let service = |(n, size): (usize, &usize)| json!({"id": format!("#s{n:03}"), "type": "Pad", "serviceEndpoint": "x".repeat(*size)});
    sizes.iter().enumerate().map(service).collect()
}

fn bytes_without_proof(entry: &[u8]) -> usize {
    let mut tree: Map<String, Value> = serde_json::from_slice(entry).unwrap();
    tree.remove("proof");
    to_canonical(&Value::Object(tree)).len()
}

/// Hands a record in.
pub(crate) fn hand_in(base: &str, record: &[u8]) -> Answer {
    client::post(base, "/api/v1/records", record)
}
