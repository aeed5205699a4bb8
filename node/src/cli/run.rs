//! From what was typed to what is done: by the node that runs in the folder, or in place of it.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use protocol::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::form_urlencoded::Serializer;

use super::arguments::{Arguments, Bundle, Identity, Org, PeerChoice, Typed};
use super::verify;
use crate::bench;
use crate::clock::{SharedClock, SystemClock};
use crate::commands::{self, Command, Done, Import, ImportFrom};
use crate::config::{self, Config, Federation, Hosting, Publishing, Settings};
use crate::control::{self, Progress, Step};
use crate::identity;
use crate::node::{Node, NodeError};
use crate::standing::Settled;
use crate::{demo, doctor};

fn refused(error: impl std::fmt::Display) -> NodeError {
    NodeError::Refused(error.to_string())
}

pub(super) async fn run(arguments: Arguments) -> Result<Done, NodeError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let folder = arguments.dir.unwrap_or_else(config::default_folder);
    let command = match arguments.command {
        Typed::Init {
            folder,
            name,
            url,
            language,
            country,
            insecure_peers,
        } => {
            let settings = Settings {
                name,
                url,
                language,
                country,
                listen: None,
                trusted_proxies: Vec::new(),
                requests_per_minute: None,
                publishing: Publishing::default(),
                federation: Federation {
                    insecure_peers,
                    ..Federation::default()
                },
                hosting: Hosting::default(),
            };
            return init(Config::check(&folder, settings)?, clock).await;
        }
        Typed::Serve { alone } => return serve(&folder, alone, clock).await,
        Typed::Backup { file, own } => Command::Backup {
            path: absolute(&file)?,
            is_own: own,
        },
        Typed::Doctor => return doctor(&folder, clock).await,
        Typed::Restore { file } => return restore(file, folder).await,
        Typed::Reconcile { url, alone } => Command::Reconcile {
            url,
            is_alone: alone,
        },
        Typed::Bench { records } => {
            return tokio::select! {
                done = bench::run(&folder, records, clock) => done,
                stopped = until_signal() => {
                    stopped?;
                    Err(refused("stopped before it was done"))
                }
            };
        }
        Typed::Demo { port, data, once } => {
            return demo::run(
                demo::Options {
                    port,
                    data,
                    is_once: once,
                },
                clock,
            )
            .await;
        }
        Typed::Verify { file, log } => {
            return verify::file(&file, log.as_deref(), &folder, &*clock).await;
        }
        Typed::Bundle(Bundle::Verify { file }) => return verify::bundle(&file, &*clock),
        Typed::Bundle(Bundle::Export { file, filter }) => Command::BundleExport {
            path: absolute(&file)?,
            filter,
        },
        Typed::Bundle(Bundle::Import { file }) => Command::BundleImport {
            path: absolute(&file)?,
        },
        Typed::Org(Org::Add { handle, name }) => Command::OrgAdd { handle, name },
        Typed::Org(Org::List) => Command::OrgList,
        Typed::Org(Org::Rotate {
            handle,
            compromised,
            as_of,
        }) => Command::OrgRotate {
            handle,
            is_compromised: compromised,
            as_of,
        },
        Typed::Org(Org::Move {
            handle,
            to,
            invitation,
        }) => Command::OrgMove {
            handle,
            to,
            invitation,
        },
        Typed::Org(Org::Member { who, end }) => Command::OrgMember { who, is_over: end },
        Typed::Org(Org::Release { handle, to }) => Command::OrgRelease { handle, to },
        Typed::Identity(identity) => {
            let command = own_command(identity)?;
            return Ok(identity::run(&folder, command, clock).await?);
        }
        Typed::Sign { files } => {
            let drafts = files
                .iter()
                .map(|file| read_json(file))
                .collect::<Result<_, _>>()?;
            return Ok(identity::run(&folder, identity::Command::Sign { drafts }, clock).await?);
        }
        Typed::Push {
            node,
            files,
            invitation,
        } => {
            let command = identity::Command::Push {
                node,
                files,
                invitation,
            };
            return Ok(identity::run(&folder, command, clock).await?);
        }
        Typed::Pin { scid, version } => match scid.zip(version) {
            Some((scid, version)) => Command::Pin { scid, version },
            None => Command::Disputed,
        },
        Typed::Publish { files, org } => {
            let drafts = files
                .iter()
                .map(|file| read_json(file))
                .collect::<Result<_, _>>()?;
            Command::Publish {
                handle: org,
                drafts,
            }
        }
        Typed::Withdraw { id } => Command::Withdraw { id },
        Typed::Import {
            file,
            org,
            format,
            encoding,
            sheet,
            source,
            map,
            set,
            good_rows,
            withdraw_missing,
            restore,
            dry_run,
            report,
        } => Command::Import(Import {
            from: if file.starts_with("https://") || file.starts_with("http://") {
                ImportFrom::Url(file)
            } else {
                ImportFrom::File(absolute(Path::new(&file))?)
            },
            handle: org,
            format,
            encoding,
            sheet,
            source,
            map: map.as_deref().map(absolute).transpose()?,
            set,
            good_rows,
            withdraw_missing,
            restore,
            dry_run,
            report: report.as_deref().map(absolute).transpose()?,
        }),
        Typed::Search {
            text,
            area,
            country,
            language,
            audience,
            mode,
            cost,
            kind,
            record_type,
            limit,
        } => {
            let mut query = Serializer::new(String::new());
            query.append_pair("q", &text.join(" "));
            let filters = [
                ("area", area),
                ("country", country),
                ("language", language),
                ("audience", audience),
                ("mode", mode),
                ("cost", cost),
                ("kind", kind),
                ("type", record_type),
            ];
            for (name, values) in filters {
                for value in values {
                    query.append_pair(name, &value);
                }
            }
            if let Some(limit) = limit {
                query.append_pair("limit", &limit.to_string());
            }
            Command::Search {
                query: query.finish(),
                language: None,
            }
        }
        Typed::Follow {
            url,
            topic,
            filter,
            every,
        } => {
            let topics = topic.iter().map(|area| format!("area={area}"));
            let filter = std::iter::once(filter)
                .filter(|filter| !filter.is_empty())
                .chain(topics);
            Command::Follow {
                url,
                filter: filter.collect::<Vec<_>>().join("&"),
                every_hours: every,
            }
        }
        Typed::Unfollow { url } => Command::Unfollow { url },
        Typed::Sync { url, full } => Command::Sync { url, full },
        Typed::Peers { known, choice } => match choice {
            None if known => Command::KnownNodes,
            None => Command::Peers,
            Some(PeerChoice::Allow { url, reason }) => Command::Allow { url, reason },
            Some(PeerChoice::Block { subject, reason }) => Command::Block { subject, reason },
            Some(PeerChoice::Unblock { subject }) => Command::Unblock { subject },
        },
        Typed::Hide {
            id,
            reason,
            contact,
        } => Command::Hide {
            id,
            reason,
            contact,
        },
        Typed::Unhide { id } => Command::Unhide { id },
        Typed::Audit { verify } => Command::Audit {
            is_to_verify: verify,
        },
        Typed::Reindex => Command::Reindex,
        Typed::Compact => Command::Compact,
    };
    carry_out(&folder, command, clock).await
}

fn own_command(typed: Identity) -> Result<identity::Command, NodeError> {
    use identity::Command;
    Ok(match typed {
        Identity::New {
            name,
            at,
            language,
            licence,
        } => Command::New {
            name,
            at,
            language,
            licence,
        },
        Identity::Show => Command::Show,
        Identity::Rotate {
            compromised,
            update_key,
        } => Command::Rotate {
            is_compromised: compromised,
            update_key: update_key.as_deref().map(secret).transpose()?,
        },
        Identity::Recover {
            code,
            from,
            as_of,
            to,
            invitation,
        } => Command::Recover {
            code: secret(&code)?,
            from,
            as_of: as_of
                .as_deref()
                .map(Timestamp::parse)
                .transpose()
                .map_err(refused)?,
            to,
            invitation,
        },
        Identity::Move {
            to,
            from,
            invitation,
            update_key,
        } => Command::Move {
            to,
            from,
            invitation,
            update_key: update_key.as_deref().map(secret).transpose()?,
        },
        Identity::TakeOver { at } => Command::TakeOver { at },
    })
}

/// A secret from standard input or a file; else the text itself, which the shell may remember.
fn secret(text: &str) -> Result<String, NodeError> {
    const BYTES_MAX: u64 = 64 * 1024;
    let fault = |error: std::io::Error| refused(format!("{text}: {error}"));
    let mut read = String::new();
    if text == "-" {
        if std::io::stdin().is_terminal() {
            eprintln!("Type the code; end with an empty line.");
        }
        for line in std::io::stdin().lock().take(BYTES_MAX).lines() {
            let line = line.map_err(fault)?;
            if line.trim().is_empty() && !read.is_empty() {
                break;
            }
            read.push_str(&line);
            read.push('\n');
        }
        return Ok(read);
    }
    match std::fs::File::open(text) {
        Ok(file) => {
            file.take(BYTES_MAX)
                .read_to_string(&mut read)
                .map_err(fault)?;
            Ok(read)
        }
        Err(_) => Ok(text.to_owned()),
    }
}

/// Asks the running node, or opens the folder if none runs. The user never has to know which.
async fn carry_out(folder: &Path, command: Command, clock: SharedClock) -> Result<Done, NodeError> {
    let config = Config::load(folder)?;
    let (progress, steps) = mpsc::channel(256);
    let bar = tokio::spawn(show_progress(steps));
    let asked = control::ask(&config.control_socket(), &command, &progress).await;
    let result = match asked.map_err(refused)? {
        Some(answer) => answer.map_err(NodeError::Refused),
        None => {
            let node = Node::open(config, clock)?;
            node.publisher.finish().await?;
            let result = commands::run(&node, command, &progress).await;
            node.stop().await;
            result
        }
    };
    drop(progress);
    // The bar has nothing to say of how the command went.
    let _ = bar.await;
    result
}

/// A bar on a terminal, nothing elsewhere.
async fn show_progress(mut steps: mpsc::Receiver<Progress>) {
    let mut shown: Option<(Step, ProgressBar)> = None;
    while let Some(progress) = steps.recv().await {
        if let Some((_, last)) = shown.take_if(|(step, _)| *step != progress.step) {
            last.finish_and_clear();
        }
        let (_, bar) = shown.get_or_insert_with(|| (progress.step, bar(progress)));
        bar.set_position(progress.done);
    }
    if let Some((_, bar)) = shown {
        bar.finish_and_clear();
    }
}

fn bar(progress: Progress) -> ProgressBar {
    let (word, counts) = match progress.step {
        Step::Reading => ("reading", "{percent}%"),
        Step::Publishing => ("publishing", "{human_pos} of {human_len}  {per_sec}"),
        Step::Checking => ("checking", "{human_pos} records  {per_sec}"),
        Step::Saving => ("saving", "{human_pos} rows  {per_sec}"),
        Step::Compacting => ("compacting", "{human_pos} rows  {per_sec}"),
        Step::Restoring => ("restoring", "{human_pos} of {human_len}  {per_sec}"),
        Step::Indexing => ("indexing", "{human_pos} of {human_len}  {per_sec}"),
    };
    let template = format!("{word:<10} {{bar:40}} {counts}  {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(progress.total.unwrap_or_default())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn absolute(path: &Path) -> Result<PathBuf, NodeError> {
    std::path::absolute(path).map_err(|error| refused(format!("{}: {error}", path.display())))
}

/// Largest file of drafts: what a running node is sent has the same bound.
const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

fn read_json(path: &Path) -> Result<Value, NodeError> {
    let bytes =
        std::fs::read(path).map_err(|error| refused(format!("{}: {error}", path.display())))?;
    // Strictly: of a member that stands twice, nobody knows which one was meant.
    protocol::canonical::parse_file(&bytes, FILE_BYTES_MAX)
        .map_err(|error| refused(format!("{}: {error}", path.display())))
}

async fn init(config: Config, clock: SharedClock) -> Result<Done, NodeError> {
    let founded = Node::init(&config, clock).await?;
    let folder = config.folder.display();
    let text = format!(
        "A node is ready in {folder}.\n  identifier  {did}\n\
         Start it with: baraza serve --dir {folder}\n\
         A second recovery key is in {escrow}: give it to someone you trust, and delete it here.\n\n{card}",
        did = founded.did,
        card = founded.card.paper(&config.settings.name),
        escrow = founded.escrow_file.display(),
    );
    let json = json!({
        "dir": config.folder, "did": founded.did.to_string(), "scid": founded.did.scid().to_string(),
        "url": config.url.as_str(), "recoveryCode": founded.card.to_string(),
    });
    Ok(Done {
        text,
        json,
        is_complete: true,
    })
}

/// What keeps a node from being opened is a finding too.
async fn doctor(folder: &Path, clock: SharedClock) -> Result<Done, NodeError> {
    match carry_out(folder, Command::Doctor, clock).await {
        Err(error @ (NodeError::Store(_) | NodeError::Keys(_))) => {
            commands::report(&[doctor::of_closed(&error)])
        }
        done => done,
    }
}

/// Needs no node: it makes one.
async fn restore(file: PathBuf, folder: PathBuf) -> Result<Done, NodeError> {
    let (progress, steps) = mpsc::channel(256);
    let bar = tokio::spawn(show_progress(steps));
    let result = commands::restore(file, folder, progress).await;
    // The bar has nothing to say of how the command went.
    let _ = bar.await;
    result
}

async fn serve(folder: &Path, is_alone: bool, clock: SharedClock) -> Result<Done, NodeError> {
    let config = Config::load(folder)?;
    let address = config.url.to_string();
    let node = Node::open(config, clock)?;
    if is_alone {
        node.standing.settle(Settled::Alone).await?;
    }
    node.serve().await?;
    println!("{} serves at {address}", node.config.settings.name);
    if let Some(held) = node.standing.held()? {
        println!("Note: {held}");
    }
    println!("Stop it with Ctrl-C.");
    until_signal().await?;
    println!("stopping …");
    node.stop().await;
    Ok(Done {
        text: String::new(),
        json: Value::Null,
        is_complete: true,
    })
}

/// Ctrl-C, or the signal by which service managers stop a process.
pub(crate) async fn until_signal() -> Result<(), NodeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(refused),
        _ = terminate.recv() => Ok(()),
    }
}
