//! The wires between nodes: a request is answered from the store of whoever it is for, unless the wire is
//! cut, the answer breaks off, or the other side is hostile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use baraza::federation::client::{FetchError, Wire};
use baraza::federation::policy::Gate;
use baraza::sets::Sets;
use baraza::store::Store;
use baraza::web::problem::Problem;
use baraza::web::sync::answer;
use http::Response;
use url::Url;

use crate::hostile::Liar;
use crate::network::{address, place_of};
use crate::told::Told;

/// What goes wrong with one answer of an honest node. Its lines are not altered: that is what transport
/// encryption is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503.
    Refused,
    /// It breaks off after this part of a hundred.
    CutOff(usize),
    /// The answer that was given to the same request before comes again: late, or twice.
    Again,
}

/// What answers at a node.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) store: Arc<Store>,
    pub(crate) sets: Sets,
    pub(crate) gate: Gate,
}

/// All wires.
#[derive(Default)]
pub(crate) struct Board(Mutex<Wires>);

#[derive(Default)]
pub(crate) struct Wires {
    /// Of each node; none while it is down.
    pub(crate) hosts: Vec<Option<Host>>,
    /// Pairs that do not reach each other, the lower number first.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// For one answer, after so many that come well.
    pub(crate) fault: Option<(usize, Fault)>,
    /// Rows of a page, if fewer than are asked for.
    pub(crate) page: Option<usize>,
    /// The hostile ones.
    pub(crate) liars: BTreeMap<usize, Liar>,
    /// All that was ever said.
    pub(crate) told: Vec<Told>,
    /// Answers to readings that were given, by who asked for what.
    given: BTreeMap<(usize, String), Vec<u8>>,
    /// How often each was asked, whether or not it answered.
    pub(crate) asked: Vec<u64>,
}

impl Wires {
    pub(crate) fn reaches(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one.min(other), one.max(other)))
            && self.hosts.get(other).is_some_and(Option::is_some)
    }

    /// The fault of this answer.
    fn next_fault(&mut self) -> Option<Fault> {
        match self.fault.take() {
            Some((0, fault)) => Some(fault),
            later => {
                self.fault = later.map(|(well, fault)| (well - 1, fault));
                None
            }
        }
    }

    /// `None` if nothing comes.
    fn answer(&mut self, from: usize, url: &Url, body: Option<&[u8]>) -> Option<Response<Vec<u8>>> {
        let to = place_of(url.host_str()?).filter(|to| *to < self.asked.len())?;
        self.asked[to] += 1;
        let host = self.hosts[to].clone().filter(|_| self.reaches(from, to))?;
        let fault = self.next_fault();
        if fault == Some(Fault::Refused) {
            return Some(refusal(&Problem::unavailable("busy")));
        }
        let mut asked = url[url::Position::BeforePath..].to_owned();
        if let Some(page) = self.page.take() {
            asked = asked.replace("limit=500", &format!("limit={page}"));
        }
        if let (Err(barred), false) = (
            host.gate.check_sender(&address(from)),
            self.liars.contains_key(&to),
        ) {
            return Some(refusal(&barred.into()));
        }
        let given = answer(&host.store, &host.sets, &asked.parse().unwrap(), body);
        let mut given = match given {
            Ok(given) => given,
            Err(problem) => return Some(refusal(&problem)),
        };
        let message = body.filter(|_| url.path() == "/sync/v1/reconcile");
        if let Some(liar) = self.liars.get_mut(&to) {
            given = match message {
                Some(message) => liar.twist_comparison(given, message, &asked, &host.store)?,
                None => {
                    let others: Vec<&Host> = self.hosts.iter().flatten().collect();
                    let lines = String::from_utf8(given.into_body()).unwrap();
                    Response::new(liar.twist(lines, &self.told, &others)?.into_bytes())
                }
            };
        }
        if message.is_some() {
            // Whoever gets a part of it knows by its length that it is one.
            return (!matches!(fault, Some(Fault::CutOff(_)))).then_some(given);
        }
        if fault == Some(Fault::Again)
            && let Some(before) = self.given.get(&(from, url.to_string()))
        {
            given.body_mut().clone_from(before);
        }
        if body.is_none() {
            let asked = (from, url.to_string());
            self.given.insert(asked, given.body().clone());
        }
        if let Some(Fault::CutOff(part)) = fault {
            let end = given.body().len() * part.min(100) / 100;
            given.body_mut().truncate(end);
        }
        Some(given)
    }
}

fn refusal(problem: &Problem) -> Response<Vec<u8>> {
    Response::builder()
        .status(problem.status())
        .header("content-type", "application/problem+json")
        .body(format!("{{\"code\":\"{}\"}}", problem.code()).into_bytes())
        .unwrap()
}

impl Board {
    pub(crate) fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap()
    }

    /// What the node with this number asks others by.
    pub(crate) fn end_at(self: &Arc<Self>, from: usize) -> Arc<dyn Wire> {
        Arc::new(End {
            board: Arc::clone(self),
            from,
        })
    }
}

struct End {
    board: Arc<Board>,
    from: usize,
}

impl Wire for End {
    fn answer(&self, url: &Url, body: Option<&[u8]>) -> Result<Response<Vec<u8>>, FetchError> {
        let given = self.board.wires().answer(self.from, url, body);
        given.ok_or_else(|| FetchError::ConnectFailed {
            host: url.host_str().unwrap_or_default().to_owned(),
            reason: "the wire is cut".to_owned(),
        })
    }
}
