//! Why a record may be believed: who signed it, with which key, what this node checked.

use askama::Template;
use askama::filters::HtmlSafe;
use protocol::envelope::{Envelope, Status};
use protocol::verified::Judged;

use super::fact::Who;
use super::words::Words;
use crate::catalogue::{Shown, ShownAuthor};
use crate::node::Node;
use crate::store::StoreError;

/// Most versions that are listed; the whole list is a link away.
const VERSIONS_SHOWN_MAX: usize = 10;

/// A long name, and a form of it that can be compared at a glance.
pub(super) struct Long {
    pub(super) short: String,
    pub(super) full: String,
}

impl Long {
    pub(super) fn new(full: impl Into<String>) -> Self {
        let full = full.into();
        let letters: Vec<char> = full.chars().collect();
        let short = match (
            letters.get(..8),
            letters
                .len()
                .checked_sub(6)
                .and_then(|end| letters.get(end..)),
        ) {
            (Some(first), Some(last)) if letters.len() > 18 => {
                first.iter().chain(&['…']).chain(last).collect()
            }
            _ => full.clone(),
        };
        Self { short, full }
    }
}

/// The box beside a record.
#[derive(Template)]
#[template(path = "trust.html")]
pub(super) struct Trust {
    words: &'static Words,
    node: String,
    who: Who,
    key: Long,
    /// The signature was checked while the page was made; else what came out.
    fault: Option<String>,
    is_own: bool,
    seq: String,
    hash: Long,
    issued: String,
    received: String,
    confirmed: Option<String>,
    valid_until: Option<(String, bool)>,
    is_withdrawn: bool,
    has_twins: bool,
    versions: Vec<VersionRow>,
    versions_left: usize,
    signed_href: String,
    history_href: String,
    log_href: String,
}

// Its template escapes every part.
impl HtmlSafe for Trust {}

struct VersionRow {
    seq: String,
    received: String,
    is_withdrawn: bool,
    hash: Long,
}

impl Trust {
    pub(super) fn of(
        node: &Node,
        words: &'static Words,
        shown: &Shown,
        author: &ShownAuthor,
        languages: &[&str],
    ) -> Result<Self, StoreError> {
        let header = &shown.header;
        let mut versions: Vec<VersionRow> = node
            .store
            .history(&shown.id)?
            .iter()
            .map(|row| VersionRow {
                seq: words.number(row.rank.seq),
                received: words.date(row.received),
                is_withdrawn: row.status == Status::Withdrawn,
                hash: Long::new(row.rank.hash.to_string()),
            })
            .collect();
        let versions_left = versions.len().saturating_sub(VERSIONS_SHOWN_MAX);
        versions.truncate(VERSIONS_SHOWN_MAX);
        let now = node.clock.now();
        Ok(Self {
            words,
            node: node.config.authority(),
            who: Who::of(author, languages, words),
            key: Long::new(shown.key()),
            fault: check(node, shown, author),
            is_own: node.hosts(author.author.state.did())?,
            seq: words.number(header.seq),
            hash: Long::new(shown.version.as_str()),
            issued: words.date(header.issued),
            received: words.date(shown.received),
            confirmed: header.confirmed.map(|confirmed| words.date(confirmed)),
            valid_until: header
                .valid_until
                .map(|until| (words.date(until), until < now)),
            is_withdrawn: header.status == Status::Withdrawn,
            has_twins: author.author.has_twins,
            versions,
            versions_left,
            signed_href: format!("/{}/o/{}/signed", words.code(), shown.id),
            history_href: format!("/api/v1/records/{}/history", shown.id),
            log_href: format!("/api/v1/organizations/{}/did.jsonl", author.scid()),
        })
    }
}

/// Checks the signature under the author's keys once more; what is wrong, if anything is.
fn check(node: &Node, shown: &Shown, author: &ShownAuthor) -> Option<String> {
    let proven = match Envelope::parse(&shown.canonical) {
        Ok(envelope) => envelope.prove(),
        Err(error) => return Some(error.to_string()),
    };
    match proven
        .and_then(|proven| proven.against(node.store.rules(), Some(author.author.state.keys())))
    {
        Ok(Judged::Verified(_)) => None,
        Ok(Judged::NotYet(_)) => Some("the author's log does not list the key".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
