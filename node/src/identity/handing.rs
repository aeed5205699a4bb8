//! Handing a log and prepared changes to nodes, and learning from them what a folder lacks.

use protocol::envelope::Envelope;
use protocol::id::Scid;
use protocol::identity::LogEntry;
use protocol::record::{Checkpoint, Draft};
use protocol::time::Timestamp;

use super::folder::{Folder, HANDLE, checkpoint, sign_as, tree_of};
use super::remote::{Handed, Remote, RemoteError, Seen};
use super::{IdentityError, refused};
use crate::keychain::Changed;
use crate::restore::{self, Told};

/// Publishes a prepared entry with its records. Records go first: a node keeps them aside until the log
/// lists their key, and shows all of them in the moment in which it takes the entry. What it had no room
/// to keep aside, or could not take before it knew the author, follows.
pub(super) async fn publish(
    folder: &Folder,
    remote: &Remote,
    changed: &Changed,
    records: &[Envelope],
    invitation: Option<&str>,
    now: Timestamp,
) -> Result<Handed, IdentityError> {
    let known = seen_at(folder, remote, now).await?;
    let lines: Vec<Vec<u8>> = records
        .iter()
        .map(|record| record.canonical().to_vec())
        .collect();
    let first = match &known {
        Some(_) => remote.hand_records(lines).await?,
        None => Handed {
            left: lines,
            ..Handed::default()
        },
    };
    let mut lacking = lacking(folder, remote, Some(changed), now).await?;
    if lacking.is_empty() {
        lacking.push(changed.entry.to_canonical_bytes());
    }
    let taken = remote
        .hand_log(folder.state().scid(), &lacking, invitation)
        .await;
    match taken {
        Err(error) if error.is_certain() && !changed.is_resumed => {
            return Err(give_up(folder, error, changed)?);
        }
        taken => taken?,
    };
    let mut handed = remote.hand_records(first.left).await?;
    handed.taken += first.taken;
    handed.held += first.held;
    Ok(handed)
}

/// Forgets a change that the first node it was offered to has certainly not taken.
fn give_up(
    folder: &Folder,
    error: RemoteError,
    changed: &Changed,
) -> Result<IdentityError, IdentityError> {
    // A recovery was taken by another node before.
    if changed.card.is_some() {
        return Ok(error.into());
    }
    folder.keychain().abandon(HANDLE)?;
    Ok(refused(format!(
        "{error}\nNothing was changed; it can be tried again."
    )))
}

/// Hands a node what it lacks of the folder's log; gives how many entries. At least the newest is handed in: who
/// lives there is let in by that, and the node may have the log from elsewhere.
pub(super) async fn hand_log(
    folder: &Folder,
    remote: &Remote,
    invitation: Option<&str>,
    now: Timestamp,
) -> Result<usize, IdentityError> {
    let mut entries = lacking(folder, remote, None, now).await?;
    let lacking = entries.len();
    if entries.is_empty() {
        entries.extend(folder.log().last().cloned());
    }
    remote
        .hand_log(folder.state().scid(), &entries, invitation)
        .await?;
    Ok(lacking)
}

/// The entries that a node lacks of the folder's log, and of the one that was prepared.
pub(super) async fn lacking(
    folder: &Folder,
    remote: &Remote,
    changed: Option<&Changed>,
    now: Timestamp,
) -> Result<Vec<Vec<u8>>, IdentityError> {
    let known = seen_at(folder, remote, now).await?;
    let known = known.map_or(0, |seen| seen.entries.len());
    let prepared = changed.map(|changed| changed.entry.to_canonical_bytes());
    let log = folder.log().iter().cloned().chain(prepared);
    Ok(log.skip(known).collect())
}

/// The log as a node has it, which must be the folder's or the beginning of it; `None` if the node has
/// nothing of it.
pub(super) async fn seen_at(
    folder: &Folder,
    remote: &Remote,
    now: Timestamp,
) -> Result<Option<Seen>, IdentityError> {
    let Some(seen) = remote.log(folder.state().scid(), now).await? else {
        return Ok(None);
    };
    let ours: Vec<&[u8]> = folder.log().iter().map(Vec::as_slice).collect();
    let same = |entry: &LogEntry, line: &&[u8]| {
        LogEntry::parse(line).is_ok_and(|ours| ours.version_id() == entry.version_id())
    };
    if seen
        .entries
        .iter()
        .zip(&ours)
        .all(|(entry, line)| same(entry, line))
    {
        if seen.entries.len() <= ours.len() || is_own_pending(folder, &seen)? {
            return Ok(Some(seen));
        }
        return Err(refused(format!(
            "the log at {} has {} entries, this folder {}: it was extended elsewhere. If that was you, with another copy of this folder, use the newest copy. If not, somebody has your keys: recover with the printed card.",
            remote.address(),
            seen.entries.len(),
            ours.len()
        )));
    }
    Err(refused(format!(
        "the log at {} is another line than the one in this folder: somebody else has an update key. Ask the node's operator to pin {}, or recover with the printed card.",
        remote.address(),
        folder.state().version_id()
    )))
}

/// Whether the one entry that a node has beyond ours is the one that we prepared.
fn is_own_pending(folder: &Folder, seen: &Seen) -> Result<bool, IdentityError> {
    let is_next = seen.entries.len() == folder.log().len() + 1;
    let pending = folder.keychain().pending_entry(HANDLE)?;
    Ok(is_next && pending.is_some_and(|entry| entry.version_id() == seen.state.version_id()))
}

/// The log of an identity at a node that must have it.
pub(super) async fn carried(
    remote: &Remote,
    scid: &Scid,
    now: Timestamp,
) -> Result<Seen, IdentityError> {
    remote.log(scid, now).await?.ok_or_else(|| {
        refused(format!(
            "{} carries nothing of {scid}: name another node, such as one where a search finds your records",
            remote.address()
        ))
    })
}

/// Learns from a node what the folder lacks of its own log and records.
pub(super) async fn catch_up(
    folder: &mut Folder,
    from: &Remote,
    now: Timestamp,
) -> Result<(), IdentityError> {
    let seen = carried(from, folder.state().scid(), now).await?;
    let is_longer = seen.entries.len() > folder.log().len();
    if is_longer && !is_own_pending(folder, &seen)? {
        let begins_as_ours = seen.entries.iter().zip(folder.log()).all(|(entry, line)| {
            LogEntry::parse(line).is_ok_and(|ours| ours.version_id() == entry.version_id())
        });
        if !begins_as_ours {
            return Err(refused(format!(
                "the log at {} is another line than the one in this folder",
                from.address()
            )));
        }
        folder.extend(&seen.entries, seen.state)?;
    }
    let records = counting_at(folder, from).await?;
    Ok(folder.take_in(records, now)?)
}

/// The versions that count of the identity's records, as a node has them.
pub(super) async fn counting_at(
    folder: &Folder,
    from: &Remote,
) -> Result<Vec<Envelope>, IdentityError> {
    let keys = folder.state().keys();
    let told = from
        .history(folder.state().scid())
        .await?
        .into_iter()
        .map(|told| Told {
            counts: keys.counts(&told.key),
            id: told.id,
            seq: told.seq,
            hash: told.hash,
            received: told.received,
        });
    let chosen = restore::choose(told, None);
    let hashes: Vec<_> = chosen.values().map(|told| told.hash).collect();
    Ok(from.fetch(&hashes, keys).await?)
}

/// Records signed anew under the key of a new log entry, tombstones included, each with a higher number, and last
/// a checkpoint that counts them.
pub(super) fn sign_anew(
    Changed { signer, entry, .. }: &Changed,
    records: &[Envelope],
    jump: u64,
    now: Timestamp,
) -> Result<Vec<Envelope>, IdentityError> {
    let mut signed = Vec::with_capacity(records.len() + 1);
    let mut former = None;
    for record in records {
        let header = record.header();
        if header.local.as_str() == Checkpoint::LOCAL_ID {
            former = Some(record);
            continue;
        }
        let draft = Draft::unchecked(&tree_of(record), &header.licence).map_err(refused)?;
        signed.push(sign_as(
            signer,
            &draft,
            restore::number_after(header.seq, jump),
            now,
        )?);
    }
    let all = signed.iter().chain(former);
    let counted = checkpoint(signer, &entry.version_id(), all, jump, now)?;
    signed.extend(counted);
    Ok(signed)
}

/// How many of these records say something themselves: a checkpoint only counts the others.
pub(super) fn count<'r>(records: impl IntoIterator<Item = &'r Envelope>) -> usize {
    let is_counted = |record: &&Envelope| record.header().local.as_str() != Checkpoint::LOCAL_ID;
    records.into_iter().filter(is_counted).count()
}

/// The records that an earlier run prepared for this entry, or those made now.
pub(super) fn prepared_or(
    folder: &Folder,
    changed: &Changed,
    make: impl FnOnce() -> Result<Vec<Envelope>, IdentityError>,
) -> Result<Vec<Envelope>, IdentityError> {
    if let Some(records) = folder.prepared(&changed.entry)? {
        return Ok(records);
    }
    let records = make()?;
    folder.prepare_records(&changed.entry, &records)?;
    Ok(records)
}

pub(super) fn tell_refusals(text: &mut String, handed: &Handed) {
    for refusal in &handed.refused {
        text.push_str(&format!("\n  not taken: {refusal}"));
    }
}
