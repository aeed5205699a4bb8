//! Organisations whose keys a node keeps: adding, new keys, another host, letting go.

use std::sync::Arc;

use protocol::id::{EntryHash, Scid};
use protocol::identity::write::Place;
use protocol::identity::{LogEntry, LogState};
use protocol::limits::SEQ_JUMP;
use protocol::record::Endorsement;
use protocol::time::Timestamp;
use serde_json::json;

use super::{Done, publish_drafts, refused};
use crate::catalogue::PROFILE;
use crate::federation::client::{Answer, FetchError};
use crate::federation::peers::node_address;
use crate::keychain::{Changed, Renewal, Signing, Step};
use crate::node::{Node, NodeError};
use crate::place::Home;

pub(super) async fn add(node: &Arc<Node>, handle: &str, name: &str) -> Result<Done, NodeError> {
    let founded = node.add_organization(handle).await?;
    let signer = node.keychain.signer(handle)?;
    let language = &node.config.settings.language;
    let profile = json!({
        "type": "Organization", "localId": PROFILE, "language": language, "body": {"name": {language: name}},
    });
    publish_drafts(node, &signer, &[profile], |_| {}).await?;
    let (did, scid) = (founded.did.to_string(), founded.did.scid().to_string());
    let text = format!(
        "{name} is hosted here as {handle}.\n  identifier  {did}\n\
         This node made its keys and could sign in its name. The card below lets the organisation take the identity back, from you too: hand it over.\n\
         A second recovery key is in {}: give it to someone whom the organisation trusts, and delete it here.\n\n{}",
        founded.escrow_file.display(),
        founded.card.paper(name),
    );
    Ok(Done::new(
        text,
        json!({"handle": handle, "did": did, "scid": scid, "recoveryCode": founded.card.to_string()}),
    ))
}

pub(super) fn list(node: &Node) -> Result<Done, NodeError> {
    let mut rows = Vec::new();
    let mut items = Vec::new();
    for signer in node.keychain.signers()? {
        let Some(author) = node.catalogue.author(signer.did.scid())? else {
            continue;
        };
        let did = author.author.state.did().to_string();
        let looks_like = node.lookalikes.of(signer.did.scid())?;
        let looks_like: Vec<String> = looks_like.iter().map(ToString::to_string).collect();
        let note = match looks_like.is_empty() {
            true => String::new(),
            false => format!(
                "\n{:<24} its name looks like that of {}",
                "",
                looks_like.join(", ")
            ),
        };
        rows.push(format!(
            "{:<24} {:<40} {did}{note}",
            signer.handle,
            author.name(&[&node.config.settings.language])
        ));
        items.push(json!({
            "handle": signer.handle, "did": did, "scid": signer.did.scid().to_string(),
            "disputed": author.author.is_disputed, "looksLike": looks_like,
        }));
    }
    Ok(Done::new(
        rows.join("\n"),
        json!({"total": items.len(), "items": items}),
    ))
}

/// What the log of an organisation says whose keys are here.
fn state_of(node: &Node, scid: &Scid) -> Result<LogState, NodeError> {
    let author = node.store.author(scid)?;
    Ok(author
        .ok_or_else(|| refused("its log is not held here"))?
        .state)
}

/// The keys that an author's log commits to now are those that sign from now on.
fn settle(node: &Node, handle: &str, scid: &Scid) -> Result<(), NodeError> {
    Ok(node.keychain.settle(handle, &state_of(node, scid)?)?)
}

/// A new log entry and every record signed anew, as one step: nobody sees one without the other.
pub(super) async fn rotate(
    node: &Arc<Node>,
    handle: &str,
    is_compromised: bool,
    as_of: Option<&str>,
) -> Result<Done, NodeError> {
    let as_of = as_of.map(Timestamp::parse).transpose().map_err(refused)?;
    let scid = *node.keychain.signer(handle)?.did.scid();
    let state = state_of(node, &scid)?;
    let renewal = match is_compromised {
        true => Renewal::Folder,
        false => Renewal::RecordKey,
    };
    let step = Step {
        name: match is_compromised {
            true => format!("baraza org rotate {handle} --compromised"),
            false => format!("baraza org rotate {handle}"),
        },
        place: Place::of(state.did()),
        renewal,
        signing: Signing::Working,
    };
    let Changed { entry, signer, .. } =
        node.keychain
            .change(handle, &state, step, node.clock.now())?;
    let jump = match is_compromised || as_of.is_some() {
        true => SEQ_JUMP,
        false => 1,
    };
    let count = node
        .publisher
        .change_key(&entry, &signer, jump, as_of)
        .await?;
    settle(node, handle, &scid)?;
    node.standing.note_rotation(&scid).await?;
    let mut text = format!(
        "{handle} signs with a new key from now on. Its log has version {}, and {count} records were signed anew; \
         what the old key signed no longer counts anywhere.",
        entry.version_id().number
    );
    if let Some(moment) = as_of {
        text.push_str(&format!(
            "\nThey say what they said at {moment}; what came later is gone."
        ));
    }
    if is_compromised {
        text.push_str("\nThe old update key is worthless once peers have this entry. An escrow file that lay here is a new one now: give it away. The printed card stays good.");
    }
    Ok(Done::new(
        text,
        json!({"handle": handle, "logVersion": entry.version_id().to_string(), "signed": count}),
    ))
}

/// The log says where it is served from now on; log and records are handed to the new host. The old
/// host cannot prevent it: any node that carries the author takes the entry.
pub(super) async fn move_to(
    node: &Arc<Node>,
    handle: &str,
    to: &str,
    invitation: Option<&str>,
) -> Result<Done, NodeError> {
    let address = node_address(to).map_err(refused)?;
    let home = Home::parse(&format!("{address}/orgs/{handle}")).map_err(refused)?;
    let scid = *node.keychain.signer(handle)?.did.scid();
    let state = state_of(node, &scid)?;
    let former = state.did().to_string();
    let held: Vec<_> = node
        .store
        .counting_of(&scid)?
        .into_iter()
        .map(|(_, row)| row)
        .collect();
    let step = Step {
        name: format!("baraza org move {handle} --to {address}"),
        place: home.place,
        renewal: Renewal::Nothing,
        signing: Signing::Working,
    };
    // A run whose answer was lost is gone on with by the same entry: another one would be a fork.
    let Changed {
        entry, is_resumed, ..
    } = node
        .keychain
        .change(handle, &state, step, node.clock.now())?;
    let mut log = node.store.active_log_of(&scid)?;
    log.push(entry.to_canonical_bytes());
    let answer = hand_log(node, &address, &scid, log, invitation).await;
    let problem = match &answer {
        Ok(answer) if answer.is_success() => None,
        Ok(answer) => Some((answer.reason(), (400..500).contains(&answer.status))),
        Err(error) => Some((error.to_string(), error.is_before_sending())),
    };
    if let Some((reason, is_certain)) = problem {
        let left = if is_certain && !is_resumed {
            node.keychain.abandon(handle)?;
            "Nothing was changed; it can be tried again."
        } else {
            "It may have been taken: run the same command again to go on."
        };
        return Err(refused(format!(
            "{address} does not take {handle} in: {reason}. {left}"
        )));
    }
    take_own(node, &entry).await?;
    settle(node, handle, &scid)?;
    let kind = [("content-type", "application/json".to_owned())];
    for row in &held {
        let answer = node
            .client
            .post(
                &format!("{address}/api/v1/records"),
                &kind,
                row.canonical()?,
            )
            .await?;
        if !answer.is_success() {
            return Err(refused(format!(
                "{handle} is at home at {address} now, and that node did not take a record: {}. It has the rest once it follows this node.",
                answer.reason()
            )));
        }
    }
    let text = format!(
        "{handle} is at home at {address} now, with {} records. Its identity is the same; {former} is kept as a former name.\n\
         Its keys are still here. To give them to the organisation: it runs baraza identity take-over --at {address}/orgs/{handle}, and you, here, what that command says.",
        held.len()
    );
    let did = entry.did().to_string();
    Ok(Done::new(
        text,
        json!({"handle": handle, "did": did, "scid": scid.to_string(), "formerly": former, "records": held.len()}),
    ))
}

/// Publishes, in the node's own name, that an organisation is its member; or takes it back.
pub(super) async fn member(node: &Arc<Node>, who: &str, is_over: bool) -> Result<Done, NodeError> {
    let scid = match node.hosted(who)? {
        Some(scid) => scid,
        None => Scid::parse(who).map_err(|_| {
            refused(format!(
                "“{who}” is neither an organisation at home here nor an SCID"
            ))
        })?,
    };
    let Some(author) = node.catalogue.author(&scid)? else {
        return Err(refused(format!("this node carries nothing of {scid}")));
    };
    let local = Endorsement::member_id(&scid);
    let status = if is_over { "withdrawn" } else { "active" };
    let mut draft = json!({
        "type": "Endorsement", "localId": local, "licence": "CC0-1.0", "status": status,
    });
    if !is_over {
        draft["body"] = json!({"subject": scid.to_string(), "claim": Endorsement::MEMBER});
    }
    publish_drafts(node, &node.own()?, &[draft], |_| {}).await?;
    let name = author.name(&[&node.config.settings.language]);
    let text = match is_over {
        false => format!(
            "{} says that {name} ({scid}) is its member; every node that carries both shows it.",
            node.config.settings.name
        ),
        true => format!(
            "{} no longer says that {name} ({scid}) is its member. Its records stay as they are.",
            node.config.settings.name
        ),
    };
    Ok(Done::new(
        text,
        json!({"scid": scid.to_string(), "member": !is_over, "localId": local}),
    ))
}

/// Hands a whole log to another node.
async fn hand_log(
    node: &Node,
    address: &str,
    scid: &Scid,
    log: Vec<Vec<u8>>,
    invitation: Option<&str>,
) -> Result<Answer, FetchError> {
    let mut headers = vec![("content-type", "text/jsonl".to_owned())];
    headers.extend(invitation.map(|code| ("baraza-invitation", code.to_owned())));
    let url = format!("{address}/api/v1/organizations/{scid}/log");
    node.client.post(&url, &headers, log.join(&b'\n')).await
}

/// Commits the log to keys that are the organisation's own. After that this node can sign records until
/// the organisation lists its own record key, and can change the identity no more.
pub(super) async fn release(
    node: &Arc<Node>,
    handle: &str,
    to: &[String],
) -> Result<Done, NodeError> {
    let digests = to
        .iter()
        .map(|text| EntryHash::parse(text.trim()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| refused("--to takes the digests that the organisation was given by `baraza identity take-over`, with commas between"))?;
    if digests.len() < 2 {
        return Err(refused(
            "--to needs at least two digests: a working key and a recovery key",
        ));
    }
    let scid = *node.keychain.signer(handle)?.did.scid();
    let state = state_of(node, &scid)?;
    let step = Step {
        name: format!("baraza org release {handle} --to {}", to.join(",")),
        place: Place::of(state.did()),
        renewal: Renewal::HandOver(digests),
        signing: Signing::Working,
    };
    // A second run finds it done.
    if !step.renewal.is_done_in(&state) {
        let Changed { entry, .. } = node
            .keychain
            .change(handle, &state, step, node.clock.now())?;
        take_own(node, &entry).await?;
        settle(node, handle, &scid)?;
    }
    let state = state_of(node, &scid)?;
    let version = state.version_id();
    if !node.actors.is_address_here(state.did()) {
        // Moved before: it is asked for at its new home.
        let home = Home::of(state.did()).node;
        let log = node.store.active_log_of(&scid)?;
        let handed = hand_log(node, &home, &scid, log, None).await;
        let problem = match &handed {
            Ok(answer) if answer.is_success() => None,
            Ok(answer) => Some(answer.reason()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = problem {
            return Err(refused(format!(
                "{handle} is released here, and {home}, where it is at home, was not told: {reason}. Run the same command again."
            )));
        }
    }
    let text = format!(
        "{handle} can now take its keys over: its log has version {}, and only the organisation's own keys can sign the next.\n\
         Tell it to run its command again. Its update key and escrow file are deleted here, and the card that was printed when it was added is worthless.\n\
         Its home stays as it is; until it has taken over, you can still publish for it.",
        version.number
    );
    Ok(Done::new(
        text,
        json!({"handle": handle, "scid": scid.to_string(), "logVersion": version.to_string()}),
    ))
}

async fn take_own(node: &Arc<Node>, entry: &LogEntry) -> Result<(), NodeError> {
    node.ingest
        .log_entry(&entry.to_canonical_bytes(), &Default::default())
        .await?;
    Ok(())
}
