//! The client against small servers on loopback, which are listed as insecure peers unless the
//! test is about strangers.

mod addresses;
mod documents;
mod server;
mod streams;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::pools::Setup;
use super::resolve::Lookup;
use super::target::Rules;
use super::{Client, Limits};
use server::Server;

const AUTHORITY: &str = include_str!("tests/certificates/authority.pem");
const VALID: &str = include_str!("tests/certificates/valid.pem");
const EXPIRED: &str = include_str!("tests/certificates/expired.pem");

/// As in production, but in a hurry.
fn hasty() -> Limits {
    Limits {
        document_time: Duration::from_millis(400),
        stall_time: Duration::from_millis(300),
        stall_bytes: 100,
        failure_time: Duration::from_millis(300),
        ..Limits::default()
    }
}

fn listed(servers: &[&Server]) -> Setup {
    let peers = servers
        .iter()
        .map(|server| (server.address.ip().to_string(), server.address.port()))
        .collect();
    Setup::new(Rules::new(peers), "baraza-test")
}

/// A client with production limits that may ask `servers`.
fn client_of(servers: &[&Server]) -> Client {
    Client::build(listed(servers), Limits::default()).unwrap()
}

fn hasty_client_of(servers: &[&Server]) -> Client {
    Client::build(listed(servers), hasty()).unwrap()
}

/// A name server whose answers are given one after the other; the last stays.
#[derive(Default)]
struct Book {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Book {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|it| it.parse().unwrap()).collect())
            .collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Lookup for Book {
    fn lookup(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        Box::pin(async move { Ok(answer) })
    }
}

/// Nobody is listed, and names lead where `book` says.
fn stranger(book: &Arc<Book>) -> Setup {
    let mut setup = Setup::new(Rules::new(BTreeSet::new()), "baraza-test");
    setup.lookup = book.clone();
    setup
}

/// A stranger's server on loopback, as if 127.0.0.1 were a public address and the only one, its
/// port the one for https, and the test authority the only one trusted.
fn stranger_at(server: &Server, book: &Arc<Book>) -> Setup {
    let mut setup = stranger(book);
    setup.rules.is_public = |address| address == IpAddr::from([127, 0, 0, 1]);
    setup.rules.https_port = server.address.port();
    setup.roots = vec![reqwest::Certificate::from_pem(AUTHORITY.as_bytes()).unwrap()];
    setup
}

fn build(setup: Setup) -> Client {
    Client::build(setup, Limits::default()).unwrap()
}
