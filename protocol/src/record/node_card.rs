//! What a node says of itself, so that others learn of it.

use super::fields::Fields;
use crate::limits::CARD_PEERS_MAX;

/// The body of a `NodeCard`, whose `localId` is always `node-card`: by a node's own identity
/// (docs/protocol.md, 4). Whoever signed it, it speaks for the address that its author's DID names and for
/// no other.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeCard {
    /// What the node is called.
    pub name: Box<str>,
    /// Its address: an origin.
    pub url: Box<str>,
    /// The program that it runs.
    pub software: Option<Software>,
    /// Languages of its pages, as BCP 47 tags.
    pub languages: Vec<Box<str>>,
    /// Where it is at home.
    pub country: Option<Box<str>>,
    /// What it carries.
    pub carries: Option<Carries>,
    /// The addresses of nodes that it follows and that have a card, at most [`CARD_PEERS_MAX`]: more are
    /// cut off.
    pub peers: Vec<Box<str>>,
    /// How its operator is reached: a role, never a person.
    pub contact: Option<Box<str>>,
}

/// A program.
#[derive(Debug, Clone, PartialEq)]
pub struct Software {
    /// Its name.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
}

/// How much a node carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carries {
    /// Records that can be found there.
    pub records: u64,
    /// Organisations.
    pub organizations: u64,
}

impl NodeCard {
    /// The type of these records.
    pub const TYPE: &'static str = "NodeCard";
    /// The one local id of cards.
    pub const LOCAL_ID: &'static str = "node-card";

    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let mut peers = fields.urls("peers");
        peers.truncate(CARD_PEERS_MAX);
        Self {
            name: fields.text("name").unwrap_or_default(),
            url: fields.url("url").unwrap_or_default(),
            software: fields.object("software", |software| Software {
                name: software.text("name").unwrap_or_default(),
                version: software.text("version").unwrap_or_default(),
            }),
            languages: fields.languages("languages"),
            country: fields.country("country"),
            carries: fields.object("carries", |carries| Carries {
                records: carries.count("records").unwrap_or_default(),
                organizations: carries.count("organizations").unwrap_or_default(),
            }),
            peers,
            contact: fields.text("contact"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::Body;

    fn read(body: &serde_json::Value) -> Option<NodeCard> {
        match Body::read(NodeCard::TYPE, body.as_object().unwrap()) {
            Ok(Some(Body::NodeCard(card))) => Some(*card),
            _ => None,
        }
    }

    #[test]
    fn a_card_says_what_it_knows_and_no_more() {
        let card = read(&json!({
            "name": "Pacific hub", "url": "https://hub.example", "languages": ["en", "fj"],
            "country": "FJ", "software": {"name": "baraza", "version": "0.1.0"},
            "carries": {"records": 7, "organizations": 2}, "contact": "mailto:desk@hub.example",
            "peers": ["https://other.example"], "later": true,
        }))
        .unwrap();
        assert_eq!(
            (&*card.name, &*card.url),
            ("Pacific hub", "https://hub.example")
        );
        assert_eq!(card.carries.unwrap().records, 7);
        assert_eq!(card.peers.len(), 1);
        let bare = read(&json!({"name": "x", "url": "https://x.example"})).unwrap();
        assert_eq!(
            (bare.carries, bare.contact, bare.country),
            (None, None, None)
        );
    }

    #[test]
    fn peers_beyond_the_bound_are_cut_off() {
        let peers: Vec<String> = (0..CARD_PEERS_MAX + 5)
            .map(|n| format!("https://n{n}.example"))
            .collect();
        let body = json!({"name": "x", "url": "https://x.example", "peers": peers});
        assert_eq!(read(&body).unwrap().peers.len(), CARD_PEERS_MAX);
    }

    #[test]
    fn what_is_no_address_is_no_card() {
        assert_eq!(
            read(&json!({"name": "x", "url": "javascript:alert(1)"})),
            None
        );
        assert_eq!(read(&json!({"name": 1, "url": "https://x.example"})), None);
    }
}
