//! After all has healed: whether what is shown is what must be.

use std::collections::{BTreeMap, BTreeSet};

use protocol::envelope::{Envelope, Status};
use protocol::id::{LocalId, RecordId, Scid};
use protocol::identity::LogEntry;

use crate::hostile::Mood;
use crate::ideal::Ideal;
use crate::life::{DELAY_SECONDS_MAX, SKEW_SECONDS_MAX, World};
use crate::network::Site;
use crate::organisation::Organisation;
use crate::told::{Said, Told};

/// Rounds, at most, in which so many honest nodes come to rest: what one has takes a round for each step
/// along the ring, and where a log and the records signed under it begin at opposite ends, twice that.
pub fn rounds_max(honest: usize) -> usize {
    2 * honest
}

/// Ends partitions and lets honest nodes read each other until nothing changes. The hostile go on, or fall
/// silent. Gives the rounds that it took.
///
/// # Errors
/// They do not come to rest.
pub fn heal(world: &mut World) -> Result<usize, String> {
    world.network.join();
    let moods: Vec<usize> = world.network.wires().liars.keys().copied().collect();
    for node in moods {
        let mood = match world.chance.happens(30) {
            true => Mood::Silent,
            false => Mood::Settled,
        };
        if let Some(liar) = world.network.wires().liars.get_mut(&node) {
            liar.mood = mood;
        }
        world.network.say(format_args!("{node} is {mood:?}"));
    }
    world
        .network
        .pass(DELAY_SECONDS_MAX as i64 + 2 * SKEW_SECONDS_MAX);
    for node in world.network.honest() {
        if world.network.sites[node].standing.held().unwrap().is_some() {
            let own = world.own_of(node);
            if !world.network.reconcile(node, &own) {
                world.network.settle_alone(node);
            }
        }
    }
    let mut order = world.network.honest();
    world.chance.shuffle(&mut order);
    let rounds_max = rounds_max(order.len());
    world
        .network
        .settle(&order, rounds_max)
        .ok_or_else(|| format!("not at rest after {rounds_max} rounds"))
}

/// Holds the network at rest against what must be.
///
/// # Errors
/// The first difference.
pub fn verify(world: &World) -> Result<(), String> {
    if let Some(broken) = world.broken.first() {
        return Err(broken.clone());
    }
    let told = Known::of(world);
    told.verify_disputes(world)?;
    let ideal = Ideal::of(told.undisputed.iter().map(|log| &log[..]), &told.records);
    let mut hashes = BTreeSet::new();
    for (node, site) in honest(world) {
        let is_meant = |scid: &Scid| told.is_undisputed(scid);
        hashes.insert(site.store.state_hash_of(is_meant).unwrap());
        told.verify_site(node, site, &ideal)?;
    }
    if hashes.len() > 1 {
        return Err(format!("state hashes differ: {hashes:?}"));
    }
    for organisation in &world.organisations {
        if told.is_undisputed(&organisation.scid) {
            verify_meant(world, organisation)?;
        }
    }
    Ok(())
}

/// What honest nodes have or owe.
struct Known {
    /// By author and number; more than one of a number is a fork.
    logs: BTreeMap<Scid, BTreeMap<u32, Vec<LogEntry>>>,
    undisputed: Vec<Vec<LogEntry>>,
    /// Of undisputed authors.
    records: Vec<Envelope>,
}

impl Known {
    fn of(world: &World) -> Self {
        let told = world.network.wires().told.clone();
        let mut known = Self {
            logs: BTreeMap::new(),
            undisputed: Vec::new(),
            records: Vec::new(),
        };
        let is_known = |told: &Told| told.is_owed || world.is_held_somewhere(told);
        for told in &told {
            let Said::Entry(entry) = &told.what else {
                continue;
            };
            if !is_known(told) {
                continue;
            }
            let log = known.logs.entry(told.scid()).or_default();
            let entries = log.entry(entry.version_id().number).or_default();
            if entries
                .iter()
                .all(|other| other.version_id() != entry.version_id())
            {
                entries.push(entry.clone());
            }
        }
        for log in known.logs.values() {
            let entries: Vec<LogEntry> = log.values().flatten().cloned().collect();
            if log.values().all(|entries| entries.len() <= 1) {
                known.undisputed.push(entries);
            }
        }
        for told in &told {
            if let Some(record) = told.record()
                && known.is_undisputed(&told.scid())
                && is_known(told)
            {
                known.records.push(record.clone());
            }
        }
        known
    }

    fn is_undisputed(&self, scid: &Scid) -> bool {
        let log = self.logs.get(scid);
        log.is_some_and(|log| log.values().all(|entries| entries.len() <= 1))
    }

    /// Everybody knows who is disputed, and those on one branch show the same of them.
    fn verify_disputes(&self, world: &World) -> Result<(), String> {
        for scid in self.logs.keys() {
            let is_disputed = !self.is_undisputed(scid);
            let mut by_branch: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for (node, site) in honest(world) {
                let Some(author) = site.store.author(scid).unwrap() else {
                    return Err(format!("{node} has no log of {scid}"));
                };
                if author.is_disputed != is_disputed {
                    return Err(format!(
                        "{node} takes {scid} for disputed: {}, and that is wrong",
                        author.is_disputed
                    ));
                }
                let branch = author.state.version_id().to_string();
                by_branch.entry(branch).or_default().push(node);
            }
            for (branch, nodes) in &by_branch {
                verify_branch(world, scid, branch, nodes)?;
            }
        }
        Ok(())
    }

    /// One node holds and shows what it must of undisputed authors.
    fn verify_site(&self, node: usize, site: &Site, ideal: &Ideal) -> Result<(), String> {
        for log in &self.undisputed {
            let Some(last) = log.last() else { continue };
            let author = site.store.author(last.scid()).unwrap();
            let head = author.map(|author| author.state.version_id());
            if head != Some(last.version_id()) {
                let scid = last.scid();
                return Err(format!(
                    "{node} has {head:?} as head of {scid}, not {}",
                    last.version_id()
                ));
            }
        }
        let mut held = BTreeSet::new();
        for row in site.store.held(None) {
            let (id, row) = row.unwrap();
            if self.is_undisputed(&id.author) {
                held.insert(row.rank.hash);
            }
        }
        let missing: Vec<_> = ideal.shown.difference(&held).collect();
        let extra: Vec<_> = held.difference(&ideal.shown).collect();
        if !missing.is_empty() || !extra.is_empty() {
            return Err(format!(
                "{node} lacks {missing:?} and has {extra:?} that does not count"
            ));
        }
        for (id, right) in &ideal.counting {
            let row = site.store.counting(id).unwrap();
            let found = row.map(|row| (row.rank.hash, row.status));
            if found != Some(*right) {
                return Err(format!(
                    "{node} shows {found:?} as {id}, right is {right:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Each node shows what an organisation means, and nothing of what it withdrew. Of those only to whom
/// nothing happened that keeps them from it: a key still stolen, or a home that forgot what it said.
fn verify_meant(world: &World, organisation: &Organisation) -> Result<(), String> {
    let is_at_hostile = !world.network.is_honest(organisation.home);
    if is_at_hostile
        || organisation.is_hurt
        || organisation.is_closed
        || organisation.theft.is_some()
    {
        return Ok(());
    }
    for (local, says) in &organisation.wants {
        let id = RecordId {
            author: organisation.scid,
            local: LocalId::parse(local).unwrap(),
        };
        for (node, site) in honest(world) {
            let row = site.store.counting(&id).unwrap();
            let shown = match row {
                // Withdrawn under a key that was dropped since, and left out of what was said anew.
                None => None,
                Some(row) if row.status == Status::Withdrawn => None,
                Some(row) => {
                    let record = Envelope::parse(&row.canonical().unwrap()).unwrap();
                    let name = record
                        .body()
                        .and_then(|body| body["name"]["en"].as_str().map(str::to_owned));
                    Some(name.unwrap_or_default())
                }
            };
            if shown != *says {
                return Err(format!("{node} shows {shown:?} as {id}, meant is {says:?}"));
            }
        }
    }
    Ok(())
}

/// Of a disputed author, nodes that go by one branch show the same, if they read each other by way of nodes
/// of that branch: others do not relay what does not count for them.
fn verify_branch(world: &World, scid: &Scid, branch: &str, nodes: &[usize]) -> Result<(), String> {
    for one in nodes {
        for other in nodes {
            if !reads(world, nodes, *one, *other) || !reads(world, nodes, *other, *one) {
                continue;
            }
            let [left, right] =
                [one, other].map(|node| versions_of(&world.network.sites[*node], scid));
            let only: Vec<_> = left.symmetric_difference(&right).collect();
            if !only.is_empty() {
                return Err(format!(
                    "{one} and {other} go by branch {branch} of {scid}, and one of them alone has {only:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Whether what `from` has comes to `to` by way of these nodes.
fn reads(world: &World, nodes: &[usize], to: usize, from: usize) -> bool {
    let mut reached = BTreeSet::from([to]);
    let mut waiting = vec![to];
    while let Some(node) = waiting.pop() {
        for next in &world.network.sites[node].follows {
            if nodes.contains(next) && reached.insert(*next) {
                waiting.push(*next);
            }
        }
    }
    reached.contains(&from)
}

/// The versions of an author that a node hands out, in words.
fn versions_of(site: &Site, scid: &Scid) -> BTreeSet<String> {
    let rows = site.store.held(Some(scid)).map(|row| row.unwrap());
    rows.map(|(id, row)| {
        let (seq, hash) = (row.rank.seq, row.rank.hash);
        format!("{} {seq} {hash}", id.local.as_str())
    })
    .collect()
}

fn honest(world: &World) -> impl Iterator<Item = (usize, &Site)> {
    let sites = world.network.sites.iter().enumerate();
    sites.filter(|(node, _)| world.network.is_honest(*node))
}
