//! An identity whose keys a hub made becomes its owner's.

use std::fs;
use std::path::Path;

use protocol::envelope::Envelope;
use protocol::id::EntryHash;
use protocol::identity::LogEntry;
use protocol::identity::write::Place;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::folder::{About, Folder, HANDLE, write_lines};
use super::handing::{carried, count, counting_at, prepared_or, publish, sign_anew, tell_refusals};
use super::remote::Remote;
use super::{IdentityError, refused, show_card};
use crate::clock::SharedClock;
use crate::commands::Done;
use crate::keychain::{Renewal, Signing, Step};
use crate::place::Home;

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
        show_card(&card, &folder)?;
        let digests: Vec<String> = digests.iter().map(EntryHash::to_string).collect();
        let text = json!(HandOver {
            digests: digests.clone()
        })
        .to_string();
        write_lines(&file, [text.as_bytes()])?;
        let text = format!(
            "New keys for {} are in {}; nothing has changed anywhere yet.\n\
             Ask the operator of the node that holds the keys to run\n    {}\nThese digests are no secret. Then run this command again.",
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
        folder.take_in(records, clock.now())?;
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
        sign_anew(&changed, &own, 1, clock.now())
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
        count(&records),
    );
    tell_refusals(&mut text, &handed);
    Ok(Done {
        text,
        json: json!({
            "did": folder.state().did().to_string(), "scid": scid.to_string(), "state": "taken",
            "logVersion": changed.entry.version_id().to_string(), "records": count(&records), "refused": handed.refused,
        }),
        is_complete: handed.refused.is_empty(),
    })
}
