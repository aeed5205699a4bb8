//! Whom the client refuses to ask: X01 to X13 and X16.

use std::process::Command;

use super::server::{Request, Server};
use super::{Book, EXPIRED, VALID, build, client_of, stranger, stranger_at};
use crate::federation::client::{Client, FetchError, StreamRequest};

async fn code_of(client: &Client, url: &str) -> &'static str {
    match client.document(url, "*/*").await {
        Ok(_) => "fetched",
        Err(error) => error.code(),
    }
}

async fn hello(request: Request) {
    request.answer("200 OK", "", "hello").await;
}

#[tokio::test]
async fn literal_addresses_that_are_not_public_are_refused_before_connecting() {
    let book = Book::of(&[&["1.1.1.1"]]);
    let client = build(stranger(&book));
    for host in [
        // X01
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "node.localhost",
        "LOCALHOST",
        // X02
        "[::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        // X03
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "0x7f000001",
        "127.0.0.1.",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "%31%32%37.0.0.1",
        // X04
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ] {
        let url = format!("https://{host}/");
        assert_eq!(code_of(&client, &url).await, "private-address", "{url}");
        let posted = client.post(&url, &[], Vec::new()).await;
        assert_eq!(posted.unwrap_err().code(), "private-address", "{url}");
        let signed = client.get_signed(&url, &[]).await;
        assert_eq!(signed.unwrap_err().code(), "private-address", "{url}");
        let lines = client.lines(StreamRequest::get(&url, 1)).await;
        assert_eq!(lines.err().unwrap().code(), "private-address", "{url}");
    }
    assert_eq!(book.asked(), 0);
}

#[tokio::test]
async fn what_is_no_https_address_at_port_443_is_refused() {
    let book = Book::of(&[&["1.1.1.1"]]);
    let client = build(stranger(&book));
    let long = format!("https://hub.example/{}", "a".repeat(5_000));
    for (url, code) in [
        ("http://hub.example/", "not-https"), // X11
        ("http://hub.example:443/", "not-https"),
        ("ftp://hub.example/", "not-https"),
        ("ws://hub.example/", "not-https"),
        ("gopher://hub.example:443/", "not-https"),
        ("https://hub.example:22/", "port-not-allowed"), // X12
        ("https://hub.example:25/", "port-not-allowed"),
        ("https://hub.example:6379/", "port-not-allowed"),
        ("https://hub.example:80/", "port-not-allowed"),
        ("https://hub.example:8443/", "port-not-allowed"),
        ("https://user@hub.example/", "not-an-address"),
        ("https://:secret@hub.example/", "not-an-address"),
        ("https://hub.example@127.0.0.1/", "not-an-address"),
        ("https://intranet/", "not-an-address"),
        ("https://hub.example./", "not-an-address"),
        ("file:///etc/passwd", "not-an-address"),
        ("unix:/run/docker.sock", "not-an-address"),
        ("data:text/plain,hello", "not-an-address"),
        ("hub.example", "not-an-address"),
        ("https://", "not-an-address"),
        ("https://[fe80::1%25eth0]/", "not-an-address"),
        ("https://hub.example:99999/", "not-an-address"),
        ("", "not-an-address"),
        (&long, "not-an-address"),
    ] {
        assert_eq!(code_of(&client, url).await, code, "{url}");
    }
    assert_eq!(book.asked(), 0);
    let error = client.document("https://:secret@hub.example/", "*/*").await;
    assert!(!error.unwrap_err().to_string().contains("secret"));
}

#[tokio::test]
async fn a_name_with_any_private_answer_is_refused_whole() {
    // X05 and X06
    for answer in [
        &["10.0.0.1"][..],
        &["1.1.1.1", "127.0.0.1"],
        &["2606:4700::1111", "fd00::1"],
        &["::ffff:169.254.169.254"],
    ] {
        let book = Book::of(&[answer]);
        let client = build(stranger(&book));
        assert_eq!(
            code_of(&client, "https://hub.example/").await,
            "private-address"
        );
        assert_eq!(book.asked(), 1);
        // The whole host is known to be bad now.
        assert_eq!(
            code_of(&client, "https://hub.example/2").await,
            "private-address"
        );
        assert_eq!(book.asked(), 1);
    }
    let client = build(stranger(&Book::of(&[&[]])));
    assert_eq!(
        code_of(&client, "https://hub.example/").await,
        "no-such-host"
    );
}

#[tokio::test]
async fn the_connection_goes_only_to_the_address_that_was_checked() {
    // X07: one look-up for one connection, and a second connection is checked anew.
    let server = Server::start_tls(VALID, hello).await;
    let book = Book::of(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = build(stranger_at(&server, &book));
    let url = format!("https://hub.example:{}/", server.address.port());
    assert_eq!(code_of(&client, &url).await, "fetched");
    assert_eq!((book.asked(), server.connections()), (1, 1));
    assert_eq!(code_of(&client, &url).await, "private-address");
    assert_eq!((book.asked(), server.connections()), (2, 1));
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_checked() {
    // X08
    let listed = Server::start(hello).await;
    let aim = listed.url("/");
    let server = Server::start_tls(VALID, move |request: Request| {
        let location = match request.path.as_str() {
            "/metadata" => "http://169.254.169.254/".to_owned(),
            "/private" => "https://10.0.0.1/".to_owned(),
            "/file" => "file:///etc/passwd".to_owned(),
            "/port" => "https://hub.example:22/".to_owned(),
            "/listed" => aim.clone(),
            "/user" => "//me@hub.example/".to_owned(),
            _ => "https://".to_owned(),
        };
        async move {
            let header = format!("Location: {location}\r\n");
            request.answer("302 Found", &header, "").await;
        }
    })
    .await;
    let book = Book::of(&[&["127.0.0.1"]]);
    let mut setup = stranger_at(&server, &book);
    let https_port = setup.rules.https_port;
    let is_public = setup.rules.is_public;
    setup.rules = super::Rules::new([("127.0.0.1".to_owned(), listed.address.port())].into());
    setup.rules.https_port = https_port;
    setup.rules.is_public = is_public;
    let client = build(setup);
    for path in [
        "metadata", "private", "file", "port", "listed", "user", "broken",
    ] {
        let url = format!("https://hub.example:{}/{path}", server.address.port());
        assert_eq!(code_of(&client, &url).await, "redirect-refused", "{path}");
    }
    assert_eq!(listed.connections(), 0);
}

#[tokio::test]
async fn signed_requests_and_posts_and_streams_follow_no_redirect() {
    // X09
    let other = Server::start(hello).await;
    let aim = other.url("/");
    let server = Server::start(move |request: Request| {
        let header = format!("Location: {aim}\r\n");
        async move { request.answer("307 Temporary Redirect", &header, "").await }
    })
    .await;
    let client = client_of(&[&server, &other]);
    let signature = [("signature", "sig1=:abc:".to_owned())];
    let inbox = server.url("/inbox");
    let posted = client.post(&inbox, &signature, b"{}".to_vec()).await;
    let error = posted.unwrap_err();
    assert_eq!(error.code(), "redirect-refused");
    assert!(error.to_string().contains(&other.url("/")), "{error}");
    let signed = client.get_signed(&server.url("/actor"), &signature).await;
    assert_eq!(signed.unwrap_err().code(), "redirect-refused");
    let lines = client.lines(StreamRequest::get(server.url("/"), 1)).await;
    assert_eq!(lines.err().unwrap().code(), "redirect-refused");
    assert_eq!(other.connections(), 0);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn at_most_three_redirects_are_followed() {
    // X10
    let server = Server::start(|request: Request| async move {
        let hops: usize = request.path[1..].parse().unwrap();
        if hops == 0 {
            request.answer("200 OK", "", "there").await;
        } else {
            let header = format!("Location: /{}\r\n", hops - 1);
            request.answer("301 Moved Permanently", &header, "").await;
        }
    })
    .await;
    let client = client_of(&[&server]);
    let document = client.document(&server.url("/3"), "*/*").await.unwrap();
    assert_eq!(&document.bytes[..], b"there");
    assert_eq!(document.url.as_str(), server.url("/0"));
    assert_eq!(server.requests(), 4);
    assert_eq!(
        code_of(&client, &server.url("/20")).await,
        "too-many-redirects"
    );
    assert_eq!(server.requests(), 8);
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    // X13: the environment can only be set for another process.
    let tests = std::env::current_exe().unwrap();
    let child = Command::new(tests)
        .args(["--ignored", "--exact"])
        .arg("federation::client::tests::addresses::child_with_a_proxy_in_its_environment")
        .envs(
            [
                "HTTP_PROXY",
                "http_proxy",
                "HTTPS_PROXY",
                "ALL_PROXY",
                "all_proxy",
            ]
            .map(|name| {
                // Nobody listens there.
                (name, "http://127.0.0.1:9")
            }),
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "started by a_proxy_in_the_environment_is_ignored"]
async fn child_with_a_proxy_in_its_environment() {
    let server = Server::start(hello).await;
    let client = client_of(&[&server]);
    assert_eq!(code_of(&client, &server.url("/")).await, "fetched");
}

#[tokio::test]
async fn certificates_must_be_trusted_current_and_for_the_name() {
    // X16
    let valid = Server::start_tls(VALID, hello).await;
    let expired = Server::start_tls(EXPIRED, hello).await;
    let book = Book::of(&[&["127.0.0.1"]]);
    let ask = async |server: &Server, name: &str, trusting: bool| {
        let mut setup = stranger_at(server, &book);
        if !trusting {
            setup.roots.clear();
        }
        let url = format!("https://{name}:{}/", server.address.port());
        build(setup).document(&url, "*/*").await
    };
    assert!(ask(&valid, "hub.example", true).await.is_ok());
    for (server, name, trusting, reason) in [
        (&valid, "hub.example", false, "UnknownIssuer"),
        (&valid, "other.example", true, "not valid for name"),
        (&expired, "hub.example", true, "expired"),
    ] {
        let error = ask(server, name, trusting).await.unwrap_err();
        assert_eq!(error.code(), "tls-failed");
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(valid.requests(), 1);
    assert_eq!(expired.requests(), 0);
}

#[tokio::test]
async fn t11_a_certificate_that_ends_while_a_stream_is_open_ends_new_connections_only() {
    let (goes_on, waits) = tokio::sync::watch::channel(false);
    let server = Server::start_tls(VALID, move |mut request| {
        let mut waits = waits.clone();
        async move {
            request.begin("").await;
            request.send("before\n").await;
            waits.wait_for(|goes_on| *goes_on).await.unwrap();
            request.send("after\n").await;
            request.end().await;
        }
    })
    .await;
    let book = Book::of(&[&["127.0.0.1"]]);
    let client = build(stranger_at(&server, &book));
    let url = format!("https://hub.example:{}/", server.address.port());
    let get = || StreamRequest::get(url.clone(), 1 << 20);
    let mut lines = client.lines(get()).await.unwrap();
    assert_eq!(lines.next().await, Ok(Some(b"before".to_vec())));
    server.present(EXPIRED);
    let document = client.document(&url, "*/*").await.unwrap_err();
    let post = client.post(&url, &[], b"{}".to_vec()).await.unwrap_err();
    for error in [document, post] {
        assert_eq!(error.code(), "tls-failed");
        assert!(error.to_string().contains("expired"), "{error}");
    }
    goes_on.send_replace(true);
    assert_eq!(lines.next().await, Ok(Some(b"after".to_vec())));
    assert_eq!(lines.next().await, Ok(None));
    assert_eq!(server.requests(), 1, "nothing was said to it again");
    // Once it has a good one again, all is as before; what failed is remembered for a while only by address.
    server.present(VALID);
    assert!(client.lines(get()).await.is_ok());
}

#[tokio::test]
async fn plain_http_behind_https_is_a_failure_of_tls() {
    let server = Server::start(hello).await;
    let client = client_of(&[&server]);
    let url = server.url("/").replace("http:", "https:");
    let error = client.document(&url, "*/*").await.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::TlsFailed { .. } | FetchError::ConnectFailed { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn names_below_localhost_are_our_own_machine_for_listed_ports_only() {
    let server = Server::start(hello).await;
    let client = client_of(&[&server]);
    let port = server.address.port();
    assert_eq!(
        code_of(&client, &format!("http://node.localhost:{port}/")).await,
        "fetched"
    );
    assert!(client.is_insecure_peer("node.localhost", port));
    assert!(!client.is_insecure_peer("node.localhost", port ^ 1));
    let other = format!("http://node.localhost:{}/", port ^ 1);
    assert_eq!(code_of(&client, &other).await, "not-https");
    assert_eq!(
        code_of(&client, "https://node.localhost/").await,
        "private-address"
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_listed_peer_is_known_in_every_spelling() {
    let peers = [("0:0:0:0:0:0:0:1", 1), ("HUB.example", 2)];
    let peers = peers.map(|(host, port)| (host.to_owned(), port));
    let client = Client::new(peers.into(), "baraza-test").unwrap();
    assert!(client.is_insecure_peer("::1", 1));
    assert!(client.is_insecure_peer("hub.example", 2));
    assert_eq!(code_of(&client, "http://[::1]:1/").await, "connect-failed");
}
