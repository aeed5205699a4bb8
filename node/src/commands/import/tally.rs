//! What each row does to what is published, and what the source has no longer.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use protocol::envelope::Status;
use protocol::id::{RecordId, Scid};
use protocol::record::Draft;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::refused;
use crate::import::Row;
use crate::node::NodeError;
use crate::origins::Origin;
use crate::publish::{Outcome, Publisher, Writing};
use crate::store::Store;

/// Most names that are kept for the report; the rest is counted.
const NAMED_MAX: usize = 10_000;

/// By what rows are judged.
pub(super) struct Rules {
    pub(super) scid: Scid,
    pub(super) source: String,
    /// Bring back what its owner withdrew.
    pub(super) restores: bool,
}

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) new: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    /// Rows whose records their owner withdrew, and how many of them there are.
    pub(super) withdrawn_rows: Vec<(u64, String)>,
    pub(super) still_withdrawn: u64,
    /// Other sources that rows of this one came from so far.
    pub(super) before: BTreeMap<String, Before>,
    /// Records that no import made, and that this one changes.
    pub(super) overwritten: u64,
}

/// What another source has to do with this one.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Its records that are this one's from now on.
    pub(super) taken_over: u64,
    /// Its records that are not in this one.
    pub(super) left: u64,
}

/// Takes rows as they are read.
pub(super) struct Tally {
    store: Arc<Store>,
    writing: Writing,
    rules: Rules,
    counted: Counted,
    /// Digests of the local ids that were met.
    met: HashSet<[u8; 16]>,
    failed: Option<NodeError>,
}

impl Tally {
    pub(super) fn new(store: Arc<Store>, writing: Writing, rules: Rules) -> Self {
        Self {
            store,
            writing,
            rules,
            counted: Counted::default(),
            met: HashSet::new(),
            failed: None,
        }
    }

    /// Takes a row. A fault is kept until [`Tally::check`]: the reader of files knows none of ours.
    pub(super) fn take(&mut self, row: Row) {
        if self.failed.is_none()
            && let Err(error) = self.try_take(&row)
        {
            self.failed = Some(error);
        }
    }

    pub(super) fn check(&mut self) -> Result<(), NodeError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn try_take(&mut self, row: &Row) -> Result<(), NodeError> {
        let local = row.draft.local();
        self.met.insert(short(local.as_str()));
        let id = RecordId {
            author: self.rules.scid,
            local: local.clone(),
        };
        let origin = Origin::of(&self.store, &id)?;
        let held = self.store.counting(&id)?.map(|held| held.status);
        let is_gone = origin.as_ref().is_some_and(|origin| origin.is_gone);
        if held == Some(Status::Withdrawn)
            && row.draft.status() == Status::Active
            && !(is_gone || self.rules.restores)
        {
            self.counted.still_withdrawn += 1;
            if self.counted.withdrawn_rows.len() < NAMED_MAX {
                let name = local.to_string();
                self.counted.withdrawn_rows.push((row.row, name));
            }
            return Ok(());
        }
        let ours = Origin {
            source: self.rules.source.clone(),
            is_gone: false,
        };
        let news = (origin.as_ref() != Some(&ours)).then_some(ours);
        let outcome = self.writing.add(&row.draft, news)?;
        match outcome {
            Outcome::New => self.counted.new += 1,
            Outcome::Unchanged => self.counted.unchanged += 1,
            Outcome::Changed => {
                self.counted.changed += 1;
                self.counted.overwritten += u64::from(origin.is_none());
            }
        }
        if let Some(origin) = origin.filter(|origin| origin.source != self.rules.source) {
            self.counted
                .before
                .entry(origin.source)
                .or_default()
                .taken_over += 1;
        }
        Ok(())
    }

    /// The records of this source that it has no longer, in order of local id.
    pub(super) fn missing(&mut self) -> Result<Missing, NodeError> {
        let mut missing = Missing::default();
        for held in self.store.held(Some(&self.rules.scid)) {
            let (id, row) = held?;
            if row.status != Status::Active || self.met.contains(&short(id.local.as_str())) {
                continue;
            }
            match Origin::of(&self.store, &id)? {
                Some(origin) if origin.source == self.rules.source => {
                    missing.count += 1;
                    if missing.named.len() < NAMED_MAX {
                        missing
                            .named
                            .push((id.local.to_string(), name_of(&row.canonical()?)));
                    }
                    missing.ids.push(id);
                }
                Some(origin) => {
                    if let Some(before) = self.counted.before.get_mut(&origin.source) {
                        before.left += 1;
                    }
                }
                None => {}
            }
        }
        // A record that is held in two versions came twice.
        missing.ids.dedup();
        missing.named.dedup();
        missing.count = missing.ids.len() as u64;
        Ok(missing)
    }

    pub(super) fn finish(self) -> (Counted, Writing) {
        (self.counted, self.writing)
    }
}

/// What the source has no longer.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) count: u64,
    /// How many of them are withdrawn with this import.
    pub(super) withdrawn: u64,
    /// Their local ids and names, as far as they are listed.
    pub(super) named: Vec<(String, String)>,
    ids: Vec<RecordId>,
}

impl Missing {
    /// Writes down their withdrawal.
    pub(super) fn withdraw(
        &mut self,
        tally: &mut Tally,
        publisher: &Publisher,
    ) -> Result<(), NodeError> {
        let gone = Origin {
            source: tally.rules.source.clone(),
            is_gone: true,
        };
        for id in &self.ids {
            let tombstone: Draft = publisher.tombstone(id).map_err(refused)?;
            tally.writing.add(&tombstone, Some(gone.clone()))?;
            self.withdrawn += 1;
        }
        Ok(())
    }
}

/// What a record calls itself, in whatever language comes first.
fn name_of(record: &[u8]) -> String {
    let record: Option<Value> = serde_json::from_slice(record).ok();
    let name = record.as_ref().and_then(|record| {
        record
            .pointer("/body/name")?
            .as_object()?
            .values()
            .next()?
            .as_str()
    });
    name.unwrap_or_default().chars().take(100).collect()
}

fn short(local: &str) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(Sha256::digest(local.as_bytes())) {
        *to = from;
    }
    short
}
