//! What hostile nodes do beside their answers: sign with stolen keys, fork logs, say two things at once,
//! push what is forged or long gone.

use super::World;
use crate::author::{Author, Version};
use crate::organisation::Theft;
use crate::told::Said;

impl World {
    /// One of the hostile nodes.
    fn somebody_hostile(&mut self) -> Option<usize> {
        let hostile: Vec<usize> = self.network.wires().liars.keys().copied().collect();
        (!hostile.is_empty()).then(|| self.chance.pick(&hostile))
    }

    /// A hostile node has signed something with what it stole: it gives it with its answers, and pushes it.
    fn put_about(&mut self, hostile: usize, what: Said) {
        let place = self.tell(what, false);
        if let Some(liar) = self.network.wires().liars.get_mut(&hostile) {
            liar.bag.push(place);
        }
        let told = self.told(place);
        for to in self.network.honest() {
            if self.chance.happens(30) {
                let seconds = self.chance.below(super::DELAY_SECONDS_MAX) as i64;
                self.network.push(hostile, to, &told, seconds, None);
            }
        }
    }

    /// A version of what is shown of one of its records: newer, the last there can be, or a twin.
    fn forged(&mut self, who: usize, tool: &Author, key: u8, local: &str) -> Said {
        let home = self.organisations[who].home;
        let store = &self.network.sites[home].store;
        let shown = store.counting(&tool.id(local)).unwrap();
        let seq = shown.map_or(1, |row| row.rank.seq);
        let last = protocol::limits::INTEGER_MAX as u64;
        let seq = match self.chance.below(3) {
            0 => last,
            1 => (seq + 1).min(last),
            _ => seq,
        };
        let says = format!("forged {}", self.chance.below(100));
        let mut version = Version::of(local, seq)
            .by(key)
            .saying(&says)
            .issued(self.now_at(home));
        if self.chance.happens(40) {
            version = version.withdrawn();
        }
        Said::Record(Box::new(tool.record(&version)))
    }

    /// A record key is stolen.
    pub(super) fn steal(&mut self, who: usize) {
        let Some(thief) = self.somebody_hostile() else {
            return;
        };
        let home = self.organisations[who].home;
        let now = self.now_at(home);
        let organisation = &mut self.organisations[who];
        if organisation.is_closed || organisation.theft.is_some() {
            return;
        }
        let Some(tool) = organisation.tool(&self.network.sites[home].store).cloned() else {
            return;
        };
        let Some(key) = organisation.key() else {
            return;
        };
        organisation.theft = Some(Theft { key, at: now });
        self.count("steal");
        let name = self.name(who);
        self.network
            .say(format_args!("{thief} steals key {key} of {name}"));
        let mut locals: Vec<String> = self.organisations[who].wants.keys().cloned().collect();
        self.chance.shuffle(&mut locals);
        for local in locals.iter().take(3) {
            let forged = self.forged(who, &tool, key, local);
            self.put_about(thief, forged);
        }
    }

    /// An update key of the past leaks: whoever has it writes another branch of the log.
    pub(super) fn fork(&mut self, who: usize) {
        let Some(thief) = self.somebody_hostile() else {
            return;
        };
        let organisation = &mut self.organisations[who];
        // What its home knows: an entry that was refused there is in nobody's hands.
        let home = &self.network.sites[organisation.home].store;
        if organisation.is_closed || organisation.tool(home).is_none() {
            return;
        }
        let entries = organisation.entries().to_vec();
        if entries.len() < 2 {
            return;
        }
        let from = 1 + self.chance.below(entries.len() - 1);
        let branch = 1 + self.chance.below(2) as u8;
        let mut other = Author::by_log(organisation.name, &entries[..from], branch);
        let key = organisation.new_key();
        let time = entries[from].version_time();
        let entry = other.rotate(&[key], time);
        self.count("fork");
        let name = self.name(who);
        self.network.say(format_args!(
            "{thief} forks the log of {name} after entry {from}"
        ));
        self.put_about(thief, Said::Entry(entry));
        let local = self.organisations[who].wants.keys().next().cloned();
        if let Some(local) = local {
            let forged = self.forged(who, &other, key, &local);
            self.put_about(thief, forged);
        }
    }

    /// A hostile node's own author says two things under one number, each to others.
    pub(super) fn equivocate(&mut self) {
        let Some(hostile) = self.somebody_hostile() else {
            return;
        };
        let own =
            (0..self.organisations.len()).find(|who| self.organisations[*who].home == hostile);
        let Some(who) = own else {
            return;
        };
        let organisation = &mut self.organisations[who];
        let Some(tool) = organisation
            .tool(&self.network.sites[hostile].store)
            .cloned()
        else {
            return;
        };
        let Some(key) = organisation.key().filter(|_| !organisation.is_closed) else {
            return;
        };
        let local = format!("t{}", self.chance.below(3));
        let seq = 1 + self.chance.below(4) as u64;
        self.count("equivocate");
        let name = self.name(who);
        self.network
            .say(format_args!("{name} says two things as {local} {seq}"));
        for says in ["one", "other"] {
            let version = Version::of(&local, seq)
                .by(key)
                .saying(says)
                .issued(self.now_at(hostile));
            self.put_about(hostile, Said::Record(Box::new(tool.record(&version))));
        }
    }

    /// It pushes what was said long ago, or alters it.
    pub(super) fn push_of_hostile(&mut self) {
        let Some(hostile) = self.somebody_hostile() else {
            return;
        };
        self.count("replay");
        let all = self.network.wires().told.len();
        for _ in 0..3 {
            let place = self.chance.below(all);
            let told = self.told(place);
            let honest = self.network.honest();
            let to = self.chance.pick(&honest);
            let altered = self.chance.happens(50).then(|| self.chance.below(4_000));
            self.network
                .push(hostile, to, &told, self.chance.below(60) as i64, altered);
        }
    }

    /// It pushes what is signed by keys that no log lists, in the name of others.
    pub(super) fn flood(&mut self) {
        let Some(hostile) = self.somebody_hostile() else {
            return;
        };
        let who = self.chance.below(self.organisations.len());
        let home = self.organisations[who].home;
        let now = self.now_at(home);
        let tool = self.organisations[who].tool(&self.network.sites[home].store);
        let Some(tool) = tool.cloned() else {
            return;
        };
        self.count("flood");
        let honest = self.network.honest();
        let to = self.chance.pick(&honest);
        for number in 0..12 {
            let local = format!("f{number}");
            let key = 200 + self.chance.below(50) as u8;
            let version = Version::of(&local, 1).by(key).issued(now);
            let place = self.tell(Said::Record(Box::new(tool.record(&version))), false);
            let told = self.told(place);
            self.network.push(hostile, to, &told, 0, None);
        }
        let name = self.name(who);
        self.network
            .say(format_args!("{hostile} floods {to} in the name of {name}"));
    }
}
