//! Asking others what this node published and no longer knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::id::Scid;
use serde_json::json;

use super::{Done, refused};
use crate::federation::peers::node_address;
use crate::federation::site::is_site;
use crate::node::{Node, NodeError};
use crate::standing::{Settled, Why};

/// Asks a node, or those that this one follows. It may publish again once each author whose keys are here
/// was told of by somebody who has its log.
pub(super) async fn run(
    node: &Arc<Node>,
    url: Option<&str>,
    is_alone: bool,
) -> Result<Done, NodeError> {
    let held = node.standing.held()?;
    if let Some(held) = &held
        && matches!(held.why, Why::Clock { .. })
    {
        return Err(refused(held.to_string()));
    }
    if held.is_none() {
        return Ok(Done::new(
            "this node may publish: there is nothing to reconcile",
            json!({"publishes": true, "asked": []}),
        ));
    }
    if is_alone {
        node.standing.settle(Settled::Alone).await?;
        return Ok(Done::new(
            "this node publishes again; every record's next version is numbered by the clock, above any that was lost",
            json!({"publishes": true, "asked": []}),
        ));
    }
    let urls = match url {
        Some(url) => vec![node_address(url).map_err(refused)?],
        None => followed(node)?,
    };
    let tried = try_with(node, &urls).await?;
    let mut text = tried.text;
    if tried.unknown.is_empty() {
        text.push("this node publishes again".to_owned());
    } else {
        let unknown: Vec<String> = tried.unknown.iter().map(Scid::to_string).collect();
        text.push(format!(
            "Nobody who was asked has the log of {}: this node still publishes nothing. Ask a node that follows this one by `baraza reconcile URL`; if there is none, `baraza reconcile --alone`",
            unknown.join(", ")
        ));
    }
    Ok(Done {
        text: text.join("\n"),
        json: json!({"publishes": tried.unknown.is_empty(), "asked": tried.asked}),
        is_complete: tried.unknown.is_empty(),
    })
}

/// The nodes that this one follows.
pub(crate) fn followed(node: &Node) -> Result<Vec<String>, NodeError> {
    let peers = node.peers.all()?.into_iter();
    let followed = peers.filter(|peer| peer.is_read() && !is_site(&peer.url));
    Ok(followed.map(|peer| peer.url).collect())
}

/// What came of asking.
pub(crate) struct Tried {
    /// Authors of whom nobody told.
    pub(crate) unknown: BTreeSet<Scid>,
    asked: Vec<serde_json::Value>,
    text: Vec<String>,
}

/// Asks these nodes; if all authors are told of, this node publishes again.
pub(crate) async fn try_with(node: &Node, urls: &[String]) -> Result<Tried, NodeError> {
    let signers = node.keychain.signers()?;
    let own: Vec<Scid> = signers.iter().map(|signer| *signer.did.scid()).collect();
    let mut tried = Tried {
        unknown: own.iter().copied().collect(),
        asked: Vec::new(),
        text: Vec::new(),
    };
    let mut told = Vec::new();
    for url in urls {
        match node.puller.read_authors(url, &own).await {
            Ok((known, pulled)) => {
                tried.unknown.retain(|scid| !known.contains(scid));
                tried.text.push(format!(
                    "{url}: has {} of {} authors; {} records of theirs were not here",
                    known.len(),
                    own.len(),
                    pulled.stored
                ));
                tried
                    .asked
                    .push(json!({"url": url, "authors": known.len(), "stored": pulled.stored}));
                told.push(url.clone());
            }
            Err(error) => {
                tried.text.push(format!("{url}: {error}"));
                tried
                    .asked
                    .push(json!({"url": url, "error": error.to_string()}));
            }
        }
    }
    // A rotation that was lost with the old disk is taken up with its keys, where they are here.
    for signer in &signers {
        if let Some(author) = node.store.author(signer.did.scid())? {
            node.keychain.settle(&signer.handle, &author.state)?;
        }
    }
    if tried.unknown.is_empty() {
        node.standing.settle(Settled::Peers(told)).await?;
    }
    Ok(tried)
}
