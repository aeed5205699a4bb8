//! What the examples need beside the protocol, and real programs have from elsewhere: HTTP and the
//! time.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use protocol::time::Timestamp;

/// Whatever goes wrong, for whoever reads the terminal.
pub type Failed = Box<dyn Error>;

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The host and port of a node's address, `http://HOST:PORT`.
///
/// # Errors
/// Anything else: these examples speak no TLS.
pub fn host_and_port(node: &str) -> Result<(&str, u16), Failed> {
    let authority = node
        .strip_prefix("http://")
        .map(|it| it.trim_end_matches('/'));
    let parts = authority.and_then(|it| it.rsplit_once(':'));
    let (host, port) = parts.ok_or("give the node's address as http://HOST:PORT")?;
    Ok((host, port.parse()?))
}

/// What a node answers to `GET path`.
///
/// # Errors
/// It cannot be reached, or does not answer 200.
pub fn get(node: &str, path: &str) -> Result<Vec<u8>, Failed> {
    match ask(node, "GET", path, &[])? {
        (200, body) => Ok(body),
        (status, body) => {
            Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body)).into())
        }
    }
}

/// Hands something to a node; gives its status and what it said.
///
/// # Errors
/// It cannot be reached.
pub fn post(node: &str, path: &str, body: &[u8]) -> Result<(u16, String), Failed> {
    let (status, said) = ask(node, "POST", path, body)?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

fn ask(node: &str, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>), Failed> {
    let (host, port) = host_and_port(node)?;
    let mut stream = TcpStream::connect((host, port))?;
    // By HTTP/1.0 an answer is one piece that ends with the connection.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let end = end.ok_or("the node's answer has no end of its head")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .ok_or("the node's answer has no status")?;
    Ok((status.parse()?, answer.split_off(end + 4)))
}

/// The present moment: the protocol reads no clock, so whoever uses it says what time it is.
#[expect(clippy::disallowed_methods, reason = "a program's own clock")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_seconds(since.map_or(0, |since| since.as_secs().cast_signed()))
}
