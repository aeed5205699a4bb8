//! New keys and a new home for an identity whose folder is at hand.
//!
//! Each change is prepared whole in the folder, then published, then put in force. If anything breaks in
//! between, the same command goes on with the very same entry and records.

use protocol::envelope::Envelope;
use protocol::key::SecretKey;
use protocol::limits::SEQ_JUMP;
use serde_json::json;

use super::folder::Folder;
use super::handing::{
    catch_up, count, hand_log, prepared_or, publish, seen_at, sign_anew, tell_refusals,
};
use super::remote::{Handed, Remote};
use super::{IdentityError, refused};
use crate::clock::SharedClock;
use crate::commands::Done;
use crate::keychain::{Renewal, Signing, Step};
use crate::place::{Home, log_address};

/// Said to whoever keeps the update key elsewhere.
const NEW_UPDATE_KEY: &str = "\nThe update key that you gave is used up. The new one is keys/identity.update in the folder: put it where you kept the old one, and delete it here.";

/// A move, as it was asked for.
pub(super) struct Move {
    pub(super) to: Home,
    pub(super) from: Option<String>,
    pub(super) invitation: Option<String>,
    pub(super) update_key: Option<String>,
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
        signing: signing(update_key.as_deref())?,
    };
    let changed = folder.prepare(step, clock.now())?;
    let jump = match is_compromised {
        true => SEQ_JUMP,
        false => 1,
    };
    let own: Vec<Envelope> = folder.records().values().cloned().collect();
    let records = prepared_or(&folder, &changed, || {
        sign_anew(&changed, &own, jump, clock.now())
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
        count(&records),
    );
    if is_compromised {
        text.push_str("\nWhoever read the folder also has the old update key. It is worth nothing once peers have this entry; were another entry to reach them first, they would show the identity as disputed.");
    }
    if escrow_is_new {
        text.push_str("\nThe escrow file in the folder was read too, so it is a new one: give it to someone you trust. Your printed card stays good.");
    }
    if update_key.is_some() {
        text.push_str(NEW_UPDATE_KEY);
    }
    tell_refusals(&mut text, &handed);
    Ok(Done {
        text,
        json: json!({
            "logVersion": changed.entry.version_id().to_string(), "signed": count(&records),
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
        signing: signing(wanted.update_key.as_deref())?,
    };
    let changed = folder.prepare(step, clock.now())?;
    let records: Vec<Envelope> = folder.in_order().into_iter().cloned().collect();
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
    if wanted.update_key.is_some() {
        text.push_str(NEW_UPDATE_KEY);
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

fn signing(update_key: Option<&str>) -> Result<Signing, IdentityError> {
    Ok(match update_key {
        None => Signing::Working,
        Some(text) => Signing::Given(
            SecretKey::parse(text.trim())
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
