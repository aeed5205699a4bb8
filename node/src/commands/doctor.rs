//! What is wrong, as operators read it.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::{Done, refused};
use crate::control::{Progress, Step};
use crate::doctor::{self, Finding, Weight};
use crate::node::{Node, NodeError};

pub(super) async fn run(
    node: &Arc<Node>,
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let progress = progress.clone();
    let found = doctor::examine(node, move |done| {
        // A step that nobody has room for is not waited for.
        let _ = progress.try_send(Progress {
            step: Step::Checking,
            done,
            total: None,
        });
    });
    report(&found.await?)
}

/// Findings, with an exit code that says whether one is serious.
///
/// # Errors
/// None that can be met: findings are JSON.
pub fn report(found: &[Finding]) -> Result<Done, NodeError> {
    let lines = found.iter().map(|finding| {
        let weight = match finding.weight {
            Weight::Serious => "SERIOUS",
            Weight::Note => "note",
        };
        let Finding {
            what, why, mend, ..
        } = finding;
        format!("{weight}: {what}\n  why it matters: {why}\n  what to do: {mend}")
    });
    let text = match found {
        [] => "nothing is wrong".to_owned(),
        _ => lines.collect::<Vec<_>>().join("\n\n"),
    };
    let items = found.iter().map(serde_json::to_value);
    let json: Value = items
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?
        .into();
    Ok(Done {
        text,
        json,
        is_complete: found
            .iter()
            .all(|finding| finding.weight != Weight::Serious),
    })
}
