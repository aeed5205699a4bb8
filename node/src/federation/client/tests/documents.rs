//! What comes back: documents and answers. X14, X15, F24, single flight, failures, places.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::server::{Request, Server};
use super::{client_of, hasty_client_of};
use crate::federation::client::FetchError;
use crate::federation::client::slots::{Class, Slots};
use crate::federation::client::target::Rules;

#[tokio::test]
async fn a_document_is_given_whole_with_its_type() {
    let server = Server::start(|request: Request| async move {
        let headers = "Content-Type: application/activity+json; charset=utf-8\r\n";
        request.answer("200 OK", headers, "{}").await;
    })
    .await;
    let client = client_of(&[&server]);
    let url = server.url("/actor?x=1#main-key");
    let document = client
        .document(&url, "application/activity+json")
        .await
        .unwrap();
    assert_eq!(document.status, 200);
    assert_eq!(&document.bytes[..], b"{}");
    assert_eq!(document.url.as_str(), server.url("/actor?x=1"));
    let media_type = document.content_type.unwrap();
    assert_eq!(media_type, "application/activity+json; charset=utf-8");
    let head = server.heads().remove(0);
    assert!(head.starts_with("get /actor?x=1 http/1.1"), "{head}");
    assert!(
        head.contains("accept: application/activity+json\r\n"),
        "{head}"
    );
    assert!(head.contains("user-agent: baraza-test\r\n"), "{head}");
    assert!(head.contains("accept-encoding: gzip\r\n"), "{head}");
    assert!(
        !head.contains("cookie") && !head.contains("referer"),
        "{head}"
    );
}

#[tokio::test]
async fn a_document_of_the_limit_is_read_and_one_byte_more_is_not() {
    const MAX: usize = 1024 * 1024;
    let server = Server::start(|mut request: Request| async move {
        let bytes: usize = request.path[2..].parse().unwrap();
        if request.path.starts_with("/d") {
            request.answer("200 OK", "", vec![b'a'; bytes]).await;
        } else {
            // No length is declared.
            request.begin("").await;
            request.send(vec![b'a'; bytes]).await;
            request.end().await;
        }
    })
    .await;
    let client = client_of(&[&server]);
    for kind in ["/d", "/u"] {
        for (bytes, fits) in [(MAX - 1, true), (MAX, true), (MAX + 1, false)] {
            let result = client
                .document(&server.url(&format!("{kind}{bytes}")), "*/*")
                .await;
            match result {
                Ok(document) => assert!(fits && document.bytes.len() == bytes),
                Err(error) => assert!(!fits && error.code() == "too-large", "{error}"),
            }
        }
    }
}

fn resident_peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_of_zeros_in_a_mebibyte_of_gzip_stops_at_the_limit() {
    // X14
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let server = Server::start(move |mut request: Request| {
        let count = count.clone();
        async move {
            request.begin("Content-Encoding: gzip\r\n").await;
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            for _ in 0..1024 {
                gzip.write_all(&vec![0; 1024 * 1024]).unwrap();
                let piece = std::mem::take(gzip.get_mut());
                count.fetch_add(1, Ordering::SeqCst);
                if !request.send(piece).await {
                    return;
                }
            }
            request.send(gzip.finish().unwrap()).await;
            request.end().await;
        }
    })
    .await;
    let client = client_of(&[&server]);
    let before = resident_peak_kib();
    let error = client.document(&server.url("/"), "*/*").await.unwrap_err();
    assert_eq!(error.code(), "too-large");
    // An answer to a POST is cut, not refused.
    let answer = client
        .post(&server.url("/"), &[], Vec::new())
        .await
        .unwrap();
    assert_eq!(answer.bytes.len(), 64 * 1024);
    assert!(resident_peak_kib() - before < 128 * 1024);
    assert!(sent.load(Ordering::SeqCst) < 2048);
}

#[tokio::test]
async fn gzip_is_read_and_codings_nobody_asked_for_are_not() {
    let server = Server::start(|request: Request| async move {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"plain words").unwrap();
        let packed = gzip.finish().unwrap();
        let coding = match request.path.as_str() {
            "/gzip" => "gzip",
            "/twice" => "gzip, gzip",
            "/broken" => {
                return request
                    .answer("200 OK", "Content-Encoding: gzip\r\n", "?")
                    .await;
            }
            _ => "br",
        };
        let header = format!("Content-Encoding: {coding}\r\n");
        request.answer("200 OK", &header, packed).await;
    })
    .await;
    let client = client_of(&[&server]);
    let document = client.document(&server.url("/gzip"), "*/*").await.unwrap();
    assert_eq!(&document.bytes[..], b"plain words");
    for path in ["/twice", "/br", "/broken"] {
        let error = client.document(&server.url(path), "*/*").await.unwrap_err();
        assert_eq!(error.code(), "bad-answer", "{path}: {error}");
    }
}

#[tokio::test]
async fn one_byte_now_and_then_is_ended_by_the_limit_for_the_whole() {
    // X15
    let server = Server::start(|mut request: Request| async move {
        request.begin("Content-Length: 1000\r\n").await;
        while request.send("a").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let client = hasty_client_of(&[&server]);
    let began = Instant::now();
    let error = client.document(&server.url("/"), "*/*").await.unwrap_err();
    assert_eq!(error.code(), "too-slow");
    assert!(error.is_temporary());
    let posted = client.post(&server.url("/"), &[], Vec::new()).await;
    assert_eq!(posted.unwrap_err().code(), "too-slow");
    let signed = client.get_signed(&server.url("/"), &[]).await;
    assert_eq!(signed.unwrap_err().code(), "too-slow");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn redirects_share_one_limit_in_time() {
    let server = Server::start(|request: Request| async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        request
            .answer("302 Found", "Location: /again\r\n", "")
            .await;
    })
    .await;
    let client = hasty_client_of(&[&server]);
    let error = client.document(&server.url("/"), "*/*").await.unwrap_err();
    assert_eq!(error.code(), "too-slow");
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_document() {
    let server = Server::start(|mut request: Request| async move {
        request.begin("Content-Length: 1000\r\n").await;
        request.send("a").await;
        request.end().await;
    })
    .await;
    let client = client_of(&[&server]);
    for n in 1..=2 {
        let error = client.document(&server.url("/"), "*/*").await.unwrap_err();
        assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
        assert_eq!(server.requests(), n);
    }
}

#[tokio::test]
async fn a_post_reads_the_beginning_of_the_answer_only() {
    // F24
    let server = Server::start(|mut request: Request| async move {
        assert_eq!(request.body, b"{\"a\":1}");
        request
            .begin("Content-Length: 1000000000\r\nRetry-After: 7\r\n")
            .await;
        while request.send(vec![b'a'; 64 * 1024]).await {}
    })
    .await;
    let client = client_of(&[&server]);
    let host = server.address.to_string();
    let headers = [
        ("Host", host),
        ("content-type", "application/activity+json".to_owned()),
        ("Signature-Input", "sig1=()".to_owned()),
    ];
    let inbox = server.url("/inbox");
    let answer = client.post(&inbox, &headers, b"{\"a\":1}".to_vec()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.bytes.len()), (200, 64 * 1024));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    let head = server.heads().remove(0);
    assert_eq!(head.matches("\r\nhost: ").count(), 1, "{head}");
    assert!(head.contains("signature-input: sig1=()\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/activity+json\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn headers_cannot_smuggle_nor_name_another_host() {
    let server = Server::start(|request: Request| request.answer("200 OK", "", "")).await;
    let client = client_of(&[&server]);
    for (name, value) in [
        ("host", "other.example"),
        ("x", "a\r\nx-evil: 1"),
        ("x\r\ny", "a"),
        ("", "a"),
    ] {
        let headers = [(name, value.to_owned())];
        let error = client
            .post(&server.url("/"), &headers, Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "bad-header", "{name:?}");
    }
    let error = client.document(&server.url("/"), "a\nb").await.unwrap_err();
    assert_eq!(error.code(), "bad-header");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn refusals_keep_their_status_and_what_the_problem_says() {
    let server = Server::start(|request: Request| async move {
        let problem = r#"{"code":"gone-away","detail":"It was\u001b[31m here\u202e."}"#;
        let typed = "Content-Type: application/problem+json\r\n";
        match request.path.as_str() {
            "/problem" => request.answer("410 Gone", typed, problem).await,
            "/bare" => {
                request
                    .answer("410 Gone", "Content-Type: text/html\r\n", problem)
                    .await
            }
            "/odd" => {
                let problem = r#"{"code":"Not A Code","title":"x","detail":7}"#;
                request.answer("403 Forbidden", typed, problem).await;
            }
            "/huge" => {
                request
                    .answer("400 Bad Request", typed, vec![b' '; 10_000_000])
                    .await
            }
            "/busy" => {
                let headers = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\
                               Date: Fri, 31 Dec 1999 23:58:59 GMT\r\n";
                request.answer("503 Service Unavailable", headers, "").await;
            }
            "/forever" => {
                request
                    .answer("429 Too Many Requests", "Retry-After: 99999999999\r\n", "")
                    .await;
            }
            _ => request.answer("304 Not Modified", "", "").await,
        }
    })
    .await;
    let client = client_of(&[&server]);
    let ask = async |path: &str| {
        let error = client.document(&server.url(path), "*/*").await.unwrap_err();
        let signed = client.get_signed(&server.url(path), &[]).await.unwrap_err();
        assert_eq!(error, signed);
        let temporary = error.is_temporary();
        match error {
            FetchError::Status {
                status,
                problem,
                detail,
                retry_after,
                ..
            } => (status, problem, detail, retry_after, temporary),
            other => panic!("{other:?}"),
        }
    };
    let text = |text: &str| Some(text.to_owned());
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        ask("/problem").await,
        (
            410,
            text("gone-away"),
            text("It was[31m here."),
            None,
            false
        )
    );
    assert_eq!(ask("/bare").await, (410, None, None, None, false));
    assert_eq!(ask("/odd").await, (403, None, text("x"), None, false));
    assert_eq!(ask("/huge").await, (400, None, None, None, false));
    assert_eq!(ask("/busy").await, (503, None, None, seconds(60), true));
    assert_eq!(
        ask("/forever").await,
        (429, None, None, seconds(86_400), true)
    );
    assert_eq!(ask("/304").await.0, 304);
    let error = client
        .document(&server.url("/problem"), "*/*")
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some((410, Some("gone-away"))));
    assert_eq!(
        error.to_string(),
        "127.0.0.1 answered 410 gone-away: “It was[31m here.”"
    );
}

#[tokio::test]
async fn callers_who_want_the_same_document_share_one_request() {
    let go = Arc::new(Notify::new());
    let gate = go.clone();
    let server = Server::start(move |request: Request| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            request.answer("200 OK", "", "shared").await;
        }
    })
    .await;
    let client = client_of(&[&server]);
    let url = server.url("/");
    let mut asking = Box::pin(join_all((0..50).map(|_| client.document(&url, "*/*"))));
    // All fifty have asked once this was polled.
    assert!(futures_util::poll!(&mut asking).is_pending());
    assert_eq!(client.inner.flights.under_way(), 1);
    go.notify_one();
    for document in asking.await {
        assert_eq!(&document.unwrap().bytes[..], b"shared");
    }
    assert_eq!(server.requests(), 1);
    assert_eq!(client.inner.flights.under_way(), 0);
    // Not a cache: the next one asks anew.
    go.notify_one();
    client.document(&url, "*/*").await.unwrap();
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_refusal_is_repeated_from_memory_for_a_while() {
    let server = Server::start(|request: Request| async move {
        request.answer("404 Not Found", "", "").await;
    })
    .await;
    let client = hasty_client_of(&[&server]);
    let url = server.url("/404");
    for _ in 0..3 {
        let error = client.document(&url, "*/*").await.unwrap_err();
        assert_eq!(error.status(), Some((404, None)));
    }
    assert_eq!(server.requests(), 1);
    // Another representation or page is another question.
    assert!(client.document(&url, "text/html").await.is_err());
    assert!(client.document(&server.url("/404b"), "*/*").await.is_err());
    assert_eq!(server.requests(), 3);
    while server.requests() == 3 {
        assert!(client.document(&url, "*/*").await.is_err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn k12_a_server_in_trouble_is_asked_again_after_a_while_and_not_each_time() {
    let is_well = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let is_well = Arc::clone(&is_well);
        move |request: Request| {
            let status = match is_well.load(Ordering::SeqCst) {
                true => "200 OK",
                false => "500 Trouble",
            };
            request.answer(status, "", "")
        }
    })
    .await;
    let client = hasty_client_of(&[&server]);
    let url = server.url("/actor");
    let start = Instant::now();
    for _ in 0..1_000 {
        let error = client.document(&url, "*/*").await.unwrap_err();
        assert_eq!(error.status(), Some((500, None)));
    }
    let lifetimes = start.elapsed().as_millis() / super::hasty().failure_time.as_millis();
    assert!(
        server.requests() <= 1 + lifetimes as usize,
        "{}",
        server.requests()
    );
    is_well.store(true, Ordering::SeqCst);
    while client.document(&url, "*/*").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_not_tried_again_for_a_while() {
    let first = Server::start(|request: Request| request.answer("200 OK", "", "")).await;
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = vacant.local_addr().unwrap();
    drop(vacant);
    let mut setup = super::listed(&[&first]);
    setup.rules = Rules::new([("127.0.0.1".to_owned(), address.port())].into());
    let client = super::Client::build(setup, super::hasty()).unwrap();
    let ask = |path: &str| {
        let url = format!("http://{address}{path}");
        let client = client.clone();
        async move { client.document(&url, "*/*").await }
    };
    let error = ask("/1").await.unwrap_err();
    assert_eq!(error.code(), "connect-failed");
    assert!(error.is_temporary());
    let answer = |request: Request| request.answer("200 OK", "", "");
    let server = Server::serve(&address.to_string(), None, answer).await;
    assert_eq!(ask("/2").await.unwrap_err(), error);
    assert_eq!(server.connections(), 0);
    while ask("/2").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn at_most_four_requests_go_to_one_host_at_a_time() {
    let now_and_most = Arc::new(Mutex::new((0_usize, 0_usize)));
    let counts = now_and_most.clone();
    let server = Server::start(move |request: Request| {
        let counts = counts.clone();
        async move {
            {
                let mut counts = counts.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            // The first ones wait until the house is full.
            while counts.lock().unwrap().1 < 4 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            counts.lock().unwrap().0 -= 1;
            request.answer("200 OK", "", "").await;
        }
    })
    .await;
    let client = client_of(&[&server]);
    let asking = (0..20).map(|n| {
        let url = server.url(&format!("/{n}"));
        let client = client.clone();
        async move { client.post(&url, &[], Vec::new()).await }
    });
    for answer in join_all(asking).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(now_and_most.lock().unwrap().1, 4);
    assert_eq!(client.inner.slots.hosts_held(), 0);
}

#[tokio::test]
async fn places_run_out_for_one_host_and_for_all_and_streams_leave_some() {
    let rules = Rules::new([].into());
    let target = |n: usize| rules.check(&format!("https://h{n}.example/")).unwrap();
    let slots = Arc::new(Slots::default());
    let take = async |n, class| slots.take(&target(n), class, Instant::now()).await.ok();

    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(take(0, Class::Stream).await.unwrap());
    }
    assert!(take(0, Class::Stream).await.is_none());
    held.push(take(0, Class::Document).await.unwrap());
    assert!(take(0, Class::Document).await.is_none());
    for n in 0..45 {
        held.push(take(1 + n / 3, Class::Stream).await.unwrap());
    }
    assert!(take(20, Class::Stream).await.is_none());
    for n in 0..15 {
        held.push(take(21 + n, Class::Document).await.unwrap());
    }
    assert_eq!(held.len(), 64);
    assert!(take(50, Class::Document).await.is_none());
    let error = slots
        .take(&target(50), Class::Document, Instant::now())
        .await;
    let error = error.err().unwrap();
    assert!(error.code() == "busy" && error.is_temporary());
    assert_eq!(slots.hosts_held(), 31);
    held.pop();
    assert!(take(50, Class::Document).await.is_some());
    held.clear();
    assert_eq!(slots.hosts_held(), 0);
}

#[tokio::test]
async fn r10_those_who_wait_for_a_place_are_bounded_too() {
    let rules = Rules::new([].into());
    let slots = Arc::new(Slots::default());
    let later = Instant::now() + Duration::from_secs(60);
    let targets: Vec<_> = (0..1_100)
        .map(|n| rules.check(&format!("https://h{n}.example/")).unwrap())
        .collect();
    let mut waiting: Vec<_> = targets
        .iter()
        .map(|target| Box::pin(slots.take(target, Class::Document, later)))
        .collect();
    let (mut placed, mut refused) = (Vec::new(), 0);
    for take in &mut waiting {
        match futures_util::poll!(take) {
            std::task::Poll::Ready(Ok(slot)) => placed.push(slot),
            std::task::Poll::Ready(Err(_)) => refused += 1,
            std::task::Poll::Pending => {}
        }
    }
    assert_eq!((placed.len(), refused), (64, 1_100 - 1_024));
    assert_eq!(slots.hosts_held(), 1_024);
    drop((waiting, placed));
    assert_eq!(slots.hosts_held(), 0);
}
