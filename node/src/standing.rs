//! Whether a node may publish what is its own.
//!
//! A node that was restored does not know what it published after its backup. Until it has asked others,
//! or its operator says that nobody else can know, it publishes nothing; and after that every record's
//! next number leaves room for those that nobody told it of. Nor does a node publish while its clock is
//! wrong: what it dated ahead would lie aside at all others.

use std::sync::Arc;

use protocol::id::{RecordId, Scid};
use protocol::limits::SEQ_JUMP;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::restore::number_after;
use crate::store::{LOST, Named, Store, StoreError};

const TABLE: &str = "standing";
const NAME: &str = "last";

/// While this machine's clock is wrong: by how many seconds it lies ahead.
const CLOCK: &str = "clock";

/// Records that were numbered anew, with the mark of the time when they were.
const NUMBERED: &str = "numbered";

/// Why a node publishes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was made of a backup of this date.
    Restored {
        /// The date.
        of: String,
    },
    /// Its store lacks changes that it had acknowledged.
    Lost,
    /// Somebody else publishes with its keys: it came to hear of a version that it did not make.
    SecondCopy {
        /// Of which record.
        id: String,
    },
    /// This machine's clock is not that of the nodes it follows.
    Clock {
        /// How far it lies ahead of theirs, or behind if negative.
        ahead_seconds: i64,
    },
}

impl Why {
    /// What ends it.
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::Restored { .. } | Self::Lost | Self::SecondCopy { .. } => {
                "`baraza reconcile` asks the peers that it follows, `baraza reconcile URL` another node; if no other node can have anything of it, say so by `baraza reconcile --alone`"
            }
            Self::Clock { .. } => {
                "set the clock, for example by `timedatectl set-ntp true`; `baraza doctor` asks the peers again"
            }
        }
    }
}

/// By what it may publish again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// These nodes told what they have of its authors.
    Peers(Vec<String>),
    /// Its operator said that nobody else has anything newer.
    Alone,
    /// The key that somebody else published with counts no longer.
    Rotated,
}

/// The row in the store; there is none at a node to which nothing happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    mark: String,
    why: Why,
    settled: Option<Settled>,
}

/// This node publishes nothing of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this node publishes nothing yet: {}. To go on: {}", because(why), why.way_out())]
pub struct Held {
    /// Why.
    pub why: Why,
}

impl Held {
    /// Whether an author may be given a new key all the same.
    pub fn may_rotate(&self) -> bool {
        matches!(self.why, Why::SecondCopy { .. })
    }
}

fn because(why: &Why) -> String {
    match why {
        Why::Restored { of } => format!(
            "it was restored from a backup of {of}, and others may have later versions of its records"
        ),
        Why::Lost => {
            "its store lost some of what it had acknowledged, and others may have it".to_owned()
        }
        Why::SecondCopy { id } => format!(
            "a version of {id} came that was signed with this node's key and that it did not make, so another node runs with the same keys, or this one is an older copy, or the key was stolen. If there is another one, stop it first; if the key was stolen, run `baraza org rotate HANDLE --compromised`"
        ),
        Why::Clock { ahead_seconds } => {
            let side = if *ahead_seconds > 0 {
                "ahead of"
            } else {
                "behind"
            };
            let seconds = ahead_seconds.unsigned_abs();
            format!("this machine's clock is {seconds} s {side} those of its peers")
        }
    }
}

/// How the next version of a record is numbered.
#[derive(Debug, Clone)]
pub enum Numbering {
    /// One after the other.
    Next,
    /// With a jump, the first time since this mark.
    Jump(String),
}

impl Numbering {
    /// The number of a record's next version, which is signed now, above `highest`.
    ///
    /// # Errors
    /// A disk fault.
    pub fn after(
        &self,
        store: &Store,
        id: &RecordId,
        highest: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let Self::Jump(mark) = self else {
            return Ok(highest + 1);
        };
        match store.named(NUMBERED, &id.to_string())? {
            Some(since) if since == mark.as_bytes() => Ok(highest + 1),
            _ => Ok(jumped(highest, SEQ_JUMP, now)),
        }
    }

    /// The number of a version that is signed anew now, `wanted` above what it had or more.
    pub fn anew(&self, seq: u64, wanted: u64, now: Timestamp) -> u64 {
        match self {
            Self::Next => number_after(seq, wanted),
            Self::Jump(_) => jumped(seq, wanted.max(SEQ_JUMP), now),
        }
    }

    /// What is written with a new version, so that the record's next ones follow one after the other.
    pub fn row(&self, id: &str) -> Option<Named> {
        match self {
            Self::Next => None,
            Self::Jump(mark) => Some(Named {
                table: NUMBERED,
                name: id.to_owned(),
                value: mark.clone().into_bytes(),
            }),
        }
    }
}

/// A number past those that nobody told this node of: the seconds since 1970. Whoever is restored twice from one
/// backup may be told of less the second time, and must not count from the same number again; by the clock the
/// later life numbers higher, unless a record changed more than once a second. With a clock that is behind it is
/// the jump that leaves the room.
fn jumped(highest: u64, jump: u64, now: Timestamp) -> u64 {
    match u64::try_from(now.unix_seconds()) {
        Ok(moment) if moment > highest => moment,
        _ => number_after(highest, jump),
    }
}

/// Why nothing can be said of it, or nothing may be published.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// Nothing may be published.
    #[error(transparent)]
    Held(#[from] Held),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a node may publish, kept in its store.
#[derive(Clone)]
pub struct Standing {
    store: Arc<Store>,
}

impl Standing {
    /// That of the node with this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    fn row(&self) -> Result<Option<Row>, StoreError> {
        if let Some(mark) = self.store.named(LOST.0, LOST.1)? {
            return Ok(Some(Row {
                mark: String::from_utf8_lossy(&mark).into_owned(),
                why: Why::Lost,
                settled: None,
            }));
        }
        let row = self.store.named(TABLE, NAME)?;
        row.map(|row| serde_json::from_slice(&row).map_err(damaged))
            .transpose()
    }

    /// Why nothing may be published, if nothing may.
    ///
    /// # Errors
    /// A disk fault.
    pub fn held(&self) -> Result<Option<Held>, StoreError> {
        if let Some(row) = self.unsettled()? {
            return Ok(Some(Held { why: row.why }));
        }
        let ahead = self.clock_ahead()?;
        Ok(ahead.map(|ahead_seconds| Held {
            why: Why::Clock { ahead_seconds },
        }))
    }

    /// What others may know better; a wrong clock is not among it.
    fn unsettled(&self) -> Result<Option<Row>, StoreError> {
        Ok(self.row()?.filter(|row| row.settled.is_none()))
    }

    /// How far this machine's clock lies ahead, or behind if negative, if it is known to be wrong.
    ///
    /// # Errors
    /// A disk fault.
    pub fn clock_ahead(&self) -> Result<Option<i64>, StoreError> {
        let row = self.store.named(TABLE, CLOCK)?;
        row.map(|row| serde_json::from_slice(&row).map_err(damaged))
            .transpose()
    }

    /// Publishes nothing until the clock is right.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn hold_for_clock(&self, ahead_seconds: i64) -> Result<(), StoreError> {
        if self.clock_ahead()?.is_none() {
            tracing::error!(
                ahead_seconds,
                "this machine's clock is not that of the nodes it follows: it publishes nothing until it is set"
            );
        }
        let row = serde_json::to_vec(&ahead_seconds).map_err(damaged)?;
        self.store.put_named(TABLE, CLOCK, Some(row)).await
    }

    /// The clock is right.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_right_clock(&self) -> Result<(), StoreError> {
        match self.clock_ahead()? {
            Some(_) => self.store.put_named(TABLE, CLOCK, None).await,
            None => Ok(()),
        }
    }

    /// How versions are numbered, if they may be published.
    ///
    /// # Errors
    /// [`StandingError::Held`] if nothing may.
    pub fn numbering(&self) -> Result<Numbering, StandingError> {
        match self.held()? {
            Some(held) => Err(held.into()),
            None => Ok(self.numbering_of_decided()?),
        }
    }

    /// How versions are numbered that are signed by a new key of an author. That is how a stolen key is
    /// answered, so what was published with the old one stands in nobody's way.
    ///
    /// # Errors
    /// [`StandingError::Held`] if this node may not know the author's log.
    pub fn numbering_under_new_key(&self) -> Result<Numbering, StandingError> {
        match self.held()? {
            Some(held) if !held.may_rotate() => Err(held.into()),
            _ => Ok(self.numbering_of_decided()?),
        }
    }

    /// An author has a new key: whoever published with the old one does so no longer.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_rotation(&self, author: &Scid) -> Result<(), StoreError> {
        match self.held()? {
            Some(Held {
                why: Why::SecondCopy { id },
            }) if RecordId::parse(&id).is_ok_and(|id| id.author == *author) => {
                self.settle(Settled::Rotated).await
            }
            _ => Ok(()),
        }
    }

    /// How versions are numbered whose publication was decided before.
    ///
    /// # Errors
    /// A disk fault.
    pub fn numbering_of_decided(&self) -> Result<Numbering, StoreError> {
        let row = self.row()?;
        Ok(row.map_or(Numbering::Next, |row| Numbering::Jump(row.mark)))
    }

    /// Publishes nothing from now on; `mark` names this time, and was never used before. A node that
    /// publishes nothing already goes on as it is.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn hold(&self, why: Why, mark: String) -> Result<(), StoreError> {
        if self.unsettled()?.is_some() {
            return Ok(());
        }
        let row = Row {
            mark,
            why,
            settled: None,
        };
        self.put(&row).await
    }

    /// May publish again.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn settle(&self, by: Settled) -> Result<(), StoreError> {
        match self.row()? {
            Some(row) if row.settled.is_none() => {
                let settled = Some(by);
                self.put(&Row { settled, ..row }).await?;
                self.store.put_named(LOST.0, LOST.1, None).await
            }
            _ => Ok(()),
        }
    }

    async fn put(&self, row: &Row) -> Result<(), StoreError> {
        let row = serde_json::to_vec(row).map_err(damaged)?;
        self.store.put_named(TABLE, NAME, Some(row)).await
    }
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        detail: format!("whether this node may publish: {error}"),
    }
}

/// What is put into a store that was made of a backup of this date, and has this new epoch.
///
/// # Errors
/// None that can be met: the text is JSON.
pub fn restored(of: &str, epoch: &str) -> Result<Named, StoreError> {
    let row = Row {
        mark: epoch.to_owned(),
        why: Why::Restored { of: of.to_owned() },
        settled: None,
    };
    Ok(Named {
        table: TABLE,
        name: NAME.to_owned(),
        value: serde_json::to_vec(&row).map_err(damaged)?,
    })
}

#[cfg(test)]
mod tests {
    use protocol::limits::{INTEGER_MAX, SEQ_JUMP};
    use protocol::time::Timestamp;

    use super::jumped;

    fn number(highest: u64, at: i64) -> u64 {
        jumped(highest, SEQ_JUMP, Timestamp::from_unix_seconds(at))
    }

    #[test]
    fn a_later_life_numbers_higher_though_it_was_told_of_less() {
        // The backup has number 7. The first life is told of 8, the second of nothing, the third of what the
        // first made, the fourth of nothing again.
        let first = number(8, 1_800_000_000);
        let second = number(7, 1_800_000_060);
        let third = number(first, 1_800_000_120);
        let fourth = number(7, 1_800_000_180);
        assert!(8 < first && first < second && second < third && third < fourth);
    }

    #[test]
    fn with_a_clock_that_is_behind_room_is_left_by_the_jump() {
        assert_eq!(number(1_800_000_000, 20), 1_800_001_000);
        assert_eq!(number(7, -1), 1_007);
        assert_eq!(number(7, 7), 1_007);
    }

    #[test]
    fn after_the_last_number_there_is_none_above() {
        let last = INTEGER_MAX.unsigned_abs();
        assert!(number(last, 1_800_000_000) < last);
    }
}
