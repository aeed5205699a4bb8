//! A page of the change feed.

use std::sync::Arc;

use protocol::sync::{Cursor, Filter, Line};

use super::pieces::{PIECE_BYTES, Pieces};
use super::{utf8, whole};
use crate::store::{Change, Store, StoreError, What};

/// Bytes after which a page ends, whatever its limit.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Rows that are read at a time.
const STEP_ROWS: usize = 128;

/// The rows after a place in the log, as lines, the last of which says how far they go.
pub(super) struct Feed {
    store: Arc<Store>,
    filter: Filter,
    limit: usize,
    /// How far the log was read.
    pub(super) read_to: u64,
    /// Rows of the log that may still be read, once there is a line.
    rows_left: usize,
    bytes: usize,
    /// Whether there is a line beside the last.
    pub(super) has_lines: bool,
    has_ended: bool,
}

impl Feed {
    pub(super) fn new(store: Arc<Store>, after: u64, limit: usize, filter: Filter) -> Self {
        Self {
            store,
            filter,
            limit,
            read_to: after,
            rows_left: limit,
            bytes: 0,
            has_lines: false,
            has_ended: false,
        }
    }

    /// The same page, from where this one ended.
    pub(super) fn again(self) -> Self {
        Self::new(self.store, self.read_to, self.limit, self.filter)
    }

    /// Adds some rows to `text`; `false` at the end of the page.
    fn step(&mut self, text: &mut String) -> Result<bool, StoreError> {
        if self.rows_left == 0 {
            // A narrow filter may pass over many rows: a page without lines would bring nobody on.
            if self.has_lines {
                return Ok(false);
            }
            self.rows_left = self.limit;
        }
        let rows = self.rows_left.min(STEP_ROWS);
        let (changes, end) = self.store.changes(self.read_to, rows)?;
        if end == self.read_to {
            return Ok(false);
        }
        for change in changes {
            if let Some(line) = self.line(&change)? {
                self.bytes += line.len();
                self.has_lines = true;
                text.push_str(&line);
            }
            self.read_to = change.number;
            if self.bytes > PAGE_BYTES_MAX {
                return Ok(false);
            }
        }
        self.read_to = end;
        self.rows_left -= rows;
        Ok(true)
    }

    /// What the filter lets through of a change.
    fn line(&self, change: &Change) -> Result<Option<String>, StoreError> {
        let cursor = self.cursor(change.number);
        let line = match &change.what {
            What::Entry { scid, entry } if self.filter.wants_author(scid) => {
                let witness = self.store.witness_of(scid)?;
                let line = Line::Log {
                    scid: *scid,
                    entry: utf8(entry)?,
                    witness: witness.as_deref().map(utf8).transpose()?,
                };
                line.write(Some(&cursor))
            }
            What::Held { id, row: held } => match whole(id, held)? {
                Some(record) if self.store.lets_through(&self.filter, id, &record)? => {
                    let record = utf8(&record)?;
                    Line::Record { record }.write(Some(&cursor))
                }
                // Who reads this may find it elsewhere.
                None if self.filter.wants_author(&id.author) => {
                    let hash = held.rank.hash;
                    Line::Version { hash }.write(Some(&cursor))
                }
                _ => return Ok(None),
            },
            What::Entry { .. } | What::Judged { .. } => return Ok(None),
        };
        Ok(Some(line))
    }

    fn cursor(&self, number: u64) -> Cursor {
        Cursor {
            epoch: self.store.epoch().to_owned(),
            number,
        }
    }
}

impl Pieces for Feed {
    fn piece(&mut self) -> Result<String, StoreError> {
        let mut text = String::new();
        while !self.has_ended && text.len() < PIECE_BYTES {
            if !self.step(&mut text)? {
                text.push_str(&Line::End.write(Some(&self.cursor(self.read_to))));
                self.has_ended = true;
            }
        }
        Ok(text)
    }
}
