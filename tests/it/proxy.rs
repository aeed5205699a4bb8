//! A node behind nginx, by the configuration that `docs/proxy/nginx.conf` gives operators.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::author::{Author, hand_in};
use crate::support::client::{self, Answer, request};
use crate::support::node::{Node, port};
use crate::support::{PATIENCE, sources, started, until};

/// Asks for what never comes, so that each request waits until it is ended.
const WAITING: &str =
    "/sync/v1/changes?filter=author%3DQmewKjFyWZFXsJMDrynVwYWGtCkJtFp3riYNHEYKi9boGm&wait=";

/// As many requests of one visitor may wait.
const PLACES: usize = 64;

struct Nginx {
    process: Child,
    folder: TempDir,
    /// Where visitors from this machine reach the proxy.
    url: String,
    /// Where the same proxy is reached from another address, by somebody who lies about it.
    elsewhere: String,
}

impl Nginx {
    /// Before a node that listens at `behind`; `None` where there is no nginx.
    fn before(behind: u16, at: u16) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let elsewhere = port();
        let shipped = fs::read_to_string(sources().join("docs/proxy/nginx.conf")).unwrap();
        // What operators are told to change, and nothing else.
        let mut ours = shipped;
        for (from, to) in [
            ("127.0.0.1:8080;", format!("127.0.0.1:{behind};")),
            ("listen 80;", format!("listen 127.0.0.1:{at};")),
            (
                "server_name hub.example;",
                "server_name 127.0.0.1;".to_owned(),
            ),
        ] {
            assert_eq!(ours.matches(from).count(), 1, "{from}");
            ours = ours.replace(from, &to);
        }
        fs::write(folder.path().join("baraza.conf"), ours).unwrap();
        let path = folder.path().display();
        let around = format!(
            "daemon off; pid {path}/pid; error_log {path}/errors;
             events {{ worker_connections 1024; }}
             http {{
               access_log {path}/requests;
               client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
               fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
               include {path}/baraza.conf;
               server {{
                 listen 127.0.0.1:{elsewhere}; access_log off;
                 location / {{
                   proxy_pass http://127.0.0.1:{at}; proxy_bind 127.0.0.2;
                   proxy_set_header Host 127.0.0.1:{at};
                   proxy_set_header X-Forwarded-For \"203.0.113.$connection, 127.0.0.1\";
                 }}
               }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        // Its workers are another user if it is started by root; that user must reach the folder.
        let user = if is_root() { "user root; " } else { "" };
        fs::write(&file, format!("{user}{around}")).unwrap();
        let process = Command::new("nginx")
            .arg("-e")
            .arg(folder.path().join("errors"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            println!("skipped: there is no nginx on this machine");
            return None;
        };
        let mut nginx = Self {
            process,
            url: format!("http://127.0.0.1:{at}"),
            elsewhere: format!("http://127.0.0.1:{elsewhere}"),
            folder,
        };
        until("nginx listens", || {
            let ended = nginx.process.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", nginx.file("errors"));
            TcpStream::connect(("127.0.0.1", at)).ok()
        });
        Some(nginx)
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Whether a request for `what` went through with this status.
    fn passed(&self, what: &str, status: u16) -> bool {
        let end = format!("\" {status} ");
        let requests = self.file("requests");
        requests
            .lines()
            .any(|line| line.contains(what) && line.contains(&end))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends the workers.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- nginx: {}\n{}",
                self.file("errors"),
                self.file("requests")
            );
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

/// A node whose address is that of a proxy, and the proxy.
fn behind_nginx(peer: u16) -> Option<(Nginx, Node)> {
    let [at, behind] = [port(), port()];
    let nginx = Nginx::before(behind, at)?;
    let mut node = Node::make_on(at, &[at, peer]);
    node.host_anyone();
    let settings = format!("listen = \"127.0.0.1:{behind}\"\ntrusted_proxies = [\"127.0.0.1\"]");
    node.edit(
        "language = \"en\"",
        &format!("language = \"en\"\n{settings}"),
    );
    node.start();
    Some((nginx, node))
}

/// One more request than may wait, each on a connection of its own: gives the connections once one was refused.
fn one_too_many(url: &str, host: &str, header: impl Fn(usize) -> String) -> Vec<TcpStream> {
    let (answered, answers) = std::sync::mpsc::channel();
    let one = |n| {
        let mut stream = client::connect(url).unwrap();
        let more = header(n);
        let head =
            format!("GET {WAITING}30 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let (mut reader, answered) = (stream.try_clone().unwrap(), answered.clone());
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = reader.read_to_end(&mut answer);
            // The test may be over.
            let _ = answered.send(client::read(&answer));
        });
        stream
    };
    let held: Vec<TcpStream> = (0..=PLACES).map(one).collect();
    // The others have no answer for half a minute.
    let refused = answers.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_refused(&refused);
    held
}

fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.code(), "too-many-waiting");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_node_behind_nginx_serves_people_authors_and_followers_as_one_without() {
    let mut friend = Node::make(&[]);
    let Some((nginx, node)) = behind_nginx(friend.port) else {
        return;
    };
    friend.edit(
        "insecure_peers = []",
        &format!("insecure_peers = [\"127.0.0.1:{}\"]", node.port),
    );
    friend.start();

    // Publishing by a signed record, and a record that is too large for anyone.
    let author = Author::hosted(&nginx.url);
    let record = author.record("tides", 1, "Reading the tides");
    assert_eq!(hand_in(&nginx.url, &record).status, 201);
    let path = format!("/api/v1/organizations/{}/log", author.scid());
    let log = vec![b' '; 1_500_000];
    assert_ne!(client::post(&nginx.url, &path, &log).status, 413);
    let before = node.state_hash();
    assert_eq!(hand_in(&nginx.url, &vec![b' '; 300_000]).status, 413);
    assert_eq!(node.state_hash(), before);

    // Pages and search, and links by the configured address.
    node.until_found("q=tides", 1);
    let page = node.get("/en/search?q=tides");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Reading the tides"));
    let found = node.get("/api/v1/search?q=tides").json();
    let url = found["items"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&nginx.url), "{url}");

    // What the node packed arrives packed.
    let packed = [("accept-encoding", "zstd")];
    let feed = request(&nginx.url, "GET", "/sync/v1/changes", &packed, &[]);
    assert_eq!(feed.header("content-encoding"), Some("zstd"));
    let feed = String::from_utf8(zstd::decode_all(&feed.body[..]).unwrap()).unwrap();
    assert!(feed.contains("Reading the tides"));

    // Who waits for news has them when they come.
    let end = feed.lines().last().unwrap();
    let end: serde_json::Value = serde_json::from_str(end).unwrap();
    let news = format!(
        "/sync/v1/changes?wait=30&since={}",
        end["cursor"].as_str().unwrap()
    );
    let start = started();
    let told = std::thread::scope(|scope| {
        let follower = scope.spawn(|| client::get(&nginx.url, &news));
        let second = author.record("reefs", 1, "Mapping reefs");
        assert_eq!(hand_in(&nginx.url, &second).status, 201);
        follower.join().unwrap()
    });
    assert!(told.text().contains("Mapping reefs"), "{}", told.text());
    assert!(start.elapsed().as_secs() < 25, "{:?}", start.elapsed());

    // Both follow each other: requests that are signed for the node's address go through the proxy.
    friend.org("school");
    node.befriend(&friend);
    node.until_equal(&friend);
    until("the friend's follow was taken", || {
        let followers = node.get("/followers").json();
        (followers["totalItems"] == 1).then_some(())
    });
    until("the node's own follow was accepted", || {
        let followers = friend.get("/followers").json();
        (followers["totalItems"] == 1).then_some(())
    });
    let draft = json!({
        "type": "Offering", "localId": "welding",
        "body": {"kind": "course", "name": {"en": "Welding under water"}},
    });
    friend.publish("school", &draft);
    node.until_found("q=welding", 1);
    until("it was delivered, signed, through the proxy", || {
        nginx.passed("POST /inbox", 202).then_some(())
    });
    assert!(!nginx.passed("POST /inbox", 401));
    assert!(nginx.passed("GET /sync/v1/changes", 200));
}

#[test]
fn h13_behind_a_proxy_each_visitor_is_counted_by_its_own_address_and_not_by_what_it_says() {
    let Some((nginx, node)) = behind_nginx(port()) else {
        return;
    };
    let host = client::authority(&nginx.url);
    // Each says that it is somebody else; they are all one.
    let held = one_too_many(&nginx.elsewhere, host, |_| String::new());
    let ask = |url: &str| client::get(url, &format!("{WAITING}1"));
    assert_refused(&ask(&nginx.elsewhere));
    // Others wait as before, and who does not wait is served.
    assert_eq!(ask(&node.url).status, 200);
    assert_eq!(
        client::get(&nginx.elsewhere, "/sync/v1/changes").status,
        200
    );
    for stream in held {
        // It may have been answered.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    until("places are free again", || {
        (ask(&nginx.elsewhere).status == 200).then_some(())
    });
}

#[test]
fn h13_without_a_trusted_proxy_the_forwarded_address_is_not_read() {
    let node = Node::running(&[]);
    let host = client::authority(&node.url);
    let forged = |n: usize| format!("x-forwarded-for: 203.0.113.{n}\r\n");
    let _held = one_too_many(&node.url, host, forged);
    let headers = [("x-forwarded-for", "198.51.100.7")];
    assert_refused(&request(
        &node.url,
        "GET",
        &format!("{WAITING}1"),
        &headers,
        &[],
    ));
    assert_eq!(node.get("/sync/v1/changes").status, 200);
}

#[test]
fn a_trusted_proxy_that_is_no_address_is_refused_with_what_to_write() {
    let mut node = Node::make(&[]);
    node.edit(
        "language = \"en\"",
        "language = \"en\"\ntrusted_proxies = [\"proxy.example\"]",
    );
    node.start_refused()
        .refused("“proxy.example”: list addresses");
}
