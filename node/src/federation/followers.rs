//! Who follows this node's actors, and where they receive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::actors::origin;
use crate::store::{Store, StoreError};

const TABLE: &str = "followers";

/// Most followers of one node's actors together.
const FOLLOWERS_MAX: usize = 100_000;

/// Somebody who follows one of our actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    /// Who.
    pub actor: String,
    /// Which of our actors.
    pub followed: String,
    /// The id of the `Follow`, so that it can be undone by its name.
    pub follow: String,
    /// Where it receives: its server's shared inbox if it has one.
    pub inbox: String,
    /// The host of that inbox.
    pub host: String,
    /// Whether its `Follow` was answered.
    pub is_answered: bool,
}

impl Follower {
    /// A follower that was not answered yet; `None` if its inbox has no host.
    pub fn new(actor: &str, followed: String, follow: &str, inbox: &str) -> Option<Self> {
        Some(Self {
            actor: actor.to_owned(),
            followed,
            follow: follow.to_owned(),
            inbox: inbox.to_owned(),
            host: origin(inbox)?,
            is_answered: false,
        })
    }

    /// The name of its row.
    fn name(actor: &str, followed: &str) -> String {
        let digest = Sha256::digest(format!("{actor}\n{followed}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why somebody cannot follow.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// There are too many.
    #[error("this node has {FOLLOWERS_MAX} followers, which is as many as it takes")]
    Full,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The followers, kept in the store and at hand. Clones share them.
#[derive(Clone)]
pub struct Followers {
    store: Arc<Store>,
    rows: Arc<Mutex<BTreeMap<String, Follower>>>,
    /// One change at a time, so that disk and memory say the same.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Followers {
    /// Those of a store.
    ///
    /// # Errors
    /// A disk fault.
    pub fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let read = |row: &[u8]| {
            serde_json::from_slice(row).map_err(|error| StoreError::Corrupt {
                detail: format!("a follower: {error}"),
            })
        };
        let rows = store
            .all_named(TABLE)?
            .into_iter()
            .map(|(name, row)| Ok((name, read(&row)?)))
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            store,
            rows: Arc::new(Mutex::new(rows)),
            turn: Arc::default(),
        })
    }

    /// Remembers a follower. Durable on return.
    ///
    /// # Errors
    /// [`FollowerError::Full`], or a disk fault.
    pub async fn add(&self, follower: Follower) -> Result<(), FollowerError> {
        let _turn = self.turn.lock().await;
        let name = Follower::name(&follower.actor, &follower.followed);
        {
            let rows = self.rows();
            if rows.len() >= FOLLOWERS_MAX && !rows.contains_key(&name) {
                return Err(FollowerError::Full);
            }
        }
        Ok(self.put(name, follower).await?)
    }

    /// Notes that a follower was answered, if it still follows.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_answered(&self, actor: &str, followed: &str) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        match self.get(actor, followed) {
            None => Ok(()),
            Some(mut follower) => {
                follower.is_answered = true;
                self.put(Follower::name(actor, followed), follower).await
            }
        }
    }

    async fn put(&self, name: String, follower: Follower) -> Result<(), StoreError> {
        let row = serde_json::to_vec(&follower).map_err(|error| StoreError::Corrupt {
            detail: error.to_string(),
        })?;
        self.store.put_named(TABLE, &name, Some(row)).await?;
        self.rows().insert(name, follower);
        Ok(())
    }

    /// Forgets a follower. Gives whether it was one.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn remove(&self, actor: &str, followed: &str) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        let name = Follower::name(actor, followed);
        if !self.rows().contains_key(&name) {
            return Ok(false);
        }
        self.store.put_named(TABLE, &name, None).await?;
        self.rows().remove(&name);
        Ok(true)
    }

    /// Forgets all followers that receive at an inbox.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn remove_inbox(&self, inbox: &str) -> Result<(), StoreError> {
        self.remove_where(|row| row.inbox == inbox).await
    }

    /// Forgets all followers of one of our actors that receive at an inbox.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn remove_at(&self, inbox: &str, followed: &str) -> Result<(), StoreError> {
        self.remove_where(|row| row.inbox == inbox && row.followed == followed)
            .await
    }

    async fn remove_where(&self, is_meant: impl Fn(&Follower) -> bool) -> Result<(), StoreError> {
        let there: Vec<(String, String)> = self
            .rows()
            .values()
            .filter(|row| is_meant(row))
            .map(|row| (row.actor.clone(), row.followed.clone()))
            .collect();
        for (actor, followed) in there {
            self.remove(&actor, &followed).await?;
        }
        Ok(())
    }

    /// The follower whose `Follow` had this id.
    pub fn by_follow(&self, actor: &str, follow: &str) -> Option<Follower> {
        let rows = self.rows();
        let found = rows
            .values()
            .find(|row| row.actor == actor && row.follow == follow);
        found.cloned()
    }

    /// How many follow one of our actors.
    pub fn count(&self, followed: &str) -> usize {
        let rows = self.rows();
        rows.values().filter(|row| row.followed == followed).count()
    }

    /// The hosts that followers receive at.
    pub fn hosts(&self) -> Vec<String> {
        let rows = self.rows();
        let hosts: BTreeSet<&str> = rows.values().map(|row| row.host.as_str()).collect();
        hosts.into_iter().map(ToOwned::to_owned).collect()
    }

    /// What is wanted at one host: each inbox with the actors of ours that are followed from there.
    pub fn at(&self, host: &str) -> BTreeMap<String, Vec<String>> {
        let rows = self.rows();
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows.values() {
            if row.host == host {
                let followed = wanted.entry(row.inbox.clone()).or_default();
                if !followed.contains(&row.followed) {
                    followed.push(row.followed.clone());
                }
            }
        }
        wanted
    }

    /// Those whose `Follow` was not answered yet.
    pub fn unanswered(&self) -> Vec<(String, String)> {
        let rows = self.rows();
        let unanswered = rows.values().filter(|row| !row.is_answered);
        unanswered
            .map(|row| (row.actor.clone(), row.followed.clone()))
            .collect()
    }

    /// The row of one follower.
    pub fn get(&self, actor: &str, followed: &str) -> Option<Follower> {
        self.rows().get(&Follower::name(actor, followed)).cloned()
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Follower>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Follower, Followers};
    use crate::store::Store;

    #[tokio::test]
    async fn followers_stay_over_a_restart_and_f22_share_one_inbox_of_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), "e".into()).unwrap());
        let followers = Followers::open(Arc::clone(&store)).unwrap();
        let node = "https://n.example/actor";
        let follower = |name: &str, followed: &str| {
            let actor = format!("https://m.example/{name}");
            let follow = format!("{actor}/follow");
            Follower::new(
                &actor,
                followed.to_owned(),
                &follow,
                "https://m.example/inbox",
            )
            .unwrap()
        };
        for name in ["a", "b", "b"] {
            followers.add(follower(name, node)).await.unwrap();
        }
        followers
            .add(follower("a", "https://n.example/orgs/x"))
            .await
            .unwrap();
        followers
            .note_answered("https://m.example/a", node)
            .await
            .unwrap();
        let again = Followers::open(Arc::clone(&store)).unwrap();
        for followers in [&followers, &again] {
            assert_eq!(followers.count(node), 2);
            assert_eq!(followers.hosts(), ["https://m.example"]);
            assert_eq!(followers.unanswered().len(), 2);
            let at = followers.at("https://m.example");
            assert_eq!(at.len(), 1);
            assert_eq!(at["https://m.example/inbox"].len(), 2);
        }
        let found = again.by_follow("https://m.example/a", "https://m.example/a/follow");
        assert!(found.is_some());
        assert!(
            again
                .by_follow("https://m.example/b", "https://m.example/a/follow")
                .is_none()
        );
        assert!(again.remove("https://m.example/b", node).await.unwrap());
        assert!(!again.remove("https://m.example/b", node).await.unwrap());
        again
            .note_answered("https://m.example/b", node)
            .await
            .unwrap();
        assert_eq!(Followers::open(Arc::clone(&store)).unwrap().count(node), 1);
        store.close();
    }
}
