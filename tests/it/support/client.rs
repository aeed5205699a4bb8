//! An HTTP/1.1 client over a plain socket. It sends whatever bytes it is given.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The `code` of a problem, which must be of the right media type.
    pub(crate) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{} {}",
            self.status,
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| text.len() > 5),
            "{problem}"
        );
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// The host and port of `http://HOST:PORT`.
pub(crate) fn authority(base: &str) -> &str {
    base.strip_prefix("http://").unwrap().trim_end_matches('/')
}

/// Opens a connection to a node.
pub(crate) fn connect(base: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(authority(base))?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a connection to a node from another address of this machine.
pub(crate) fn connect_from(address: &str, base: &str) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(format!("{address}:0").parse().unwrap())
            .unwrap();
        let stream = socket
            .connect(authority(base).parse().unwrap())
            .await
            .unwrap();
        stream.into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream
}

/// Sends bytes as they are and reads what comes back until the other side closes.
pub(crate) fn raw(base: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(base).unwrap();
    // A server that refuses early may close before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Takes one answer apart.
pub(crate) fn read(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: bytes.get(end + 4..)?.to_vec(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunked(&answer.body)?;
    } else if let Some(length) = answer.header("content-length") {
        // An answer that was cut off is none.
        (answer.body.len() >= length.parse().ok()?).then_some(())?;
    }
    Some(answer)
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|part| part == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// One request, one answer; `None` if there was none.
pub(crate) fn try_request(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let named = |name: &str| headers.iter().any(|(known, _)| *known == name);
    if !named("host") {
        head.push_str(&format!("host: {}\r\n", authority(base)));
    }
    if method == "POST" && !named("content-length") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = connect(base).ok()?;
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    // A server that refuses early may close before it has read all.
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    read(&answer)
}

/// One request, which must be answered.
pub(crate) fn request(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    try_request(base, method, path, headers, body)
        .unwrap_or_else(|| panic!("{base} did not answer {method} {path}"))
}

pub(crate) fn get(base: &str, path: &str) -> Answer {
    request(base, "GET", path, &[], &[])
}

pub(crate) fn post(base: &str, path: &str, body: &[u8]) -> Answer {
    let headers = [("content-type", "application/json")];
    request(base, "POST", path, &headers, body)
}

/// What a node has, in numbers.
pub(crate) fn census(base: &str) -> Value {
    let answer = get(base, "/api/v1/node");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The hash over everything that a node holds.
pub(crate) fn state_hash(base: &str) -> String {
    census(base)["stateHash"].as_str().unwrap().to_owned()
}
