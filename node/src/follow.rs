//! Followers of the change log: whatever is derived from records reads the log behind the store and
//! keeps its own position, so that it can be rebuilt at any time.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::envelope::{Header, Status};
use protocol::id::RecordId;
use protocol::record::{Body, Code};
use protocol::sync::Cursor;
use serde_json::{Map, Value};

use crate::labels::Labels;
use crate::search::{Document, Index, SearchError, Writer, WriterBudget};
use crate::store::{Store, StoreError, What};

/// Rows that are read at a time.
const ROWS: usize = 2_000;

/// Rows after which the index is committed although there are more: what a crash would repeat.
const UNCOMMITTED_ROWS_MAX: usize = 50_000;

/// Why the index does not keep up.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Keeps the search index at the end of the change log.
pub struct SearchFollower {
    store: Arc<Store>,
    index: Index,
    labels: Arc<Labels>,
    /// Made when there is first something to write, and again after it failed.
    writer: Mutex<Option<Writer>>,
}

impl SearchFollower {
    /// A follower of `store` that fills `index`.
    pub fn new(store: Arc<Store>, index: Index, labels: Arc<Labels>) -> Self {
        Self {
            store,
            index,
            labels,
            writer: Mutex::default(),
        }
    }

    /// Empties the index and fills it again from the whole log.
    ///
    /// # Errors
    /// As [`SearchFollower::catch_up`].
    pub fn refill(&self, progress: impl FnMut(u64)) -> Result<(), FollowError> {
        self.run(0, progress)?;
        Ok(())
    }

    /// Where the index stands, if that is a place in this log: an index of another log is filled anew.
    fn position(&self) -> Result<u64, FollowError> {
        let cursor = self.index.position().and_then(|text| Cursor::parse(&text));
        let last = self.store.last_change()?;
        let here =
            cursor.filter(|cursor| cursor.epoch == self.store.epoch() && cursor.number <= last);
        Ok(here.map_or(0, |cursor| cursor.number))
    }

    /// Reads the log to its end; `progress` hears how far it is. Gives whether there was anything.
    ///
    /// # Errors
    /// A fault of the store or of the index.
    pub fn catch_up(&self, progress: impl FnMut(u64)) -> Result<bool, FollowError> {
        self.run(self.position()?, progress)
    }

    fn run(&self, from: u64, progress: impl FnMut(u64)) -> Result<bool, FollowError> {
        let mut slot = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = match slot.take() {
            Some(writer) => writer,
            None => self.index.writer(WriterBudget::default())?,
        };
        let is_news = self.fill(&mut writer, from, progress)?;
        // A writer that failed is dropped with the error, and what it had not committed is read again.
        *slot = Some(writer);
        Ok(is_news)
    }

    fn fill(
        &self,
        writer: &mut Writer,
        from: u64,
        mut progress: impl FnMut(u64),
    ) -> Result<bool, FollowError> {
        if from == 0 {
            writer.clear()?;
        }
        let mut position = from;
        let mut uncommitted = 0;
        let mut is_news = false;
        loop {
            let (changes, read_to) = self.store.changes(position, ROWS)?;
            let is_end = read_to == position;
            if uncommitted > 0 && (is_end || uncommitted >= UNCOMMITTED_ROWS_MAX) {
                let cursor = Cursor {
                    epoch: self.store.epoch().to_owned(),
                    number: position,
                };
                writer.commit(&cursor.to_string())?;
                uncommitted = 0;
                progress(position);
            }
            if is_end {
                return Ok(is_news);
            }
            for change in &changes {
                match &change.what {
                    What::Held { id, .. } | What::Judged { id } => self.index_record(writer, id)?,
                    What::Entry { .. } => {}
                }
            }
            position = read_to;
            uncommitted += changes.len().max(1);
            is_news = true;
        }
    }

    /// Makes the index say of a record what counts now.
    fn index_record(&self, writer: &Writer, id: &RecordId) -> Result<(), FollowError> {
        let counting = self
            .store
            .counting(id)?
            .filter(|row| row.status == Status::Active);
        let document = match counting {
            None => None,
            Some(row) => {
                let tree = serde_json::from_slice::<Map<String, Value>>(&row.canonical()?).ok();
                tree.and_then(|tree| self.document(&tree))
            }
        };
        match document {
            Some(document) => writer.put(document)?,
            None => writer.remove(id),
        }
        Ok(())
    }

    /// What is found of a record; `None` if it is of a type or form that is not shown.
    fn document(&self, tree: &Map<String, Value>) -> Option<Document> {
        let header = Header::read(tree).ok()?;
        let document = Document::of(&header, tree).ok()?;
        let body = Body::read(&header.kind, tree.get("body")?.as_object()?).ok()??;
        Some(document.with_labels(self.words_of(&body)))
    }

    /// The labels of a record's codes, in every language, so that words find codes.
    fn words_of(&self, body: &Body) -> Vec<(&str, &str)> {
        let own = |scheme: &'static str, codes: &[Code]| -> Vec<(&str, &str)> {
            codes
                .iter()
                .filter(|code| code.scheme.is_none())
                .flat_map(|code| self.labels.all(scheme, &code.code))
                .collect()
        };
        match body {
            Body::Offering(offering) => [
                own("area", &offering.areas),
                own("topic", &offering.topics),
                own("audience", &offering.audiences),
                self.labels.all("kind", offering.kind).collect(),
            ]
            .concat(),
            Body::Organization(organization) => [
                own("area", &organization.areas),
                own("audience", &organization.audiences),
            ]
            .concat(),
            Body::Solution(solution) => [
                own("area", &solution.areas),
                own("building-block", &solution.building_blocks),
            ]
            .concat(),
            Body::Checkpoint(_) => Vec::new(),
        }
    }
}
