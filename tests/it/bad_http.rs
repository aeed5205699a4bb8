//! Rows H of the list of bad inputs that hold for every address, sent as raw bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::support::author::{Author, hand_in};
use crate::support::client::{self, Answer, authority, raw, request};
use crate::support::node::Node;
use crate::support::started;
use crate::support::target::Target;

fn get_with<'h>(
    path: &'h str,
    headers: &'h [(&'h str, &'h str)],
) -> impl FnOnce(&str) -> Answer + 'h {
    move |url| request(url, "GET", path, headers, &[])
}

#[test]
fn what_is_wrong_with_a_request_is_said_with_a_stable_code() {
    let (target, author) = Target::with_author();
    let long = format!("/api/v1/search?q={}", "x".repeat(5_000));
    let record = author.record("encoded", 1, "Encoded");
    let method = |method: &'static str, path: &'static str| {
        move |url: &str| request(url, method, path, &[], &[])
    };
    target.refuses("H10", get_with(&long, &[]), 414, "target-too-long");
    for (id, send) in [
        ("H11 PUT", method("PUT", "/api/v1/records")),
        ("H11 GET", method("GET", "/api/v1/records")),
        ("H11 DELETE", method("DELETE", "/api/v1/search")),
        ("H11 TRACE", method("TRACE", "/livez")),
    ] {
        let answer = target.refuses(id, send, 405, "method-not-allowed");
        assert!(
            answer.header("allow").is_some(),
            "{id}: {:?}",
            answer.headers
        );
        assert!(!answer.text().contains("TRACE /"), "{}", answer.text());
    }
    let foreign = [("host", "other.example")];
    let answer = target.refuses("H12", get_with("/api/v1/node", &foreign), 421, "wrong-host");
    assert!(
        !answer.text().contains("other.example"),
        "{}",
        answer.text()
    );
    let encoded = |url: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        request(url, "POST", "/api/v1/records", &headers, &record)
    };
    target.refuses("H16", encoded, 415, "encoded-body");
    target.takes("H16 without the header", &record);
    for path in [
        "/offerings/..%2f..%2fetc/passwd",
        "/api/v1/records/..%2f..%2fetc/passwd",
        "/api/v1/records/%00/x",
        "/orgs/..%2f..%2fkeys/did.jsonl",
        "/nothing",
    ] {
        target.refuses(
            &format!("H14 {path}"),
            get_with(path, &[]),
            404,
            "not-found",
        );
    }
    for path in ["/api/v1/records/%c0%ae/x", "/orgs/%ff/did.jsonl"] {
        target.refuses(
            &format!("H14 {path}"),
            get_with(path, &[]),
            400,
            "malformed",
        );
    }
}

#[test]
fn h05_h06_h15_bodies_over_the_limit_are_refused_before_they_are_read() {
    let (target, _) = Target::with_author();
    let host = authority(&target.url).to_owned();
    // Only the head is sent: whoever waits for the body would wait for ever.
    for (id, extra) in [("H05", ""), ("H15", "expect: 100-continue\r\n")] {
        let send = |url: &str| {
            let head = format!(
                "POST /api/v1/records HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 300000\r\n{extra}\r\n"
            );
            let mut stream = client::connect(url).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // The node closes the connection after its answer.
            let _ = stream.read_to_end(&mut answer);
            assert!(!answer.starts_with(b"HTTP/1.1 100"), "{id}");
            client::read(&answer).expect(id)
        };
        target.refuses(id, send, 413, "too-large");
    }
    let send = |url: &str| {
        let mut bytes = format!(
            "POST /api/v1/records HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        for _ in 0..257 {
            bytes.extend_from_slice(b"400\r\n");
            bytes.extend_from_slice(&[b' '; 1024]);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        client::read(&raw(url, &bytes)).expect("H06")
    };
    target.refuses("H06", send, 413, "too-large");
}

#[test]
fn h06_a_body_without_end_is_not_listened_to_for_long_and_fills_no_memory() {
    const CHUNK: usize = 64 * 1024;
    const BYTES_MAX: usize = 64 * 1024 * 1024;
    const GROWTH_KIB_MAX: u64 = 16 * 1024;
    let (target, author) = Target::with_author();
    let host = authority(&target.url).to_owned();
    let before = target.own().map(|node| node.resident_kib());
    let mut stream = client::connect(&target.url).unwrap();
    let head = format!(
        "POST /api/v1/records HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &[b' '; CHUNK], b"\r\n"].concat();
    let mut written = 0;
    while written < BYTES_MAX && stream.write_all(&chunk).is_ok() {
        written += CHUNK;
    }
    assert!(
        written < BYTES_MAX,
        "it was listened to for {written} bytes"
    );
    if let (Some(before), Some(node)) = (before, target.own()) {
        let after = node.resident_kib();
        assert!(
            after < before + GROWTH_KIB_MAX,
            "{before} KiB, then {after} KiB"
        );
    }
    target.takes("afterwards", &author.record("after", 1, "After"));
}

#[test]
fn h07_h08_h09_h19_requests_that_frame_badly_smuggle_nothing() {
    let (target, author) = Target::with_author();
    let host = authority(&target.url).to_owned();
    let before = client::state_hash(&target.url);
    let smuggled = format!("GET /api/v1/node HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let post = format!("POST /api/v1/records HTTP/1.1\r\nhost: {host}\r\n");
    let many: String = (0..70).map(|n| format!("x-{n}: 1\r\n")).collect();
    let big = format!("x-big: {}\r\n", "x".repeat(17 * 1024));
    let rows = [
        (
            "H07",
            format!(
                "{post}content-length: 5\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            "H08",
            format!("{post}content-length: 5\r\ncontent-length: 6\r\n\r\nhello{smuggled}"),
            400,
        ),
        (
            "H09 many",
            format!("GET /livez HTTP/1.1\r\nhost: {host}\r\n{many}\r\n"),
            431,
        ),
        (
            "H09 big",
            format!("GET /livez HTTP/1.1\r\nhost: {host}\r\n{big}\r\n"),
            431,
        ),
        (
            "H19 space before the colon",
            format!("GET /livez HTTP/1.1\r\nhost : {host}\r\n\r\n"),
            400,
        ),
        (
            "H19 folded",
            format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nx-a: 1\r\n folded\r\n\r\n"),
            400,
        ),
        (
            // Framed as RFC 9112, 2.2 allows: one request is seen.
            "H19 bare LF",
            format!("GET /livez HTTP/1.1\nhost: {host}\nconnection: close\n\n"),
            200,
        ),
        (
            "no request at all",
            "\u{16}\u{3}\u{1}\u{0}nonsense\r\n\r\n".to_owned(),
            400,
        ),
    ];
    for (id, bytes, status) in rows {
        let answer = String::from_utf8_lossy(&raw(&target.url, bytes.as_bytes())).into_owned();
        let answers: Vec<&str> = answer
            .match_indices("HTTP/1.1 ")
            .map(|(at, _)| &answer[at + 9..at + 12])
            .collect();
        assert_eq!(answers, [status.to_string()], "{id}: {answer}");
        assert!(!answer.contains("stateHash"), "{id}: {answer}");
        assert_eq!(client::get(&target.url, "/livez").status, 200, "{id}");
    }
    assert_eq!(client::state_hash(&target.url), before);
    target.takes("afterwards", &author.record("after", 1, "After"));
}

#[test]
fn h13_what_a_stranger_says_of_our_address_is_not_believed() {
    let (target, author) = Target::with_author();
    let headers = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
    ];
    for path in ["/api/v1/node", "/api/v1/search?q=", &author.path("first")] {
        let answer = request(&target.url, "GET", path, &headers, &[]);
        assert_eq!(answer.status, 200, "{path}");
        let said = format!("{:?}{}", answer.headers, answer.text());
        assert!(!said.contains("evil.example"), "{said}");
    }
}

/// A node that answers 60 requests a minute of one visitor, and more that its settings say.
fn slow_node(settings: &str) -> Node {
    let mut node = Node::make(&[]);
    let more = format!("language = \"en\"\nrequests_per_minute = 60\n{settings}");
    node.edit("language = \"en\"", &more);
    node.start();
    node
}

/// Asks 200 times on one connection; gives how many were answered 200. All others are 429.
fn served(mut stream: TcpStream, url: &str, forwarded: &str) -> usize {
    const REQUESTS: usize = 200;
    let began = started();
    let host = authority(url);
    let one = |last: &str| {
        format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: {forwarded}\r\n{last}\r\n")
    };
    let all = one("").repeat(REQUESTS - 1) + &one("connection: close\r\n");
    stream.write_all(all.as_bytes()).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    let answers = String::from_utf8_lossy(&answers);
    let [good, refused] =
        ["HTTP/1.1 200 ", "HTTP/1.1 429 "].map(|status| answers.matches(status).count());
    assert_eq!(good + refused, REQUESTS, "{answers}");
    assert_eq!(answers.matches("retry-after: ").count(), refused);
    assert_eq!(answers.matches("too-many-requests").count(), refused);
    // A minute's worth at once, and one more for each second that went by.
    assert!(good as u64 <= 61 + began.elapsed().as_secs(), "{good}");
    good
}

#[test]
fn h13_requests_are_counted_against_the_real_address_whatever_a_stranger_says_of_it() {
    let node = slow_node("");
    // It says that it is a program on this machine, which is not counted.
    let stranger = || client::connect_from("127.0.0.2", &node.url);
    assert!(served(stranger(), &node.url, "127.0.0.1") >= 60);
    assert!(
        served(stranger(), &node.url, "203.0.113.9") < 60,
        "one allowance, whoever it says it is"
    );
    // Others have their own.
    let other = client::connect_from("127.0.0.3", &node.url);
    assert!(served(other, &node.url, "127.0.0.1") >= 60);
    for _ in 0..100 {
        assert_eq!(node.get("/livez").status, 200);
    }
}

#[test]
fn h13_behind_a_proxy_that_is_named_each_visitor_is_counted_by_itself() {
    let node = slow_node("trusted_proxies = [\"127.0.0.1\"]");
    let proxy = || client::connect(&node.url).unwrap();
    assert!(served(proxy(), &node.url, "203.0.113.9") >= 60);
    // What stands before the proxy's own word is the visitor's.
    assert!(served(proxy(), &node.url, "127.0.0.1, 203.0.113.9") < 60);
    assert!(served(proxy(), &node.url, "203.0.113.10") >= 60);
}

#[test]
fn h04_two_content_types_that_differ_are_400_and_two_that_agree_are_one() {
    let (target, author) = Target::with_author();
    let record = author.record("typed", 1, "Typed");
    let with = |second: &'static str| {
        let record = record.clone();
        move |url: &str| {
            let headers = [
                ("content-type", "application/json"),
                ("content-type", second),
            ];
            request(url, "POST", "/api/v1/records", &headers, &record)
        }
    };
    for second in ["text/plain", "", "application/json; charset=utf-8"] {
        let id = format!("H04 “{second}”");
        target.refuses(&id, with(second), 400, "malformed");
    }
    let answer = with("application/json")(&target.url);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[test]
fn h17_who_reads_no_json_is_told_so_or_shown_the_page() {
    let (target, author) = Target::with_author();
    let path = author.path("first");
    let object = path.replace("/api/v1", "");
    let ask =
        |path: &str, accept: &str| request(&target.url, "GET", path, &[("accept", accept)], &[]);
    for path in [&path, &object] {
        for accept in [
            "application/rdf+xml",
            "text/turtle, application/rdf+xml;q=0.9",
            "application/json;q=0",
        ] {
            let send = |_: &str| ask(path, accept);
            target.refuses(&format!("H17 {path} {accept}"), send, 406, "not-acceptable");
        }
        for accept in [
            "*/*",
            "application/rdf+xml, */*;q=0.1",
            "Application/JSON",
            "application/*",
            "application/activity+json",
        ] {
            assert_eq!(ask(path, accept).status, 200, "{path} {accept}");
        }
        assert_eq!(client::get(&target.url, path).status, 200, "no Accept");
    }
    let page = ask(&path, "text/html");
    assert_eq!(page.status, 303);
    let page = client::get(&target.url, page.header("location").unwrap());
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Here before"), "{}", page.text());
}

#[test]
fn h18_a_thousand_ranges_of_a_file_are_not_a_thousand_copies() {
    let (target, _) = Target::with_author();
    let whole = client::get(&target.url, "/assets/baraza.css");
    assert_eq!(whole.status, 200);
    let ranges = format!("bytes=0-{}", ",0-".repeat(999));
    let headers = [("range", ranges.as_str())];
    let answer = request(&target.url, "GET", "/assets/baraza.css", &headers, &[]);
    match answer.status {
        200 => assert_eq!(answer.body, whole.body),
        status => assert_eq!(status, 416, "{}", answer.text()),
    }
}

#[test]
fn h20_ten_thousand_requests_at_once_on_one_connection_are_answered_in_their_order() {
    const REQUESTS: usize = 10_000;
    /// What so many answers may leave behind, of all that they are made of.
    const GROWTH_KIB_MAX: u64 = 32 * 1024;
    let (target, _) = Target::with_author();
    let host = authority(&target.url).to_owned();
    let memory = || target.own().map(|node| node.resident_kib());
    let before = memory();
    let mut stream = client::connect(&target.url).unwrap();
    let mut sending = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for n in 0..REQUESTS {
            let last = if n + 1 == REQUESTS {
                "connection: close\r\n"
            } else {
                ""
            };
            // Every third one is for something that is not there, so that the order shows.
            let path = if n % 3 == 0 { "/nothing" } else { "/livez" };
            let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{last}\r\n");
            if sending.write_all(head.as_bytes()).is_err() {
                // The node has had enough, which it may.
                return;
            }
        }
    });
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers);
    sender.join().unwrap();
    let answers = String::from_utf8_lossy(&answers);
    let statuses: Vec<&str> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert!(!statuses.is_empty());
    let is_complete = statuses.len() == REQUESTS;
    assert!(
        is_complete || statuses.last() == Some(&"429"),
        "{}",
        statuses.len()
    );
    for (n, status) in statuses
        .iter()
        .enumerate()
        .filter(|(_, status)| **status != "429")
    {
        assert_eq!(*status, if n % 3 == 0 { "404" } else { "200" }, "{n}");
    }
    if let (Some(before), Some(after)) = (before, memory()) {
        assert!(
            after < before + GROWTH_KIB_MAX,
            "{before} KiB, then {after} KiB"
        );
    }
    assert_eq!(client::get(&target.url, "/livez").status, 200);
}

#[test]
fn questions_that_cannot_be_read_are_answered_with_what_is_wrong() {
    let (target, _) = Target::with_author();
    let post = |path: &'static str, body: String| {
        move |url: &str| client::post(url, path, body.as_bytes())
    };
    for path in [
        "/sync/v1/changes?since=nonsense",
        "/sync/v1/changes?limit=many",
        "/sync/v1/changes?wait=-1",
        "/sync/v1/changes?filter=colour%3Dred",
        "/sync/v1/bundle?filter=area",
        "/api/v1/search?limit=many",
    ] {
        target.refuses(path, get_with(path, &[]), 400, "malformed");
    }
    for path in [
        "/api/v1/search?sort=secret",
        "/api/v1/search?limit=1000000",
        "/api/v1/search?limit=-1",
        "/api/v1/search?q=x&cursor=nonsense",
    ] {
        let answer = client::get(&target.url, path);
        assert!(
            answer.status == 200 || answer.status == 400 && !answer.code().is_empty(),
            "W06 {path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let gone = target.refuses(
        "a cursor of another epoch",
        get_with("/sync/v1/changes?since=00ff00ff00ff00ff-1", &[]),
        410,
        "cursor-gone",
    );
    assert!(!gone.text().is_empty());
    let many: Vec<String> = (0..501).map(|n| format!("x{n}")).collect();
    for (id, body) in [
        ("too many ids", json!({ "want": many })),
        ("ids that are none", json!({"want": [1, 2]})),
        ("no list", json!({"want": "x"})),
        ("no object", json!([])),
    ] {
        target.refuses(
            id,
            post("/sync/v1/fetch", body.to_string()),
            400,
            "malformed",
        );
    }
    let unknown = client::post(&target.url, "/sync/v1/fetch", br#"{"want":["x","y/z"]}"#);
    assert_eq!((unknown.status, unknown.text().as_str()), (200, ""));
}

#[test]
fn w05_searches_for_strange_words_are_answered() {
    let (target, _) = Target::with_author();
    for words in [
        "%27%20OR%201%3D1%20--",
        "*%3A*",
        "%25",
        "%5C",
        "%22",
        "-",
        "%28%28%28",
        "AND%20OR%20NOT",
        "%00",
        "%F0%9F%98%80",
        "name%3A%5B*%20TO%20*%5D",
    ] {
        let answer = client::get(&target.url, &format!("/api/v1/search?q={words}"));
        assert!(
            answer.status == 200 || answer.status == 400 && !answer.code().is_empty(),
            "{words}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

#[test]
fn a_record_of_somebody_who_is_not_at_home_here_is_not_taken() {
    let (target, _) = Target::with_author();
    let stranger = Author::at(&target.url);
    let record = stranger.record("x", 1, "X");
    target.refuses("not hosted", |url| hand_in(url, &record), 403, "not-hosted");
}
