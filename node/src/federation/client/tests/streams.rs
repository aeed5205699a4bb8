//! Streams of lines.

use std::time::Duration;

use super::server::{Request, Server};
use super::{client_of, hasty_client_of};
use crate::federation::client::{FetchError, Lines, StreamRequest};

const PLENTY: u64 = 1 << 30;

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// All lines, and how the stream ended.
async fn drain(mut lines: Lines) -> (Vec<String>, Result<(), FetchError>) {
    let mut all = Vec::new();
    loop {
        match lines.next().await {
            Ok(Some(line)) => all.push(String::from_utf8(line).unwrap()),
            Ok(None) => return (all, Ok(())),
            Err(error) => {
                // It stays ended.
                assert_eq!(lines.next().await, Err(error.clone()));
                return (all, Err(error));
            }
        }
    }
}

async fn stream(server: &Server, bytes_max: u64) -> (Vec<String>, Result<(), FetchError>) {
    let client = hasty_client_of(&[server]);
    let lines = client
        .lines(StreamRequest::get(server.url("/"), bytes_max))
        .await;
    let result = drain(lines.unwrap()).await;
    assert_eq!(client.inner.slots.hosts_held(), 0);
    result
}

#[tokio::test]
async fn lines_come_whole_however_they_were_cut() {
    let server = Server::start(|mut request: Request| async move {
        request
            .begin("Content-Type: application/x-ndjson\r\n")
            .await;
        for piece in [
            "{\"a\"",
            ":1}",
            "\n\n\r\n{\"b\":2}\r\n{\"c\"",
            ":3}\n{\"",
            "d\":4}",
        ] {
            request.send(piece).await;
            pause(5).await;
        }
        request.end().await;
    })
    .await;
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!(
        lines,
        ["{\"a\":1}", "{\"b\":2}\r", "{\"c\":3}", "{\"d\":4}"]
    );
    assert_eq!(end, Ok(()));
    let head = server.heads().remove(0);
    // Between processes of one machine, packing costs more than it saves.
    assert!(
        head.starts_with("get / ") && head.contains("accept-encoding: identity\r\n"),
        "{head}"
    );
    assert!(
        head.contains("accept: application/x-ndjson, */*;q=0.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_stream_can_be_asked_for_with_a_body() {
    let server = Server::start(|request: Request| async move {
        let echo = request.body.clone();
        request.answer("200 OK", "", echo).await;
    })
    .await;
    let client = client_of(&[&server]);
    let request = StreamRequest::post_json(server.url("/f"), b"{\"want\":[]}".to_vec(), PLENTY)
        .accepting("text/plain");
    let (lines, end) = drain(client.lines(request).await.unwrap()).await;
    assert_eq!((lines, end), (vec!["{\"want\":[]}".to_owned()], Ok(())));
    let head = server.heads().remove(0);
    assert!(
        head.starts_with("post /f ") && head.contains("accept: text/plain\r\n"),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/json\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_line_of_the_limit_is_given_and_one_byte_more_is_not() {
    const MAX: usize = protocol::limits::LINE_BYTES_MAX;
    for end in ["\n", ""] {
        for (bytes, fits) in [(MAX - 1, true), (MAX, true), (MAX + 1, false)] {
            let server = Server::start(move |request: Request| async move {
                let text = format!("first\n{}{end}", "a".repeat(bytes));
                request.answer("200 OK", "", text).await;
            })
            .await;
            let (lines, result) = stream(&server, PLENTY).await;
            assert_eq!(lines[0], "first");
            if fits {
                assert_eq!((lines[1].len(), result), (bytes, Ok(())));
            } else {
                assert_eq!(result.unwrap_err().code(), "line-too-long");
            }
        }
    }
    // And a line without end is not collected.
    let server = Server::start(|mut request: Request| async move {
        request.begin("").await;
        while request.send("a".repeat(64 * 1024)).await {}
    })
    .await;
    assert_eq!(
        stream(&server, PLENTY).await.1.unwrap_err().code(),
        "line-too-long"
    );
}

#[tokio::test]
async fn a_stream_that_stands_still_is_ended() {
    let server = Server::start(|mut request: Request| async move {
        request.begin("").await;
        request.send("one\n").await;
        request.hang_up().await;
    })
    .await;
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!(lines, ["one"]);
    let error = end.unwrap_err();
    assert!(error.code() == "stalled" && error.is_temporary());
    // One that never begins as well, before and after its head.
    let server = Server::start(|request: Request| request.hang_up()).await;
    let client = hasty_client_of(&[&server]);
    let lines = client.lines(StreamRequest::get(server.url("/"), 1)).await;
    assert_eq!(lines.err().unwrap().code(), "stalled");
    let server = Server::start(|mut request: Request| async move {
        request.begin("").await;
        request.hang_up().await;
    })
    .await;
    assert_eq!(stream(&server, 1).await.1.unwrap_err().code(), "stalled");
}

#[tokio::test]
async fn a_trickle_is_not_progress() {
    // X15 for streams: bytes do come, but fewer than 100 in 300 ms.
    let server = Server::start(|mut request: Request| async move {
        request.begin("").await;
        while request.send("a\n").await {
            pause(20).await;
        }
    })
    .await;
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!(end.unwrap_err().code(), "stalled");
    assert!((2..50).contains(&lines.len()), "{}", lines.len());
}

#[tokio::test]
async fn a_slow_stream_that_moves_has_no_limit_in_time() {
    let server = Server::start(|mut request: Request| async move {
        request.begin("").await;
        for _ in 0..20 {
            request.send(format!("{}\n", "a".repeat(99))).await;
            pause(50).await;
        }
        request.end().await;
    })
    .await;
    // A second in all, where a document has 400 ms and a stall 300.
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!((lines.len(), end), (20, Ok(())));
}

#[tokio::test]
async fn a_long_poll_may_wait_before_its_first_byte_only() {
    for head_at_once in [true, false] {
        let server = Server::start(move |mut request: Request| async move {
            if head_at_once {
                request.begin("").await;
            }
            pause(500).await;
            if !head_at_once {
                request.begin("").await;
            }
            request.send("news\n").await;
            request.hang_up().await;
        })
        .await;
        let client = hasty_client_of(&[&server]);
        let get = || StreamRequest::get(server.url("/"), PLENTY);
        let lines = client.lines(get().waiting(Duration::from_secs(60))).await;
        let began = tokio::time::Instant::now();
        let (lines, end) = drain(lines.unwrap()).await;
        assert_eq!(lines, ["news"]);
        assert_eq!(end.unwrap_err().code(), "stalled");
        assert!(began.elapsed() < Duration::from_secs(10));
        let impatient = match client.lines(get()).await {
            Ok(lines) => drain(lines).await.1.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(impatient.code(), "stalled");
    }
}

#[tokio::test]
async fn the_time_we_take_ourselves_does_not_count() {
    let server = Server::start(|request: Request| request.answer("200 OK", "", "a\nb\n")).await;
    let client = hasty_client_of(&[&server]);
    let lines = client
        .lines(StreamRequest::get(server.url("/"), PLENTY))
        .await;
    let mut lines = lines.unwrap();
    pause(400).await;
    assert_eq!(lines.next().await.unwrap().unwrap(), b"a");
    pause(400).await;
    assert_eq!(lines.next().await.unwrap().unwrap(), b"b");
    assert_eq!(lines.next().await, Ok(None));
    assert_eq!(lines.next().await, Ok(None));
}

#[tokio::test]
async fn the_budget_ends_a_stream_after_the_last_line_within_it() {
    let server = Server::start(|request: Request| request.answer("200 OK", "", "aaa\nbbb\nccc\n"));
    let server = server.await;
    for (budget, lines, whole) in [
        (12, 3, true),
        (11, 2, false),
        (8, 2, false),
        (7, 1, false),
        (3, 0, false),
        (0, 0, false),
    ] {
        let (got, end) = stream(&server, budget).await;
        assert_eq!((got.len(), end.is_ok()), (lines, whole), "{budget}");
        if let Err(error) = end {
            assert_eq!(error.code(), "budget-spent");
        }
    }
}

fn zstd_server(packed: Vec<u8>) -> impl Future<Output = Server> {
    Server::start(move |mut request: Request| {
        let packed = packed.clone();
        async move {
            request.begin("Content-Encoding: zstd\r\n").await;
            for piece in packed.chunks(7_000) {
                if !request.send(piece).await {
                    return;
                }
            }
            request.end().await;
        }
    })
}

fn pack(text: &[u8], level: i32) -> Vec<u8> {
    zstd::stream::encode_all(text, level).unwrap()
}

#[tokio::test]
async fn zstd_is_unpacked_frame_after_frame() {
    let text: String = (0..100_000)
        .map(|n| format!("{{\"line\":{n}}}\n"))
        .collect();
    let (first, second) = text.split_at(text.len() / 3);
    let mut packed = pack(first.as_bytes(), 3);
    packed.extend(pack(second.as_bytes(), 1));
    let server = zstd_server(packed.clone()).await;
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!(end, Ok(()));
    assert_eq!(lines.len(), 100_000);
    assert_eq!(lines[99_999], "{\"line\":99999}");

    packed.truncate(packed.len() - 5);
    let server = zstd_server(packed).await;
    assert_eq!(
        stream(&server, PLENTY).await.1.unwrap_err().code(),
        "broken-off"
    );
    let server = zstd_server(b"this is not zstd".to_vec()).await;
    assert_eq!(
        stream(&server, PLENTY).await.1.unwrap_err().code(),
        "bad-answer"
    );
    let server = zstd_server(Vec::new()).await;
    assert_eq!(stream(&server, PLENTY).await, (Vec::new(), Ok(())));
}

#[tokio::test]
async fn the_budget_counts_what_is_unpacked() {
    let packed = pack(&vec![b'\n'; 64 << 20], 3);
    assert!(packed.len() < 10_000);
    let server = zstd_server(packed).await;
    let (lines, end) = stream(&server, 1_000_000).await;
    assert_eq!(lines.len(), 0);
    assert_eq!(end.unwrap_err().code(), "budget-spent");
}

#[tokio::test]
async fn a_window_beyond_the_common_limit_is_refused() {
    use std::io::Write;
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&vec![b'a'; 1_000_000]).unwrap();
    let server = zstd_server(encoder.finish().unwrap()).await;
    assert_eq!(
        stream(&server, PLENTY).await.1.unwrap_err().code(),
        "bad-answer"
    );
}

#[tokio::test]
async fn progress_is_counted_on_the_wire() {
    // One frame whose block unpacks only at its end: slower than a stall in all, but it moves.
    let noise: String = (0..3_000_u64)
        .map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let packed = pack(noise.as_bytes(), 19);
    let server = Server::start(move |mut request: Request| {
        let packed = packed.clone();
        async move {
            request.begin("Content-Encoding: zstd\r\n").await;
            for piece in packed.chunks(packed.len() / 10) {
                request.send(piece).await;
                pause(60).await;
            }
            request.end().await;
        }
    })
    .await;
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!((lines.len(), end), (3_000, Ok(())));
}

#[tokio::test]
async fn problems_come_out_with_their_code() {
    let server = Server::start(|request: Request| async move {
        let typed = "Content-Type: application/problem+json; charset=utf-8\r\n";
        let problem = r#"{"code":"cursor-gone","detail":"Begin anew."}"#;
        match request.path.as_str() {
            "/plain" => request.answer("410 Gone", typed, problem).await,
            "/packed" => {
                let headers = format!("{typed}Content-Encoding: zstd\r\n");
                let packed = pack(problem.as_bytes(), 3);
                request.answer("410 Gone", &headers, packed).await;
            }
            _ => request.answer("410 Gone", typed, "not json").await,
        }
    })
    .await;
    let client = client_of(&[&server]);
    for (path, code) in [
        ("/plain", Some("cursor-gone")),
        ("/packed", Some("cursor-gone")),
        ("/", None),
    ] {
        let lines = client
            .lines(StreamRequest::get(server.url(path), PLENTY))
            .await;
        let error = lines.err().unwrap();
        assert_eq!(error.status(), Some((410, code)), "{path}");
        assert!(!error.is_temporary());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so() {
    let server = Server::start(|mut request: Request| async move {
        request.begin("Content-Length: 1000\r\n").await;
        request.send("one\ntw").await;
        request.end().await;
    })
    .await;
    let (lines, end) = stream(&server, PLENTY).await;
    assert_eq!(lines, ["one"]);
    assert_eq!(end.unwrap_err().code(), "broken-off");
}

#[tokio::test]
async fn codings_that_were_not_asked_for_are_refused() {
    let server = Server::start(|request: Request| {
        request.answer("200 OK", "Content-Encoding: gzip\r\n", "x")
    })
    .await;
    let client = client_of(&[&server]);
    let lines = client.lines(StreamRequest::get(server.url("/"), 1)).await;
    assert_eq!(lines.err().unwrap().code(), "bad-answer");
}
