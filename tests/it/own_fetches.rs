//! Rows X: where a running node connects to, and where it never does.

use crate::support::author::Author;
use crate::support::hostile::{Hostile, answer, end_line, hold, log_line, record_line};
use crate::support::node::Node;
use crate::support::until;

fn silent() -> Hostile {
    Hostile::start(|_, stream| hold(stream))
}

/// Waits until an attempt with this peer has failed; gives why.
fn failure(node: &Node, url: &str) -> String {
    until(&format!("{url} has failed"), || {
        let peers = node.json(&["peers"]);
        let items = peers["items"].as_array().unwrap();
        let peer = items.iter().find(|peer| peer["url"] == url)?;
        peer["last_error"].as_str().map(str::to_owned)
    })
}

#[test]
fn x01_to_x04_and_x11_private_addresses_are_refused_before_connecting() {
    let inside = silent();
    let listed = silent();
    let port = inside.port;
    let node = Node::running(&[listed.port]);
    for (given, url) in [
        (
            format!("http://127.0.0.1:{port}"),
            format!("http://127.0.0.1:{port}"),
        ),
        (
            format!("https://127.0.0.1:{port}"),
            format!("https://127.0.0.1:{port}"),
        ),
        (
            format!("https://2130706433:{port}"),
            format!("https://127.0.0.1:{port}"),
        ),
        (
            format!("https://0x7f.1:{port}/"),
            format!("https://127.0.0.1:{port}"),
        ),
        (
            format!("https://0177.0.0.1:{port}"),
            format!("https://127.0.0.1:{port}"),
        ),
        (
            format!("https://localhost:{port}"),
            format!("https://localhost:{port}"),
        ),
        (
            format!("https://[::1]:{port}"),
            format!("https://[::1]:{port}"),
        ),
        (
            format!("https://[::ffff:127.0.0.1]:{port}"),
            format!("https://[::ffff:7f00:1]:{port}"),
        ),
        (
            format!("https://x.localhost:{port}"),
            format!("https://x.localhost:{port}"),
        ),
        ("https://0.0.0.0".into(), "https://0.0.0.0".into()),
        ("https://10.0.0.1".into(), "https://10.0.0.1".into()),
        ("https://172.16.0.1".into(), "https://172.16.0.1".into()),
        ("https://192.168.1.1".into(), "https://192.168.1.1".into()),
        (
            "https://169.254.169.254".into(),
            "https://169.254.169.254".into(),
        ),
        ("https://100.64.0.1".into(), "https://100.64.0.1".into()),
        ("https://[fe80::1]".into(), "https://[fe80::1]".into()),
        ("https://[fc00::1]".into(), "https://[fc00::1]".into()),
        (
            "https://255.255.255.255".into(),
            "https://255.255.255.255".into(),
        ),
        ("http://93.184.216.34".into(), "http://93.184.216.34".into()),
    ] {
        node.run(&["follow", &given]).ok();
        let reason = failure(&node, &url);
        assert!(!reason.is_empty(), "{given}");
    }
    assert_eq!(inside.connections(), 0);
    for wrong in [
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "https://user@hub.example",
        "nonsense nonsense",
    ] {
        node.run(&["follow", wrong])
            .refused("is not a node's address");
    }
    // It is the rule, and not the machine: the peer that is listed is reached.
    node.run(&["follow", &listed.url]).ok();
    until("the listed peer was asked", || {
        (listed.connections() > 0).then_some(())
    });
}

#[test]
fn x08_x10_redirects_to_other_places_and_without_end_are_not_followed() {
    let inside = silent();
    let target = inside.url.clone();
    let outwards = Hostile::start(move |_, stream| {
        let head = format!("302 Found\r\nlocation: {target}/sync/v1/changes");
        answer(stream, &head, "text/plain", b"");
    });
    let metadata = Hostile::start(|_, stream| {
        let head = "307 Temporary Redirect\r\nlocation: http://169.254.169.254/latest/meta-data/";
        answer(stream, head, "text/plain", b"");
    });
    let circle = Hostile::start(|first, stream| {
        let n = first.len();
        let head = format!(
            "302 Found\r\nlocation: /sync/v1/changes?since=feed-{n}&x={}",
            "y".repeat(n)
        );
        answer(stream, &head, "text/plain", b"");
    });
    let node = Node::running(&[outwards.port, metadata.port, circle.port]);
    for peer in [&outwards, &metadata, &circle] {
        node.run(&["follow", &peer.url]).ok();
        let reason = failure(&node, &peer.url);
        assert!(!reason.is_empty());
        assert!(peer.connections() > 0);
    }
    assert_eq!(inside.connections(), 0);
    assert!(
        circle.requests().len() <= 8,
        "{:?}",
        circle.requests().len()
    );
}

#[test]
fn x13_a_proxy_of_the_environment_is_not_used() {
    let proxy = silent();
    let author = Author::at("http://127.0.0.1:9");
    let peer = Hostile::feed(vec![
        log_line(1, &author.scid(), &author.log[0]),
        record_line(2, &author.record("x", 1, "Direct")),
        end_line(2),
    ]);
    let mut node = Node::make(&[peer.port]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        node.environment(name, &proxy.url);
    }
    node.start();
    node.run(&["follow", &peer.url]).ok();
    until("the record has arrived", || {
        (node.get(&author.path("x")).status == 200).then_some(())
    });
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_request_says_who_asks_and_carries_nothing_private() {
    let peer = silent();
    let node = Node::running(&[peer.port]);
    node.run(&["follow", &peer.url]).ok();
    let head = until("it was asked", || peer.requests().first().cloned());
    let head = head.to_ascii_lowercase();
    assert!(head.contains("user-agent: baraza/"), "{head}");
    for private in ["cookie", "authorization", "referer"] {
        assert!(!head.contains(private), "{head}");
    }
}
