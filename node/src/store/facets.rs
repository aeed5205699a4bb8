//! Which filters a record met with versions that are held no more, so that who follows a part is told when
//! a record leaves it (docs/protocol.md, 4).
//!
//! What filters look at in a version is written down when another one takes its place and says something
//! else; of most records nothing is. Past versions that are kept tell it as well: for those that were
//! displaced by an earlier release, and for those whose key was dropped.

use protocol::canonical::{Numbers, parse};
use protocol::envelope::Status;
use protocol::id::{RecordId, Scid};
use protocol::limits::RECORD_BYTES_MAX;
use protocol::sync::Filter;
use protocol::verified::Record;
use serde_json::{Map, Value};

use super::rows::{HeldRow, corrupt};
use super::transaction::{Reader as _, Transaction};
use super::{Store, StoreError, keys};

/// Bytes that are kept of one record: some thirty versions that differ in their codes.
const ROW_BYTES_MAX: usize = 4_096;

/// In place of a row: too much was said to keep it apart, or it does not read. Every filter is met.
const ANYTHING: &[u8] = b"*";

/// Whether a filter wants a version of a record, by its bytes alone.
pub fn matches(filter: &Filter, author: &Scid, canonical: &[u8]) -> bool {
    tree_of(canonical).is_some_and(|tree| filter.wants(author, &tree))
}

fn tree_of(canonical: &[u8]) -> Option<Map<String, Value>> {
    match parse(canonical, RECORD_BYTES_MAX, Numbers::SafeIntegers) {
        Ok(Value::Object(tree)) => Some(tree),
        _ => None,
    }
}

/// Writes down what filters look at in a version that `newer` displaces, unless the newer one says the same.
pub(super) fn note(
    tx: &mut Transaction<'_>,
    id: &RecordId,
    displaced: &HeldRow,
    newer: &Record,
) -> Result<(), StoreError> {
    if displaced.status == Status::Withdrawn {
        return Ok(());
    }
    let before = match displaced.canonical() {
        Ok(canonical) => tree_of(&canonical).map(|tree| Filter::looks_at(&tree)),
        // A version that rotted here keeps no newer one out.
        Err(StoreError::Corrupt { .. }) => None,
        Err(error) => return Err(error),
    };
    if before
        .as_ref()
        .is_some_and(|before| *before == Filter::looks_at(&newer.tree()))
    {
        return Ok(());
    }
    let key = keys::facets(id);
    let mut all = match tx.get(&key)? {
        Some(row) if row == ANYTHING => return Ok(()),
        Some(row) => read(&row)?,
        None => Vec::new(),
    };
    let row = match before {
        Some(before) if all.contains(&before) => return Ok(()),
        Some(before) => {
            all.push(before);
            serde_json::to_vec(&all).map_err(|_| damaged())?
        }
        None => ANYTHING.to_vec(),
    };
    let is_bounded = row.len() <= ROW_BYTES_MAX;
    tx.put(key, if is_bounded { row } else { ANYTHING.to_vec() });
    Ok(())
}

fn read(row: &[u8]) -> Result<Vec<Map<String, Value>>, StoreError> {
    serde_json::from_slice(row).map_err(|_| damaged())
}

fn damaged() -> StoreError {
    corrupt("a row of what filters saw that does not read")
}

impl Store {
    /// Whether a version of a record goes to whoever asks with this filter: if it matches, or if any version
    /// of the record that was held here did, as far as that is known. So departures travel too.
    ///
    /// # Errors
    /// A disk fault.
    pub fn lets_through(
        &self,
        filter: &Filter,
        id: &RecordId,
        canonical: &[u8],
    ) -> Result<bool, StoreError> {
        if filter.is_all() || matches(filter, &id.author, canonical) {
            return Ok(true);
        }
        if !filter.wants_author(&id.author) {
            return Ok(false);
        }
        match self.engine.get(&keys::facets(id))? {
            Some(row) if row == ANYTHING => return Ok(true),
            Some(row) if read(&row)?.iter().any(|it| filter.wants(&id.author, it)) => {
                return Ok(true);
            }
            _ => {}
        }
        for version in self.history(id)? {
            if version.status == Status::Withdrawn {
                continue;
            }
            match version.canonical() {
                Ok(bytes) if matches(filter, &id.author, &bytes) => return Ok(true),
                Ok(_) | Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::id::LocalId;
    use protocol::record::Draft;
    use serde_json::json;
    use tempfile::TempDir;

    use super::super::engine::Batch;
    use super::*;
    use crate::clock::SystemClock;
    use crate::node::Node;
    use crate::testing::node_with_org;

    /// A node whose organisation says things of one record.
    struct Hub {
        node: Arc<Node>,
        id: RecordId,
        _folder: TempDir,
    }

    impl Hub {
        async fn new() -> Self {
            let (node, _folder) = node_with_org(Arc::new(SystemClock)).await;
            let id = RecordId {
                author: node.hosted("org").unwrap().unwrap(),
                local: LocalId::parse("a").unwrap(),
            };
            Self { node, id, _folder }
        }

        async fn publish(&self, draft: Draft) {
            let signer = self.node.keychain.signer("org").unwrap();
            let published = self.node.publisher.publish(&signer, &[draft], |_| {}).await;
            assert_eq!(published.unwrap().len(), 1);
        }

        async fn say(&self, areas: &[&str], topics: &[String]) {
            let draft = json!({
                "type": "Offering", "localId": "a", "language": "en",
                "body": {"kind": "course", "name": {"en": "A"}, "areas": areas, "topics": topics},
            });
            let draft = Draft::unchecked(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
            self.publish(draft).await;
        }

        async fn withdraw(&self) {
            self.publish(self.node.publisher.tombstone(&self.id).unwrap())
                .await;
        }

        /// Whether what counts now goes to whoever asks with this filter.
        fn lets_through(&self, filter: &str) -> bool {
            let row = self.node.store.counting(&self.id).unwrap().unwrap();
            let filter = Filter::parse(filter).unwrap();
            let bytes = row.canonical().unwrap();
            let store = &self.node.store;
            store.lets_through(&filter, &self.id, &bytes).unwrap()
        }

        fn row(&self) -> Option<Vec<u8>> {
            self.node.store.engine.get(&keys::facets(&self.id)).unwrap()
        }
    }

    #[tokio::test]
    async fn what_a_record_was_about_is_known_after_its_versions_are_gone() {
        let hub = Hub::new().await;
        hub.say(&["cyber"], &[]).await;
        hub.say(&["cyber"], &["dns".to_owned()]).await;
        for count in 0..40 {
            hub.say(&[["policy", "data-ai"][count % 2]], &[]).await;
        }
        assert!(hub.lets_through("area=cyber"));
        assert!(hub.lets_through("area=cyber&type=Offering"));
        assert!(!hub.lets_through("area=cyber&type=Solution"));
        assert!(!hub.lets_through("area=connectivity"));
        let other = Scid::of(b"x");
        assert!(!hub.lets_through(&format!("area=cyber&author={other}")));
        // Each is kept once.
        assert_eq!(read(&hub.row().unwrap()).unwrap().len(), 4);
        hub.node.stop().await;
    }

    #[tokio::test]
    async fn of_most_records_nothing_is_kept_and_of_none_more_than_its_bound() {
        let hub = Hub::new().await;
        hub.say(&["cyber"], &[]).await;
        assert_eq!(hub.row(), None);
        for number in 0..60 {
            let topics: Vec<String> = (0..20).map(|n| format!("topic-{number}-{n}")).collect();
            hub.say(&["policy"], &topics).await;
            let bytes = hub.row().unwrap().len();
            assert!(bytes <= ROW_BYTES_MAX, "{bytes}");
        }
        assert_eq!(hub.row().unwrap(), ANYTHING);
        assert!(hub.lets_through("area=connectivity&country=KE"));
        hub.node.stop().await;
    }

    #[tokio::test]
    async fn a_record_that_came_back_elsewhere_goes_to_those_who_had_it_alone() {
        let hub = Hub::new().await;
        hub.say(&["cyber"], &[]).await;
        hub.withdraw().await;
        assert!(hub.lets_through("area=cyber"));
        hub.say(&["policy"], &[]).await;
        assert!(hub.lets_through("area=cyber"));
        assert!(!hub.lets_through("area=data-ai"));
        hub.node.stop().await;
    }

    #[tokio::test]
    async fn a_store_of_an_earlier_release_tells_what_its_past_versions_tell() {
        let hub = Hub::new().await;
        hub.say(&["cyber"], &[]).await;
        hub.say(&["policy"], &[]).await;
        let forgotten = Batch::from([(keys::facets(&hub.id), None)]);
        hub.node.store.engine.commit(&forgotten).unwrap();
        assert!(hub.lets_through("area=cyber"));
        assert!(!hub.lets_through("area=data-ai"));
        hub.node.stop().await;
    }
}
