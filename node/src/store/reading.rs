//! Reading authors, their logs and their records: what is held, what counts, and what was before.

use protocol::envelope::Status;
use protocol::id::{LocalId, RecordId, Scid, VersionHash};
use protocol::identity::VersionId;
use protocol::key::PublicKey;
use protocol::time::Timestamp;

use super::each::under_each;
use super::engine::Row;
use super::rows::{AuthorRow, ChangeRow, HeldRow, VersionRow, corrupt};
use super::transaction::{self, Reader};
use super::{Author, Store, StoreError, Version, keys, logs, quota, records, rows};

impl Store {
    /// What is known of an author; `None` if no log is held.
    ///
    /// # Errors
    /// A disk fault.
    pub fn author(&self, scid: &Scid) -> Result<Option<Author>, StoreError> {
        self.author_of(scid, &AuthorRow::read(&*self.engine, scid)?)
    }

    fn author_of(&self, scid: &Scid, row: &AuthorRow) -> Result<Option<Author>, StoreError> {
        let is_full = quota::is_reached(&*self.engine, &self.quotas, scid)?;
        Ok(row.state()?.map(|state| Author {
            state,
            is_disputed: row.is_disputed,
            is_pinned: row.is_pinned,
            has_twins: row.has_twins,
            is_incomplete: row.is_incomplete,
            is_full,
        }))
    }

    /// Every author that is carried and whose log is held, by SCID.
    ///
    /// # Errors
    /// A disk fault.
    pub fn authors(&self) -> Result<Vec<Author>, StoreError> {
        let prefix = keys::authors();
        let mut authors = Vec::new();
        for row in self.engine.range(&prefix, &transaction::after(&prefix)) {
            let (key, row) = row?;
            let scid =
                keys::scid_of_author(&key).ok_or_else(|| corrupt("an author without a name"))?;
            let row: AuthorRow = serde_json::from_slice(&row)
                .map_err(|_| corrupt("an author that does not read"))?;
            if !self.is_blocked(&scid) {
                authors.extend(self.author_of(&scid, &row)?);
            }
        }
        Ok(authors)
    }

    /// All lines of an author's log, first entry first, those of forks among them; none of an author
    /// that is not carried.
    ///
    /// # Errors
    /// A disk fault.
    pub fn log_of(&self, scid: &Scid) -> Result<Vec<Vec<u8>>, StoreError> {
        if self.is_blocked(scid) {
            return Ok(Vec::new());
        }
        let rows = Reader::rows(&*self.engine, &keys::entries(scid))?;
        rows.iter()
            .map(|(_, row)| rows::unpack(logs::split_entry(row)?.1))
            .collect()
    }

    /// The lines of the branch of an author's log that this node goes by, first entry first: what a
    /// did:webvh resolver reads.
    ///
    /// # Errors
    /// A disk fault.
    pub fn active_log_of(&self, scid: &Scid) -> Result<Vec<Vec<u8>>, StoreError> {
        if self.is_blocked(scid) {
            return Ok(Vec::new());
        }
        logs::active_line(&*self.engine, scid)
    }

    /// The newest entry of each line of an author's log that is held, with its date: one, unless the author is
    /// disputed.
    ///
    /// # Errors
    /// A disk fault.
    pub fn log_ends_of(&self, author: &Author) -> Result<Vec<(VersionId, Timestamp)>, StoreError> {
        let head = (author.state.version_id(), author.state.version_time());
        match author.is_disputed {
            true => logs::ends(&*self.engine, author.state.scid()),
            false => Ok(vec![head]),
        }
    }

    /// The witness proofs of an author's log, as `did-witness.json`; `None` if it uses none.
    ///
    /// # Errors
    /// A disk fault.
    pub fn witness_of(&self, scid: &Scid) -> Result<Option<Vec<u8>>, StoreError> {
        if self.is_blocked(scid) {
            return Ok(None);
        }
        self.engine.get(&keys::witness(scid))
    }

    /// The version of a record that counts.
    ///
    /// # Errors
    /// A disk fault.
    pub fn counting(&self, id: &RecordId) -> Result<Option<HeldRow>, StoreError> {
        if self.is_blocked(&id.author) {
            return Ok(None);
        }
        let rows = Reader::rows(&*self.engine, &keys::held_of(id))?;
        self.counting_among(&rows)
    }

    /// The versions of many records that count, in order of record id, read in one pass. A disk fault ends the
    /// iteration as an error.
    pub fn counting_of_each<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i RecordId>,
    ) -> impl Iterator<Item = Result<(RecordId, Option<HeldRow>), StoreError>> {
        let places = ids.into_iter().map(keys::held_of).collect();
        under_each(&*self.engine, places).map(|under| {
            let (place, rows) = under?;
            let id =
                keys::id_of_held_of(&place).ok_or_else(|| corrupt("a row without a record id"))?;
            let counting = match self.is_blocked(&id.author) {
                true => None,
                false => self.counting_among(&rows)?,
            };
            Ok((id, counting))
        })
    }

    fn counting_among(&self, rows: &[Row]) -> Result<Option<HeldRow>, StoreError> {
        let held = rows
            .iter()
            .map(|(_, row)| HeldRow::read(row))
            .collect::<Result<_, _>>()?;
        Ok(records::counting(&self.rules, held))
    }

    /// Every record of an author with the version of it that counts, tombstones included, in order of
    /// local id.
    ///
    /// # Errors
    /// A disk fault.
    pub fn counting_of(&self, author: &Scid) -> Result<Vec<(RecordId, HeldRow)>, StoreError> {
        let mut counting: Vec<(RecordId, HeldRow)> = Vec::new();
        for held in self.held(Some(author)) {
            let (id, _) = held?;
            if counting.last().is_none_or(|(last, _)| *last != id) {
                counting.extend(self.counting(&id)?.map(|row| (id, row)));
            }
        }
        Ok(counting)
    }

    /// The versions of a record that this node knows of, highest number first: those held and those
    /// that were displaced. Bodies of displaced ones are not handed out by this.
    ///
    /// # Errors
    /// A disk fault.
    pub fn history(&self, id: &RecordId) -> Result<Vec<HeldRow>, StoreError> {
        if self.is_blocked(&id.author) {
            return Ok(Vec::new());
        }
        let mut versions = Vec::new();
        for prefix in [keys::held_of(id), keys::past_of(id)] {
            for (_, row) in Reader::rows(&*self.engine, &prefix)? {
                versions.push(HeldRow::read(&row)?);
            }
        }
        versions.sort_by_key(|row| (std::cmp::Reverse(row.rank.seq), row.rank.hash));
        versions.dedup_by_key(|row| row.rank.hash);
        Ok(versions)
    }

    /// The versions of an author's records that this node knows of, held and past, in order of local
    /// id, from the record after `after`; once there are `enough`, the record under way is the last. Whether there are more records is told beside.
    ///
    /// # Errors
    /// A disk fault.
    pub fn history_of(
        &self,
        author: &Scid,
        after: Option<&LocalId>,
        enough: usize,
    ) -> Result<(Vec<Version>, bool), StoreError> {
        if self.is_blocked(author) {
            return Ok((Vec::new(), false));
        }
        let rows_from = |prefix: Vec<u8>| {
            let from = match after {
                Some(local) => keys::after_record(&prefix, local),
                None => prefix.clone(),
            };
            self.engine.range(&from, &transaction::after(&prefix))
        };
        let damaged = || corrupt("a version without a record or a key");
        let mut held = rows_from(keys::held_by(author)).peekable();
        let mut past = rows_from(keys::past_by(author)).peekable();
        let mut versions: Vec<Version> = Vec::new();
        loop {
            let id_of = |row: Option<&Result<Row, StoreError>>,
                         id: fn(&[u8]) -> Option<RecordId>| {
                row.and_then(|row| row.as_ref().ok())
                    .map(|(key, _)| id(key).ok_or_else(damaged))
                    .transpose()
            };
            let next_held = id_of(held.peek(), keys::id_of_held)?;
            let next_past = id_of(past.peek(), keys::id_of_past)?;
            let is_past = match (&next_held, &next_past) {
                (Some(held), Some(past)) => past.local < held.local,
                (held, _) => held.is_none(),
            };
            let row = if is_past { past.next() } else { held.next() };
            let Some(row) = row else {
                return Ok((versions, false));
            };
            let (key, row) = row?;
            let (id, slot) = if is_past {
                (next_past, keys::slot_of_past(&key))
            } else {
                (next_held, keys::slot_of_held(&key))
            };
            let (id, slot) = id.zip(slot).ok_or_else(damaged)?;
            if versions.len() >= enough && versions.last().is_some_and(|last| last.id != id) {
                return Ok((versions, true));
            }
            // The decided rules hold each key's versions in a slot of its own.
            let key = PublicKey::from_bytes(&slot).map_err(|_| damaged())?;
            let row = HeldRow::read(&row)?;
            versions.push(Version { id, key, row });
        }
    }

    /// The highest number that any version of a record has here under a key that counts, held or past:
    /// the next own version must be above it. What a dropped key signed is left aside, or a thief who
    /// took the last number would have ended the record.
    ///
    /// # Errors
    /// A disk fault.
    pub fn highest_seq(&self, id: &RecordId) -> Result<u64, StoreError> {
        let mut highest = 0;
        for (_, row) in Reader::rows(&*self.engine, &keys::held_of(id))? {
            highest = highest.max(HeldRow::read(&row)?.rank.seq);
        }
        let past = Reader::rows(&*self.engine, &keys::past_of(id))?;
        if past.is_empty() {
            return Ok(highest);
        }
        let author = AuthorRow::read(&*self.engine, &id.author)?.state()?;
        let slots: Vec<[u8; 32]> = author
            .iter()
            .flat_map(|state| state.keys().listed().filter(|key| state.keys().counts(key)))
            .map(|key| self.rules.slot(key))
            .collect();
        for (key, row) in past {
            if keys::slot_of_past(&key).is_some_and(|slot| slots.contains(&slot)) {
                highest = highest.max(HeldRow::read(&row)?.rank.seq);
            }
        }
        Ok(highest)
    }

    /// The version with this hash, if it may be handed out: held and not beaten by a tombstone.
    ///
    /// # Errors
    /// A disk fault.
    pub fn by_hash(&self, hash: &VersionHash) -> Result<Option<(RecordId, HeldRow)>, StoreError> {
        let mut seen = None;
        while let Some(VersionRow::Held(change)) = VersionRow::of(&*self.engine, hash)? {
            if let Some(row) = self.engine.get(&keys::change(change))? {
                let ChangeRow::Held(key) = ChangeRow::read(&row)? else {
                    return Err(corrupt("a version whose change is another's"));
                };
                let relayed = self.relayed(&key)?;
                return Ok(relayed.filter(|(_, row)| row.rank.hash == *hash));
            }
            // It was shown again meanwhile, at another place of the log.
            if seen.replace(change) == Some(change) {
                return Err(corrupt("a version whose change is not there"));
            }
        }
        Ok(None)
    }

    /// Whether this version is in the held set.
    ///
    /// # Errors
    /// A disk fault.
    pub fn holds(&self, hash: &VersionHash) -> Result<bool, StoreError> {
        VersionRow::is_held(&*self.engine, hash)
    }

    /// Whether this version is held, or was.
    ///
    /// # Errors
    /// A disk fault.
    pub fn knows(&self, hash: &VersionHash) -> Result<bool, StoreError> {
        Ok(VersionRow::of(&*self.engine, hash)?.is_some())
    }

    /// The past version with this hash, if its key was dropped since and no tombstone counts: so an author
    /// gets back what a thief overwrote. Nobody can hold it as a record again.
    ///
    /// # Errors
    /// A disk fault.
    pub fn past_by_hash(
        &self,
        hash: &VersionHash,
    ) -> Result<Option<(RecordId, HeldRow)>, StoreError> {
        let key = match VersionRow::of(&*self.engine, hash)? {
            Some(VersionRow::Beside(key)) if keys::is_past(&key) => key,
            _ => return Ok(None),
        };
        let damaged = || corrupt("a past version without a record or a key");
        let id = keys::id_of_past(&key).ok_or_else(damaged)?;
        if self.is_blocked(&id.author) {
            return Ok(None);
        }
        let slot = keys::slot_of_past(&key).ok_or_else(damaged)?;
        let signer = PublicKey::from_bytes(&slot).map_err(|_| damaged())?;
        let state = AuthorRow::read(&*self.engine, &id.author)?.state()?;
        let is_dropped =
            state.is_some_and(|state| !state.is_deactivated() && state.keys().was_dropped(&signer));
        let is_withdrawn = self
            .counting(&id)?
            .is_some_and(|row| row.status == Status::Withdrawn);
        if !is_dropped || is_withdrawn {
            return Ok(None);
        }
        let row = self.engine.get(&key)?;
        let row = row.map(|row| HeldRow::read(&row)).transpose()?;
        Ok(row.filter(|row| !row.is_erased()).map(|row| (id, row)))
    }

    /// A held row by its key, unless a tombstone beats it.
    pub(super) fn relayed(&self, key: &[u8]) -> Result<Option<(RecordId, HeldRow)>, StoreError> {
        let id = keys::id_of_held(key).ok_or_else(|| corrupt("a row without a record id"))?;
        if self.is_blocked(&id.author) {
            return Ok(None);
        }
        let rows = Reader::rows(&*self.engine, &keys::held_of(&id))?;
        let relayed = records::relayed(&self.rules, rows)?;
        let row = relayed.into_iter().find(|(held, _)| held == key);
        Ok(row.map(|(_, row)| (id, row)))
    }

    /// Every version that may be handed out of the records of one author, or of all, in order of
    /// record id; a disk fault ends the iteration as an error.
    pub fn held(
        &self,
        author: Option<&Scid>,
    ) -> impl Iterator<Item = Result<(RecordId, HeldRow), StoreError>> + '_ {
        self.all_held(author).filter(|held| {
            held.as_ref()
                .map_or(true, |(id, _)| !self.is_blocked(&id.author))
        })
    }

    /// As [`Store::held`], with those of authors that are not carried.
    pub(super) fn all_held(
        &self,
        author: Option<&Scid>,
    ) -> impl Iterator<Item = Result<(RecordId, HeldRow), StoreError>> + '_ {
        let prefix = author.map_or_else(keys::all_held, keys::held_by);
        let mut rows = self
            .engine
            .range(&prefix, &transaction::after(&prefix))
            .peekable();
        std::iter::from_fn(move || {
            let first = match rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            // One record's rows stand together and differ in the slot at their end.
            let record = keys::record_of_held(&first.0).to_vec();
            let mut of_record = vec![first];
            while let Some(row) = rows.next_if(|row| {
                row.as_ref()
                    .is_ok_and(|(key, _)| keys::record_of_held(key) == record)
            }) {
                match row {
                    Ok(row) => of_record.push(row),
                    Err(error) => return Some(Err(error)),
                }
            }
            Some(records::relayed(&self.rules, of_record))
        })
        .flat_map(|record| match record {
            Ok(held) => held
                .into_iter()
                .map(|(key, row)| {
                    let id = keys::id_of_held(&key)
                        .ok_or_else(|| corrupt("a row without a record id"))?;
                    Ok((id, row))
                })
                .collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Records that wait for a key log or for their date.
    ///
    /// # Errors
    /// A disk fault.
    pub fn parked(&self) -> Result<usize, StoreError> {
        let mut parked = 0;
        for prefix in [keys::all_parked(), keys::all_ahead()] {
            for row in self.engine.range(&prefix, &transaction::after(&prefix)) {
                row?;
                parked += 1;
            }
        }
        Ok(parked)
    }
}
