//! The node that bad input is sent to: one of our own, or the one that `BARAZA_URL` names, which
//! must host anyone (`[hosting] policy = "open"`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::author::Author;
use super::client::{self, Answer};
use super::node::Node;
use super::started;

/// Tests take turns with a node that they share.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Target {
    pub(crate) url: String,
    node: Option<Node>,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// What no bad input may change.
#[derive(Debug, PartialEq)]
struct State {
    hash: String,
    changes: u64,
    parked: u64,
}

impl Target {
    pub(crate) fn open() -> Self {
        Self::that_may_ask(&[])
    }

    /// If it is one of our own, it may ask these ports of this machine.
    pub(crate) fn that_may_ask(peers: &[u16]) -> Self {
        match std::env::var_os("BARAZA_URL") {
            Some(url) => Self {
                url: url.to_str().unwrap().trim_end_matches('/').to_owned(),
                node: None,
                _turn: Some(TURN.lock().unwrap_or_else(PoisonError::into_inner)),
            },
            None => {
                let node = Node::hosting(peers);
                Self {
                    url: node.url.clone(),
                    node: Some(node),
                    _turn: None,
                }
            }
        }
    }

    /// With an author that it hosts and one of its records.
    pub(crate) fn with_author() -> (Self, Author) {
        let target = Self::open();
        let author = Author::hosted(&target.url);
        let first = author.record("first", 1, "Here before");
        target.takes("a good record", &first);
        (target, author)
    }

    /// The node, if it is one of our own.
    pub(crate) fn own(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    fn state(&self) -> State {
        let census = client::census(&self.url);
        State {
            hash: census["stateHash"].as_str().unwrap().to_owned(),
            changes: census["changes"].as_u64().unwrap(),
            parked: census["parked"].as_u64().unwrap(),
        }
    }

    fn assert_lives(&self, id: &str) {
        let start = started();
        assert_eq!(client::get(&self.url, "/livez").status, 200, "{id}");
        let seconds = start.elapsed().as_secs_f64();
        // The house rule says one second; other work on this machine is allowed for.
        assert!(seconds < 5.0, "{id}: /livez took {seconds} s");
        if let Some(node) = &self.node {
            assert!(!node.log().contains("panicked"), "{id}: {}", node.log());
        }
    }

    /// Sends something bad, which must be answered so and change nothing.
    pub(crate) fn refuses(
        &self,
        id: &str,
        send: impl FnOnce(&str) -> Answer,
        status: u16,
        code: &str,
    ) -> Answer {
        let before = self.state();
        let answer = send(&self.url);
        assert_eq!(answer.status, status, "{id}: {}", answer.text());
        assert_eq!(answer.code(), code, "{id}: {}", answer.text());
        let text = answer.text();
        for secret in ["/tmp/", "src/", "panicked", "zeroize"] {
            assert!(!text.contains(secret), "{id}: {text}");
        }
        self.assert_lives(id);
        assert_eq!(self.state(), before, "{id}: {text}");
        answer
    }

    /// Hands in something bad in place of a record.
    pub(crate) fn refuses_record(&self, id: &str, body: &[u8], status: u16, code: &str) -> Answer {
        let send = |url: &str| client::post(url, "/api/v1/records", body);
        self.refuses(id, send, status, code)
    }

    /// Hands in a good record, which must be stored and read back byte for byte.
    pub(crate) fn takes(&self, id: &str, record: &[u8]) {
        let answer = client::post(&self.url, "/api/v1/records", record);
        assert_eq!(answer.status, 201, "{id}: {}", answer.text());
        let path = format!("/api/v1/records/{}", answer.json()["id"].as_str().unwrap());
        let read = client::get(&self.url, &path);
        assert!(matches!(read.status, 200 | 410), "{id}: {}", read.status);
        assert_eq!(read.text(), String::from_utf8_lossy(record), "{id}");
        self.assert_lives(id);
    }
}
