//! Comparing sets with others, as nodes do about once an hour and when a log has begun anew.

use std::sync::Arc;

use baraza::federation::pull::{PullError, Pulled};
use baraza::sets::{Items, Sets, Talk, answer};

use super::{Network, Site, address};
use crate::node::wait;
use crate::wire::Fault;

impl Network {
    /// A node compares with one of those that it follows and has not blocked, by this chance, and if that
    /// fails with another. Gives what came; `None` if no comparison came to its end.
    pub fn compare(
        &mut self,
        node: usize,
        below: impl FnMut(usize) -> usize + Send,
    ) -> Result<Option<Pulled>, PullError> {
        let compared = wait(self.sites[node].puller.compare_by(below));
        match &compared {
            Ok(Some(pulled)) => {
                let (stored, messages) = (pulled.stored, pulled.messages);
                self.say(format_args!(
                    "{node} compares: {messages} messages, {stored} new"
                ));
            }
            Ok(None) => self.say(format_args!("{node} compares with nobody to the end")),
            Err(error) => self.say(format_args!("{node} compares: {error}")),
        }
        compared
    }

    /// As [`Network::compare`], with a fault that strikes after so many answers.
    pub fn compare_badly(
        &mut self,
        node: usize,
        below: impl FnMut(usize) -> usize + Send,
        fault: Option<(usize, Fault)>,
    ) -> Result<Option<Pulled>, PullError> {
        self.wires().fault = fault;
        let compared = self.compare(node, below);
        self.wires().fault = None;
        compared
    }

    /// A node compares with this one, which it follows; with others, if that fails.
    pub fn compare_with(&mut self, to: usize, from: usize) -> Result<Option<Pulled>, PullError> {
        let all = self.sites[to].peers.all().unwrap();
        let mut asked = all.iter().filter(|peer| peer.is_read());
        let place = asked.position(|peer| peer.url == address(from));
        let Some(place) = place else {
            return Ok(None);
        };
        let mut is_first = true;
        self.compare(to, move |_| match std::mem::take(&mut is_first) {
            true => place,
            false => 0,
        })
    }

    /// As [`Network::settle`], by comparing alone: no log is read.
    pub fn settle_by_comparing(&mut self, order: &[usize], rounds_max: usize) -> Option<usize> {
        self.settle_by(order, rounds_max, |network, to, from| {
            // What came of it is in the trace, and shows in the end.
            let _ = network.compare_with(to, from);
        })
    }
}

impl Site {
    /// What this node's sets, which are kept up from its change log, tell otherwise than sets that are read
    /// from its store anew; `None` if nothing.
    pub fn sets_off(&self) -> Option<String> {
        let kept = self.sets.now().unwrap();
        let fresh = Sets::new(Arc::clone(&self.store)).now().unwrap();
        [
            ("records", kept.records(), fresh.records()),
            ("identities", kept.identities(), fresh.identities()),
        ]
        .into_iter()
        .find(|(_, kept, fresh)| lacks(kept, fresh) || lacks(fresh, kept))
        .map(|(name, ..)| format!("its set of {name} is not what it holds"))
    }
}

/// Whether one set lacks anything of another.
fn lacks(one: &Arc<Items>, other: &Items) -> bool {
    let (mut talk, mut message) = Talk::begin(Arc::clone(one)).unwrap();
    loop {
        let heard = talk.hear(&answer(other, &message).unwrap()).unwrap();
        if !heard.lacking.is_empty() {
            return true;
        }
        match heard.reply {
            Some(reply) => message = reply,
            None => return false,
        }
    }
}
