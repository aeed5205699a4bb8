//! Whom this node deals with: which nodes may hand records over and follow, which wait for the operator,
//! and how much a node may bring that was never heard of.
//!
//! What is public stays public to everyone. Here is decided who may *send*: requests that are signed, so
//! that it is known whose they are. Whoever is turned away is told so in the answer, in words for its operator.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::peers::{Decided, Peer, Peers};
use crate::clock::SharedClock;
use crate::config::{Federation, Policy};
use crate::store::{NamedRows, Store, StoreError};

/// Nodes that are not allowed, followed or blocked, and have knocked.
const TABLE: &str = "newcomers";

/// How long a node is a newcomer.
const NEWCOMER_SECONDS: i64 = 86_400;

/// Most newcomers that are remembered: whoever has more host names than this brings nobody else's place
/// down, and finds no room until older ones have passed.
const NEWCOMERS_MAX: usize = 10_000;

/// Most of them that wait for the operator: a list that a person can read.
const WAITING_MAX: usize = 1_000;

/// Why a node's request is not taken, whatever it holds.
#[derive(Debug, thiserror::Error)]
pub enum Barred {
    /// It is blocked.
    #[error("your node is blocked here{}", because(reason.as_deref()))]
    Blocked {
        /// Why, in the operator's words.
        reason: Option<String>,
    },
    /// It was not allowed yet.
    #[error(
        "this node deals only with nodes that its operator approved: yours is on the list of those that wait, so ask its operator to run `baraza peers allow` with your node's address. Reading is open to everyone"
    )]
    ApprovalNeeded,
    /// It is not on the list.
    #[error(
        "this node deals only with nodes on its operator's list: ask its operator to add your node's address. Reading is open to everyone"
    )]
    NotAllowed,
    /// It has brought as much as a newcomer may.
    #[error(
        "a node that is new here may hand over only so many records on its first day: ask the operator to run `baraza peers allow` with your node's address, or go on in {} h", seconds.div_ceil(3_600)
    )]
    NewcomerFull {
        /// Until it is no newcomer any more.
        seconds: u32,
    },
    /// There is no room to remember it.
    #[error("too many nodes are new here today: try again later")]
    TooManyNewcomers,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn because(reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!(": {reason}"),
        None => ", and no reason was given".to_owned(),
    }
}

impl Barred {
    /// The code in the answer (docs/integrators.md).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Blocked { .. } => BLOCKED,
            Self::ApprovalNeeded => "approval-needed",
            Self::NotAllowed => "not-allowed",
            Self::NewcomerFull { .. } => "newcomer-limit",
            Self::TooManyNewcomers | Self::Store(_) => "unavailable",
        }
    }
}

/// The code of an answer to a blocked node.
pub const BLOCKED: &str = "blocked";

/// Whether a code says that a node is turned away for what it is, not for what it sent.
pub fn turns_away(code: &str) -> bool {
    matches!(code, BLOCKED | "approval-needed" | "not-allowed")
}

/// A node that knocked and of which nothing was decided.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Newcomer {
    /// When it was first heard of, in seconds since 1970.
    pub met: i64,
    /// Records that it has handed over since, taken or not.
    pub records: u64,
    /// What it waits to be allowed to do, if it does: `follow` or `send records`.
    #[serde(default)]
    pub waits_to: Option<String>,
}

/// Decides who may send. Clones share what is remembered.
#[derive(Clone)]
pub struct Gate {
    policy: Policy,
    newcomer_records: u64,
    peers: Peers,
    store: Arc<Store>,
    clock: SharedClock,
}

impl Gate {
    /// By the settings, and by what was decided about single nodes.
    pub fn new(settings: &Federation, peers: Peers, store: Arc<Store>, clock: SharedClock) -> Self {
        Self {
            policy: settings.policy,
            newcomer_records: settings.newcomer_records,
            peers,
            store,
            clock,
        }
    }

    /// Whether anything is taken that is signed in the name of this node: asked before its key is fetched,
    /// so that nothing is asked of a node that is not dealt with.
    ///
    /// # Errors
    /// [`Barred::Blocked`], [`Barred::NotAllowed`], or a disk fault.
    pub fn check_sender(&self, node: &str) -> Result<(), Barred> {
        let peer = self.peers.get(node)?;
        if let Some(Decided::Blocked { reason, .. }) =
            peer.as_ref().and_then(|peer| peer.decided.as_ref())
        {
            return Err(Barred::Blocked {
                reason: reason.clone(),
            });
        }
        match self.policy {
            Policy::AllowList if !peer.is_some_and(|peer| is_allowed(&peer)) => {
                Err(Barred::NotAllowed)
            }
            _ => Ok(()),
        }
    }

    /// Whether this node may follow an actor here.
    ///
    /// # Errors
    /// [`Barred`].
    pub async fn check_follow(&self, node: &str) -> Result<(), Barred> {
        match self.is_known(node)? {
            true => Ok(()),
            false => match self.policy {
                Policy::Open => Ok(()),
                Policy::Approval => Err(self.note_waiting(node, "follow").await?),
                Policy::AllowList => Err(Barred::NotAllowed),
            },
        }
    }

    /// Whether a record that this node hands over is looked at. It is counted if the node is new.
    ///
    /// # Errors
    /// [`Barred`].
    pub async fn check_record(&self, node: &str) -> Result<(), Barred> {
        match self.is_known(node)? {
            true => Ok(()),
            false => match self.policy {
                Policy::Open => self.count(node).await,
                Policy::Approval => Err(self.note_waiting(node, "send records").await?),
                Policy::AllowList => Err(Barred::NotAllowed),
            },
        }
    }

    /// The nodes that knocked and of which nothing was decided, by address.
    ///
    /// # Errors
    /// A disk fault.
    pub fn newcomers(&self) -> Result<Vec<(String, Newcomer)>, StoreError> {
        let mut newcomers = Vec::new();
        for (name, row) in self.store.all_named(TABLE)? {
            let is_decided = self.peers.get(&name)?.is_some_and(|peer| {
                is_allowed(&peer) || matches!(peer.decided, Some(Decided::Blocked { .. }))
            });
            if !is_decided {
                newcomers.push((name, read(&row)?));
            }
        }
        Ok(newcomers)
    }

    /// Most records that a newcomer may hand over on its first day.
    pub fn newcomer_records(&self) -> u64 {
        self.newcomer_records
    }

    fn is_known(&self, node: &str) -> Result<bool, StoreError> {
        Ok(self.peers.get(node)?.is_some_and(|peer| is_allowed(&peer)))
    }

    /// Counts a record of a newcomer.
    async fn count(&self, node: &str) -> Result<(), Barred> {
        if let Some(row) = self.store.named(TABLE, node)?
            && self.is_past(&read(&row)?)
        {
            return Ok(());
        }
        let records_max = self.newcomer_records;
        let now = self.clock.now().unix_seconds();
        self.change(node, move |newcomer| {
            if newcomer.records >= records_max {
                let left = NEWCOMER_SECONDS - (now - newcomer.met);
                return Err(Barred::NewcomerFull {
                    seconds: u32::try_from(left).unwrap_or(1).max(1),
                });
            }
            newcomer.records += 1;
            Ok(())
        })
        .await
    }

    /// Remembers that a node waits, and says so.
    async fn note_waiting(&self, node: &str, what: &'static str) -> Result<Barred, StoreError> {
        let known = self.store.named(TABLE, node)?;
        let known = known.as_deref().map(read).transpose()?;
        let waits_to = known.and_then(|known| known.waits_to);
        // Who asks again and again costs one look.
        if waits_to.as_deref() == Some(what) {
            return Ok(Barred::ApprovalNeeded);
        }
        let newcomers = self.newcomers()?;
        let waiting = newcomers.iter().filter(|(_, row)| row.waits_to.is_some());
        // Beyond that many a person reads no list; the answer is the same.
        if waits_to.is_none() && waiting.count() >= WAITING_MAX {
            return Ok(Barred::ApprovalNeeded);
        }
        let note = move |newcomer: &mut Newcomer| {
            newcomer.waits_to = Some(what.to_owned());
            Ok(())
        };
        match self.change(node, note).await {
            Err(Barred::Store(error)) => Err(error),
            _ => Ok(Barred::ApprovalNeeded),
        }
    }

    fn is_past(&self, newcomer: &Newcomer) -> bool {
        self.clock.now().unix_seconds() - newcomer.met >= NEWCOMER_SECONDS
    }

    /// Changes what is remembered of a newcomer, who is one from now on if it was not.
    async fn change(
        &self,
        node: &str,
        change: impl FnOnce(&mut Newcomer) -> Result<(), Barred> + Send + 'static,
    ) -> Result<(), Barred> {
        let mut past = Vec::new();
        if self.store.named(TABLE, node)?.is_none() {
            let known = self.store.all_named(TABLE)?;
            if known.len() >= NEWCOMERS_MAX {
                for (name, row) in known {
                    if self.is_past(&read(&row)?) {
                        past.push(name);
                    }
                }
                if past.is_empty() {
                    return Err(Barred::TooManyNewcomers);
                }
            }
        }
        let (node, now) = (node.to_owned(), self.clock.now().unix_seconds());
        let change = move |rows: &mut NamedRows<'_, '_>| {
            for name in past {
                rows.remove(TABLE, &name);
            }
            let mut newcomer = match rows.get(TABLE, &node)? {
                Some(row) => read(&row)?,
                None => Newcomer {
                    met: now,
                    ..Newcomer::default()
                },
            };
            change(&mut newcomer)?;
            let row = serde_json::to_vec(&newcomer).map_err(damaged)?;
            rows.put(TABLE, &node, row);
            Ok(())
        };
        self.store.change_named(change).await
    }
}

/// Whom the operator follows, it deals with.
fn is_allowed(peer: &Peer) -> bool {
    match peer.decided {
        Some(Decided::Allowed) => true,
        Some(Decided::Blocked { .. }) => false,
        None => peer.is_followed,
    }
}

fn read(row: &[u8]) -> Result<Newcomer, StoreError> {
    serde_json::from_slice(row).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a newcomer: {error}"),
    }
}
