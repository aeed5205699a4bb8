//! Which versions are held, and which of them counts: a pure function of key logs and records.
//!
//! Arrival order and clocks decide nothing, so nodes that have seen the same things show the same
//! things (docs/protocol.md, 2). Held is, per record and per key that the author's newest log lists,
//! the version with the highest `seq`. What counts is the highest among those held.

use crate::id::{Scid, VersionHash};
use crate::identity::KeyRing;
use crate::key::PublicKey;
use crate::limits::CLOCK_SKEW_SECONDS_MAX;
use crate::time::Timestamp;

/// The rules in force. Nodes use [`Rules::decided`]; the weakened ones exist so that tests can show
/// that the network would drift apart without each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    never_again: bool,
    per_key: bool,
    park: bool,
    tie: bool,
    tombstone_hides: bool,
    tombstones_compared: bool,
    deactivated: bool,
}

/// What an author's log says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Listed by the newest version and never dropped: what it signs counts.
    Counts,
    /// Not listed yet, or no log is known: it may count later.
    Unknown,
    /// Dropped once: it never counts again.
    Retired,
    /// The identity is deactivated: nothing counts.
    Closed,
}

/// What a version's place in the order depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// The version's number.
    pub seq: u64,
    /// The digest that names it.
    pub hash: VersionHash,
}

/// What becomes of an incoming version beside the one held for its record and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Hold it; it displaces what was held, if anything.
    Hold,
    /// Hold it, and keep the displaced one as evidence: one key signed two versions with one number.
    HoldOverTwin,
    /// This very version is held.
    AlreadyHeld,
    /// A newer one is held.
    Superseded,
    /// Its twin with the same number is held: keep the incoming one as evidence only.
    BesideTwin,
}

impl Rules {
    /// The rules of the protocol.
    pub const fn decided() -> Self {
        Self {
            never_again: true,
            per_key: true,
            park: true,
            tie: true,
            tombstone_hides: true,
            tombstones_compared: true,
            deactivated: true,
        }
    }

    /// What `key` may do for `author`, by the newest log known.
    pub fn standing(&self, author: &Scid, ring: Option<&KeyRing>, key: &PublicKey) -> Standing {
        let Some(ring) = ring.filter(|ring| ring.scid() == author) else {
            return if self.park {
                Standing::Unknown
            } else {
                Standing::Retired
            };
        };
        if ring.is_closed() && self.deactivated {
            return Standing::Closed;
        }
        match (ring.is_listed(key), ring.was_dropped(key)) {
            (true, false) => Standing::Counts,
            (true, true) if !self.never_again => Standing::Counts,
            (_, true) => Standing::Retired,
            (false, false) if self.park => Standing::Unknown,
            (false, false) => Standing::Retired,
        }
    }

    /// Whether `incoming` is held beside or instead of `held`, the version of the same record under
    /// the same key.
    pub fn judge(&self, incoming: Rank, held: Option<Rank>) -> Decision {
        let Some(held) = held else {
            return Decision::Hold;
        };
        if incoming.hash == held.hash {
            return Decision::AlreadyHeld;
        }
        match incoming.seq.cmp(&held.seq) {
            std::cmp::Ordering::Greater => Decision::Hold,
            std::cmp::Ordering::Less => Decision::Superseded,
            std::cmp::Ordering::Equal if self.tie && incoming.hash < held.hash => {
                Decision::HoldOverTwin
            }
            std::cmp::Ordering::Equal => Decision::BesideTwin,
        }
    }

    /// The slot in which a version under `key` is held.
    pub fn slot(&self, key: &PublicKey) -> [u8; 32] {
        if self.per_key {
            *key.as_bytes()
        } else {
            [0; 32]
        }
    }

    /// Which of the versions held of one record counts: its position in `held`.
    pub fn counting<T>(&self, held: &[T], rank: impl Fn(&T) -> (Rank, bool)) -> Option<usize> {
        let order = |version: &T| {
            let (rank, withdrawn) = rank(version);
            let hidden = withdrawn && !self.tombstone_hides;
            (!hidden, rank.seq, std::cmp::Reverse(rank.hash))
        };
        (0..held.len()).max_by_key(|position| held.get(*position).map(order))
    }

    /// Whether a version that may be handed out is a member of the sets that nodes compare: each is, and a
    /// tombstone like any other (docs/protocol.md, 4).
    pub fn is_compared(&self, is_withdrawn: bool) -> bool {
        self.tombstones_compared || !is_withdrawn
    }
}

#[cfg(feature = "weakened-rules")]
impl Rules {
    /// A dropped key counts again when it is listed again.
    pub const fn without_never_again() -> Self {
        Self {
            never_again: false,
            ..Self::decided()
        }
    }

    /// One slot a record for all keys, so that a thief's version displaces the owner's.
    pub const fn without_per_key() -> Self {
        Self {
            per_key: false,
            ..Self::decided()
        }
    }

    /// What comes before its key is known is forgotten.
    pub const fn without_park() -> Self {
        Self {
            park: false,
            ..Self::decided()
        }
    }

    /// At equal `seq` the first to arrive stays.
    pub const fn without_tie() -> Self {
        Self {
            tie: false,
            ..Self::decided()
        }
    }

    /// A tombstone under one key leaves earlier versions under another in view.
    pub const fn without_tombstone_hides() -> Self {
        Self {
            tombstone_hides: false,
            ..Self::decided()
        }
    }

    /// Who compares sets is told nothing of tombstones.
    pub const fn without_tombstones_compared() -> Self {
        Self {
            tombstones_compared: false,
            ..Self::decided()
        }
    }

    /// A deactivated log is read like any other.
    pub const fn without_deactivated() -> Self {
        Self {
            deactivated: false,
            ..Self::decided()
        }
    }
}

/// When something dated `dated` may be taken in: `None` if it may be now, else from when on.
///
/// Peers' clocks differ by [`CLOCK_SKEW_SECONDS_MAX`] at most before we wait.
pub fn due(dated: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let ahead = dated.seconds_after(now);
    (ahead > CLOCK_SKEW_SECONDS_MAX).then(|| dated.plus_seconds(-CLOCK_SKEW_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::{Decision, Rank, Rules, due};
    use crate::id::VersionHash;
    use crate::time::Timestamp;

    fn rank(seq: u64, hash: u8) -> Rank {
        Rank {
            seq,
            hash: VersionHash::from_digest([hash; 32]),
        }
    }

    #[test]
    fn the_highest_number_is_held_and_at_a_tie_the_lower_hash() {
        let rules = Rules::decided();
        assert_eq!(rules.judge(rank(1, 5), None), Decision::Hold);
        assert_eq!(rules.judge(rank(2, 5), Some(rank(1, 1))), Decision::Hold);
        assert_eq!(
            rules.judge(rank(1, 1), Some(rank(2, 5))),
            Decision::Superseded
        );
        assert_eq!(
            rules.judge(rank(2, 5), Some(rank(2, 5))),
            Decision::AlreadyHeld
        );
        assert_eq!(
            rules.judge(rank(2, 1), Some(rank(2, 5))),
            Decision::HoldOverTwin
        );
        assert_eq!(
            rules.judge(rank(2, 5), Some(rank(2, 1))),
            Decision::BesideTwin
        );
    }

    #[test]
    fn a_tombstone_with_the_highest_number_counts() {
        let held = [(rank(3, 1), false), (rank(4, 9), true), (rank(4, 8), false)];
        assert_eq!(Rules::decided().counting(&held, |held| *held), Some(2));
        assert_eq!(Rules::decided().counting(&held[..2], |held| *held), Some(1));
        assert_eq!(Rules::decided().counting(&held[..0], |held| *held), None);
    }

    #[test]
    fn t05_what_is_dated_ahead_waits_until_it_is_due() {
        let now = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        assert_eq!(due(now.plus_seconds(600), now), None);
        assert_eq!(due(now.plus_seconds(601), now), Some(now.plus_seconds(1)));
        assert_eq!(due(Timestamp::from_unix_seconds(0), now), None);
    }
}
