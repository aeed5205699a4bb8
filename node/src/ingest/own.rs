//! Noticing that somebody else publishes with the keys that are here.
//!
//! What this node publishes is here before anybody else has it. So a version that came from elsewhere, is
//! signed by a key of this node and is newer than all that it knows was made by a second copy of it, or by
//! itself before it lost some of its memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use protocol::id::{RecordId, Scid};
use protocol::key::PublicKey;
use protocol::verified::Record;

use crate::keychain::{self, Keychain, KeychainError};
use crate::standing::{Standing, Why};
use crate::store::{Store, StoreError};

/// The keys that are here, read again when the folder has changed.
#[derive(Default)]
struct Known {
    read: Option<SystemTime>,
    keys: BTreeMap<Scid, PublicKey>,
}

/// Whoever watches over this node's own authors.
#[derive(Clone)]
pub struct Watch {
    store: Arc<Store>,
    keychain: Keychain,
    standing: Standing,
    known: Arc<Mutex<Known>>,
}

impl Watch {
    /// Watches over the authors of a keychain.
    pub fn new(store: Arc<Store>, keychain: Keychain, standing: Standing) -> Self {
        Self {
            store,
            keychain,
            standing,
            known: Arc::default(),
        }
    }

    /// The record, if it is one that only this node could have signed and that it does not know.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) fn unknown(&self, record: &Record) -> Result<Option<RecordId>, StoreError> {
        let signs = match self.signs(record) {
            Ok(signs) => signs,
            Err(error) => {
                tracing::error!(%error, "whose keys are here is not known");
                false
            }
        };
        if !signs {
            return Ok(None);
        }
        let id = record.header.record_id();
        let is_newer = record.header.seq > self.store.highest_seq(&id)?;
        Ok(is_newer.then_some(id))
    }

    fn signs(&self, record: &Record) -> Result<bool, KeychainError> {
        let changed = self.keychain.changed()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read != Some(changed) {
            let signers = self.keychain.signers()?.into_iter();
            known.keys = signers
                .map(|signer| (*signer.did.scid(), signer.key.public()))
                .collect();
            known.read = Some(changed);
        }
        Ok(known.keys.get(record.header.author.scid()) == Some(&record.key))
    }

    /// Publishes nothing more until it is settled who goes on.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) async fn hold(&self, id: RecordId) -> Result<(), StoreError> {
        let held = self.standing.held()?;
        if held.is_some_and(|held| !matches!(held.why, Why::Clock { .. })) {
            return Ok(());
        }
        tracing::error!(
            %id,
            "a version came that was signed with a key of this node and that it did not make: another node runs with the same keys, or this one is an older copy. It publishes nothing until that is settled"
        );
        let Ok(mark) = keychain::random_name() else {
            return Err(StoreError::Closed);
        };
        let why = Why::SecondCopy { id: id.to_string() };
        self.standing.hold(why, mark).await
    }
}
