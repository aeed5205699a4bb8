//! The page of the network: this node in numbers, and the nodes it knows.

use askama::Template;
use http::StatusCode;

use super::fact::organization_href;
use super::organization::held_of_named;
use super::text::{Said, Web};
use super::words::Words;
use super::{Page, Problem, Written};
use crate::federation::peers::Peer;
use crate::node::Node;

/// Most nodes in the picture; the table beside it has them all.
const DRAWN_MAX: usize = 12;
/// Longest host in the picture, in characters.
const HOST_CHARS_MAX: usize = 26;
/// Most authors that are named as held back by one peer; `baraza peers --json` has them all.
const NAMED_MAX: usize = 20;
/// From one node of the picture to the next, in its own units.
const STEP: usize = 36;

#[derive(Template)]
#[template(path = "network.html")]
struct NetworkPage {
    page: Page,
    address: String,
    authority: String,
    version: &'static str,
    counts: Vec<(String, String)>,
    state_hash: String,
    peers: Vec<PeerRow>,
    peer_count: String,
    height: usize,
    middle: usize,
    drawn: usize,
}

/// A node as it stands in the table and in the picture.
struct PeerRow {
    url: String,
    address: Web,
    /// Its host, as much of it as the picture has room for.
    short: String,
    is_followed: bool,
    is_follower: bool,
    filter: Option<Said>,
    heard: Option<String>,
    received: String,
    refused: String,
    error: Option<Said>,
    refusal: Option<Said>,
    /// Authors of whom it gives less than they counted: name, page, how much of it is here.
    holds_back: Vec<(String, String, String)>,
    /// `well`, `ill` or `new`: how the picture shows it; words say the same.
    state: &'static str,
    y: usize,
}

pub(super) fn write(node: &Node, words: &'static Words) -> Result<Written, Problem> {
    let census = node.census()?;
    let now = node.clock.now();
    let count = |name: &str| {
        census
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default()
    };
    let counts = [
        "records",
        "authors",
        "withdrawn",
        "held",
        "parked",
        "refused",
        "changes",
    ]
    .map(|name| {
        let id = match name {
            "records" => "census-records",
            "authors" => "census-authors",
            "withdrawn" => "census-withdrawn",
            "held" => "census-held",
            "parked" => "census-parked",
            "refused" => "census-refused",
            _ => "census-changes",
        };
        (words.t(id).into_owned(), words.number(count(name)))
    });
    let state_hash = census
        .get("stateHash")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut peers: Vec<PeerRow> = node
        .peers
        .all()?
        .iter()
        .map(|peer| PeerRow::of(peer, words, now))
        .collect();
    for (url, authors) in node.completeness.held_back()? {
        let Some(row) = peers.iter_mut().find(|row| row.url == url) else {
            continue;
        };
        for held_back in authors.iter().take(NAMED_MAX) {
            let author = node.catalogue.author(&held_back.author)?;
            let name = author.map_or_else(
                || held_back.author.to_string(),
                |author| author.name(&[words.code()]),
            );
            let how_much = held_of_named(words, &held_back.count);
            row.holds_back
                .push((name, organization_href(words, &held_back.author), how_much));
        }
    }
    // Those with whom there is something to do stand in the picture first.
    peers.sort_by_key(|peer| (!peer.is_followed, !peer.is_follower));
    for (position, peer) in peers.iter_mut().enumerate() {
        peer.y = position * STEP + STEP / 2 + 8;
    }
    let drawn = peers.len().min(DRAWN_MAX);
    let height = drawn.max(2) * STEP + 16;
    let network = NetworkPage {
        page: Page::new(node, words, &words.t("network-title"), "/nodes"),
        address: node.config.url.as_str().trim_end_matches('/').to_owned(),
        authority: node.config.authority(),
        version: env!("CARGO_PKG_VERSION"),
        counts: counts.into(),
        state_hash,
        peer_count: words.n("peer-count", peers.len()),
        height,
        middle: height / 2,
        drawn,
        peers,
    };
    super::write(StatusCode::OK, &network)
}

impl PeerRow {
    fn of(peer: &Peer, words: &'static Words, now: protocol::time::Timestamp) -> Self {
        let address = Web::read(&peer.url);
        let host = match &address {
            Web::Link { host, .. } => host.clone(),
            Web::Text(text) => text.clone(),
        };
        let heard = peer.last_heard().map(|heard| words.ago(now, heard));
        Self {
            url: peer.url.clone(),
            short: Said::plain(&host, words).shortened(HOST_CHARS_MAX).text,
            address,
            is_followed: peer.is_followed,
            is_follower: peer.follower_inbox.is_some(),
            filter: (!peer.filter.is_empty()).then(|| Said::plain(&peer.filter, words)),
            state: match (&peer.last_error, &heard) {
                (Some(_), _) => "ill",
                (None, Some(_)) => "well",
                (None, None) => "new",
            },
            heard,
            received: words.number(peer.received),
            refused: words.number(peer.refused),
            error: peer
                .last_error
                .as_deref()
                .map(|error| Said::tagged(error, "en", words).shortened(300)),
            refusal: peer
                .last_refusal
                .as_deref()
                .map(|error| Said::tagged(error, "en", words).shortened(300)),
            holds_back: Vec::new(),
            y: 0,
        }
    }
}
