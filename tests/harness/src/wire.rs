//! The wires between nodes: a request is answered from the store of whoever it is for, unless the wire is
//! cut, the answer breaks off, or the other side is hostile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use baraza::federation::client::{FetchError, Wire};
use baraza::store::Store;
use baraza::web::sync::answer;
use http::Response;
use url::Url;

use crate::hostile::Liar;
use crate::network::place_of;
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

/// All wires.
#[derive(Default)]
pub(crate) struct Board(Mutex<Wires>);

#[derive(Default)]
pub(crate) struct Wires {
    /// Of each node; none while it is down.
    pub(crate) stores: Vec<Option<Arc<Store>>>,
    /// Pairs that do not reach each other, the lower number first.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// For the next answer.
    pub(crate) fault: Option<Fault>,
    /// Rows of a page, if fewer than are asked for.
    pub(crate) page: Option<usize>,
    /// The hostile ones.
    pub(crate) liars: BTreeMap<usize, Liar>,
    /// All that was ever said.
    pub(crate) told: Vec<Told>,
    /// Answers that were given, by who asked for what.
    given: BTreeMap<(usize, String), String>,
    /// How often each was asked, whether or not it answered.
    pub(crate) asked: Vec<u64>,
}

impl Wires {
    pub(crate) fn reaches(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one.min(other), one.max(other)))
            && self.stores.get(other).is_some_and(Option::is_some)
    }

    fn answer(&mut self, from: usize, url: &Url, body: Option<&[u8]>) -> Given {
        let host = url.host_str().unwrap_or_default();
        let Some(to) = place_of(host).filter(|to| *to < self.asked.len()) else {
            return Given::Nothing;
        };
        self.asked[to] += 1;
        let Some(store) = self.stores[to].clone().filter(|_| self.reaches(from, to)) else {
            return Given::Nothing;
        };
        let fault = self.fault.take();
        if fault == Some(Fault::Refused) {
            return Given::Problem(503, "unavailable");
        }
        let mut asked = url[url::Position::BeforePath..].to_owned();
        if let Some(page) = self.page.take() {
            asked = asked.replace("limit=500", &format!("limit={page}"));
        }
        let mut text = match answer(&store, &asked.parse().unwrap(), body) {
            Ok(text) => text,
            Err(problem) => return Given::Problem(problem.status().as_u16(), problem.code()),
        };
        if let Some(liar) = self.liars.get_mut(&to) {
            let others: Vec<&Arc<Store>> = self.stores.iter().flatten().collect();
            match liar.twist(text, &self.told, &others) {
                Some(twisted) => text = twisted,
                None => return Given::Nothing,
            }
        }
        if fault == Some(Fault::Again)
            && let Some(before) = self.given.get(&(from, url.to_string()))
        {
            text.clone_from(before);
        }
        if body.is_none() {
            self.given.insert((from, url.to_string()), text.clone());
        }
        if let Some(Fault::CutOff(part)) = fault {
            let end = text.len() * part.min(100) / 100;
            text.truncate(text.floor_char_boundary(end));
        }
        Given::Lines(text)
    }
}

enum Given {
    Lines(String),
    Problem(u16, &'static str),
    Nothing,
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
        let response = match given {
            Given::Lines(text) => Response::new(text.into_bytes()),
            Given::Problem(status, code) => Response::builder()
                .status(status)
                .header("content-type", "application/problem+json")
                .body(format!("{{\"code\":\"{code}\"}}").into_bytes())
                .unwrap(),
            Given::Nothing => {
                return Err(FetchError::ConnectFailed {
                    host: url.host_str().unwrap_or_default().to_owned(),
                    reason: "the wire is cut".to_owned(),
                });
            }
        };
        Ok(response)
    }
}
