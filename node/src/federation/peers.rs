//! The nodes that this one knows, and how it stands with each.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::Scid;
use protocol::sync::Filter;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;

use super::site::site_address;
use crate::audit::{self, Decision};
use crate::catalogue::SITES;
use crate::store::{Named, NamedRows, Store, StoreError};

const TABLE: &str = "peers";

/// Beside the peers, because it moves with the records that were read up to it.
const PLACES: &str = "places";

/// Most peers that a node keeps: far above any real network, below what would hurt.
const PEERS_MAX: usize = 10_000;

/// Most hours between two readings of a peer's log: beyond a day nobody could tell a pause from silence.
pub const EVERY_HOURS_MAX: u8 = 24;

/// How often, at most, a peer is compared with that is read every so many hours, in seconds.
const COMPARE_SECONDS: u64 = 24 * 3_600;

/// Another node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peer {
    /// Its address: without a path, or that of the log on a provider's page.
    pub url: String,
    /// Whether this node takes in what that one has.
    pub is_followed: bool,
    /// Whether it was followed and its operator ended that: what is still on its way is left.
    #[serde(default)]
    pub is_unfollowed: bool,
    /// The inbox of the peer's actor, if it follows this node.
    #[serde(default)]
    pub follower_inbox: Option<String>,
    /// Which part is wanted; empty for all.
    #[serde(default)]
    pub filter: String,
    /// Hours from one reading of its log to the next, where the line to it is thin: then nothing is to be
    /// pushed either. None if it is kept up with.
    #[serde(default)]
    pub every_hours: Option<NonZeroU8>,
    /// When it last answered, in seconds since 1970.
    #[serde(default)]
    pub last_heard: Option<i64>,
    /// When all that it has was last compared with what is here, in seconds since 1970.
    #[serde(default)]
    pub last_compared: Option<i64>,
    /// What went wrong last, in plain words; none if the last attempt went well.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Records taken in from it.
    #[serde(default)]
    pub received: u64,
    /// Lines of it that were refused.
    #[serde(default)]
    pub refused: u64,
    /// Why the last of them was.
    #[serde(default)]
    pub last_refusal: Option<String>,
    /// How far this node is with asking the peer to push. Pulling needs none of it.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// What the operator decided about it.
    #[serde(default)]
    pub decided: Option<Decided>,
    /// What it answers instead of dealing with this node; none once it deals with it again.
    #[serde(default)]
    pub turned_away: Option<TurnedAway>,
}

/// What the operator decided about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decided {
    /// It may hand records over and follow.
    Allowed,
    /// Nothing is exchanged with it.
    Blocked {
        /// Why, in the operator's words.
        reason: Option<String>,
        /// Since when, in seconds since 1970.
        since: i64,
    },
}

/// How a peer refuses to deal with this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnedAway {
    /// The code of its answer, such as `blocked`.
    pub code: String,
    /// Its operator's words.
    pub detail: String,
}

/// A `Follow` of a peer's actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The id of the `Follow`.
    pub follow: String,
    /// The peer's actor, once it was found.
    pub actor: Option<String>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a `Follow` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// To be sent.
    Wanted,
    /// Sent, and not answered.
    Sent,
    /// Accepted.
    Granted,
    /// Rejected.
    Refused,
    /// To be undone.
    Ending,
}

impl Peer {
    /// A peer of which nothing is known yet.
    pub fn new(url: String) -> Self {
        Self {
            url,
            is_followed: false,
            is_unfollowed: false,
            follower_inbox: None,
            filter: String::new(),
            every_hours: None,
            last_heard: None,
            last_compared: None,
            last_error: None,
            received: 0,
            refused: 0,
            last_refusal: None,
            asked: None,
            decided: None,
            turned_away: None,
        }
    }

    /// Whether nothing is exchanged with it.
    pub fn is_blocked(&self) -> bool {
        matches!(self.decided, Some(Decided::Blocked { .. }))
    }

    /// Whether its log is read: it is followed, and not blocked meanwhile.
    pub fn is_read(&self) -> bool {
        self.is_followed && !self.is_blocked()
    }

    /// Whether records that it pushes are taken. Of a peer that is followed in part, only the log is
    /// read: there the filter holds.
    pub fn may_push(&self) -> bool {
        if self.is_followed {
            self.filter.is_empty()
        } else {
            !self.is_unfollowed
        }
    }

    /// Whether it is to push: it is followed whole, and kept up with.
    pub fn is_to_push(&self) -> bool {
        self.is_followed && self.filter.is_empty() && self.every_hours.is_none()
    }

    /// The time from one reading of its log to the next; none if it is kept up with.
    pub fn every(&self) -> Option<Duration> {
        let hours = self.every_hours?;
        Some(Duration::from_secs(u64::from(hours.get()) * 3_600))
    }

    /// Whether it is time to compare with it: over a thin line once a day, else whenever somebody thinks of it.
    pub fn is_due_to_compare(&self, now: Timestamp) -> bool {
        // A clock that was put back must not put this off.
        let is_recent = |last| now.unix_seconds().abs_diff(last) < COMPARE_SECONDS;
        self.every_hours.is_none() || !self.last_compared.is_some_and(is_recent)
    }

    /// When it last answered.
    pub fn last_heard(&self) -> Option<Timestamp> {
        self.last_heard.map(Timestamp::from_unix_seconds)
    }

    /// Which part is wanted.
    pub fn filter(&self) -> Filter {
        // Only filters that were read are stored.
        Filter::parse(&self.filter).unwrap_or_default()
    }
}

/// How far a peer's log was read, and for which part of it that holds.
#[derive(Serialize, Deserialize)]
struct Place {
    filter: String,
    cursor: String,
}

/// Why a peer cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The address is none.
    #[error(
        "“{text}” is not a node's address: write it like https://hub.example, or https://site.example/did.jsonl for a page without a node"
    )]
    Address {
        /// What was given.
        text: String,
    },
    /// It is not known.
    #[error("{url} is not followed: `baraza peers` shows those that are")]
    Unknown {
        /// Its address.
        url: String,
    },
    /// The operator blocked it.
    #[error("{url} is blocked here: `baraza peers unblock {url}` first")]
    Blocked {
        /// Its address.
        url: String,
    },
    /// There are too many.
    #[error("this node knows {PEERS_MAX} peers, which is as many as it keeps: unfollow some")]
    Full,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The peers, kept in the store.
#[derive(Clone)]
pub struct Peers {
    store: Arc<Store>,
    /// One change at a time: who pulls, who receives and who sends change different members of one row.
    turn: Arc<Mutex<()>>,
}

impl Peers {
    /// The peers of a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            turn: Arc::default(),
        }
    }

    /// Every peer, by address.
    ///
    /// # Errors
    /// A disk fault.
    pub fn all(&self) -> Result<Vec<Peer>, StoreError> {
        self.store
            .all_named(TABLE)?
            .iter()
            .map(|(_, row)| read(row))
            .collect()
    }

    /// The peer with this address.
    ///
    /// # Errors
    /// A disk fault.
    pub fn get(&self, url: &str) -> Result<Option<Peer>, StoreError> {
        self.store
            .named(TABLE, url)?
            .as_deref()
            .map(read)
            .transpose()
    }

    /// How far this part of a peer's log was read. Another part of it begins anew: what was passed over
    /// may be wanted now.
    ///
    /// # Errors
    /// A disk fault.
    pub fn cursor(&self, url: &str, filter: &str) -> Result<Option<String>, StoreError> {
        let Some(row) = self.store.named(PLACES, url)? else {
            return Ok(None);
        };
        let place: Place = serde_json::from_slice(&row).map_err(damaged)?;
        Ok((place.filter == filter).then_some(place.cursor))
    }

    /// The row that says how far a peer's log was read, to be put with the records that were.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn place(&self, url: &str, filter: &str, cursor: &str) -> Result<Named, StoreError> {
        let place = Place {
            filter: filter.to_owned(),
            cursor: cursor.to_owned(),
        };
        Ok(Named {
            table: PLACES,
            name: url.to_owned(),
            value: serde_json::to_vec(&place).map_err(damaged)?,
        })
    }

    /// Reads this part of a peer's log on from there.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn keep_place(
        &self,
        url: &str,
        filter: &str,
        cursor: &str,
    ) -> Result<(), StoreError> {
        let Named { table, name, value } = self.place(url, filter, cursor)?;
        self.store.put_named(table, &name, Some(value)).await
    }

    /// Notes whose log stands at an address that it names itself; `None` if what stands there does not.
    /// Whoever was noted for that address before is so no longer: a lapsed domain may have a new owner.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_site(&self, url: &str, at_home: Option<&Scid>) -> Result<(), StoreError> {
        let at_home = at_home.map(Scid::to_string);
        let mut is_noted = false;
        for (name, site) in self.store.all_named(SITES)? {
            if site != url.as_bytes() {
                continue;
            }
            if at_home.as_ref() == Some(&name) {
                is_noted = true;
            } else {
                self.store.put_named(SITES, &name, None).await?;
            }
        }
        match at_home {
            Some(name) if !is_noted => {
                let site = Some(url.as_bytes().to_vec());
                self.store.put_named(SITES, &name, site).await
            }
            _ => Ok(()),
        }
    }

    /// Reads a peer's log from its beginning next time.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn begin_anew(&self, url: &str) -> Result<(), StoreError> {
        self.store.put_named(PLACES, url, None).await
    }

    /// Notes how a peer refuses to deal with this node, or that it does not any more.
    ///
    /// # Errors
    /// As [`Peers::change`].
    pub async fn note_turned_away(
        &self,
        url: &str,
        turned_away: Option<TurnedAway>,
    ) -> Result<(), PeerError> {
        let known = self.get(url)?.and_then(|peer| peer.turned_away);
        if known != turned_away {
            self.change(url, |peer| peer.turned_away = turned_away)
                .await?;
        }
        Ok(())
    }

    /// Notes that a peer took what it was sent.
    ///
    /// # Errors
    /// As [`Peers::change`].
    pub async fn note_taken(&self, url: &str) -> Result<(), PeerError> {
        self.note_turned_away(url, None).await
    }

    /// Whether nothing is exchanged with the node at this address.
    ///
    /// # Errors
    /// A disk fault.
    pub fn is_blocked(&self, url: &str) -> Result<bool, StoreError> {
        Ok(self.get(url)?.is_some_and(|peer| peer.is_blocked()))
    }

    /// Notes of peers that receive at an inbox that they follow this node no longer.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn forget_inbox(&self, inbox: &str) -> Result<(), PeerError> {
        for peer in self.all()? {
            if peer.follower_inbox.as_deref() == Some(inbox) {
                self.change(&peer.url, |peer| peer.follower_inbox = None)
                    .await?;
            }
        }
        Ok(())
    }

    /// Changes what is known of a peer, which is made if it is new.
    ///
    /// # Errors
    /// [`PeerError::Full`], or a disk fault.
    pub async fn change(
        &self,
        url: &str,
        change: impl FnOnce(&mut Peer),
    ) -> Result<Peer, PeerError> {
        self.change_by(url, change, None).await
    }

    /// As [`Peers::change`], for a decision of the operator, which is written down in the same step.
    ///
    /// # Errors
    /// As [`Peers::change`].
    pub async fn decide(
        &self,
        url: &str,
        change: impl FnOnce(&mut Peer),
        decision: Decision,
    ) -> Result<Peer, PeerError> {
        self.change_by(url, change, Some(decision)).await
    }

    async fn change_by(
        &self,
        url: &str,
        change: impl FnOnce(&mut Peer),
        decision: Option<Decision>,
    ) -> Result<Peer, PeerError> {
        let _turn = self.turn.lock().await;
        let known = self.get(url)?;
        if known.is_none() && self.store.all_named(TABLE)?.len() >= PEERS_MAX {
            return Err(PeerError::Full);
        }
        let mut peer = known.unwrap_or_else(|| Peer::new(url.to_owned()));
        change(&mut peer);
        let row = serde_json::to_vec(&peer).map_err(|error| StoreError::Corrupt {
            detail: error.to_string(),
        })?;
        let url = url.to_owned();
        let put = move |rows: &mut NamedRows<'_, '_>| {
            rows.put(TABLE, &url, row);
            match decision {
                Some(decision) => audit::append(rows, &decision),
                None => Ok(()),
            }
        };
        self.store.change_named(put).await?;
        Ok(peer)
    }
}

fn read(row: &[u8]) -> Result<Peer, StoreError> {
    serde_json::from_slice(row).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a peer: {error}"),
    }
}

/// The address of a node or of a provider's page, from what a person writes.
///
/// # Errors
/// [`PeerError::Address`].
pub fn peer_address(text: &str) -> Result<String, PeerError> {
    site_address(text).unwrap_or_else(|| node_address(text))
}

/// The address of a node, from what a person writes: an address with or without `https://` and path.
///
/// # Errors
/// [`PeerError::Address`].
pub fn node_address(text: &str) -> Result<String, PeerError> {
    let wrong = || PeerError::Address {
        text: text.chars().take(80).collect(),
    };
    let text = text.trim();
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&full).map_err(|_| wrong())?;
    let is_origin = matches!(url.scheme(), "https" | "http")
        && url.username().is_empty()
        && url.password().is_none();
    if !is_origin || url.host().is_none() {
        return Err(wrong());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use super::{COMPARE_SECONDS, Peer, node_address};
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn a_peer_behind_a_thin_line_is_compared_with_once_a_day_and_others_at_any_time() {
        let now = SystemClock.now();
        let mut peer = Peer::new("https://hub.example".to_owned());
        peer.last_compared = Some(now.unix_seconds());
        assert!(peer.is_due_to_compare(now));
        peer.every_hours = NonZeroU8::new(6);
        assert!(!peer.is_due_to_compare(now));
        let day = COMPARE_SECONDS.cast_signed();
        assert!(!peer.is_due_to_compare(now.plus_seconds(day - 1)));
        assert!(peer.is_due_to_compare(now.plus_seconds(day)));
        // The clock was put back.
        assert!(peer.is_due_to_compare(now.plus_seconds(-day)));
        peer.last_compared = None;
        assert!(peer.is_due_to_compare(now));
    }

    #[test]
    fn a_peer_of_an_earlier_release_reads() {
        let peer = super::read(br#"{"url":"https://hub.example","is_followed":true}"#).unwrap();
        assert!(peer.is_followed);
        assert_eq!(peer.asked, None);
    }

    #[test]
    fn an_address_is_what_people_write() {
        for (text, address) in [
            ("https://hub.example/", "https://hub.example"),
            ("hub.example", "https://hub.example"),
            ("http://127.0.0.1:8101/en/nodes", "http://127.0.0.1:8101"),
            ("https://HUB.example:443", "https://hub.example"),
        ] {
            assert_eq!(node_address(text).unwrap(), address);
        }
        for text in ["", "ftp://x", "https://user@hub.example", "hub example"] {
            assert!(node_address(text).is_err(), "{text}");
        }
    }
}
