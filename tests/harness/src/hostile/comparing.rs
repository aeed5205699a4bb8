//! What hostile nodes do to messages by which sets are compared.

use std::sync::Arc;

use baraza::sets::{Items, Member, Tag, answer};
use baraza::store::Store;
use http::{HeaderValue, Response};
use protocol::envelope::{Envelope, Status};
use protocol::id::VersionHash;

use super::{Liar, Mood};
use crate::author::at;

/// Of whom a member is does not matter to who compares.
const TAG: Tag = Tag {
    author: 0,
    record: 0,
};

/// The header that says from where the log is to be read on.
const CURSOR: &str = "baraza-cursor";

/// What is left out of a set, or put into it.
#[derive(Default)]
struct Twist {
    hides_tombstones: bool,
    hides_author: bool,
    /// Versions that nobody has.
    invented: Vec<VersionHash>,
}

impl Liar {
    /// What becomes of an honest answer to a message about a set; `None` if there is none.
    pub(crate) fn twist_comparison(
        &mut self,
        honest: Response<Vec<u8>>,
        message: &[u8],
        asked: &str,
        store: &Arc<Store>,
    ) -> Option<Response<Vec<u8>>> {
        let mut given = honest;
        let is_records = asked.ends_with("set=records");
        let mut twist = Twist::default();
        match self.chance.below(10) {
            _ if self.mood == Mood::Silent => return None,
            _ if self.mood == Mood::Hiding => {
                (twist.hides_tombstones, twist.hides_author) = (true, true);
            }
            0 => return None,
            1 => twist.hides_tombstones = true,
            2 | 3 => twist.hides_author = true,
            4 => {
                let numbers = (0..1 + self.chance.below(8)).map(|_| self.chance.number());
                let invented = numbers.map(|number| VersionHash::of(&number.to_be_bytes()));
                twist.invented = invented.collect();
            }
            5 => self.garble_message(given.body_mut()),
            // Another fingerprint of everything, whatever was said: it never comes to an end.
            6 => *given.body_mut() = [&[0x61, 0, 0, 1][..], &[9; 16]].concat(),
            7 => given.body_mut().truncate(self.chance.below(40)),
            8 => {
                let cursor = HeaderValue::try_from(format!("x-{}", u64::MAX)).unwrap();
                given.headers_mut().insert(CURSOR, cursor);
            }
            _ => {}
        }
        if twist.hides_tombstones || twist.hides_author || !twist.invented.is_empty() {
            let set = match is_records {
                true => self.records(store, &twist),
                false => self.identities(store, &twist),
            };
            if let Ok(said) = answer(&set, message) {
                *given.body_mut() = said;
            }
        }
        Some(given)
    }

    fn garble_message(&mut self, message: &mut [u8]) {
        let place = self.chance.below(message.len());
        if let Some(byte) = message.get_mut(place) {
            *byte ^= 1 << self.chance.below(8);
        }
    }

    fn records(&self, store: &Store, twist: &Twist) -> Items {
        let shown = store.held(None).map(|row| row.unwrap());
        let shown = shown.filter(|(id, row)| {
            let is_hidden = (twist.hides_tombstones && row.status == Status::Withdrawn)
                || (twist.hides_author && self.hides == Some(id.author));
            !is_hidden
        });
        let members = shown.map(|(_, row)| {
            let record = Envelope::parse(&row.canonical().unwrap()).unwrap();
            Member::new(record.header().issued, *row.rank.hash.as_digest(), TAG)
        });
        Items::new(members.chain(invented(twist)).collect())
    }

    fn identities(&self, store: &Store, twist: &Twist) -> Items {
        let authors = store.authors().unwrap().into_iter();
        let shown = authors.filter(|author| {
            !twist.hides_author || self.hides.as_ref() != Some(author.state.scid())
        });
        let members = shown.map(|author| {
            let head = *author.state.version_id().hash.as_digest();
            Member::new(author.state.version_time(), head, TAG)
        });
        Items::new(members.chain(invented(twist)).collect())
    }
}

fn invented(twist: &Twist) -> impl Iterator<Item = Member> {
    let invented = twist.invented.iter();
    invented.map(|hash| Member::new(at(0), *hash.as_digest(), TAG))
}
