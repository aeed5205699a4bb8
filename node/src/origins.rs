//! From which file or page each imported record came, as this node remembers it.
//!
//! Not part of the records: what a file is called in an office is nobody else's business, and the same
//! table under another name must change nothing. A node that takes an organisation over does not know
//! it, until the next import there.

use protocol::id::RecordId;
use serde::{Deserialize, Serialize};

use crate::store::{Named, Store, StoreError};

const TABLE: &str = "origins";

/// Where a record came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the source: a file's name, a page's address, or what the operator called it.
    pub source: String,
    /// Whether it was withdrawn because its source had it no longer. If the source has it again, it
    /// comes back; what its owner withdrew does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gone: bool,
}

impl Origin {
    /// Where a record came from, if it was imported here.
    ///
    /// # Errors
    /// A disk fault.
    pub fn of(store: &Store, id: &RecordId) -> Result<Option<Self>, StoreError> {
        let row = store.named(TABLE, &id.to_string())?;
        row.map(|row| {
            serde_json::from_slice(&row).map_err(|_| StoreError::Corrupt {
                detail: format!("the origin of {id}"),
            })
        })
        .transpose()
    }

    /// The row that remembers it, to be written with the record.
    ///
    /// # Errors
    /// None that can be met: the text is JSON.
    pub fn row(&self, id: &str) -> Result<Named, serde_json::Error> {
        Ok(Named {
            table: TABLE,
            name: id.to_owned(),
            value: serde_json::to_vec(self)?,
        })
    }
}
