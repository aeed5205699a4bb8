//! A peer that answers whatever a test wants.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::httpsig::cavage;
use protocol::id::VersionHash;
use serde_json::Value;

use super::node::port;

/// What a peer does with a request, given its first line.
type Script = dyn Fn(&str, &mut TcpStream) + Send + Sync;

pub(crate) struct Hostile {
    pub(crate) port: u16,
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    /// Serves until the test process ends.
    pub(crate) fn start(script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_on(port(), script)
    }

    /// As [`Hostile::start`], at a port that was chosen before.
    pub(crate) fn start_on(
        port: u16,
        script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let script: Arc<Script> = Arc::new(script);
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, heads) = (Arc::clone(&connections), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let (script, heads) = (Arc::clone(&script), Arc::clone(&heads));
                std::thread::spawn(move || {
                    if let Some(head) = read_head(&mut stream) {
                        let first = head.lines().next().unwrap_or_default().to_owned();
                        heads.lock().unwrap().push(head);
                        script(&first, &mut stream);
                    }
                });
            }
        });
        Self {
            port,
            url: format!("http://127.0.0.1:{port}"),
            connections,
            requests,
        }
    }

    /// A node with this change feed and no more: who has read it waits for news that never come.
    pub(crate) fn feed(lines: Vec<Vec<u8>>) -> Self {
        Self::start(move |first, stream| {
            if first.starts_with("GET /sync/v1/changes") && !first.contains("since=") {
                let body = lines.join(&b'\n');
                answer(stream, "200 OK", "application/x-ndjson", &body);
            } else {
                hold(stream);
            }
        })
    }

    /// A server whose clock differs from ours by so many seconds.
    pub(crate) fn with_clock(seconds: Arc<AtomicI64>) -> Self {
        Self::start(move |_, stream| {
            let date = super::now().plus_seconds(seconds.load(Ordering::SeqCst));
            let date = cavage::write_http_date(date);
            let head = format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-type: text/plain\r\n");
            // Whoever asked may have gone.
            let _ = write!(
                stream,
                "{head}content-length: 2\r\nconnection: close\r\n\r\nok"
            );
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until it was asked for what comes after this cursor.
    pub(crate) fn until_asked_since(&self, cursor: &str) {
        let wanted = format!("since={cursor}");
        super::until(&wanted, || {
            let mut heads = self.requests().into_iter();
            heads.any(|head| head.contains(&wanted)).then_some(())
        });
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 100_000 {
            return None;
        }
        head.extend_from_slice(&byte);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// A whole answer, then the end of the connection.
pub(crate) fn answer(stream: &mut TcpStream, status: &str, kind: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // The other side may have gone.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

/// Says nothing until the other side goes away or half a minute has passed.
pub(crate) fn hold(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}

/// A line of the feed with a record.
pub(crate) fn record_line(number: u64, record: &[u8]) -> Vec<u8> {
    let record = String::from_utf8_lossy(record);
    format!("{{\"cursor\":\"feed-{number}\",\"record\":{record}}}").into_bytes()
}

/// A line of the feed with a log entry.
pub(crate) fn log_line(number: u64, scid: &str, entry: &[u8]) -> Vec<u8> {
    let entry = String::from_utf8_lossy(entry);
    format!("{{\"cursor\":\"feed-{number}\",\"log\":{entry},\"scid\":\"{scid}\"}}").into_bytes()
}

/// A line of the feed that names a version without its bytes.
pub(crate) fn version_line(number: u64, record: &[u8]) -> Vec<u8> {
    let hash = VersionHash::of(record);
    format!("{{\"cursor\":\"feed-{number}\",\"version\":\"{hash}\"}}").into_bytes()
}

/// A line of an answer to `fetch` with a record.
pub(crate) fn given_line(record: &[u8]) -> Vec<u8> {
    let record = String::from_utf8_lossy(record);
    format!("{{\"record\":{record}}}").into_bytes()
}

/// The ids that a request to `fetch` asks for, after its head.
pub(crate) fn wanted(stream: &mut TcpStream) -> Vec<String> {
    let mut body = Vec::new();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        body.extend_from_slice(&byte);
        if body.ends_with(b"]}") {
            break;
        }
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let ids = body["want"].as_array().cloned().unwrap_or_default();
    ids.iter()
        .filter_map(|id| Some(id.as_str()?.to_owned()))
        .collect()
}

/// The last line of a page.
pub(crate) fn end_line(number: u64) -> Vec<u8> {
    format!("{{\"cursor\":\"feed-{number}\"}}\n").into_bytes()
}
