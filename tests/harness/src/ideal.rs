//! The rule of what is held and what counts, written a second time: what every node must come to.

use std::collections::{BTreeMap, BTreeSet};

use protocol::envelope::{Envelope, Status};
use protocol::id::{LocalId, RecordId, VersionHash};
use protocol::identity::LogEntry;

/// The rule once more, for a store that was given everything in order.
#[derive(Debug, Clone, Default)]
pub struct Ideal {
    /// The versions that are handed out.
    pub shown: BTreeSet<VersionHash>,
    /// Of each record the version that counts.
    pub counting: BTreeMap<RecordId, (VersionHash, Status)>,
}

impl Ideal {
    /// What these logs, each from its first entry, and records come to, whatever their order.
    pub fn of<'e>(
        logs: impl IntoIterator<Item = &'e [LogEntry]>,
        records: impl IntoIterator<Item = &'e Envelope> + Clone,
    ) -> Self {
        let mut ideal = Self::default();
        for entries in logs {
            let Some(scid) = entries.first().map(|entry| *entry.scid()) else {
                continue;
            };
            let keys = Self::counting_keys(entries);
            // Per record and key the highest number, and of two with one number the lower hash.
            let mut held: BTreeMap<&str, BTreeMap<&str, &Envelope>> = BTreeMap::new();
            for record in records.clone() {
                let header = record.header();
                let method = record.proof().verification_method();
                let key = method.split_once('#').unwrap().1;
                if *header.author.scid() != scid || !keys.contains(key) {
                    continue;
                }
                let best = held
                    .entry(header.local.as_str())
                    .or_default()
                    .entry(key)
                    .or_insert(record);
                if Self::order(record) > Self::order(best) {
                    *best = record;
                }
            }
            for (local, of_keys) in held {
                let counts = of_keys
                    .values()
                    .max_by_key(|version| Self::order(version))
                    .unwrap();
                let status = counts.header().status;
                ideal.counting.insert(
                    RecordId {
                        author: scid,
                        local: LocalId::parse(local).unwrap(),
                    },
                    (counts.hash(), status),
                );
                match status {
                    Status::Withdrawn => ideal.shown.extend([counts.hash()]),
                    Status::Active => ideal.shown.extend(of_keys.values().map(|v| v.hash())),
                }
            }
        }
        ideal
    }

    fn order(record: &Envelope) -> (u64, std::cmp::Reverse<VersionHash>) {
        (record.header().seq, std::cmp::Reverse(record.hash()))
    }

    /// The keys that the newest entry lists and no earlier one dropped; none once the log is closed.
    fn counting_keys(entries: &[LogEntry]) -> BTreeSet<String> {
        let mut listed = BTreeSet::new();
        let mut dropped = BTreeSet::new();
        for entry in entries {
            let text = serde_json::to_string(&entry.tree()["parameters"]).unwrap();
            if text.contains("\"deactivated\":true") {
                return BTreeSet::new();
            }
            let methods = entry.tree()["state"]["verificationMethod"].as_array();
            let now: BTreeSet<String> = methods
                .into_iter()
                .flatten()
                .map(|method| method["publicKeyMultibase"].as_str().unwrap().to_owned())
                .collect();
            dropped.extend(listed.difference(&now).cloned().collect::<Vec<_>>());
            listed = now;
        }
        listed.difference(&dropped).cloned().collect()
    }
}
