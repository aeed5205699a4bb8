//! What is wrong with a node, why it matters, and the command that mends it.
//!
//! Each question looks at one thing. Nothing is changed by looking, but for what was found damaged, which
//! is noted so that `baraza sync` asks others for it, and for a clock that is wrong, or right again.

mod questions;

use std::sync::Arc;

use serde::Serialize;

use crate::node::{Node, NodeError};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Something does not work, or may be lost.
    Serious,
    /// It works, and would better be seen to.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Its name, for programs; kept from release to release.
    pub code: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// What it is.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to type.
    pub mend: String,
}

impl Finding {
    fn serious(
        code: &'static str,
        what: String,
        why: &'static str,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            code,
            weight: Weight::Serious,
            what,
            why,
            mend: mend.into(),
        }
    }

    fn note(code: &'static str, what: String, why: &'static str, mend: impl Into<String>) -> Self {
        Self {
            weight: Weight::Note,
            ..Self::serious(code, what, why, mend)
        }
    }
}

/// Looks at all of a node; `progress` hears how many records were looked at. What matters most comes first.
///
/// # Errors
/// The store cannot be read at all.
pub async fn examine(
    node: &Arc<Node>,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<Vec<Finding>, NodeError> {
    let mut found = questions::of_peers(node).await?;
    let looked = Arc::clone(node);
    let look = move || questions::of_node(&looked, &progress);
    let (findings, rotten) = tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| NodeError::Refused(error.to_string()))??;
    node.store.note_rotten(&rotten).await?;
    found.extend(findings);
    found.sort_by_key(|finding| finding.weight);
    Ok(found)
}

/// What is found of a node that cannot be opened.
pub fn of_closed(error: &NodeError) -> Finding {
    use crate::keychain::KeychainError;
    use crate::store::StoreError;
    let what = error.to_string();
    match error {
        NodeError::Keys(KeychainError::Exposed { path }) => Finding::serious(
            "keys-exposed",
            what,
            questions::WHY_EXPOSED,
            format!("chmod 600 {}", path.display()),
        ),
        NodeError::Store(StoreError::Corrupt { .. } | StoreError::Unusable { .. }) => {
            Finding::serious(
                "store-damaged",
                what,
                "the node does not start",
                "baraza restore BACKUP --dir NEW-FOLDER; without a backup, make a new node and follow its peers",
            )
        }
        _ => Finding::serious(
            "does-not-open",
            what,
            "the node does not start",
            "see to what is said above",
        ),
    }
}
