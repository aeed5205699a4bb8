//! Finding out what another node has that is not here: what is said, not how it travels.

use std::sync::Arc;

use negentropy::{Id, Negentropy};
use protocol::id::VersionHash;
use protocol::limits::{RECONCILE_BYTES_MAX, RECONCILE_ROUNDS_MAX};

use super::framing;
use super::items::Items;

/// Why a talk ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// What was said is no message of the protocol.
    #[error("not a message of Negentropy V1: {0}")]
    Malformed(String),
    /// The other side never comes to an end.
    #[error("after {RECONCILE_ROUNDS_MAX} messages the sets still differ")]
    Endless,
}

impl From<negentropy::Error> for TalkError {
    fn from(error: negentropy::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// What one answer told.
#[derive(Debug)]
pub struct Heard {
    /// Versions that the other side has and the set does not.
    pub lacking: Vec<VersionHash>,
    /// What to say next; `None` if that was all.
    pub reply: Option<Vec<u8>>,
}

/// One side of a comparison: that which begins, and learns what it lacks.
#[derive(Debug)]
pub struct Talk {
    own: Arc<Items>,
    rounds: usize,
}

impl Talk {
    /// Begins to compare a set; gives what to say first.
    ///
    /// # Errors
    /// None in practice: the set is in order.
    pub fn begin(own: Arc<Items>) -> Result<(Self, Vec<u8>), TalkError> {
        let first = Negentropy::borrowed(&*own, RECONCILE_BYTES_MAX as u64)?.initiate()?;
        Ok((Self { own, rounds: 1 }, first))
    }

    /// How many messages were sent.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// See [`TalkError`].
    pub fn hear(&mut self, answer: &[u8]) -> Result<Heard, TalkError> {
        framing::check(answer)?;
        let mut talk = Negentropy::borrowed(&*self.own, RECONCILE_BYTES_MAX as u64)?;
        talk.set_initiator();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let reply = talk.reconcile_with_ids(answer, &mut have, &mut need)?;
        let lacking = need.into_iter().map(Id::to_bytes);
        if reply.is_some() {
            if self.rounds == RECONCILE_ROUNDS_MAX {
                return Err(TalkError::Endless);
            }
            self.rounds += 1;
        }
        Ok(Heard {
            lacking: lacking.map(VersionHash::from_digest).collect(),
            reply,
        })
    }
}

/// What whoever holds `own` says to a message.
///
/// # Errors
/// [`TalkError::Malformed`].
pub fn answer(own: &Items, message: &[u8]) -> Result<Vec<u8>, TalkError> {
    framing::check(message)?;
    Ok(Negentropy::borrowed(own, RECONCILE_BYTES_MAX as u64)?.reconcile(message)?)
}
