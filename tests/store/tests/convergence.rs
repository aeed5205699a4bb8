//! Any order, any repetition, any pairwise exchange: one view (docs/protocol.md, 2 and 3).
//!
//! Each seed makes authors, their logs and records, deals them out to several stores, lets the stores
//! exchange what they would send until nothing new comes, and compares each with [`Ideal`]: the rule
//! written a second time, over everything that any store was given. `BARAZA_SEEDS=5000` runs more
//! seeds, `BARAZA_SEED=17` one alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baraza::clock::Clock as _;
use baraza::store::engine::Memory;
use baraza::store::{HeldRow, Offered, What};
use baraza_store_tests::{Author, Chance, Ideal, Node, Version, at, wait};
use protocol::acceptance::Rules;
use protocol::envelope::{Envelope, Status};
use protocol::id::{RecordId, VersionHash};
use protocol::identity::LogEntry;
use protocol::limits::INTEGER_MAX;
use protocol::verified::Proven;

const SEQ_MAX: u64 = INTEGER_MAX as u64;
const LOCALS: [&str; 4] = ["a", "b", "b.c", "d"];
const STORES: usize = 4;
/// When all that was dated ahead is due.
const LATER: i64 = 40 * 86_400;

/// Everything that happens in one seed.
struct World {
    authors: Vec<Author>,
    /// Entries that are no part of `authors`' logs: other branches.
    forks: Vec<LogEntry>,
    records: Vec<Envelope>,
    /// In percent of all versions.
    withdrawals: usize,
}

/// What a seed may contain.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Undisputed,
    Forked,
}

impl World {
    fn of(chance: &mut Chance, kind: Kind) -> Self {
        let mut world = Self {
            authors: Vec::new(),
            forks: Vec::new(),
            records: Vec::new(),
            withdrawals: chance.pick(&[20, 50]),
        };
        for name in 0..1 + chance.below(2) as u8 {
            world.live(chance, name, kind);
        }
        world
    }

    /// The life of one author.
    fn live(&mut self, chance: &mut Chance, name: u8, kind: Kind) {
        let mut listed: Vec<u8> = (0..1 + chance.below(3) as u8).collect();
        let mut author = Author::found(name, &listed, at(-100_000));
        let mut time = -99_000;
        for _ in 0..4 + chance.below(14) {
            time += 1_000;
            match chance.below(100) {
                0..12 => {
                    // A rotation: keys are dropped, listed, and listed again.
                    listed.retain(|_| chance.happens(60));
                    for _ in 0..chance.below(3) {
                        listed.push(chance.below(5) as u8);
                    }
                    listed.sort_unstable();
                    listed.dedup();
                    author.rotate(&listed, at(time));
                }
                12..20 => self.theft_and_recovery(chance, &mut author, &mut listed, time),
                20..25 => {
                    author.move_to(chance.pick(&["b.example", "c.example"]), at(time));
                }
                _ => self.say(chance, &author, &listed, time),
            }
        }
        match chance.below(100) {
            0..12 => {
                author.close(at(time + 1_000));
                self.say(chance, &author, &listed, time);
            }
            12..30 => {
                // The last entry is dated ahead, and something is said under what it lists.
                listed.push(chance.below(6) as u8);
                author.rotate(&listed, at(30 * 86_400));
                self.say(chance, &author, &listed, time);
            }
            _ => {}
        }
        // The entry before a deactivation commits to no next key: nobody can fork after it.
        let end = if author.state().is_deactivated() {
            2
        } else {
            1
        };
        if kind == Kind::Forked && author.entries.len() > end {
            let from = 1 + chance.below(author.entries.len() - end);
            for branch in 1..2 + chance.below(2) as u8 {
                let mut other = author.stolen(from, branch);
                for _ in 0..1 + chance.below(2) {
                    let keys = [chance.below(5) as u8, chance.below(5) as u8];
                    self.forks.push(other.rotate(&keys, at(time)));
                    self.say(chance, &other, &keys, time);
                }
            }
        }
        self.authors.push(author);
    }

    /// One or more versions of records, under keys listed now, before, later or never.
    fn say(&mut self, chance: &mut Chance, author: &Author, listed: &[u8], time: i64) {
        for _ in 0..1 + chance.below(3) {
            let key = match chance.happens(60) && !listed.is_empty() {
                true => chance.pick(listed),
                false => chance.below(6) as u8,
            };
            let seq = match chance.happens(8) {
                true => SEQ_MAX,
                false => 1 + chance.below(6) as u64,
            };
            let says = chance.below(3).to_string();
            let mut version = Version::of(chance.pick(&LOCALS), seq)
                .by(key)
                .saying(&says)
                .issued(at(match chance.below(10) {
                    0 => 20 * 86_400 + time,
                    1 => -1_800_000_000,
                    _ => time,
                }));
            if chance.happens(self.withdrawals) {
                version = version.withdrawn();
            }
            self.records.push(author.record(&version));
        }
    }

    /// A thief takes a key and the last number; the owner drops the key and signs anew.
    fn theft_and_recovery(
        &mut self,
        chance: &mut Chance,
        author: &mut Author,
        listed: &mut Vec<u8>,
        time: i64,
    ) {
        let Some(stolen) = listed.first().copied() else {
            return;
        };
        for local in LOCALS {
            let honest = Version::of(local, 3).by(stolen).issued(at(time));
            self.records.push(author.record(&honest));
            if chance.happens(60) {
                let mut forged = Version {
                    seq: SEQ_MAX,
                    ..honest
                }
                .saying("forged");
                if chance.happens(40) {
                    forged = forged.withdrawn();
                }
                self.records.push(author.record(&forged));
            }
        }
        listed.retain(|key| *key != stolen);
        let new = chance.below(6) as u8;
        listed.push(new);
        author.rotate(listed, at(time + 1));
        for local in LOCALS {
            if chance.happens(70) {
                let anew = Version::of(local, 4).by(new).issued(at(time + 2));
                self.records.push(author.record(&anew));
            }
        }
    }
}

/// The stores of one seed.
struct Network {
    nodes: Vec<Node>,
    /// How far each has read each other's change log.
    cursors: Vec<Vec<u64>>,
    proven: BTreeMap<VersionHash, Proven>,
}

impl Network {
    fn of(rules: Rules, chance: &mut Chance, records: &[Envelope]) -> Self {
        let nodes: Vec<Node> = (0..STORES)
            .map(|_| {
                let node = Node::on(Arc::new(Memory::default()), rules).unwrap();
                node.clock.advance(chance.below(600) as i64 - 300);
                node
            })
            .collect();
        let proven = records
            .iter()
            .map(|record| (record.hash(), record.clone().prove().unwrap()))
            .collect();
        Self {
            nodes,
            cursors: vec![vec![0; STORES]; STORES],
            proven,
        }
    }

    /// Hands over what stood in a feed. What was proven once is not proven again: that costs most of
    /// the time, and is no part of what is tested here.
    fn hand_record(&self, to: &Node, from: usize, row: &HeldRow) {
        let proven = self.proven[&row.rank.hash].clone();
        let sender = Some(format!("peer-{from}").into());
        // Refusals are part of life: a retired key, a closed author.
        let _ = wait(to.ingest.proven(proven, sender));
    }

    /// Hands over what stood together in a feed.
    fn hand_records(&self, to: &Node, from: usize, rows: Vec<HeldRow>) {
        let proven = rows.iter().map(|row| self.proven[&row.rank.hash].clone());
        let offered = proven.map(|proven| Offered::new(proven).unwrap()).collect();
        let sender = Some(format!("peer-{from}").into());
        let receipts = to.store.admit_all(offered, to.clock.now(), sender, None);
        assert_eq!(wait(receipts).unwrap().len(), rows.len());
    }

    /// `to` reads `from`'s change log from where it stopped. `true` if there was something to read.
    fn pull(&mut self, to: usize, from: usize, page: usize) -> bool {
        let cursor = self.cursors[to][from];
        let (changes, end) = self.nodes[from].store.changes(cursor, page).unwrap();
        let mut together = Vec::new();
        for change in changes {
            match change.what {
                What::Held { row, .. } => together.push(row),
                What::Entry { entry, .. } => {
                    self.hand_records(&self.nodes[to], from, std::mem::take(&mut together));
                    self.nodes[to].learn_line(&entry);
                }
                What::Judged { .. } => {}
            }
        }
        self.hand_records(&self.nodes[to], from, together);
        self.cursors[to][from] = end;
        end != cursor
    }

    /// Everybody reads everybody's change log until nothing is new anywhere.
    fn pull_until_quiet(&mut self, chance: &mut Chance) {
        let mut pairs: Vec<(usize, usize)> = (0..STORES * STORES)
            .map(|pair| (pair / STORES, pair % STORES))
            .filter(|(to, from)| to != from)
            .collect();
        for round in 0.. {
            assert!(round < 200, "the stores never come to rest");
            chance.shuffle(&mut pairs);
            let mut is_new = false;
            for (to, from) in &pairs {
                let page = 1 + chance.below(20);
                is_new |= self.pull(*to, *from, page);
            }
            if !is_new {
                return;
            }
        }
    }

    /// Everybody hands everybody all that is held, as reconciliation would.
    fn reconcile_until_quiet(&self) {
        for round in 0.. {
            assert!(round < 20, "the stores never come to rest");
            let before = self.last_changes();
            for (from, sender) in self.nodes.iter().enumerate() {
                for (to, node) in self.nodes.iter().enumerate() {
                    if from == to {
                        continue;
                    }
                    for author in sender.store.authors().unwrap() {
                        for line in sender.store.log_of(author.state.scid()).unwrap() {
                            node.learn_line(&line);
                        }
                    }
                    for row in sender.store.held(None) {
                        self.hand_record(node, from, &row.unwrap().1);
                    }
                }
            }
            if before == self.last_changes() {
                return;
            }
        }
    }

    fn last_changes(&self) -> Vec<u64> {
        let last = |node: &Node| node.store.last_change().unwrap();
        self.nodes.iter().map(last).collect()
    }

    /// Deals everything out: to each store a part, in its own order, some of it twice, with some
    /// reading of each other in between. Whatever no store was given goes to one.
    fn deal(&mut self, chance: &mut Chance, world: &World) {
        #[derive(Clone, Copy)]
        enum Event<'w> {
            Entry(&'w LogEntry),
            Record(&'w Envelope),
            Pull(usize),
        }
        let entries = world
            .authors
            .iter()
            .flat_map(|author| &author.entries)
            .chain(&world.forks);
        let everything: Vec<Event<'_>> = entries
            .map(Event::Entry)
            .chain(world.records.iter().map(Event::Record))
            .collect();
        let mut dealt: Vec<Vec<Event<'_>>> = vec![Vec::new(); STORES];
        // Where each thing is given to few, most of it comes by way of the others.
        let (shared, pulls) = chance.pick(&[(55, 4), (20, 10), (0, 20)]);
        for event in everything {
            let sure = chance.below(STORES);
            for (store, events) in dealt.iter_mut().enumerate() {
                if store == sure || chance.happens(shared) {
                    events.push(event);
                }
                if chance.happens(15) {
                    events.push(event);
                }
            }
        }
        for events in &mut dealt {
            for _ in 0..chance.below(pulls) {
                events.push(Event::Pull(chance.below(STORES)));
            }
            chance.shuffle(events);
        }
        // Some seeds come in order: it must make no difference either.
        let mut turns: Vec<usize> = (0..STORES)
            .flat_map(|store| vec![store; dealt[store].len()])
            .collect();
        chance.shuffle(&mut turns);
        for store in turns {
            let node = &self.nodes[store];
            match dealt[store].pop().unwrap() {
                Event::Entry(entry) => {
                    let line = entry.to_canonical_bytes();
                    node.learn_line(&line);
                }
                Event::Record(record) => {
                    let _ = wait(node.ingest.record(record.canonical(), None));
                }
                Event::Pull(from) if from != store => {
                    let page = 1 + chance.below(30);
                    self.pull(store, from, page);
                }
                Event::Pull(_) => {}
            }
        }
    }

    fn all_is_due(&self) {
        for node in &self.nodes {
            node.clock.advance(LATER);
            use baraza::clock::Clock as _;
            wait(node.store.admit_due(node.clock.now())).unwrap();
        }
    }
}

type Views = BTreeMap<RecordId, (VersionHash, Status)>;

fn view_of(node: &Node, ids: &BTreeSet<RecordId>) -> Views {
    ids.iter()
        .filter_map(|id| {
            let row = node.store.counting(id).unwrap()?;
            Some((id.clone(), (row.rank.hash, row.status)))
        })
        .collect()
}

fn ids(records: &[Envelope]) -> BTreeSet<RecordId> {
    records
        .iter()
        .map(|record| record.header().record_id())
        .collect()
}

fn differ<T: PartialEq + std::fmt::Debug>(what: &str, found: T, right: T) -> Result<(), String> {
    match found == right {
        true => Ok(()),
        false => Err(format!("{what}: found {found:?}, right is {right:?}")),
    }
}

/// One seed without forks. `Err` says how it ended otherwise than [`Ideal`].
fn undisputed(seed: u64, rules: Rules) -> Result<(), String> {
    let mut chance = Chance::of(seed);
    let world = World::of(&mut chance, Kind::Undisputed);
    let mut network = Network::of(rules, &mut chance, &world.records);
    network.deal(&mut chance, &world);
    let is_due_before_exchange = chance.happens(50);
    if is_due_before_exchange {
        network.all_is_due();
    }
    let by_cursor = chance.happens(60);
    if by_cursor {
        network.pull_until_quiet(&mut chance);
    } else {
        network.reconcile_until_quiet();
    }
    if !is_due_before_exchange {
        network.all_is_due();
        if by_cursor {
            network.pull_until_quiet(&mut chance);
        } else {
            network.reconcile_until_quiet();
        }
    }

    let logs = world.authors.iter().map(|author| &author.entries[..]);
    let ideal = Ideal::of(logs, &world.records);
    let ids = ids(&world.records);
    for (number, node) in network.nodes.iter().enumerate() {
        let store = |what: &str| format!("store {number}, {what}");
        differ(&store("held"), node.held(), ideal.shown.clone())?;
        differ(&store("view"), view_of(node, &ids), ideal.counting.clone())?;
        let told: Vec<VersionHash> = node.told(0);
        differ(&store("log"), told.len(), ideal.shown.len())?;
        let told: BTreeSet<VersionHash> = told.into_iter().collect();
        differ(&store("log"), told, ideal.shown.clone())?;
        for record in &world.records {
            let is_given = node.store.by_hash(&record.hash()).unwrap().is_some();
            let is_right = ideal.shown.contains(&record.hash());
            differ(&store("by hash"), is_given, is_right)?;
        }
        for author in &world.authors {
            let known = node.store.author(&author.scid()).unwrap();
            let known = known.ok_or_else(|| store("an author is missing"))?;
            differ(
                &store("head"),
                known.state.version_id(),
                author.state().version_id(),
            )?;
            differ(&store("disputed"), known.is_disputed, false)?;
            differ(&store("incomplete"), known.is_incomplete, false)?;
        }
        // Nothing waits but what is signed by keys that no log ever listed.
        let strange: BTreeSet<VersionHash> = world
            .records
            .iter()
            .filter(|record| is_strange(&world.authors, record))
            .map(Envelope::hash)
            .collect();
        if node.store.parked().unwrap() > strange.len() {
            return Err(store("something waits that has an answer"));
        }
    }
    Ok(())
}

/// Signed by a key that the author's log neither lists nor ever listed.
fn is_strange(authors: &[Author], record: &Envelope) -> bool {
    let key = record.proof().claimed_key().unwrap();
    let scid = record.header().author.scid();
    let author = authors.iter().find(|author| author.scid() == *scid);
    let ring = author.unwrap().state().keys();
    !ring.is_closed() && !ring.is_listed(&key) && !ring.was_dropped(&key)
}

/// One seed with forks: everybody says so, and after equal pins everybody shows the same. `true` if
/// it came to that: without a pin each goes by the branch it met first.
fn forked(seed: u64, rules: Rules) -> Result<bool, String> {
    let mut chance = Chance::of(seed);
    let world = World::of(&mut chance, Kind::Forked);
    let mut network = Network::of(rules, &mut chance, &world.records);
    network.deal(&mut chance, &world);
    network.all_is_due();
    network.pull_until_quiet(&mut chance);
    let ids = ids(&world.records);
    for author in &world.authors {
        let scid = author.scid();
        let branches = world.forks.iter().filter(|entry| *entry.scid() == scid);
        let branches: Vec<&LogEntry> = branches.collect();
        for node in &network.nodes {
            let known = node.store.author(&scid).unwrap().unwrap();
            differ("disputed", known.is_disputed, !branches.is_empty())?;
            let lines = node.store.log_of(&scid).unwrap();
            let first = network.nodes[0].store.log_of(&scid).unwrap();
            differ("lines", lines, first)?;
        }
        if branches.is_empty() {
            continue;
        }
        // The end of one line, so that it has no further fork in it.
        let ends: Vec<&LogEntry> = branches
            .iter()
            .copied()
            .chain(author.entries.last())
            .filter(|entry| {
                let is_followed =
                    |other: &&LogEntry| other.version_id().number == entry.version_id().number + 1;
                !branches.iter().copied().any(|other| is_followed(&other))
            })
            .collect();
        let Some(end) = (!ends.is_empty()).then(|| chance.pick(&ends)) else {
            continue;
        };
        for node in &network.nodes {
            let pinned = wait(
                node.store
                    .pin(scid, end.version_id(), at(LATER), |_| Ok(())),
            )
            .unwrap();
            differ("pinned", pinned, true)?;
            let known = node.store.author(&scid).unwrap().unwrap();
            differ("head", known.state.version_id(), end.version_id())?;
            differ("disputed", known.is_disputed && known.is_pinned, true)?;
        }
    }
    network.reconcile_until_quiet();
    for author in &world.authors {
        let heads: BTreeSet<String> = network
            .nodes
            .iter()
            .map(|node| {
                let known = node.store.author(&author.scid()).unwrap().unwrap();
                known.state.version_id().to_string()
            })
            .collect();
        if heads.len() > 1 {
            return Ok(false);
        }
    }
    let first = &network.nodes[0];
    for node in &network.nodes[1..] {
        differ("held after pins", node.held(), first.held())?;
        differ("view after pins", view_of(node, &ids), view_of(first, &ids))?;
    }
    Ok(true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long to test is chosen outside"
)]
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    match (number("BARAZA_SEED"), number("BARAZA_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(usual),
    }
}

#[test]
fn stores_that_were_given_the_same_in_any_order_hold_and_show_the_same() {
    for seed in seeds(150) {
        if let Err(difference) = undisputed(seed, Rules::decided()) {
            panic!("BARAZA_SEED={seed}: {difference}");
        }
    }
}

#[test]
fn a_forked_log_is_disputed_everywhere_and_equal_pins_give_equal_views() {
    let mut compared = 0;
    for seed in seeds(80) {
        match forked(seed, Rules::decided()) {
            Ok(is_compared) => compared += usize::from(is_compared),
            Err(difference) => panic!("BARAZA_SEED={seed}: {difference}"),
        }
    }
    println!("{compared} seeds came to equal pins");
}

/// How many seeds a rule may go unnoticed when it is switched off.
const NOTICED_WITHIN: u64 = 200;

fn assert_is_noticed(rules: Rules) {
    assert_ne!(rules, Rules::decided());
    let noticed = (0..NOTICED_WITHIN).find(|seed| undisputed(*seed, rules).is_err());
    let seed = noticed.expect("no seed shows that this rule matters");
    println!(
        "noticed at seed {seed}: {}",
        undisputed(seed, rules).unwrap_err()
    );
}

#[test]
fn it_is_noticed_when_dropped_keys_count_again() {
    assert_is_noticed(Rules::without_never_again());
}

#[test]
fn it_is_noticed_when_all_keys_share_one_place() {
    assert_is_noticed(Rules::without_per_key());
}

#[test]
fn it_is_noticed_when_what_comes_early_is_forgotten() {
    assert_is_noticed(Rules::without_park());
}

#[test]
fn it_is_noticed_when_the_first_of_two_twins_stays() {
    assert_is_noticed(Rules::without_tie());
}

#[test]
fn it_is_noticed_when_a_tombstone_hides_nothing() {
    assert_is_noticed(Rules::without_tombstone_hides());
}

#[test]
fn it_is_noticed_when_a_closed_author_is_read_like_any_other() {
    assert_is_noticed(Rules::without_deactivated());
}
