//! Changes of an identity that is kept without a node: new keys, a new home, everything from a card.
//!
//! Each is prepared whole in the folder, then published, then put in force. If anything breaks in
//! between, the same command goes on with the very same entry and records.

use std::fs;
use std::path::Path;

use protocol::envelope::Envelope;
use protocol::id::EntryHash;
use protocol::identity::write::Place;
use protocol::identity::{LogEntry, LogState};
use protocol::limits::SEQ_JUMP;
use protocol::record::{Checkpoint, Draft};
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::folder::{About, Folder, HANDLE, sign_as, tree_of};
use super::remote::{Handed, Remote, RemoteError, Seen};
use super::{IdentityError, local_of, refused};
use crate::clock::SharedClock;
use crate::commands::Done;
use crate::keychain::card::Card;
use crate::keychain::{Changed, KeychainError, Renewal, Signer, Signing, Step};
use crate::place::{Home, log_address};
use crate::restore::{self, Told};

/// A move, as it was asked for.
pub(super) struct Move {
    pub(super) to: Home,
    pub(super) from: Option<String>,
    pub(super) invitation: Option<String>,
    pub(super) update_key: Option<String>,
}

/// A recovery, as it was asked for.
pub(super) struct Recovery {
    pub(super) card: Card,
    pub(super) from: String,
    pub(super) as_of: Option<Timestamp>,
    pub(super) to: Option<Home>,
    pub(super) invitation: Option<String>,
}

/// A new record key; every record is signed anew under it.
pub(super) async fn rotate(
    mut folder: Folder,
    is_compromised: bool,
    update_key: Option<String>,
    clock: &SharedClock,
) -> Result<Done, IdentityError> {
    let name = match is_compromised {
        true => "baraza identity rotate --compromised",
        false => "baraza identity rotate",
    };
    let home = Home::of(folder.state().did());
    let hub = match home.handle {
        Some(_) => Some(Remote::at(&home.node)?),
        None => None,
    };
    // Seen before anything is prepared: an entry beside one that others hold would be a fork.
    let seen = match &hub {
        Some(hub) => seen_at(&folder, hub, clock.now()).await.map_err(|error| {
            refused(format!("{error}\nNothing was changed. If that hub is gone for good: baraza identity move --to NEW-ADDRESS"))
        })?,
        None => None,
    };
    let step = Step {
        name: name.to_owned(),
        place: home.place.clone(),
        renewal: match is_compromised {
            true => Renewal::Folder,
            false => Renewal::RecordKey,
        },
        signing: signing(update_key)?,
    };
    let changed = folder.prepare(step, clock.now())?;
    let jump = match is_compromised {
        true => SEQ_JUMP,
        false => 1,
    };
    let own: Vec<Envelope> = folder.records().values().cloned().collect();
    let records = prepared_or(&folder, &changed, || {
        sign_anew(&changed.signer, &own, jump, clock.now())
    })?;
    let mut handed = Handed::default();
    if let (Some(hub), Some(_)) = (&hub, &seen) {
        handed = publish(&folder, hub, &changed, &records, None, clock.now()).await?;
    }
    let escrow_is_new = is_compromised && folder.escrow_file().is_some();
    folder.finish(&changed.entry, clock.now())?;
    let whereto = match (&hub, &seen) {
        (Some(hub), Some(_)) => format!(
            "{} has the new log entry and {} of {} records. Peers follow by themselves, and what the old key signed no longer counts anywhere, whoever signed it.",
            hub.address(),
            handed.taken + handed.held,
            handed.total(),
        ),
        (Some(hub), None) => format!(
            "{} has nothing of this identity yet; push when you like.",
            hub.address()
        ),
        (None, _) => format!(
            "Upload did.jsonl and records.ndjson now, together: whoever follows {} sees the old key's records until then.",
            log_address(folder.state().did())
        ),
    };
    let mut text = format!(
        "This identity signs with a new key from now on. Its log has version {}, and {} records were signed anew.\n{whereto}",
        changed.entry.version_id().number,
        records.len(),
    );
    if is_compromised {
        text.push_str("\nWhoever read the folder also has the old update key. It is worth nothing once peers have this entry; were another entry to reach them first, they would show the identity as disputed.");
    }
    if escrow_is_new {
        text.push_str("\nThe escrow file in the folder was read too, so it is a new one: give it to someone you trust. Your printed card stays good.");
    }
    tell_refusals(&mut text, &handed);
    Ok(Done {
        text,
        json: json!({
            "logVersion": changed.entry.version_id().to_string(), "signed": records.len(),
            "taken": handed.taken + handed.held, "refused": handed.refused,
        }),
        is_complete: handed.refused.is_empty(),
    })
}

/// Another home. Keys and records stay as they are.
pub(super) async fn move_to(
    mut folder: Folder,
    wanted: Move,
    clock: &SharedClock,
) -> Result<Done, IdentityError> {
    let former = folder.state().did().to_string();
    let old_home = Home::of(folder.state().did());
    if old_home.place == wanted.to.place && folder.unfinished()?.is_none() {
        return Err(refused(
            "the identity is at home there already: push sends what is missing",
        ));
    }
    if let Some(from) = &wanted.from {
        catch_up(&mut folder, &Remote::at(from)?, clock.now()).await?;
    }
    let step = Step {
        name: format!("baraza identity move --to {}", place_text(&wanted.to)),
        place: wanted.to.place.clone(),
        renewal: Renewal::Nothing,
        signing: signing(wanted.update_key)?,
    };
    let changed = folder.prepare(step, clock.now())?;
    let records: Vec<Envelope> = folder.records().values().cloned().collect();
    let mut handed = Handed::default();
    if wanted.to.handle.is_some() {
        let hub = Remote::at(&wanted.to.node)?;
        let invitation = wanted.invitation.as_deref();
        handed = publish(&folder, &hub, &changed, &records, invitation, clock.now()).await?;
    }
    folder.finish(&changed.entry, clock.now())?;
    // The others are told as a courtesy: they learn of it from peers anyway.
    let mut told = Vec::new();
    let others = [
        old_home.handle.is_some().then_some(old_home.node),
        wanted.from,
    ];
    for other in others
        .into_iter()
        .flatten()
        .filter(|other| *other != wanted.to.node)
    {
        let hears = async { hand_log(&folder, &Remote::at(&other)?, None, clock.now()).await };
        if hears.await.is_ok() {
            told.push(other);
        }
    }
    let did = folder.state().did().to_string();
    let mut text = format!(
        "The identity is the same, and at home at {} from now on.\n  identifier  {did}\n  formerly    {former}\n",
        wanted.to.node
    );
    text.push_str(&match wanted.to.handle {
        Some(_) => format!(
            "{} of {} records are there. ",
            handed.taken + handed.held,
            handed.total()
        ),
        None => format!(
            "Upload did.jsonl and records.ndjson of the folder, so that {} serves the log. ",
            log_address(folder.state().did())
        ),
    });
    text.push_str("Whoever carries your records keeps them: peers see the new address once the log reaches them. The old home can neither prevent nor undo it.");
    if !told.is_empty() {
        text.push_str(&format!("\nTold already: {}.", told.join(", ")));
    }
    tell_refusals(&mut text, &handed);
    Ok(Done {
        text,
        json: json!({
            "did": did, "formerly": former, "records": handed.taken + handed.held, "told": told,
            "refused": handed.refused,
        }),
        is_complete: handed.refused.is_empty(),
    })
}

/// The whole folder anew, from a card and what any node carries.
pub(super) async fn recover(
    path: &Path,
    wanted: Recovery,
    clock: &SharedClock,
) -> Result<Done, IdentityError> {
    let scid = wanted.card.scid;
    let from = Remote::at(&wanted.from)?;
    let name = "baraza identity recover";
    let mut is_disputed = false;
    let mut folder = if Folder::is_in(path) {
        let folder = Folder::open(path, clock.now())?;
        let is_begun = folder.unfinished()?.as_deref() == Some(name)
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
        name: name.to_owned(),
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
            let entry = changed.entry.to_canonical_bytes();
            match from.hand_log(&scid, &[entry], None).await {
                Err(error) if error.is_certain() && !changed.is_resumed => {
                    folder.keychain().abandon(HANDLE)?;
                    return Err(error.into());
                }
                handed => handed?,
            };
            let hashes: Vec<_> = chosen.values().map(|told| told.hash).collect();
            let bodies = from.fetch(&hashes).await?;
            missing = chosen
                .values()
                .filter(|told| bodies.iter().all(|body| body.hash() != told.hash))
                .map(|told| local_of(&told.id).to_owned())
                .collect();
            folder.describe(&bodies)?;
            let records = sign_anew(&changed.signer, &bodies, SEQ_JUMP, clock.now())?;
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
        println!("{}\n", card.paper(&folder.about().name));
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
        records.len(),
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
            "logVersion": changed.entry.version_id().to_string(), "records": records.len(),
            "missing": missing, "disputed": is_disputed,
            "refused": handed.refused.iter().chain(&at_home.refused).collect::<Vec<_>>(),
            "recoveryCode": changed.card.as_ref().map(Card::to_string),
        }),
        is_complete,
    })
}

/// What the hub that keeps an identity is asked to commit to.
#[derive(Serialize, Deserialize)]
struct HandOver {
    digests: Vec<String>,
}

/// An identity whose keys a hub made becomes its owner's. The first run makes keys and says what the
/// hub's operator is to type; the second, once that is done, signs with them.
pub(super) async fn take_over(
    path: &Path,
    home: &Home,
    clock: &SharedClock,
) -> Result<Done, IdentityError> {
    let handle = home
        .handle
        .clone()
        .ok_or_else(|| refused("name the address at the hub: https://HUB/orgs/NAME"))?;
    let hub = Remote::at(&home.node)?;
    let file = path.join("hand-over.json");
    let mut folder = match Folder::is_in(path) {
        true => Folder::open(path, clock.now())?,
        false => {
            let scid = hub.scid_of(&handle).await?;
            let seen = carried(&hub, &scid, clock.now()).await?;
            let log: Vec<Vec<u8>> = seen
                .entries
                .iter()
                .map(LogEntry::to_canonical_bytes)
                .collect();
            let about = About {
                name: handle.clone(),
                language: "en".to_owned(),
                licence: "CC-BY-4.0".to_owned(),
            };
            Folder::adopt(path, about, &log, clock.now())?
        }
    };
    let fault = |error: std::io::Error| refused(format!("{}: {error}", file.display()));
    let is_ours = folder.keychain().signer(HANDLE).is_ok() && folder.unfinished()?.is_none();
    if is_ours {
        return Err(refused("the keys of this identity are here already"));
    }
    let ask =
        |digests: &[String]| format!("baraza org release {handle} --to {}", digests.join(","));
    if !file.exists() {
        let (card, digests) = folder
            .keychain()
            .await_hand_over(HANDLE, folder.state().did())?;
        println!("{}\n", card.paper(&folder.about().name));
        let digests: Vec<String> = digests.iter().map(EntryHash::to_string).collect();
        let text = json!(HandOver {
            digests: digests.clone()
        })
        .to_string();
        fs::write(&file, text).map_err(fault)?;
        let text = format!(
            "New keys for {} are in {}; nothing has changed anywhere yet.\n\
             Ask the hub's operator to run\n    {}\nThese digests are no secret. Then run this command again.",
            folder.state().did(),
            path.display(),
            ask(&digests),
        );
        return Ok(Done::new(
            text,
            json!({"scid": folder.state().scid().to_string(), "digests": digests, "state": "waiting", "recoveryCode": card.to_string()}),
        ));
    }
    let digests: HandOver =
        serde_json::from_slice(&fs::read(&file).map_err(fault)?).map_err(refused)?;
    let scid = *folder.state().scid();
    if folder.unfinished()?.is_none() {
        let seen = carried(&hub, &scid, clock.now()).await?;
        if !folder.keychain().holds_next_key(HANDLE, &seen.state)? {
            return Err(refused(format!(
                "the hub has not let go of the identity yet: its operator is to run\n    {}",
                ask(&digests.digests)
            )));
        }
        folder.extend(&seen.entries, seen.state)?;
        let records = counting_at(&folder, &hub).await?;
        folder.describe(&records)?;
        folder.take_in(records)?;
    }
    let step = Step {
        name: "baraza identity take-over".to_owned(),
        place: Place::of(folder.state().did()),
        renewal: Renewal::RecordKey,
        signing: Signing::Working,
    };
    let changed = folder.prepare(step, clock.now())?;
    let own: Vec<Envelope> = folder.records().values().cloned().collect();
    let records = prepared_or(&folder, &changed, || {
        sign_anew(&changed.signer, &own, 1, clock.now())
    })?;
    let handed = publish(&folder, &hub, &changed, &records, None, clock.now()).await?;
    folder.finish(&changed.entry, clock.now())?;
    let mut text = format!(
        "The identity is yours: its keys are in {}, and {} can no longer sign anything in its name.\n  identifier  {}\n\
         {} records were signed anew. Peers follow by themselves. Publish with baraza sign and baraza push from now on.\n\
         Give keys/identity.escrow to someone you trust, and delete it here.",
        path.display(),
        home.node,
        folder.state().did(),
        records.len(),
    );
    tell_refusals(&mut text, &handed);
    Ok(Done {
        text,
        json: json!({
            "did": folder.state().did().to_string(), "scid": scid.to_string(), "state": "taken",
            "logVersion": changed.entry.version_id().to_string(), "records": records.len(), "refused": handed.refused,
        }),
        is_complete: handed.refused.is_empty(),
    })
}

/// Hands a node what it lacks of the folder's log; gives how many entries.
pub(super) async fn hand_log(
    folder: &Folder,
    remote: &Remote,
    invitation: Option<&str>,
    now: Timestamp,
) -> Result<usize, IdentityError> {
    let known = seen_at(folder, remote, now).await?;
    let known = known.map_or(0, |seen| seen.entries.len());
    let lacking = folder.log().get(known..).unwrap_or_default();
    remote
        .hand_log(folder.state().scid(), lacking, invitation)
        .await?;
    Ok(lacking.len())
}

/// The log as a node has it, which must be the folder's or the beginning of it; `None` if the node has
/// nothing of it.
async fn seen_at(
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
async fn carried(
    remote: &Remote,
    scid: &protocol::id::Scid,
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
async fn catch_up(folder: &mut Folder, from: &Remote, now: Timestamp) -> Result<(), IdentityError> {
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
    Ok(folder.take_in(records)?)
}

/// The versions that count of the identity's records, as a node has them.
async fn counting_at(folder: &Folder, from: &Remote) -> Result<Vec<Envelope>, IdentityError> {
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
    let mut chosen = restore::choose(told, None);
    chosen.retain(|id, _| id.local.as_str() != Checkpoint::LOCAL_ID);
    let hashes: Vec<_> = chosen.values().map(|told| told.hash).collect();
    Ok(from.fetch(&hashes).await?)
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

/// Records signed anew under another key, tombstones included, each with a higher number.
fn sign_anew(
    signer: &Signer,
    records: &[Envelope],
    jump: u64,
    now: Timestamp,
) -> Result<Vec<Envelope>, IdentityError> {
    let mut signed = Vec::with_capacity(records.len());
    for record in records {
        let header = record.header();
        let draft = Draft::unchecked(&tree_of(record), &header.licence).map_err(refused)?;
        signed.push(sign_as(
            signer,
            &draft,
            header.seq.saturating_add(jump),
            now,
        )?);
    }
    Ok(signed)
}

/// The records that an earlier run prepared for this entry, or those made now.
fn prepared_or(
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

/// Publishes a prepared entry with its records. Records go first: a node keeps them aside until the log
/// lists their key, and shows all of them in the moment in which it takes the entry. What it had no room
/// to keep aside, or could not take before it knew the author, follows.
async fn publish(
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
    let known = known.map_or(0, |seen| seen.entries.len());
    let mut log: Vec<Vec<u8>> = folder.log().to_vec();
    log.push(changed.entry.to_canonical_bytes());
    let lacking = log.get(known..).unwrap_or_default();
    let taken = remote
        .hand_log(folder.state().scid(), lacking, invitation)
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

fn signing(update_key: Option<String>) -> Result<Signing, IdentityError> {
    Ok(match update_key {
        None => Signing::Working,
        Some(text) => Signing::Given(
            protocol::key::SecretKey::parse(text.trim())
                .map_err(|_| refused("--update-key must be a file that holds an update key, as keys/identity.update does"))?,
        ),
    })
}

fn place_text(home: &Home) -> String {
    match &home.handle {
        Some(handle) => format!("{}/orgs/{handle}", home.node),
        None => home.node.clone(),
    }
}

fn tell_refusals(text: &mut String, handed: &Handed) {
    for refusal in &handed.refused {
        text.push_str(&format!("\n  not taken: {refusal}"));
    }
}
