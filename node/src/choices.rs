//! What the operator chose not to carry or not to show, and why. Kept in the store with the choice; whoever
//! asks for what is left out is told.

use protocol::id::{RecordId, Scid};
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError};

/// An author that is not carried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blocked {
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

/// A record that is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Why, in the operator's words.
    pub reason: String,
    /// Whom to ask about it.
    pub contact: Option<String>,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

impl Blocked {
    /// As it is kept.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(damaged)
    }

    /// All authors that are not carried.
    ///
    /// # Errors
    /// A disk fault.
    pub fn all(store: &Store) -> Result<Vec<(Scid, Self)>, StoreError> {
        let rows = store.blocked_authors()?.into_iter();
        rows.map(|(scid, row)| Ok((scid, serde_json::from_slice(&row).map_err(damaged)?)))
            .collect()
    }
}

impl Hidden {
    /// As it is kept.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(damaged)
    }

    /// Why a record is not shown; `None` if it is.
    ///
    /// # Errors
    /// A disk fault.
    pub fn of(store: &Store, id: &RecordId) -> Result<Option<Self>, StoreError> {
        let row = store.hidden_record(id)?;
        row.map(|row| serde_json::from_slice(&row).map_err(damaged))
            .transpose()
    }
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        detail: format!("a choice of the operator: {error}"),
    }
}
