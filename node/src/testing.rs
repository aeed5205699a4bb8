//! A node for tests within this crate.

use std::sync::Arc;

use tempfile::TempDir;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::node::Node;

/// A node named `Test hub` that hosts an organisation, `org`, and does not serve; it is gone with its
/// folder.
pub(crate) async fn node_with_org(clock: SharedClock) -> (Arc<Node>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = toml::from_str("name = \"Test hub\"\nurl = \"http://127.0.0.1:8899\"").unwrap();
    let config = Config::check(folder.path(), settings).unwrap();
    Node::init(&config, Arc::clone(&clock)).await.unwrap();
    let node = Node::open(config, clock).unwrap();
    node.add_organization("org").await.unwrap();
    (node, folder)
}
