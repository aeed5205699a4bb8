//! A set of versions in order, as Negentropy reads it: 48 bytes each.

use std::collections::HashSet;

use negentropy::{Bound, Error, Id, Item, NegentropyStorageBase};
use protocol::time::Timestamp;

/// Of which record a version is, by hashes with a key of this process: enough to find what a change
/// touched, and nothing that a stranger could aim at. Two records with one tag would only make the set
/// less exact until it is built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Of the author.
    pub author: u32,
    /// Of the record, within the author.
    pub record: u32,
}

/// A version in a set.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    item: Item,
    tag: Tag,
}

impl Member {
    /// A version by its date, in seconds since 1970, and its digest. Earlier dates count as 1970.
    pub fn new(dated: Timestamp, digest: [u8; 32], tag: Tag) -> Self {
        let seconds = u64::try_from(dated.unix_seconds()).unwrap_or_default();
        Self {
            item: Item::with_timestamp_and_id(seconds, Id::from_byte_array(digest)),
            tag,
        }
    }

    /// Of which record it is.
    pub(super) fn tag(&self) -> Tag {
        self.tag
    }
}

/// A set of versions, in the order of date and digest.
#[derive(Debug, Clone, Default)]
pub struct Items(Vec<Member>);

impl Items {
    /// A set, from its members in any order.
    pub fn new(mut members: Vec<Member>) -> Self {
        members.sort_unstable_by_key(|member| member.item);
        members.dedup_by_key(|member| member.item);
        members.shrink_to_fit();
        Self(members)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts `members` in the place of all that bear these tags.
    pub fn replace(&mut self, tags: &HashSet<Tag>, members: Vec<Member>) {
        self.0.retain(|member| !tags.contains(&member.tag));
        self.0.reserve_exact(members.len());
        self.0.extend(members);
        // A stable sort merges what is in order already.
        self.0.sort_by_key(|member| member.item);
        self.0.dedup_by_key(|member| member.item);
    }

    /// These and others.
    pub(super) fn with(&self, others: Vec<Member>) -> Self {
        Self::new(self.0.iter().copied().chain(others).collect())
    }

    /// Those of one author.
    pub fn of_author(&self, author: u32) -> Self {
        let of_author = |member: &&Member| member.tag.author == author;
        Self(self.0.iter().filter(of_author).copied().collect())
    }
}

impl NegentropyStorageBase for Items {
    fn size(&self) -> Result<usize, Error> {
        Ok(self.0.len())
    }

    fn get_item(&self, place: usize) -> Result<Option<Item>, Error> {
        Ok(self.0.get(place).map(|member| member.item))
    }

    fn iterate(
        &self,
        begin: usize,
        end: usize,
        each: &mut dyn FnMut(Item, usize) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let members = self.0.get(begin..end).ok_or(Error::BadRange)?;
        for (member, place) in members.iter().zip(begin..) {
            if !each(member.item, place)? {
                break;
            }
        }
        Ok(())
    }

    fn find_lower_bound(&self, first: usize, last: usize, bound: &Bound) -> usize {
        let members = self.0.get(first..last).unwrap_or_default();
        first + members.partition_point(|member| member.item < bound.item)
    }
}
