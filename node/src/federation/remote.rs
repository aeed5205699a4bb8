//! Actors of other machines: fetched when a signature names one of their keys, checked, and kept for
//! a while (FEP-fe34; docs/protocol.md, 5).
//!
//! A document is believed only about itself: it has the media type of ActivityStreams, its `id` is
//! the address that was asked for, and its keys and its inbox are its own host's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::activity::{ActivityError, Actor, is_activity_type, key_owner};

use super::actors::{is_same_origin, origin};
use super::client::{Document, FetchError};
use super::courier::{Courier, CourierError};
use crate::clock::SharedClock;

/// Most actors kept.
const ACTORS_MAX: usize = 4_096;

/// How long an actor is believed without asking again.
const ACTOR_SECONDS: i64 = 3_600;

/// How long after a fetch a key that does not fit is not looked up anew: whoever sends wrong
/// signatures in somebody's name does not make us ask that somebody each time.
const REFETCH_SECONDS: i64 = 10;

/// Why there is no actor at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Nothing was answered.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// We cannot ask as is wanted.
    #[error("{0}")]
    Unasked(String),
    /// The address is none that an actor may have.
    #[error("an actor's address must begin with https:// and a host")]
    Address,
    /// Something else than an ActivityStreams document.
    #[error("the actor's document is of type “{found}”, not application/activity+json")]
    MediaType {
        /// What was said.
        found: String,
    },
    /// The document is about another address than the one it was fetched from.
    #[error("the document at the actor's address is about “{claimed}”")]
    ForeignId {
        /// Its `id`.
        claimed: String,
    },
    /// The actor receives at another host.
    #[error("the actor's inbox is at another host than the actor")]
    ForeignInbox,
    /// A key's document says that somebody at another host owns it.
    #[error("the key's document names an owner at another host, {owner}")]
    ForeignOwner {
        /// The owner.
        owner: String,
    },
    /// The document is no actor's.
    #[error(transparent)]
    Form(#[from] ActivityError),
}

impl From<CourierError> for RemoteError {
    fn from(error: CourierError) -> Self {
        match error {
            CourierError::Fetch(error) => Self::Fetch(error),
            error => Self::Unasked(error.to_string()),
        }
    }
}

impl RemoteError {
    /// Whether the same question may be answered later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.is_temporary())
    }
}

/// How fresh an actor must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As kept.
    Kept,
    /// Asked anew, unless that was done a moment ago.
    Anew,
}

/// The actors of other machines. Clones share what is kept.
#[derive(Clone)]
pub struct RemoteActors(Arc<Inner>);

struct Inner {
    courier: Courier,
    clock: SharedClock,
    /// By the actor's address, and by those of its keys that have one of their own.
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    actor: Arc<Actor>,
    fetched: i64,
}

impl RemoteActors {
    /// Asks by `courier`; nothing is kept yet.
    pub fn new(courier: Courier, clock: SharedClock) -> Self {
        Self(Arc::new(Inner {
            courier,
            clock,
            kept: Mutex::default(),
        }))
    }

    /// The actor whose id is `address`.
    ///
    /// # Errors
    /// See [`RemoteError`]. What is refused is not kept, and changes nothing of what is.
    pub async fn get(
        &self,
        address: &str,
        freshness: Freshness,
    ) -> Result<Arc<Actor>, RemoteError> {
        // The address of a key alone is no actor's.
        let kept = self.kept(address, freshness);
        if let Some(kept) = kept.filter(|kept| kept.id == address) {
            return Ok(kept);
        }
        let document = self.fetch(address).await?;
        self.read(address, &document)
    }

    /// The actor that owns a key, by the key's id: what stands before its `#`. An id without one is the
    /// address of a document that names the owner. Whether the actor lists the key is the caller's to see.
    ///
    /// # Errors
    /// As [`RemoteActors::get`], and [`RemoteError::ForeignOwner`].
    pub async fn of_key(
        &self,
        key_id: &str,
        freshness: Freshness,
    ) -> Result<Arc<Actor>, RemoteError> {
        if let Some((address, _)) = key_id.split_once('#') {
            return self.get(address, freshness).await;
        }
        // Once it is known whose key it is, only the owner is asked: what it lists decides.
        let owner = match self.kept(key_id, Freshness::Kept) {
            Some(actor) => actor.id.clone(),
            None => self.owner(key_id).await?,
        };
        let actor = self.get(&owner, freshness).await?;
        if owner != key_id {
            self.keep(key_id, &actor);
        }
        Ok(actor)
    }

    async fn owner(&self, key_id: &str) -> Result<String, RemoteError> {
        let document = self.fetch(key_id).await?;
        let owner = key_owner(&document.bytes, key_id)?;
        if !is_same_origin(&owner, key_id) || !is_same_origin(document.url.as_str(), key_id) {
            return Err(RemoteError::ForeignOwner {
                owner: owner.chars().take(200).collect(),
            });
        }
        if owner == key_id {
            self.read(&owner, &document)?;
        }
        Ok(owner)
    }

    /// An ActivityStreams document.
    async fn fetch(&self, address: &str) -> Result<Document, RemoteError> {
        if origin(address).is_none() {
            return Err(RemoteError::Address);
        }
        let document = self.0.courier.document(address).await?;
        let content_type = document.content_type.as_deref().unwrap_or_default();
        if !is_activity_type(content_type) {
            return Err(RemoteError::MediaType {
                found: content_type.chars().take(80).collect(),
            });
        }
        Ok(document)
    }

    /// The actor that a document fetched from its address shows, which is kept.
    fn read(&self, address: &str, document: &Document) -> Result<Arc<Actor>, RemoteError> {
        let actor = Actor::parse(&document.bytes)?;
        if actor.id != address || !is_same_origin(document.url.as_str(), address) {
            return Err(RemoteError::ForeignId {
                claimed: actor.id.chars().take(200).collect(),
            });
        }
        if !receives_at_home(&actor) {
            return Err(RemoteError::ForeignInbox);
        }
        let actor = Arc::new(actor);
        self.keep(address, &actor);
        Ok(actor)
    }

    fn kept(&self, address: &str, freshness: Freshness) -> Option<Arc<Actor>> {
        let now = self.0.clock.now().unix_seconds();
        let age_max = match freshness {
            Freshness::Kept => ACTOR_SECONDS,
            Freshness::Anew => REFETCH_SECONDS,
        };
        let kept = self.lock();
        let kept = kept.get(address)?;
        // What was fetched later than now was fetched before the clock was put back.
        (0..age_max)
            .contains(&(now - kept.fetched))
            .then(|| Arc::clone(&kept.actor))
    }

    fn keep(&self, address: &str, actor: &Arc<Actor>) {
        let now = self.0.clock.now().unix_seconds();
        let mut kept = self.lock();
        if kept.len() >= ACTORS_MAX && !kept.contains_key(address) {
            kept.retain(|_, kept| now - kept.fetched < ACTOR_SECONDS);
            let oldest = kept
                .iter()
                .min_by_key(|(_, kept)| kept.fetched)
                .map(|(address, _)| address.clone());
            if let Some(oldest) = oldest.filter(|_| kept.len() >= ACTORS_MAX) {
                kept.remove(&oldest);
            }
        }
        kept.insert(
            address.to_owned(),
            Kept {
                actor: Arc::clone(actor),
                fetched: now,
            },
        );
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an actor's inboxes are at its own host: otherwise whoever writes its document could have us
/// send to others, or to ourselves.
fn receives_at_home(actor: &Actor) -> bool {
    let inboxes = [Some(&actor.inbox), actor.shared_inbox.as_ref()];
    let mut inboxes = inboxes.into_iter().flatten();
    inboxes.all(|inbox| is_same_origin(inbox, &actor.id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use protocol::time::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::clock::ManualClock;
    use crate::federation::client::Client;
    use crate::federation::courier::HttpSigner;
    use crate::rsa::RsaKey;
    use crate::store::Store;

    fn actor(address: &str) -> Arc<Actor> {
        let document =
            json!({"id": address, "type": "Application", "inbox": format!("{address}/inbox")});
        Arc::new(Actor::parse(document.to_string().as_bytes()).unwrap())
    }

    /// What is tested here asks nobody.
    fn actors(clock: &Arc<ManualClock>) -> RemoteActors {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), "e".into()).unwrap());
        let own = HttpSigner {
            key_id: "https://n.example/actor#main-key".to_owned(),
            key: RsaKey::generate().unwrap(),
        };
        let client = Client::new(BTreeSet::new(), "a test").unwrap();
        let courier = Courier::open(client, own, store, clock.clone()).unwrap();
        RemoteActors::new(courier, clock.clone())
    }

    #[test]
    fn f21_an_inbox_is_used_only_at_its_actors_own_host() {
        let receives = |inbox: &str, shared: &str| {
            let document = json!({
                "id": "https://m.example/actor", "type": "Application", "inbox": inbox,
                "endpoints": {"sharedInbox": shared},
            });
            receives_at_home(&Actor::parse(document.to_string().as_bytes()).unwrap())
        };
        let own = "https://m.example/inbox";
        assert!(receives(own, own));
        for elsewhere in [
            "https://n.example/inbox",
            "https://127.0.0.1/",
            "https://p.example/inbox",
            "https://m.example:8443/inbox",
            "http://m.example/inbox",
        ] {
            assert!(!receives(elsewhere, own), "{elsewhere}");
            assert!(!receives(own, elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn r10_actors_never_outgrow_their_table_and_the_newest_stay() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_000_000)));
        let actors = actors(&clock);
        let address = |n: usize| format!("https://m.example/{n}");
        let one = actor(&address(0));
        for n in 0..ACTORS_MAX * 2 {
            if n == ACTORS_MAX {
                clock.advance(1);
            }
            actors.keep(&address(n), &one);
            assert!(actors.lock().len() <= ACTORS_MAX);
        }
        let is_kept = |n: usize| actors.kept(&address(n), Freshness::Kept).is_some();
        assert!((ACTORS_MAX..ACTORS_MAX * 2).all(is_kept));
        assert!(!(0..ACTORS_MAX).any(is_kept));
    }

    #[test]
    fn t07_an_actor_is_believed_no_longer_for_a_clock_that_is_put_back() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_000_000)));
        let actors = actors(&clock);
        actors.keep("https://m.example/a", &actor("https://m.example/a"));
        let is_kept = || {
            actors
                .kept("https://m.example/a", Freshness::Kept)
                .is_some()
        };
        assert!(is_kept());
        clock.advance(-3_600);
        assert!(!is_kept());
    }
}
