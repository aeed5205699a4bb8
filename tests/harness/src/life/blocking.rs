//! What operators decide: which nodes theirs deals with, and which authors it carries.

use protocol::id::Scid;

use super::World;

/// Of a hundred blocks that may stay while a network heals, so many do.
const STAY: usize = 40;

impl World {
    /// The operator of an honest node ends the exchange with another node, or carries an author no longer whose
    /// home is elsewhere.
    pub(super) fn block(&mut self) {
        let honest = self.network.honest();
        let node = self.chance.pick(&honest);
        if self.chance.happens(50) {
            let other = self.chance.below(self.network.sites.len());
            if other != node && !self.network.has_blocked(node, other) {
                self.count("block node");
                self.network.block_node(node, other, true);
            }
            return;
        }
        let who = self.chance.below(self.organisations.len());
        let (home, scid) = {
            let organisation = &self.organisations[who];
            (organisation.home, organisation.scid)
        };
        if home != node && self.network.carries(node, &scid) {
            self.count("block author");
            self.network.block_author(node, &scid, true);
            // What this node alone had is handed out by nobody now.
            self.forget_lost();
        }
    }

    /// An operator takes a block back.
    pub(super) fn unblock(&mut self) {
        let blocks = self.blocks();
        if blocks.is_empty() {
            return;
        }
        match self.chance.pick(&blocks) {
            (node, Blocked::Node(other)) => {
                self.count("unblock node");
                self.network.block_node(node, other, false);
            }
            (node, Blocked::Author(scid)) => {
                self.count("unblock author");
                self.network.block_author(node, &scid, false);
            }
        }
    }

    /// Takes back what would keep honest nodes from each other, and some of the rest.
    pub(crate) fn take_back_blocks(&mut self) {
        for (node, blocked) in self.blocks() {
            let stays = self.chance.happens(STAY);
            match blocked {
                Blocked::Node(other) if !stays || self.network.is_honest(other) => {
                    self.network.block_node(node, other, false);
                }
                Blocked::Author(scid) if !stays => self.network.block_author(node, &scid, false),
                _ => {}
            }
        }
    }

    /// A node does not carry those whose home it is: its older copy may say so. Its operator mends that.
    pub(super) fn carry_own(&mut self, node: usize) {
        for scid in self.own_of(node) {
            if !self.network.carries(node, &scid) {
                self.network.block_author(node, &scid, false);
            }
        }
    }

    fn blocks(&self) -> Vec<(usize, Blocked)> {
        let mut blocks = Vec::new();
        for node in self.network.honest() {
            let others = 0..self.network.sites.len();
            let others = others.filter(|other| self.network.has_blocked(node, *other));
            blocks.extend(others.map(|other| (node, Blocked::Node(other))));
            let authors = self.organisations.iter().map(|of| of.scid);
            let authors = authors.filter(|scid| !self.network.carries(node, scid));
            blocks.extend(authors.map(|scid| (node, Blocked::Author(scid))));
        }
        blocks
    }
}

/// Whom a block is about.
#[derive(Debug, Clone, Copy)]
enum Blocked {
    Node(usize),
    Author(Scid),
}
