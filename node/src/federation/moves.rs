//! Actors that this node follows and that move (FEP-7628; docs/protocol.md, 5).
//!
//! Whoever holds a host can say that an actor there moved, so that alone moves nothing: the new actor must
//! name the old one, and where a key log says at whose address the old one was, the log must say so too.

use protocol::activity::Activity;

use super::actors::{actor_of, former_actors, origin};
use super::inbox::{InboxError, Parts};
use super::peers::{Peer, Stage};
use super::policy::Barred;
use super::remote::{Freshness, RemoteError};
use crate::store::Store;

/// Why a move is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// It is about somebody else than its actor.
    #[error("an actor can move nobody but itself: actor and object must be the same")]
    NotItself,
    /// It does not say where to.
    #[error("“target” must be the address of one other actor")]
    NoTarget,
    /// The new actor cannot be read.
    #[error("the new actor: {0}")]
    Target(RemoteError),
    /// The new actor does not say that it is the old one.
    #[error(
        "{target} does not name {former} in alsoKnownAs: it must say itself that it is the same"
    )]
    NotNamed {
        /// The new actor.
        target: String,
        /// The old one.
        former: String,
    },
    /// The new actor is not one that this node follows.
    #[error("{target} is neither an Application nor a Service: a node follows no others")]
    NoService {
        /// The new actor.
        target: String,
    },
    /// The operator does not deal with the new actor's host.
    #[error("this node does not deal with {host}")]
    Unwelcome {
        /// The new actor's host.
        host: String,
    },
    /// The key log of the old actor's owner says that it is still there, as far as it is known here.
    #[error(
        "by its key log {former} is still at home: send its new entry first, and this again later"
    )]
    NotInLog {
        /// The old actor.
        former: String,
    },
    /// The key log says that it moved elsewhere.
    #[error("by its key log {former} moved to {home}, not there")]
    OtherwiseInLog {
        /// The old actor.
        former: String,
        /// Where it is.
        home: String,
    },
}

impl MoveError {
    /// Whether the same may be taken later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NotInLog { .. } => true,
            Self::Target(error) => error.is_temporary(),
            _ => false,
        }
    }
}

/// Moves our follow of whoever sent this to where it went. Of an actor that is not followed (any more)
/// nothing becomes, and nothing is fetched.
///
/// # Errors
/// [`InboxError::Move`], or a disk fault.
pub(super) async fn take(
    parts: &Parts,
    activity: &Activity,
    former: &str,
) -> Result<(), InboxError> {
    let thing = activity.thing();
    if thing.reference("object") != Some(former) {
        return Err(MoveError::NotItself.into());
    }
    let target = thing.reference("target").filter(|target| *target != former);
    let (Some(target), Some(host), Some(new_host)) =
        (target, origin(former), target.and_then(origin))
    else {
        return Err(MoveError::NoTarget.into());
    };
    let is_followed = |peer: Peer| {
        peer.asked.is_some_and(|asked| {
            asked.actor.as_deref() == Some(former)
                && matches!(asked.stage, Stage::Wanted | Stage::Sent | Stage::Granted)
        })
    };
    if !parts.peers.get(&host)?.is_some_and(is_followed) {
        return Ok(());
    }
    match parts.gate.check_sender(&new_host) {
        Ok(()) => {}
        Err(Barred::Store(error)) => return Err(error.into()),
        Err(_) => return Err(MoveError::Unwelcome { host: new_host }.into()),
    }
    check_log(&parts.store, former, target).inspect_err(|error| {
        if matches!(error, InboxError::Move(error) if error.is_temporary()) {
            parts.puller.hint(&host);
        }
    })?;
    let new = parts.remote.get(target, Freshness::Anew).await;
    let new = new.map_err(MoveError::Target)?;
    if !new.also_known_as.iter().any(|name| name == former) {
        let (target, former) = (target.to_owned(), former.to_owned());
        return Err(MoveError::NotNamed { target, former }.into());
    }
    if !new.is_service() {
        let target = target.to_owned();
        return Err(MoveError::NoService { target }.into());
    }
    parts.puller.follow_to(&host, &new_host).await?;
    parts.outbox.unfollow(&host).await?;
    parts
        .outbox
        .follow(&new_host, Some(target.to_owned()))
        .await?;
    tracing::info!(former, target, "an actor moved, and is followed there");
    Ok(())
}

/// What the key logs that are held here say: of whoever is or was at home at the old address, that it went
/// to the new one. Addresses that no log names are those of other software. Where several logs name the old
/// address, all must agree: anyone can write one that does.
fn check_log(store: &Store, former: &str, target: &str) -> Result<(), InboxError> {
    for author in store.authors()? {
        let home = actor_of(author.state.did());
        if home.as_deref() == Some(former) {
            let former = former.to_owned();
            return Err(MoveError::NotInLog { former }.into());
        }
        if former_actors(&author.state).contains(former) && home.as_deref() != Some(target) {
            let (former, home) = (former.to_owned(), author.state.did().to_string());
            return Err(MoveError::OtherwiseInLog { former, home }.into());
        }
    }
    Ok(())
}
