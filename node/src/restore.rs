//! Which version of each record to go back to after a theft, and how it is numbered. A pure choice among
//! what a node tells of an author's history.

use std::collections::BTreeMap;

use protocol::id::{RecordId, VersionHash};
use protocol::limits::INTEGER_MAX;
use protocol::time::Timestamp;

/// A version as a node tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of which record.
    pub id: RecordId,
    /// Its number.
    pub seq: u64,
    /// Its digest.
    pub hash: VersionHash,
    /// When it came to that node.
    pub received: Timestamp,
    /// Whether its key counted before the theft was mended: what an earlier rotation dropped is not gone
    /// back to.
    pub counts: bool,
}

/// Of each record the version that stood at `as_of`, or that stands now: the highest number among those
/// that had come by then. Records that came later are not among them.
pub fn choose(
    versions: impl IntoIterator<Item = Told>,
    as_of: Option<Timestamp>,
) -> BTreeMap<RecordId, Told> {
    let mut chosen: BTreeMap<RecordId, Told> = BTreeMap::new();
    for version in versions {
        let is_in_time = as_of.is_none_or(|moment| version.received <= moment);
        if !is_in_time || !version.counts {
            continue;
        }
        let order = |version: &Told| (version.seq, std::cmp::Reverse(version.hash));
        let is_newer = chosen
            .get(&version.id)
            .is_none_or(|best| order(best) < order(&version));
        if is_newer {
            chosen.insert(version.id.clone(), version);
        }
    }
    chosen
}

/// The number of a version that is signed anew under a new key. A thief may have taken the last number
/// that there is; under a new key any number counts, so counting begins anew then.
pub fn number_after(seq: u64, jump: u64) -> u64 {
    seq.checked_add(jump)
        .filter(|next| *next < INTEGER_MAX.unsigned_abs())
        .unwrap_or(jump)
}

#[cfg(test)]
mod tests {
    use protocol::id::{RecordId, Scid, VersionHash};
    use protocol::time::Timestamp;

    use super::{Told, choose, number_after};

    fn told(local: &str, seq: u64, at: i64) -> Told {
        Told {
            id: RecordId::parse(&format!("{}/{local}", Scid::of(b"x"))).unwrap(),
            seq,
            hash: VersionHash::of(&seq.to_be_bytes()),
            received: Timestamp::from_unix_seconds(at),
            counts: true,
        }
    }

    fn seqs(versions: &[Told], as_of: Option<i64>) -> Vec<u64> {
        let as_of = as_of.map(Timestamp::from_unix_seconds);
        choose(versions.to_vec(), as_of)
            .values()
            .map(|told| told.seq)
            .collect()
    }

    #[test]
    fn what_came_after_the_moment_is_not_gone_back_to_whatever_its_number() {
        let last = u64::try_from(protocol::limits::INTEGER_MAX).unwrap();
        let versions = [
            told("a", 1, 10),
            told("a", 2, 20),
            told("a", last, 30),
            told("b", last, 31),
        ];
        assert_eq!(seqs(&versions, Some(29)), [2]);
        assert_eq!(seqs(&versions, Some(19)), [1]);
        assert_eq!(seqs(&versions, None), [last, last]);
        assert!(seqs(&versions, Some(9)).is_empty());
    }

    #[test]
    fn what_an_earlier_rotation_dropped_is_not_gone_back_to() {
        let dropped = Told {
            counts: false,
            ..told("a", 9, 10)
        };
        assert_eq!(seqs(&[dropped, told("a", 3, 20)], None), [3]);
    }

    #[test]
    fn a_record_whose_last_number_a_thief_took_can_still_be_changed() {
        let last = protocol::limits::INTEGER_MAX.unsigned_abs();
        assert_eq!(number_after(7, 1_000), 1_007);
        for seq in [last - 1_000, last, u64::MAX] {
            assert_eq!(number_after(seq, 1_000), 1_000);
        }
    }
}
