//! How many records are taken of one author and from one sender. Whoever sends more fills a share of the
//! store, and nobody else's. Versions of records that are held, tombstones among them, are always taken:
//! a quota chooses what is carried, never which version wins.

use protocol::id::Scid;

use super::records::{Refusal, Sender};
use super::transaction::{Reader, Transaction};
use super::{StoreError, keys};

/// How many records are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Of one author.
    pub of_author: u64,
    /// From one sender, whoever their authors are.
    pub from_sender: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            of_author: 200_000,
            from_sender: 2_000_000,
        }
    }
}

/// Refuses a record that would be the first beyond a quota, and notes that its author is not whole here.
/// What this node publishes itself has none.
pub(super) fn check(
    tx: &mut Transaction<'_>,
    quotas: &Quotas,
    author: &Scid,
    sender: &Sender,
) -> Result<(), Refusal> {
    let Some(sender) = sender else {
        return Ok(());
    };
    let reached = if is_reached(tx, quotas, author)? {
        Refusal::Quota {
            of: "author",
            max: quotas.of_author,
            setting: "records_per_author",
        }
    } else if tx.counter(&keys::count_from_sender(sender))? >= quotas.from_sender {
        Refusal::Quota {
            of: "sender",
            max: quotas.from_sender,
            setting: "records_per_peer",
        }
    } else {
        return Ok(());
    };
    tx.change_author(author, |author| author.is_incomplete = true)?;
    Err(reached)
}

/// Whether no new records of an author are taken.
pub(super) fn is_reached(
    rows: &(impl Reader + ?Sized),
    quotas: &Quotas,
    author: &Scid,
) -> Result<bool, StoreError> {
    Ok(rows.counter(&keys::count_of_author(author))? >= quotas.of_author)
}

/// Counts a record that is new.
pub(super) fn count(
    tx: &mut Transaction<'_>,
    author: &Scid,
    sender: &Sender,
) -> Result<(), StoreError> {
    tx.count(&keys::count_of_author(author), 1)?;
    if let Some(sender) = sender {
        tx.count(&keys::count_from_sender(sender), 1)?;
    }
    Ok(())
}

/// Counts a record that is gone. Whoever sent it is not known any more, and has sent it all the same.
pub(super) fn count_off(tx: &mut Transaction<'_>, author: &Scid) -> Result<(), StoreError> {
    tx.count(&keys::count_of_author(author), -1).map(|_| ())
}
