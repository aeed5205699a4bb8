//! An organisation: what it means to say, and the tool that it says it with. The tool knows of the log what
//! the organisation's home tells, as that of a hub does.

use std::collections::BTreeMap;

use baraza::keychain::Signer;
use baraza::store::Store;
use protocol::id::Scid;
use protocol::identity::LogEntry;
use protocol::key::PublicKey;
use protocol::record::Draft;
use protocol::time::Timestamp;
use serde_json::json;

use crate::author::{Author, record_key};

/// A stolen record key.
#[derive(Debug, Clone, Copy)]
pub struct Theft {
    /// Its number.
    pub key: u8,
    /// When it was stolen, by the home's clock.
    pub at: Timestamp,
}

/// An organisation.
pub struct Organisation {
    /// Its number among organisations, of which its keys are made.
    pub name: u8,
    /// Its identity.
    pub scid: Scid,
    /// The node that publishes for it.
    pub home: usize,
    /// What it means each of its records to say; nothing of those it withdrew.
    pub wants: BTreeMap<String, Option<String>>,
    /// A key of it that somebody else has, too.
    pub theft: Option<Theft>,
    /// Keys that it has dropped.
    pub dropped: Vec<u8>,
    /// It closed its identity.
    pub is_closed: bool,
    /// Its home was made of an older copy.
    pub was_restored: bool,
    /// Something that it said was lost with the only disk that had it, or was said anew by a home that had
    /// forgotten it: what it means and what is shown may differ.
    pub is_hurt: bool,
    keys: Vec<(u8, PublicKey)>,
    tool: Author,
}

impl Organisation {
    /// A new one.
    pub fn found(name: u8, home: usize, time: Timestamp) -> Self {
        let tool = Author::found(name, &[0], time);
        Self {
            name,
            scid: tool.scid(),
            home,
            wants: BTreeMap::new(),
            theft: None,
            dropped: Vec::new(),
            is_closed: false,
            was_restored: false,
            is_hurt: false,
            keys: vec![(0, record_key(name, 0).public())],
            tool,
        }
    }

    /// A key that was never used.
    pub fn new_key(&mut self) -> u8 {
        let number = self.keys.len() as u8;
        self.keys
            .push((number, record_key(self.name, number).public()));
        number
    }

    /// The tool with what the home knows of the log; `None` if it knows nothing.
    pub fn tool(&mut self, store: &Store) -> Option<&mut Author> {
        let known = store.author(&self.scid).unwrap()?;
        if known.state.version_id() != self.tool.state().version_id() {
            let lines = store.active_log_of(&self.scid).unwrap();
            let entries: Vec<LogEntry> = lines
                .iter()
                .map(|line| LogEntry::parse(line).unwrap())
                .collect();
            self.tool = Author::by_log(self.name, &entries, 0);
        }
        Some(&mut self.tool)
    }

    /// The entries of the log that the tool knows.
    pub fn entries(&self) -> &[LogEntry] {
        &self.tool.entries
    }

    /// The newest key that counts, by what the tool knows.
    pub fn key(&self) -> Option<u8> {
        let ring = self.tool.state().keys();
        let counts = |(_, key): &&(u8, PublicKey)| ring.counts(key);
        self.keys
            .iter()
            .rev()
            .find(counts)
            .map(|(number, _)| *number)
    }

    /// How many keys count.
    pub fn keys_counting(&self) -> usize {
        let ring = self.tool.state().keys();
        ring.listed().filter(|key| ring.counts(key)).count()
    }

    /// What the node signs with.
    pub fn signer(&self, key: u8) -> Signer {
        Signer {
            handle: format!("a{}", self.name),
            did: self.tool.did(),
            key: record_key(self.name, key),
        }
    }
}

/// A draft of an offering.
pub(crate) fn draft(local: &str, says: &str) -> Draft {
    let tree = json!({
        "type": "Offering", "localId": local, "language": "en",
        "body": {"kind": "course", "name": {"en": says}},
    });
    Draft::unchecked(tree.as_object().unwrap(), "CC-BY-4.0").unwrap()
}
