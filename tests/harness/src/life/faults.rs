//! What goes wrong: wires, disks, clocks. And what is read of each other meanwhile.

use super::{SKEW_SECONDS_MAX, World};
use crate::wire::Fault;

impl World {
    fn somebody(&mut self) -> usize {
        self.chance.below(self.network.sites.len())
    }

    /// Somebody reads a page of somebody it follows; not every answer comes whole.
    pub(super) fn read_somebody(&mut self) {
        self.count("read");
        let to = self.somebody();
        let follows = self.network.sites[to].follows.clone();
        if follows.is_empty() {
            return;
        }
        let from = self.chance.pick(&follows);
        let fault = self.fault();
        let page = self.chance.happens(50).then(|| 1 + self.chance.below(30));
        // What came of it is in the trace, and shows in the end.
        if let Ok(pulled) = self.network.pull_badly(to, from, fault, page)
            && pulled.messages > 0
        {
            self.count("compare for a log begun anew");
        }
    }

    /// What goes wrong with an answer, if anything does.
    fn fault(&mut self) -> Option<Fault> {
        match self.chance.below(12) {
            0 => Some(Fault::Refused),
            1 | 2 => Some(Fault::CutOff(self.chance.below(100))),
            3 => Some(Fault::Again),
            _ => None,
        }
    }

    /// The hour is round at somebody: it compares with one of those it follows, by chance.
    pub(super) fn compare(&mut self) {
        self.count("compare");
        let node = self.somebody();
        let fault = self.fault().map(|fault| (self.chance.below(4), fault));
        let chance = &mut self.chance;
        // What came of it is in the trace, and shows in the end.
        let _ = self
            .network
            .compare_badly(node, |end| chance.below(end), fault);
    }

    pub(super) fn crash(&mut self) {
        self.count("crash");
        let node = self.somebody();
        self.network.crash(node);
    }

    pub(super) fn back_up(&mut self) {
        self.count("back up");
        let node = self.somebody();
        self.network.back_up(node);
    }

    /// A disk is lost, or changed for another with all that was on it.
    pub(super) fn restore(&mut self) {
        let honest = self.network.honest();
        let node = self.chance.pick(&honest);
        if self.chance.happens(30) {
            self.network.back_up(node);
        }
        if !self.network.restore(node) {
            return;
        }
        self.count("restore");
        for organisation in &mut self.organisations {
            organisation.was_restored |= organisation.home == node;
        }
        self.carry_own(node);
        self.forget_lost();
    }

    /// What no node has any more that would hand it out is owed no longer.
    pub(super) fn forget_lost(&mut self) {
        let owed: Vec<usize> = {
            let wires = self.network.wires();
            (0..wires.told.len())
                .filter(|place| wires.told[*place].is_owed)
                .collect()
        };
        for place in owed {
            let told = self.told(place);
            if self.is_held_somewhere(&told) {
                continue;
            }
            self.network.wires().told[place].is_owed = false;
            let scid = told.scid();
            for organisation in &mut self.organisations {
                organisation.is_hurt |= organisation.scid == scid;
            }
        }
    }

    /// A node that may not publish asks others.
    pub(super) fn reconcile(&mut self) {
        let held: Vec<usize> = (0..self.network.sites.len())
            .filter(|node| self.network.sites[*node].standing.held().unwrap().is_some())
            .collect();
        if !held.is_empty() {
            let node = self.chance.pick(&held);
            self.count("reconcile");
            let own = self.own_of(node);
            self.network.reconcile(node, &own);
        }
    }

    pub(super) fn part(&mut self) {
        self.count("part");
        let mut nodes: Vec<usize> = (0..self.network.sites.len()).collect();
        self.chance.shuffle(&mut nodes);
        let (one, other) = nodes.split_at(1 + self.chance.below(nodes.len() - 1));
        self.network.part(one, other);
    }

    pub(super) fn join(&mut self) {
        self.count("join");
        self.network.join();
    }

    pub(super) fn turn_clock(&mut self) {
        self.count("turn a clock");
        let node = self.somebody();
        let right = crate::author::at(self.network.now());
        let off = self.now_at(node).seconds_after(right) - right.seconds_after(self.now_at(node));
        let range = 2 * SKEW_SECONDS_MAX as usize + 1;
        let new = self.chance.below(range) as i64 - SKEW_SECONDS_MAX;
        self.network.sites[node].clock.advance(new - off);
        self.network
            .say(format_args!("the clock of {node} is off by {new} s"));
    }

    pub(super) fn pass_hours(&mut self) {
        self.count("pass hours");
        let seconds = 3_600 * (1 + self.chance.below(8)) as i64;
        self.network.pass(seconds);
    }
}
