//! Reading for people and programs: what counts, who says so, and what it says.

use std::sync::Arc;

use protocol::envelope::{Header, Status};
use protocol::id::{LocalId, RecordId, Scid};
use protocol::record::{Body, Endorsement, TextMap};
use protocol::time::Timestamp;
use serde_json::{Map, Value};

use crate::choices::Hidden;
use crate::place::log_address;
use crate::store::{Author, Store, StoreError};

/// The local id of the record in which an author describes itself.
pub const PROFILE: &str = "organization";

/// Authors whose log was found at the address that it names: where.
pub const SITES: &str = "sites";

/// A record as it is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Which record.
    pub id: RecordId,
    /// Its common members.
    pub header: Header,
    /// The signed record.
    pub tree: Map<String, Value>,
    /// The signed bytes.
    pub canonical: Vec<u8>,
    /// The digest that names this version.
    pub version: String,
    /// When it came to this node.
    pub received: Timestamp,
    /// What it says, or why that is not shown.
    pub body: Saying,
}

/// What a record says, as far as this version can tell.
#[derive(Debug, Clone)]
pub enum Saying {
    /// It reads.
    Body(Box<Body>),
    /// It was withdrawn.
    Withdrawn,
    /// The operator of this node chose not to show it.
    Hidden(Hidden),
    /// A type that this version does not know.
    UnknownType,
    /// It does not have the form of its type: the faults.
    Faulty(String),
}

impl Shown {
    /// The key that signed it, as its fragment stands in the proof.
    pub fn key(&self) -> &str {
        let method = self
            .tree
            .get("proof")
            .and_then(|proof| proof.get("verificationMethod"));
        let method = method.and_then(Value::as_str).unwrap_or_default();
        method.split_once('#').map_or("", |(_, key)| key)
    }

    /// Its name in the first of `languages` that it has; else in its own language; else in any.
    pub fn name(&self, languages: &[&str]) -> Option<(&str, &str)> {
        match &self.body {
            Saying::Body(body) => choose(body.name()?, languages, self.header.language.as_deref()),
            _ => None,
        }
    }
}

/// A text in the first of `languages` that it has, with the tag it is in: the tag itself, then any
/// tag of the same language; then `original`; then whichever comes first.
pub fn choose<'t>(
    text: &'t TextMap,
    languages: &[&str],
    original: Option<&str>,
) -> Option<(&'t str, &'t str)> {
    let in_language = |wanted: &str| {
        let primary = protocol::codes::primary_language(wanted);
        let exact = text.iter().find(|(tag, _)| ***tag == *wanted);
        exact.or_else(|| {
            text.iter()
                .find(|(tag, _)| protocol::codes::primary_language(tag) == primary)
        })
    };
    let wanted = languages.iter().copied().chain(original);
    wanted
        .into_iter()
        .find_map(in_language)
        .or_else(|| text.iter().next())
        .map(|(tag, text)| (tag.as_ref(), text.as_ref()))
}

/// An author as it is shown.
#[derive(Debug, Clone)]
pub struct ShownAuthor {
    /// What its log says, and what is odd about it.
    pub author: Author,
    /// How it describes itself.
    pub profile: Option<Shown>,
    /// This node found the log on the web site that the log names, and not at a hub.
    pub has_confirmed_site: bool,
}

impl ShownAuthor {
    /// The author.
    pub fn scid(&self) -> &Scid {
        self.author.state.scid()
    }

    /// Its name in the first of `languages` that it has; its handle if it has not said.
    pub fn name(&self, languages: &[&str]) -> String {
        let said = self
            .profile
            .as_ref()
            .and_then(|profile| profile.name(languages));
        let did = self.author.state.did();
        said.map_or_else(
            || did.handle().unwrap_or(did.host()).to_owned(),
            |(_, name)| name.to_owned(),
        )
    }

    /// The host that its log names: always shown beside the name, which anyone may choose.
    pub fn host(&self) -> String {
        let did = self.author.state.did();
        did.port().map_or_else(
            || did.host().to_owned(),
            |port| format!("{}:{port}", did.host()),
        )
    }
}

/// The reading side of a store.
#[derive(Clone)]
pub struct Catalogue {
    store: Arc<Store>,
}

impl Catalogue {
    /// Reads from a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// The version of a record that counts.
    ///
    /// # Errors
    /// A disk fault.
    pub fn record(&self, id: &RecordId) -> Result<Option<Shown>, StoreError> {
        let Some(row) = self.store.counting(id)? else {
            return Ok(None);
        };
        let damaged = || StoreError::Corrupt {
            detail: format!("the record {id} does not read"),
        };
        let canonical = row.canonical()?;
        let Ok(Value::Object(tree)) = serde_json::from_slice(&canonical) else {
            return Err(damaged());
        };
        let header = Header::read(&tree).map_err(|_| damaged())?;
        let hidden = Hidden::of(&self.store, id)?;
        let body = match (header.status, tree.get("body").and_then(Value::as_object)) {
            // That its author took it back says more than that it is not shown here.
            (Status::Active, Some(_)) if let Some(hidden) = hidden => Saying::Hidden(hidden),
            (Status::Withdrawn, _) | (Status::Active, None) => Saying::Withdrawn,
            (Status::Active, Some(body)) => match Body::read(&header.kind, body) {
                Ok(Some(body)) => Saying::Body(Box::new(body)),
                Ok(None) => Saying::UnknownType,
                Err(faults) => Saying::Faulty(faults.to_string()),
            },
        };
        Ok(Some(Shown {
            id: id.clone(),
            header,
            tree,
            canonical,
            version: row.rank.hash.to_string(),
            received: row.received,
            body,
        }))
    }

    /// An author and how it describes itself; `None` if it is not known, or not carried.
    ///
    /// # Errors
    /// A disk fault.
    pub fn author(&self, scid: &Scid) -> Result<Option<ShownAuthor>, StoreError> {
        match self.store.author(scid)? {
            Some(author) if !self.store.is_blocked(scid) => self.described(author).map(Some),
            _ => Ok(None),
        }
    }

    /// Every author whose log is held.
    ///
    /// # Errors
    /// A disk fault.
    pub fn authors(&self) -> Result<Vec<ShownAuthor>, StoreError> {
        self.store
            .authors()?
            .into_iter()
            .map(|author| self.described(author))
            .collect()
    }

    fn described(&self, author: Author) -> Result<ShownAuthor, StoreError> {
        let local = protocol::id::LocalId::parse(PROFILE);
        let profile = match local {
            Ok(local) => self.record(&RecordId {
                author: *author.state.scid(),
                local,
            })?,
            Err(_) => None,
        };
        let site = self.store.named(SITES, &author.state.scid().to_string())?;
        // A move to elsewhere ends it.
        let address = log_address(author.state.did());
        let has_confirmed_site = site.is_some_and(|site| site == address.as_bytes());
        Ok(ShownAuthor {
            author,
            profile,
            has_confirmed_site,
        })
    }

    /// The hubs that are known here: nodes' own identities.
    ///
    /// # Errors
    /// A disk fault.
    pub fn hubs(&self) -> Result<Vec<ShownAuthor>, StoreError> {
        self.store
            .authors()?
            .into_iter()
            .filter(|author| author.state.did().path().next().is_none())
            .map(|author| self.described(author))
            .collect()
    }

    /// Those of `hubs` that say that an author is their member, as of `now`.
    ///
    /// # Errors
    /// A disk fault.
    pub fn members_of<'h>(
        &self,
        hubs: &'h [ShownAuthor],
        author: &Scid,
        now: Timestamp,
    ) -> Result<Vec<&'h ShownAuthor>, StoreError> {
        let Ok(local) = LocalId::parse(&Endorsement::member_id(author)) else {
            return Ok(Vec::new());
        };
        let mut vouching = Vec::new();
        for hub in hubs {
            let id = RecordId {
                author: *hub.scid(),
                local: local.clone(),
            };
            let said = self.record(&id)?.is_some_and(|shown| {
                let is_over = shown.header.valid_until.is_some_and(|end| end < now);
                let body = match &shown.body {
                    Saying::Body(body) => Some(&**body),
                    _ => None,
                };
                !is_over
                    && matches!(body, Some(Body::Endorsement(said))
                        if said.claim == Endorsement::MEMBER && said.subject.as_ref() == Some(author))
            });
            if said {
                vouching.push(hub);
            }
        }
        Ok(vouching)
    }
}
