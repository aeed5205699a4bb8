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

/// The key of each author that is here.
type Keys = BTreeMap<Scid, PublicKey>;

/// The keys that are here, read again when the folder has changed.
#[derive(Default)]
struct Known {
    read: Option<SystemTime>,
    keys: Arc<Keys>,
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

    /// The first record of these that only this node could have signed and that it does not know. Looks at
    /// files: once, however many they are.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) fn unknown<'r>(
        &self,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Option<RecordId>, StoreError> {
        let keys = match self.keys() {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!(%error, "whose keys are here is not known");
                return Ok(None);
            }
        };
        for record in records {
            if keys.get(record.header.author.scid()) != Some(&record.key) {
                continue;
            }
            let id = record.header.record_id();
            if record.header.seq > self.store.highest_seq(&id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn keys(&self) -> Result<Arc<Keys>, KeychainError> {
        let changed = self.keychain.changed()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read != Some(changed) {
            let signers = self.keychain.signers()?.into_iter();
            let keys = signers.map(|signer| (*signer.did.scid(), signer.key.public()));
            known.keys = Arc::new(keys.collect());
            known.read = Some(changed);
        }
        Ok(Arc::clone(&known.keys))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::canonical::to_canonical;
    use serde_json::{Value, json};

    use crate::clock::{Clock as _, SystemClock};
    use crate::config::{Config, Settings};
    use crate::node::Node;
    use crate::store::Receipt;

    /// A copy whose clock runs ahead makes what has to wait here; it is a copy all the same.
    #[tokio::test]
    async fn what_a_second_copy_made_is_noticed_one_by_one_and_in_a_batch_even_if_it_must_wait() {
        for is_batch in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let settings: Settings =
                toml::from_str("name = \"n\"\nurl = \"https://n.example\"").unwrap();
            let config = Config::check(folder.path(), settings).unwrap();
            Node::init(&config, Arc::new(SystemClock)).await.unwrap();
            let node = Node::open(config, Arc::new(SystemClock)).unwrap();
            node.add_organization("org").await.unwrap();
            let signer = node.keychain.signer("org").unwrap();
            let later = SystemClock.now().plus_seconds(7_200);
            let mut record = json!({
                "spec": "baraza/1", "type": "Offering", "author": signer.did.to_string(),
                "localId": "a", "seq": 5, "status": "active", "issued": later.to_string(),
                "licence": "CC-BY-4.0", "language": "en",
                "body": {"kind": "course", "name": {"en": "A course"}},
            });
            let tree = record.as_object_mut().unwrap();
            let method = format!("{}#{}", signer.did, signer.key.public());
            let proof = protocol::proof::sign(tree, &signer.key, &method, later);
            tree.insert("proof".to_owned(), proof.into());
            let line = to_canonical(&Value::Object(tree.clone()));
            let sender = || Some("https://m.example".into());
            // What the operator brings along is no stranger's.
            let own = node.ingest.record(&line, None).await.unwrap();
            assert_eq!(
                (own, node.standing.held().unwrap()),
                (Receipt::Parked, None)
            );
            match is_batch {
                true => drop(node.ingest.records(vec![line], sender(), []).await.unwrap()),
                false => drop(node.ingest.record(&line, sender()).await.unwrap()),
            }
            let held = node.standing.held().unwrap().unwrap();
            assert!(held.may_rotate(), "{held:?}");
            node.stop().await;
        }
    }
}
