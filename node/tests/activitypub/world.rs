//! Nodes and strangers on loopback, and requests of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener as PortFinder};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use baraza::clock::{SharedClock, SystemClock};
use baraza::commands::{self, Command, Done};
use baraza::config::{Config, Federation, Hosting, HostingPolicy, Publishing, Settings};
use baraza::federation::client::Client;
use baraza::keychain::{Keychain, Signer};
use baraza::node::Node;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use protocol::activity::{self, MEDIA_TYPE};
use protocol::httpsig::{
    DELIVERY_COMPONENTS, RequestParts, SigningOptions, content_digest, sign_ed25519,
};
use protocol::id::{LocalId, RecordId};
use protocol::identity::LogEntry;
use protocol::identity::write::Place;
use protocol::key::SecretKey;
use protocol::record::Draft;
use protocol::time::Timestamp;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

/// How long a test waits for something to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ports that were free a moment ago: a node's address is part of its identity, so it cannot take
/// whichever it gets.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let finders: Vec<PortFinder> = (0..count)
        .map(|_| PortFinder::bind(("127.0.0.1", 0)).unwrap())
        .collect();
    finders
        .iter()
        .map(|finder| finder.local_addr().unwrap().port())
        .collect()
}

pub(crate) fn now() -> Timestamp {
    baraza::clock::Clock::now(&SystemClock)
}

fn insecure(ports: &[u16]) -> Vec<String> {
    ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect()
}

/// A client that reaches these ports.
pub(crate) fn client(ports: &[u16]) -> Client {
    let peers: BTreeSet<(String, u16)> = ports
        .iter()
        .map(|port| ("127.0.0.1".to_owned(), *port))
        .collect();
    Client::new(peers, "a test").unwrap()
}

/// Makes or opens the node at a port, and serves.
pub(crate) async fn start(folder: &Path, port: u16, peers: &[u16]) -> Arc<Node> {
    start_by(Arc::new(SystemClock), folder, port, peers).await
}

/// As [`start`], by a clock of one's own.
pub(crate) async fn start_by(
    clock: SharedClock,
    folder: &Path,
    port: u16,
    peers: &[u16],
) -> Arc<Node> {
    start_with(Federation::default(), clock, folder, port, peers).await
}

/// As [`start_by`], with settings about other nodes.
pub(crate) async fn start_with(
    federation: Federation,
    clock: SharedClock,
    folder: &Path,
    port: u16,
    peers: &[u16],
) -> Arc<Node> {
    let settings = Settings {
        name: format!("Node {port}"),
        url: format!("http://127.0.0.1:{port}"),
        language: "en".to_owned(),
        country: None,
        listen: None,
        trusted_proxies: Vec::new(),
        requests_per_minute: None,
        publishing: Publishing::default(),
        federation: Federation {
            insecure_peers: insecure(peers),
            // These tests count what organisations say.
            announce: false,
            ..federation
        },
        hosting: Hosting {
            policy: HostingPolicy::Open,
            ..Hosting::default()
        },
    };
    let config = Config::check(&folder.join(port.to_string()), settings).unwrap();
    if !config.folder.exists() {
        Node::init(&config, Arc::clone(&clock)).await.unwrap();
    }
    let node = Node::open(config, clock).unwrap();
    node.serve().await.unwrap();
    node
}

pub(crate) async fn run(node: &Arc<Node>, command: Command) -> Done {
    let (progress, mut steps) = mpsc::channel(64);
    let ignore = tokio::spawn(async move { while steps.recv().await.is_some() {} });
    let done = commands::run(node, command, &progress).await.unwrap();
    drop(progress);
    ignore.await.unwrap();
    done
}

pub(crate) async fn add_organization(node: &Arc<Node>, handle: &str) {
    let command = Command::OrgAdd {
        handle: handle.to_owned(),
        name: format!("The {handle}"),
    };
    run(node, command).await;
}

pub(crate) fn offering(local: &str, name: &str) -> Value {
    json!({
        "type": "Offering", "localId": local, "language": "en",
        "body": {"kind": "course", "name": {"en": name}},
    })
}

pub(crate) async fn publish(node: &Arc<Node>, handle: &str, draft: Value) -> RecordId {
    let command = Command::Publish {
        handle: handle.to_owned(),
        drafts: vec![draft],
    };
    let done = run(node, command).await;
    RecordId::parse(done.json["id"].as_str().unwrap()).unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("it was not seen that {what}");
    }
}

/// A server that is not ours: it serves what the test says and keeps what it is sent.
pub(crate) struct Stranger {
    pub(crate) port: u16,
    pub(crate) key: SecretKey,
    pages: Arc<Pages>,
}

#[derive(Default)]
struct Pages {
    served: Mutex<BTreeMap<String, (String, String)>>,
    asked: Mutex<Vec<String>>,
    received: Mutex<Vec<Value>>,
    /// Every request with its headers and body.
    heard: Mutex<Vec<Heard>>,
    /// Whether requests are refused that are signed by RFC 9421, and those that are not signed.
    is_older: AtomicBool,
    is_locked: AtomicBool,
    /// What the inbox answers; 0 for 202.
    inbox_status: AtomicU16,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Stranger {
    /// Serves an honest actor at `/actor`.
    pub(crate) async fn start(port: u16) -> Self {
        let pages = Arc::new(Pages::default());
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
            .await
            .unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&pages));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let stranger = Self {
            port,
            key: SecretKey::from_seed(&[u8::try_from(port % 251).unwrap(); 32]),
            pages,
        };
        stranger.serve("/actor", MEDIA_TYPE, &stranger.document("/actor"));
        stranger
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn actor(&self) -> String {
        self.address("/actor")
    }

    pub(crate) fn key_id(&self) -> String {
        activity::key_id(&self.actor(), &self.key.public())
    }

    /// An honest document of the actor at a path.
    pub(crate) fn document(&self, path: &str) -> Value {
        let id = self.address(path);
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": id, "type": "Application", "inbox": self.address("/inbox"),
            "assertionMethod": [activity::multikey(&id, &self.key.public())],
        })
    }

    pub(crate) fn serve(&self, path: &str, media_type: &str, document: &Value) {
        let page = (media_type.to_owned(), document.to_string());
        self.pages
            .served
            .lock()
            .unwrap()
            .insert(path.to_owned(), page);
    }

    /// Makes its inbox answer with a status from now on; 0 for 202.
    pub(crate) fn answer_with(&self, status: u16) {
        self.pages.inbox_status.store(status, Ordering::SeqCst);
    }

    /// Makes its inbox refuse what is signed by RFC 9421.
    pub(crate) fn know_only_cavage(&self) {
        self.pages.is_older.store(true, Ordering::SeqCst);
    }

    /// Shows its documents only to those who sign.
    pub(crate) fn lock(&self) {
        self.pages.is_locked.store(true, Ordering::SeqCst);
    }

    /// What it was asked, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.pages.heard.lock().unwrap().clone()
    }

    /// How often its inbox was sent something.
    pub(crate) fn knocks(&self) -> usize {
        self.asked().iter().filter(|path| *path == "/inbox").count()
    }

    /// What was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.pages.asked.lock().unwrap().clone()
    }

    /// What came to its inbox.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.pages.received.lock().unwrap().clone()
    }

    /// An identity of its own, whose log `node` takes in.
    pub(crate) async fn identity(&self, node: &Node, folder: &Path, handle: &str) -> Signer {
        let (signer, entry) = self.found(folder, handle);
        node.ingest
            .log_entry(&entry.to_canonical_bytes(), &Default::default())
            .await
            .unwrap();
        signer
    }

    /// An identity that was made before.
    pub(crate) fn signer(&self, folder: &Path, handle: &str) -> Signer {
        let keychain = Keychain::open(&folder.join(format!("keys-{}", self.port))).unwrap();
        keychain.signer(handle).unwrap()
    }

    fn found(&self, folder: &Path, handle: &str) -> (Signer, LogEntry) {
        let keychain = Keychain::open(&folder.join(format!("keys-{}", self.port))).unwrap();
        let place = Place::new("node.localhost", Some(self.port), &["orgs", handle]).unwrap();
        let founded = keychain.found(handle, place, now()).unwrap();
        (keychain.signer(handle).unwrap(), founded.entry)
    }

    /// An activity of its own, not proven.
    pub(crate) fn activity(&self, kind: &str, object: Value) -> Value {
        let mut byte = [0; 8];
        getrandom::fill(&mut byte).unwrap();
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": self.address(&format!("/activities/{}", u64::from_be_bytes(byte))),
            "type": kind, "actor": self.actor(), "object": object,
        })
    }

    /// An activity that carries a record as its own.
    pub(crate) fn wrapped(&self, kind: &str, record: &Value) -> Value {
        let object = json!({
            "id": self.address("/records/1"), "type": "Document", "attributedTo": self.actor(),
            "barazaRecord": record,
        });
        self.activity(kind, object)
    }

    pub(crate) fn proven(&self, activity: &Value) -> Value {
        let activity: Map<String, Value> = activity.as_object().unwrap().clone();
        activity::prove(activity, &self.actor(), &self.key, now()).into()
    }

    /// A request signed as it should be.
    pub(crate) fn signed(&self, target: &str, activity: &Value) -> Signed {
        Signed::by(
            &self.key,
            &self.key_id(),
            target,
            activity.to_string().into_bytes(),
        )
    }
}

async fn answer(
    State(pages): State<Arc<Pages>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    pages.asked.lock().unwrap().push(uri.path().to_owned());
    pages.heard.lock().unwrap().push(Heard {
        method,
        path: uri.path().to_owned(),
        headers: headers.clone(),
        body: body.clone(),
    });
    let is_newer = headers.contains_key("signature-input");
    let is_signed = headers.contains_key("signature");
    if (pages.is_older.load(Ordering::SeqCst) && is_newer)
        || (pages.is_locked.load(Ordering::SeqCst) && !is_signed)
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if uri.path() == "/inbox" {
        let status = pages.inbox_status.load(Ordering::SeqCst);
        if let Ok(status) = StatusCode::from_u16(status) {
            return status.into_response();
        }
        let activity = serde_json::from_slice(&body).unwrap_or_default();
        pages.received.lock().unwrap().push(activity);
        return StatusCode::ACCEPTED.into_response();
    }
    match pages.served.lock().unwrap().get(uri.path()) {
        Some((kind, text)) => {
            ([(header::CONTENT_TYPE, kind.clone())], text.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A request, ready to be sent or spoilt.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Signed {
    pub(crate) fn by(key: &SecretKey, key_id: &str, target: &str, body: Vec<u8>) -> Self {
        let nonce = baraza::keychain::random_name().unwrap();
        let mut options = SigningOptions::new(key_id, now());
        options.nonce = Some(&nonce);
        Self::with(key, target, body, &DELIVERY_COMPONENTS, &options)
    }

    pub(crate) fn with(
        key: &SecretKey,
        target: &str,
        body: Vec<u8>,
        components: &[&str],
        options: &SigningOptions<'_>,
    ) -> Self {
        let digest = content_digest(&body);
        let covered = [("content-digest", digest.as_bytes())];
        let request = RequestParts::new("POST", target, &covered).unwrap();
        let signed = sign_ed25519(&request, components, options, key).unwrap();
        Self {
            headers: vec![
                ("content-type", MEDIA_TYPE.to_owned()),
                ("content-digest", digest.clone()),
                ("signature-input", signed.signature_input.unwrap()),
                ("signature", signed.signature),
            ],
            body,
        }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.remove(name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn remove(&mut self, name: &str) -> &mut Self {
        self.headers.retain(|(given, _)| *given != name);
        self
    }

    pub(crate) fn get(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(given, _)| *given == name);
        found.unwrap().1.clone()
    }

    /// Sends it; gives status and code.
    pub(crate) async fn send(&self, client: &Client, target: &str) -> (u16, String) {
        let answer = client
            .post(target, &self.headers, self.body.clone())
            .await
            .unwrap();
        let problem: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        (answer.status, code)
    }
}

/// A record signed by `signer`.
pub(crate) fn record(signer: &Signer, local: &str, seq: u64, name: &str) -> Value {
    record_of(signer, &offering(local, name), seq)
}

/// A draft signed by `signer`.
pub(crate) fn record_of(signer: &Signer, draft: &Value, seq: u64) -> Value {
    let draft = Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
    sign(signer, &draft, seq)
}

pub(crate) fn tombstone(signer: &Signer, local: &str, seq: u64) -> Value {
    let local = LocalId::parse(local).unwrap();
    sign(
        signer,
        &Draft::withdrawal("Offering", local, "CC-BY-4.0"),
        seq,
    )
}

fn sign(signer: &Signer, draft: &Draft, seq: u64) -> Value {
    let envelope = draft.sign(&signer.did, seq, now(), &signer.key).unwrap();
    serde_json::from_slice(envelope.canonical()).unwrap()
}

/// The version of a signer's record that counts at a node.
pub(crate) fn seq_at(node: &Node, signer: &Signer, local: &str) -> Option<u64> {
    let id = RecordId {
        author: *signer.did.scid(),
        local: LocalId::parse(local).unwrap(),
    };
    node.store.counting(&id).unwrap().map(|row| row.rank.seq)
}

/// A node `n` and two strangers that it may ask.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) n: Arc<Node>,
    pub(crate) m: Stranger,
    pub(crate) p: Stranger,
    pub(crate) client: Client,
    pub(crate) ports: Vec<u16>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Federation::default(), Arc::new(SystemClock)).await
    }

    /// With settings about other nodes and a clock at `n`.
    pub(crate) async fn with(federation: Federation, clock: SharedClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports(4);
        let n = start_with(federation, clock, folder.path(), ports[0], &ports).await;
        Self {
            folder,
            n,
            m: Stranger::start(ports[1]).await,
            p: Stranger::start(ports[2]).await,
            client: client(&ports),
            ports,
        }
    }

    pub(crate) fn inbox(&self) -> String {
        self.n.config.address("/inbox")
    }

    /// Sends an activity of `m`, signed as it should be.
    pub(crate) async fn m_sends(&self, activity: &Value) -> (u16, String) {
        self.m_sends_bytes(activity.to_string().into_bytes()).await
    }

    /// Sends whatever bytes, signed by `m` as they should be.
    pub(crate) async fn m_sends_bytes(&self, body: Vec<u8>) -> (u16, String) {
        let inbox = self.inbox();
        Signed::by(&self.m.key, &self.m.key_id(), &inbox, body)
            .send(&self.client, &inbox)
            .await
    }
}

/// A server that takes connections and never says anything.
pub(crate) struct Silent {
    open: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

impl Silent {
    pub(crate) async fn start(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
            .await
            .unwrap();
        let silent = Self {
            open: Arc::default(),
            accepted: Arc::default(),
        };
        let (open, accepted) = (Arc::clone(&silent.open), Arc::clone(&silent.accepted));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    // Until the other side goes.
                    let mut ignored = [0; 1_024];
                    while socket.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        silent
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Hands a request to a node's inbox without a socket; gives the status.
pub(crate) async fn through_router(node: Arc<Node>, request: Signed) -> u16 {
    let mut builder = http::Request::post("/inbox").header("host", node.config.authority());
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    let request = builder.body(Body::from(request.body)).unwrap();
    let answer = baraza::web::router(node).oneshot(request).await.unwrap();
    answer.status().as_u16()
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(crate) fn taken() -> (u16, String) {
    (202, String::new())
}

/// A `Follow` of the node's actor.
pub(crate) fn follow(world: &World) -> Value {
    world
        .m
        .activity("Follow", world.n.config.address("/actor").into())
}

/// How many follow the node's actor.
pub(crate) fn followers(world: &World) -> usize {
    world.n.followers.count(&world.n.config.address("/actor"))
}
