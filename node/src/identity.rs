//! An identity without a node: a provider keeps its keys and signs on its own machine, and hands what it
//! signed to any node. The hub never sees a private key: it can withhold, and cannot forge.
//!
//! [`folder`] is what is kept, [`remote`] asks nodes, `handing` brings both together; `steps`, `recover`
//! and `take_over` change the identity. The rules of keys and of prepared changes are those of
//! [`crate::keychain`], which nodes use as well.

pub mod folder;
mod handing;
mod recover;
pub mod remote;
mod steps;
mod take_over;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use protocol::envelope::Envelope;
use protocol::id::RecordId;
use protocol::record::Draft;
use protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::catalogue::PROFILE;
use crate::clock::SharedClock;
use crate::commands::{Done, check_drafts};
use crate::keychain::KeychainError;
use crate::keychain::card::Card;
use crate::place::{Home, HomeError, log_address};
use crate::publish::Outcome;
use folder::{About, Folder, FolderError};
use remote::{Remote, RemoteError};

/// What can be asked.
#[derive(Debug)]
pub enum Command {
    /// Makes an identity in a new folder.
    New {
        /// Its name for people.
        name: String,
        /// Where its log will be served.
        at: String,
        /// The language of its profile.
        language: String,
        /// The licence of records that name none.
        licence: String,
    },
    /// Says what is in the folder.
    Show,
    /// Gives it a new record key.
    Rotate {
        /// Somebody else may have read the folder.
        is_compromised: bool,
        /// The update key, if it is kept elsewhere.
        update_key: Option<String>,
    },
    /// Makes the folder anew from a recovery card.
    Recover {
        /// The card's code.
        code: String,
        /// A node that shows the identity's records.
        from: String,
        /// Go back to what stood then.
        as_of: Option<Timestamp>,
        /// Another home.
        to: Option<String>,
        /// What admits it there.
        invitation: Option<String>,
    },
    /// Gives it another home.
    Move {
        /// Where.
        to: String,
        /// A node to learn from what this folder lacks.
        from: Option<String>,
        /// What admits it there.
        invitation: Option<String>,
        /// The update key, if it is kept elsewhere.
        update_key: Option<String>,
    },
    /// Takes an identity over from the hub that keeps its keys.
    TakeOver {
        /// Where its log is served.
        at: String,
    },
    /// Signs drafts.
    Sign {
        /// The drafts, as they stand in files.
        drafts: Vec<Value>,
    },
    /// Hands the log and records to a node.
    Push {
        /// Which.
        node: String,
        /// Files of signed records; all that the folder has if there are none.
        files: Vec<PathBuf>,
        /// What admits it there.
        invitation: Option<String>,
    },
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeychainError),
    /// An address.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Another node.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Something is not what it should be.
    #[error("{0}")]
    Refused(String),
}

fn refused(error: impl std::fmt::Display) -> IdentityError {
    IdentityError::Refused(error.to_string())
}

/// Carries a command out.
///
/// # Errors
/// Why it could not be done, and what to do.
pub async fn run(path: &Path, command: Command, clock: SharedClock) -> Result<Done, IdentityError> {
    match command {
        Command::New {
            name,
            at,
            language,
            licence,
        } => {
            let about = About {
                name,
                language,
                licence,
            };
            found(path, about, &at, &clock)
        }
        Command::Show => show(&Folder::open(path, clock.now())?),
        Command::Sign { drafts } => sign(Folder::open(path, clock.now())?, &drafts, &clock),
        Command::Push {
            node,
            files,
            invitation,
        } => {
            let folder = Folder::open(path, clock.now())?;
            push(&folder, &node, &files, invitation.as_deref(), &clock).await
        }
        Command::Rotate {
            is_compromised,
            update_key,
        } => {
            steps::rotate(
                Folder::open(path, clock.now())?,
                is_compromised,
                update_key,
                &clock,
            )
            .await
        }
        Command::Move {
            to,
            from,
            invitation,
            update_key,
        } => {
            let wanted = steps::Move {
                to: Home::parse(&to)?,
                from,
                invitation,
                update_key,
            };
            steps::move_to(Folder::open(path, clock.now())?, wanted, &clock).await
        }
        Command::Recover {
            code,
            from,
            as_of,
            to,
            invitation,
        } => {
            let wanted = recover::Recovery {
                card: Card::parse(&code).map_err(refused)?,
                from,
                as_of,
                to: to.as_deref().map(Home::parse).transpose()?,
                invitation,
            };
            recover::recover(path, wanted, &clock).await
        }
        Command::TakeOver { at } => take_over::take_over(path, &Home::parse(&at)?, &clock).await,
    }
}

fn found(path: &Path, about: About, at: &str, clock: &SharedClock) -> Result<Done, IdentityError> {
    let home = Home::parse(at)?;
    if about.name.trim().is_empty() || about.name.len() > 200 {
        return Err(refused("--name must be a text of 1 to 200 bytes"));
    }
    let language = about.language.clone();
    let name = about.name.clone();
    let profile = json!({
        "type": "Organization", "localId": PROFILE, "language": language,
        "body": {"name": {language: name.clone()}},
    });
    // Checked before anything is made.
    let profile = check_drafts(&[profile], &about.licence).map_err(refused)?;
    let (mut folder, founded) = Folder::create(path, about, home.place.clone(), clock.now())?;
    folder.sign(&profile, clock.now())?;
    let next = match home.handle {
        Some(_) => format!(
            "Publish:   baraza sign DRAFTS.json > records.ndjson, then baraza push {} records.ndjson",
            home.node
        ),
        None => format!(
            "Publish:   baraza sign DRAFTS.json > records.ndjson, then upload did.jsonl and records.ndjson of {} so that {} serves the log",
            path.display(),
            log_address(&founded.did)
        ),
    };
    let text = format!(
        "{name} has an identity of its own. Its keys are in {}, and nowhere else.\n  identifier  {}\n\
         Keep:      {} is a second recovery key. Give the file to someone you trust, and delete it here.\n\
         {next}\nNothing has been sent to anybody yet. The name is the first record; the log goes along with it.\n\n{}",
        path.display(),
        founded.did,
        founded.escrow_file.display(),
        founded.card.paper(&name),
    );
    Ok(Done::new(
        text,
        json!({
            "dir": path, "did": founded.did.to_string(), "scid": founded.did.scid().to_string(),
            "recoveryCode": founded.card.to_string(), "escrow": founded.escrow_file,
        }),
    ))
}

fn show(folder: &Folder) -> Result<Done, IdentityError> {
    let state = folder.state();
    let unfinished = folder.unfinished()?;
    let escrow = folder.escrow_file();
    let mut text = format!(
        "{}\n  identifier    {}\n  log version   {}\n  served at     {}\n  records       {}",
        folder.about().name,
        state.did(),
        state.version_id(),
        log_address(state.did()),
        handing::count(folder.records().values()),
    );
    for former in state.also_known_as() {
        text.push_str(&format!("\n  formerly      {former}"));
    }
    if let Some(step) = &unfinished {
        text.push_str(&format!(
            "\n“{step}” was begun and is not finished: run it again."
        ));
    }
    if let Some(escrow) = &escrow {
        text.push_str(&format!(
            "\nThe second recovery key is still here: give {} to someone you trust, and delete it.",
            escrow.display()
        ));
    }
    let json = json!({
        "did": state.did().to_string(), "scid": state.scid().to_string(),
        "logVersion": state.version_id().to_string(), "records": handing::count(folder.records().values()),
        "formerly": state.also_known_as(), "unfinished": unfinished, "escrowIsHere": escrow.is_some(),
    });
    Ok(Done::new(text, json))
}

fn sign(mut folder: Folder, drafts: &[Value], clock: &SharedClock) -> Result<Done, IdentityError> {
    let drafts: Vec<Draft> = check_drafts(drafts, &folder.about().licence).map_err(refused)?;
    let signed = folder.sign(&drafts, clock.now())?;
    let count = |wanted| {
        signed
            .iter()
            .filter(|(outcome, _)| *outcome == wanted)
            .count()
    };
    let [new, changed, unchanged] = [Outcome::New, Outcome::Changed, Outcome::Unchanged].map(count);
    eprintln!(
        "{new} new, {changed} changed, {unchanged} unchanged; signed, and sent to nobody yet"
    );
    let mut shown: Vec<&Envelope> = signed.iter().map(|(_, record)| record).collect();
    // Profile and checkpoint go along, or whoever is handed these records had nobody's, and did not know of how many.
    for record in folder.about_the_whole() {
        if shown.iter().all(|other| other.hash() != record.hash()) {
            shown.push(record);
        }
    }
    let lines: Vec<String> = shown
        .iter()
        .map(|record| String::from_utf8_lossy(record.canonical()).into_owned())
        .collect();
    let records: Vec<Value> = signed
        .iter()
        .map(|(outcome, record)| {
            json!({
                "id": record.header().record_id().to_string(), "seq": record.header().seq,
                "version": record.hash().to_string(), "outcome": outcome,
            })
        })
        .collect();
    let json = json!({"new": new, "changed": changed, "unchanged": unchanged, "records": records});
    Ok(Done::new(lines.join("\n"), json))
}

async fn push(
    folder: &Folder,
    node: &str,
    files: &[PathBuf],
    invitation: Option<&str>,
    clock: &SharedClock,
) -> Result<Done, IdentityError> {
    if let Some(step) = folder.unfinished()? {
        return Err(refused(format!(
            "“{step}” was begun and is not finished: run it again first"
        )));
    }
    let remote = Remote::at(node)?;
    let records = if files.is_empty() {
        let records = folder.in_order().into_iter();
        records.map(|record| record.canonical().to_vec()).collect()
    } else {
        let mut records = Vec::new();
        for file in files {
            records.extend(
                folder::read_records(file)?
                    .into_iter()
                    .map(|record| record.canonical().to_vec()),
            );
        }
        records
    };
    let entries = handing::hand_log(folder, &remote, invitation, clock.now()).await?;
    let handed = remote.hand_records(records).await?;
    let mut text = format!(
        "{} has {} of {} records now ({} are new there) and {} new log entries.",
        remote.address(),
        handed.taken + handed.held,
        handed.total(),
        handed.taken,
        entries,
    );
    for refusal in &handed.refused {
        text.push_str(&format!("\n  {refusal}"));
    }
    let json = json!({
        "node": remote.address(), "logEntries": entries, "taken": handed.taken, "held": handed.held,
        "refused": handed.refused,
    });
    Ok(Done {
        text,
        json,
        is_complete: handed.refused.is_empty(),
    })
}

/// A record's name, for people.
fn local_of(id: &RecordId) -> &str {
    id.local.as_str()
}

/// Shows a recovery card. Where it cannot be shown the step is not finished: it is shown by the next run.
fn show_card(card: &Card, folder: &Folder) -> Result<(), IdentityError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n", card.paper(&folder.about().name))
        .and_then(|()| out.flush())
        .map_err(|error| {
            refused(format!(
                "the new recovery card cannot be shown: {error}; run the same command again"
            ))
        })
}
