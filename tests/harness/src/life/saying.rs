//! What organisations do: publish, change, withdraw, rotate, move, recover, close.

use baraza::bundle;
use baraza::publish::PublishError;
use protocol::id::{LocalId, RecordId};
use protocol::identity::LogEntry;
use protocol::limits::SEQ_JUMP;
use protocol::sync::Filter;

use super::World;
use crate::node::wait;
use crate::organisation::draft;
use crate::told::Said;

impl World {
    /// Whether the organisation can do anything, by what its home knows: the key that it signs with.
    fn ready(&mut self, who: usize) -> Option<u8> {
        let organisation = &mut self.organisations[who];
        if organisation.is_closed {
            return None;
        }
        organisation.tool(&self.network.sites[organisation.home].store)?;
        organisation.key()
    }

    /// Whether a log entry that is written now is due at its home.
    fn ready_for_entry(&mut self, who: usize) -> bool {
        let home = self.organisations[who].home;
        let now = self.now_at(home);
        let last = self.organisations[who].entries().last();
        last.is_some_and(|entry| entry.version_time().seconds_after(now) < 500)
    }

    fn say_it(&mut self, who: usize, what: &'static str, local: &str, says: Option<String>) {
        let Some(key) = self.ready(who) else {
            return;
        };
        let organisation = &self.organisations[who];
        let site = &self.network.sites[organisation.home];
        let signer = organisation.signer(key);
        let is_held = site.standing.held().unwrap().is_some();
        let local_id = LocalId::parse(local).unwrap();
        let published = match &says {
            Some(says) => {
                let drafts = [draft(local, says)];
                wait(site.publisher.publish(&signer, &drafts, |_| {})).map(|_| ())
            }
            None => wait(site.publisher.withdraw(&signer, &local_id)).map(|_| ()),
        };
        let name = self.name(who);
        match published {
            Ok(()) => {
                self.count(what);
                self.network
                    .say(format_args!("{name}: {what} {local} {says:?}"));
                if is_held {
                    self.broken.push(format!(
                        "{name} published {local} and had to ask others first"
                    ));
                }
                self.organisations[who].wants.insert(local.to_owned(), says);
                self.organisations[who].is_hurt |= self.forgot_of_log(who);
                self.tell_new_records(who);
            }
            Err(PublishError::NotPublished { .. }) => {
                // Its home forgot it, or a thief withdrew it: gone is gone.
                self.network
                    .say(format_args!("{name}: {local} is not there to {what}"));
            }
            Err(error) => {
                self.network
                    .say(format_args!("{name}: {what} {local}: {error}"));
                // A thief may have taken the last number that there is: it has to recover first.
                let is_expected = matches!(
                    error,
                    PublishError::Held(_) | PublishError::LastNumber { .. }
                );
                if !is_expected {
                    self.broken.push(format!("{name}: {what} {local}: {error}"));
                }
            }
        }
    }

    /// Whether its home, made of an older copy, lacks an entry of the log that others have: those it asked were
    /// behind, too. It may sign with a key that was dropped.
    fn forgot_of_log(&self, who: usize) -> bool {
        let organisation = &self.organisations[who];
        if !organisation.was_restored {
            return false;
        }
        let store = &self.network.sites[organisation.home].store;
        let log = store.log_of(&organisation.scid).unwrap();
        let wires = self.network.wires();
        let mut entries = wires.told.iter().filter_map(|told| match &told.what {
            Said::Entry(entry) if told.is_owed && *entry.scid() == organisation.scid => Some(entry),
            _ => None,
        });
        entries.any(|entry| !log.contains(&entry.to_canonical_bytes()))
    }

    pub(super) fn publish(&mut self, who: usize) {
        self.records += 1;
        let local = format!("r{}", self.records);
        self.say_it(who, "publish", &local, Some("first".to_owned()));
    }

    /// One of its records that it has withdrawn, or has not.
    fn one_of(&mut self, who: usize, is_withdrawn: bool) -> Option<String> {
        let wants = self.organisations[who].wants.iter();
        let locals: Vec<String> = wants
            .filter(|(_, says)| says.is_none() == is_withdrawn)
            .map(|(local, _)| local.clone())
            .collect();
        (!locals.is_empty()).then(|| self.chance.pick(&locals))
    }

    pub(super) fn update(&mut self, who: usize) {
        if let Some(local) = self.one_of(who, false) {
            let says = format!("version {}", self.chance.below(1_000));
            self.say_it(who, "update", &local, Some(says));
        }
    }

    pub(super) fn withdraw(&mut self, who: usize) {
        if let Some(local) = self.one_of(who, false) {
            self.say_it(who, "withdraw", &local, None);
        }
    }

    pub(super) fn bring_back(&mut self, who: usize) {
        if let Some(local) = self.one_of(who, true) {
            self.say_it(who, "bring back", &local, Some("again".to_owned()));
        }
    }

    pub(super) fn checkpoint(&mut self, who: usize) {
        let Some(key) = self.ready(who) else {
            return;
        };
        let organisation = &self.organisations[who];
        let signer = organisation.signer(key);
        let site = &self.network.sites[organisation.home];
        if let Ok(Some(_)) = wait(site.publisher.checkpoint(&signer, 3_600)) {
            self.count("checkpoint");
            let name = self.name(who);
            self.network.say(format_args!("{name}: counts its records"));
            self.tell_new_records(who);
        }
    }

    /// An entry came into its home's log.
    pub(super) fn tell_entry(&mut self, who: usize, entry: LogEntry) {
        let home = self.organisations[who].home;
        let is_owed = self.network.is_honest(home);
        let place = self.tell(Said::Entry(entry), is_owed);
        let told = self.told(place);
        if let Err(error) = self.network.hand_in(home, &told) {
            let name = self.name(who);
            self.broken.push(format!("{name}: its log: {error}"));
        }
        self.push_around(home, place);
    }

    /// The log lists a new key, and with it one that was dropped before, if that mistake is made.
    pub(super) fn rotate(&mut self, who: usize, with_dropped: bool) {
        if self.organisations[who].theft.is_some() {
            return self.recover(who);
        }
        let dropped = self.organisations[who].dropped.clone();
        let again = match with_dropped && !dropped.is_empty() {
            true => Some(self.chance.pick(&dropped)),
            false => None,
        };
        if self.change_key(who, "rotate", again, false) && self.organisations[who].was_restored {
            // Its home said anew what it knew, and it may have forgotten something.
            self.organisations[who].is_hurt = true;
        }
    }

    /// A stolen key is dropped, and what the organisation means is said anew.
    pub(super) fn recover(&mut self, who: usize) {
        let Some(theft) = self.organisations[who].theft else {
            return;
        };
        if !self.change_key(who, "recover", None, true) {
            return;
        }
        self.organisations[who].theft = None;
        self.organisations[who].dropped.push(theft.key);
        for (local, says) in self.organisations[who].wants.clone() {
            let id = RecordId {
                author: self.organisations[who].scid,
                local: LocalId::parse(&local).unwrap(),
            };
            let home = self.organisations[who].home;
            let is_shown = self.network.sites[home].store.counting(&id).unwrap();
            let is_shown =
                is_shown.is_some_and(|row| row.status == protocol::envelope::Status::Active);
            if says.is_some() || is_shown {
                self.say_it(who, "say again", &local, says);
            }
        }
    }

    /// Drops the key that is signed with, for a new one; `true` if that came about.
    fn change_key(
        &mut self,
        who: usize,
        what: &'static str,
        again: Option<u8>,
        is_stolen: bool,
    ) -> bool {
        let Some(old) = self.ready(who) else {
            return false;
        };
        if !self.ready_for_entry(who) {
            return false;
        }
        let home = self.organisations[who].home;
        let now = self.now_at(home);
        let organisation = &mut self.organisations[who];
        let new = organisation.new_key();
        let site = &self.network.sites[home];
        let Some(tool) = organisation.tool(&site.store) else {
            return false;
        };
        let keys: Vec<u8> = again.into_iter().chain([new]).collect();
        let entry = tool.rotate(&keys, now);
        let signer = organisation.signer(new);
        let as_of = organisation
            .theft
            .filter(|_| is_stolen)
            .map(|theft| theft.at);
        let jump = if is_stolen { SEQ_JUMP } else { 1 };
        let changed = wait(site.publisher.change_key(&entry, &signer, jump, as_of));
        let name = self.name(who);
        match changed {
            Ok(count) => {
                self.count(what);
                self.network.say(format_args!(
                    "{name}: {what} to key {new}, {count} said anew"
                ));
                self.organisations[who].dropped.push(old);
                let place = self.tell(Said::Entry(entry), self.network.is_honest(home));
                self.push_around(home, place);
                self.tell_new_records(who);
                true
            }
            Err(error) => {
                self.network.say(format_args!("{name}: {what}: {error}"));
                if !matches!(error, PublishError::Held(_)) {
                    self.broken.push(format!("{name}: {what}: {error}"));
                }
                false
            }
        }
    }

    /// Whether the home may publish; its own log is changed only then.
    fn may_change_log(&mut self, who: usize) -> bool {
        let home = self.organisations[who].home;
        let is_held = self.network.sites[home].standing.held().unwrap().is_some();
        !is_held && self.ready(who).is_some() && self.ready_for_entry(who)
    }

    /// The log lists a second key.
    pub(super) fn add_key(&mut self, who: usize) {
        if !self.may_change_log(who) || self.organisations[who].keys_counting() > 1 {
            return;
        }
        let home = self.organisations[who].home;
        let now = self.now_at(home);
        let organisation = &mut self.organisations[who];
        let (Some(old), new) = (organisation.key(), organisation.new_key()) else {
            return;
        };
        let Some(tool) = organisation.tool(&self.network.sites[home].store) else {
            return;
        };
        let entry = tool.rotate(&[old, new], now);
        self.count("add key");
        let name = self.name(who);
        self.network
            .say(format_args!("{name}: key {new} beside key {old}"));
        self.tell_entry(who, entry);
    }

    /// Another node is its home from now on, and gets a bundle of all that it has.
    pub(super) fn move_away(&mut self, who: usize) {
        if !self.may_change_log(who) {
            return;
        }
        let from = self.organisations[who].home;
        let others: Vec<usize> = self
            .network
            .honest()
            .into_iter()
            .filter(|to| *to != from)
            .collect();
        let to = self.chance.pick(&others);
        let is_held = self.network.sites[to].standing.held().unwrap().is_some();
        let last = self.organisations[who].entries().last();
        let is_due = last
            .is_some_and(|entry| entry.version_time().seconds_after(self.now_at(to)) < 500)
            && self.now_at(from).seconds_after(self.now_at(to)) < 500;
        let is_carried = self.network.carries(to, &self.organisations[who].scid);
        if is_held || !is_due || !is_carried || !self.network.is_honest(from) {
            return;
        }
        let now = self.now_at(from);
        let organisation = &mut self.organisations[who];
        let Some(tool) = organisation.tool(&self.network.sites[from].store) else {
            return;
        };
        let entry = tool.move_to(&format!("n{to}.example"), now);
        let name = self.name(who);
        self.network.say(format_args!("{name}: moves to {to}"));
        self.count("move");
        self.tell_entry(who, entry);
        let filter = Filter {
            authors: [self.organisations[who].scid].into(),
            ..Filter::default()
        };
        let mut file = Vec::new();
        bundle::export(&self.network.sites[from].store, &filter, &mut file).unwrap();
        let ingest = &self.network.sites[to].ingest;
        let imported = wait(bundle::import(ingest, file.as_slice())).unwrap();
        if imported.refused_count > 0 {
            self.network.say(format_args!(
                "{name}: of its bundle was refused: {:?}",
                imported.refused
            ));
        }
        self.organisations[who].home = to;
    }

    /// It closes its identity.
    pub(super) fn close(&mut self, who: usize) {
        if !self.may_change_log(who) {
            return;
        }
        let home = self.organisations[who].home;
        let now = self.now_at(home);
        let organisation = &mut self.organisations[who];
        let Some(tool) = organisation.tool(&self.network.sites[home].store) else {
            return;
        };
        let entries = tool.close(now);
        self.organisations[who].is_closed = true;
        self.count("close");
        let name = self.name(who);
        self.network
            .say(format_args!("{name}: closes its identity"));
        for entry in entries {
            self.tell_entry(who, entry);
        }
    }
}
