//! What happens in a network: what organisations do, what goes wrong, and what the hostile try.

mod blocking;
mod faults;
mod hostility;
mod saying;

use std::collections::{BTreeMap, BTreeSet};

use baraza::clock::Clock as _;
use protocol::acceptance::Rules;
use protocol::envelope::Envelope;
use protocol::id::{Scid, VersionHash};

use crate::author::at;
use crate::chance::Chance;
use crate::hostile::{Liar, Mood};
use crate::network::Network;
use crate::organisation::Organisation;
use crate::told::{Said, Told};

/// Pushes take up to so long.
pub(crate) const DELAY_SECONDS_MAX: usize = 3 * 3_600;

/// Clocks are wrong by up to so much.
pub(crate) const SKEW_SECONDS_MAX: i64 = 3_600;

/// A network and those who use it.
pub struct World {
    /// The nodes.
    pub network: Network,
    /// The organisations.
    pub organisations: Vec<Organisation>,
    /// What must never have happened and did.
    pub broken: Vec<String>,
    /// How often each thing happened.
    pub counts: BTreeMap<&'static str, u64>,
    pub(crate) chance: Chance,
    /// Nodes compare each hour, as they do outside. It brings what else would be missing, so that in half of all
    /// worlds they do not: there reading alone must bring everything.
    pub(crate) is_comparing: bool,
    /// Versions that were told.
    known: BTreeSet<VersionHash>,
    records: u32,
}

impl World {
    /// A world of so many nodes, a fifth of which are hostile.
    pub fn new(seed: u64, nodes: usize, rules: Rules, is_printed: bool) -> Self {
        let mut chance = Chance::of(seed);
        let hostile = nodes / 5;
        let mut network = Network::new(
            &who_follows_whom(&mut chance, nodes, hostile),
            rules,
            is_printed,
        );
        for node in nodes - hostile..nodes {
            let mut liar = Liar::new(Chance::of(chance.number()));
            if chance.happens(25) {
                liar.mood = Mood::Hiding;
            }
            network.turn_hostile(node, liar);
        }
        for site in &network.sites {
            if chance.happens(40) {
                let range = SKEW_SECONDS_MAX as usize;
                site.clock
                    .advance(chance.below(2 * range + 1) as i64 - SKEW_SECONDS_MAX);
            }
        }
        let mut world = Self {
            network,
            organisations: Vec::new(),
            broken: Vec::new(),
            counts: BTreeMap::new(),
            is_comparing: chance.happens(50),
            chance,
            known: BTreeSet::new(),
            records: 0,
        };
        for home in 0..nodes {
            world.found(home);
        }
        let hides = world.organisations[0].scid;
        for liar in world.network.wires().liars.values_mut() {
            liar.hides = Some(hides);
        }
        world
    }

    fn found(&mut self, home: usize) {
        let name = self.organisations.len() as u8;
        let organisation = Organisation::found(name, home, at(-100_000));
        let entry = organisation.entries()[0].clone();
        self.organisations.push(organisation);
        self.tell_entry(usize::from(name), entry);
    }

    /// One thing happens.
    pub fn step(&mut self) {
        let seconds = 1 + self.chance.below(600);
        self.network.pass(seconds as i64);
        let who = self.chance.below(self.organisations.len());
        match self.chance.below(1_000) {
            0..170 => self.publish(who),
            170..280 => self.update(who),
            280..345 => self.withdraw(who),
            345..365 => self.bring_back(who),
            365..405 => self.rotate(who, false),
            405..425 => self.add_key(who),
            425..435 => self.rotate(who, true),
            435..450 => self.move_away(who),
            450..456 => self.close(who),
            456..485 => self.steal(who),
            485..520 => self.recover(who),
            520..528 => self.fork(who),
            528..550 => self.equivocate(),
            550..575 => self.push_of_hostile(),
            575..585 => self.flood(),
            585..765 => self.read_somebody(),
            765..785 if self.is_comparing => self.compare(),
            765..785 => self.read_somebody(),
            785..800 => self.block(),
            800..805 => self.unblock(),
            805..830 => self.crash(),
            830..850 => self.back_up(),
            850..865 => self.restore(),
            865..895 => self.reconcile(),
            895..915 => self.part(),
            915..935 => self.join(),
            935..945 => self.turn_clock(),
            945..955 => self.pass_hours(),
            _ => self.checkpoint(who),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Something was signed; gives its place among all that was told.
    pub(crate) fn tell(&mut self, what: Said, is_owed: bool) -> usize {
        let told = Told { what, is_owed };
        self.known.extend(told.hash());
        let mut wires = self.network.wires();
        wires.told.push(told);
        wires.told.len() - 1
    }

    pub(crate) fn told(&self, place: usize) -> Told {
        self.network.wires().told[place].clone()
    }

    /// Pushes to some of those who follow: late, twice, altered, or not at all.
    pub(crate) fn push_around(&mut self, from: usize, place: usize) {
        let told = self.told(place);
        for to in 0..self.network.sites.len() {
            if to == from || !self.network.sites[to].follows.contains(&from) {
                continue;
            }
            for _ in 0..self.chance.pick(&[0, 1, 1, 1, 2]) {
                let seconds = match self.chance.below(4) {
                    0 => self.chance.below(DELAY_SECONDS_MAX),
                    _ => self.chance.below(30),
                };
                let altered = self.chance.happens(8).then(|| self.chance.below(4_000));
                self.network.push(from, to, &told, seconds as i64, altered);
            }
        }
    }

    /// All that a home holds of an author and that was not told before is told now.
    pub(crate) fn tell_new_records(&mut self, who: usize) {
        let organisation = &self.organisations[who];
        let (home, scid) = (organisation.home, organisation.scid);
        let is_owed = self.network.is_honest(home);
        let store = std::sync::Arc::clone(&self.network.sites[home].store);
        for row in store.held(Some(&scid)) {
            let (_, row) = row.unwrap();
            if self.known.contains(&row.rank.hash) {
                continue;
            }
            let record = Envelope::parse(&row.canonical().unwrap()).unwrap();
            let place = self.tell(Said::Record(Box::new(record)), is_owed);
            self.push_around(home, place);
        }
    }

    /// Whether an honest node has something of what was told, and carries whose it is.
    pub(crate) fn is_held_somewhere(&self, told: &Told) -> bool {
        let honest = self.network.honest().into_iter();
        let mut sites = honest
            .map(|node| &self.network.sites[node])
            .filter(|site| !site.store.is_blocked(&told.scid()));
        match &told.what {
            Said::Record(record) => {
                let hash = record.hash();
                sites.any(|site| site.store.knows(&hash).unwrap())
            }
            Said::Entry(entry) => {
                let line = entry.to_canonical_bytes();
                sites.any(|site| site.store.log_of(entry.scid()).unwrap().contains(&line))
            }
        }
    }

    /// The authors whose home a node is.
    pub(crate) fn own_of(&self, node: usize) -> Vec<Scid> {
        let own = self.organisations.iter();
        own.filter(|organisation| organisation.home == node)
            .map(|organisation| organisation.scid)
            .collect()
    }

    pub(crate) fn name(&self, who: usize) -> String {
        let organisation = &self.organisations[who];
        format!("organisation {who} at {}", organisation.home)
    }

    pub(crate) fn now_at(&self, node: usize) -> protocol::time::Timestamp {
        self.network.sites[node].clock.now()
    }
}

/// A ring of the honest, so that what one has comes to all, and some more beside. The hostile are the last.
fn who_follows_whom(chance: &mut Chance, nodes: usize, hostile: usize) -> Vec<Vec<usize>> {
    let mut ring: Vec<usize> = (0..nodes - hostile).collect();
    chance.shuffle(&mut ring);
    let mut follows = vec![Vec::new(); nodes];
    for (place, node) in ring.iter().enumerate() {
        follows[*node].push(ring[(place + 1) % ring.len()]);
    }
    for (node, follows) in follows.iter_mut().enumerate() {
        for _ in 0..1 + chance.below(2) {
            let other = chance.below(nodes);
            if other != node && !follows.contains(&other) {
                follows.push(other);
            }
        }
        follows.retain(|other| *other != node);
    }
    follows
}
