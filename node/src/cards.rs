//! Node cards: how nodes learn of each other without a list that anyone keeps (docs/protocol.md, 4).
//!
//! A card is an ordinary signed record by a node's own identity and travels as every other. It is what its
//! author says: nothing is followed, allowed or believed because of it. A card counts for the address that
//! its author's DID names; where two claim one address, neither names it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{Did, LocalId, RecordId, Scid};
use protocol::limits::CARD_PEERS_MAX;
use protocol::record::{Body, Draft, NodeCard};
use serde_json::{Value, json};
use url::Url;

use crate::catalogue::{Saying, Shown};
use crate::federation::peers::{Peer, node_address};
use crate::federation::site::is_site;
use crate::node::{Node, NodeError};
use crate::place::did_host;
use crate::store::StoreError;

/// Most nodes that are listed: above any real network. Those that are followed, and then those that most
/// others name, come first.
const KNOWN_MAX: usize = 1_000;

/// The shortest time between two cards of one node.
const PAUSE_SECONDS: i64 = 3_600;

/// How old a card is before it is renewed only because the node carries more or less than it says. A
/// busy node's counts change all the time, and every card goes to everybody who follows.
const COUNTS_SECONDS: i64 = 24 * 3_600;

/// A node that is known by its card.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its address.
    pub url: String,
    /// Its own identity.
    pub author: Scid,
    /// What it says of itself.
    pub card: NodeCard,
    /// Another identity claims the same address: which of them is meant, only a look there can tell.
    pub is_contested: bool,
    /// The nodes whose cards name it, by address.
    pub named_by: BTreeSet<String>,
    /// Whether it is followed here.
    pub is_followed: bool,
}

impl Known {
    /// Its name, unless another claims its address.
    pub fn name(&self) -> Option<&str> {
        let name = self.card.name.trim();
        (!self.is_contested && !name.is_empty()).then_some(name)
    }
}

/// The nodes that are known by their cards: those that are followed first, then by how many name them.
/// This node and those that are blocked here are left out.
///
/// # Errors
/// A disk fault.
pub fn known(node: &Node) -> Result<Vec<Known>, StoreError> {
    let peers: BTreeMap<String, Peer> = node
        .peers
        .all()?
        .into_iter()
        .map(|peer| (peer.url.clone(), peer))
        .collect();
    let own = node.config.url.origin().ascii_serialization();
    let mut cards: Vec<Known> = Vec::new();
    for author in node.store.authors()? {
        // Others' host parts would only be looked at in vain: a node's own log stands at the root.
        if author.state.did().path().next().is_some() {
            continue;
        }
        let Some(shown) = node.catalogue.record(&card_of(author.state.scid())?)? else {
            continue;
        };
        if let Some((url, card)) = read(&shown, author.state.did()) {
            cards.push(Known {
                is_contested: false,
                named_by: BTreeSet::new(),
                is_followed: peers.get(&url).is_some_and(Peer::is_read),
                author: *author.state.scid(),
                url,
                card,
            });
        }
    }
    let mut claims: BTreeMap<String, usize> = BTreeMap::new();
    let mut naming: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for known in &cards {
        *claims.entry(known.url.clone()).or_default() += 1;
        for peer in &known.card.peers {
            if let Ok(peer) = node_address(peer) {
                naming.entry(peer).or_default().insert(known.url.clone());
            }
        }
    }
    cards.retain(|known| known.url != own && !peers.get(&known.url).is_some_and(Peer::is_blocked));
    for known in &mut cards {
        known.is_contested = claims.get(&known.url).is_some_and(|claims| *claims > 1);
        known.named_by = naming.remove(&known.url).unwrap_or_default();
        known.named_by.remove(&known.url);
    }
    cards.sort_by(|one, other| {
        let key = |known: &Known| (!known.is_followed, usize::MAX - known.named_by.len());
        (key(one), &one.url, one.author).cmp(&(key(other), &other.url, other.author))
    });
    cards.truncate(KNOWN_MAX);
    Ok(cards)
}

/// What a card says, and of which address; `None` if it is none, or speaks for an address that its author
/// does not name.
fn read(shown: &Shown, did: &Did) -> Option<(String, NodeCard)> {
    let Saying::Body(body) = &shown.body else {
        return None;
    };
    let Body::NodeCard(card) = &**body else {
        return None;
    };
    let url = node_address(&card.url).ok()?;
    let address = Url::parse(&url).ok()?;
    let is_its_own = did_host(&address) == did.host() && address.port() == did.port();
    is_its_own.then(|| (url, (**card).clone()))
}

fn card_of(author: &Scid) -> Result<RecordId, StoreError> {
    let local = LocalId::parse(NodeCard::LOCAL_ID).map_err(|_| StoreError::Corrupt {
        detail: "the local id of node cards".to_owned(),
    })?;
    Ok(RecordId {
        author: *author,
        local,
    })
}

/// Publishes this node's card if it says something new and the last one is an hour old, or a day if only the
/// counts are new; takes it back if the settings say that the node is not announced. A node that may not publish
/// does neither.
///
/// # Errors
/// The key does not read, or a disk fault.
pub async fn publish(node: &Node) -> Result<(), NodeError> {
    if node.standing.held()?.is_some() {
        return Ok(());
    }
    let signer = node.own()?;
    let id = card_of(signer.did.scid())?;
    let last = node.catalogue.record(&id)?;
    let is_told = last
        .as_ref()
        .is_some_and(|last| !matches!(last.body, Saying::Withdrawn));
    let draft = if !node.config.settings.federation.announce {
        if !is_told {
            return Ok(());
        }
        node.publisher.tombstone(&id)?
    } else {
        let body = body(node)?;
        if let Some(last) = last.filter(|_| is_told) {
            let said = last.tree.get("body");
            let pause = match said.is_some_and(|said| is_same_but_for_counts(&body, said)) {
                true => COUNTS_SECONDS,
                false => PAUSE_SECONDS,
            };
            if node.clock.now().seconds_after(last.header.issued) < pause {
                return Ok(());
            }
        }
        let tree = json!({
            "type": NodeCard::TYPE, "localId": NodeCard::LOCAL_ID, "licence": "CC0-1.0",
            "body": body,
        });
        let tree = tree.as_object().cloned().unwrap_or_default();
        Draft::unchecked(&tree, "CC0-1.0")
            .map_err(|error| NodeError::Refused(format!("this node's card: {error}")))?
    };
    node.publisher.publish(&signer, &[draft], |_| {}).await?;
    Ok(())
}

/// Whether two cards say the same of the node, however much it carries.
fn is_same_but_for_counts(one: &Value, other: &Value) -> bool {
    let members = |card: &Value| {
        let mut card = card.as_object().cloned().unwrap_or_default();
        card.remove("carries");
        card
    };
    members(one) == members(other)
}

/// What this node says of itself. What others announce is not counted, or each card would call forth others.
fn body(node: &Node) -> Result<Value, NodeError> {
    let settings = &node.config.settings;
    let organizations = node.store.authors()?;
    let organizations = organizations
        .iter()
        .filter(|author| author.state.did().path().next().is_some());
    // Who has no card did not ask to be named.
    let peers: Vec<String> = known(node)?
        .into_iter()
        .filter(|known| known.is_followed && !is_site(&known.url))
        .map(|known| known.url)
        .take(CARD_PEERS_MAX)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut body = json!({
        "name": settings.name,
        "url": node.config.url.origin().ascii_serialization(),
        "software": {"name": "baraza", "version": env!("CARGO_PKG_VERSION")},
        "languages": [settings.language],
        "carries": {"records": node.index.count(), "organizations": organizations.count()},
        "peers": peers,
    });
    for (member, value) in [
        ("country", &settings.country),
        ("contact", &settings.federation.contact),
    ] {
        if let Some(value) = value {
            body[member] = value.as_str().into();
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::envelope::Envelope;
    use protocol::identity::WitnessProofs;
    use tempfile::TempDir;

    use super::*;
    use crate::clock::{Clock as _, ManualClock, SystemClock};
    use crate::config::Config;

    /// A node at a port, with more settings about other nodes.
    async fn node(clock: &Arc<ManualClock>, port: u16, more: &str) -> (Arc<Node>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let node = open(clock, port, more, &folder, true).await;
        (node, folder)
    }

    async fn open(
        clock: &Arc<ManualClock>,
        port: u16,
        more: &str,
        folder: &TempDir,
        is_new: bool,
    ) -> Arc<Node> {
        let settings = format!(
            "name = \"Hub {port}\"\nurl = \"http://127.0.0.1:{port}\"\ncountry = \"KE\"\n[federation]\n{more}"
        );
        let config = Config::check(folder.path(), toml::from_str(&settings).unwrap()).unwrap();
        if is_new {
            Node::init(&config, clock.clone()).await.unwrap();
        }
        Node::open(config, clock.clone()).unwrap()
    }

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(SystemClock.now()))
    }

    /// The card that a node has published, if it counts.
    fn own_card(node: &Node) -> Option<Shown> {
        let id = card_of(node.own().unwrap().did.scid()).unwrap();
        node.catalogue.record(&id).unwrap()
    }

    /// Gives what one node says of itself to another.
    async fn give(from: &Node, to: &Node) {
        let own = *from.own().unwrap().did.scid();
        for entry in from.store.log_of(&own).unwrap() {
            let taken = to.ingest.log_entry(&entry, &WitnessProofs::empty()).await;
            taken.unwrap();
        }
        let card = own_card(from).unwrap();
        to.ingest.record(&card.canonical, None).await.unwrap();
    }

    #[tokio::test]
    async fn a_card_is_published_when_it_says_something_new_and_at_most_hourly() {
        let clock = clock();
        let (hub, _hub) = node(&clock, 8891, "contact = \"desk@hub.example\"").await;
        let (other, _other) = node(&clock, 8892, "").await;
        publish(&other).await.unwrap();
        assert!(own_card(&hub).is_none());
        publish(&hub).await.unwrap();
        let card = own_card(&hub).unwrap();
        let (url, said) = read(&card, &hub.own().unwrap().did).unwrap();
        assert_eq!(
            (url.as_str(), &*said.name),
            ("http://127.0.0.1:8891", "Hub 8891")
        );
        assert_eq!(said.contact.as_deref(), Some("desk@hub.example"));
        assert_eq!(said.country.as_deref(), Some("KE"));
        assert!(said.peers.is_empty());

        // The other is followed, and has a card.
        let follow = |peer: &mut Peer| peer.is_followed = true;
        hub.peers
            .change("http://127.0.0.1:8892", follow)
            .await
            .unwrap();
        // One without a card is not named: it did not ask for it.
        hub.peers
            .change("http://127.0.0.1:8893", follow)
            .await
            .unwrap();
        give(&other, &hub).await;
        publish(&hub).await.unwrap();
        assert_eq!(own_card(&hub).unwrap().header.seq, 1, "too soon");
        clock.advance(PAUSE_SECONDS);
        publish(&hub).await.unwrap();
        let card = own_card(&hub).unwrap();
        assert_eq!(card.header.seq, 2);
        let (_, said) = read(&card, &hub.own().unwrap().did).unwrap();
        assert_eq!(said.peers, ["http://127.0.0.1:8892".into()]);
        // Nothing new is not said again.
        clock.advance(PAUSE_SECONDS);
        publish(&hub).await.unwrap();
        assert_eq!(own_card(&hub).unwrap().header.seq, 2);

        // That it carries more is no news of the hour: it is said once a day.
        hub.add_organization("school").await.unwrap();
        clock.advance(COUNTS_SECONDS - PAUSE_SECONDS - 1);
        publish(&hub).await.unwrap();
        assert_eq!(own_card(&hub).unwrap().header.seq, 2);
        clock.advance(1);
        publish(&hub).await.unwrap();
        let card = own_card(&hub).unwrap();
        assert_eq!(card.header.seq, 3);
        assert_eq!(card.tree["body"]["carries"]["organizations"], 1);

        // Whoever has both cards knows who names whom.
        let (reader, _reader) = node(&clock, 8894, "").await;
        give(&hub, &reader).await;
        give(&other, &reader).await;
        let all = known(&reader).unwrap();
        let named: Vec<_> = all
            .iter()
            .map(|known| (known.name(), known.named_by.len(), known.is_followed))
            .collect();
        assert_eq!(
            named,
            [(Some("Hub 8892"), 1, false), (Some("Hub 8891"), 0, false)]
        );
        assert!(reader.peers.all().unwrap().is_empty());
        // Oneself is not listed, nor whoever is blocked.
        assert_eq!(known(&other).unwrap().len(), 0);
        let block = |peer: &mut Peer| {
            let (reason, since) = (None, 0);
            peer.decided = Some(crate::federation::peers::Decided::Blocked { reason, since });
        };
        reader
            .peers
            .change("http://127.0.0.1:8892", block)
            .await
            .unwrap();
        assert_eq!(known(&reader).unwrap().len(), 1);
        for node in [hub, other, reader] {
            node.stop().await;
        }
    }

    #[tokio::test]
    async fn who_does_not_announce_has_no_card_and_takes_back_the_one_it_had() {
        let clock = clock();
        let (hub, folder) = node(&clock, 8895, "").await;
        let (reader, _reader) = node(&clock, 8896, "announce = false").await;
        publish(&hub).await.unwrap();
        publish(&reader).await.unwrap();
        assert!(own_card(&reader).is_none());
        give(&hub, &reader).await;
        assert_eq!(known(&reader).unwrap().len(), 1);
        hub.stop().await;
        drop(hub);
        let hub = open(&clock, 8895, "announce = false", &folder, false).await;
        publish(&hub).await.unwrap();
        assert!(matches!(own_card(&hub).unwrap().body, Saying::Withdrawn));
        give(&hub, &reader).await;
        assert!(known(&reader).unwrap().is_empty());
        // Once is enough.
        publish(&hub).await.unwrap();
        assert_eq!(own_card(&hub).unwrap().header.seq, 2);
        for node in [hub, reader] {
            node.stop().await;
        }
    }

    #[tokio::test]
    async fn a_card_speaks_for_the_address_in_its_authors_did_and_for_no_other() {
        let clock = clock();
        let (hub, _hub) = node(&clock, 8897, "").await;
        let (twin, _twin) = node(&clock, 8897, "").await;
        let (reader, _reader) = node(&clock, 8898, "").await;
        publish(&hub).await.unwrap();
        give(&hub, &reader).await;
        assert_eq!(known(&reader).unwrap()[0].name(), Some("Hub 8897"));
        // Another identity claims the address: neither names it.
        publish(&twin).await.unwrap();
        give(&twin, &reader).await;
        let both = known(&reader).unwrap();
        assert_eq!(both.len(), 2);
        assert!(
            both.iter()
                .all(|known| known.is_contested && known.name().is_none())
        );
        // A card for somebody else's address is none.
        let signer = twin.own().unwrap();
        let card = own_card(&twin).unwrap();
        let mut tree = card.tree.clone();
        tree["body"]["url"] = "https://bank.example".into();
        let draft = Draft::unchecked(&tree, "CC0-1.0").unwrap();
        let signed: Envelope = draft
            .sign(&signer.did, 2, clock.now(), &signer.key)
            .unwrap();
        reader
            .ingest
            .record(signed.canonical(), None)
            .await
            .unwrap();
        let left = known(&reader).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(
            (left[0].name(), left[0].author),
            (Some("Hub 8897"), *hub.own().unwrap().did.scid())
        );
        for node in [hub, twin, reader] {
            node.stop().await;
        }
    }
}
