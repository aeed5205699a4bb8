//! The whole folder anew, from a recovery card and what any node carries.

use std::path::Path;

use protocol::identity::{LogEntry, LogState};
use protocol::limits::SEQ_JUMP;
use protocol::record::Checkpoint;
use protocol::time::Timestamp;
use serde_json::json;

use super::folder::{About, Folder, HANDLE};
use super::handing::{carried, count, lacking, publish, sign_anew, tell_refusals};
use super::remote::{Remote, Seen};
use super::{IdentityError, local_of, refused, show_card};
use crate::clock::SharedClock;
use crate::commands::Done;
use crate::keychain::card::Card;
use crate::keychain::{KeychainError, Renewal, Signing, Step};
use crate::place::Home;
use crate::restore::{self, Told};

/// A recovery, as it was asked for.
pub(super) struct Recovery {
    pub(super) card: Card,
    pub(super) from: String,
    pub(super) as_of: Option<Timestamp>,
    pub(super) to: Option<Home>,
    pub(super) invitation: Option<String>,
}

/// What is typed, by which a recovery that is not finished is known again.
const COMMAND: &str = "baraza identity recover";

/// The whole folder anew, from a card and what any node carries.
pub(super) async fn recover(
    path: &Path,
    wanted: Recovery,
    clock: &SharedClock,
) -> Result<Done, IdentityError> {
    let scid = wanted.card.scid;
    let from = Remote::at(&wanted.from)?;
    // Records that were prepared for one moment are not published as those of another.
    let name = match wanted.as_of {
        None => COMMAND.to_owned(),
        Some(moment) => format!("{COMMAND} --as-of {moment}"),
    };
    let mut is_disputed = false;
    let mut folder = if Folder::is_in(path) {
        let folder = Folder::open(path, clock.now())?;
        let unfinished = folder.unfinished()?;
        let is_begun = unfinished.is_some_and(|step| step.starts_with(COMMAND))
            || folder.keychain().signer(HANDLE).is_err();
        if *folder.state().scid() != scid || !is_begun {
            return Err(refused(format!(
                "{} holds an identity with its keys: if somebody else may have them, run baraza identity rotate --compromised there; to recover, name a new folder with --dir",
                path.display()
            )));
        }
        folder
    } else {
        let seen = carried(&from, &scid, clock.now()).await?;
        let seen = longer_at_home(seen, &from, &wanted.card, clock.now()).await;
        is_disputed = seen.is_disputed;
        check_card(&wanted.card, &seen.state)?;
        let log: Vec<Vec<u8>> = seen
            .entries
            .iter()
            .map(LogEntry::to_canonical_bytes)
            .collect();
        let about = About {
            name: seen
                .state
                .did()
                .handle()
                .unwrap_or(seen.state.did().host())
                .to_owned(),
            language: "en".to_owned(),
            licence: "CC-BY-4.0".to_owned(),
        };
        Folder::adopt(path, about, &log, clock.now())?
    };
    let former = folder.state().did().to_string();
    let home = wanted
        .to
        .clone()
        .unwrap_or_else(|| Home::of(folder.state().did()));
    let step = Step {
        name,
        place: home.place.clone(),
        renewal: Renewal::Everything,
        signing: Signing::Card(wanted.card.key),
    };
    let changed = folder.prepare(step, clock.now())?;
    let mut missing = Vec::new();
    let records = match folder.prepared(&changed.entry)? {
        Some(records) => records,
        None => {
            // Which versions: before the entry drops the old key, and by what the log said until now.
            let keys = folder.state().keys();
            let told = from.history(&scid).await?.into_iter().map(|told| Told {
                counts: keys.counts(&told.key),
                id: told.id,
                seq: told.seq,
                hash: told.hash,
                received: told.received,
            });
            let mut chosen = restore::choose(told, wanted.as_of);
            chosen.retain(|id, _| id.local.as_str() != Checkpoint::LOCAL_ID);
            // A node hands out what a thief overwrote or withdrew once his key is dropped.
            let lacking = lacking(&folder, &from, Some(&changed), clock.now()).await?;
            match from.hand_log(&scid, &lacking, None).await {
                Err(error) if error.is_certain() && !changed.is_resumed => {
                    folder.keychain().abandon(HANDLE)?;
                    return Err(error.into());
                }
                handed => handed?,
            };
            let hashes: Vec<_> = chosen.values().map(|told| told.hash).collect();
            let bodies = from.fetch(&hashes, keys).await?;
            missing = chosen
                .values()
                .filter(|told| bodies.iter().all(|body| body.hash() != told.hash))
                .map(|told| local_of(&told.id).to_owned())
                .collect();
            folder.describe(&bodies)?;
            let records = sign_anew(&changed, &bodies, SEQ_JUMP, clock.now())?;
            folder.prepare_records(&changed.entry, &records)?;
            records
        }
    };
    let mut notes = String::new();
    let handed = publish(&folder, &from, &changed, &records, None, clock.now()).await?;
    let mut at_home = None;
    if home.handle.is_some() && home.node != from.address() {
        let hub = Remote::at(&home.node)?;
        let invitation = wanted.invitation.as_deref();
        match publish(&folder, &hub, &changed, &records, invitation, clock.now()).await {
            Ok(handed) => at_home = Some(handed),
            // The old home may be gone; a new one that was asked for must be reached.
            Err(error) if wanted.to.is_none() => notes.push_str(&format!(
                "\nIts home {} was not reached ({error}). If it is gone for good: baraza identity move --to NEW-ADDRESS",
                home.node
            )),
            Err(error) => {
                return Err(refused(format!(
                    "{error}\n{} has the new log entry and records already. Run the same command again to go on, with --invitation if that is what is missing; or without --to, and move later.",
                    from.address()
                )));
            }
        }
    }
    // Shown before the old state is let go of, so that no crash loses it.
    if let Some(card) = &changed.card {
        show_card(card, &folder)?;
    }
    folder.finish(&changed.entry, clock.now())?;
    let did = folder.state().did().to_string();
    let mut text = format!(
        "The identity is yours again, with new keys in {}.\n  identifier  {did}\n",
        path.display()
    );
    if did != former {
        text.push_str(&format!("  formerly    {former}\n"));
    }
    text.push_str(&format!(
        "Its log has version {}. {} records were fetched from {} and signed anew{}. Whatever the old keys signed no longer counts anywhere.\n",
        changed.entry.version_id().number,
        count(&records),
        from.address(),
        wanted.as_of.map_or_else(String::new, |moment| format!(", as they stood at {moment}")),
    ));
    text.push_str("The old card, the old escrow file and the old keys are worthless now: keep the new card above, and give the new escrow file keys/identity.escrow to someone you trust.\n");
    text.push_str(&format!("{} shows them again", from.address()));
    if let Some(handed) = &at_home {
        text.push_str(&format!(
            ", and {} has {} of {}",
            home.node,
            handed.taken + handed.held,
            handed.total()
        ));
    }
    text.push_str(". Other peers follow by themselves.");
    if wanted.as_of.is_none() {
        text.push_str("\nThis is what stood last. If somebody else published in your name before, give --as-of TIME with the last moment at which all was well, on a new recovery with the new card.");
    }
    if !missing.is_empty() {
        text.push_str(&format!(
            "\n{} did not have these any more, so they are not published: {}. Publish them again from your drafts.",
            from.address(), missing.join(", ")
        ));
    }
    if is_disputed {
        text.push_str(&format!("\n{} holds more than one line of this log: somebody else has extended it, and the identity is shown as disputed. Ask operators to pin {}.", from.address(), changed.entry.version_id()));
    }
    text.push_str(&notes);
    tell_refusals(&mut text, &handed);
    let at_home = at_home.unwrap_or_default();
    tell_refusals(&mut text, &at_home);
    let is_complete = missing.is_empty() && handed.refused.is_empty() && at_home.refused.is_empty();
    Ok(Done {
        text,
        json: json!({
            "did": did, "scid": scid.to_string(), "formerly": former,
            "logVersion": changed.entry.version_id().to_string(), "records": count(&records),
            "missing": missing, "disputed": is_disputed,
            "refused": handed.refused.iter().chain(&at_home.refused).collect::<Vec<_>>(),
            "recoveryCode": changed.card.as_ref().map(Card::to_string),
        }),
        is_complete,
    })
}

/// The log as its own home has it, where that answers and goes further: a node that lags behind would
/// lead to a fork.
async fn longer_at_home(seen: Seen, from: &Remote, card: &Card, now: Timestamp) -> Seen {
    let home = Home::of(seen.state.did());
    if home.handle.is_none() || home.node == from.address() {
        return seen;
    }
    let Ok(remote) = Remote::at(&home.node) else {
        return seen;
    };
    match remote.log(seen.state.scid(), now).await {
        Ok(Some(at_home)) => {
            let is_longer = at_home.entries.len() > seen.entries.len();
            let begins_alike = at_home
                .entries
                .iter()
                .zip(&seen.entries)
                .all(|(one, other)| one.version_id() == other.version_id());
            let is_committed = at_home.state.next_key_hashes().contains(&card.hash());
            match (is_longer, begins_alike && is_committed) {
                (true, true) => at_home,
                // Extended without the card, by somebody else: what is signed now will be another line.
                (true, false) => Seen {
                    is_disputed: true,
                    ..seen
                },
                (false, _) => seen,
            }
        }
        // It may be gone: that is what recovering is for.
        Ok(None) | Err(_) => seen,
    }
}

fn check_card(card: &Card, state: &LogState) -> Result<(), IdentityError> {
    if state.is_deactivated() {
        return Err(refused(
            "this identity was closed for good: nobody can sign for it any more",
        ));
    }
    if state.next_key_hashes().contains(&card.hash()) {
        return Ok(());
    }
    Err(KeychainError::stale_card().into())
}
