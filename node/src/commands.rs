//! What operators can ask of a node, however they ask: by the command line beside a running node, or
//! in place of one.

mod backup;
mod deliveries;
mod disputes;
mod doctor;
mod import;
mod known;
mod org;
mod policy;
mod reconcile;

use std::collections::BTreeSet;
use std::fs::File;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;

pub use backup::restore;
pub use doctor::report;
pub use import::{From as ImportFrom, Import};
use protocol::id::{RecordId, Scid};
use protocol::record::Draft;
pub(crate) use reconcile::{followed, try_with};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::bundle;
use crate::completeness::HeldBack;
use crate::control::{Progress, Step};
use crate::federation::peers::{EVERY_HOURS_MAX, Peer, peer_address};
use crate::federation::site::is_site;
use crate::keychain::Signer;
use crate::node::{Node, NodeError};
use crate::publish::{Outcome, Published};
use crate::web::ask::Ask;

/// A command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Makes an organisation that this node hosts.
    OrgAdd {
        /// Its name in addresses.
        handle: String,
        /// Its name for people.
        name: String,
    },
    /// Lists the organisations whose keys are here.
    OrgList,
    /// Gives an organisation a new record key.
    OrgRotate {
        /// Which.
        handle: String,
        /// Somebody else may have read its keys.
        is_compromised: bool,
        /// Go back to what stood then.
        as_of: Option<String>,
    },
    /// Moves an organisation to another host.
    OrgMove {
        /// Which.
        handle: String,
        /// The new host's address.
        to: String,
        /// What admits it there.
        invitation: Option<String>,
    },
    /// Says, as this node, that an organisation is its member, or that it no longer is.
    OrgMember {
        /// Its handle here, or its SCID.
        who: String,
        /// It no longer is.
        is_over: bool,
    },
    /// Lets go of an organisation whose keys this node made.
    OrgRelease {
        /// Which.
        handle: String,
        /// The digests of its owner's keys.
        to: Vec<String>,
    },
    /// Publishes drafts.
    Publish {
        /// As whom.
        handle: String,
        /// The drafts, as they stand in files.
        drafts: Vec<Value>,
    },
    /// Takes a record back.
    Withdraw {
        /// Which.
        id: String,
    },
    /// Publishes the rows of a file.
    Import(Import),
    /// Searches what is here.
    Search {
        /// As in the address of a results page.
        query: String,
        /// The language of the one who asks.
        language: Option<String>,
    },
    /// Follows a node.
    Follow {
        /// Its address.
        url: String,
        /// Which part of what it has.
        filter: String,
        /// Hours from one reading of its log to the next; none if it is kept up with.
        every_hours: Option<NonZeroU8>,
    },
    /// Follows a node no longer.
    Unfollow {
        /// Its address.
        url: String,
    },
    /// Catches up with a peer, or all, now.
    Sync {
        /// Which; all if absent.
        url: Option<String>,
        /// Whether all that it has is compared with what is here.
        full: bool,
    },
    /// Lists the peers.
    Peers,
    /// The nodes that are known by their cards.
    KnownNodes,
    /// Lets a node hand records over and follow.
    Allow {
        /// Its address.
        url: String,
        /// Why.
        reason: Option<String>,
    },
    /// Ends the exchange with a node, or carries an author no longer.
    Block {
        /// An address, or an SCID.
        subject: String,
        /// Why, for those who are told.
        reason: Option<String>,
    },
    /// Takes a block back.
    Unblock {
        /// An address, or an SCID.
        subject: String,
    },
    /// Shows a record no longer.
    Hide {
        /// Which.
        id: String,
        /// Why, for those who ask for it.
        reason: String,
        /// Whom to ask.
        contact: Option<String>,
    },
    /// Shows a record again.
    Unhide {
        /// Which.
        id: String,
    },
    /// What was decided, and whether it is as it was written.
    Audit {
        /// Say so if it is.
        is_to_verify: bool,
    },
    /// Writes everything into a file.
    BundleExport {
        /// The file.
        path: PathBuf,
        /// Which part.
        filter: String,
    },
    /// Takes a file in.
    BundleImport {
        /// The file.
        path: PathBuf,
    },
    /// Fills the index anew.
    Reindex,
    /// Writes the store anew, so that it takes less room.
    Compact,
    /// Goes by another line of a disputed log.
    Pin {
        /// The author.
        scid: String,
        /// An entry on that line.
        version: String,
    },
    /// Writes all that makes up this node into a file.
    Backup {
        /// The file.
        path: PathBuf,
        /// Only what belongs to this node.
        is_own: bool,
    },
    /// Asks other nodes what they have of this one's authors, so that it may publish again.
    Reconcile {
        /// Which; those that it follows if absent.
        url: Option<String>,
        /// Nobody else has anything newer.
        is_alone: bool,
    },
    /// Looks for what is wrong.
    Doctor,
    /// Lists the authors whose logs are disputed.
    Disputed,
    /// The log of an author, as JSON lines.
    Log {
        /// Its SCID.
        scid: String,
    },
}

/// What came of a command: text for people, JSON for programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Whether all of it went well; else the exit code says so.
    pub is_complete: bool,
}

impl Command {
    /// Whether it signs something in the name of this node or of those whose keys are here.
    fn publishes(&self) -> bool {
        match self {
            Self::OrgAdd { .. }
            | Self::OrgRotate { .. }
            | Self::OrgMove { .. }
            | Self::OrgMember { .. }
            | Self::OrgRelease { .. }
            | Self::Publish { .. }
            | Self::Withdraw { .. }
            | Self::Import(_) => true,
            Self::OrgList
            | Self::Search { .. }
            | Self::Follow { .. }
            | Self::Unfollow { .. }
            | Self::Sync { .. }
            | Self::Peers
            | Self::KnownNodes
            | Self::Allow { .. }
            | Self::Block { .. }
            | Self::Unblock { .. }
            | Self::Hide { .. }
            | Self::Unhide { .. }
            | Self::Audit { .. }
            | Self::BundleExport { .. }
            | Self::BundleImport { .. }
            | Self::Backup { .. }
            | Self::Reconcile { .. }
            | Self::Doctor
            | Self::Reindex
            | Self::Compact
            | Self::Pin { .. }
            | Self::Disputed
            | Self::Log { .. } => false,
        }
    }
}

impl Done {
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            is_complete: true,
        }
    }
}

fn refused(error: impl std::fmt::Display) -> NodeError {
    NodeError::Refused(error.to_string())
}

/// Whether a text names an account, `acct:node@hub.example`, rather than an address.
fn is_account(text: &str) -> bool {
    text.starts_with("acct:") || (text.contains('@') && !text.contains("://"))
}

/// Carries a command out on a node that is open. Long work tells `progress` how far it is.
///
/// # Errors
/// Why it could not be done, in words for the operator.
pub async fn run(
    node: &Arc<Node>,
    command: Command,
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    // Before a key is made or a log is changed.
    if command.publishes()
        && let Some(held) = node.standing.held()?
        && !(held.may_rotate() && matches!(command, Command::OrgRotate { .. }))
    {
        return Err(refused(held));
    }
    match command {
        Command::OrgAdd { handle, name } => org::add(node, &handle, &name).await,
        Command::OrgList => org::list(node),
        Command::OrgRotate {
            handle,
            is_compromised,
            as_of,
        } => org::rotate(node, &handle, is_compromised, as_of.as_deref()).await,
        Command::OrgMove {
            handle,
            to,
            invitation,
        } => org::move_to(node, &handle, &to, invitation.as_deref()).await,
        Command::OrgMember { who, is_over } => org::member(node, &who, is_over).await,
        Command::OrgRelease { handle, to } => org::release(node, &handle, &to).await,
        Command::Publish { handle, drafts } => publish(node, &handle, &drafts, progress).await,
        Command::Withdraw { id } => withdraw(node, &id).await,
        Command::Import(command) => import::run(node, &command, progress).await,
        Command::Search { query, language } => search(node, &query, language.as_deref()),
        Command::Follow {
            url,
            filter,
            every_hours,
        } => {
            // In one spelling, so that the same part asked for in another order is not read anew.
            let filter = protocol::sync::Filter::parse(&filter).map_err(refused)?;
            let filter = filter.to_string();
            let actor = if is_account(&url) {
                Some(node.outbox.find(&url).await.map_err(refused)?)
            } else {
                None
            };
            let address = actor.as_deref().unwrap_or(&url);
            if is_site(address) && !filter.is_empty() {
                return Err(refused(
                    "a page without a node is followed whole: leave --topic and --filter out",
                ));
            }
            if every_hours.is_some_and(|hours| hours.get() > EVERY_HOURS_MAX) {
                return Err(refused(format!(
                    "a node is read at least every {EVERY_HOURS_MAX} hours: --every takes 1 to {EVERY_HOURS_MAX}"
                )));
            }
            let following = node.puller.follow(address, &filter, every_hours);
            let peer = following.await.map_err(refused)?;
            // Pulling makes it complete, and pushing fast: whether the peer pushes is its own choice.
            // Its node's actor pushes everything, which whoever wants a part does not ask for; and each
            // change by itself, which a thin line has no room for.
            let asked = if is_site(&peer.url) {
                Ok(())
            } else if peer.is_to_push() {
                node.outbox.follow(&peer.url, actor).await
            } else {
                node.outbox.unfollow(&peer.url).await
            };
            asked.map_err(refused)?;
            let pace = every_hours.map_or_else(String::new, |hours| {
                format!("; its log is read every {hours} hours, and nothing is pushed")
            });
            Ok(Done::new(
                match peer.filter.as_str() {
                    "" => format!("following {}{pace}", peer.url),
                    filter => format!("following {} in part: {filter}{pace}", peer.url),
                },
                json!({"url": peer.url, "filter": peer.filter, "every_hours": every_hours}),
            ))
        }
        Command::Unfollow { url } => {
            node.puller.unfollow(&url).await.map_err(refused)?;
            let url = peer_address(&url).map_err(refused)?;
            if !is_site(&url) {
                node.outbox.unfollow(&url).await.map_err(refused)?;
            }
            Ok(Done::new(
                format!("{url} is followed no longer; what came from it stays"),
                json!({"url": url}),
            ))
        }
        Command::Sync { url, full } => sync(node, url.as_deref(), full).await,
        Command::Peers => peers(node),
        Command::KnownNodes => known::known(node),
        Command::Allow { url, reason } => policy::allow(node, &url, reason).await,
        Command::Block { subject, reason } => policy::block(node, &subject, reason).await,
        Command::Unblock { subject } => policy::unblock(node, &subject).await,
        Command::Hide {
            id,
            reason,
            contact,
        } => policy::hide(node, &id, reason, contact).await,
        Command::Unhide { id } => policy::unhide(node, &id).await,
        Command::Audit { is_to_verify } => policy::audit(node, is_to_verify),
        Command::BundleExport { path, filter } => {
            let filter = protocol::sync::Filter::parse(&filter).map_err(refused)?;
            // Whoever gets the file can tell whether all is in it.
            node.publish_checkpoints().await?;
            let store = Arc::clone(&node.store);
            let target = path.clone();
            let write = move || {
                let file = File::create(&target).map_err(bundle::BundleError::from)?;
                let records = bundle::export(&store, &filter, &file)?;
                file.sync_all()?;
                Ok::<_, bundle::BundleError>(records)
            };
            let records = tokio::task::spawn_blocking(write)
                .await
                .map_err(refused)?
                .map_err(refused)?;
            Ok(Done::new(
                format!("{records} records written to {}", path.display()),
                json!({"records": records, "file": path}),
            ))
        }
        Command::BundleImport { path } => {
            let file = File::open(&path)
                .map_err(|error| refused(format!("{}: {error}", path.display())))?;
            let imported = bundle::import(&node.ingest, file).await.map_err(refused)?;
            node.completeness.advance().await?;
            let counted = counted_here(node, &imported.authors)?;
            let mut text = format!(
                "{} new records, {} held already, {} waiting for a key log, {} refused",
                imported.stored, imported.held, imported.parked, imported.refused_count
            );
            for reason in &imported.refused {
                text.push_str(&format!("\n  {reason}"));
            }
            text.push_str(&bundle::tell(&counted));
            let mut json = serde_json::to_value(&imported).map_err(refused)?;
            json["counted"] = serde_json::to_value(&counted).map_err(refused)?;
            Ok(Done {
                text,
                json,
                is_complete: imported.refused_count == 0,
            })
        }
        Command::Compact => backup::compact(node, progress).await,
        Command::Reindex => {
            let total = node.store.last_change()?;
            let (work, progress) = (Arc::clone(node), progress.clone());
            let fill = move || {
                work.follower.refill(&mut |done| {
                    let step = Progress {
                        step: Step::Indexing,
                        done,
                        total: Some(total),
                    };
                    // A step that nobody has room for is not waited for.
                    let _ = progress.try_send(step);
                })
            };
            tokio::task::spawn_blocking(fill).await.map_err(refused)??;
            let count = node.index.count();
            Ok(Done::new(
                format!("{count} records can be found"),
                json!({"indexed": count}),
            ))
        }
        Command::Backup { path, is_own } => backup::run(node, &path, is_own, progress).await,
        Command::Reconcile { url, is_alone } => {
            reconcile::run(node, url.as_deref(), is_alone).await
        }
        Command::Doctor => doctor::run(node, progress).await,
        Command::Pin { scid, version } => disputes::pin(node, &scid, &version).await,
        Command::Disputed => disputes::list(node),
        Command::Log { scid } => {
            let scid = protocol::id::Scid::parse(&scid).map_err(refused)?;
            let lines = node.store.log_of(&scid)?;
            let text = lines
                .iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
                .join("\n");
            Ok(Done::new(
                text,
                json!({"scid": scid.to_string(), "entries": lines.len()}),
            ))
        }
    }
}

/// Drafts as files have them: one, a list, or an object with `records`.
fn flatten(drafts: &[Value]) -> Vec<&Value> {
    drafts
        .iter()
        .flat_map(|value| match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(object) => match object.get("records").and_then(Value::as_array) {
                Some(records) => records.iter().collect(),
                None => vec![value],
            },
            _ => vec![value],
        })
        .collect()
}

/// Reads drafts as files have them and checks each.
///
/// # Errors
/// Every fault, with the number and name of its draft.
pub(crate) fn check_drafts(drafts: &[Value], licence: &str) -> Result<Vec<Draft>, String> {
    let mut checked = Vec::new();
    let mut faults = Vec::new();
    for (draft, number) in flatten(drafts).into_iter().zip(1..) {
        let Some(tree) = draft.as_object() else {
            return Err(format!("draft {number} is no JSON object"));
        };
        match Draft::new(tree, licence) {
            Ok(draft) => checked.push(draft),
            Err(error) => {
                let name = tree
                    .get("localId")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                faults.push(format!("draft {number} {name}: {error}"));
            }
        }
    }
    if !faults.is_empty() {
        return Err(format!("nothing was published:\n  {}", faults.join("\n  ")));
    }
    Ok(checked)
}

async fn publish_drafts(
    node: &Node,
    signer: &Signer,
    drafts: &[Value],
    progress: impl FnMut(usize),
) -> Result<Vec<Published>, NodeError> {
    let licence = &node.config.settings.publishing.licence;
    let checked = check_drafts(drafts, licence).map_err(NodeError::Refused)?;
    Ok(node.publisher.publish(signer, &checked, progress).await?)
}

async fn publish(
    node: &Node,
    handle: &str,
    drafts: &[Value],
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let signer = node.keychain.signer(handle)?;
    let total = flatten(drafts).len() as u64;
    let tell = |done: usize| {
        // A step that nobody has room for is not waited for.
        let _ = progress.try_send(Progress {
            step: Step::Publishing,
            done: done as u64,
            total: Some(total),
        });
    };
    let published = publish_drafts(node, &signer, drafts, tell).await?;
    let count = |outcome| {
        published
            .iter()
            .filter(|record| record.outcome == outcome)
            .count()
    };
    let text = format!(
        "{} new, {} changed, {} unchanged",
        count(Outcome::New),
        count(Outcome::Changed),
        count(Outcome::Unchanged)
    );
    let json = match published.as_slice() {
        [one] => serde_json::to_value(one),
        many => serde_json::to_value(many),
    };
    Ok(Done::new(text, json.map_err(refused)?))
}

async fn withdraw(node: &Node, id: &str) -> Result<Done, NodeError> {
    let id = RecordId::parse(id).map_err(refused)?;
    let signer = node
        .keychain
        .signers()?
        .into_iter()
        .find(|signer| *signer.did.scid() == id.author)
        .ok_or_else(|| {
            refused("only its author can withdraw a record, and the author's key is not here")
        })?;
    let published = node.publisher.withdraw(&signer, &id.local).await?;
    let text = format!(
        "{} is withdrawn; a signed tombstone takes its place everywhere",
        published.id
    );
    Ok(Done::new(
        text,
        serde_json::to_value(&published).map_err(refused)?,
    ))
}

fn search(node: &Arc<Node>, query: &str, language: Option<&str>) -> Result<Done, NodeError> {
    node.index_now()?;
    let ask = Ask::read(query).map_err(|problem| refused(problem.detail()))?;
    let language = language.unwrap_or(&node.config.settings.language);
    let answer = crate::web::api::found(node, &ask, &[language.to_owned()])
        .map_err(|problem| refused(problem.detail()))?;
    let mut text = format!(
        "{} found",
        answer
            .get("total")
            .and_then(Value::as_u64)
            .unwrap_or_default()
    );
    for item in answer
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let of = |pointer: &str| {
            item.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        text.push_str(&format!(
            "\n\n{}  [{}]\n  {} ({}{})\n  {}",
            of("/name"),
            of("/kind"),
            of("/author/name"),
            of("/author/host"),
            match item.pointer("/author/disputed") {
                Some(Value::Bool(true)) => ", DISPUTED",
                _ => "",
            },
            of("/id")
        ));
    }
    Ok(Done::new(text, answer))
}

async fn sync(node: &Node, url: Option<&str>, full: bool) -> Result<Done, NodeError> {
    node.puller.start()?;
    let wanted = url.map(peer_address).transpose().map_err(refused)?;
    let mut text = Vec::new();
    let mut items = Vec::new();
    let mut is_complete = true;
    for peer in node.peers.all()?.into_iter().filter(|peer| peer.is_read()) {
        if wanted.as_ref().is_some_and(|wanted| *wanted != peer.url) {
            continue;
        }
        let caught_up = match full {
            true => node.puller.compare(&peer.url).await,
            false => node.puller.catch_up(&peer.url).await,
        };
        match caught_up {
            Ok(pulled) => {
                text.push(format!(
                    "{}: {} new records, {} refused",
                    peer.url, pulled.stored, pulled.refused
                ));
                items.push(json!({"url": peer.url, "pulled": pulled}));
            }
            Err(error) => {
                is_complete = false;
                text.push(format!("{}: {error}", peer.url));
                items.push(json!({"url": peer.url, "error": error.to_string()}));
            }
        }
    }
    let (mended, damaged) = node.puller.mend(&node.store).await.map_err(refused)?;
    if mended > 0 {
        text.push(format!(
            "{mended} records that were damaged here are whole again"
        ));
    }
    if !damaged.is_empty() {
        is_complete = false;
        text.push(format!(
            "{} records are damaged here, and no peer has them: restore a backup into a new folder",
            damaged.len()
        ));
    }
    if let (Some(wanted), true) = (wanted, items.is_empty()) {
        return Err(refused(format!(
            "{wanted} is not followed: `baraza follow {wanted}` does that"
        )));
    }
    Ok(Done {
        text: text.join("\n"),
        json: json!({"peers": items, "mended": mended, "damaged": damaged.len()}),
        is_complete,
    })
}

/// Has every peer that is followed read from the beginning of its log: what was refused before may be taken
/// now. Gives their addresses.
async fn read_peers_anew(node: &Node) -> Result<Vec<String>, NodeError> {
    let mut read_anew = Vec::new();
    for peer in node.peers.all()? {
        // One that is not read now may be again, and is to begin anew then, too.
        node.puller.begin_anew(&peer.url).await?;
        if peer.is_read() {
            read_anew.push(peer.url);
        }
    }
    Ok(read_anew)
}

/// How complete these authors are here.
fn counted_here(node: &Node, authors: &BTreeSet<Scid>) -> Result<Vec<bundle::Counted>, NodeError> {
    let mut counted = Vec::new();
    for scid in authors {
        let standing = node.completeness.of(scid)?;
        counted.extend(
            standing
                .newest()
                .map(|(count, is_complete)| bundle::Counted {
                    author: scid.to_string(),
                    as_of: count.as_of().to_string(),
                    named: count.named,
                    held: count.held,
                    is_complete,
                }),
        );
    }
    Ok(counted)
}

fn peers(node: &Node) -> Result<Done, NodeError> {
    let peers = node.peers.all()?;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "peer",
        "followed",
        "last heard",
        "records",
        "refused",
        "holds back",
        "dealings",
        "last error",
    ]);
    let held_back = node.completeness.held_back()?;
    let held_back_by = |peer: &Peer| held_back.get(&peer.url).map_or(&[][..], Vec::as_slice);
    for peer in &peers {
        table.add_row([
            peer.url.clone(),
            match (peer.filter.as_str(), peer.every_hours) {
                _ if !peer.is_followed => "no".to_owned(),
                ("", None) => "yes".to_owned(),
                ("", Some(hours)) => format!("every {hours} hours"),
                (filter, None) => format!("in part: {filter}"),
                (filter, Some(hours)) => format!("in part: {filter}, every {hours} hours"),
            },
            peer.last_heard()
                .map_or_else(|| "never".to_owned(), |heard| heard.to_string()),
            peer.received.to_string(),
            peer.refused.to_string(),
            match held_back_by(peer).len() {
                0 => String::new(),
                1 => "of 1 organisation".to_owned(),
                count => format!("of {count} organisations"),
            },
            policy::dealings(peer),
            peer.last_error.clone().unwrap_or_default(),
        ]);
    }
    let mut text = if peers.is_empty() {
        "no peers yet: `baraza follow URL` makes one".to_owned()
    } else {
        table.to_string()
    };
    let (others, newcomers, blocked_authors) = policy::others(node)?;
    text.push_str(&others);
    let (told, deliveries) = deliveries::hosts(node)?;
    text.push_str(&told);
    let items = peers
        .iter()
        .map(|peer| {
            let mut item = serde_json::to_value(peer).map_err(refused)?;
            // In the peer's own words: the cursor of the last line that was taken in.
            let holds_back = |HeldBack { author, count }: &HeldBack| {
                json!({
                    "author": author.to_string(), "as_of": count.as_of().to_string(),
                    "named": count.named, "held": count.held,
                })
            };
            item["holds_back"] = held_back_by(peer).iter().map(holds_back).collect();
            item["read_to"] = node.peers.cursor(&peer.url, &peer.filter)?.into();
            Ok(item)
        })
        .collect::<Result<Vec<Value>, NodeError>>()?;
    Ok(Done::new(
        text,
        json!({
            "total": items.len(), "items": items,
            "newcomers": newcomers, "blocked_authors": blocked_authors,
            "deliveries": deliveries,
        }),
    ))
}
