//! Taking in activities that another node sends, against the sum of what each must cost, in one run:
//! `cargo bench --bench inbox`.
//!
//! The whole: an inbox is given requests, signed with RSA (RFC 9421), each with a proven activity around a
//! signed record, 32 at a time, and has answered when what they bring is durable. The parts, each alone on
//! the same requests and as many at a time: verifying the request's signature, reading the activity and
//! verifying its proof, and handing the record (its own proof included) to the one door of an empty store.
//! HTTP itself is in neither. They take turns; of each the best round counts.
//! Prints one JSON line. `BARAZA_BENCH_RECORDS` sets how many activities (2,000), `BARAZA_BENCH_ROUNDS` how
//! many rounds (3).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baraza::clock::{Clock as _, SystemClock};
use baraza::config::{Config, Settings};
use baraza::federation::actors::Local;
use baraza::federation::inbox::Request;
use baraza::federation::peers::Decided;
use baraza::ingest::Ingest;
use baraza::node::Node;
use baraza::store::{Receipt, Store};
use http::{HeaderMap, HeaderValue};
use protocol::activity::{Activity, Actor};
use protocol::httpsig::{
    Algorithm, DELIVERY_COMPONENTS, RequestParts, SigningOptions, Unsigned, content_digest,
};
use protocol::identity::WitnessProofs;
use protocol::record::Draft;
use serde_json::json;
use tokio::task::JoinSet;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SENDER: u16 = 9_492;
const RECEIVER: u16 = 9_493;
const AT_A_TIME: usize = 32;

/// One request to an inbox.
struct Signed {
    headers: HeaderMap,
    body: Vec<u8>,
    record: Vec<u8>,
}

fn main() {
    let count = support::setting("BARAZA_BENCH_RECORDS", 2_000);
    let rounds = support::setting("BARAZA_BENCH_ROUNDS", 3);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "{}",
        runtime.block_on(measure(folder.path(), count, rounds))
    );
}

async fn measure(folder: &Path, count: usize, rounds: usize) -> serde_json::Value {
    let sender = node(&folder.join("sender"), SENDER, RECEIVER).await;
    let founded = sender.add_organization("org").await.unwrap();
    publish(&sender, count).await;
    sender.serve().await.unwrap();
    let log = founded.entry.to_canonical_bytes();
    let [mut whole, mut http, mut proofs, mut door] = [(); 4].map(|()| Vec::new());
    for round in 0..rounds {
        let requests: Arc<Vec<Signed>> = Arc::new(sign_all(&sender));
        assert_eq!(requests.len(), count);
        let receiver = node(&folder.join(format!("receiver-{round}")), RECEIVER, SENDER).await;
        receiver
            .ingest
            .log_entry(&log, &WitnessProofs::empty())
            .await
            .unwrap();
        let allow =
            |peer: &mut baraza::federation::peers::Peer| peer.decided = Some(Decided::Allowed);
        let address = format!("http://127.0.0.1:{SENDER}");
        receiver.peers.change(&address, allow).await.unwrap();

        // What is kept of the sender's actor is fetched before.
        let actor = reqwest::Client::new().get(format!("{address}/actor"));
        let actor = actor
            .header("accept", "application/activity+json")
            .send()
            .await
            .unwrap();
        let actor = Arc::new(Actor::parse(&actor.bytes().await.unwrap()).unwrap());
        let first = &requests[0];
        receive(&receiver, first).await;

        let inbox = Arc::clone(&receiver);
        whole.push(
            each(&requests, move |signed| {
                let inbox = Arc::clone(&inbox);
                async move { receive(&inbox, signed).await }
            })
            .await,
        );
        let held = receiver.census().unwrap()["records"].as_u64().unwrap() as usize;
        assert!(held >= count, "{held} of {count} were kept");
        receiver.stop().await;

        let of_actor = Arc::clone(&actor);
        http.push(
            each(&requests, move |signed| {
                let actor = Arc::clone(&of_actor);
                async move { verify_request(signed, &actor) }
            })
            .await,
        );
        proofs.push(
            each(&requests, move |signed| {
                let actor = Arc::clone(&actor);
                async move {
                    let activity = Activity::parse(&signed.body).unwrap();
                    activity.check_proof(&actor).unwrap();
                }
            })
            .await,
        );
        let store =
            Arc::new(Store::open(&folder.join(format!("bare-{round}")), "b".to_owned()).unwrap());
        let ingest = Ingest::new(Arc::clone(&store), Arc::new(SystemClock));
        ingest
            .log_entry(&log, &WitnessProofs::empty())
            .await
            .unwrap();
        door.push(
            each(&requests, move |signed| {
                let ingest = ingest.clone();
                async move {
                    let receipt = ingest.record(&signed.record, None).await.unwrap();
                    assert!(receipt != Receipt::Parked);
                }
            })
            .await,
        );
        store.close();
    }
    sender.stop().await;
    let best = |times: &[Duration]| times.iter().min().unwrap().as_secs_f64();
    let sum = best(&http) + best(&proofs) + best(&door);
    let rate = |seconds: f64| support::rounded(count as f64 / seconds);
    json!({
        "benchmark": "inbox", "activities": count, "rounds": rounds,
        "is_optimised": !cfg!(debug_assertions),
        "whole_a_second": rate(best(&whole)), "http_signatures_a_second": rate(best(&http)),
        "activity_proofs_a_second": rate(best(&proofs)), "ingest_a_second": rate(best(&door)),
        "ratio": support::rounded(best(&whole) / sum),
    })
}

async fn node(folder: &Path, port: u16, peer: u16) -> Arc<Node> {
    std::fs::create_dir_all(folder).unwrap();
    let mut settings: Settings = toml::from_str(&format!(
        "name = \"Bench\"\nurl = \"http://127.0.0.1:{port}\""
    ))
    .unwrap();
    settings.listen = Some(format!("127.0.0.1:{port}"));
    settings.federation.insecure_peers = vec![format!("127.0.0.1:{peer}")];
    let config = Config::check(folder, settings).unwrap();
    Node::init(&config, Arc::new(SystemClock)).await.unwrap();
    Node::open(config, Arc::new(SystemClock)).unwrap()
}

async fn publish(node: &Node, count: usize) {
    let words = "what people learn in this course is written here at some length ".repeat(12);
    let draft = |number: usize| {
        let tree = json!({
            "type": "Offering", "localId": format!("r{number}"), "language": "en",
            "body": {"kind": "course", "name": {"en": format!("Course {number}")},
                     "description": {"en": words}, "areas": ["cyber"]},
        });
        Draft::new(tree.as_object().unwrap(), "CC-BY-4.0").unwrap()
    };
    let drafts: Vec<Draft> = (0..count).map(draft).collect();
    let signer = node.keychain.signer("org").unwrap();
    node.publisher
        .publish(&signer, &drafts, |_| {})
        .await
        .unwrap();
}

/// What the outbox would send of each record.
fn sign_all(sender: &Node) -> Vec<Signed> {
    let by = sender.actors.sending(&Local::Node).unwrap().unwrap();
    let inbox = format!("http://127.0.0.1:{RECEIVER}/inbox");
    let now = SystemClock.now();
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let (changed, read_to) = sender.store.changed_records(after, 500).unwrap();
        if changed.is_empty() && read_to == after {
            return all;
        }
        after = read_to;
        for (_, id) in changed {
            let row = sender.store.counting(&id).unwrap().unwrap();
            let activity = sender.actors.announcement(&Local::Node, &id, &row, now);
            let activity = by.prove(activity.unwrap().unwrap(), now);
            let body = serde_json::to_vec(&activity).unwrap();
            let digest = content_digest(&body);
            let covered = [("content-digest", digest.as_bytes())];
            let parts = RequestParts::new("POST", &inbox, &covered).unwrap();
            let mut options = SigningOptions::new(&by.http.key_id, now);
            let nonce = id.to_string();
            options.nonce = Some(&nonce);
            options.algorithm = Some(Algorithm::RsaV15Sha256);
            let unsigned = Unsigned::new(&parts, &DELIVERY_COMPONENTS, &options).unwrap();
            let signature = by.http.key.sign(unsigned.base()).unwrap();
            let signed = unsigned.finish(&signature);
            let mut headers = HeaderMap::new();
            let input = signed.signature_input.unwrap();
            for (name, value) in [
                ("content-digest", digest),
                ("signature-input", input),
                ("signature", signed.signature),
            ] {
                headers.insert(name, HeaderValue::from_str(&value).unwrap());
            }
            let record = row.canonical().unwrap();
            all.push(Signed {
                headers,
                body,
                record,
            });
        }
    }
}

async fn receive(node: &Node, signed: &Signed) {
    let request = Request {
        path_and_query: "/inbox",
        headers: &signed.headers,
        body: &signed.body,
    };
    node.inbox.receive(request).await.unwrap();
}

fn verify_request(signed: &Signed, actor: &Actor) {
    let headers: Vec<(&str, &[u8])> = signed
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let target = format!("http://127.0.0.1:{RECEIVER}/inbox");
    let parts = RequestParts::new("POST", &target, &headers).unwrap();
    let signatures = protocol::httpsig::read(&parts).unwrap();
    let signature = &signatures[0];
    signature
        .check_policy(&signed.body, SystemClock.now())
        .unwrap();
    let key = actor.rsa_key(signature.key_id()).unwrap();
    baraza::rsa::verify(signature, key).unwrap();
}

/// Does something with each request, so many at a time.
async fn each<Done>(
    requests: &Arc<Vec<Signed>>,
    work: impl Fn(&'static Signed) -> Done + Clone + Send + 'static,
) -> Duration
where
    Done: Future<Output = ()> + Send,
{
    // Tasks outlive no round; the requests of a few rounds are left in memory.
    let requests: &'static Vec<Signed> = Box::leak(Box::new(Arc::clone(requests)));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for first in 0..AT_A_TIME {
        let work = work.clone();
        workers.spawn(async move {
            for signed in requests.iter().skip(first).step_by(AT_A_TIME) {
                work(signed).await;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    start.elapsed()
}
