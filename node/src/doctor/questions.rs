//! The questions, one function each.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use protocol::id::{RecordId, Scid};
use protocol::sync::Cursor;
use protocol::time::Timestamp;

use super::Finding;
use crate::disk;
use crate::federation::peers::Peer;
use crate::node::{Node, NodeError};
use crate::standing::Why;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Since when a backup is old, and a silent peer worth a word.
const BACKUP_SECONDS_MAX: i64 = 7 * DAY;
const SILENCE_SECONDS_MAX: i64 = 2 * DAY;

/// Rows of the change log by which the index may be behind while it is busy.
const INDEX_BEHIND_MAX: u64 = 100_000;

/// Free bytes below which there is soon no room.
const FREE_BYTES_LOW: u64 = 1024 * 1024 * 1024;

/// A store that is smaller is not worth compacting, and how many times its content it may take up.
const LARGE_BYTES: u64 = 256 * 1024 * 1024;
const TIMES_CONTENT_MAX: u64 = 4;

/// Damaged records that are named one by one.
const NAMED_MAX: usize = 100;

pub(super) const WHY_EXPOSED: &str =
    "whoever has read the keys can publish in this node's name, and the node does not start again";

/// What others can tell: whether our clock is right, and who is silent.
pub(super) async fn of_peers(node: &Node) -> Result<Vec<Finding>, NodeError> {
    let peers = node.peers.all()?;
    let followed: Vec<&Peer> = peers.iter().filter(|peer| peer.is_read()).collect();
    let now = node.clock.now();
    let mut found: Vec<Finding> = followed
        .iter()
        .filter_map(|peer| silence(peer, now))
        .collect();
    let clocks = node.compare_clocks().await?;
    if let Some(ahead) = clocks.wrong_by() {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        found.push(Finding::serious(
            "clock",
            format!(
                "this machine's clock is {} s {side} those of most of {} peers",
                ahead.unsigned_abs(),
                clocks.answers()
            ),
            "others refuse what is dated ahead, and what is dated right is put aside here",
            "set the clock, for example: timedatectl set-ntp true",
        ));
    }
    Ok(found)
}

fn silence(peer: &Peer, now: Timestamp) -> Option<Finding> {
    let error = peer.last_error.as_deref()?;
    let since = match peer.last_heard() {
        Some(heard) if now.seconds_after(heard) < SILENCE_SECONDS_MAX => return None,
        Some(heard) => format!("since {heard}"),
        None => "ever".to_owned(),
    };
    Some(Finding::note(
        "peer-silent",
        format!("{} was not read {since}: {error}", peer.url),
        "what it publishes does not come here",
        format!(
            "baraza sync {0}; if it is gone: baraza unfollow {0}",
            peer.url
        ),
    ))
}

/// What the node's own folder tells; and the records that are damaged.
pub(super) fn of_node(
    node: &Node,
    progress: &dyn Fn(u64),
) -> Result<(Vec<Finding>, BTreeSet<RecordId>), NodeError> {
    let scan = node.store.scan(progress)?;
    let mut found = Vec::new();
    found.extend(standing(node)?);
    found.extend(exposed_keys(node));
    found.extend(keys_that_do_not_count(node)?);
    found.extend(scan.rotten.iter().take(NAMED_MAX).map(rotten));
    if scan.rotten.len() > NAMED_MAX {
        found.push(Finding::serious(
            "record-damaged",
            format!("{} more records are damaged", scan.rotten.len() - NAMED_MAX),
            WHY_ROTTEN,
            "baraza restore BACKUP --dir NEW-FOLDER: this disk cannot be trusted",
        ));
    }
    found.extend(room(node)?);
    found.extend(disputed(node)?);
    found.extend(twins(node)?);
    found.extend(index(node)?);
    found.extend(parked(node)?);
    found.extend(size(node, scan.bytes)?);
    found.extend(backup(node)?);
    found.extend(ending(node));
    Ok((found, scan.rotten))
}

fn standing(node: &Node) -> Result<Option<Finding>, NodeError> {
    Ok(node.standing.held()?.map(|held| {
        let (why, mend) = match held.why {
            Why::Clock { .. } => (
                "what is dated wrong would lie aside at all others, so nothing of this node's own is published",
                "set the clock, for example: timedatectl set-ntp true; then: baraza doctor",
            ),
            _ => (
                "nothing of this node's own is published, so that no version number is given twice",
                "baraza reconcile",
            ),
        };
        Finding::serious("publishing-held", held.to_string(), why, mend)
    }))
}

fn exposed_keys(node: &Node) -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(node.config.keys_folder()) else {
        return Vec::new();
    };
    let exposed = entries.flatten().filter(|entry| {
        let mode = entry.metadata().map(|about| about.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o077 != 0)
    });
    let finding = |entry: fs::DirEntry| {
        let path = entry.path();
        Finding::serious(
            "keys-exposed",
            format!("{} can be read by others on this machine", path.display()),
            WHY_EXPOSED,
            format!(
                "chmod 600 {}; if someone may have read it: baraza org rotate HANDLE --compromised",
                path.display()
            ),
        )
    };
    exposed.map(finding).collect()
}

fn keys_that_do_not_count(node: &Node) -> Result<Vec<Finding>, NodeError> {
    let mut found = Vec::new();
    for signer in node.keychain.signers()? {
        let author = node.store.author(signer.did.scid())?;
        let counts = author.is_some_and(|author| author.state.keys().counts(&signer.key.public()));
        if !counts {
            found.push(Finding::serious(
                "key-replaced",
                format!(
                    "the key of {} in this folder is not one that its log lists",
                    signer.handle
                ),
                "what is published with it is refused everywhere: the log went on without it, by another copy of the keys or a card",
                "use the newest copy of the keys, or recover with the newest card: baraza identity recover --code CARD --from NODE",
            ));
        }
    }
    Ok(found)
}

const WHY_ROTTEN: &str =
    "it is shown and handed out nowhere, and a disk that changes one changes others";

fn rotten(id: &RecordId) -> Finding {
    Finding::serious(
        "record-damaged",
        format!("the record {id} is not what was written"),
        WHY_ROTTEN,
        "baraza sync fetches it from a peer that has it; then look at the disk",
    )
}

fn room(node: &Node) -> Result<Option<Finding>, NodeError> {
    let free = disk::free_bytes(&node.config.folder).map_err(crate::store::StoreError::from)?;
    let data = disk::free_bytes(&node.config.store_folder()).unwrap_or(free);
    let free = free.min(data);
    let megabytes = free / (1024 * 1024);
    let what = format!("the disk has {megabytes} MB left");
    let mend = "make room on the disk, or move the node: baraza backup FILE, and baraza restore FILE on another";
    Ok(if free < crate::store::FREE_BYTES_MIN {
        Some(Finding::serious(
            "disk-full",
            what,
            "the node reads and does not write until there is room",
            mend,
        ))
    } else if free < FREE_BYTES_LOW {
        Some(Finding::note(
            "disk-low",
            what,
            "the store never shrinks by itself, and stops writing when there is no room",
            mend,
        ))
    } else {
        None
    })
}

fn disputed(node: &Node) -> Result<Vec<Finding>, NodeError> {
    let signers = node.keychain.signers()?;
    let own: BTreeSet<Scid> = signers.iter().map(|signer| *signer.did.scid()).collect();
    let mut found = Vec::new();
    for author in node.store.authors()? {
        if !author.is_disputed {
            continue;
        }
        let scid = author.state.scid();
        if own.contains(scid) {
            found.push(Finding::serious(
                "own-disputed",
                format!("the log of {scid}, whose keys are here, has two lines"),
                "somebody else has an update key of it, and others do not know which line is right",
                "baraza pin shows both; then rotate: baraza org rotate HANDLE --compromised",
            ));
        } else if !author.is_pinned {
            found.push(Finding::note(
                "disputed",
                format!("the log of {scid} has two lines"),
                "this node goes by the one that it met first, which may be the thief's",
                format!(
                    "baraza pin {scid} VERSION, once the organisation has said which is its own"
                ),
            ));
        }
    }
    Ok(found)
}

/// Whose keys signed two things under one number.
fn twins(node: &Node) -> Result<Vec<Finding>, NodeError> {
    let signers = node.keychain.signers()?;
    let own: BTreeSet<Scid> = signers.iter().map(|signer| *signer.did.scid()).collect();
    let mut found = Vec::new();
    for author in node.store.authors()? {
        let scid = author.state.scid();
        let Some(id) = node.store.records_with_twins(scid, 1)?.pop_first() else {
            continue;
        };
        let what = format!("two versions of {id} have one number and one key's signature");
        let look = format!("/api/v1/records/{id}/history has both, under “twins”");
        found.push(match own.contains(scid) {
            true => Finding::serious(
                "own-twins",
                what,
                "another copy of this node, or whoever else has the key, publishes under this name",
                format!("{look}; stop the other copy, or: baraza org rotate HANDLE --compromised"),
            ),
            false => Finding::note(
                "twins",
                what,
                "its author has two copies of its key at work, or says different things to different nodes",
                format!("{look}; ask the organisation"),
            ),
        });
        if found.len() >= NAMED_MAX {
            break;
        }
    }
    Ok(found)
}

fn index(node: &Node) -> Result<Option<Finding>, NodeError> {
    let last = node.store.last_change()?;
    let here = node.index.position().and_then(|text| Cursor::parse(&text));
    let position = here
        .filter(|cursor| cursor.epoch == node.store.epoch())
        .map_or(0, |cursor| cursor.number);
    let behind = last.saturating_sub(position);
    Ok((behind > INDEX_BEHIND_MAX).then(|| {
        Finding::note(
            "index-behind",
            format!("the search index is {behind} changes behind"),
            "what came lately is not found",
            "wait a little; if it stays so: baraza reindex",
        )
    }))
}

fn parked(node: &Node) -> Result<Option<Finding>, NodeError> {
    let parked = node.store.parked()?;
    Ok((parked > 0).then(|| {
        Finding::note(
            "parked",
            format!("{parked} records wait for their authors' logs, or for their date"),
            "they are not shown until then",
            "baraza sync",
        )
    }))
}

fn size(node: &Node, content: u64) -> Result<Option<Finding>, NodeError> {
    let size = node.store.size_on_disk()?;
    let is_large = size > LARGE_BYTES && size / TIMES_CONTENT_MAX > content;
    Ok(is_large.then(|| {
        let megabytes = |bytes: u64| bytes / (1024 * 1024);
        Finding::note(
            "store-large",
            format!(
                "the store takes {} MB for {} MB of content",
                megabytes(size),
                megabytes(content)
            ),
            "a node writes it anew when it has nothing to do for a minute and the disk has room for both",
            "make as much room on the disk as the store takes, then: baraza compact",
        )
    }))
}

fn backup(node: &Node) -> Result<Option<Finding>, NodeError> {
    let last = crate::backup::last(&node.store)?;
    let what = match last {
        Some(at) if node.clock.now().seconds_after(at) <= BACKUP_SECONDS_MAX => return Ok(None),
        Some(at) => format!("the last backup is of {at}"),
        None => "there was never a backup".to_owned(),
    };
    Ok(Some(Finding::note(
        "backup-old",
        what,
        "what was published since is lost with the disk, and so are the keys that were made since",
        "baraza backup FILE, and keep the file on another machine",
    )))
}

fn ending(node: &Node) -> Option<Finding> {
    (!node.store.was_ended()).then(|| {
        Finding::note(
            "killed",
            "the node was not stopped in order the last time".to_owned(),
            "what it had acknowledged is here; if nobody killed it, the machine has a fault",
            "look at the system's log",
        )
    })
}
