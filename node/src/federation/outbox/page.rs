//! What of the change log a host is to be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::RecordId;
use protocol::time::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::{BEHIND_MAX, ROWS, SendError};
use crate::federation::actors::{Actors, Local, Sending};
use crate::store::{Store, StoreError};

/// Most pages at hand: hosts that are up to date want the same one.
const PAGES_MAX: usize = 8;

/// What some of our actors tell of a part of the log. Hosts at one place in the log, from which the same
/// actors are followed, are told the same: it is read and proven once for all of them.
pub(super) struct Page {
    /// The cursor that it begins after.
    pub(super) after: u64,
    /// In the order of the log.
    pub(super) items: Vec<Item>,
    /// The cursor once all is sent.
    pub(super) read_to: u64,
}

/// One activity.
pub(super) struct Item {
    /// The change that it tells of.
    pub(super) number: u64,
    /// Whose it is.
    pub(super) by: Arc<Sending>,
    /// The id of the actor that is followed for it.
    pub(super) followed: String,
    /// The activity, proven.
    pub(super) body: Vec<u8>,
    /// Whether that actor has nothing to say after it.
    pub(super) is_farewell: bool,
}

/// What a page depends on: a change in the log makes all pages anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    after: u64,
    last: u64,
    followed: BTreeSet<String>,
}

/// A page, once it was read: whoever wants it meanwhile waits for it.
type Shared = Arc<OnceCell<Arc<Page>>>;

/// The pages that were wanted last.
#[derive(Default)]
pub(super) struct Pages(Mutex<VecDeque<(Key, Shared)>>);

impl Pages {
    /// What these actors tell after a cursor.
    pub(super) async fn get(
        &self,
        store: &Arc<Store>,
        actors: &Actors,
        cursor: Option<u64>,
        followed: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Arc<Page>, SendError> {
        let last = store.last_change()?;
        let after = cursor
            .filter(|cursor| last.saturating_sub(*cursor) <= BEHIND_MAX)
            .unwrap_or(last);
        let key = Key {
            after,
            last,
            followed,
        };
        let page = self.shared(&key);
        let (store, actors) = (Arc::clone(store), actors.clone());
        let read = move || Page::read(&store, &actors, key.after, &key.followed, now);
        let page = page.get_or_try_init(|| async {
            let page = tokio::task::spawn_blocking(read).await;
            Ok::<_, SendError>(Arc::new(page.map_err(|_| StoreError::Closed)??))
        });
        Ok(Arc::clone(page.await?))
    }

    /// Gives the memory back.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn shared(&self, key: &Key) -> Shared {
        let mut pages = self.lock();
        if let Some((_, page)) = pages.iter().find(|(known, _)| known == key) {
            return Arc::clone(page);
        }
        if pages.len() >= PAGES_MAX {
            pages.pop_front();
        }
        let page = Shared::default();
        pages.push_back((key.clone(), Arc::clone(&page)));
        page
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Key, Shared)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    /// What each inbox is owed, in the order of the log: inboxes with the actors followed there.
    pub(super) fn owed_to<'p>(
        &'p self,
        wanted: &'p BTreeMap<String, Vec<String>>,
    ) -> Vec<(&'p Item, &'p str)> {
        let mut owed = Vec::new();
        for item in &self.items {
            for (inbox, followed) in wanted {
                if followed.contains(&item.followed) {
                    owed.push((item, inbox.as_str()));
                }
            }
        }
        owed
    }

    /// Reads the log from a cursor on for those who follow these actors. Each of these tells what is
    /// its to tell, in its own name.
    fn read(
        store: &Store,
        actors: &Actors,
        after: u64,
        followed: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Self, SendError> {
        let last = store.last_change()?;
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
            for actor in followed {
                let Some((local, by)) = voices.get(actor)? else {
                    continue;
                };
                if !actors.is_news(&local, &id, &row, after)? {
                    continue;
                }
                let Some(activity) = actors.announcement(&local, &id, &row, now)? else {
                    continue;
                };
                items.push(Item {
                    number,
                    body: proven(&by, activity, now)?,
                    by,
                    followed: actor.clone(),
                    is_farewell: false,
                });
            }
        }
        let mut gone = BTreeSet::new();
        for (number, scid) in store.changed_logs(after, read_to)? {
            if !gone.insert(scid) {
                continue;
            }
            for local in actors.left_by(&scid)? {
                let actor = actors.id(&local);
                let Some(activity) = actors
                    .movement(&local)
                    .filter(|_| followed.contains(&actor))
                else {
                    continue;
                };
                let Some((_, by)) = voices.get(&actor)? else {
                    continue;
                };
                items.push(Item {
                    number,
                    body: proven(&by, activity, now)?,
                    by,
                    followed: actor,
                    is_farewell: true,
                });
            }
        }
        items.sort_by_key(|item| item.number);
        Ok(Self {
            after,
            items,
            read_to,
        })
    }
}

/// An activity as it is sent.
pub(super) fn proven(
    by: &Sending,
    activity: Map<String, Value>,
    now: Timestamp,
) -> Result<Vec<u8>, SendError> {
    serde_json::to_vec(&by.prove(activity, now))
        .map_err(|error| SendError::Unsigned(error.to_string()))
}
