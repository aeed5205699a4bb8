//! Which versions count among the records of a bundle, so that its checkpoints can be compared with it.

use std::collections::BTreeMap;

use protocol::acceptance::{Decision, Rank, Rules};
use protocol::envelope::Status;
use protocol::id::{LocalId, Scid, VersionHash};
use protocol::record::{Body, Checkpoint, Completeness};
use protocol::time::Timestamp;
use protocol::verified::Record;
use serde::Serialize;

/// How complete an author is in a bundle, by its own checkpoint there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Its SCID.
    pub author: String,
    /// When it counted.
    pub as_of: String,
    /// Records that it had then, withdrawn ones among them.
    pub named: u64,
    /// Records of it that are in the bundle.
    pub held: u64,
    /// Those are just the ones that it counted.
    pub is_complete: bool,
}

/// The records of a bundle, by author.
#[derive(Debug, Default)]
pub(super) struct Census(BTreeMap<Scid, Vec<Seen>>);

/// What the rules ask of one version.
#[derive(Debug)]
struct Seen {
    local: LocalId,
    slot: [u8; 32],
    rank: Rank,
    is_withdrawn: bool,
    issued: Timestamp,
    checkpoint: Option<Checkpoint>,
}

impl Census {
    /// Adds a record that verifies.
    pub(super) fn add(&mut self, rules: &Rules, record: &Record) {
        let header = &record.header;
        let is_checkpoint = header.local.as_str() == Checkpoint::LOCAL_ID;
        let body = is_checkpoint.then(|| record.body()).flatten();
        let checkpoint = body.and_then(|body| match Body::read(&header.kind, &body) {
            Ok(Some(Body::Checkpoint(checkpoint))) => Some(checkpoint),
            _ => None,
        });
        self.0.entry(*header.author.scid()).or_default().push(Seen {
            local: header.local.clone(),
            slot: rules.slot(&record.key),
            rank: Rank {
                seq: header.seq,
                hash: record.hash,
            },
            is_withdrawn: header.status == Status::Withdrawn,
            issued: header.issued,
            checkpoint,
        });
    }

    /// What each author's checkpoint says of its records here. Authors without a checkpoint, and those
    /// who went on since theirs, are left out.
    pub(super) fn judge(self, rules: &Rules) -> Vec<Counted> {
        self.0
            .into_iter()
            .filter_map(|(author, seen)| judge(rules, &author, seen))
            .collect()
    }
}

fn judge(rules: &Rules, author: &Scid, seen: Vec<Seen>) -> Option<Counted> {
    let mut by_record: BTreeMap<LocalId, BTreeMap<[u8; 32], Seen>> = BTreeMap::new();
    for version in seen {
        let slots = by_record.entry(version.local.clone()).or_default();
        let held = slots.get(&version.slot).map(|held| held.rank);
        if matches!(
            rules.judge(version.rank, held),
            Decision::Hold | Decision::HoldOverTwin
        ) {
            slots.insert(version.slot, version);
        }
    }
    let mut counting: BTreeMap<LocalId, Seen> = by_record
        .into_iter()
        .filter_map(|(local, slots)| {
            let mut versions: Vec<Seen> = slots.into_values().collect();
            let counts =
                rules.counting(&versions, |version| (version.rank, version.is_withdrawn))?;
            Some((local, versions.swap_remove(counts)))
        })
        .collect();
    let local = LocalId::parse(Checkpoint::LOCAL_ID).ok()?;
    let made = counting.remove(&local)?;
    let checkpoint = made.checkpoint?;
    let mut hashes: Vec<VersionHash> = counting.values().map(|seen| seen.rank.hash).collect();
    let latest = || Ok(counting.values().map(|seen| seen.issued).max());
    let judged: Result<_, std::convert::Infallible> =
        checkpoint.judge(made.issued, &mut hashes, latest);
    let is_complete = match judged {
        Ok(Completeness::Complete) => true,
        Ok(Completeness::Lacking) => false,
        Ok(Completeness::Overtaken) => return None,
    };
    Some(Counted {
        author: author.to_string(),
        as_of: made.issued.to_string(),
        named: checkpoint.count,
        held: hashes.len() as u64,
        is_complete,
    })
}
