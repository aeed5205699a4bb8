//! Nodes with the production code in them, and what can be done to them. No chance here: whoever drives a
//! network decides.

mod blocking;
mod comparing;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use baraza::clock::{Clock as _, ManualClock, SharedClock};
use baraza::config::Federation;
use baraza::federation::client::Client;
use baraza::federation::peers::Peers;
use baraza::federation::policy::Gate;
use baraza::federation::pull::{PullError, Pulled, Puller};
use baraza::ingest::{Ingest, IngestError};
use baraza::publish::Publisher;
use baraza::sets::Sets;
use baraza::standing::{self, Settled, Standing};
use baraza::store::engine::Memory;
use baraza::store::{Receipt, Store, make_own};
use protocol::acceptance::Rules;
use protocol::id::Scid;
use protocol::identity::WitnessProofs;
use protocol::time::Timestamp;

use crate::author::at;
use crate::hostile::Liar;
use crate::node::wait;
use crate::told::{Said, Told};
use crate::trace::Trace;
use crate::wire::{Board, Fault, Host, Wires};

/// The address of a node.
pub fn address(node: usize) -> String {
    format!("https://n{node}.example")
}

/// Which node has a host name.
pub(crate) fn place_of(host: &str) -> Option<usize> {
    host.strip_prefix('n')?
        .strip_suffix(".example")?
        .parse()
        .ok()
}

/// A node: what runs, and what lies on its disk.
pub struct Site {
    /// What it holds.
    pub store: Arc<Store>,
    /// Its door.
    pub ingest: Ingest,
    /// What it knows of others.
    pub peers: Peers,
    /// How it publishes.
    pub publisher: Publisher,
    /// Whether it may.
    pub standing: Standing,
    /// What time it thinks it is.
    pub clock: Arc<ManualClock>,
    /// What it holds, as sets that others compare with theirs.
    pub sets: Sets,
    gate: Gate,
    puller: Puller,
    disk: Arc<Memory>,
    /// A copy of its disk, and of when.
    image: Option<(Memory, Timestamp)>,
    /// How often it was made of a copy.
    pub restores: u32,
    /// Whom it reads.
    pub follows: Vec<usize>,
}

/// Nodes, the wires between them and what is on its way.
pub struct Network {
    /// The nodes, by number.
    pub sites: Vec<Site>,
    /// What happened.
    pub trace: Trace,
    pub(crate) board: Arc<Board>,
    client: Client,
    rules: Rules,
    /// Seconds since the beginning.
    now: i64,
    /// What was pushed and has not come yet, by when it comes.
    flight: BTreeMap<(i64, u64), Push>,
    pushes: u64,
}

/// Something that one node pushes to another.
#[derive(Debug, Clone)]
struct Push {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
    is_entry: bool,
}

impl Network {
    /// Nodes that follow those that `follows` names, under rules. All clocks show the same.
    pub fn new(follows: &[Vec<usize>], rules: Rules, is_printed: bool) -> Self {
        let board = Arc::new(Board::default());
        board.wires().asked = vec![0; follows.len()];
        board.wires().hosts = vec![None; follows.len()];
        let mut network = Self {
            sites: Vec::new(),
            trace: Trace::new(is_printed),
            client: client(),
            board,
            rules,
            now: 0,
            flight: BTreeMap::new(),
            pushes: 0,
        };
        for (number, follows) in follows.iter().enumerate() {
            let disk = Arc::new(Memory::default());
            let clock = Arc::new(ManualClock::at(at(0)));
            let site = network.start(number, disk, clock, follows.clone());
            for peer in follows {
                let url = address(*peer);
                wait(site.peers.change(&url, |peer| peer.is_followed = true)).unwrap();
            }
            network.sites.push(site);
        }
        network
    }

    /// Starts a node on a disk.
    fn start(
        &self,
        number: usize,
        disk: Arc<Memory>,
        clock: Arc<ManualClock>,
        follows: Vec<usize>,
    ) -> Site {
        let epoch = format!("n{number}e0");
        let store = Arc::new(Store::on(disk.clone(), epoch, self.rules).unwrap());
        let shared: SharedClock = clock.clone();
        let ingest = Ingest::new(Arc::clone(&store), shared.clone());
        let peers = Peers::new(Arc::clone(&store));
        let client = self.client.over(self.board.end_at(number));
        let sets = Sets::new(Arc::clone(&store));
        let settings = Federation::default();
        let gate = Gate::new(&settings, peers.clone(), Arc::clone(&store), shared.clone());
        self.board.wires().hosts[number] = Some(Host {
            store: Arc::clone(&store),
            sets: sets.clone(),
            gate: gate.clone(),
        });
        Site {
            puller: Puller::new(
                client,
                peers.clone(),
                ingest.clone(),
                sets.clone(),
                shared.clone(),
            ),
            publisher: Publisher::new(
                Arc::clone(&store),
                ingest.clone(),
                shared,
                // Only what is published by the hundred thousand goes by way of a file.
                PathBuf::new(),
            ),
            standing: Standing::new(Arc::clone(&store)),
            sets,
            gate,
            store,
            ingest,
            peers,
            clock,
            disk,
            image: None,
            restores: 0,
            follows,
        }
    }

    /// Says what happened.
    pub fn say(&mut self, event: std::fmt::Arguments<'_>) {
        self.trace.say(self.now, event);
    }

    /// Seconds since the beginning.
    pub fn now(&self) -> i64 {
        self.now
    }

    pub(crate) fn wires(&self) -> std::sync::MutexGuard<'_, Wires> {
        self.board.wires()
    }

    /// Lets time pass: pushes that are due come, and so does what was dated ahead.
    pub fn pass(&mut self, seconds: i64) {
        let end = self.now + seconds;
        while let Some(first) = self.flight.first_entry()
            && first.key().0 <= end
        {
            let ((due, _), push) = first.remove_entry();
            self.turn_clocks(due.max(self.now));
            self.deliver(&push);
        }
        self.turn_clocks(end);
        for site in &self.sites {
            if site.store.parked().unwrap() > 0 {
                wait(site.store.admit_due(site.clock.now())).unwrap();
            }
        }
    }

    fn turn_clocks(&mut self, to: i64) {
        for site in &self.sites {
            site.clock.advance(to - self.now);
        }
        self.now = to;
    }

    /// Pushes something that takes so many seconds.
    pub fn push(
        &mut self,
        from: usize,
        to: usize,
        told: &Told,
        seconds: i64,
        altered: Option<usize>,
    ) {
        let mut bytes = told.bytes();
        if let Some(place) = altered {
            let place = place % bytes.len();
            bytes[place] = bytes[place].wrapping_add(1);
        }
        self.pushes += 1;
        let is_entry = matches!(told.what, Said::Entry(_));
        let push = Push {
            from,
            to,
            bytes,
            is_entry,
        };
        self.flight.insert((self.now + seconds, self.pushes), push);
    }

    fn deliver(&mut self, push: &Push) {
        let Push { from, to, .. } = *push;
        if !self.wires().reaches(from, to) {
            self.say(format_args!("a push from {from} to {to} is lost"));
            return;
        }
        let site = &self.sites[to];
        let came = match wait(site.let_in(&address(from), !push.is_entry)) {
            Err(barred) => barred.to_string(),
            Ok(()) => {
                let came = match push.is_entry {
                    true => wait(site.ingest.log_entry(&push.bytes, &WitnessProofs::empty()))
                        .map(|receipt| format!("{receipt:?}")),
                    false => wait(site.ingest.record(&push.bytes, Some(address(from).into())))
                        .map(|receipt| format!("{receipt:?}")),
                };
                came.unwrap_or_else(|error| error.to_string())
            }
        };
        self.say(format_args!("a push from {from} came to {to}: {came}"));
    }

    /// `to` reads a page of what `from` has; nothing, if it has blocked it.
    pub fn pull(&mut self, to: usize, from: usize) -> Result<Pulled, PullError> {
        if self.has_blocked(to, from) {
            self.say(format_args!("{to} does not read {from}: it is blocked"));
            return Ok(Pulled::default());
        }
        let pulled = wait(self.sites[to].puller.read_page(&address(from)));
        match &pulled {
            Ok(Pulled {
                lines,
                stored,
                log_entries,
                refused,
                messages,
                ..
            }) => self.say(format_args!(
                "{to} reads {from}: {lines} lines, {stored} new, {log_entries} of logs, {refused} refused{}",
                match messages {
                    0 => "",
                    _ => ", after comparing: its log had begun anew",
                }
            )),
            Err(error) => self.say(format_args!("{to} reads {from}: {error}")),
        }
        pulled
    }

    /// As [`Network::pull`], with a fault, and pages of so many rows.
    pub fn pull_badly(
        &mut self,
        to: usize,
        from: usize,
        fault: Option<Fault>,
        page: Option<usize>,
    ) -> Result<Pulled, PullError> {
        self.wires().fault = fault.map(|fault| (0, fault));
        self.wires().page = page;
        let pulled = self.pull(to, from);
        self.wires().fault = None;
        self.wires().page = None;
        pulled
    }

    /// `to` reads all that `from` gives.
    pub fn catch_up(&mut self, to: usize, from: usize) {
        for _ in 0..PAGES_MAX {
            match self.pull(to, from) {
                Ok(pulled) if pulled.lines > 0 => {}
                _ => return,
            }
        }
    }

    /// Two nodes reach each other, or do not.
    pub fn link(&mut self, one: usize, other: usize, is_there: bool) {
        let pair = (one.min(other), one.max(other));
        match is_there {
            true => self.wires().cut.remove(&pair),
            false => self.wires().cut.insert(pair),
        };
    }

    /// Nodes of one side do not reach those of the other.
    pub fn part(&mut self, one: &[usize], other: &[usize]) {
        for a in one {
            for b in other {
                self.link(*a, *b, false);
            }
        }
        self.say(format_args!("{one:?} and {other:?} are parted"));
    }

    /// All wires are whole.
    pub fn join(&mut self) {
        self.wires().cut.clear();
        self.say(format_args!("all wires are whole"));
    }

    /// A node is hostile from now on.
    pub fn turn_hostile(&mut self, node: usize, liar: Liar) {
        self.wires().liars.insert(node, liar);
    }

    /// Whether a node is honest.
    pub fn is_honest(&self, node: usize) -> bool {
        !self.wires().liars.contains_key(&node)
    }

    /// The honest nodes.
    pub fn honest(&self) -> Vec<usize> {
        (0..self.sites.len())
            .filter(|node| self.is_honest(*node))
            .collect()
    }

    /// Nobody answers at this node until it is back.
    pub fn take_down(&mut self, node: usize) {
        self.wires().hosts[node] = None;
        self.say(format_args!("{node} is down"));
    }

    /// It is back as it was.
    pub fn bring_back(&mut self, node: usize) {
        self.crash(node);
    }

    /// A node is killed and started again: its disk is as it was.
    pub fn crash(&mut self, node: usize) {
        let site = &self.sites[node];
        let (disk, clock) = (Arc::clone(&site.disk), Arc::clone(&site.clock));
        self.replace(node, disk, clock);
        self.say(format_args!("{node} crashed and starts again"));
    }

    fn replace(&mut self, node: usize, disk: Arc<Memory>, clock: Arc<ManualClock>) {
        self.sites[node].store.close();
        let before = &mut self.sites[node];
        let (follows, image) = (before.follows.clone(), before.image.take());
        let restores = before.restores;
        let mut site = self.start(node, disk, clock, follows);
        (site.image, site.restores) = (image, restores);
        self.sites[node] = site;
    }

    /// Keeps a copy of a node's disk.
    pub fn back_up(&mut self, node: usize) {
        let site = &mut self.sites[node];
        site.image = Some((site.disk.image(), site.clock.now()));
        self.say(format_args!("{node} keeps a copy of its disk"));
    }

    /// A node's disk is lost, and its copy taken in its place: under a new epoch, and it publishes nothing
    /// until it has asked others. `false` if there is no copy.
    pub fn restore(&mut self, node: usize) -> bool {
        let Some((image, taken)) = &self.sites[node].image else {
            return false;
        };
        let disk = Arc::new(image.image());
        let restores = self.sites[node].restores + 1;
        let epoch = format!("n{node}e{restores}");
        let note = standing::restored(&taken.to_string(), &epoch).unwrap();
        make_own(&*disk, &epoch, vec![note]).unwrap();
        let clock = Arc::clone(&self.sites[node].clock);
        self.replace(node, disk, clock);
        self.sites[node].restores = restores;
        self.say(format_args!("{node} lost its disk and is made of its copy"));
        true
    }

    /// A node asks those that it follows what they have of these authors, as `baraza reconcile` does; `true`
    /// if it may publish then.
    pub fn reconcile(&mut self, node: usize, own: &[Scid]) -> bool {
        let site = &self.sites[node];
        let mut unknown: BTreeSet<Scid> = own.iter().copied().collect();
        let mut told = Vec::new();
        for peer in &site.follows {
            if site.peers.is_blocked(&address(*peer)).unwrap() {
                continue;
            }
            if let Ok((known, _)) = wait(site.puller.read_authors(&address(*peer), own)) {
                unknown.retain(|scid| !known.contains(scid));
                told.push(address(*peer));
            }
        }
        if unknown.is_empty() {
            wait(site.standing.settle(Settled::Peers(told))).unwrap();
        }
        let is_settled = unknown.is_empty();
        self.say(format_args!(
            "{node} asked others for what it lost: it {} publish",
            match is_settled {
                true => "may",
                false => "may not yet",
            }
        ));
        is_settled
    }

    /// Its operator says that nobody else can have anything newer.
    pub fn settle_alone(&mut self, node: usize) {
        wait(self.sites[node].standing.settle(Settled::Alone)).unwrap();
        self.say(format_args!(
            "{node} publishes again, at its operator's word"
        ));
    }

    /// Hands something in at a node's own door.
    pub fn hand_in(&mut self, node: usize, told: &Told) -> Result<Option<Receipt>, IngestError> {
        let site = &self.sites[node];
        match &told.what {
            Said::Record(record) => wait(site.ingest.record(record.canonical(), None)).map(Some),
            Said::Entry(entry) => wait(
                site.ingest
                    .log_entry(&entry.to_canonical_bytes(), &WitnessProofs::empty()),
            )
            .map(|_| None),
        }
    }

    /// Lets honest nodes read whom they follow, in the order given, until a whole round brings nothing to
    /// any of them. Gives the rounds that brought something; `None` if there were more than `rounds_max`.
    pub fn settle(&mut self, order: &[usize], rounds_max: usize) -> Option<usize> {
        self.settle_by(order, rounds_max, Self::catch_up)
    }

    /// As [`Network::settle`]; what one node does with another is given.
    fn settle_by(
        &mut self,
        order: &[usize],
        rounds_max: usize,
        mut bring: impl FnMut(&mut Self, usize, usize),
    ) -> Option<usize> {
        for round in 0..=rounds_max {
            let before = self.last_changes();
            for to in order.iter().copied() {
                for from in self.sites[to].follows.clone() {
                    bring(self, to, from);
                }
            }
            if before == self.last_changes() {
                self.say(format_args!("at rest after {round} rounds"));
                return Some(round);
            }
        }
        None
    }

    fn last_changes(&self) -> Vec<u64> {
        let honest = self.honest().into_iter();
        honest
            .map(|node| self.sites[node].store.last_change().unwrap())
            .collect()
    }
}

/// A client is dear to make, for sockets that are not used here, and keeps nothing of what comes by wires.
fn client() -> Client {
    thread_local! {
        static CLIENT: Client = Client::new(BTreeSet::new(), "baraza").unwrap();
    }
    CLIENT.with(Client::clone)
}

/// Pages after which a reading ends: a hostile node may have no end.
const PAGES_MAX: usize = 40;
