//! What is held, as sets that can be compared with those of another node (docs/protocol.md, 4).
//!
//! A set says of each version when it is dated and its digest, and nothing else. It is read from the
//! store once, kept up from the change log, and let go of when nobody has asked for a while. How
//! messages travel, and what to do about a difference, is somebody else's.

mod framing;
mod items;
mod passed_over;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::envelope::Status;
use protocol::id::{RecordId, Scid, VersionHash};
use protocol::sync::{Cursor, SetName};
use protocol::time::Timestamp;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Stopwatch;
use crate::store::{HeldRow, Store, StoreError};
pub use items::{Items, Member, Tag};
use passed_over::PassedOver;
pub use talk::{Heard, Talk, TalkError, answer};

/// How long the sets stay in memory after they were used.
const IDLE: Duration = Duration::from_secs(600);

/// Comparisons that others are served at a time: each looks at every item of a set.
const PLACES: usize = 2;

/// Rows of the change log that are taken up at a time.
const ROWS: usize = 20_000;

/// Why a message was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is none.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An answer to a message.
#[derive(Debug)]
pub struct Answer {
    /// What to say.
    pub message: Vec<u8>,
    /// A place in the change log: all that was held there is in the set.
    pub cursor: Cursor,
}

/// The sets of one moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// All changes up to this number are in them.
    read_to: u64,
    identities: Arc<Items>,
    records: Arc<Items>,
    /// Whose log has a line with this newest entry.
    heads: Arc<HashMap<VersionHash, Scid>>,
}

impl Snapshot {
    /// The newest entries of the key logs, of forked ones of each line: that an author is disputed is found by
    /// comparing, too.
    pub fn identities(&self) -> &Arc<Items> {
        &self.identities
    }

    /// The versions that may be handed out.
    pub fn records(&self) -> &Arc<Items> {
        &self.records
    }

    /// Whose log has a line with this newest entry.
    pub fn author_by_head(&self, head: &VersionHash) -> Option<Scid> {
        self.heads.get(head).copied()
    }
}

/// The sets of a store. Cheap to clone.
#[derive(Clone)]
pub struct Sets(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    /// Makes tags.
    chance: RandomState,
    /// Held while the sets are read or brought up, which may take seconds.
    kept: Mutex<Option<Kept>>,
    /// As in the snapshot that was made last, for those who must not wait for the next one.
    heads: Mutex<Arc<HashMap<VersionHash, Scid>>>,
    places: Arc<Semaphore>,
    /// What was refused of authors that are not carried.
    passed_over: PassedOver,
}

struct Kept {
    snapshot: Snapshot,
    used: Stopwatch,
}

impl Sets {
    /// The sets of what a store holds; nothing is read yet.
    pub fn new(store: Arc<Store>) -> Self {
        Self(Arc::new(Inner {
            store,
            chance: RandomState::new(),
            kept: Mutex::new(None),
            heads: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            passed_over: PassedOver::default(),
        }))
    }

    /// A place among those who are served; `None` if all are taken.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.places).try_acquire_owned().ok()
    }

    /// Answers another node's message about a set.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(&self, set: &SetName, message: &[u8]) -> Result<Answer, AnswerError> {
        let now = self.now()?;
        let message = match set {
            SetName::Identities => answer(&now.identities, message)?,
            SetName::Records => answer(&now.records, message)?,
            SetName::Author(scid) => {
                let tag = self.0.chance.hash_one(scid) as u32;
                answer(&now.records.of_author(tag), message)?
            }
        };
        Ok(Answer {
            message,
            cursor: Cursor {
                epoch: self.0.store.epoch().to_owned(),
                number: now.read_to,
            },
        })
    }

    /// The sets as they stand now. The first time, every record is read.
    ///
    /// # Errors
    /// A disk fault.
    pub fn now(&self) -> Result<Snapshot, StoreError> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = match kept.take() {
            Some(kept) => kept.snapshot,
            None => self.0.read_all()?,
        };
        self.0.take_up(&mut snapshot)?;
        *self.heads() = Arc::clone(&snapshot.heads);
        *kept = Some(Kept {
            snapshot: snapshot.clone(),
            used: Stopwatch::start(),
        });
        Ok(snapshot)
    }

    /// Whose log has a line with this newest entry, by the sets that were used last: who asks has just compared.
    pub fn author_by_head(&self, head: &VersionHash) -> Option<Scid> {
        self.heads().get(head).copied()
    }

    /// Lets go of the sets if nobody used them for a while.
    pub fn rest(&self) {
        // Whoever has them now is using them.
        if let Ok(mut kept) = self.0.kept.try_lock()
            && kept.as_ref().is_some_and(|kept| kept.used.elapsed() > IDLE)
        {
            *kept = None;
            *self.heads() = Arc::default();
        }
    }

    fn heads(&self) -> std::sync::MutexGuard<'_, Arc<HashMap<VersionHash, Scid>>> {
        self.0.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn read_all(&self) -> Result<Snapshot, StoreError> {
        // What changes while it is read is taken up afterwards.
        let read_to = self.store.last_change()?;
        let mut members = Vec::new();
        for held in self.store.held(None) {
            let (id, row) = held?;
            members.extend(self.member_of(&id, &row)?);
        }
        let mut snapshot = Snapshot {
            read_to,
            records: Arc::new(Items::new(members)),
            ..Snapshot::default()
        };
        self.read_identities(&mut snapshot)?;
        Ok(snapshot)
    }

    /// Brings the sets to the end of the change log.
    fn take_up(&self, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let behind = self.store.last_change()?.saturating_sub(snapshot.read_to);
        if behind > ROWS.max(snapshot.records.count() / 2) as u64 {
            *snapshot = self.read_all()?;
        }
        loop {
            let touched = self.store.touched(snapshot.read_to, ROWS)?;
            if touched.read_to == snapshot.read_to {
                return Ok(());
            }
            let mut members = Vec::new();
            for id in &touched.records {
                for row in self.store.relayed_of(id)? {
                    members.extend(self.member_of(id, &row)?);
                }
            }
            let tags: HashSet<Tag> = touched.records.iter().map(|id| self.tag(id)).collect();
            if !tags.is_empty() {
                Arc::make_mut(&mut snapshot.records).replace(&tags, members);
            }
            if touched.has_logs {
                self.read_identities(snapshot)?;
            }
            snapshot.read_to = touched.read_to;
        }
    }

    fn read_identities(&self, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let mut members = Vec::new();
        let mut heads = HashMap::new();
        for author in self.store.authors()? {
            let scid = *author.state.scid();
            let tag = self.tag_of_author(&scid);
            for (version, dated) in self.store.log_ends_of(&author)? {
                let digest = *version.hash.as_digest();
                members.push(Member::new(dated, digest, tag));
                heads.insert(VersionHash::from_digest(digest), scid);
            }
        }
        snapshot.identities = Arc::new(Items::new(members));
        snapshot.heads = Arc::new(heads);
        Ok(())
    }

    /// Of a log.
    fn tag_of_author(&self, scid: &Scid) -> Tag {
        Tag {
            author: self.chance.hash_one(scid) as u32,
            record: 0,
        }
    }

    fn tag(&self, id: &RecordId) -> Tag {
        Tag {
            author: self.chance.hash_one(id.author) as u32,
            record: self.chance.hash_one(&id.local) as u32,
        }
    }

    /// A version as a member of the set; `None` if it is damaged here, so that it is found elsewhere.
    fn member_of(&self, id: &RecordId, row: &HeldRow) -> Result<Option<Member>, StoreError> {
        /// The one member of a record that is asked for.
        #[derive(Deserialize)]
        struct Dated<'r> {
            issued: &'r str,
        }
        let is_withdrawn = row.status == Status::Withdrawn;
        if !self.store.rules().is_compared(is_withdrawn) {
            return Ok(None);
        }
        let bytes = match row.canonical() {
            Ok(bytes) => bytes,
            Err(StoreError::Corrupt { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let dated = serde_json::from_slice(&bytes).ok();
        let issued = dated.and_then(|dated: Dated<'_>| Timestamp::parse(dated.issued).ok());
        let digest = *row.rank.hash.as_digest();
        Ok(issued.map(|issued| Member::new(issued, digest, self.tag(id))))
    }
}
