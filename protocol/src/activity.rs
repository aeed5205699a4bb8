//! What nodes say to each other by ActivityPub: activities and actors in ActivityStreams 2.0
//! (docs/protocol.md, 5).
//!
//! Reading is tolerant: a property may be a value, an object or a list, the few terms used may be
//! written compact, with a prefix or as full IRIs, and numbers may be any. Contexts are ignored and
//! never fetched, so what an activity means here never depends on another machine. Writing is strict
//! and repeats nobody's unknown members.
//!
//! An activity is a wrapper. The signed record stands whole within it, under [`RECORD_TERM`], and is
//! judged by its own proof as if it had come by any other way ([`crate::envelope`]). What belongs to
//! whom (hosts, actors, keys) is compared by the receiver, not here.

use serde_json::{Map, Value, json};

use crate::canonical::{JsonError, Numbers, parse, to_canonical};
use crate::envelope::{Header, Status};
use crate::key::{PublicKey, RsaPublicKey, SecretKey};
use crate::limits::{ACTIVITY_BYTES_MAX, ACTOR_BYTES_MAX, ACTOR_KEYS_MAX, ALSO_KNOWN_AS_MAX};
use crate::proof::{self, Proof, ProofError};
use crate::record::{Body, TextMap};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// How activities, actors and collections are sent.
pub const MEDIA_TYPE: &str = "application/activity+json";

/// What to ask for when an actor is fetched: the two types that ActivityPub names (3.2).
pub const ACCEPT: &str = "application/activity+json, application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";

/// The vocabulary; also the profile that makes `application/ld+json` an activity.
pub const VOCABULARY: &str = "https://www.w3.org/ns/activitystreams";

/// Everyone, as an address (ActivityPub, 5.6).
pub const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// Where an object carries the signed record that it shows.
pub const RECORD_TERM: &str = "barazaRecord";

/// [`RECORD_TERM`] in full: a name, not an address, since nothing of ours is ever to be fetched.
pub const RECORD_IRI: &str = "urn:baraza:record";

/// Prefixes and namespaces of the terms that are read.
const NAMESPACES: [&str; 9] = [
    "as:",
    "https://www.w3.org/ns/activitystreams#",
    "http://www.w3.org/ns/activitystreams#",
    "sec:",
    "https://w3id.org/security#",
    "ldp:",
    "http://www.w3.org/ns/ldp#",
    "vf:",
    "https://w3id.org/valueflows/ont/vf#",
];

/// Whether a `Content-Type` is that of an activity: `application/activity+json`, or
/// `application/ld+json` with the profile of ActivityStreams (ActivityPub, 3.2 and 7). Upper case,
/// further parameters and further profiles are allowed.
pub fn is_activity_type(content_type: &str) -> bool {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim();
    if essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        return true;
    }
    essence.eq_ignore_ascii_case("application/ld+json")
        && parameters.split(';').any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("profile")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|profile| profile == VOCABULARY)
            })
        })
}

/// An object as somebody sent it.
#[derive(Debug, Clone, Copy)]
pub struct Thing<'t>(&'t Map<String, Value>);

impl<'t> Thing<'t> {
    /// Reads properties of `object`.
    pub fn of(object: &'t Map<String, Value>) -> Self {
        Self(object)
    }

    /// A property's values, lists taken apart; the compact spelling of its name goes first.
    pub fn values(&self, term: &str) -> Vec<&'t Value> {
        let mut values = Vec::new();
        let found = self.0.get(term).or_else(|| {
            let written = |name: &str| {
                NAMESPACES
                    .iter()
                    .any(|prefix| name.strip_prefix(prefix) == Some(term))
            };
            self.0
                .iter()
                .find(|(name, _)| written(name))
                .map(|(_, value)| value)
        });
        if let Some(found) = found {
            flatten(found, &mut values);
        }
        values
    }

    /// The object's id; `None` if it has none, or several.
    pub fn id(&self) -> Option<&'t str> {
        self.0
            .get("id")
            .or_else(|| self.0.get("@id"))
            .and_then(Value::as_str)
    }

    /// The object's types, without prefix.
    pub fn types(&self) -> Vec<&'t str> {
        let mut types = Vec::new();
        if let Some(value) = self.0.get("type").or_else(|| self.0.get("@type")) {
            flatten(value, &mut types);
        }
        types
            .into_iter()
            .filter_map(|value| value.as_str().map(without_namespace))
            .collect()
    }

    /// The one id that a property refers to, whether written as a text or as an object that has it.
    /// `None` if there is none, or several that differ.
    pub fn reference(&self, term: &str) -> Option<&'t str> {
        let mut ids = self.values(term).into_iter().map(id_of);
        let first = ids.next()??;
        ids.all(|id| id == Some(first)).then_some(first)
    }

    /// The one object that stands in a property; `None` if there is none, or several.
    pub fn object(&self, term: &str) -> Option<Thing<'t>> {
        match self.values(term).as_slice() {
            [Value::Object(object)] => Some(Self(object)),
            _ => None,
        }
    }

    /// The one text of a property.
    pub fn text(&self, term: &str) -> Option<&'t str> {
        match self.values(term).as_slice() {
            [value] => value.as_str(),
            _ => None,
        }
    }

    /// The signed record that the object carries, in canonical form. Not believed.
    pub fn record(&self) -> Option<Vec<u8>> {
        let value = self.0.get(RECORD_TERM).or_else(|| self.0.get(RECORD_IRI))?;
        // A list of one, and the form of JSON literals in expanded JSON-LD (JSON-LD 1.1, 4.2.2).
        let value = match value {
            Value::Array(list) => match list.as_slice() {
                [one] => one,
                _ => return None,
            },
            value => value,
        };
        let value = value.get("@value").unwrap_or(value);
        value.is_object().then(|| to_canonical(value))
    }
}

fn flatten<'t>(value: &'t Value, into: &mut Vec<&'t Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| flatten(value, into)),
        Value::Null => {}
        Value::Object(object) => {
            let inner = ["@list", "@set", "@value"]
                .iter()
                .find_map(|name| object.get(*name));
            match inner {
                Some(inner) => flatten(inner, into),
                None => into.push(value),
            }
        }
        value => into.push(value),
    }
}

fn id_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(object) => Thing(object).id(),
        _ => None,
    }
}

fn without_namespace(name: &str) -> &str {
    NAMESPACES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// What an activity does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks to be told of what the object does.
    Follow,
    /// Grants a `Follow`.
    Accept,
    /// Refuses a `Follow`, or ends one that was granted.
    Reject,
    /// Takes another activity back.
    Undo,
    /// A record is new.
    Create,
    /// A record has a new version.
    Update,
    /// A record is withdrawn.
    Delete,
    /// Somebody passes another's activity on.
    Announce,
    /// An actor goes on under another address.
    Move,
    /// Something that this version does not act on.
    Other,
}

impl Kind {
    fn read(types: &[&str]) -> Self {
        let known = types.iter().find_map(|name| {
            Some(match *name {
                "Follow" => Self::Follow,
                "Accept" => Self::Accept,
                "Reject" => Self::Reject,
                "Undo" => Self::Undo,
                "Create" => Self::Create,
                "Update" => Self::Update,
                "Delete" => Self::Delete,
                "Announce" => Self::Announce,
                "Move" => Self::Move,
                _ => return None,
            })
        });
        known.unwrap_or(Self::Other)
    }

    /// The type's name; `Activity` for those that are not acted on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "Follow",
            Self::Accept => "Accept",
            Self::Reject => "Reject",
            Self::Undo => "Undo",
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Announce => "Announce",
            Self::Move => "Move",
            Self::Other => "Activity",
        }
    }
}

/// Why bytes are no activity, or no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActivityError {
    /// Not JSON, or beyond its limits.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A list, a text, a number or `null`: activities are sent one at a time.
    #[error("send one activity, a JSON object")]
    NotAnObject,
    /// A member is missing or not what it must be.
    #[error("“{member}” must be {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The proof cannot be read, or does not fit.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof is for something other than an assertion.
    #[error("the proof's purpose is “{found}”, not assertionMethod")]
    Purpose {
        /// What it is for.
        found: String,
    },
    /// The proof names a key that its actor does not list for assertions.
    #[error("the actor does not list the key “{key}” in assertionMethod")]
    KeyNotListed {
        /// The key's name.
        key: String,
    },
    /// A key in an actor's document belongs to somebody else.
    #[error("the key “{key}” names another owner than the actor it stands in")]
    ForeignKey {
        /// The key's name.
        key: String,
    },
}

fn member(member: &'static str, expected: &'static str) -> ActivityError {
    ActivityError::Member { member, expected }
}

/// An activity as it came: read, not believed.
#[derive(Debug, Clone)]
pub struct Activity {
    tree: Map<String, Value>,
    kind: Kind,
    id: String,
    actor: String,
    proof: Option<Proof>,
}

impl Activity {
    /// Reads one activity of at most [`ACTIVITY_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`ActivityError`]; a proof that is there must read, an activity without one is no error.
    pub fn parse(bytes: &[u8]) -> Result<Self, ActivityError> {
        // Said before anything is read, so that a long list is not called malformed for its length.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(ActivityError::NotAnObject);
        }
        let Value::Object(tree) = parse(bytes, ACTIVITY_BYTES_MAX, Numbers::Any)? else {
            return Err(ActivityError::NotAnObject);
        };
        let thing = Thing(&tree);
        let types = thing.types();
        if types.is_empty() {
            return Err(member("type", "an activity's type such as Create"));
        }
        let proof = match tree.get("proof") {
            None => None,
            Some(_) => Some(Proof::of(&tree)?),
        };
        Ok(Self {
            kind: Kind::read(&types),
            id: thing
                .id()
                .ok_or(member("id", "the activity's address"))?
                .to_owned(),
            actor: thing
                .reference("actor")
                .ok_or(member("actor", "one actor's address"))?
                .to_owned(),
            proof,
            tree,
        })
    }

    /// What it does.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who does it, by its own word.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Its properties.
    pub fn thing(&self) -> Thing<'_> {
        Thing(&self.tree)
    }

    /// Whether it carries a proof of its own (FEP-8b32).
    pub fn is_proven(&self) -> bool {
        self.proof.is_some()
    }

    /// Checks its proof, if it has one, against the keys that its actor lists (FEP-8b32): a broken
    /// proof refuses, however the activity was delivered.
    ///
    /// # Errors
    /// [`ActivityError::Purpose`], [`ActivityError::KeyNotListed`], or a signature that does not fit.
    pub fn check_proof(&self, actor: &Actor) -> Result<(), ActivityError> {
        let Some(proof) = &self.proof else {
            return Ok(());
        };
        if proof.purpose() != proof::ASSERTION_METHOD {
            return Err(ActivityError::Purpose {
                found: proof.purpose().chars().take(60).collect(),
            });
        }
        let key =
            actor
                .key(proof.verification_method())
                .ok_or_else(|| ActivityError::KeyNotListed {
                    key: proof.verification_method().chars().take(200).collect(),
                })?;
        // Some servers put a Linked Data signature beside a finished proof. It is never read here, so
        // nothing is lost by leaving it aside; in a record there is no such exception.
        let mut signed = self.tree.clone();
        signed.remove("signature");
        Ok(proof.check(&signed, key)?)
    }
}

/// Who sends: the part of an actor's document that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Its id.
    pub id: String,
    /// Its types, such as `Application`.
    pub types: Vec<String>,
    /// Where it receives.
    pub inbox: String,
    /// Where its whole server receives, if it says so.
    pub shared_inbox: Option<String>,
    /// Other names of it, by its own word: addresses that it had, its DID.
    pub also_known_as: Vec<String>,
    /// Its Ed25519 keys for assertions (FEP-521a), by id.
    keys: Vec<(String, PublicKey)>,
    /// Its RSA keys for requests (`publicKey`), by id.
    rsa_keys: Vec<(String, RsaPublicKey)>,
}

impl Actor {
    /// Reads an actor's document. Keys of forms that are not understood are left out. That `id` is
    /// the address it was fetched from is the caller's to compare.
    ///
    /// # Errors
    /// [`ActivityError`]; [`ActivityError::ForeignKey`] if a key in it, of whatever form, names
    /// another owner.
    pub fn parse(bytes: &[u8]) -> Result<Self, ActivityError> {
        let Value::Object(tree) = parse(bytes, ACTOR_BYTES_MAX, Numbers::Any)? else {
            return Err(ActivityError::NotAnObject);
        };
        let thing = Thing(&tree);
        let id = thing.id().ok_or(member("id", "the actor's address"))?;
        let mut keys = Vec::new();
        let mut rsa_keys = Vec::new();
        for value in thing.values("publicKey").into_iter().take(ACTOR_KEYS_MAX) {
            let Value::Object(key) = value else {
                continue;
            };
            let key = Thing(key);
            owned_by(id, key, "owner")?;
            owned_by(id, key, "controller")?;
            let public = key
                .text("publicKeyPem")
                .and_then(|text| RsaPublicKey::from_pem(text).ok());
            if let (Some(name), Some(public)) = (key.id(), public)
                && key.reference("owner").is_some()
            {
                rsa_keys.push((name.to_owned(), public));
            }
        }
        for value in thing
            .values("assertionMethod")
            .into_iter()
            .take(ACTOR_KEYS_MAX)
        {
            let Value::Object(key) = value else {
                continue;
            };
            let key = Thing(key);
            owned_by(id, key, "controller")?;
            let public = key
                .text("publicKeyMultibase")
                .and_then(|text| PublicKey::parse(text).ok());
            if let (Some(name), Some(public)) = (key.id(), public)
                && key.types().contains(&"Multikey")
                && key.reference("controller").is_some()
            {
                keys.push((name.to_owned(), public));
            }
        }
        let endpoints = thing.object("endpoints");
        Ok(Self {
            id: id.to_owned(),
            types: thing.types().into_iter().map(str::to_owned).collect(),
            inbox: thing
                .reference("inbox")
                .ok_or(member("inbox", "the address at which the actor receives"))?
                .to_owned(),
            shared_inbox: endpoints
                .and_then(|endpoints| endpoints.reference("sharedInbox"))
                .map(str::to_owned),
            also_known_as: thing
                .values("alsoKnownAs")
                .into_iter()
                .filter_map(id_of)
                .take(ALSO_KNOWN_AS_MAX)
                .map(str::to_owned)
                .collect(),
            keys,
            rsa_keys,
        })
    }

    /// The key with this id, if the actor lists it for assertions.
    pub fn key(&self, id: &str) -> Option<&PublicKey> {
        self.keys
            .iter()
            .find(|(name, _)| name == id)
            .map(|(_, key)| key)
    }

    /// The RSA key with this id, if the actor lists it as `publicKey`: good for requests, never for
    /// proofs.
    pub fn rsa_key(&self, id: &str) -> Option<&RsaPublicKey> {
        self.rsa_keys
            .iter()
            .find(|(name, _)| name == id)
            .map(|(_, key)| key)
    }

    /// Whether it stands for a program rather than for people.
    pub fn is_service(&self) -> bool {
        self.types
            .iter()
            .any(|kind| kind == "Application" || kind == "Service")
    }
}

/// Whose key it is that a document found at a key's id is about, by its own word: the `owner` or
/// `controller` of that very key, or the actor itself if it stands in an actor's document. To be believed once
/// that actor lists the key.
///
/// # Errors
/// [`ActivityError`]: it is about another key, or names no owner, or several.
pub fn key_owner(bytes: &[u8], key_id: &str) -> Result<String, ActivityError> {
    let Value::Object(tree) = parse(bytes, ACTOR_BYTES_MAX, Numbers::Any)? else {
        return Err(ActivityError::NotAnObject);
    };
    let thing = Thing(&tree);
    let is_actor = !thing.values("inbox").is_empty();
    if thing.id() == Some(key_id) && is_actor {
        return Ok(key_id.to_owned());
    }
    let within = ["publicKey", "assertionMethod"]
        .into_iter()
        .flat_map(|term| thing.values(term).into_iter().take(ACTOR_KEYS_MAX))
        .filter_map(Value::as_object)
        .map(Thing);
    let mut keys = std::iter::once(thing).chain(within);
    let key = keys.find(|key| key.id() == Some(key_id));
    let key = key.ok_or(member("id", "the key's own id"))?;
    let named = ["owner", "controller"];
    let mut owners = named
        .into_iter()
        .flat_map(|term| key.values(term))
        .map(id_of);
    match owners.next() {
        Some(Some(owner)) if owners.all(|other| other == Some(owner)) => Ok(owner.to_owned()),
        _ => Err(member("owner", "the one actor whose key it is")),
    }
}

fn owned_by(actor: &str, key: Thing<'_>, term: &str) -> Result<(), ActivityError> {
    let owners = key.values(term);
    if owners.into_iter().all(|owner| id_of(owner) == Some(actor)) {
        Ok(())
    } else {
        Err(ActivityError::ForeignKey {
            key: key.id().unwrap_or_default().chars().take(200).collect(),
        })
    }
}

/// An actor's Ed25519 key as a Multikey (FEP-521a), and its id: actor, `#`, the key.
pub fn multikey(actor: &str, key: &PublicKey) -> Value {
    json!({
        "id": key_id(actor, key),
        "type": "Multikey",
        "controller": actor,
        "publicKeyMultibase": key.to_string(),
    })
}

/// The id of an actor's key.
pub fn key_id(actor: &str, key: &PublicKey) -> String {
    format!("{actor}#{key}")
}

/// An actor's RSA key for requests, as all servers read it; its id is actor, `#main-key`.
pub fn rsa_key(actor: &str, key: &RsaPublicKey) -> Value {
    json!({
        "id": rsa_key_id(actor),
        "owner": actor,
        "publicKeyPem": key.to_pem(),
    })
}

/// The id of an actor's RSA key.
pub fn rsa_key_id(actor: &str) -> String {
    format!("{actor}#main-key")
}

/// Puts an actor's proof under an activity (FEP-8b32), whose context must be in place.
pub fn prove(
    mut activity: Map<String, Value>,
    actor: &str,
    key: &SecretKey,
    now: Timestamp,
) -> Map<String, Value> {
    let proof = proof::sign(&activity, key, &key_id(actor, &key.public()), now);
    activity.insert("proof".to_owned(), proof.into());
    activity
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The context of what is written here: public vocabularies by address, our own term inline.
pub fn context() -> Value {
    json!([
        VOCABULARY,
        "https://w3id.org/security/data-integrity/v2",
        {
            "vf": "https://w3id.org/valueflows/ont/vf#",
            "Proposal": "vf:Proposal",
            "Intent": "vf:Intent",
            "action": "vf:action",
            "purpose": "vf:purpose",
            "publishes": "vf:publishes",
            "unitBased": "vf:unitBased",
            RECORD_TERM: {"@id": RECORD_IRI, "@type": "@json"},
        },
    ])
}

/// An activity whose object is another actor or another activity: `Follow`, `Accept`, `Reject`,
/// `Undo`. `target` is whom it is addressed to. To be proven.
pub fn about(
    kind: Kind,
    id: &str,
    actor: &str,
    object_of: Value,
    target: &str,
) -> Map<String, Value> {
    object(json!({
        "@context": context(),
        "id": id,
        "type": kind.as_str(),
        "actor": actor,
        "object": object_of,
        "to": [target],
    }))
}

/// An activity by which an actor passes another's activity on, which stays as it is, its proof
/// included. To be proven.
pub fn announce(
    id: &str,
    actor: &str,
    followers: &str,
    inner: Map<String, Value>,
) -> Map<String, Value> {
    object(json!({
        "@context": context(),
        "id": id,
        "type": Kind::Announce.as_str(),
        "actor": actor,
        "published": inner.get("published"),
        "to": [PUBLIC],
        "cc": [followers],
        "object": inner,
    }))
}

/// An activity by which an actor tells its followers that it goes on as `target` (FEP-7628). To be proven.
pub fn moving(id: &str, actor: &str, followers: &str, target: &str) -> Map<String, Value> {
    object(json!({
        "@context": context(),
        "id": id,
        "type": Kind::Move.as_str(),
        "actor": actor,
        "object": actor,
        "target": target,
        "to": [followers],
    }))
}

/// How a record is announced.
#[derive(Debug, Clone, Copy)]
pub struct Announced<'a> {
    /// The activity's id.
    pub id: &'a str,
    /// Who announces it.
    pub actor: &'a str,
    /// The actor's followers.
    pub followers: &'a str,
    /// The address of the record as an object: the same for all its versions.
    pub object: &'a str,
    /// The author's actor, on the same host as `actor`.
    pub attributed_to: &'a str,
}

/// Writes the activity that announces a record: `Delete` of a `Tombstone` if it is withdrawn, else
/// `Create` for its first version and `Update` for later ones. An `Offering` is shown as a `Proposal`
/// (FEP-0837), everything else as a `Document`. The record stands whole within. To be proven.
pub fn announcing(
    announced: Announced<'_>,
    header: &Header,
    record: &Map<String, Value>,
) -> Map<String, Value> {
    let kind = match header.status {
        Status::Withdrawn => Kind::Delete,
        Status::Active if header.seq == 1 => Kind::Create,
        Status::Active => Kind::Update,
    };
    object(json!({
        "@context": context(),
        "id": announced.id,
        "type": kind.as_str(),
        "actor": announced.actor,
        "published": header.issued.to_string(),
        "to": [PUBLIC],
        "cc": [announced.followers],
        "object": shown(announced, header, record),
    }))
}

/// The object that shows a record, without a context.
fn shown(announced: Announced<'_>, header: &Header, record: &Map<String, Value>) -> Value {
    let mut shown = object(json!({
        "id": announced.object,
        "attributedTo": announced.attributed_to,
        RECORD_TERM: record,
    }));
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    let is_offering = header.kind.as_ref() == "Offering";
    let of_type = if is_offering { "Proposal" } else { "Document" };
    if header.status == Status::Withdrawn {
        put("type", "Tombstone".into());
        put("formerType", of_type.into());
        put("deleted", header.issued.to_string().into());
        return shown.into();
    }
    put("type", of_type.into());
    put("published", header.issued.to_string().into());
    put("to", json!([PUBLIC]));
    let body = record.get("body").and_then(Value::as_object);
    // A body that does not read is announced all the same: the record says what it says.
    let body = body.and_then(|body| Body::read(&header.kind, body).ok().flatten());
    let texts = match &body {
        Some(Body::Offering(offering)) => Some((&offering.name, &offering.summary)),
        Some(Body::Organization(of)) => Some((&of.name, &of.summary)),
        Some(Body::Solution(of)) => Some((&of.name, &of.summary)),
        Some(Body::Checkpoint(_) | Body::Endorsement(_) | Body::NodeCard(_)) | None => None,
    };
    if let Some((name, summary)) = texts {
        for (term, map, text) in [
            ("name", "nameMap", name),
            ("summary", "summaryMap", summary),
        ] {
            if let Some(first) = original(text, header.language.as_deref()) {
                put(term, first.into());
                put(map, json!(text));
            }
        }
    }
    if is_offering {
        put("purpose", "offer".into());
        put("unitBased", false.into());
        let intent = format!("{}#primary", announced.object);
        put(
            "publishes",
            json!({"type": "Intent", "id": intent, "action": "deliverService"}),
        );
    }
    shown.into()
}

/// A text in the language of the record, else in any.
fn original<'t>(text: &'t TextMap, language: Option<&str>) -> Option<&'t str> {
    language
        .and_then(|language| text.get(language))
        .or_else(|| text.values().next())
        .map(AsRef::as_ref)
}
