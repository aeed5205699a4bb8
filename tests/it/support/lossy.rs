//! A bad line in front of a node: requests arrive, and answers get lost.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::node::{Node, port};

pub(crate) struct Lossy {
    /// How many more requests that hand something in are answered before one is not.
    answered: Arc<AtomicI64>,
}

impl Lossy {
    /// A node that is reached by a bad line only, made but not started; its settings may still be edited.
    pub(crate) fn before(own: u16, peers: &[u16]) -> (Self, Node) {
        let node = Node::make_on(own, peers);
        let behind = port();
        let url = format!("url = \"{}\"", node.url);
        node.edit(&url, &format!("{url}\nlisten = \"127.0.0.1:{behind}\""));
        let listener = TcpListener::bind(("127.0.0.1", own)).unwrap();
        let answered = Arc::new(AtomicI64::new(i64::MAX));
        let left = Arc::clone(&answered);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let left = Arc::clone(&left);
                std::thread::spawn(move || pass_on(stream, behind, &left));
            }
        });
        (Self { answered }, node)
    }

    /// After this many more requests that hand something in, one answer is lost.
    pub(crate) fn lose_answer_after(&self, requests: i64) {
        self.answered.store(requests, Ordering::SeqCst);
    }

    /// Whether an answer was lost since then.
    pub(crate) fn has_lost(&self) -> bool {
        self.answered.load(Ordering::SeqCst) < 0
    }
}

fn pass_on(mut stream: TcpStream, behind: u16, left: &AtomicI64) -> Option<()> {
    let mut request = Vec::new();
    let mut part = [0; 16 * 1024];
    let body_from = loop {
        if let Some(end) = request.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&part[..count]);
    };
    let head = String::from_utf8_lossy(&request[..body_from]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    while request.len() < body_from + length.unwrap_or_default() {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&part[..count]);
    }
    // One request for each connection, so that the end of the answer is its end.
    let kept: Vec<&str> = head
        .trim_end()
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .collect();
    let mut passed = kept.join("\r\n").into_bytes();
    // As a proxy says it: a node that does not trust it does not read it.
    passed.extend_from_slice(b"\r\nx-forwarded-for: 203.0.113.9\r\nconnection: close\r\n\r\n");
    passed.extend_from_slice(&request[body_from..]);
    let mut node = TcpStream::connect(("127.0.0.1", behind)).ok()?;
    node.write_all(&passed).ok()?;
    if head.starts_with("POST /api/v1/") && left.fetch_sub(1, Ordering::SeqCst) == 0 {
        // The node has answered, so it has done what it was asked.
        node.read_to_end(&mut Vec::new()).ok()?;
        return None;
    }
    std::io::copy(&mut node, &mut stream).ok()?;
    Some(())
}
