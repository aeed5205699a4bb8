//! Backup and restore, as operators ask for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::id::Scid;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Done, refused};
use crate::backup::{self, Includes, Manifest};
use crate::control::{Progress, Step};
use crate::keychain;
use crate::node::{Node, NodeError};
use crate::store::Compacted;

pub(super) async fn run(
    node: &Arc<Node>,
    path: &Path,
    is_own: bool,
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let own = node.keychain.signer(keychain::NODE)?;
    let manifest = Manifest {
        software: format!("baraza {}", env!("CARGO_PKG_VERSION")),
        created: node.clock.now().to_string(),
        did: own.did.to_string(),
        name: node.config.settings.name.clone(),
        url: node.config.url.to_string(),
        schema: crate::store::SCHEMA,
        epoch: node.store.epoch().to_owned(),
        includes: if is_own { Includes::Own } else { Includes::All },
    };
    let authors = at_home(node)?;
    let (work, target, progress) = (Arc::clone(node), path.to_owned(), progress.clone());
    let write = move || {
        backup::take(
            &work.store,
            &work.config,
            manifest,
            authors,
            &target,
            |done| {
                tell(&progress, Step::Saving, done, None);
            },
        )
    };
    let taken = tokio::task::spawn_blocking(write)
        .await
        .map_err(refused)?
        .map_err(refused)?;
    backup::remember(&node.store, &taken).await?;
    let text = format!(
        "{} is whole: {} records and {} logs in {} bytes, state {}\nIt has secret keys in it: keep it where only you can read it.",
        taken.file.display(),
        taken.seal.held,
        taken.seal.authors,
        taken.bytes,
        taken.seal.state_hash,
    );
    Ok(Done::new(
        text,
        serde_json::to_value(&taken).map_err(refused)?,
    ))
}

/// Writes the store anew, so that it takes no more room than it must.
pub(super) async fn compact(
    node: &Arc<Node>,
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let (store, progress) = (Arc::clone(&node.store), progress.clone());
    let work = move || store.compact(&mut |rows| tell(&progress, Step::Compacting, rows, None));
    let done = tokio::task::spawn_blocking(work).await.map_err(refused)??;
    let Some(Compacted { before, after }) = done else {
        return Err(NodeError::Refused(
            "this store takes no more room than it must".to_owned(),
        ));
    };
    Ok(Done::new(
        format!("the store took {before} bytes and takes {after} now"),
        json!({"before": before, "after": after}),
    ))
}

/// The authors whose keys are here, and those who are at home here.
fn at_home(node: &Node) -> Result<BTreeSet<Scid>, NodeError> {
    let signers = node.keychain.signers()?.into_iter();
    let mut own: BTreeSet<Scid> = signers.map(|signer| *signer.did.scid()).collect();
    for author in node.store.authors()? {
        if node.hosts(author.state.did())? {
            own.insert(*author.state.scid());
        }
    }
    Ok(own)
}

fn tell(progress: &mpsc::Sender<Progress>, step: Step, done: u64, total: Option<u64>) {
    // A step that nobody has room for is not waited for.
    let _ = progress.try_send(Progress { step, done, total });
}

/// Makes the node that is in a backup, in a folder where there is none.
///
/// # Errors
/// Why it could not be done; the folder stays as it was.
pub async fn restore(
    file: PathBuf,
    folder: PathBuf,
    progress: mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let epoch = keychain::random_name()?;
    let work = move || {
        backup::restore(&file, &folder, epoch, |done, total| {
            tell(&progress, Step::Restoring, done, Some(total));
        })
    };
    let restored = tokio::task::spawn_blocking(work)
        .await
        .map_err(refused)?
        .map_err(refused)?;
    let dir = restored.dir.display();
    let text = format!(
        "{} of {} is in {dir}: {} records and {} logs, state {}\n\
         Start it with: baraza serve --dir {dir}\n\
         It publishes nothing until a node that it follows has told what it has of it. If no other node can have anything newer: baraza reconcile --alone --dir {dir}",
        restored.manifest.name,
        restored.manifest.created,
        restored.seal.held,
        restored.seal.authors,
        restored.seal.state_hash,
    );
    Ok(Done::new(
        text,
        serde_json::to_value(&restored).map_err(refused)?,
    ))
}
