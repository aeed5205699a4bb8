//! Writing all rows anew, in order, while the store is in use.
//!
//! sled never gives room back and keeps pages that were written again and again in segments that are half
//! dead: a store that grew by following takes almost twice what its rows take when they are written once,
//! in the order of their keys. So they are copied beside, as a backup is (`copy.rs`), the one thread that
//! writes waits for the last of it, and goes on with the copy.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use protocol::acceptance::Rules;

use super::copy::{Copying, Part, Pieces};
use super::embedded::IN_ORDER_BYTES;
use super::engine::{Batch, Engine};
use super::transaction::Durable;
use super::{Store, StoreError};

/// A store that is smaller is not worth it.
const SIZE_MIN: u64 = 64 * 1024 * 1024;

/// What part of the size in order it may have grown by since.
const GROWTH: u64 = 3;

/// How long writers wait for the last of the copy to be on disk.
const HANDOVER_WITHIN: Duration = Duration::from_secs(60);

/// What became smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
}

/// Where the thread that writes waits, once everything was copied, until the copy is whole.
pub(super) struct Handover {
    is_whole: Receiver<()>,
    done: SyncSender<Result<(), StoreError>>,
}

impl Handover {
    /// Waits for the copy and goes on with it. Whoever is too slow, or gave up, changes nothing.
    pub(super) fn carry_out(self, engine: &dyn Engine, durable: &Durable) {
        if self.is_whole.recv_timeout(HANDOVER_WITHIN).is_ok() {
            // Who waits for it may have gone; it is done all the same.
            let _ = self.done.send(durable.take_over(engine));
        }
    }
}

/// The other end of a [`Handover`].
struct Filled {
    is_whole: SyncSender<()>,
    done: Receiver<Result<(), StoreError>>,
}

impl Store {
    /// Whether the store has grown so much since its rows were written in order that it is worth doing it
    /// again.
    ///
    /// # Errors
    /// A disk fault.
    pub fn is_sprawling(&self) -> Result<bool, StoreError> {
        let (size, in_order) = (self.size_on_disk()?, self.engine.size_in_order()?);
        Ok(size > SIZE_MIN && size > in_order + in_order / GROWTH)
    }

    /// Writes all rows anew, in order; others read and write meanwhile. It takes as long as reading and
    /// writing all of it does, and as much room on the disk until it is done. `None` if the engine keeps
    /// nothing on disk. `progress` hears how many rows were copied.
    ///
    /// # Errors
    /// The disk, a store that is closed meanwhile, or one that is being compacted already. The store is as
    /// it was.
    pub fn compact(&self, progress: &mut dyn FnMut(u64)) -> Result<Option<Compacted>, StoreError> {
        let before = self.size_on_disk()?;
        self.engine.check_room(before)?;
        if !self.engine.begin_anew()? {
            return Ok(None);
        }
        let filled = self.fill_anew(progress);
        self.engine.end_anew();
        filled?;
        let after = self.size_on_disk()?;
        Ok(Some(Compacted { before, after }))
    }

    fn fill_anew(&self, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        let (copying, pieces, filled) = begin(self.rules);
        self.writer.copy(copying);
        let (mut batch, mut bytes) = (Batch::new(), 0);
        let (mut rows, mut is_whole) = (0, false);
        for piece in pieces {
            let piece = piece?;
            rows += piece.changes.len() as u64;
            for (key, value) in piece.changes {
                bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                batch.insert(key, value);
            }
            is_whole = piece.end.is_some();
            if bytes >= IN_ORDER_BYTES || is_whole {
                self.engine.add_anew(&std::mem::take(&mut batch))?;
                bytes = 0;
                progress(rows);
            }
            // The thread that writes waits now, with the other end in its hand.
            if is_whole {
                break;
            }
        }
        if !is_whole {
            return Err(StoreError::Closed);
        }
        filled.is_whole.send(()).map_err(|_| StoreError::Closed)?;
        filled.done.recv().map_err(|_| StoreError::Closed)?
    }
}

fn begin(rules: Rules) -> (Copying, Pieces, Filled) {
    let (copying, pieces) = Copying::new(Part::All, rules, Box::new(|| ()));
    // Nothing is sent that is not taken: who gave up waiting hands nothing over later.
    let (is_whole, waits) = sync_channel(0);
    let (tells, done) = sync_channel(1);
    let handover = Handover {
        is_whole: waits,
        done: tells,
    };
    (
        copying.with_handover(handover),
        pieces,
        Filled { is_whole, done },
    )
}
