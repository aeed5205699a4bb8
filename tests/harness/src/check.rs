//! After all has healed: whether what is shown is what must be.

mod known;

use std::collections::{BTreeMap, BTreeSet};

use protocol::envelope::{Envelope, Status};
use protocol::id::{LocalId, RecordId, Scid};

use self::known::Known;
use crate::hostile::Mood;
use crate::life::{DELAY_SECONDS_MAX, SKEW_SECONDS_MAX, World};
use crate::network::Site;
use crate::organisation::Organisation;

/// Rounds, at most, in which so many honest nodes come to rest: what one has takes a round for each step
/// along the ring, and where a log and the records signed under it begin at opposite ends, twice that; a last one
/// shows that nothing changes any more.
pub fn rounds_max(honest: usize) -> usize {
    2 * honest + 1
}

/// Ends partitions and lets honest nodes read each other until nothing changes. The hostile go on, or fall
/// silent. Where nodes compare sets, they do so first until that brings nothing more, and all must be
/// right by that alone. Gives the rounds that reading took.
///
/// # Errors
/// They do not come to rest, or comparing did not bring what it must.
pub fn heal(world: &mut World) -> Result<usize, String> {
    world.network.join();
    let hostile: Vec<usize> = world.network.wires().liars.keys().copied().collect();
    for node in hostile {
        let mood = match world.chance.below(10) {
            0..3 => Mood::Silent,
            3..5 => Mood::Hiding,
            _ => Mood::Settled,
        };
        if let Some(liar) = world.network.wires().liars.get_mut(&node) {
            liar.mood = mood;
        }
        world.network.say(format_args!("{node} is {mood:?}"));
    }
    world.take_back_blocks();
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
    if world.is_comparing {
        world.count("heal by comparing");
        let rest = world.network.settle_by_comparing(&order, rounds_max);
        rest.ok_or_else(|| format!("comparing goes on after {rounds_max} rounds"))?;
        let after_comparing = |what| format!("after comparing alone: {what}");
        let known = Known::of(world);
        verify_disputes(world, &known).map_err(after_comparing)?;
        verify_undisputed(world, &known).map_err(after_comparing)?;
    }
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
    let known = Known::of(world);
    verify_disputes(world, &known)?;
    verify_undisputed(world, &known)?;
    for organisation in &world.organisations {
        if known.is_undisputed(&organisation.scid) {
            verify_meant(world, &known, organisation)?;
        }
    }
    honest(world).try_for_each(|(node, site)| verify_left_out(node, site))
}

/// Honest nodes that are at rest find nothing by comparing with each other.
///
/// # Errors
/// What they find.
pub fn verify_comparing_brings_nothing(world: &mut World) -> Result<(), String> {
    for (node, site) in honest(world) {
        if let Some(what) = site.sets_off() {
            return Err(format!("{node}: {what}"));
        }
    }
    for to in world.network.honest() {
        for from in world.network.sites[to].follows.clone() {
            if !world.network.is_honest(from) {
                continue;
            }
            match world.network.compare_with(to, from) {
                Ok(Some(pulled)) if pulled.stored == 0 => {}
                other => return Err(format!("{to} compares with {from} at rest: {other:?}")),
            }
        }
    }
    Ok(())
}

/// What is undisputed is alike, and right, at all who carry it.
fn verify_undisputed(world: &World, known: &Known) -> Result<(), String> {
    for (node, site) in honest(world) {
        known.verify_site(node, site)?;
    }
    verify_hashes(world, known)?;
    // Whom some do not carry, others may hear of by way of those alone.
    for scid in known.scattered() {
        verify_alike(world, scid, known.carriers(scid), "who carry it")?;
    }
    Ok(())
}

/// Any two nodes have one state hash over the authors that both carry.
fn verify_hashes(world: &World, known: &Known) -> Result<(), String> {
    let mut hashes = BTreeMap::new();
    let nodes: Vec<(usize, &Site)> = honest(world).collect();
    for (one, left) in &nodes {
        for (other, right) in nodes.iter().filter(|(other, _)| other > one) {
            let both = known.carried_by(*one, *other);
            let [left, right] = [(*one, *left), (*other, *right)].map(|(node, site)| {
                let hash = || site.store.state_hash_of(|scid| both.contains(scid));
                *hashes
                    .entry((node, both.clone()))
                    .or_insert_with(|| hash().unwrap())
            });
            if left != right {
                return Err(format!(
                    "{one} and {other} have different state hashes: {left} and {right}"
                ));
            }
        }
    }
    Ok(())
}

/// Everybody knows who is disputed, and those on one branch show the same of them.
fn verify_disputes(world: &World, known: &Known) -> Result<(), String> {
    for scid in known.authors() {
        let is_disputed = !known.is_undisputed(scid);
        let mut by_branch: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for node in known.carriers(scid).iter().copied() {
            let Some(author) = world.network.sites[node].store.author(scid).unwrap() else {
                match known.reaches_all(scid) {
                    true => return Err(format!("{node} has no log of {scid}")),
                    false => continue,
                }
            };
            if known.reaches_all(scid) && author.is_disputed != is_disputed {
                return Err(format!(
                    "{node} takes {scid} for disputed: {}, and that is wrong",
                    author.is_disputed
                ));
            }
            let branch = author.state.version_id().to_string();
            by_branch.entry(branch).or_default().push(node);
        }
        for (branch, nodes) in &by_branch {
            verify_alike(
                world,
                scid,
                nodes,
                &format!("who go by its branch {branch}"),
            )?;
        }
    }
    Ok(())
}

/// Of an author that it does not carry, a node shows and hands out nothing.
fn verify_left_out(node: usize, site: &Site) -> Result<(), String> {
    for (scid, _) in site.store.blocked_authors().unwrap() {
        let authors = site.store.authors().unwrap();
        let is_shown = authors.iter().any(|author| *author.state.scid() == scid)
            || site.store.held(Some(&scid)).next().is_some()
            || !site.store.log_of(&scid).unwrap().is_empty();
        if is_shown {
            return Err(format!(
                "{node} has blocked {scid} and shows something of it"
            ));
        }
    }
    Ok(())
}

/// Each node shows what an organisation means, and nothing of what it withdrew. Of those only to whom
/// nothing happened that keeps them from it: a key still stolen, or a home that forgot what it said.
fn verify_meant(world: &World, known: &Known, organisation: &Organisation) -> Result<(), String> {
    let is_at_hostile = !world.network.is_honest(organisation.home);
    if is_at_hostile
        || organisation.is_hurt
        || organisation.is_closed
        || organisation.theft.is_some()
        || !known.reaches_all(&organisation.scid)
    {
        return Ok(());
    }
    for (local, says) in &organisation.wants {
        let id = RecordId {
            author: organisation.scid,
            local: LocalId::parse(local).unwrap(),
        };
        for node in known.carriers(&organisation.scid) {
            let site = &world.network.sites[*node];
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

/// Of an author, these nodes show the same if they read each other by way of each other: others do not relay
/// what does not count for them, or is of an author that they do not carry.
fn verify_alike(world: &World, scid: &Scid, nodes: &[usize], who: &str) -> Result<(), String> {
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
                    "{one} and {other} are of those {who}: of {scid} one of them alone has {only:?}"
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
