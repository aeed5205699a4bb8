//! What of the change log a host is to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::id::RecordId;
use protocol::time::Timestamp;
use serde_json::{Map, Value};

use super::{BEHIND_MAX, ROWS, SendError};
use crate::federation::actors::{Actors, Local, Sending};
use crate::store::{HeldRow, Store};

/// What one job has to send.
pub(super) struct Page {
    /// The cursor that it begins after.
    pub(super) after: u64,
    /// In the order of the log.
    pub(super) items: Vec<Item>,
    /// The cursor once all is sent.
    pub(super) read_to: u64,
}

/// One activity for one inbox.
pub(super) struct Item {
    /// The change that it tells of.
    pub(super) number: u64,
    /// Whose it is.
    pub(super) by: Arc<Sending>,
    /// Where it goes.
    pub(super) inbox: String,
    /// The activity, not proven yet.
    pub(super) activity: Map<String, Value>,
}

/// Actors of ours that are followed, with the keys of those that can speak here.
struct Voices<'a> {
    actors: &'a Actors,
    known: BTreeMap<String, Option<(Local, Arc<Sending>)>>,
}

impl Voices<'_> {
    /// The actor with this id; `None` if it is gone, or keeps its keys to itself.
    fn get(&mut self, actor: &str) -> Result<Option<(Local, Arc<Sending>)>, SendError> {
        if let Some(known) = self.known.get(actor) {
            return Ok(known.clone());
        }
        let found = match self.actors.of_id(actor)? {
            Some(local) => {
                let sending = self.actors.sending(&local)?;
                sending.map(|sending| (local, Arc::new(sending)))
            }
            None => None,
        };
        self.known.insert(actor.to_owned(), found.clone());
        Ok(found)
    }
}

impl Page {
    /// Reads the log from a cursor on for the inboxes of one host, each with the actors followed there.
    /// Each of these tells what is its to tell, in its own name.
    pub(super) fn read(
        store: &Store,
        actors: &Actors,
        cursor: Option<u64>,
        wanted: &BTreeMap<String, Vec<String>>,
        now: Timestamp,
    ) -> Result<Self, SendError> {
        let last = store.last_change()?;
        let after = cursor
            .filter(|cursor| last.saturating_sub(*cursor) <= BEHIND_MAX)
            .unwrap_or(last);
        let (changed, mut read_to) = store.changed_records(after, ROWS)?;
        if read_to == after {
            // Numbers have gaps: there is nothing between the last row and the counter.
            read_to = last.max(after);
        }
        let mut voices = Voices {
            actors,
            known: BTreeMap::new(),
        };
        let mut items = Vec::new();
        let mut seen: BTreeSet<RecordId> = BTreeSet::new();
        for (number, id) in changed {
            // What counts now is told once, however often it changed on this page.
            if !seen.insert(id.clone()) {
                continue;
            }
            let Some(row) = store.counting(&id)? else {
                continue;
            };
            let mut told = Told::default();
            for (inbox, followed) in wanted {
                for actor in followed {
                    let Some((local, by)) = voices.get(actor)? else {
                        continue;
                    };
                    let activity = told.by(actors, &local, &id, &row, after, now)?;
                    items.extend(activity.map(|activity| Item {
                        number,
                        by,
                        inbox: inbox.clone(),
                        activity,
                    }));
                }
            }
        }
        Ok(Self {
            after,
            items,
            read_to,
        })
    }
}

/// What each actor says of one record: worked out once for all inboxes.
#[derive(Default)]
struct Told(BTreeMap<String, Option<Map<String, Value>>>);

impl Told {
    fn by(
        &mut self,
        actors: &Actors,
        local: &Local,
        id: &RecordId,
        row: &HeldRow,
        after: u64,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>, SendError> {
        let name = actors.id(local);
        if let Some(told) = self.0.get(&name) {
            return Ok(told.clone());
        }
        let told = match actors.is_news(local, id, row, after)? {
            true => actors.announcement(local, id, row, now)?,
            false => None,
        };
        self.0.insert(name, told.clone());
        Ok(told)
    }
}
