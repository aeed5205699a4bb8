//! One record delivered to many hosts, against a loop that signs, digests and posts the same body with
//! bare reqwest, in one run: `cargo bench --bench fan_out`.
//!
//! Each host is an address of the loopback network (127.0.x.y) with one follower of the node; all are
//! answered by one listener in this process, with 202 and no body. The two take turns, each with as many
//! requests under way as the outbox has; of each the best round counts. The rate is that of hosts from
//! the record being published until it is noted that the last host has it. What the product does beside
//! (reading the log, proving, checking addresses, writing a cursor for each host) is what is measured.
//! Prints one JSON line. `BARAZA_BENCH_HOSTS` sets how many hosts (1,000), `BARAZA_BENCH_ROUNDS` how many
//! rounds (3). Linux only: other systems answer at 127.0.0.1 alone.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use baraza::clock::{Clock as _, SystemClock};
use baraza::config::{Config, Settings};
use baraza::federation::actors::Local;
use baraza::federation::courier::HttpSigner;
use baraza::federation::followers::Follower;
use baraza::node::Node;
use http::StatusCode;
use protocol::activity::MEDIA_TYPE;
use protocol::httpsig::{
    Algorithm, DELIVERY_COMPONENTS, RequestParts, SigningOptions, Unsigned, content_digest,
};
use protocol::record::Draft;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PORT: u16 = 9_490;
const OWN: u16 = 9_491;
/// As many as the outbox has jobs.
const AT_A_TIME: usize = 32;

#[derive(Clone, Default)]
struct Sink(Arc<Received>);

#[derive(Default)]
struct Received {
    count: AtomicUsize,
    wanted: AtomicUsize,
    all: Notify,
    body: Mutex<Bytes>,
}

impl Sink {
    async fn serve(self) {
        let router = axum::Router::new().fallback(take).with_state(self);
        let address = SocketAddr::from(([0, 0, 0, 0], PORT));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    }

    fn expect(&self, wanted: usize) {
        self.0.count.store(0, Ordering::SeqCst);
        self.0.wanted.store(wanted, Ordering::SeqCst);
    }
}

async fn take(State(sink): State<Sink>, body: Bytes) -> StatusCode {
    let received = &sink.0;
    if received.count.fetch_add(1, Ordering::SeqCst) + 1 == received.wanted.load(Ordering::SeqCst) {
        *received.body.lock().unwrap() = body;
        received.all.notify_one();
    }
    StatusCode::ACCEPTED
}

fn main() {
    let hosts = support::setting("BARAZA_BENCH_HOSTS", 1_000);
    let rounds = support::setting("BARAZA_BENCH_ROUNDS", 3);
    assert!(hosts <= 60_000, "127.0.x.y has no more addresses");
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let line = runtime.block_on(measure(folder.path(), hosts, rounds));
    println!("{line}");
}

async fn measure(folder: &Path, hosts: usize, rounds: usize) -> serde_json::Value {
    let sink = Sink::default();
    tokio::spawn(sink.clone().serve());
    let addresses: Vec<String> = (0..hosts)
        .map(|n| format!("127.0.{}.{}:{PORT}", n / 250 + 1, n % 250 + 1))
        .collect();
    let node = node(folder, &addresses).await;
    for address in &addresses {
        let actor = format!("http://{address}/actor");
        let followed = node.actors.id(&Local::Node);
        let inbox = format!("http://{address}/inbox");
        let mut follower =
            Follower::new(&actor, followed, &format!("{actor}#follow"), &inbox).unwrap();
        follower.is_answered = true;
        node.outbox.accept(follower).await.unwrap();
    }
    let sending = tokio::spawn({
        let node = Arc::clone(&node);
        async move { node.outbox.run(node.stopping()).await }
    });
    let bare = Arc::new(reqwest::Client::new());
    let signer = Arc::new(node.actors.http_signer(&Local::Node));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut memory = Vec::new();
    // In the first round, which does not count, connections are opened and hosts become known.
    for round in 0..=rounds {
        memory.push(anonymous_memory());
        sink.expect(hosts);
        let start = Instant::now();
        publish(&node, round).await;
        sink.0.all.notified().await;
        let last = node.store.last_change().unwrap();
        while !node
            .deliveries
            .all()
            .iter()
            .all(|(_, row)| row.told_to >= last)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ours.push(start.elapsed());
        let body = sink.0.body.lock().unwrap().clone();
        sink.expect(hosts);
        let start = Instant::now();
        post_all(&bare, &signer, &addresses, &body).await;
        sink.0.all.notified().await;
        theirs.push(start.elapsed());
    }
    let after = anonymous_memory();
    let bytes = sink.0.body.lock().unwrap().len();
    let failed = node.deliveries.all();
    assert!(
        failed.iter().all(|(_, row)| row.failures == 0),
        "a host failed"
    );
    node.stop().await;
    sending.await.unwrap();
    let best = |times: &[Duration]| times[1..].iter().min().unwrap().as_secs_f64();
    let (ours_best, theirs_best) = (best(&ours), best(&theirs));
    let rate = |seconds: f64| support::rounded(hosts as f64 / seconds);
    json!({
        "benchmark": "fan_out", "hosts": hosts, "rounds": rounds, "body_bytes": bytes,
        "is_optimised": !cfg!(debug_assertions),
        "first_s": support::seconds(ours[0]),
        "hosts_a_second": rate(ours_best), "bare_hosts_a_second": rate(theirs_best),
        "ratio": support::rounded(theirs_best / ours_best),
        // Of the node, the listener and the bare loop together, once all connections had been made.
        "memory_before_bytes": memory[1], "memory_after_bytes": after,
    })
}

async fn node(folder: &Path, addresses: &[String]) -> Arc<Node> {
    let mut settings: Settings = toml::from_str(&format!(
        "name = \"Bench\"\nurl = \"http://127.0.0.1:{OWN}\""
    ))
    .unwrap();
    settings.federation.insecure_peers = addresses.to_vec();
    let config = Config::check(folder, settings).unwrap();
    Node::init(&config, Arc::new(SystemClock)).await.unwrap();
    let node = Node::open(config, Arc::new(SystemClock)).unwrap();
    node.add_organization("org").await.unwrap();
    node
}

/// A record of some 1.5 kB.
async fn publish(node: &Node, round: usize) {
    let words = "what people learn in this course is written here at some length ".repeat(15);
    let tree = json!({
        "type": "Offering", "localId": format!("r{round}"), "language": "en",
        "body": {"kind": "course", "name": {"en": format!("Course {round}")},
                 "description": {"en": words}, "areas": ["cyber"]},
    });
    let draft = Draft::new(tree.as_object().unwrap(), "CC-BY-4.0").unwrap();
    let signer = node.keychain.signer("org").unwrap();
    node.publisher
        .publish(&signer, &[draft], |_| {})
        .await
        .unwrap();
}

/// What remains without a queue, a log, cursors and checks of addresses.
async fn post_all(
    client: &Arc<reqwest::Client>,
    signer: &Arc<HttpSigner>,
    addresses: &[String],
    body: &Bytes,
) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    for (number, address) in addresses.iter().enumerate() {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (client, signer, body) = (Arc::clone(client), Arc::clone(signer), body.clone());
        let inbox = format!("http://{address}/inbox");
        tokio::spawn(async move {
            let digest = content_digest(&body);
            let covered = [("content-digest", digest.as_bytes())];
            let request = RequestParts::new("POST", &inbox, &covered).unwrap();
            let mut options = SigningOptions::new(&signer.key_id, SystemClock.now());
            let nonce = number.to_string();
            options.nonce = Some(&nonce);
            options.algorithm = Some(Algorithm::RsaV15Sha256);
            let unsigned = Unsigned::new(&request, &DELIVERY_COMPONENTS, &options).unwrap();
            let signature = signer.key.sign(unsigned.base()).unwrap();
            let signed = unsigned.finish(&signature);
            let answer = client
                .post(&inbox)
                .header("content-type", MEDIA_TYPE)
                .header("content-digest", digest)
                .header("signature-input", signed.signature_input.unwrap())
                .header("signature", signed.signature)
                .body(body)
                .send()
                .await
                .unwrap();
            assert!(answer.status().is_success());
            drop(place);
        });
    }
}

fn anonymous_memory() -> u64 {
    support::process::anonymous_memory_of(std::process::id())
}
