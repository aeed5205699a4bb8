//! Deliveries over sockets: to hosts that take, refuse, or never answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::time::Duration;

use axum::extract::State;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use protocol::record::Draft;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Settings};
use crate::federation::actors::Local;
use crate::federation::deliveries::{Deliveries, Delivery};
use crate::federation::followers::Follower;
use crate::node::Node;

/// For what comes over loopback on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host that tells of each delivery by its path, and answers all with one status, once it has taken so
/// many.
pub(super) struct Sink {
    pub(super) url: String,
    pub(super) heard: mpsc::UnboundedReceiver<String>,
    status: Arc<AtomicU16>,
}

#[derive(Clone)]
struct Answers {
    heard: mpsc::UnboundedSender<String>,
    takes: Arc<AtomicI64>,
    status: Arc<AtomicU16>,
}

impl Sink {
    pub(super) async fn answering(status: u16) -> Self {
        Self::taking(0, status).await
    }

    async fn taking(first: i64, status: u16) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listener.await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(status));
        let answers = Answers {
            heard: sender,
            takes: Arc::new(AtomicI64::new(first)),
            status: Arc::clone(&status),
        };
        let router = axum::Router::new().fallback(answer).with_state(answers);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard, status }
    }

    /// Answers with this status from now on.
    pub(super) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    async fn hears(&mut self) -> String {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv());
        heard.await.unwrap().unwrap()
    }
}

async fn answer(State(answers): State<Answers>, uri: Uri) -> (StatusCode, HeaderMap) {
    answers.heard.send(uri.path().to_owned()).unwrap();
    let status = match answers.takes.fetch_sub(1, Ordering::SeqCst) > 0 {
        true => StatusCode::ACCEPTED,
        false => StatusCode::from_u16(answers.status.load(Ordering::SeqCst)).unwrap(),
    };
    let mut headers = HeaderMap::new();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("900"));
    }
    (status, headers)
}

/// A node that may deliver to these hosts; it delivers while the test runs.
async fn node(hosts: &[&str]) -> (Arc<Node>, TempDir) {
    node_at("http://127.0.0.1:8899", Arc::new(SystemClock), hosts).await
}

/// As [`node`], at an address and by a clock.
pub(super) async fn node_at(url: &str, clock: SharedClock, hosts: &[&str]) -> (Arc<Node>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings: Settings = toml::from_str(&format!("name = \"n\"\nurl = \"{url}\"")).unwrap();
    let authorities = hosts.iter().map(|host| host.replace("http://", ""));
    settings.federation.insecure_peers = authorities.collect();
    let config = Config::check(folder.path(), settings).unwrap();
    Node::init(&config, Arc::clone(&clock)).await.unwrap();
    let node = Node::open(config, clock).unwrap();
    node.add_organization("org").await.unwrap();
    (node, folder)
}

pub(super) fn deliver(node: &Arc<Node>) {
    let node = Arc::clone(node);
    tokio::spawn(async move { node.outbox.run(node.stopping()).await });
}

pub(super) fn follower(node: &Node, host: &str, name: &str) -> Follower {
    let actor = format!("{host}/{name}");
    let followed = node.actors.id(&Local::Node);
    let follow = format!("{actor}#follow");
    let mut follower = Follower::new(&actor, followed, &follow, &format!("{host}/inbox")).unwrap();
    follower.is_answered = true;
    follower
}

pub(super) async fn publish(node: &Node, local: &str) {
    let tree = json!({
        "type": "Offering", "localId": local,
        "body": {"kind": "course", "name": {"en": local}, "areas": ["cyber"]},
    });
    let draft = Draft::new(tree.as_object().unwrap(), "CC-BY-4.0").unwrap();
    let signer = node.keychain.signer("org").unwrap();
    let drafts = [draft];
    let published = node.publisher.publish(&signer, &drafts, |_| {});
    published.await.unwrap();
}

/// Waits until something holds of how it stands with a host.
async fn until(node: &Node, host: &str, holds: impl Fn(&Delivery) -> bool) {
    let wait = async {
        while !node.deliveries.get(host).is_some_and(|row| holds(&row)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn f22_a_thousand_followers_behind_one_shared_inbox_get_one_delivery_an_activity() {
    let mut sink = Sink::answering(202).await;
    let (node, _folder) = node(&[&sink.url]).await;
    for n in 0..1_000 {
        let follower = follower(&node, &sink.url, &format!("people/{n}"));
        node.outbox.accept(follower).await.unwrap();
    }
    deliver(&node);
    for local in ["a", "b"] {
        publish(&node, local).await;
        assert_eq!(sink.hears().await, "/inbox");
        let last = node.store.last_change().unwrap();
        until(&node, &sink.url, |row| row.told_to >= last).await;
        assert!(sink.heard.try_recv().is_err(), "{local} came twice");
    }
    let row = node.deliveries.get(&sink.url).unwrap();
    assert!(row.last_taken.is_some());
    assert_eq!((row.failures, row.last_error), (0, None));
    node.stop().await;
}

#[tokio::test]
async fn f23_a_host_that_never_answers_does_not_keep_others_waiting() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let silent = silent.await.unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let mut sinks = Vec::new();
    for _ in 0..3 {
        sinks.push(Sink::answering(202).await);
    }
    let mut hosts: Vec<&str> = sinks.iter().map(|sink| sink.url.as_str()).collect();
    hosts.push(&silent_url);
    let (node, _folder) = node(&hosts).await;
    for host in hosts {
        let follower = follower(&node, host, "actor");
        node.outbox.accept(follower).await.unwrap();
    }
    deliver(&node);
    publish(&node, "first").await;
    let (_held, _) = tokio::time::timeout(PATIENCE, silent.accept())
        .await
        .unwrap()
        .unwrap();
    // While it says nothing, the others get the first and what comes after it.
    for sink in &mut sinks {
        sink.hears().await;
    }
    publish(&node, "second").await;
    for sink in &mut sinks {
        sink.hears().await;
    }
    let row = node.deliveries.get(&silent_url).unwrap();
    assert_eq!(
        (row.failures, row.last_taken),
        (0, None),
        "it was given up before"
    );
    // And it is backed off from.
    until(&node, &silent_url, |row| row.failures == 1).await;
    let row = node.deliveries.get(&silent_url).unwrap();
    assert!(row.last_error.is_some() && row.next_attempt.is_some());
    node.stop().await;
}

#[tokio::test]
async fn a_host_that_is_busy_says_for_how_long_and_is_believed_after_a_restart() {
    let mut sink = Sink::answering(503).await;
    let (node, _folder) = node(&[&sink.url]).await;
    let follower = follower(&node, &sink.url, "actor");
    node.outbox.accept(follower).await.unwrap();
    deliver(&node);
    publish(&node, "a").await;
    sink.hears().await;
    until(&node, &sink.url, |row| row.failures == 1).await;
    let now = node.clock.now();
    let opened = Deliveries::open(Arc::clone(&node.store), now).unwrap();
    for deliveries in [&node.deliveries, &opened] {
        let row = deliveries.get(&sink.url).unwrap();
        let next = row.next_attempt(now).unwrap();
        assert!(next.unix_seconds() - now.unix_seconds() > 880, "{row:?}");
        assert_eq!(row.last_error.as_deref(), Some("it answered 503"));
        assert!(row.behind(node.store.last_change().unwrap()) > 0);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_host_that_took_something_before_it_was_busy_has_failed_once() {
    let mut sink = Sink::taking(1, 429).await;
    let (node, _folder) = node(&[&sink.url]).await;
    let follower = follower(&node, &sink.url, "actor");
    node.outbox.accept(follower).await.unwrap();
    let away = node
        .deliveries
        .note_failed(&sink.url, "away", None, node.clock.now());
    assert_eq!(away.await.unwrap().failures, 1);
    node.deliveries.try_now(&sink.url);
    publish(&node, "a").await;
    let first = node.store.last_change().unwrap();
    publish(&node, "b").await;
    deliver(&node);
    for _ in 0..2 {
        sink.hears().await;
    }
    until(&node, &sink.url, |row| row.last_taken.is_some()).await;
    until(&node, &sink.url, |row| row.failures > 0).await;
    let row = node.deliveries.get(&sink.url).unwrap();
    // Otherwise one that takes a little each time would be given up, with all that waits for it.
    assert_eq!(row.failures, 1);
    assert!(row.told_to >= first, "{row:?}");
    assert!(row.behind(node.store.last_change().unwrap()) > 0);
    node.stop().await;
}
