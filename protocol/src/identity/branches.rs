//! All that is known of one author's log, forks included.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::LogEntry;
use super::state::LogState;
use super::witness::WitnessProofs;
use super::{LogError, VersionId};
use crate::id::Scid;
use crate::limits::LOG_BRANCHES_MAX;
use crate::time::Timestamp;

/// The tree of one author's verified entries, and which line of it this node goes by.
///
/// Two valid entries with one number are a fork: someone signed with a key that was not theirs
/// alone. The line accepted first stays the active one until the operator pins another; the others
/// are kept as evidence, at most [`LOG_BRANCHES_MAX`] lines in all. Entries may come in any order; one
/// whose predecessor is not held is an orphan, to be offered again when something grew.
///
/// A store keeps the canonical bytes of each held entry, the active tip and the witness proofs, and
/// makes the tree from them again with [`Branches::from_rows`].
#[derive(Debug, Clone)]
pub struct Branches {
    scid: Scid,
    held: BTreeMap<VersionId, LogState>,
    tip: Option<VersionId>,
    witness: WitnessProofs,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The active line grew: the author's keys may have changed.
    Grown,
    /// This very entry was held already, perhaps with another proof.
    Held,
    /// Valid, but beside the active line: the author is disputed. Now held as evidence unless it is
    /// itself let go.
    Forked {
        /// Entries that are no longer held, to be removed from the store.
        let_go: Vec<VersionId>,
    },
    /// Held, but waiting for the approval of its witnesses: it changes nothing yet.
    Unwitnessed {
        /// Entries that are no longer held, to be removed from the store.
        let_go: Vec<VersionId>,
    },
    /// Its predecessor is not held. Not checked any further and not held: keep it, within bounds, and
    /// offer it again when this log has grown or forked.
    Orphan,
}

impl Branches {
    /// The tree of an author of whom nothing is known yet.
    pub fn empty(scid: Scid) -> Self {
        Self {
            scid,
            held: BTreeMap::new(),
            tip: None,
            witness: WitnessProofs::empty(),
        }
    }

    /// The tree again from a store's own rows, in any order: every held entry, the active tip, and
    /// the witness proofs. Hashes and rules are checked again, proofs of entries are not.
    ///
    /// # Errors
    /// The [`LogError`] of a row that does not fit: the store is damaged. [`LogError::WrongHash`] also
    /// for a row without its predecessor.
    pub fn from_rows(
        scid: Scid,
        rows: impl IntoIterator<Item = LogEntry>,
        tip: Option<VersionId>,
        witness: WitnessProofs,
    ) -> Result<Self, LogError> {
        let mut tree = Self {
            witness,
            tip,
            ..Self::empty(scid)
        };
        let mut rows: Vec<LogEntry> = rows.into_iter().collect();
        rows.sort_unstable_by_key(LogEntry::version_id);
        for entry in &rows {
            let parent = match entry.version_id().number {
                1 => None,
                _ => Some(tree.parent_of(entry).ok_or(LogError::WrongHash)?),
            };
            let state = LogState::advance(parent, entry, &tree.witness)?;
            tree.held.insert(entry.version_id(), state);
        }
        if tip.is_some_and(|tip| !tree.held.contains_key(&tip)) {
            return Err(LogError::WrongHash);
        }
        Ok(tree)
    }

    /// Verifies an entry against what is held and takes it in. `proofs` are those of the log's
    /// witnesses, if any came along.
    ///
    /// # Errors
    /// Why it is no valid entry of this log. [`LogError::NotYetDue`]: keep it and offer it again.
    pub fn take(
        &mut self,
        entry: &LogEntry,
        now: Timestamp,
        proofs: &WitnessProofs,
    ) -> Result<Taken, LogError> {
        if *entry.scid() != self.scid {
            return Err(LogError::OtherScid {
                expected: self.scid,
                found: *entry.scid(),
            });
        }
        let id = entry.version_id();
        if let Some(held) = self.held.get(&id) {
            let predecessor = match held.previous() {
                None => self.scid.to_string(),
                Some(previous) => previous.to_string(),
            };
            if !entry.follows(&predecessor) {
                return Err(LogError::WrongHash);
            }
            return match self.take_witness_proofs(proofs) {
                true => Ok(Taken::Grown),
                false => Ok(Taken::Held),
            };
        }
        let state = match id.number {
            1 => LogState::begin(entry, now, proofs)?,
            _ => match self.parent_of(entry) {
                None => return Ok(Taken::Orphan),
                Some(parent) => parent.next(entry, now, proofs)?,
            },
        };
        self.witness.adopt(proofs, &id, state.approved_here());
        let is_witnessed = state.is_witnessed();
        self.held.insert(id, state);
        if !is_witnessed {
            let let_go = self.let_go_beyond_limit();
            return Ok(Taken::Unwitnessed { let_go });
        }
        if self.tip.is_none_or(|tip| self.descends(id, tip)) {
            self.tip = Some(id);
            return Ok(Taken::Grown);
        }
        let let_go = self.let_go_beyond_limit();
        Ok(Taken::Forked { let_go })
    }

    /// Counts witness proofs that came after their entries. `true` if the active line grew by it.
    pub fn take_witness_proofs(&mut self, proofs: &WitnessProofs) -> bool {
        if self.held.values().all(LogState::is_witnessed) {
            return false;
        }
        let ids: Vec<VersionId> = self.held.keys().copied().collect();
        for id in ids {
            let Some(mut state) = self.held.remove(&id) else {
                continue;
            };
            let parent = state
                .previous()
                .and_then(|previous| self.held.get(&previous));
            state.count_witnesses(parent, proofs);
            self.witness.adopt(proofs, &id, state.approved_here());
            self.held.insert(id, state);
        }
        let before = self.tip;
        while let Some(next) = self.lowest_witnessed_after_tip() {
            self.tip = Some(next);
        }
        self.tip != before
    }

    /// Makes the line through `version` the active one, at the operator's word; where it forks again
    /// further on, the line that was active or else the lowest. `false`, and nothing changed, if that
    /// entry is not held or not witnessed.
    pub fn pin(&mut self, version: &VersionId) -> bool {
        if !self.held.contains_key(version) {
            return false;
        }
        let active: BTreeSet<VersionId> = self.line(self.tip).collect();
        let mut end = *version;
        while let Some(child) = self
            .children(end)
            .min_by_key(|child| (!active.contains(child), *child))
        {
            end = child;
        }
        let witnessed = self
            .line(Some(end))
            .take_while(|id| id.number >= version.number)
            .find(|id| self.held.get(id).is_some_and(LogState::is_witnessed));
        match witnessed {
            None => false,
            Some(tip) => {
                self.tip = Some(tip);
                true
            }
        }
    }

    /// The author.
    pub fn scid(&self) -> &Scid {
        &self.scid
    }

    /// What the author's log says, by the active line: always witnessed. `None` until a first entry
    /// was taken.
    pub fn head(&self) -> Option<&LogState> {
        self.held.get(&self.tip?)
    }

    /// The state after one held entry, on whatever line.
    pub fn get(&self, version: &VersionId) -> Option<&LogState> {
        self.held.get(version)
    }

    /// The entries of the active line, newest first.
    pub fn active_line(&self) -> impl Iterator<Item = VersionId> {
        self.line(self.tip)
    }

    /// The held entries beside the active line, lowest first.
    pub fn evidence(&self) -> Vec<VersionId> {
        let active: BTreeSet<VersionId> = self.active_line().collect();
        self.held
            .keys()
            .filter(|id| !active.contains(id))
            .copied()
            .collect()
    }

    /// The newest witnessed entry of each line, lowest first: more than one if the log is forked.
    pub fn ends(&self) -> Vec<&LogState> {
        let witnessed = || self.held.values().filter(|state| state.is_witnessed());
        let parents: BTreeSet<VersionId> = witnessed().filter_map(LogState::previous).collect();
        witnessed()
            .filter(|state| !parents.contains(&state.version_id()))
            .collect()
    }

    /// Whether the log is forked: a valid, witnessed entry stands beside the active line.
    pub fn is_disputed(&self) -> bool {
        self.evidence()
            .iter()
            .any(|id| self.held.get(id).is_some_and(LogState::is_witnessed))
    }

    /// The witness proofs that count for some held entry: what a store keeps and a peer is sent.
    pub fn witness_proofs(&self) -> &WitnessProofs {
        &self.witness
    }

    /// The held state that this entry's hash is chained to.
    fn parent_of(&self, entry: &LogEntry) -> Option<&LogState> {
        let number = entry.version_id().number.checked_sub(1)?;
        self.numbered(number)
            .find(|(id, _)| entry.follows(&id.to_string()))
            .map(|(_, state)| state)
    }

    fn numbered(&self, number: u32) -> impl Iterator<Item = (&VersionId, &LogState)> {
        self.held
            .iter()
            .skip_while(move |(id, _)| id.number < number)
            .take_while(move |(id, _)| id.number == number)
    }

    fn children(&self, of: VersionId) -> impl Iterator<Item = VersionId> {
        self.numbered(of.number.saturating_add(1))
            .filter(move |(_, state)| state.previous() == Some(of))
            .map(|(id, _)| *id)
    }

    /// From an entry back to the first.
    fn line(&self, from: Option<VersionId>) -> impl Iterator<Item = VersionId> {
        std::iter::successors(from, |id| self.held.get(id)?.previous())
    }

    fn descends(&self, id: VersionId, from: VersionId) -> bool {
        self.line(Some(id)).find(|id| id.number <= from.number) == Some(from)
    }

    fn lowest_witnessed_after_tip(&self) -> Option<VersionId> {
        let after = |id: &VersionId| match self.tip {
            None => true,
            Some(tip) => *id != tip && self.descends(*id, tip),
        };
        let mut witnessed = self.held.iter().filter(|(_, state)| state.is_witnessed());
        witnessed.find(|(id, _)| after(id)).map(|(id, _)| *id)
    }

    /// Drops the highest lines until the limit is kept: unwitnessed ones first, then by the entries
    /// that differ from the active line, so that all nodes on one line keep the same evidence.
    fn let_go_beyond_limit(&mut self) -> Vec<VersionId> {
        let mut gone = Vec::new();
        loop {
            let active: BTreeSet<VersionId> = self.active_line().collect();
            let parents: BTreeSet<VersionId> =
                self.held.values().filter_map(LogState::previous).collect();
            let mut ends: Vec<(bool, Vec<VersionId>)> = self
                .held
                .iter()
                .filter(|(id, _)| !parents.contains(id) && !active.contains(id))
                .map(|(id, state)| {
                    let mut beside: Vec<VersionId> = self
                        .line(Some(*id))
                        .take_while(|id| !active.contains(id))
                        .collect();
                    beside.reverse();
                    (!state.is_witnessed(), beside)
                })
                .collect();
            if ends.len() < LOG_BRANCHES_MAX {
                return gone;
            }
            ends.sort_unstable();
            let Some((is_unwitnessed, highest)) = ends.pop() else {
                return gone;
            };
            // Only what no other line needs, and of an unwitnessed end no witnessed evidence.
            for (position, id) in highest.iter().rev().enumerate() {
                let shared = self.children(*id).next().is_some();
                let evidence =
                    is_unwitnessed && self.held.get(id).is_some_and(LogState::is_witnessed);
                if position > 0 && (shared || evidence) {
                    break;
                }
                self.held.remove(id);
                self.witness.forget(id);
                gone.push(*id);
            }
        }
    }
}
