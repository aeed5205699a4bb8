//! Publishing what belongs to this node: drafts become signed records and go through the one door.

mod journal;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use journal::Writing;

use protocol::envelope::{EnvelopeError, Header, Status};
use protocol::id::{LocalId, RecordId, Scid, VersionHash};
use protocol::identity::LogEntry;
use protocol::limits::INTEGER_MAX;
use protocol::record::{Checkpoint, Draft};
use protocol::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::clock::SharedClock;
use crate::ingest::{Ingest, IngestError};
use crate::keychain::Signer;
use crate::restore::{self, Told};
use crate::standing::{Held, Numbering, Standing, StandingError};
use crate::store::{HeldRow, Store, StoreError};

/// Records signed between two words of how far it is.
const BATCH: usize = 512;

/// Records written as one transaction, which happens whole or not at all. More of them would need more
/// memory than a small machine has.
const TOGETHER_MAX: usize = 20_000;

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The record is new.
    New,
    /// The record has a new version.
    Changed,
    /// The published version already says it.
    Unchanged,
}

/// One published draft.
#[derive(Debug, Clone, Serialize)]
pub struct Published {
    /// The record, `SCID/localId`.
    pub id: String,
    /// The version's number.
    pub seq: u64,
    /// The version's digest.
    pub version: String,
    /// What became of the draft.
    pub outcome: Outcome,
}

/// Why something is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The draft cannot be signed.
    #[error("{local}: {error}")]
    Draft {
        /// The draft's local id.
        local: LocalId,
        /// Why.
        error: EnvelopeError,
    },
    /// A version has one of the last numbers that there are: what is signed by the same key cannot be newer.
    #[error(
        "{id} has a version with one of the last numbers that there are, and under this key none can be newer. If it is not yours, the key was stolen: run `baraza org rotate HANDLE --compromised`; if it is, `baraza org rotate HANDLE`"
    )]
    LastNumber {
        /// The record.
        id: RecordId,
    },
    /// Our own door refused it: the key is retired, or the store full.
    #[error("{local}: {error}")]
    Refused {
        /// The draft's local id.
        local: LocalId,
        /// Why.
        error: IngestError,
    },
    /// Two drafts are of one record.
    #[error("“{local}” stands twice among what is to be published: nothing was published")]
    Twice {
        /// Its name.
        local: LocalId,
    },
    /// A new key was refused.
    #[error(transparent)]
    Key(#[from] IngestError),
    /// There is nothing to withdraw.
    #[error("{id} is not a record of this node that is published")]
    NotPublished {
        /// The record.
        id: RecordId,
    },
    /// Nothing may be published just now.
    #[error(transparent)]
    Held(#[from] Held),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of what is to be published.
    #[error("{}: {error}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl From<StandingError> for PublishError {
    fn from(error: StandingError) -> Self {
        match error {
            StandingError::Held(held) => Self::Held(held),
            StandingError::Store(error) => Self::Store(error),
        }
    }
}

/// Signs and publishes. One at a time, so that no version number is given twice. Clones share the turn.
#[derive(Clone)]
pub struct Publisher {
    store: Arc<Store>,
    standing: Standing,
    ingest: Ingest,
    clock: SharedClock,
    journal: Arc<Path>,
    turn: Arc<Mutex<()>>,
}

impl Publisher {
    /// A publisher into a store. Much at once goes by way of the file `journal`.
    pub fn new(store: Arc<Store>, ingest: Ingest, clock: SharedClock, journal: PathBuf) -> Self {
        Self {
            standing: Standing::new(Arc::clone(&store)),
            store,
            ingest,
            clock,
            journal: journal.into(),
            turn: Arc::default(),
        }
    }

    /// Publishes drafts of one author, up to 20,000 of them as one transaction; `progress` hears how
    /// many are signed. What is already said is left as it is.
    ///
    /// # Errors
    /// The first draft that cannot be published. Up to 20,000, none of them is, unless it was the door
    /// that refused one.
    pub async fn publish(
        &self,
        signer: &Signer,
        drafts: &[Draft],
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Published>, PublishError> {
        let _turn = self.turn.lock().await;
        let numbering = self.standing.numbering()?;
        let mut locals = BTreeSet::new();
        for draft in drafts {
            if !locals.insert(draft.local()) {
                let local = draft.local().clone();
                return Err(PublishError::Twice { local });
            }
        }
        let mut published = Vec::with_capacity(drafts.len());
        for together in drafts.chunks(TOGETHER_MAX) {
            let mut signed = Vec::with_capacity(together.len());
            let mut numbered = Vec::new();
            for batch in together.chunks(BATCH) {
                for draft in batch {
                    let (record, line) = self.sign(signer, draft, &numbering)?;
                    if line.is_some() {
                        numbered.extend(numbering.row(&record.id));
                    }
                    published.push(record);
                    signed.extend(line.map(|line| (draft.local().clone(), line)));
                }
                progress(published.len());
            }
            let (locals, lines): (Vec<_>, Vec<_>) = signed.into_iter().unzip();
            let receipts = self.ingest.records(lines, None, numbered).await?;
            for (local, receipt) in locals.into_iter().zip(receipts) {
                receipt.map_err(|error| PublishError::Refused { local, error })?;
            }
        }
        Ok(published)
    }

    /// Publishes a log entry that changes an author's record key, together with every published record
    /// signed anew, tombstones included: what the old key signed no longer counts. With `as_of` they say
    /// again what they said at that moment, and what came later is left out. It happens whole or not at
    /// all. Gives how many were signed.
    ///
    /// # Errors
    /// As [`Publisher::publish`]; nothing is changed then.
    pub async fn change_key(
        &self,
        entry: &LogEntry,
        signer: &Signer,
        jump: u64,
        as_of: Option<Timestamp>,
    ) -> Result<usize, PublishError> {
        let _turn = self.turn.lock().await;
        let numbering = self.standing.numbering_under_new_key()?;
        let now = self.clock.now();
        let scid = signer.did.scid();
        let rows = match as_of {
            None => self
                .store
                .counting_of(scid)?
                .into_iter()
                .map(|(_, row)| row)
                .collect(),
            Some(moment) => self.stood_at(scid, moment)?,
        };
        let mut lines = Vec::new();
        for row in rows {
            let (header, draft) = self.draft_of(&row)?;
            if header.local.as_str() == Checkpoint::LOCAL_ID {
                // It would speak of the log before this entry; the next one is made in due time.
                continue;
            }
            let seq = numbering.anew(header.seq, jump, now);
            let envelope = draft
                .sign(&signer.did, seq, now, &signer.key)
                .map_err(|error| PublishError::Draft {
                    local: header.local,
                    error,
                })?;
            lines.push(envelope.canonical().to_vec());
        }
        let count = lines.len();
        self.ingest.log_entry_with(entry.clone(), lines).await?;
        Ok(count)
    }

    /// The versions of an author's records that stood at a moment.
    fn stood_at(&self, scid: &Scid, moment: Timestamp) -> Result<Vec<HeldRow>, PublishError> {
        let author = self.store.author(scid)?;
        let (mut versions, _) = self.store.history_of(scid, None, usize::MAX)?;
        // What was erased cannot be said again.
        versions.retain(|version| !version.row.is_erased());
        let told = versions.iter().map(|version| Told {
            id: version.id.clone(),
            seq: version.row.rank.seq,
            hash: version.row.rank.hash,
            received: version.row.received,
            counts: author
                .as_ref()
                .is_some_and(|author| author.state.keys().counts(&version.key)),
        });
        let chosen = restore::choose(told, Some(moment));
        let chosen: BTreeSet<VersionHash> = chosen.values().map(|told| told.hash).collect();
        let rows = versions.into_iter().map(|version| version.row);
        Ok(rows.filter(|row| chosen.contains(&row.rank.hash)).collect())
    }

    /// Withdraws a record: a tombstone takes its place, for good.
    ///
    /// # Errors
    /// [`PublishError::NotPublished`], or as [`Publisher::publish`].
    pub async fn withdraw(
        &self,
        signer: &Signer,
        local: &LocalId,
    ) -> Result<Published, PublishError> {
        let id = RecordId {
            author: *signer.did.scid(),
            local: local.clone(),
        };
        let tombstone = self.tombstone(&id)?;
        let published = self.publish(signer, &[tombstone], |_| {}).await?;
        let missing = || PublishError::NotPublished { id };
        published.into_iter().next().ok_or_else(missing)
    }

    /// What is published to withdraw a record.
    ///
    /// # Errors
    /// [`PublishError::NotPublished`], or a disk fault.
    pub fn tombstone(&self, id: &RecordId) -> Result<Draft, PublishError> {
        let row = self
            .store
            .counting(id)?
            .filter(|row| row.status == Status::Active)
            .ok_or_else(|| PublishError::NotPublished { id: id.clone() })?;
        let (header, _) = self.draft_of(&row)?;
        Ok(Draft::withdrawal(
            &header.kind,
            id.local.clone(),
            &header.licence,
        ))
    }

    /// Publishes how many records the author has, so that anyone can see that a host holds some back.
    /// Nothing is done if the last checkpoint still says it, or is younger than `pause_seconds`.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn checkpoint(
        &self,
        signer: &Signer,
        pause_seconds: i64,
    ) -> Result<Option<Published>, PublishError> {
        let scid = signer.did.scid();
        let damaged = |_| StoreError::Corrupt {
            detail: "the local id of checkpoints".to_owned(),
        };
        let local = LocalId::parse(Checkpoint::LOCAL_ID).map_err(damaged)?;
        let id = RecordId {
            author: *scid,
            local,
        };
        let Some(author) = self.store.author(scid)? else {
            return Ok(None);
        };
        // Whoever took its keys over speaks for itself.
        if !author.state.keys().counts(&signer.key.public()) {
            return Ok(None);
        }
        let mut counting = Vec::new();
        for row in self.store.counting_of(scid)? {
            let (of, row) = row;
            if of != id {
                counting.push(row.rank.hash);
            }
        }
        let last = self.store.counting(&id)?;
        let is_young = match &last {
            None => counting.is_empty(),
            Some(row) => {
                self.clock.now().seconds_after(self.draft_of(row)?.0.issued) < pause_seconds
            }
        };
        if is_young {
            return Ok(None);
        }
        let draft = Checkpoint::draft(&mut counting, &author.state.version_id());
        let draft = draft.map_err(|error| PublishError::Draft {
            local: id.local.clone(),
            error,
        })?;
        let published = self.publish(signer, &[draft], |_| {}).await?;
        Ok(published
            .into_iter()
            .find(|published| published.outcome != Outcome::Unchanged))
    }

    fn sign(
        &self,
        signer: &Signer,
        draft: &Draft,
        numbering: &Numbering,
    ) -> Result<(Published, Option<Vec<u8>>), PublishError> {
        let id = RecordId {
            author: *signer.did.scid(),
            local: draft.local().clone(),
        };
        let counting = self.store.counting(&id)?;
        if let Some(row) = &counting {
            let tree = tree_of(row)?;
            if draft.is_said_by(&tree) {
                let published = describe(&id, row.rank.seq, row.rank.hash, Outcome::Unchanged);
                return Ok((published, None));
            }
        }
        let highest = self.store.highest_seq(&id)?;
        let now = self.clock.now();
        let seq = numbering.after(&self.store, &id, highest, now)?;
        // After the last number counting begins anew, which helps under a new key alone.
        if seq <= highest || seq > INTEGER_MAX.unsigned_abs() {
            return Err(PublishError::LastNumber { id });
        }
        let envelope = draft
            .sign(&signer.did, seq, now, &signer.key)
            .map_err(|error| PublishError::Draft {
                local: draft.local().clone(),
                error,
            })?;
        let outcome = if counting.is_some() {
            Outcome::Changed
        } else {
            Outcome::New
        };
        let published = describe(&id, seq, envelope.hash(), outcome);
        Ok((published, Some(envelope.canonical().to_vec())))
    }

    fn draft_of(&self, row: &HeldRow) -> Result<(Header, Draft), PublishError> {
        let tree = tree_of(row)?;
        let damaged = || StoreError::Corrupt {
            detail: "a record of ours that does not read".to_owned(),
        };
        let header = Header::read(&tree).map_err(|_| damaged())?;
        let draft = Draft::unchecked(&tree, &header.licence).map_err(|_| damaged())?;
        Ok((header, draft))
    }
}

fn describe(id: &RecordId, seq: u64, hash: VersionHash, outcome: Outcome) -> Published {
    Published {
        id: id.to_string(),
        seq,
        version: hash.to_string(),
        outcome,
    }
}

fn tree_of(row: &HeldRow) -> Result<Map<String, Value>, StoreError> {
    match serde_json::from_slice(&row.canonical()?) {
        Ok(Value::Object(tree)) => Ok(tree),
        _ => Err(StoreError::Corrupt {
            detail: "a record that is no object".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::{Clock as _, ManualClock, SystemClock};
    use crate::testing::node_with_org;

    #[tokio::test]
    async fn t07_no_version_number_goes_back_with_the_clock_and_the_newest_version_counts() {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let (node, _folder) = node_with_org(clock.clone()).await;
        let signer = node.keychain.signer("org").unwrap();
        let publish = async |name: &str| {
            let draft = json!({
                "type": "Offering", "localId": "a", "language": "en",
                "body": {"kind": "course", "name": {"en": name}, "areas": ["cyber"]},
            });
            let drafts = [Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap()];
            let published = node.publisher.publish(&signer, &drafts, |_| {}).await;
            published.unwrap().pop().unwrap().seq
        };
        assert_eq!(publish("before").await, 1);
        clock.advance(-3_600);
        assert_eq!(publish("an hour earlier").await, 2);
        clock.advance(7_200);
        assert_eq!(publish("later").await, 3);
        let id = RecordId {
            author: *signer.did.scid(),
            local: LocalId::parse("a").unwrap(),
        };
        let shown = node.catalogue.record(&id).unwrap().unwrap();
        assert_eq!(shown.header.seq, 3);
        assert_eq!(shown.name(&["en"]).unwrap().1, "later");
        node.stop().await;
    }

    #[tokio::test]
    async fn after_a_thief_took_the_last_number_nothing_is_published_unseen_and_the_way_out_is_named()
     {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let (node, _folder) = node_with_org(clock.clone()).await;
        let signer = node.keychain.signer("org").unwrap();
        let draft = json!({
            "type": "Offering", "localId": "a", "language": "en",
            "body": {"kind": "course", "name": {"en": "stolen"}, "areas": ["cyber"]},
        });
        let draft = Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
        let last = INTEGER_MAX.unsigned_abs();
        let forged = draft.sign(&signer.did, last, clock.now(), &signer.key);
        let forged = forged.unwrap();
        node.ingest.record(forged.canonical(), None).await.unwrap();
        let own = Draft::withdrawal("Offering", draft.local().clone(), "CC-BY-4.0");
        for alone in [false, true] {
            if alone {
                // A restored node would number with a jump.
                let why = crate::standing::Why::Lost;
                let standing = Standing::new(Arc::clone(&node.store));
                standing.hold(why, "m".to_owned()).await.unwrap();
                standing
                    .settle(crate::standing::Settled::Alone)
                    .await
                    .unwrap();
            }
            let refused = node
                .publisher
                .publish(&signer, std::slice::from_ref(&own), |_| {})
                .await;
            let error = refused.unwrap_err();
            assert!(matches!(error, PublishError::LastNumber { .. }), "{error}");
            assert!(error.to_string().contains("--compromised"));
        }
        node.stop().await;
    }
}
