//! What others send to this node's actors (docs/protocol.md, 5): who sent it is settled before it is
//! read, and it is read before anything of it is done.
//!
//! A request passes, in this order: its signature's form and policy, the look-up of the key's actor,
//! the signature, the activity's form, the comparison of actor, key and id, the activity's own proof,
//! the memory of copies, and then its effect. A record within goes through the one door
//! ([`crate::ingest`]) and is judged by its own proof; the rest of the activity is a wrapper.

use std::sync::Arc;

use http::HeaderMap;
use protocol::activity::{Activity, ActivityError, Actor, Kind, Thing};
use protocol::httpsig::{
    Dialect, HttpSigError, ParsedSignature, RequestParts, read, verify_ed25519,
};
use protocol::limits::{CAVAGE_DATE_SECONDS_MAX, SIGNATURE_AGE_SECONDS_MAX};

use super::actors::{Actors, Local, is_same_origin, origin};
use super::followers::{Follower, FollowerError, Followers};
use super::moves::{self, MoveError};
use super::outbox::Outbox;
use super::peers::{Peer, PeerError, Peers, Stage};
use super::policy::{Barred, Gate};
use super::pull::Puller;
use super::remote::{Freshness, RemoteActors, RemoteError};
use super::replays::{Claim, Replays};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::ingest::{Ingest, IngestError};
use crate::rsa;
use crate::standing::Standing;
use crate::store::{Receipt, Store, StoreError};

/// Signatures of one request that are looked up: each may cost a fetch and one repetition.
const SIGNATURES_TRIED_MAX: usize = 2;

/// Why a request is not taken.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Its signature.
    #[error(transparent)]
    Signature(#[from] HttpSigError),
    /// The actor whose key signed it.
    #[error("the key's actor: {0}")]
    Actor(#[from] RemoteError),
    /// The actor does not list the key.
    #[error(
        "the actor's document lists no key “{key_id}”: neither RSA in publicKey nor Ed25519 in assertionMethod"
    )]
    UnknownKey {
        /// The key's name.
        key_id: String,
    },
    /// The activity is of somebody else than the key's owner.
    #[error("the request is signed by {signer}, but the activity's actor is {actor}")]
    OtherActor {
        /// The key's owner.
        signer: String,
        /// Who the activity says does it.
        actor: String,
    },
    /// It is no activity, or its own proof is broken.
    #[error(transparent)]
    Activity(#[from] ActivityError),
    /// The activity has an id at another host than its actor.
    #[error("the activity's id must be at its actor's host")]
    ForeignId,
    /// It is about something of another host.
    #[error("the object belongs to another host than the activity's actor")]
    ForeignObject,
    /// It undoes or ends what somebody else did.
    #[error("only its own actor can take a Follow back")]
    ForeignFollow,
    /// It carries no record.
    #[error("the object must carry the signed record itself, under barazaRecord")]
    NoRecord,
    /// It is its own object.
    #[error("an activity cannot be its own object")]
    SelfReference,
    /// It is about nobody here.
    #[error("there is no such actor here")]
    NotHere,
    /// It answers a `Follow` that was never sent.
    #[error("this node sent no such Follow")]
    NoSuchFollow,
    /// Its date does not fit this machine's clock, which is known to be wrong.
    #[error(
        "this node's clock is {} s {} those of its peers, so it cannot judge how old a signature is: send it again later",
        .ahead_seconds.unsigned_abs(), if *.ahead_seconds > 0 { "ahead of" } else { "behind" }
    )]
    WrongClock {
        /// How far it lies ahead, or behind if negative.
        ahead_seconds: i64,
    },
    /// Whom it is about is at home elsewhere now.
    #[error("it moved: follow {to} instead")]
    MovedAway {
        /// Its actor there.
        to: String,
    },
    /// A move is not followed.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// A bound was reached.
    #[error("{0}")]
    Full(String),
    /// This node does not deal with the sender's, or not so much.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// The record within was refused.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Our disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PeerError> for InboxError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Store(error) => Self::Store(error),
            error => Self::Full(error.to_string()),
        }
    }
}

impl From<FollowerError> for InboxError {
    fn from(error: FollowerError) -> Self {
        match error {
            FollowerError::Store(error) => Self::Store(error),
            error => Self::Full(error.to_string()),
        }
    }
}

/// A request to an inbox.
pub struct Request<'r> {
    /// Path and query as they stand in the request line.
    pub path_and_query: &'r str,
    /// All headers.
    pub headers: &'r HeaderMap,
    /// The body, within its bound.
    pub body: &'r [u8],
}

/// The parts that an [`Inbox`] works with.
pub struct Parts {
    /// Our address, and whom we may ask without TLS.
    pub config: Config,
    /// Who we are.
    pub actors: Actors,
    /// Who others are.
    pub remote: RemoteActors,
    /// Who is told of changes here.
    pub followers: Followers,
    /// The nodes that are known.
    pub peers: Peers,
    /// Who may send.
    pub gate: Gate,
    /// Whether our clock is right.
    pub standing: Standing,
    /// What is sent.
    pub outbox: Outbox,
    /// The one door.
    pub ingest: Ingest,
    /// Looks where something is missing.
    pub puller: Puller,
    /// What the key logs say.
    pub store: Arc<Store>,
    /// What was taken already.
    pub replays: Replays,
    /// What time it is.
    pub clock: SharedClock,
}

/// Takes what others send.
pub struct Inbox {
    parts: Parts,
    /// Hosts and ports that key ids may name without TLS.
    insecure: Vec<String>,
}

impl Inbox {
    /// An inbox made of these parts.
    pub fn new(parts: Parts) -> Self {
        let written = |(host, port): &(String, u16)| {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        };
        let insecure = parts.config.insecure_peers.iter().map(written).collect();
        Self { parts, insecure }
    }

    /// Takes one request, or says why not. What it does is durable on return; a copy of what was
    /// taken is taken again without effect.
    ///
    /// # Errors
    /// See [`InboxError`]; nothing is kept of what is refused.
    pub async fn receive(&self, request: Request<'_>) -> Result<(), InboxError> {
        let (signature, signer) = self.authenticate(&request).await?;
        let activity = Activity::parse(request.body)?;
        if activity.actor() != signer.id {
            return Err(InboxError::OtherActor {
                signer: signer.id.clone(),
                actor: activity.actor().chars().take(200).collect(),
            });
        }
        if !is_same_origin(activity.id(), &signer.id) {
            return Err(InboxError::ForeignId);
        }
        activity.check_proof(&signer)?;
        let now = self.parts.clock.now().unix_seconds();
        let fingerprint = signature.fingerprint();
        match self
            .parts
            .replays
            .claim(&fingerprint, good_until(&signature, now), now)
            .await?
        {
            Claim::New => {}
            Claim::Seen => return Ok(()),
            Claim::Full => {
                let detail = "this node cannot remember more requests just now".to_owned();
                return Err(InboxError::Full(detail));
            }
        }
        let done = self.act(&activity, &signer).await;
        if done.is_err() {
            self.parts.replays.release(&fingerprint).await?;
        }
        done
    }

    /// Finds the signature that holds, and who made it.
    async fn authenticate(
        &self,
        request: &Request<'_>,
    ) -> Result<(ParsedSignature, Arc<Actor>), InboxError> {
        let headers: Vec<(&str, &[u8])> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        // From our own address, never from what the request says of it.
        let target = self.parts.config.address(request.path_and_query);
        let signatures = read(&RequestParts::new("POST", &target, &headers)?)?;
        let mut refusal = InboxError::Signature(HttpSigError::MissingSignature);
        for (tried, signature) in signatures
            .into_iter()
            .take(SIGNATURES_TRIED_MAX)
            .enumerate()
        {
            match self.signer(&signature, request.body).await {
                Ok(signer) => return Ok((signature, signer)),
                Err(error) if tried == 0 => refusal = error,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// The actor that made this signature.
    async fn signer(
        &self,
        signature: &ParsedSignature,
        body: &[u8],
    ) -> Result<Arc<Actor>, InboxError> {
        if let Err(error) = signature.check_policy(body, self.parts.clock.now()) {
            return Err(self.dated_wrong(error)?);
        }
        let key_id = signature.key_url(&self.insecure)?;
        if let Some(node) = origin(key_id) {
            self.parts.gate.check_sender(&node)?;
        }
        let kept = self.parts.remote.of_key(key_id, Freshness::Kept).await?;
        match verify(signature, &kept) {
            Ok(()) => Ok(kept),
            Err(error) => {
                // The key may have been changed since.
                let anew = self.parts.remote.of_key(key_id, Freshness::Anew).await?;
                if Arc::ptr_eq(&anew, &kept) {
                    return Err(error);
                }
                verify(signature, &anew)?;
                Ok(anew)
            }
        }
    }

    /// Whose fault it is that a signature is not of our time.
    fn dated_wrong(&self, error: HttpSigError) -> Result<InboxError, StoreError> {
        let is_about_time = matches!(
            error,
            HttpSigError::Stale { .. }
                | HttpSigError::FromTheFuture { .. }
                | HttpSigError::Expired { .. }
        );
        Ok(match self.parts.standing.clock_ahead()? {
            Some(ahead_seconds) if is_about_time => InboxError::WrongClock { ahead_seconds },
            _ => error.into(),
        })
    }

    async fn act(&self, activity: &Activity, signer: &Actor) -> Result<(), InboxError> {
        if activity.thing().reference("object") == Some(activity.id()) {
            return Err(InboxError::SelfReference);
        }
        match activity.kind() {
            Kind::Follow => self.follow(activity, signer).await,
            Kind::Undo => self.undo(activity, signer).await,
            Kind::Accept => self.answer(activity, signer, Stage::Granted).await,
            Kind::Reject => self.answer(activity, signer, Stage::Refused).await,
            Kind::Create | Kind::Update | Kind::Delete => self.record(activity, signer).await,
            Kind::Announce => self.passed_on(activity, signer).await,
            Kind::Move => moves::take(&self.parts, activity, &signer.id).await,
            // Taken and left: the fediverse says many things that do not concern a directory.
            Kind::Other => Ok(()),
        }
    }

    async fn follow(&self, activity: &Activity, signer: &Actor) -> Result<(), InboxError> {
        let object = activity.thing().reference("object").unwrap_or_default();
        let local = self
            .parts
            .actors
            .of_id(object)?
            .ok_or(InboxError::NotHere)?;
        if let Local::Moved { to, .. } = local {
            return Err(InboxError::MovedAway { to });
        }
        let inbox = signer.shared_inbox.as_ref().unwrap_or(&signer.inbox);
        let followed = self.parts.actors.id(&local);
        let follower = Follower::new(&signer.id, followed, activity.id(), inbox)
            .ok_or(InboxError::Actor(RemoteError::Address))?;
        let host = follower.host.clone();
        self.parts.gate.check_follow(&host).await?;
        self.parts.outbox.accept(follower).await?;
        if local == Local::Node && signer.is_service() {
            let inbox = inbox.clone();
            let note = |peer: &mut Peer| peer.follower_inbox = Some(inbox);
            match self.parts.peers.change(&host, note).await {
                // The list of peers is for people; who is sent what stands with the followers.
                Ok(_) | Err(PeerError::Full) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn undo(&self, activity: &Activity, signer: &Actor) -> Result<(), InboxError> {
        let thing = activity.thing();
        let undone = thing.reference("object").unwrap_or_default();
        let mut followed = None;
        if let Some(object) = thing.object("object") {
            if !object.types().contains(&"Follow") && !object.types().is_empty() {
                return Ok(());
            }
            if object
                .reference("actor")
                .is_some_and(|actor| actor != signer.id)
            {
                return Err(InboxError::ForeignFollow);
            }
            followed = object.reference("object").map(str::to_owned);
        }
        // A Follow without an id of its own is known by its parties.
        let is_nameless = undone.is_empty() && followed.is_some();
        if !is_nameless && !is_same_origin(undone, &signer.id) {
            return Err(InboxError::ForeignFollow);
        }
        let by_name = || self.parts.followers.by_follow(&signer.id, undone);
        let Some(followed) = followed.or_else(|| by_name().map(|row| row.followed)) else {
            // It was undone already, or never was.
            return Ok(());
        };
        self.parts.followers.remove(&signer.id, &followed).await?;
        if followed == self.parts.actors.id(&Local::Node)
            && let Some(host) = origin(&signer.id)
            && self.parts.peers.get(&host)?.is_some()
        {
            let note = |peer: &mut Peer| peer.follower_inbox = None;
            self.parts.peers.change(&host, note).await?;
        }
        Ok(())
    }

    /// Notes the answer to a `Follow` of ours.
    async fn answer(
        &self,
        activity: &Activity,
        signer: &Actor,
        stage: Stage,
    ) -> Result<(), InboxError> {
        let follow = activity.thing().reference("object");
        let follow = follow.ok_or(InboxError::NoSuchFollow)?;
        let host = origin(&signer.id).ok_or(InboxError::NoSuchFollow)?;
        let is_ours = |peer: &Peer| {
            peer.asked.as_ref().is_some_and(|asked| {
                asked.follow == follow
                    && asked.actor.as_deref() == Some(&signer.id)
                    && asked.stage != Stage::Ending
            })
        };
        if !self
            .parts
            .peers
            .get(&host)?
            .is_some_and(|peer| is_ours(&peer))
        {
            return Err(InboxError::NoSuchFollow);
        }
        let note = |peer: &mut Peer| {
            if is_ours(peer)
                && let Some(asked) = &mut peer.asked
            {
                asked.stage = stage;
            }
        };
        self.parts.peers.change(&host, note).await?;
        Ok(())
    }

    /// Takes the record within, if the wrapper is about the sender's own.
    async fn record(&self, activity: &Activity, signer: &Actor) -> Result<(), InboxError> {
        let thing = activity.thing();
        if let Some(id) = thing.reference("object")
            && !is_same_origin(id, &signer.id)
        {
            return Err(InboxError::ForeignObject);
        }
        let object: Thing<'_> = thing.object("object").ok_or(InboxError::NoRecord)?;
        for term in ["attributedTo", "actor"] {
            if !object.values(term).is_empty()
                && !object
                    .reference(term)
                    .is_some_and(|owner| is_same_origin(owner, &signer.id))
            {
                return Err(InboxError::ForeignObject);
            }
        }
        let record = object.record().ok_or(InboxError::NoRecord)?;
        self.take(&record, signer).await
    }

    /// Takes the record within an activity that somebody passes on. Whose activity it is does not
    /// matter: the record shows who wrote it. What carries none is nothing for a directory, and nothing is
    /// ever fetched for it.
    async fn passed_on(&self, activity: &Activity, signer: &Actor) -> Result<(), InboxError> {
        let inner = activity.thing().object("object");
        let record = inner
            .and_then(|inner| inner.object("object"))
            .and_then(|object| object.record());
        match record {
            Some(record) => self.take(&record, signer).await,
            None => Ok(()),
        }
    }

    async fn take(&self, record: &[u8], signer: &Actor) -> Result<(), InboxError> {
        let host = origin(&signer.id).ok_or(InboxError::ForeignId)?;
        // What was on its way when the following ended or became one of a part is taken and left.
        let peer = self.parts.peers.get(&host)?;
        if peer.is_some_and(|peer| !peer.may_push()) {
            return Ok(());
        }
        self.parts.gate.check_record(&host).await?;
        let receipt = self
            .parts
            .ingest
            .record(record, Some(host.as_str().into()))
            .await?;
        // Whoever follows the sender is reading its log already, and sees there what was just stored;
        // a reader that waits after a failure, or a record without its author's log, is worth a look.
        let is_waiting = || -> Result<bool, StoreError> {
            let peer = self.parts.peers.get(&host)?;
            Ok(peer.is_some_and(|peer| peer.last_error.is_some()))
        };
        if receipt == Receipt::Parked || is_waiting()? {
            self.parts.puller.hint(&host);
        }
        Ok(())
    }
}

fn verify(signature: &ParsedSignature, actor: &Actor) -> Result<(), InboxError> {
    let key_id = signature.key_id();
    if let Some(key) = actor.rsa_key(key_id) {
        return Ok(rsa::verify(signature, key)?);
    }
    let key = actor.key(key_id).ok_or_else(|| InboxError::UnknownKey {
        key_id: key_id.chars().take(200).collect(),
    })?;
    Ok(verify_ed25519(signature, key)?)
}

/// Until when a copy of the request would still be taken, in seconds since 1970.
fn good_until(signature: &ParsedSignature, now: i64) -> i64 {
    match (signature.dialect(), signature.created()) {
        (Dialect::Rfc9421, Some(created)) => created.unix_seconds() + SIGNATURE_AGE_SECONDS_MAX,
        _ => now + 2 * CAVAGE_DATE_SECONDS_MAX,
    }
}
