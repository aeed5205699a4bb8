//! Whom this node deals with, what it carries and what it shows: each decision is carried out and written
//! down in one step.

use std::sync::Arc;

use protocol::id::{RecordId, Scid};
use protocol::time::Timestamp;
use serde_json::{Value, json};

use super::{Done, refused};
use crate::audit::{self, Act, Decision};
use crate::choices::{Blocked, Hidden};
use crate::federation::peers::{Decided, Peer, peer_address};
use crate::federation::policy::BLOCKED;
use crate::node::{Node, NodeError};
use crate::store::{NamedRows, StoreError};

/// Longest reason and contact, in characters.
const WORDS_CHARS_MAX: usize = 500;

/// Whom a block is about.
enum Subject {
    Node(String),
    Author(Scid),
}

impl Subject {
    fn read(text: &str) -> Result<Self, NodeError> {
        match Scid::parse(text.trim()) {
            Ok(scid) => Ok(Self::Author(scid)),
            Err(_) => peer_address(text).map(Self::Node).map_err(|error| {
                refused(format!(
                    "{error}; an organisation is named by its SCID, Qm…"
                ))
            }),
        }
    }
}

fn decision(node: &Node, act: Act, subject: &str, reason: Option<String>) -> Decision {
    Decision {
        time: node.clock.now(),
        act,
        subject: subject.to_owned(),
        reason,
    }
}

/// What people wrote, within its bound; `None` if it is nothing.
fn words(text: Option<String>, what: &str) -> Result<Option<String>, NodeError> {
    let text = text.map(|text| text.trim().to_owned());
    let text = text.filter(|text| !text.is_empty());
    match &text {
        Some(text) if text.chars().count() > WORDS_CHARS_MAX => Err(refused(format!(
            "--{what} may have {WORDS_CHARS_MAX} characters: it is shown to others, so say it briefly"
        ))),
        _ => Ok(text),
    }
}

/// Lets a node hand records over and follow.
pub(super) async fn allow(
    node: &Arc<Node>,
    url: &str,
    reason: Option<String>,
) -> Result<Done, NodeError> {
    let url = peer_address(url).map_err(refused)?;
    let reason = words(reason, "reason")?;
    if node.peers.is_blocked(&url)? {
        return Err(refused(format!(
            "{url} is blocked: `baraza peers unblock {url}` first"
        )));
    }
    let change = |peer: &mut Peer| peer.decided = Some(Decided::Allowed);
    let decision = decision(node, Act::Allow, &url, reason);
    node.peers
        .decide(&url, change, decision)
        .await
        .map_err(refused)?;
    Ok(Done::new(
        format!(
            "{url} may hand records over and follow; it is not asked to try again, and does by itself"
        ),
        json!({"url": url, "decided": "allowed"}),
    ))
}

/// Ends the exchange with a node, or carries an author no longer.
pub(super) async fn block(
    node: &Arc<Node>,
    subject: &str,
    reason: Option<String>,
) -> Result<Done, NodeError> {
    let reason = words(reason, "reason")?;
    match Subject::read(subject)? {
        Subject::Node(url) => block_node(node, url, reason).await,
        Subject::Author(scid) => block_author(node, scid, reason).await,
    }
}

async fn block_node(
    node: &Arc<Node>,
    url: String,
    reason: Option<String>,
) -> Result<Done, NodeError> {
    if url == node.config.url.origin().ascii_serialization() {
        return Err(refused("that is this node itself"));
    }
    let since = node.clock.now().unix_seconds();
    let decided = Decided::Blocked {
        reason: reason.clone(),
        since,
    };
    let change = |peer: &mut Peer| peer.decided = Some(decided);
    let decision = decision(node, Act::Block, &url, reason.clone());
    node.peers
        .decide(&url, change, decision)
        .await
        .map_err(refused)?;
    node.puller.pause(&url);
    Ok(Done::new(
        format!(
            "nothing is exchanged with {url} any more: it is not read, sent nothing, and what it sends is refused with your reason.\n\
             What came from it stays, and so do the organisations at home there: to carry one no longer, block it by its SCID."
        ),
        json!({"url": url, "decided": "blocked", "reason": reason}),
    ))
}

async fn block_author(
    node: &Arc<Node>,
    scid: Scid,
    reason: Option<String>,
) -> Result<Done, NodeError> {
    let is_own = node
        .keychain
        .signers()?
        .iter()
        .any(|signer| *signer.did.scid() == scid);
    if is_own {
        return Err(refused(
            "that organisation's keys are here: withdraw its records, or move it to another node",
        ));
    }
    if node.store.is_blocked(&scid) {
        return Err(refused(format!("{scid} is blocked already")));
    }
    let now = node.clock.now();
    let blocked = Blocked {
        reason: reason.clone(),
        since: now.unix_seconds(),
    };
    let row = blocked.write()?;
    let decision = decision(node, Act::Block, &scid.to_string(), reason.clone());
    let put = move |rows: &mut NamedRows<'_, '_>| {
        rows.block_author(&scid, Some(row))?;
        audit::append(rows, &decision)
    };
    node.store.change_named::<_, StoreError>(put).await?;
    node.store.look_again().await?;
    Ok(Done::new(
        format!(
            "nothing of {scid} is taken, shown or handed out any more, from whomever it comes. What is held of it stays, unseen."
        ),
        json!({"scid": scid.to_string(), "decided": "blocked", "reason": reason}),
    ))
}

/// Takes a block back.
pub(super) async fn unblock(node: &Arc<Node>, subject: &str) -> Result<Done, NodeError> {
    match Subject::read(subject)? {
        Subject::Node(url) => unblock_node(node, url).await,
        Subject::Author(scid) => unblock_author(node, scid).await,
    }
}

async fn unblock_node(node: &Arc<Node>, url: String) -> Result<Done, NodeError> {
    if !node.peers.is_blocked(&url)? {
        return Err(refused(format!("{url} is not blocked")));
    }
    let change = |peer: &mut Peer| peer.decided = None;
    let decision = decision(node, Act::Unblock, &url, None);
    node.peers
        .decide(&url, change, decision)
        .await
        .map_err(refused)?;
    node.puller.start()?;
    node.outbox.resume();
    Ok(Done::new(
        format!("{url} is blocked no longer: if it was followed, it is again"),
        json!({"url": url, "decided": null}),
    ))
}

async fn unblock_author(node: &Arc<Node>, scid: Scid) -> Result<Done, NodeError> {
    if !node.store.is_blocked(&scid) {
        return Err(refused(format!("{scid} is not blocked")));
    }
    let decision = decision(node, Act::Unblock, &scid.to_string(), None);
    let put = move |rows: &mut NamedRows<'_, '_>| {
        rows.block_author(&scid, None)?;
        audit::append(rows, &decision)
    };
    node.store.change_named::<_, StoreError>(put).await?;
    node.store.look_again().await?;
    let read_anew = super::read_peers_anew(node).await?;
    Ok(Done::new(
        format!(
            "{scid} is carried again, with what is held of it; {} peers are read anew for what was refused meanwhile",
            read_anew.len()
        ),
        json!({"scid": scid.to_string(), "decided": null, "readAnew": read_anew}),
    ))
}

/// Shows a record no longer.
pub(super) async fn hide(
    node: &Arc<Node>,
    id: &str,
    reason: String,
    contact: Option<String>,
) -> Result<Done, NodeError> {
    let id = RecordId::parse(id).map_err(refused)?;
    let reason = words(Some(reason), "reason")?.ok_or_else(|| {
        refused("say why with --reason: it is shown to whoever asks for the record")
    })?;
    let contact = words(contact, "contact")?;
    if node.store.counting(&id)?.is_none() {
        return Err(refused(format!("this node has no record {id}")));
    }
    let hidden = Hidden {
        reason: reason.clone(),
        contact: contact.clone(),
        since: node.clock.now().unix_seconds(),
    };
    let row = hidden.write()?;
    let decision = decision(node, Act::Hide, &id.to_string(), Some(reason.clone()));
    let hiding = id.clone();
    let put = move |rows: &mut NamedRows<'_, '_>| {
        rows.hide_record(&hiding, Some(row))?;
        audit::append(rows, &decision)
    };
    node.store.change_named::<_, StoreError>(put).await?;
    Ok(Done::new(
        format!(
            "{id} is not shown here any more: its page says why and whom to ask. Other nodes still get it, and decide for themselves."
        ),
        json!({"id": id.to_string(), "hidden": true, "reason": reason, "contact": contact}),
    ))
}

/// Shows a record again.
pub(super) async fn unhide(node: &Arc<Node>, id: &str) -> Result<Done, NodeError> {
    let id = RecordId::parse(id).map_err(refused)?;
    if !node.store.is_hidden(&id) {
        return Err(refused(format!("{id} is not hidden")));
    }
    let decision = decision(node, Act::Unhide, &id.to_string(), None);
    let shown = id.clone();
    let put = move |rows: &mut NamedRows<'_, '_>| {
        rows.hide_record(&shown, None)?;
        audit::append(rows, &decision)
    };
    node.store.change_named::<_, StoreError>(put).await?;
    Ok(Done::new(
        format!("{id} is shown again"),
        json!({"id": id.to_string(), "hidden": false}),
    ))
}

/// What was decided, oldest first; with `is_to_verify`, whether each entry is as it was written.
pub(super) fn audit(node: &Node, is_to_verify: bool) -> Result<Done, NodeError> {
    let log = audit::read(&node.store)?;
    let mut text: Vec<String> = log
        .entries
        .iter()
        .map(|entry| {
            let reason = entry
                .reason
                .as_deref()
                .map(|reason| format!("  “{reason}”"));
            format!(
                "{:>6}  {}  {}  {:<8}  {}{}",
                entry.number,
                entry.time,
                entry.who,
                entry.act.name(),
                entry.subject,
                reason.unwrap_or_default()
            )
        })
        .collect();
    if log.entries.is_empty() {
        text.push("nothing was decided yet".to_owned());
    }
    // A log that is not whole is never shown as if it were.
    for fault in &log.faults {
        text.push(format!("FAULT at {}: {}", fault.number, fault.what));
    }
    if let (true, Some(hash)) = (is_to_verify && log.faults.is_empty(), &log.hash) {
        text.push(format!(
            "{} entries, each as it was written. Newest hash: {hash}",
            log.entries.len()
        ));
    }
    Ok(Done {
        is_complete: log.faults.is_empty(),
        text: text.join("\n"),
        json: json!({
            "total": log.entries.len(), "items": log.entries, "hash": log.hash, "faults": log.faults,
        }),
    })
}

/// How it stands with a peer beside following: what was decided here, and what it answers there.
pub(super) fn dealings(peer: &Peer) -> String {
    let here = match &peer.decided {
        None => None,
        Some(Decided::Allowed) => Some("allowed".to_owned()),
        Some(Decided::Blocked { reason, .. }) => Some(match reason {
            Some(reason) => format!("blocked here: {reason}"),
            None => "blocked here".to_owned(),
        }),
    };
    let there = peer
        .turned_away
        .as_ref()
        .map(|turned_away| match turned_away.code == BLOCKED {
            true => format!("blocked by {}: {}", peer.url, turned_away.detail),
            false => format!("{} says: {}", peer.url, turned_away.detail),
        });
    let both: Vec<String> = here.into_iter().chain(there).collect();
    both.join("; ")
}

/// Nodes of which nothing was decided and that knocked, and authors that are not carried: for people, and
/// each as JSON.
pub(super) fn others(node: &Node) -> Result<(String, Vec<Value>, Vec<Value>), NodeError> {
    let newcomers = node.gate.newcomers()?;
    let blocked = Blocked::all(&node.store)?;
    let day = |seconds| Timestamp::from_unix_seconds(seconds).to_string();
    let mut text = String::new();
    for (url, newcomer) in &newcomers {
        let met = day(newcomer.met);
        text.push_str(&match &newcomer.waits_to {
            Some(what) => format!(
                "\n{url} waits to {what} since {met}: `baraza peers allow {url}` lets it, `baraza peers block {url}` does not"
            ),
            None => format!(
                "\n{url} is new since {met} and has handed over {} records, at most {} on its first day",
                newcomer.records,
                node.gate.newcomer_records()
            ),
        });
    }
    for (scid, blocked) in &blocked {
        let reason = blocked.reason.as_deref().unwrap_or("no reason was given");
        text.push_str(&format!(
            "\norganisation {scid} is blocked since {}: {reason}",
            day(blocked.since)
        ));
    }
    let newcomers = newcomers.iter().map(|(url, newcomer)| {
        json!({
            "url": url, "met": day(newcomer.met), "records": newcomer.records,
            "waits_to": newcomer.waits_to,
        })
    });
    let blocked = blocked.iter().map(|(scid, blocked)| {
        json!({"scid": scid.to_string(), "reason": blocked.reason, "since": day(blocked.since)})
    });
    Ok((text, newcomers.collect(), blocked.collect()))
}
