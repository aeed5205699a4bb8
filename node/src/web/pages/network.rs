//! The page of the network: this node in numbers, and the nodes it knows.

use askama::Template;
use http::StatusCode;
use protocol::time::Timestamp;

use super::fact::organization_href;
use super::organization::held_of_named;
use super::text::{Said, Web};
use super::words::Words;
use super::{Page, Problem, Written};
use crate::cards::{self, Known};
use crate::choices::Blocked;
use crate::federation::deliveries::Delivery;
use crate::federation::peers::{Decided, Peer};
use crate::federation::policy::{BLOCKED, Newcomer};
use crate::node::Node;
use crate::places::country;

/// Most nodes in the picture; the table beside it has them all.
const DRAWN_MAX: usize = 12;
/// Longest host in the picture, in characters.
const HOST_CHARS_MAX: usize = 26;
/// Most authors that are named as held back by one peer; `baraza peers --json` has them all.
const NAMED_MAX: usize = 20;
/// Most newcomers on the page; `baraza peers` has them all.
const NEWCOMERS_SHOWN_MAX: usize = 50;
/// Most nodes that are listed by their cards; `baraza peers --known` has them all.
const KNOWN_SHOWN_MAX: usize = 50;
/// Most nodes that are told to name one.
const NAMING_SHOWN_MAX: usize = 5;
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
    /// Nodes that wait for this node's operator, or are new: address, and how it stands with them.
    newcomers: Vec<(Web, String)>,
    newcomers_left: Option<String>,
    /// Nodes that are known by their cards and not among the peers.
    known: Vec<KnownRow>,
    known_left: Option<String>,
    /// Organisations that are not carried: SCID, reason, since when.
    blocked_authors: Vec<(String, Option<Said>, String)>,
    /// Servers that are told of changes and are no nodes that are known here.
    others_told: Option<String>,
    peer_count: String,
    height: usize,
    middle: usize,
    drawn: usize,
}

/// A node that is known by its card.
struct KnownRow {
    address: Web,
    name: Option<Said>,
    is_contested: bool,
    country: Option<String>,
    records: Option<String>,
    named_by: Vec<Web>,
}

impl KnownRow {
    fn of(known: &Known, words: &'static Words) -> Self {
        Self {
            address: Web::read(&known.url),
            name: known.name().map(|name| name_of(name, words)),
            is_contested: known.is_contested,
            country: known
                .card
                .country
                .as_deref()
                .map(|code| country(code, words.code()).unwrap_or(code).to_owned()),
            records: known
                .card
                .carries
                .map(|carries| words.n("card-records", carries.records)),
            named_by: known
                .named_by
                .iter()
                .take(NAMING_SHOWN_MAX)
                .map(|url| Web::read(url))
                .collect(),
        }
    }
}

/// A node's name, as it says it.
fn name_of(name: &str, words: &'static Words) -> Said {
    Said::plain(name, words).shortened(80)
}

/// A node as it stands in the table and in the picture.
struct PeerRow {
    url: String,
    address: Web,
    /// What it is called, by its card.
    name: Option<Said>,
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
    /// How it stands with what it is sent, in sentences, and its last error.
    delivery: Vec<String>,
    delivery_error: Option<Said>,
    /// What was decided here about it, and what it answers this node: label, and the operator's words.
    dealings: Vec<(String, Option<Said>)>,
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
    let last = node.store.last_change()?;
    let mut others_told = 0_usize;
    for host in node.followers.hosts() {
        let Some(delivery) = node.deliveries.get(&host) else {
            continue;
        };
        match peers.iter_mut().find(|row| row.url == host) {
            Some(row) => row.tell(&delivery, last, words, now),
            // Who reads along from elsewhere is theirs to say: they are counted, not named.
            None => others_told += 1,
        }
    }
    for (url, authors) in node.completeness.held_back()? {
        let Some(row) = peers.iter_mut().find(|row| row.url == url) else {
            continue;
        };
        for held_back in authors.iter().take(NAMED_MAX) {
            // One that is not carried any more is not counted either.
            let Some(author) = node.catalogue.author(&held_back.author)? else {
                continue;
            };
            let name = author.name(&[words.code()]);
            let how_much = held_of_named(words, &held_back.count);
            row.holds_back
                .push((name, organization_href(words, &held_back.author), how_much));
        }
    }
    let cards = cards::known(node)?;
    let mut known = Vec::new();
    let mut known_count = 0;
    for card in &cards {
        match peers.iter_mut().find(|row| row.url == card.url) {
            Some(row) => row.name = card.name().map(|name| name_of(name, words)),
            None => {
                known_count += 1;
                if known.len() < KNOWN_SHOWN_MAX {
                    known.push(KnownRow::of(card, words));
                }
            }
        }
    }
    let known_left = known_count - known.len();
    let waiting: Vec<(String, Newcomer)> = node.gate.newcomers()?;
    let newcomers_left = waiting.len().saturating_sub(NEWCOMERS_SHOWN_MAX);
    let newcomers = waiting.iter().take(NEWCOMERS_SHOWN_MAX);
    let newcomers = newcomers
        .map(|(url, newcomer)| (Web::read(url), how_new(words, newcomer)))
        .collect();
    let blocked_authors = Blocked::all(&node.store)?
        .into_iter()
        .map(|(scid, blocked)| {
            let reason = blocked.reason.as_deref();
            let since = Timestamp::from_unix_seconds(blocked.since);
            let said = reason.map(|reason| Said::plain(reason, words));
            (scid.to_string(), said, words.date(since))
        })
        .collect();
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
        others_told: (others_told > 0).then(|| words.n("delivery-others", others_told)),
        height,
        middle: height / 2,
        drawn,
        newcomers,
        newcomers_left: (newcomers_left > 0).then(|| words.n("newcomers-left", newcomers_left)),
        known,
        known_left: (known_left > 0).then(|| words.n("newcomers-left", known_left)),
        blocked_authors,
        peers,
    };
    super::write(StatusCode::OK, &network)
}

fn how_new(words: &'static Words, newcomer: &Newcomer) -> String {
    let since = words.date(Timestamp::from_unix_seconds(newcomer.met));
    let id = match newcomer.waits_to.as_deref() {
        Some("follow") => "newcomer-follow",
        Some(_) => "newcomer-send",
        None => "newcomer-new",
    };
    words.about(id, &since)
}

/// What was decided here about a peer, and what it answers this node.
fn dealings_of(peer: &Peer, words: &'static Words) -> Vec<(String, Option<Said>)> {
    let said = |text: &str| Said::plain(text, words).shortened(600);
    let here = match &peer.decided {
        None => None,
        Some(Decided::Allowed) => Some((words.t("peer-allowed").into_owned(), None)),
        Some(Decided::Blocked { reason, .. }) => Some((
            words.t("peer-blocked").into_owned(),
            reason.as_deref().map(said),
        )),
    };
    let there = peer.turned_away.as_ref().map(|turned_away| {
        let id = match turned_away.code == BLOCKED {
            true => "peer-blocks-us",
            false => "peer-turns-away",
        };
        let detail = Said::tagged(&turned_away.detail, "en", words).shortened(600);
        (words.t(id).into_owned(), Some(detail))
    });
    here.into_iter().chain(there).collect()
}

impl PeerRow {
    /// Says how it stands with what the peer is sent.
    fn tell(&mut self, delivery: &Delivery, last: u64, words: &'static Words, now: Timestamp) {
        let told = match delivery.behind(last) {
            _ if delivery.is_left_to_pulling() => words.t("delivery-pulled").into_owned(),
            0 => words.t("delivery-told").into_owned(),
            behind => words.n("delivery-behind", behind),
        };
        let taken = delivery.last_taken.map(|taken| {
            let ago = words.ago(now, Timestamp::from_unix_seconds(taken));
            words.about("delivery-taken", &ago)
        });
        let next = delivery.next_attempt(now).map(|at| {
            let seconds = at.unix_seconds() - now.unix_seconds();
            words.n("delivery-next", seconds.unsigned_abs().div_ceil(60))
        });
        self.delivery = [Some(told), taken, next].into_iter().flatten().collect();
        self.delivery_error = delivery
            .last_error
            .as_deref()
            .map(|error| Said::tagged(error, "en", words).shortened(300));
    }

    fn of(peer: &Peer, words: &'static Words, now: protocol::time::Timestamp) -> Self {
        let address = Web::read(&peer.url);
        let host = match &address {
            Web::Link { host, .. } => host.clone(),
            Web::Text(text) => text.clone(),
        };
        let heard = peer.last_heard().map(|heard| words.ago(now, heard));
        Self {
            url: peer.url.clone(),
            name: None,
            short: Said::plain(&host, words).shortened(HOST_CHARS_MAX).text,
            address,
            is_followed: peer.is_read(),
            is_follower: peer.follower_inbox.is_some(),
            filter: (!peer.filter.is_empty()).then(|| Said::plain(&peer.filter, words)),
            state: match (&peer.last_error, &heard) {
                _ if peer.is_blocked() => "ill",
                (Some(_), _) => "ill",
                (None, Some(_)) => "well",
                (None, None) => "new",
            },
            heard,
            received: words.number(peer.received),
            refused: words.number(peer.refused),
            // That it turns this node away stands above.
            error: peer
                .last_error
                .as_deref()
                .filter(|_| peer.turned_away.is_none())
                .map(|error| Said::tagged(error, "en", words).shortened(300)),
            refusal: peer
                .last_refusal
                .as_deref()
                .map(|error| Said::tagged(error, "en", words).shortened(300)),
            delivery: Vec::new(),
            delivery_error: None,
            dealings: dealings_of(peer, words),
            holds_back: Vec::new(),
            y: 0,
        }
    }
}
