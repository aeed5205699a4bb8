//! The actors of this node: itself, every organisation that is at home here, and each area
//! (docs/protocol.md, 5). Who they are, what they look like from outside, and the keys they sign with.
//!
//! Other machines' actors are in [`super::remote`].

mod homes;
mod moved;

use std::sync::Arc;

use protocol::activity::{self, Announced};
use protocol::codes::AREAS;
use protocol::envelope::Header;
use protocol::id::{RecordId, Scid};
use protocol::key::{PublicKey, SecretKey};
use protocol::time::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use super::courier::HttpSigner;
use super::topics;
use crate::catalogue::{Catalogue, Saying, ShownAuthor};
use crate::config::Config;
use crate::keychain::{self, Keychain, KeychainError};
use crate::labels::Labels;
use crate::rsa::RsaKey;
use crate::store::{HeldRow, Store, StoreError, What};

pub use moved::{actor_of, former_actors};

/// The name of the node itself where organisations have handles: `acct:node@hub.example`.
pub const NODE_HANDLE: &str = keychain::NODE;

/// What the account of an area begins with, which no organisation's handle does: `topic_cyber`.
const TOPIC_PREFIX: &str = "topic_";

/// Activities on a page of an outbox.
const PAGE_ITEMS: usize = 20;

/// Changes that are looked through for one page, so that an address made up costs little.
const PAGE_ROWS_MAX: usize = 2_000;

/// One of this node's actors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// The node (`Application`).
    Node,
    /// An organisation that is at home here (`Organization`).
    Organization {
        /// Its name in addresses.
        handle: String,
        /// Who it is.
        scid: Scid,
    },
    /// All that is carried here of one area (`Group`).
    Topic {
        /// The area's code.
        area: &'static str,
    },
    /// An organisation that was at home here, and is at home at another node now. Its address here says so
    /// until somebody else has its handle; the node speaks for it.
    Moved {
        /// Its name in addresses here.
        handle: String,
        /// Who it is.
        scid: Scid,
        /// Its actor there.
        to: String,
    },
}

impl Local {
    /// Which organisation it is or was.
    fn scid(&self) -> Option<&Scid> {
        match self {
            Self::Organization { scid, .. } | Self::Moved { scid, .. } => Some(scid),
            Self::Node | Self::Topic { .. } => None,
        }
    }
}

/// An actor with the keys that it signs with.
pub struct Sending {
    /// The actor's id.
    pub actor: String,
    /// What its activities are proven with.
    pub key: SecretKey,
    /// What its requests are signed with.
    pub http: HttpSigner,
}

impl Sending {
    /// Proves an activity as this actor's.
    pub fn prove(&self, activity: Map<String, Value>, now: Timestamp) -> Map<String, Value> {
        activity::prove(activity, &self.actor, &self.key, now)
    }
}

/// Why an actor does not say what it has to say. That it keeps its keys to itself is no error.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its keys do not read.
    #[error(transparent)]
    Keys(#[from] KeychainError),
}

/// A page of an outbox.
pub struct OutboxPage {
    /// Activities, oldest change first.
    pub items: Vec<Map<String, Value>>,
    /// Where the next page begins; `None` at the end of the log.
    pub next: Option<u64>,
}

/// This node's actors. Cheap to clone.
#[derive(Clone)]
pub struct Actors(Arc<Inner>);

struct Inner {
    config: Config,
    keychain: Keychain,
    /// The node's own identity.
    own: Option<Scid>,
    http_key: RsaKey,
    store: Arc<Store>,
    catalogue: Catalogue,
    labels: Arc<Labels>,
}

impl Actors {
    /// The actors of the node with these settings, keys and records.
    ///
    /// # Errors
    /// The key for requests is damaged, or cannot be made.
    pub fn open(
        config: Config,
        keychain: Keychain,
        store: Arc<Store>,
        labels: Arc<Labels>,
    ) -> Result<Self, KeychainError> {
        let catalogue = Catalogue::new(Arc::clone(&store));
        let own = match keychain.signer(keychain::NODE) {
            Ok(signer) => Some(*signer.did.scid()),
            Err(KeychainError::Unknown { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Inner {
            http_key: keychain.http_key()?,
            own,
            config,
            keychain,
            store,
            catalogue,
            labels,
        })))
    }

    /// How an actor's requests are signed.
    pub fn http_signer(&self, local: &Local) -> HttpSigner {
        HttpSigner {
            key_id: activity::rsa_key_id(&self.id(local)),
            key: self.0.http_key.clone(),
        }
    }

    /// The id of an actor.
    pub fn id(&self, local: &Local) -> String {
        match local {
            Local::Node => self.0.config.address("/actor"),
            Local::Organization { handle, .. } | Local::Moved { handle, .. } => {
                self.0.config.address(&format!("/orgs/{handle}"))
            }
            Local::Topic { area } => self.0.config.address(&format!("/topics/{area}")),
        }
    }

    /// An address below an actor: `outbox` or `followers`. The node's stand at the root.
    pub fn below(&self, local: &Local, name: &str) -> String {
        match local {
            Local::Node => self.0.config.address(&format!("/{name}")),
            Local::Organization { .. } | Local::Topic { .. } | Local::Moved { .. } => {
                format!("{}/{name}", self.id(local))
            }
        }
    }

    /// The actor with this id; `None` if it is not one of ours.
    ///
    /// # Errors
    /// A disk fault.
    pub fn of_id(&self, id: &str) -> Result<Option<Local>, StoreError> {
        if id == self.id(&Local::Node) {
            return Ok(Some(Local::Node));
        }
        if let Some(area) = id.strip_prefix(&self.0.config.address("/topics/")) {
            return Ok(topic(area));
        }
        match id.strip_prefix(&self.0.config.address("/orgs/")) {
            Some(handle) => self.organization(handle),
            None => Ok(None),
        }
    }

    /// How an actor signs; `None` for an organisation that keeps its keys to itself.
    ///
    /// # Errors
    /// A key file that is damaged.
    pub fn sending(&self, local: &Local) -> Result<Option<Sending>, KeychainError> {
        let handle = match local {
            // An area's actor has no identity of its own, and whoever moved uses it elsewhere: the node speaks
            // for them.
            Local::Node | Local::Topic { .. } | Local::Moved { .. } => keychain::NODE,
            Local::Organization { handle, .. } => handle,
        };
        let signer = match self.0.keychain.signer(handle) {
            Ok(signer) => signer,
            Err(KeychainError::Unknown { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // A handle may have passed to another organisation, which has keys of its own.
        let is_meant = match local {
            Local::Node | Local::Topic { .. } | Local::Moved { .. } => true,
            Local::Organization { scid, .. } => signer.did.scid() == scid,
        };
        Ok(is_meant.then(|| Sending {
            actor: self.id(local),
            key: signer.key,
            http: self.http_signer(local),
        }))
    }

    fn author_of(&self, local: &Local) -> Result<Option<ShownAuthor>, StoreError> {
        match local.scid() {
            Some(scid) => self.0.catalogue.author(scid),
            None => self.own_author(),
        }
    }

    fn own_author(&self) -> Result<Option<ShownAuthor>, StoreError> {
        match self.0.keychain.signer(keychain::NODE) {
            Ok(own) => self.0.catalogue.author(own.did.scid()),
            Err(_) => Ok(None),
        }
    }

    /// The keys that an actor's activities are proven with.
    fn keys_of(&self, local: &Local, author: &ShownAuthor) -> Result<Vec<PublicKey>, StoreError> {
        let listed = |author: &ShownAuthor| author.author.state.keys().listed().copied().collect();
        Ok(match local {
            Local::Moved { .. } => self.own_author()?.as_ref().map(listed).unwrap_or_default(),
            Local::Node | Local::Organization { .. } | Local::Topic { .. } => listed(author),
        })
    }

    /// An actor's document (ActivityPub, 4; FEP-521a). `None` if it is gone.
    ///
    /// # Errors
    /// A disk fault.
    pub fn document(&self, local: &Local) -> Result<Option<Value>, StoreError> {
        let Some(author) = self.author_of(local)? else {
            return Ok(None);
        };
        let id = self.id(local);
        let config = &self.0.config;
        let language = config.settings.language.as_str();
        let state = &author.author.state;
        let keys = self.keys_of(local, &author)?;
        let (kind, handle, name) = match local {
            Local::Node => (
                "Application",
                NODE_HANDLE.to_owned(),
                config.settings.name.clone(),
            ),
            Local::Organization { handle, .. } | Local::Moved { handle, .. } => {
                ("Organization", handle.clone(), author.name(&[language]))
            }
            Local::Topic { area } => {
                let label = self.0.labels.of("area", area, language).unwrap_or(area);
                ("Group", topic_handle(area), label.to_owned())
            }
        };
        let methods: Vec<Value> = keys
            .iter()
            .map(|key| activity::multikey(&id, key))
            .collect();
        let mut document = json!({
            "@context": [
                activity::VOCABULARY,
                "https://w3id.org/security/v1",
                "https://w3id.org/security/data-integrity/v2",
                "https://w3id.org/security/multikey/v1",
                {
                    "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
                    "alsoKnownAs": {"@id": "as:alsoKnownAs", "@type": "@id"},
                    "movedTo": {"@id": "as:movedTo", "@type": "@id"},
                    "assertionMethod": {"@id": "https://w3id.org/security#assertionMethod", "@type": "@id", "@container": "@set"},
                    "implements": {"@id": "https://w3id.org/fep/844e/implements", "@type": "@id", "@container": "@list"},
                },
            ],
            "id": id,
            "type": kind,
            "preferredUsername": handle,
            "name": name,
            "inbox": self.below(local, "inbox"),
            "outbox": self.below(local, "outbox"),
            "followers": self.below(local, "followers"),
            "endpoints": {"sharedInbox": config.address("/inbox")},
            "publicKey": activity::rsa_key(&id, self.0.http_key.public()),
            "assertionMethod": methods,
            "url": self.page(local),
            "manuallyApprovesFollowers": false,
        });
        let put = |document: &mut Value, name: &str, value: Value| {
            if let Some(members) = document.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        if !matches!(local, Local::Topic { .. }) {
            let mut names = vec![state.did().to_string()];
            if !matches!(local, Local::Moved { .. }) {
                names.extend(former_actors(state));
            }
            put(&mut document, "alsoKnownAs", json!(names));
            if let Some(summary) = summary_of(&author, language) {
                put(&mut document, "summary", summary.into());
            }
        }
        if let Local::Moved { to, .. } = local {
            put(&mut document, "movedTo", to.as_str().into());
        }
        // FEP-844e: what the server can do is said by its application.
        match local {
            Local::Node => put(&mut document, "implements", implements()),
            Local::Organization { .. } | Local::Topic { .. } | Local::Moved { .. } => {
                let application = json!({
                    "id": self.id(&Local::Node), "type": "Application", "implements": implements(),
                });
                put(&mut document, "generator", application);
            }
        }
        Ok(Some(document))
    }

    /// The page that shows an actor to people.
    pub fn page(&self, local: &Local) -> String {
        let language = &self.0.config.settings.language;
        self.0.config.address(&match local {
            Local::Node => format!("/{language}/"),
            Local::Organization { scid, .. } | Local::Moved { scid, .. } => {
                format!("/{language}/org/{scid}")
            }
            Local::Topic { area } => format!("/{language}/search?area={area}"),
        })
    }

    /// What WebFinger says of a resource (RFC 7033): an account of this host, an actor's address, or
    /// the host itself. `None` if it is not of this node.
    ///
    /// # Errors
    /// A disk fault.
    pub fn webfinger(&self, resource: &str) -> Result<Option<Value>, StoreError> {
        let authority = self.0.config.authority();
        let local = if let Some(account) = resource.strip_prefix("acct:") {
            match account.trim_start_matches('@').rsplit_once('@') {
                Some((name, host)) if host.eq_ignore_ascii_case(&authority) => {
                    let name = name.to_ascii_lowercase();
                    if name == NODE_HANDLE || name.eq_ignore_ascii_case(&authority) {
                        Some(Local::Node)
                    } else if let Some(area) = name.strip_prefix(TOPIC_PREFIX) {
                        topic(area)
                    } else {
                        self.organization(&name)?
                    }
                }
                _ => None,
            }
        } else if resource.trim_end_matches('/') == self.0.config.address("") {
            Some(Local::Node)
        } else {
            self.of_id(resource)?
        };
        let Some(local) = local else {
            return Ok(None);
        };
        let handle = match &local {
            Local::Node => NODE_HANDLE.to_owned(),
            Local::Organization { handle, .. } | Local::Moved { handle, .. } => handle.clone(),
            Local::Topic { area } => topic_handle(area),
        };
        let id = self.id(&local);
        let mut links = vec![
            json!({"rel": "self", "type": activity::MEDIA_TYPE, "href": id}),
            json!({
                "rel": "http://webfinger.net/rel/profile-page",
                "type": "text/html",
                "href": self.page(&local),
            }),
        ];
        if local == Local::Node {
            // The actor of a whole server (FEP-d556).
            links.push(json!({
                "rel": "https://www.w3.org/ns/activitystreams#Service",
                "type": activity::MEDIA_TYPE,
                "href": id,
            }));
        }
        Ok(Some(json!({
            "subject": format!("acct:{handle}@{authority}"),
            "aliases": [id],
            "links": links,
        })))
    }

    /// The activity by which `by` tells of the version of a record that counts, to be proven; `None`
    /// if the author is not known or the record does not read. An area's actor announces the activity of
    /// whoever speaks for the author here: its own actor, or the node for those at home elsewhere and
    /// those that keep their keys to themselves.
    ///
    /// # Errors
    /// See [`SpeakError`].
    pub fn announcement(
        &self,
        by: &Local,
        id: &RecordId,
        row: &HeldRow,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>, SpeakError> {
        let Some(author) = self.0.store.author(&id.author)? else {
            return Ok(None);
        };
        let at_home = self.of_author(author.state.did())?;
        if let Local::Topic { .. } = by {
            let speaker = at_home.unwrap_or(Local::Node);
            let own = self.sending(&speaker)?;
            let (speaker, sending) = match own {
                Some(own) => (speaker, Some(own)),
                None => (Local::Node, self.sending(&Local::Node)?),
            };
            let (Some(inner), Some(sending)) =
                (self.announcement(&speaker, id, row, now)?, sending)
            else {
                return Ok(None);
            };
            let activity_id = format!("{}/{}", self.below(by, "activities"), row.rank.hash);
            let inner = sending.prove(inner, now);
            let followers = self.below(by, "followers");
            let announce = activity::announce(&activity_id, &self.id(by), &followers, inner);
            return Ok(Some(announce));
        }
        // What comes from elsewhere is shown by the node: the record says who wrote it.
        let attributed_to = at_home.unwrap_or(Local::Node);
        let Ok(Value::Object(record)) = serde_json::from_slice(&row.canonical()?) else {
            return Ok(None);
        };
        let Ok(header) = Header::read(&record) else {
            return Ok(None);
        };
        let activity_id = format!("{}/{}", self.below(by, "activities"), row.rank.hash);
        Ok(Some(activity::announcing(
            Announced {
                id: &activity_id,
                actor: &self.id(by),
                followers: &self.below(by, "followers"),
                object: &self.object(id),
                attributed_to: &self.id(&attributed_to),
            },
            &header,
            &record,
        )))
    }

    /// The address of a record as an object.
    pub fn object(&self, id: &RecordId) -> String {
        self.0.config.address(&format!("/records/{id}"))
    }

    /// Whether an actor tells of this version of a record: an organisation of its own, the node of those
    /// of all who are at home here, an area of all that are about it.
    ///
    /// # Errors
    /// A disk fault.
    pub fn announces(
        &self,
        local: &Local,
        id: &RecordId,
        row: &HeldRow,
    ) -> Result<bool, StoreError> {
        match local {
            Local::Organization { scid, .. } => Ok(*scid == id.author),
            Local::Node => {
                let author = self.0.store.author(&id.author)?;
                author.map_or(Ok(false), |author| self.is_at_home(author.state.did()))
            }
            Local::Topic { area } => topics::is_about(area, id, row),
            Local::Moved { .. } => Ok(false),
        }
    }

    /// Whether those who follow an actor, and were told up to `after`, are to hear of the version of a
    /// record that counts now.
    ///
    /// # Errors
    /// A disk fault.
    pub fn is_news(
        &self,
        local: &Local,
        id: &RecordId,
        counting: &HeldRow,
        after: u64,
    ) -> Result<bool, StoreError> {
        match local {
            Local::Topic { area } => topics::is_news(&self.0.store, area, id, counting, after),
            local => self.announces(local, id, counting),
        }
    }

    /// Whether there is, or was, an activity by which an actor told of this version.
    ///
    /// # Errors
    /// A disk fault.
    pub fn has_told(
        &self,
        local: &Local,
        id: &RecordId,
        row: &HeldRow,
    ) -> Result<bool, StoreError> {
        match local {
            // Its activities about what comes from elsewhere stand within those of areas.
            Local::Node => Ok(true),
            Local::Topic { area } => topics::was_about(&self.0.store, area, id),
            local => self.announces(local, id, row),
        }
    }

    /// What an actor has announced, from a place in the change log on.
    ///
    /// # Errors
    /// See [`SpeakError`].
    pub fn outbox_page(
        &self,
        local: &Local,
        after: u64,
        now: Timestamp,
    ) -> Result<OutboxPage, SpeakError> {
        let sending = self.sending(local)?;
        let mut items = Vec::new();
        let mut position = after;
        let mut rows_read = 0;
        loop {
            let (changes, read_to) = self.0.store.changes(position, PAGE_ROWS_MAX / 4)?;
            if read_to == position {
                return Ok(OutboxPage { items, next: None });
            }
            rows_read += changes.len();
            for change in changes {
                let What::Held { id, row } = change.what else {
                    continue;
                };
                let counts = self.0.store.counting(&id)?;
                if !counts.is_some_and(|counts| counts.rank == row.rank)
                    || !self.announces(local, &id, &row)?
                {
                    continue;
                }
                if let Some(activity) = self.announcement(local, &id, &row, now)? {
                    items.push(match &sending {
                        Some(sending) => sending.prove(activity, now),
                        None => activity,
                    });
                }
                if items.len() >= PAGE_ITEMS {
                    return Ok(OutboxPage {
                        items,
                        next: Some(change.number),
                    });
                }
            }
            position = read_to;
            if rows_read >= PAGE_ROWS_MAX {
                return Ok(OutboxPage {
                    items,
                    next: Some(position),
                });
            }
        }
    }

    /// How many records an actor announces: those of its authors that count. `None` for an area: only
    /// reading all records would tell.
    ///
    /// # Errors
    /// A disk fault.
    pub fn outbox_count(&self, local: &Local) -> Result<Option<usize>, StoreError> {
        let authors = match local {
            Local::Topic { .. } => return Ok(None),
            Local::Organization { scid, .. } => vec![*scid],
            Local::Moved { .. } => Vec::new(),
            Local::Node => {
                let mut at_home = Vec::new();
                for author in self.0.store.authors()? {
                    if self.is_at_home(author.state.did())? {
                        at_home.push(*author.state.scid());
                    }
                }
                at_home
            }
        };
        let mut count = 0;
        for author in authors {
            count += self.0.store.counting_of(&author)?.len();
        }
        Ok(Some(count))
    }
}

/// The actor of an area.
fn topic(area: &str) -> Option<Local> {
    let area = AREAS.get(area)?;
    Some(Local::Topic { area })
}

fn topic_handle(area: &str) -> String {
    format!("{TOPIC_PREFIX}{area}")
}

/// An author's own summary, in `language` if it has it.
fn summary_of(author: &ShownAuthor, language: &str) -> Option<String> {
    let profile = author.profile.as_ref()?;
    let Saying::Body(body) = &profile.body else {
        return None;
    };
    let protocol::record::Body::Organization(organization) = body.as_ref() else {
        return None;
    };
    let original = profile.header.language.as_deref();
    let (_, summary) = crate::catalogue::choose(&organization.summary, &[language], original)?;
    Some(summary.to_owned())
}

/// What this server can do (FEP-844e).
fn implements() -> Value {
    json!([
        {"href": "https://datatracker.ietf.org/doc/html/rfc9421", "name": "RFC-9421: HTTP Message Signatures"},
        {"href": "https://datatracker.ietf.org/doc/html/rfc9421#name-rsassa-pkcs1-v1_5-using-sha", "name": "RFC-9421 signatures using the RSASSA-PKCS1-v1_5 algorithm"},
        {"href": "https://datatracker.ietf.org/doc/html/rfc9421#name-eddsa-using-curve-edwards25", "name": "RFC-9421 signatures using the Ed25519 algorithm"},
    ])
}

/// Scheme, host and port of an address that an actor, a key or an activity may have. `None` for
/// anything but http and https, and for addresses with a user name, which serve to make one host
/// look like another.
pub fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.host().is_some();
    (matches!(url.scheme(), "https" | "http") && is_plain)
        .then(|| url.origin().ascii_serialization())
}

/// Whether two addresses are of one host (FEP-fe34): whoever speaks for the one speaks for the other.
pub fn is_same_origin(one: &str, other: &str) -> bool {
    origin(one).is_some_and(|origin_of_one| origin(other) == Some(origin_of_one))
}

#[cfg(test)]
mod tests {
    use super::{is_same_origin, origin};

    #[test]
    fn f15_k16_one_host_has_one_spelling_and_tricks_have_none() {
        assert_eq!(
            origin("https://P.example:443/actor#k"),
            Some("https://p.example".to_owned())
        );
        assert!(is_same_origin(
            "https://p.example/a",
            "https://P.example/b/../c"
        ));
        for (one, other) in [
            ("https://p.example/a", "https://p.example@m.example/a"),
            ("https://p.example/a", "https://p.example:444/a"),
            ("https://p.example/a", "http://p.example/a"),
            ("https://p.example/a", "https://p.example.m.example/a"),
            ("urn:a:b", "urn:a:b"),
            ("file:///etc/passwd", "file:///etc/passwd"),
            ("data:,a", "data:,a"),
            ("", ""),
        ] {
            assert!(!is_same_origin(one, other), "{one} {other}");
        }
    }
}
