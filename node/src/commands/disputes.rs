//! Key logs with more than one line: shown to the operator, and pinned by nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::id::Scid;
use protocol::identity::{LogEntry, VersionId};
use serde_json::json;

use super::{Done, refused};
use crate::audit::{self, Act, Decision};
use crate::node::{Node, NodeError};
use crate::place::log_address;
use crate::store::{NamedRows, StoreError};

/// The authors whose logs are disputed, with the entries that part.
pub(super) fn list(node: &Node) -> Result<Done, NodeError> {
    let mut text = String::new();
    let mut items = Vec::new();
    for author in node.catalogue.authors()? {
        if !author.author.is_disputed {
            continue;
        }
        let scid = *author.scid();
        let language = &node.config.settings.language;
        let chosen = match author.author.is_pinned {
            true => "pinned here",
            false => "nobody has chosen here; this node goes by the line that it met first",
        };
        text.push_str(&format!(
            "{}  ({scid})\n  {chosen}\n",
            author.name(&[language])
        ));
        let mut entries = Vec::new();
        for (version, entry, is_gone_by) in parted(node, &scid)? {
            let mark = if is_gone_by {
                "goes by it"
            } else {
                "beside it"
            };
            text.push_str(&format!(
                "  {version}  {mark}  of {}, at {}\n",
                entry.version_time(),
                log_address(entry.did())
            ));
            entries.push(json!({
                "version": version.to_string(), "goesBy": is_gone_by,
                "time": entry.version_time().to_string(), "servedAt": log_address(entry.did()),
            }));
        }
        items.push(json!({"scid": scid.to_string(), "pinned": author.author.is_pinned, "entries": entries}));
    }
    if items.is_empty() {
        text.push_str("No key log is disputed.");
    } else {
        text.push_str("Somebody else has a key of these authors. Ask each organisation, by a way that you trust, which entry is its own; then: baraza pin SCID VERSION");
    }
    Ok(Done::new(
        text,
        json!({"total": items.len(), "items": items}),
    ))
}

/// The entries of a log that share their number with another.
fn parted(node: &Node, scid: &Scid) -> Result<Vec<(VersionId, LogEntry, bool)>, NodeError> {
    let read = |line: &Vec<u8>| {
        LogEntry::parse(line).map_err(|_| StoreError::Corrupt {
            detail: "a log entry that does not read".to_owned(),
        })
    };
    let active: Vec<VersionId> = node
        .store
        .active_log_of(scid)?
        .iter()
        .map(|line| Ok(read(line)?.version_id()))
        .collect::<Result<_, StoreError>>()?;
    let mut by_number: BTreeMap<u32, Vec<LogEntry>> = BTreeMap::new();
    for line in node.store.log_of(scid)? {
        let entry = read(&line)?;
        by_number
            .entry(entry.version_id().number)
            .or_default()
            .push(entry);
    }
    Ok(by_number
        .into_values()
        .filter(|entries| entries.len() > 1)
        .flatten()
        .map(|entry| {
            (
                entry.version_id(),
                active.contains(&entry.version_id()),
                entry,
            )
        })
        .map(|(version, is_gone_by, entry)| (version, entry, is_gone_by))
        .collect())
}

/// Goes by the line through an entry from now on.
pub(super) async fn pin(node: &Arc<Node>, scid: &str, version: &str) -> Result<Done, NodeError> {
    let scid = Scid::parse(scid).map_err(refused)?;
    let version = VersionId::parse(version).map_err(refused)?;
    let Some(author) = node.store.author(&scid)? else {
        return Err(refused(format!("this node carries nothing of {scid}")));
    };
    if !author.is_disputed {
        return Err(refused(format!(
            "the log of {scid} has one line only: there is nothing to choose"
        )));
    }
    let before = author.state.version_id();
    let now = node.clock.now();
    let decision = Decision {
        time: now,
        act: Act::Pin,
        subject: scid.to_string(),
        reason: Some(format!("by the line through {version}")),
    };
    let written = move |rows: &mut NamedRows<'_, '_>| audit::append(rows, &decision);
    if !node.store.pin(scid, version, now, written).await? {
        return Err(refused(format!(
            "no entry {version} of {scid} is held here: `baraza pin` lists those that are"
        )));
    }
    let now = node
        .store
        .author(&scid)?
        .map_or(before, |author| author.state.version_id());
    // What the other line's keys signed was let go of or never taken: peers are read anew for it.
    let read_anew = match now == before {
        true => Vec::new(),
        false => super::read_peers_anew(node).await?,
    };
    let text = format!(
        "This node goes by the line through {version} from now on; the newest entry on it is {now}.\n\
         The author stays marked as disputed, here and elsewhere, and other nodes choose for themselves.\n\
         {} peers are read anew for records that the other line had kept out.",
        read_anew.len(),
    );
    Ok(Done::new(
        text,
        json!({"scid": scid.to_string(), "version": version.to_string(), "goesBy": now.to_string(), "readAnew": read_anew}),
    ))
}
