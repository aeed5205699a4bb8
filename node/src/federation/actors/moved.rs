//! Organisations that were at home here and moved on, and what their addresses here say from then on
//! (docs/protocol.md, 5).
//!
//! Their logs say where they are. That they ever were at home *here* is noted here: whoever writes a log can
//! make it begin at any address, and must not have this node point at itself in somebody else's place.

use std::collections::BTreeSet;

use protocol::activity;
use protocol::id::{Did, Scid};
use protocol::identity::LogState;
use serde_json::{Map, Value};

use super::{Actors, Local};
use crate::place::Home;
use crate::store::StoreError;

/// The actor's address of an identity: that of a node, or of an organisation at home at one. `None` for one
/// that is kept on a web page.
pub fn actor_of(did: &Did) -> Option<String> {
    let home = Home::of(did);
    match home.handle {
        Some(handle) => Some(format!("{}/orgs/{handle}", home.node)),
        None if did.path().next().is_none() => Some(format!("{}/actor", home.node)),
        None => None,
    }
}

/// The DIDs that an identity had before, by its own log.
fn former_dids(state: &LogState) -> impl Iterator<Item = Did> + '_ {
    let names = state.also_known_as().iter();
    names
        .filter_map(|name| Did::parse(name).ok())
        .filter(|did| did.scid() == state.scid() && did != state.did())
}

/// The actors that an identity had before, at whatever hosts, by its own log.
pub fn former_actors(state: &LogState) -> BTreeSet<String> {
    let mut actors: BTreeSet<String> = former_dids(state)
        .filter_map(|did| actor_of(&did))
        .collect();
    if let Some(now) = actor_of(state.did()) {
        actors.remove(&now);
    }
    actors
}

impl Actors {
    /// The organisation that had this handle here last, if it is at home at another node now.
    pub(super) fn moved(&self, handle: &str, state: &LogState) -> Option<Local> {
        let was_here = former_dids(state)
            .any(|did| self.is_address_here(&did) && did.path().eq(["orgs", handle]));
        if self.is_address_here(state.did()) || !was_here {
            return None;
        }
        actor_of(state.did()).map(|to| Local::Moved {
            handle: handle.to_owned(),
            scid: *state.scid(),
            to,
        })
    }

    /// The actors that an author had here before it moved to another node.
    ///
    /// # Errors
    /// A disk fault.
    pub fn left_by(&self, scid: &Scid) -> Result<Vec<Local>, StoreError> {
        let Some(author) = self.0.store.author(scid)? else {
            return Ok(Vec::new());
        };
        let mut left = Vec::new();
        for did in former_dids(&author.state) {
            if let Some(Local::Organization { handle, .. }) = self.address_of(&did)
                && let Some(local @ Local::Moved { .. }) = self.organization(&handle)?
                && local.scid() == Some(scid)
                && !left.contains(&local)
            {
                left.push(local);
            }
        }
        Ok(left)
    }

    /// The activity by which an actor tells that it moved, to be proven; `None` if it did not.
    pub fn movement(&self, local: &Local) -> Option<Map<String, Value>> {
        let Local::Moved { to, .. } = local else {
            return None;
        };
        let actor = self.id(local);
        // One name for one move, however often it is told.
        let id = format!("{actor}#moves/{}", to.replace("://", "/"));
        let followers = self.below(local, "followers");
        Some(activity::moving(&id, &actor, &followers, to))
    }
}
