//! A peer that stands before a node, counts what is asked, and hides lines of what is answered.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::client;
use super::node::{Node, port};

/// One request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    /// Method and path with query.
    pub(crate) what: String,
    /// Of both bodies.
    pub(crate) bytes: usize,
    /// Lines of the answer.
    pub(crate) lines: usize,
}

#[derive(Default)]
struct State {
    hidden: Vec<(&'static str, String)>,
    passed: Vec<Passed>,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Relay {
    /// Stands before a node until the test process ends.
    pub(crate) fn before(node: &Node) -> Self {
        let port = port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (behind, shared) = (node.url.clone(), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (behind, state) = (behind.clone(), Arc::clone(&shared));
                std::thread::spawn(move || pass_on(stream, &behind, &state));
            }
        });
        Self {
            port,
            url: format!("http://127.0.0.1:{port}"),
            state,
        }
    }

    /// From now on leaves out each line with `word` of answers to paths that begin with `path`.
    pub(crate) fn hide(&self, path: &'static str, word: &str) {
        let hidden = (path, word.to_owned());
        self.state.lock().unwrap().hidden.push(hidden);
    }

    /// What was passed on since this was asked last.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut self.state.lock().unwrap().passed)
    }
}

fn pass_on(mut stream: TcpStream, behind: &str, state: &Mutex<State>) -> Option<()> {
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
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted)
                .then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    while request.len() < body_from + length.unwrap_or_default() {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&part[..count]);
    }
    let body = &request[body_from..];
    let mut first = head.lines().next()?.split(' ');
    let (method, path) = (first.next()?, first.next()?);
    let kind = header("content-type").unwrap_or_default();
    let headers = [("content-type", kind.as_str())];
    let mut answer = client::try_request(behind, method, path, &headers, body)?;
    {
        let mut state = state.lock().unwrap();
        let hides = |line: &&[u8]| {
            state.hidden.iter().any(|(hidden, word)| {
                path.starts_with(hidden) && line.windows(word.len()).any(|it| it == word.as_bytes())
            })
        };
        if answer.header("content-type") == Some("application/x-ndjson") {
            let lines = answer.body.split_inclusive(|byte| *byte == b'\n');
            answer.body = lines
                .filter(|line| !hides(line))
                .collect::<Vec<_>>()
                .concat();
        }
        state.passed.push(Passed {
            what: format!("{method} {path}"),
            bytes: body.len() + answer.body.len(),
            lines: answer.body.split(|byte| *byte == b'\n').count() - 1,
        });
    }
    let mut told = format!("HTTP/1.1 {} Told\r\n", answer.status);
    for name in ["content-type", "baraza-cursor", "retry-after"] {
        if let Some(value) = answer.header(name) {
            told.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let length = answer.body.len();
    told.push_str(&format!(
        "content-length: {length}\r\nconnection: close\r\n\r\n"
    ));
    stream.write_all(told.as_bytes()).ok()?;
    stream.write_all(&answer.body).ok()
}
