//! A copy of the store while it is written to: its rows as they stand at one moment, the last.
//!
//! The thread that writes also copies, one piece between two commits, in the order of keys. What it
//! commits meanwhile behind the place that the copy has reached goes into the copy after the pieces that
//! are there; what lies before that place is still to come. So whoever applies the changes in their order
//! has the rows of the moment at which the last piece was read, and nobody waits for a write longer than
//! it takes to read one piece.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use protocol::acceptance::Rules;
use protocol::id::{Scid, VersionHash};

use super::compact::Handover;
use super::engine::{Batch, Engine, Row};
use super::rows::{AuthorRow, HeldRow, VersionRow, corrupt};
use super::state::{self, Digest};
use super::transaction::{Reader, after};
use super::{StoreError, keys};
use crate::clock::Stopwatch;

/// Bytes of one piece: what is read while nothing is written.
const PIECE_BYTES: usize = 512 * 1024;

/// Pieces that wait for whoever takes them.
const PIECES_WAITING_MAX: usize = 4;

/// Which part of a store is copied.
#[derive(Debug, Clone)]
pub enum Part {
    /// All of it.
    All,
    /// What these authors published, and what this node knows of itself; nothing of others.
    Of(BTreeSet<Scid>),
}

impl Part {
    /// Whether a row belongs to the part. Of a row that was removed the value is not known: to remove it
    /// from a copy that has it not does no harm.
    fn has(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        let Self::Of(authors) = self else {
            return true;
        };
        match keys::owner(key, value) {
            keys::Owner::Author(scid) => authors.contains(&scid),
            keys::Owner::Node => true,
            // How far others were read: what they have is to be fetched again.
            keys::Owner::Others => false,
            // It comes with the row that it leads to.
            keys::Owner::Held => false,
            keys::Owner::Unknown => value.is_none(),
        }
    }

    /// Whether a row may be in the copy before its place is reached.
    fn leads_ahead(&self, key: &[u8]) -> bool {
        matches!(self, Self::Of(_)) && keys::is_version(key)
    }

    /// What goes into the copy of a row that belongs to the part: the row, and what leads to it where that
    /// does not tell by itself that it belongs to it, too.
    fn with_what_leads_there(
        &self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> Result<impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> + use<>, StoreError> {
        let leads_there = match (self, &value) {
            (Self::Of(_), Some(row)) if keys::is_held(&key) => {
                let row = HeldRow::read(row)?;
                let place = VersionRow::Held(row.change).write();
                Some((keys::version(&row.rank.hash), Some(place)))
            }
            _ => None,
        };
        Ok([(key, value)].into_iter().chain(leads_there))
    }
}

/// Changes to a copy, in the order in which they are applied.
#[derive(Debug, Default)]
pub struct Piece {
    /// A key with its value, or with `None` if it is gone.
    pub changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// With the last piece.
    pub end: Option<Ending>,
}

/// The moment of which a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The state hash of what was copied.
    pub state: VersionHash,
    /// The number of the last change.
    pub last_change: u64,
    /// Versions that may be handed out.
    pub held: u64,
    /// Authors whose log is held.
    pub authors: u64,
}

/// What is done at the moment itself, while nothing is written.
pub(super) type AtEnd = Box<dyn FnOnce() + Send>;

/// The pieces of a copy as they come. The last one has an end, unless they were taken too slowly or the store
/// was closed; a fault of the disk ends them with an error.
pub struct Pieces(Receiver<Result<Piece, StoreError>>);

impl Iterator for Pieces {
    type Item = Result<Piece, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().ok()
    }
}

/// What tells of the moment of which a copy is, to be worked out by whoever takes the copy: to sort a
/// million digests takes longer than writers should wait.
#[derive(Debug)]
pub struct Ending {
    digests: Vec<Digest>,
    changed: BTreeMap<Digest, i32>,
    authors: u64,
    last_change: u64,
}

impl Ending {
    /// The moment of which the copy is.
    pub fn moment(self) -> Moment {
        let Self {
            mut digests,
            mut changed,
            authors,
            last_change,
        } = self;
        digests.retain(|digest| changed.remove(digest).unwrap_or_default() >= 0);
        let came = changed.into_iter().filter(|(_, times)| *times > 0);
        digests.extend(came.map(|(digest, _)| digest));
        Moment {
            held: (digests.len() as u64).saturating_sub(authors),
            state: state::hash(digests),
            last_change,
            authors,
        }
    }
}

/// How long writers wait for whoever takes a copy, if they cannot go on without: then the copy ends.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks whether a piece was taken.
pub(super) const LOOK: Duration = Duration::from_millis(2);

/// What a step came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It went on.
    Moved,
    /// There is no room for another piece.
    Waits,
    /// All was given.
    Whole,
    /// Nobody takes it any more, or it failed.
    Ended,
}

/// A copy in the making, in the hands of the thread that writes.
pub(super) struct Copying {
    part: Part,
    rules: Rules,
    /// The first key that is not copied yet; `None` once all are.
    next: Option<Vec<u8>>,
    digests: Vec<Digest>,
    /// How often each digest came (or, below zero, went) since its row was copied.
    changed: BTreeMap<Digest, i32>,
    authors: i64,
    /// A piece for which there was no room.
    waiting: Option<Piece>,
    out: SyncSender<Result<Piece, StoreError>>,
    at_end: Option<AtEnd>,
    handover: Option<Handover>,
}

/// The digests that a batch is about to change behind the place that a copy has reached.
pub(super) struct Before {
    records: BTreeSet<Vec<u8>>,
    digests: Vec<Digest>,
    authors: i64,
}

impl Copying {
    pub(super) fn new(part: Part, rules: Rules, at_end: AtEnd) -> (Self, Pieces) {
        let (out, pieces) = sync_channel(PIECES_WAITING_MAX);
        let copying = Self {
            part,
            rules,
            next: Some(Vec::new()),
            digests: Vec::new(),
            changed: BTreeMap::new(),
            authors: 0,
            waiting: None,
            out,
            at_end: Some(at_end),
            handover: None,
        };
        (copying, Pieces(pieces))
    }

    /// A copy that takes the place of what is copied.
    pub(super) fn with_handover(mut self, handover: Handover) -> Self {
        self.handover = Some(handover);
        self
    }

    /// What is to be done once all was given.
    pub(super) fn take_handover(&mut self) -> Option<Handover> {
        self.handover.take()
    }

    /// Copies on, and waits for nobody but for whoever is to take over.
    pub(super) fn step(&mut self, engine: &dyn Engine) -> Step {
        if self.waiting.is_none() {
            match self.read(engine) {
                Ok(piece) => self.waiting = piece,
                Err(error) => {
                    self.fail(error);
                    return Step::Ended;
                }
            }
        }
        let Some(piece) = self.waiting.take() else {
            return Step::Ended;
        };
        let is_last = piece.end.is_some();
        if is_last && self.handover.is_some() {
            // Nothing may be written between the last piece and the handover: the copy would lack it.
            return match self.give(piece) {
                true => Step::Whole,
                false => Step::Ended,
            };
        }
        match self.out.try_send(Ok(piece)) {
            Ok(()) if is_last => Step::Whole,
            Ok(()) => Step::Moved,
            Err(TrySendError::Full(piece)) => {
                self.waiting = piece.ok();
                Step::Waits
            }
            Err(TrySendError::Disconnected(_)) => Step::Ended,
        }
    }

    /// Ends the copy with an error.
    pub(super) fn fail(&mut self, error: StoreError) {
        // Whoever made it may have gone, or is too slow to hear of it: the copy has no end then.
        let _ = self.out.try_send(Err(error));
    }

    /// Gives a piece that must be taken before anything more is written; `false` if nobody takes it in time.
    fn give(&self, piece: Piece) -> bool {
        let since = Stopwatch::start();
        let mut piece = Ok(piece);
        loop {
            match self.out.try_send(piece) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if since.elapsed() < TAKEN_WITHIN => piece = back,
                Err(_) => return false,
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The next piece; `None` if the last one was given.
    fn read(&mut self, engine: &dyn Engine) -> Result<Option<Piece>, StoreError> {
        let Some(from) = self.next.take() else {
            return Ok(None);
        };
        let mut piece = Piece {
            changes: Vec::new(),
            end: None,
        };
        let mut bytes = 0;
        // Rows that are counted together, such as all versions of one record.
        let mut together: Vec<Row> = Vec::new();
        for row in engine.range(&from, &after(&[])) {
            let (key, value) = row?;
            let group = state::changed_by(&key);
            let goes_on = group.is_some()
                && together
                    .last()
                    .and_then(|(last, _)| state::changed_by(last))
                    == group;
            if !goes_on {
                self.count(std::mem::take(&mut together))?;
                if bytes >= PIECE_BYTES {
                    self.next = Some(key);
                    return Ok(Some(piece));
                }
            }
            // What is passed over was read as well.
            bytes += key.len() + value.len();
            if !self.part.has(&key, Some(&value)) {
                continue;
            }
            if group.is_some() {
                together.push((key.clone(), value.clone()));
            }
            let rows = self.part.with_what_leads_there(key, Some(value))?;
            piece.changes.extend(rows);
        }
        self.count(together)?;
        if let Some(at_end) = self.at_end.take() {
            at_end();
        }
        piece.end = Some(self.ending(engine)?);
        Ok(Some(piece))
    }

    /// Counts rows that were copied into the state.
    fn count(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut authors = 0;
        let digests = self.digests_of(rows, &mut authors)?;
        self.digests.extend(digests);
        self.authors += authors;
        Ok(())
    }

    /// The digests of an author's row or of all rows of a record; authors are counted in `authors`.
    fn digests_of(&self, rows: Vec<Row>, authors: &mut i64) -> Result<Vec<Digest>, StoreError> {
        match rows.first() {
            None => Ok(Vec::new()),
            Some((key, value)) if keys::is_author(key) => {
                let row: AuthorRow = serde_json::from_slice(value)
                    .map_err(|_| corrupt("an author that does not read"))?;
                let digest = state::of_author(&row)?;
                *authors += i64::from(digest.is_some());
                Ok(digest.into_iter().collect())
            }
            Some(_) => state::of_record(&self.rules, rows),
        }
    }

    /// Whether the rows under a key were copied already.
    fn has_passed(&self, key: &[u8]) -> bool {
        self.next.as_deref().is_some_and(|next| key < next)
    }

    /// Looks at what a batch will change, before it is committed.
    pub(super) fn before(&self, engine: &dyn Engine, batch: &Batch) -> Result<Before, StoreError> {
        let records: BTreeSet<Vec<u8>> = batch
            .iter()
            .filter(|(key, value)| self.has_passed(key) && self.part.has(key, value.as_deref()))
            .filter_map(|(key, _)| state::changed_by(key).map(<[u8]>::to_vec))
            .collect();
        let mut authors = 0;
        let digests = self.digests_under(engine, &records, &mut authors)?;
        Ok(Before {
            records,
            digests,
            authors,
        })
    }

    fn digests_under(
        &self,
        engine: &dyn Engine,
        records: &BTreeSet<Vec<u8>>,
        authors: &mut i64,
    ) -> Result<Vec<Digest>, StoreError> {
        let mut digests = Vec::new();
        for prefix in records {
            digests.extend(self.digests_of(Reader::rows(engine, prefix)?, authors)?);
        }
        Ok(digests)
    }

    /// Takes in what a batch has changed behind the place that was reached; `false` if nobody takes it.
    pub(super) fn add(&mut self, engine: &dyn Engine, batch: &Batch, before: Before) -> bool {
        if self.next.is_none() {
            return true;
        }
        let mut authors = 0;
        match self.digests_under(engine, &before.records, &mut authors) {
            Ok(digests) => {
                for digest in digests {
                    *self.changed.entry(digest).or_default() += 1;
                }
            }
            Err(error) => {
                self.fail(error);
                return false;
            }
        }
        for digest in before.digests {
            *self.changed.entry(digest).or_default() -= 1;
        }
        self.authors += authors - before.authors;
        let mut changes = Vec::new();
        for (key, value) in batch {
            let is_there = self.has_passed(key) || self.part.leads_ahead(key);
            if !is_there || !self.part.has(key, value.as_deref()) {
                continue;
            }
            match self.part.with_what_leads_there(key.clone(), value.clone()) {
                Ok(rows) => changes.extend(rows),
                Err(error) => {
                    self.fail(error);
                    return false;
                }
            }
        }
        if changes.is_empty() {
            return true;
        }
        // What was read before comes before.
        let waiting = self.waiting.take().into_iter();
        waiting
            .chain([Piece { changes, end: None }])
            .all(|piece| self.give(piece))
    }

    fn ending(&mut self, engine: &dyn Engine) -> Result<Ending, StoreError> {
        let last_change = engine.counter(&keys::meta("changes"))?;
        Ok(Ending {
            digests: std::mem::take(&mut self.digests),
            changed: std::mem::take(&mut self.changed),
            authors: u64::try_from(self.authors).unwrap_or_default(),
            last_change,
        })
    }
}
