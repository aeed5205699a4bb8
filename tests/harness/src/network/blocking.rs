//! What operators decide: whom their node deals with, and which authors it carries.

use baraza::audit::{self, Act, Decision};
use baraza::choices::Blocked;
use baraza::clock::Clock as _;
use baraza::federation::peers::{Decided, Peer};
use baraza::federation::policy::Barred;
use baraza::store::{NamedRows, StoreError};
use protocol::id::Scid;

use super::{Network, Site, address};
use crate::node::wait;

impl Network {
    /// Whether nothing is exchanged with `other` any more, by decision of the operator of `node`.
    pub fn has_blocked(&self, node: usize, other: usize) -> bool {
        self.sites[node].peers.is_blocked(&address(other)).unwrap()
    }

    /// Whether a node carries an author.
    pub fn carries(&self, node: usize, scid: &Scid) -> bool {
        !self.sites[node].store.is_blocked(scid)
    }

    /// A node ends the exchange with another, or takes that back.
    pub fn block_node(&mut self, node: usize, other: usize, is_blocked: bool) {
        let site = &self.sites[node];
        let decided = is_blocked.then(|| Decided::Blocked {
            reason: None,
            since: site.clock.now().unix_seconds(),
        });
        let change = |peer: &mut Peer| peer.decided = decided;
        let decision = site.decision(is_blocked, address(other));
        wait(site.peers.decide(&address(other), change, decision)).unwrap();
        let what = if is_blocked { "blocks" } else { "unblocks" };
        self.say(format_args!("{node} {what} node {other}"));
    }

    /// A node carries an author no longer, or again: then it reads whom it follows anew, for what it refused
    /// meanwhile.
    pub fn block_author(&mut self, node: usize, scid: &Scid, is_blocked: bool) {
        let site = &self.sites[node];
        let blocked = Blocked {
            reason: None,
            since: site.clock.now().unix_seconds(),
        };
        let row = is_blocked.then(|| blocked.write().unwrap());
        let decision = site.decision(is_blocked, scid.to_string());
        let author = *scid;
        let put = move |rows: &mut NamedRows<'_, '_>| {
            rows.block_author(&author, row)?;
            audit::append(rows, &decision)
        };
        wait(site.store.change_named::<_, StoreError>(put)).unwrap();
        wait(site.store.look_again()).unwrap();
        if !is_blocked {
            for peer in site.peers.all().unwrap() {
                wait(site.peers.begin_anew(&peer.url)).unwrap();
            }
        }
        let what = if is_blocked { "blocks" } else { "unblocks" };
        self.say(format_args!("{node} {what} author {scid}"));
    }
}

impl Site {
    /// Whether what this node pushes is looked at, as the inbox decides it.
    pub(super) async fn let_in(&self, sender: &str, is_record: bool) -> Result<(), Barred> {
        self.gate.check_sender(sender)?;
        match is_record {
            true => self.gate.check_record(sender).await,
            false => Ok(()),
        }
    }

    fn decision(&self, is_blocked: bool, subject: String) -> Decision {
        Decision {
            time: self.clock.now(),
            act: if is_blocked { Act::Block } else { Act::Unblock },
            subject,
            reason: None,
        }
    }
}
