//! What `fetch` answers: records by hash or id, logs by SCID.

use std::sync::Arc;

use protocol::id::{RecordId, Scid, VersionHash};
use protocol::sync::Line;

use super::pieces::{PIECE_BYTES, Pieces};
use super::{utf8, whole};
use crate::sets::Sets;
use crate::store::{Store, StoreError};

/// The lines of an answer to `fetch`, read a piece at a time.
pub(super) struct Given {
    store: Arc<Store>,
    /// Who says whose log has a newest entry.
    sets: Option<Sets>,
    want: std::vec::IntoIter<String>,
    /// What is left of the log that is being given.
    log: Option<GivenLog>,
    /// Bytes that may still follow.
    room: usize,
}

struct GivenLog {
    scid: Scid,
    witness: Option<Vec<u8>>,
    entries: std::vec::IntoIter<Vec<u8>>,
}

impl Given {
    pub(super) fn new(store: Arc<Store>, want: Vec<String>, room: usize) -> Self {
        Self {
            store,
            sets: None,
            want: want.into_iter(),
            log: None,
            room,
        }
    }

    /// Gives logs by the digest of their newest entry, too: who reconciled knows no more of them.
    pub(super) fn by_heads(self, sets: Sets) -> Self {
        Self {
            sets: Some(sets),
            ..self
        }
    }

    fn line(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            if let Some(log) = &mut self.log {
                if let Some(entry) = log.entries.next() {
                    let line = Line::Log {
                        scid: log.scid,
                        entry: utf8(&entry)?,
                        witness: log.witness.as_deref().map(utf8).transpose()?,
                    };
                    return Ok(Some(line.write(None)));
                }
                self.log = None;
            }
            let Some(id) = self.want.next() else {
                return Ok(None);
            };
            let held = if let Ok(id) = RecordId::parse(&id) {
                self.store.counting(&id)?.map(|held| (id, held))
            } else if let Ok(hash) = VersionHash::parse(&id) {
                let held = match self.store.by_hash(&hash)? {
                    None => self.store.past_by_hash(&hash)?,
                    held => held,
                };
                if held.is_none() {
                    // A hash and an SCID are written alike.
                    let by_head = self.sets.as_ref().and_then(|it| it.author_by_head(&hash));
                    let scid = by_head.unwrap_or(Scid::from_digest(*hash.as_digest()));
                    self.log = Some(GivenLog {
                        witness: self.store.witness_of(&scid)?,
                        entries: self.store.log_of(&scid)?.into_iter(),
                        scid,
                    });
                }
                held
            } else {
                None
            };
            if let Some((id, held)) = held
                && let Some(record) = whole(&id, &held)?
            {
                let record = utf8(&record)?;
                return Ok(Some(Line::Record { record }.write(None)));
            }
        }
    }
}

impl Pieces for Given {
    fn piece(&mut self) -> Result<String, StoreError> {
        let mut text = String::new();
        while text.len() < PIECE_BYTES && self.room > 0 {
            let Some(line) = self.line()? else { break };
            self.room = self.room.saturating_sub(line.len());
            text.push_str(&line);
        }
        Ok(text)
    }
}
