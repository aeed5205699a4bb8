//! What honest nodes have or owe, and who of them must have it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::envelope::Envelope;
use protocol::id::{Scid, VersionHash};
use protocol::identity::LogEntry;

use super::reads;
use crate::ideal::Ideal;
use crate::life::World;
use crate::network::Site;
use crate::told::{Said, Told};

/// Of all authors.
pub(super) struct Known(BTreeMap<Scid, Author>);

/// What honest nodes have or owe of one author.
#[derive(Default)]
struct Author {
    /// By number; more than one of a number is a fork.
    log: BTreeMap<u32, Vec<LogEntry>>,
    /// What all of it comes to, if it is undisputed.
    ideal: Option<Ideal>,
    /// The honest nodes that carry it.
    carriers: Vec<usize>,
    /// Each of these reads each other, by way of others of them: what one has comes to all.
    reaches_all: bool,
}

impl Known {
    pub(super) fn of(world: &World) -> Self {
        let told = world.network.wires().told.clone();
        let is_known = |told: &Told| told.is_owed || world.is_held_somewhere(told);
        let mut authors: BTreeMap<Scid, Author> = BTreeMap::new();
        let mut records: BTreeMap<Scid, Vec<&Envelope>> = BTreeMap::new();
        for told in told.iter().filter(|told| is_known(told)) {
            match &told.what {
                Said::Record(record) => records.entry(told.scid()).or_default().push(record),
                Said::Entry(entry) => authors.entry(told.scid()).or_default().learn(entry),
            }
        }
        for (scid, author) in &mut authors {
            author.carriers = world.network.honest();
            author
                .carriers
                .retain(|node| world.network.carries(*node, scid));
            let carriers = &author.carriers;
            author.reaches_all = carriers.iter().all(|to| {
                let mut others = carriers.iter();
                others.all(|from| reads(world, carriers, *to, *from))
            });
            if author.is_undisputed() {
                let log: Vec<LogEntry> = author.log.values().flatten().cloned().collect();
                let records = records.remove(scid).unwrap_or_default();
                author.ideal = Some(Ideal::of([&log[..]], records));
            }
        }
        Self(authors)
    }

    /// All whose log is known.
    pub(super) fn authors(&self) -> impl Iterator<Item = &Scid> {
        self.0.keys()
    }

    pub(super) fn is_undisputed(&self, scid: &Scid) -> bool {
        self.0.get(scid).is_some_and(Author::is_undisputed)
    }

    /// The honest nodes that carry an author.
    pub(super) fn carriers(&self, scid: &Scid) -> &[usize] {
        self.0.get(scid).map_or(&[], |author| &author.carriers)
    }

    /// Whether what one of those who carry an author has comes to all of them.
    pub(super) fn reaches_all(&self, scid: &Scid) -> bool {
        self.0.get(scid).is_some_and(|author| author.reaches_all)
    }

    /// The undisputed authors of whom nodes between those who carry them carry nothing.
    pub(super) fn scattered(&self) -> impl Iterator<Item = &Scid> {
        let all = self.0.iter();
        all.filter(|(_, author)| author.is_undisputed() && !author.reaches_all)
            .map(|(scid, _)| scid)
    }

    /// The undisputed authors that two nodes carry, and of whom what one has comes to the other.
    pub(super) fn carried_by(&self, one: usize, other: usize) -> BTreeSet<Scid> {
        let all = self.0.iter().filter(|(_, author)| {
            author.is_undisputed()
                && author.reaches_all
                && author.carriers.contains(&one)
                && author.carriers.contains(&other)
        });
        all.map(|(scid, _)| *scid).collect()
    }

    /// One node holds and shows what it must of undisputed authors that it carries.
    pub(super) fn verify_site(&self, node: usize, site: &Site) -> Result<(), String> {
        let mut held: BTreeMap<Scid, BTreeSet<VersionHash>> = BTreeMap::new();
        for row in site.store.held(None) {
            let (id, row) = row.unwrap();
            held.entry(id.author).or_default().insert(row.rank.hash);
        }
        for (scid, author) in &self.0 {
            let (Some(ideal), true) = (&author.ideal, author.reaches_all) else {
                continue;
            };
            if author.carriers.contains(&node) {
                let held = held.remove(scid).unwrap_or_default();
                author.verify_head(node, site, scid)?;
                verify_records(node, site, ideal, &held)?;
            }
        }
        Ok(())
    }
}

impl Author {
    fn learn(&mut self, entry: &LogEntry) {
        let entries = self.log.entry(entry.version_id().number).or_default();
        let mut known = entries.iter();
        if known.all(|other| other.version_id() != entry.version_id()) {
            entries.push(entry.clone());
        }
    }

    fn is_undisputed(&self) -> bool {
        self.log.values().all(|entries| entries.len() <= 1)
    }

    fn verify_head(&self, node: usize, site: &Site, scid: &Scid) -> Result<(), String> {
        let Some(last) = self.log.values().flatten().last() else {
            return Ok(());
        };
        let author = site.store.author(scid).unwrap();
        let head = author.map(|author| author.state.version_id());
        match head == Some(last.version_id()) {
            true => Ok(()),
            false => Err(format!(
                "{node} has {head:?} as head of {scid}, not {}",
                last.version_id()
            )),
        }
    }
}

fn verify_records(
    node: usize,
    site: &Site,
    ideal: &Ideal,
    held: &BTreeSet<VersionHash>,
) -> Result<(), String> {
    let missing: Vec<_> = ideal.shown.difference(held).collect();
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
