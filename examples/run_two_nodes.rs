//! Two nodes of two owners on this machine: what is published on the first is found on the second.
//!
//! `cargo run -p baraza-examples --example run_two_nodes [FIRST-PORT]`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baraza::clock::SystemClock;
use baraza::commands::{self, Command, Done};
use baraza::config::{Config, Federation, Hosting, Publishing, Settings};
use baraza::node::Node;
use baraza_examples::Failed;
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let port: u16 = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 8811,
    };
    let ports = [port, port + 1];
    let folder = tempfile::tempdir()?;
    let school = start(folder.path(), "School", ports[0], ports).await?;
    let library = start(folder.path(), "Library", ports[1], ports).await?;
    println!(
        "school   {}\nlibrary  {}",
        school.config.url, library.config.url
    );

    // The library takes in what the school has, from now on.
    let url = school.config.url.to_string();
    let follow = Command::Follow {
        url,
        filter: String::new(),
        every_hours: None,
    };
    run(&library, follow).await?;
    println!("follows  the library reads the school's log");

    let (handle, name) = ("welders".to_owned(), "School of Welding".to_owned());
    run(&school, Command::OrgAdd { handle, name }).await?;
    let draft = json!({
        "type": "Offering", "localId": "welding-101",
        "body": {"kind": "course", "name": {"en": "Introduction to welding"}, "countries": ["SN"]},
    });
    let (handle, drafts) = ("welders".to_owned(), vec![draft]);
    run(&school, Command::Publish { handle, drafts }).await?;
    println!("publish  one offering, signed, at the school");

    for _ in 0..600 {
        let (query, language) = ("q=welding&type=Offering".to_owned(), None);
        let found = run(&library, Command::Search { query, language })
            .await?
            .json;
        if let Some(item) = found.pointer("/items/0") {
            println!("found    {} {} at the library", item["name"], item["id"]);
            school.stop().await;
            library.stop().await;
            return Ok(());
        }
        // A program that serves would not wait: it would answer with what it has.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the library has not found it within a minute".into())
}

/// A node in a folder of its own. On one machine nodes talk by plain http, which each must allow.
async fn start(folder: &Path, name: &str, port: u16, peers: [u16; 2]) -> Result<Arc<Node>, Failed> {
    let insecure_peers = peers.map(|port| format!("127.0.0.1:{port}")).to_vec();
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
            insecure_peers,
            ..Federation::default()
        },
        hosting: Hosting::default(),
    };
    let config = Config::check(&folder.join(name), settings)?;
    Node::init(&config, Arc::new(SystemClock)).await?;
    let node = Node::open(config, Arc::new(SystemClock))?;
    node.serve().await?;
    Ok(node)
}

/// What `baraza` does with the command that is typed.
async fn run(node: &Arc<Node>, command: Command) -> Result<Done, Failed> {
    let (progress, mut steps) = mpsc::channel(64);
    let ignore = tokio::spawn(async move { while steps.recv().await.is_some() {} });
    let done = commands::run(node, command, &progress).await;
    drop(progress);
    ignore.await?;
    let done = done?;
    match done.is_complete {
        true => Ok(done),
        false => Err(format!("not all of it was done: {}", Value::to_string(&done.json)).into()),
    }
}
