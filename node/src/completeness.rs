//! Complete as of: whether all is here that an author said it had, by its own checkpoints.
//!
//! A follower of the change log: it looks at the authors of whom something changed and keeps of each what
//! came out, so that what was complete stays so told while the author goes on. Where something is
//! missing, those peers are named who gave the checkpoint and not what it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::envelope::{Envelope, Header, Status};
use protocol::id::{LocalId, RecordId, Scid, VersionHash};
use protocol::record::{Body, Checkpoint, Completeness};
use protocol::sync::Cursor;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::store::{HeldRow, Named, NamedRows, Store, StoreError};

/// What came out, by author.
const TABLE: &str = "complete";
/// Up to where in the change log it holds: the one name in that table which is no author's.
const POSITION: &str = "position";
/// Which peer gave which checkpoint.
const GIVEN: &str = "given";

/// Rows of the change log that are read at a time.
const ROWS: usize = 10_000;

/// How complete an author is here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HowComplete {
    /// The author's count that was last the same as what is here.
    pub complete: Option<Count>,
    /// A later one that was not.
    pub lacking: Option<Count>,
}

/// What an author said it had, and what was here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    as_of: i64,
    /// Records that it had then, withdrawn ones among them.
    pub named: u64,
    /// Records of it that were here when this was judged.
    pub held: u64,
    /// The version of the checkpoint.
    checkpoint: String,
}

impl HowComplete {
    /// The newest count that could be judged, and whether all of it is here.
    pub fn newest(&self) -> Option<(&Count, bool)> {
        let lacking = self.lacking.as_ref().map(|count| (count, false));
        lacking.or_else(|| self.complete.as_ref().map(|count| (count, true)))
    }
}

impl Count {
    /// When the author said so.
    pub fn as_of(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.as_of)
    }
}

/// A peer gives an author's checkpoint and not all that it counts.
#[derive(Debug, Clone)]
pub struct HeldBack {
    /// The author.
    pub author: Scid,
    /// What it counted.
    pub count: Count,
}

/// Keeps told how complete each author is.
pub struct Comparison {
    store: Arc<Store>,
    /// One reading of the change log at a time.
    turn: Mutex<()>,
}

impl Comparison {
    /// A comparison over a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            turn: Mutex::default(),
        }
    }

    /// Reads the change log to its end and judges each author of whom something changed.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn advance(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let store = Arc::clone(&self.store);
        let judged = tokio::task::spawn_blocking(move || judge_changed(&store)).await;
        let Some((judged, position)) = judged.map_err(|_| StoreError::Closed)?? else {
            return Ok(());
        };
        let put = move |rows: &mut NamedRows<'_, '_>| {
            for (scid, standing) in judged {
                if standing.lacking.is_none() {
                    rows.note_complete(&scid)?;
                }
                let row = serde_json::to_vec(&standing).map_err(damaged)?;
                rows.put(TABLE, &scid.to_string(), row);
            }
            rows.put(TABLE, POSITION, position.to_string().into_bytes());
            Ok(())
        };
        self.store.change_named(put).await
    }

    /// How complete an author is here.
    ///
    /// # Errors
    /// A disk fault.
    pub fn of(&self, scid: &Scid) -> Result<HowComplete, StoreError> {
        known_of(&self.store, scid)
    }

    /// What each peer holds back, by its address.
    ///
    /// # Errors
    /// A disk fault.
    pub fn held_back(&self) -> Result<BTreeMap<String, Vec<HeldBack>>, StoreError> {
        let mut lacking = BTreeMap::new();
        for (name, row) in self.store.all_named(TABLE)? {
            if name != POSITION {
                let standing: HowComplete = serde_json::from_slice(&row).map_err(damaged)?;
                lacking.extend(standing.lacking.map(|lacking| (name, lacking)));
            }
        }
        let mut held_back: BTreeMap<String, Vec<HeldBack>> = BTreeMap::new();
        if lacking.is_empty() {
            return Ok(held_back);
        }
        for (name, checkpoint) in self.store.all_named(GIVEN)? {
            let Some((scid, peer)) = name.split_once(' ') else {
                continue;
            };
            if let (Some(lacking), Ok(author)) = (lacking.get(scid), Scid::parse(scid))
                && lacking.checkpoint.as_bytes() == checkpoint
            {
                let count = lacking.clone();
                let entry = held_back.entry(peer.to_owned()).or_default();
                entry.push(HeldBack { author, count });
            }
        }
        Ok(held_back)
    }
}

/// What to put beside a record that `peer` gave, if it is the checkpoint of an author whose log is here.
/// Whether the record holds is not asked: only the checkpoint that counts is ever compared with this.
///
/// # Errors
/// A disk fault.
pub fn note_given(
    record: &str,
    peer: &str,
    has_log: impl FnOnce(&Scid) -> Result<bool, StoreError>,
) -> Result<Option<Named>, StoreError> {
    // Nearly every record is left at this: whoever would write the type in another way than the canonical
    // form is not blamed for what it holds back.
    if !record.contains("\"type\":\"Checkpoint\"") {
        return Ok(None);
    }
    let Ok(envelope) = Envelope::parse(record.as_bytes()) else {
        return Ok(None);
    };
    let header = envelope.header();
    let author = header.author.scid();
    // A peer that invents authors leaves no note for each of them.
    if header.local.as_str() != Checkpoint::LOCAL_ID || !has_log(author)? {
        return Ok(None);
    }
    Ok(Some(Named {
        table: GIVEN,
        name: format!("{author} {peer}"),
        value: envelope.hash().to_string().into_bytes(),
    }))
}

fn known_of(store: &Store, scid: &Scid) -> Result<HowComplete, StoreError> {
    let row = store.named(TABLE, &scid.to_string())?;
    row.map_or(Ok(HowComplete::default()), |row| {
        serde_json::from_slice(&row).map_err(damaged)
    })
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        detail: format!("how complete an author is does not read: {error}"),
    }
}

/// Those of whom something else is to be told now, and the end of the change log; `None` if nothing
/// changed.
type Judged = Option<(Vec<(Scid, HowComplete)>, Cursor)>;

fn judge_changed(store: &Store) -> Result<Judged, StoreError> {
    let position = store.named(TABLE, POSITION)?;
    let position = position
        .and_then(|row| Cursor::parse(&String::from_utf8_lossy(&row)))
        .filter(|cursor| cursor.epoch == store.epoch());
    let begun_at = position.map_or(0, |cursor| cursor.number);
    let mut read_to = begun_at;
    let mut last_changed = BTreeMap::new();
    loop {
        let (changed, end) = store.changed_records(read_to, ROWS)?;
        if end == read_to {
            break;
        }
        last_changed.extend(changed.into_iter().map(|(_, id)| (id.author, id.local)));
        read_to = end;
    }
    if read_to == begun_at {
        return Ok(None);
    }
    let mut judged = Vec::new();
    for (scid, local) in last_changed {
        let known = known_of(store, &scid)?;
        let standing = judge(store, &scid, &local, &known)?;
        judged.extend(standing.map(|standing| (scid, standing)));
    }
    let end = Cursor {
        epoch: store.epoch().to_owned(),
        number: read_to,
    };
    Ok(Some((judged, end)))
}

/// What is to be told of an author whose record `changed` changed last; `None` if that is what is told
/// already.
fn judge(
    store: &Store,
    scid: &Scid,
    changed: &LocalId,
    known: &HowComplete,
) -> Result<Option<HowComplete>, StoreError> {
    let record = |local: &LocalId| RecordId {
        author: *scid,
        local: local.clone(),
    };
    let Some(row) = checkpoint_row(store, scid)? else {
        return Ok(None);
    };
    let Some((issued, checkpoint)) = read_checkpoint(&row)? else {
        return Ok(None);
    };
    // The usual case: the author goes on, and the checkpoint has nothing more to say.
    if changed.as_str() != Checkpoint::LOCAL_ID
        && let Some(row) = store.counting(&record(changed))?
        && issued_of(&row)?.is_some_and(|changed| changed > issued)
    {
        return Ok(None);
    }
    let counting = store.counting_of(scid)?;
    let rows = counting
        .iter()
        .filter(|(id, _)| id.local.as_str() != Checkpoint::LOCAL_ID)
        .map(|(_, row)| row);
    let mut hashes: Vec<VersionHash> = rows.clone().map(|row| row.rank.hash).collect();
    let latest = || {
        let mut latest = None;
        for row in rows {
            latest = latest.max(issued_of(row)?);
        }
        Ok::<_, StoreError>(latest)
    };
    let completeness = checkpoint.judge(issued, &mut hashes, latest)?;
    let count = Count {
        as_of: issued.unix_seconds(),
        named: checkpoint.count,
        held: hashes.len() as u64,
        checkpoint: row.rank.hash.to_string(),
    };
    let standing = match completeness {
        Completeness::Overtaken => return Ok(None),
        // What this node refused for want of room, nobody held back.
        Completeness::Lacking
            if store
                .author(scid)?
                .is_some_and(|author| author.is_incomplete) =>
        {
            return Ok(None);
        }
        Completeness::Complete => HowComplete {
            complete: Some(count),
            lacking: None,
        },
        Completeness::Lacking => HowComplete {
            complete: known.complete.clone(),
            lacking: Some(count),
        },
    };
    Ok((standing != *known).then_some(standing))
}

fn checkpoint_row(store: &Store, scid: &Scid) -> Result<Option<HeldRow>, StoreError> {
    let Ok(local) = LocalId::parse(Checkpoint::LOCAL_ID) else {
        return Ok(None);
    };
    let row = store.counting(&RecordId {
        author: *scid,
        local,
    })?;
    Ok(row.filter(|row| row.status == Status::Active))
}

/// When a checkpoint was made and what it says; `None` if it is none by its form.
fn read_checkpoint(row: &HeldRow) -> Result<Option<(Timestamp, Checkpoint)>, StoreError> {
    let tree = tree_of(row)?;
    let read = |tree: &Map<String, Value>| {
        let header = Header::read(tree).ok()?;
        let body = tree.get("body").and_then(Value::as_object)?;
        match Body::read(&header.kind, body) {
            Ok(Some(Body::Checkpoint(checkpoint))) => Some((header.issued, checkpoint)),
            _ => None,
        }
    };
    Ok(tree.as_ref().and_then(read))
}

fn issued_of(row: &HeldRow) -> Result<Option<Timestamp>, StoreError> {
    let tree = tree_of(row)?;
    Ok(tree
        .and_then(|tree| Header::read(&tree).ok())
        .map(|header| header.issued))
}

fn tree_of(row: &HeldRow) -> Result<Option<Map<String, Value>>, StoreError> {
    Ok(serde_json::from_slice(&row.canonical()?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;
    use crate::testing::node_with_org;

    #[tokio::test]
    async fn what_a_node_counts_itself_is_complete_and_stays_so_told_while_the_author_goes_on() {
        let (node, _folder) = node_with_org(Arc::new(SystemClock)).await;
        let scid = node.hosted("org").unwrap().unwrap();
        let signer = node.keychain.signer("org").unwrap();
        let publish = async |local: &str| {
            let draft = json!({
                "type": "Offering", "localId": local, "language": "en",
                "body": {"kind": "course", "name": {"en": local}, "areas": ["cyber"]},
            });
            let draft = protocol::record::Draft::new(draft.as_object().unwrap(), "CC-BY-4.0");
            let drafts = [draft.unwrap()];
            node.publisher
                .publish(&signer, &drafts, |_| {})
                .await
                .unwrap();
        };
        for local in ["a", "b", "c"] {
            publish(local).await;
        }
        assert_eq!(node.completeness.of(&scid).unwrap(), HowComplete::default());
        assert!(
            node.publisher
                .checkpoint(&signer, 0)
                .await
                .unwrap()
                .is_some()
        );
        node.completeness.advance().await.unwrap();
        let standing = node.completeness.of(&scid).unwrap();
        let (count, is_complete) = standing.newest().unwrap();
        assert_eq!((count.named, count.held, is_complete), (3, 3, true));
        // Nothing changed: nothing is counted anew.
        assert!(
            node.publisher
                .checkpoint(&signer, 0)
                .await
                .unwrap()
                .is_none()
        );

        publish("d").await;
        node.completeness.advance().await.unwrap();
        assert_eq!(node.completeness.of(&scid).unwrap(), standing);
        assert!(node.completeness.held_back().unwrap().is_empty());
        node.stop().await;
    }
}
