//! `baraza demo`: three nodes of three owners on this machine publish, exchange, verify and answer.
//!
//! The story is played over real sockets, and every figure is counted from what the nodes answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::record::Draft;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::bundle;
use crate::clock::{SharedClock, Stopwatch};
use crate::commands::{self, Command, Done, Import, ImportFrom};
use crate::config::{Config, Federation, Hosting, HostingPolicy, Publishing, Settings};
use crate::federation::client::{Client, StreamRequest};
use crate::keychain::new_key;
use crate::node::{Node, NodeError};

/// The organisations of the example catalogue, by the node that hosts them.
const HUB: [&str; 22] = [
    include_str!("../../examples/catalogue/hub/a2i-bangladesh.json"),
    include_str!("../../examples/catalogue/hub/adli.json"),
    include_str!("../../examples/catalogue/hub/african-union.json"),
    include_str!("../../examples/catalogue/hub/austrian-development-agency.json"),
    include_str!("../../examples/catalogue/hub/dial.json"),
    include_str!("../../examples/catalogue/hub/digital-egypt-youth.json"),
    include_str!("../../examples/catalogue/hub/e-governance-academy.json"),
    include_str!("../../examples/catalogue/hub/ebrd.json"),
    include_str!("../../examples/catalogue/hub/gfce.json"),
    include_str!("../../examples/catalogue/hub/giz.json"),
    include_str!("../../examples/catalogue/hub/govlab.json"),
    include_str!("../../examples/catalogue/hub/itu.json"),
    include_str!("../../examples/catalogue/hub/microsoft.json"),
    include_str!("../../examples/catalogue/hub/sierra-leone-ict-ministry.json"),
    include_str!("../../examples/catalogue/hub/smart-africa.json"),
    include_str!("../../examples/catalogue/hub/un-oict.json"),
    include_str!("../../examples/catalogue/hub/un-tech-envoy.json"),
    include_str!("../../examples/catalogue/hub/undp-egypt.json"),
    include_str!("../../examples/catalogue/hub/undp.json"),
    include_str!("../../examples/catalogue/hub/unicef.json"),
    include_str!("../../examples/catalogue/hub/world-bank.json"),
    include_str!("../../examples/catalogue/hub/world-economic-forum.json"),
];
const PROVIDER: [&str; 1] = [include_str!(
    "../../examples/catalogue/provider/diplofoundation.json"
)];
const AGGREGATOR: [&str; 1] = [include_str!(
    "../../examples/catalogue/aggregator/multistakeholder-network.json"
)];

/// How long the story waits for something to be seen before it says that it was not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a bundle that the demo reads.
const BUNDLE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How the demo is told.
pub(crate) struct Options {
    /// The first of three ports.
    pub(crate) port: u16,
    /// A file of more offerings.
    pub(crate) data: Option<PathBuf>,
    /// Whether it ends after the story.
    pub(crate) is_once: bool,
}

fn refused(error: impl std::fmt::Display) -> NodeError {
    NodeError::Refused(error.to_string())
}

/// The figures of the story, in the order in which they are printed.
#[derive(Serialize)]
struct Figures {
    nodes: u64,
    organizations: usize,
    records: u64,
    verified: u64,
    refused: u64,
    withdrawn: u64,
    found: u64,
    seconds: f64,
}

/// The nodes that stay up, where all three are, and a client that asks them as anyone could.
struct Stage {
    hub: Config,
    provider: Arc<Node>,
    aggregator: Arc<Node>,
    client: Client,
}

fn say(text: &str) {
    println!("{text}");
}

/// Tells the story.
///
/// # Errors
/// A port is taken, or a step did not go as the story says.
pub(crate) async fn run(options: Options, clock: SharedClock) -> Result<Done, NodeError> {
    let stopwatch = Stopwatch::start();
    let folder = std::env::temp_dir().join(format!("baraza-demo-{}", std::process::id()));
    let told = tell(&options, &folder, &clock, stopwatch).await;
    // The demo's nodes are made for it; what cannot be removed is in the machine's temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    told
}

async fn tell(
    options: &Options,
    folder: &std::path::Path,
    clock: &SharedClock,
    stopwatch: Stopwatch,
) -> Result<Done, NodeError> {
    say("Baraza: three nodes of three owners, on this machine.\n");
    let hub = start(options, folder, clock, 0, "Regional hub").await?;
    let stage = Stage {
        hub: hub.config.clone(),
        provider: start(options, folder, clock, 1, "DiploFoundation").await?,
        aggregator: start(options, folder, clock, 2, "Network view").await?,
        client: client(options)?,
    };
    say("1. Each owner publishes signed records on its own node.");
    publish(&hub, &HUB).await?;
    publish(&stage.provider, &PROVIDER).await?;
    publish(&stage.aggregator, &AGGREGATOR).await?;
    if let Some(data) = &options.data {
        import(&hub, data).await?;
    }
    for node in [&stage.hub, &stage.provider.config, &stage.aggregator.config] {
        let census = stage.census(node).await?;
        say(&format!(
            "   {:<16} {:>5} records by {} authors",
            node.settings.name,
            number(&census, "records"),
            number(&census, "authors")
        ));
    }

    say("\n2. The network view follows the other two, and checks every record it takes in.");
    // Counted before anything is exchanged.
    let mut published = 0;
    for node in [&stage.hub, &stage.provider.config, &stage.aggregator.config] {
        published += number(&stage.census(node).await?, "records");
    }
    for peer in [&stage.hub, &stage.provider.config] {
        command(
            &stage.aggregator,
            Command::Follow {
                url: peer.url.to_string(),
                filter: String::new(),
                every_hours: None,
            },
        )
        .await?;
    }
    stage
        .until("every record has arrived and is found", || async {
            let census = stage.census(&stage.aggregator.config).await?;
            Ok(number(&census, "records") == published && number(&census, "indexed") == published)
        })
        .await?;
    say(&format!(
        "   {published} records are there, each under its author's signature."
    ));

    say("\n3. Someone forges a record and hands it in.");
    let refusals = forge(&stage).await?;

    say("\n4. A provider moves to another host and keeps its identity and its records.");
    let moved = command(
        &stage.provider,
        Command::OrgMove {
            handle: "diplofoundation".to_owned(),
            invitation: None,
            to: stage.hub.url.to_string(),
        },
    )
    .await?;
    say(&format!(
        "   was {}\n   is  {}",
        text(&moved.json, "formerly"),
        text(&moved.json, "did")
    ));
    let scid = text(&moved.json, "scid").to_owned();
    let did = text(&moved.json, "did").to_owned();
    stage
        .until("the network view knows the new host", || async {
            Ok(stage.did_of(&scid).await? == did)
        })
        .await?;
    say("   the network view has seen it; nobody there did anything.");

    say("\n5. A withdrawn record is gone everywhere.");
    let withdrawn = withdraw(&stage, &hub).await?;

    say("\n6. The hub is switched off.");
    hub.stop().await;
    drop(hub);
    let checked = stage.check_bundle().await?;
    say(&format!(
        "   at the network view {} records by {} authors still verify, from their bytes and key logs alone.",
        checked.verified, checked.authors
    ));
    if !checked.refused.is_empty() || checked.without_log > 0 {
        return Err(refused(format!(
            "{} records did not verify: {:?}",
            checked.refused.len() as u64 + checked.without_log,
            checked.refused
        )));
    }
    let found = stage
        .get(&stage.aggregator.config, "/api/v1/search?q=cyber")
        .await?;
    say(&format!(
        "   a search for “cyber” there finds {}:",
        number(&found, "total")
    ));
    for item in found
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .take(3)
    {
        let author = item
            .pointer("/author/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        say(&format!("     · {} — {author}", text(item, "name")));
    }

    let census = stage.census(&stage.aggregator.config).await?;
    let figures = Figures {
        nodes: 3,
        organizations: stage.organizations().await?,
        records: number(&census, "records"),
        verified: checked
            .verified
            .saturating_sub(number(&census, "withdrawn")),
        refused: refusals,
        withdrawn,
        found: number(&found, "total"),
        seconds: (stopwatch.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    };
    if options.is_once {
        println!("\n{}", serde_json::to_string(&figures).map_err(refused)?);
    } else {
        println!("\nOpen these in a browser; the hub is started again for you:");
        let hub = start(options, folder, clock, 0, "Regional hub").await?;
        for node in [&hub, &stage.provider, &stage.aggregator] {
            println!("   {:<16} {}", node.config.settings.name, node.config.url);
        }
        println!("\nStop with Ctrl-C.");
        crate::cli::until_signal().await?;
        hub.stop().await;
    }
    stage.provider.stop().await;
    stage.aggregator.stop().await;
    // The figures are printed already: they are the last line.
    Ok(Done {
        text: String::new(),
        json: Value::Null,
        is_complete: true,
    })
}

fn ports(options: &Options) -> [u16; 3] {
    [0, 1, 2].map(|step| options.port.saturating_add(step))
}

/// The names under which the demo's nodes reach each other without TLS.
fn insecure_peers(options: &Options) -> Vec<String> {
    ports(options)
        .iter()
        .flat_map(|port| {
            [
                format!("127.0.0.1:{port}"),
                format!("node.localhost:{port}"),
            ]
        })
        .collect()
}

fn client(options: &Options) -> Result<Client, NodeError> {
    let peers = ports(options)
        .map(|port| ("127.0.0.1".to_owned(), port))
        .into();
    Ok(Client::new(peers, "Baraza demo")?)
}

async fn start(
    options: &Options,
    folder: &std::path::Path,
    clock: &SharedClock,
    place: usize,
    name: &str,
) -> Result<Arc<Node>, NodeError> {
    let port = ports(options).get(place).copied().unwrap_or_default();
    let settings = Settings {
        name: name.to_owned(),
        url: format!("http://127.0.0.1:{port}"),
        language: "en".to_owned(),
        country: None,
        listen: None,
        trusted_proxies: Vec::new(),
        requests_per_minute: None,
        publishing: Publishing::default(),
        federation: Federation {
            insecure_peers: insecure_peers(options),
            // The story counts what its organisations publish.
            announce: false,
            ..Federation::default()
        },
        hosting: Hosting {
            policy: HostingPolicy::Open,
            ..Hosting::default()
        },
    };
    let config = Config::check(&folder.join(port.to_string()), settings)?;
    if !config.folder.exists() {
        Node::init(&config, Arc::clone(clock)).await?;
    }
    let node = Node::open(config, Arc::clone(clock))?;
    node.serve().await?;
    Ok(node)
}

async fn command(node: &Arc<Node>, command: Command) -> Result<Done, NodeError> {
    let (progress, mut steps) = mpsc::channel(64);
    let ignore = tokio::spawn(async move { while steps.recv().await.is_some() {} });
    let done = commands::run(node, command, &progress).await;
    drop(progress);
    // It ends by itself with the last sender.
    let _ = ignore.await;
    done
}

async fn publish(node: &Arc<Node>, files: &[&str]) -> Result<(), NodeError> {
    for file in files {
        let file: Value = serde_json::from_str(file).map_err(refused)?;
        let handle = text(&file, "handle").to_owned();
        let name = file
            .pointer("/records/0/body/name/en")
            .and_then(Value::as_str)
            .unwrap_or(&handle)
            .to_owned();
        command(
            node,
            Command::OrgAdd {
                handle: handle.clone(),
                name,
            },
        )
        .await?;
        command(
            node,
            Command::Publish {
                handle,
                drafts: vec![file],
            },
        )
        .await?;
    }
    Ok(())
}

async fn import(hub: &Arc<Node>, data: &std::path::Path) -> Result<(), NodeError> {
    command(
        hub,
        Command::OrgAdd {
            handle: "imported".to_owned(),
            name: "Imported offerings".to_owned(),
        },
    )
    .await?;
    let import = Import {
        from: ImportFrom::File(std::path::absolute(data).map_err(refused)?),
        handle: "imported".to_owned(),
        set: vec!["kind=course".to_owned()],
        good_rows: true,
        ..Import::default()
    };
    let done = command(hub, Command::Import(import)).await?;
    let count = |name: &str| {
        done.json
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let last = format!("{} new, {} refused", count("new"), count("refused"));
    say(&format!("   from {}: {last}", data.display()));
    Ok(())
}

/// A record in a provider's name, signed by a stranger's key; and the provider's own, with a word
/// changed. Gives how many were refused.
async fn forge(stage: &Stage) -> Result<u64, NodeError> {
    let victim = stage.provider.keychain.signer("diplofoundation")?;
    let thief = new_key()?;
    let draft = json!({
        "type": "Offering", "localId": "free-money",
        "body": {"kind": "funding", "name": {"en": "Send us your bank details"}},
    });
    let draft = Draft::new(
        draft
            .as_object()
            .ok_or_else(|| refused("a draft is an object"))?,
        "CC-BY-4.0",
    )
    .map_err(refused)?;
    let strange = draft
        .sign(&victim.did, 1, stage.provider.clock.now(), &thief)
        .map_err(refused)?;
    let genuine = stage
        .get(
            &stage.provider.config,
            &format!(
                "/api/v1/records/{}/digital-policy-training",
                victim.did.scid()
            ),
        )
        .await?;
    let altered = genuine
        .to_string()
        .replacen("\"kind\":\"course\"", "\"kind\":\"funding\"", 1);
    let mut refusals = 0;
    for (what, record) in [
        ("under a stranger's key", strange.canonical().to_vec()),
        ("with one word changed", altered.into_bytes()),
    ] {
        let kind = [("content-type", "application/json".to_owned())];
        let answer = stage
            .client
            .post(
                &stage.provider.config.address("/api/v1/records"),
                &kind,
                record,
            )
            .await?;
        if answer.is_success() {
            say(&format!(
                "   {what}: kept aside until the author's key log lists that key; shown nowhere"
            ));
        } else {
            refusals += 1;
            say(&format!("   {what}: refused, {}", answer.reason()));
        }
    }
    let shown = stage
        .client
        .document(
            &stage
                .provider
                .config
                .address(&format!("/api/v1/records/{}/free-money", victim.did.scid())),
            "application/json",
        )
        .await;
    if shown.is_ok() {
        return Err(refused("a forged record is shown"));
    }
    Ok(refusals)
}

/// Withdraws one offering of the hub's; gives how many tombstones the network view has then.
async fn withdraw(stage: &Stage, hub: &Arc<Node>) -> Result<u64, NodeError> {
    let found = stage
        .get(&stage.hub, "/api/v1/search?q=&type=Offering&limit=100")
        .await?;
    let own: Vec<String> = hub
        .keychain
        .signers()?
        .iter()
        .map(|signer| signer.did.scid().to_string())
        .collect();
    let items = found
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let item = items.iter().find(|item| {
        own.iter()
            .any(|own| item.pointer("/author/id").and_then(Value::as_str) == Some(own))
    });
    let item = item.ok_or_else(|| refused("the hub shows no offering of its own"))?;
    let id = text(item, "id").to_owned();
    let before = number(&stage.census(&stage.aggregator.config).await?, "withdrawn");
    command(hub, Command::Withdraw { id: id.clone() }).await?;
    stage
        .until("the tombstone has arrived", || async {
            Ok(number(&stage.census(&stage.aggregator.config).await?, "withdrawn") > before)
        })
        .await?;
    say(&format!(
        "   “{}” is withdrawn by its author; the network view answers “gone” for it.",
        text(item, "name")
    ));
    Ok(number(
        &stage.census(&stage.aggregator.config).await?,
        "withdrawn",
    ))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn number(value: &Value, member: &str) -> u64 {
    value
        .get(member)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

impl Stage {
    async fn get(&self, node: &Config, path: &str) -> Result<Value, NodeError> {
        let document = self
            .client
            .document(&node.address(path), "application/json")
            .await?;
        serde_json::from_slice(&document.bytes).map_err(refused)
    }

    async fn census(&self, node: &Config) -> Result<Value, NodeError> {
        self.get(node, "/api/v1/node").await
    }

    /// Authors at the network view that say who they are.
    async fn organizations(&self) -> Result<usize, NodeError> {
        let answer = self
            .get(&self.aggregator.config, "/api/v1/organizations")
            .await?;
        let items = answer.get("items").and_then(Value::as_array);
        let with_profile = |item: &&Value| item.get("hasProfile") == Some(&Value::Bool(true));
        Ok(items.map_or(0, |items| items.iter().filter(with_profile).count()))
    }

    async fn did_of(&self, scid: &str) -> Result<String, NodeError> {
        let answer = self
            .get(&self.aggregator.config, "/api/v1/organizations")
            .await?;
        let items = answer.get("items").and_then(Value::as_array);
        let author = items.and_then(|items| items.iter().find(|item| text(item, "id") == scid));
        Ok(author
            .map(|author| text(author, "did").to_owned())
            .unwrap_or_default())
    }

    /// Checks the network view's whole bundle as a stranger would: with nothing but its bytes.
    async fn check_bundle(&self) -> Result<bundle::Checked, NodeError> {
        let address = self
            .aggregator
            .config
            .address("/sync/v1/changes?limit=1000");
        let mut bundle = Vec::new();
        let mut since = String::new();
        loop {
            let request = StreamRequest::get(format!("{address}{since}"), BUNDLE_BYTES_MAX);
            let mut lines = self.client.lines(request).await?;
            let mut last = String::new();
            let mut count = 0;
            while let Some(line) = lines.next().await? {
                let cursor = protocol::sync::Line::read(&line).map_err(refused)?.1;
                last = cursor
                    .map(|cursor| format!("&since={cursor}"))
                    .unwrap_or_default();
                bundle.extend_from_slice(&line);
                bundle.push(b'\n');
                count += 1;
            }
            if count <= 1 {
                break;
            }
            since = last;
        }
        bundle::check(bundle.as_slice(), self.aggregator.clock.now()).map_err(refused)
    }

    /// Asks again until it is so.
    async fn until<F>(&self, what: &str, mut is_so: impl FnMut() -> F) -> Result<(), NodeError>
    where
        F: Future<Output = Result<bool, NodeError>>,
    {
        let stopwatch = Stopwatch::start();
        while !is_so().await? {
            if stopwatch.elapsed() > PATIENCE {
                return Err(refused(format!(
                    "after {} seconds: not yet “{what}”",
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
