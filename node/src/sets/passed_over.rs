//! What the side that asks adds to its sets: what is of authors that this node does not carry. It is not
//! handed out, so it is in no set that answers; a peer that was told nothing of it would name it each time, and it
//! would cross the line to be refused again.
//!
//! What is held of such an author is read from the store. What was refused since is remembered here, in
//! memory: after a restart it comes once more. Once the author is carried again, none of it is added.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::id::{Did, LocalId, RecordId, Scid, VersionHash};
use protocol::identity::LogEntry;
use protocol::time::Timestamp;
use serde::Deserialize;

use super::items::{Member, Tag};
use super::{Inner, Sets, Snapshot};
use crate::store::StoreError;

/// Most versions and log entries that are remembered, some 10 MB. What comes beyond is refused as often as it
/// is named.
const REMEMBERED_MAX: usize = 100_000;

/// A version with its number, or a log entry with its own.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    number: u64,
    member: Member,
}

/// What was refused of one author.
#[derive(Debug, Default)]
struct OfAuthor {
    versions: HashMap<VersionHash, Ranked>,
    entries: HashMap<VersionHash, Ranked>,
}

/// What was refused, by author.
#[derive(Debug, Default)]
pub(super) struct PassedOver(Mutex<BTreeMap<Scid, OfAuthor>>);

impl PassedOver {
    fn authors(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scid, OfAuthor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, author: Scid, note: impl FnOnce(&mut OfAuthor)) {
        let mut authors = self.authors();
        let count = |of: &OfAuthor| of.versions.len() + of.entries.len();
        if authors.values().map(count).sum::<usize>() < REMEMBERED_MAX {
            note(authors.entry(author).or_default());
        }
    }
}

impl Sets {
    /// The sets as they stand now, with what this node has and leaves out: for comparing what it lacks.
    ///
    /// # Errors
    /// A disk fault.
    pub fn asking(&self) -> Result<Snapshot, StoreError> {
        let mut snapshot = self.now()?;
        let blocked = self.0.store.blocked_authors()?;
        let blocked: HashSet<Scid> = blocked.into_iter().map(|(scid, _)| scid).collect();
        self.0
            .passed_over
            .authors()
            .retain(|scid, _| blocked.contains(scid));
        if blocked.is_empty() {
            return Ok(snapshot);
        }
        let (mut versions, mut heads) = (Vec::new(), Vec::new());
        for scid in &blocked {
            let (held, head) = self.0.held_unseen(scid)?;
            let authors = self.0.passed_over.authors();
            let refused = authors.get(scid);
            let refused_versions = refused
                .into_iter()
                .flat_map(|refused| refused.versions.values());
            versions.extend(newest(held.into_iter().chain(refused_versions.copied())));
            let refused_entries = refused
                .into_iter()
                .flat_map(|refused| refused.entries.values());
            heads.extend(newest(head.into_iter().chain(refused_entries.copied())));
        }
        snapshot.records = Arc::new(snapshot.records.with(versions));
        snapshot.identities = Arc::new(snapshot.identities.with(heads));
        Ok(snapshot)
    }

    /// Remembers which of these records are of authors that are not carried.
    pub fn pass_over<'l>(&self, lines: impl IntoIterator<Item = &'l [u8]>) {
        /// The members that are asked for.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Said<'r> {
            author: &'r str,
            local_id: &'r str,
            seq: u64,
            issued: &'r str,
        }
        if !self.0.store.leaves_out_authors() {
            return;
        }
        for line in lines {
            let note = || {
                let said: Said<'_> = serde_json::from_slice(line).ok()?;
                let id = RecordId {
                    author: *Did::parse(said.author).ok()?.scid(),
                    local: LocalId::parse(said.local_id).ok()?,
                };
                if !self.0.store.is_blocked(&id.author) {
                    return None;
                }
                // Of other bytes than the canonical ones it is another's digest, and remembered in vain.
                let hash = VersionHash::of(line);
                let issued = Timestamp::parse(said.issued).ok()?;
                let member = Member::new(issued, *hash.as_digest(), self.0.tag(&id));
                let version = Ranked {
                    number: said.seq,
                    member,
                };
                self.0.passed_over.note(id.author, |of| {
                    of.versions.insert(hash, version);
                });
                Some(())
            };
            // What does not read is refused at the door.
            let _ = note();
        }
    }

    /// Remembers a log entry that was refused because its author is not carried.
    pub fn pass_over_entry(&self, line: &[u8]) {
        let Ok(entry) = LogEntry::parse(line) else {
            return;
        };
        let version = entry.version_id();
        let digest = *version.hash.as_digest();
        let tag = self.0.tag_of_author(entry.scid());
        let ranked = Ranked {
            number: version.number.into(),
            member: Member::new(entry.version_time(), digest, tag),
        };
        self.0.passed_over.note(*entry.scid(), |of| {
            of.entries.insert(VersionHash::from_digest(digest), ranked);
        });
    }

    /// Whether this version or newest log entry was refused because its author is not carried.
    pub fn is_passed_over(&self, hash: &VersionHash) -> bool {
        let authors = self.0.passed_over.authors();
        authors
            .values()
            .any(|of| of.versions.contains_key(hash) || of.entries.contains_key(hash))
    }
}

impl Inner {
    /// What is held of an author that is not carried: its versions, and the newest entry of its log.
    fn held_unseen(&self, scid: &Scid) -> Result<(Vec<Ranked>, Option<Ranked>), StoreError> {
        let mut versions = Vec::new();
        for held in self.store.held_unseen(scid) {
            let (id, row) = held?;
            let member = self.member_of(&id, &row)?;
            versions.extend(member.map(|member| Ranked {
                number: row.rank.seq,
                member,
            }));
        }
        let head = self.store.state_unseen(scid)?.map(|state| {
            let version = state.version_id();
            let tag = self.tag_of_author(scid);
            Ranked {
                number: version.number.into(),
                member: Member::new(state.version_time(), *version.hash.as_digest(), tag),
            }
        });
        Ok((versions, head))
    }
}

/// Of each record, or log, those with the highest number: what peers have of it by now.
fn newest(all: impl Iterator<Item = Ranked>) -> Vec<Member> {
    let mut newest: HashMap<Tag, Vec<Ranked>> = HashMap::new();
    for ranked in all {
        let of_record = newest.entry(ranked.member.tag()).or_default();
        match of_record.first().map(|first| first.number) {
            Some(number) if ranked.number < number => continue,
            Some(number) if ranked.number > number => of_record.clear(),
            _ => {}
        }
        of_record.push(ranked);
    }
    newest
        .into_values()
        .flatten()
        .map(|ranked| ranked.member)
        .collect()
}
