//! Records that are asked for again and again, as they were answered: who looks at a record usually comes by a
//! link that others have, too. To find a record in the store, to unpack it and to check its digest takes as long
//! as all else of an answer.
//!
//! An answer holds for one moment of the store: whatever may change it, such as another version, another key, a
//! block or a choice to hide it, has a row there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use http::{HeaderValue, StatusCode};
use protocol::id::RecordId;

use crate::store::AsOf;

/// Bytes of all records that are kept at a time.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a record takes beside its bytes, about.
const OVERHEAD_BYTES: usize = 256;

/// A record as it is answered. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// 200, or 410 for a tombstone.
    pub(super) status: StatusCode,
    /// By the version.
    pub(super) etag: HeaderValue,
    /// As its author signed it.
    pub(super) body: Bytes,
}

/// Answers that hold at one place of the change log.
#[derive(Debug, Default)]
pub struct Answered(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    as_of: AsOf,
    answers: HashMap<RecordId, Answer>,
    bytes: usize,
}

impl Answered {
    /// The answer for a record while the store is as of this moment.
    pub(super) fn get(&self, id: &RecordId, as_of: AsOf) -> Option<Answer> {
        let kept = self.kept();
        (kept.as_of == as_of)
            .then(|| kept.answers.get(id).cloned())
            .flatten()
    }

    /// Keeps an answer that was read after this moment.
    pub(super) fn keep(&self, id: RecordId, as_of: AsOf, answer: Answer) {
        let bytes = answer.body.len() + OVERHEAD_BYTES;
        let mut kept = self.kept();
        if kept.as_of != as_of || kept.bytes + bytes > BYTES_MAX {
            *kept = Kept {
                as_of,
                ..Kept::default()
            };
        }
        if kept.answers.insert(id, answer).is_none() {
            kept.bytes += bytes;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{LocalId, Scid};

    use super::*;

    const AT_7: AsOf = AsOf {
        change: 7,
        opened_again: 0,
    };
    const AT_8: AsOf = AsOf { change: 8, ..AT_7 };

    fn id(local: &str) -> RecordId {
        RecordId {
            author: Scid::of(b"author"),
            local: LocalId::parse(local).unwrap(),
        }
    }

    fn answer(bytes: usize) -> Answer {
        Answer {
            status: StatusCode::OK,
            etag: HeaderValue::from_static("\"x\""),
            body: vec![b'x'; bytes].into(),
        }
    }

    #[test]
    fn an_answer_holds_until_anything_changes() {
        let answered = Answered::default();
        answered.keep(id("a"), AT_7, answer(1));
        answered.keep(id("b"), AT_7, answer(2));
        assert_eq!(answered.get(&id("a"), AT_7), Some(answer(1)));
        assert_eq!(answered.get(&id("b"), AT_7), Some(answer(2)));
        assert_eq!(answered.get(&id("a"), AT_8), None);
        answered.keep(id("b"), AT_8, answer(3));
        // Whoever read before the change and is late leaves nothing to who comes after it.
        answered.keep(id("a"), AT_7, answer(1));
        assert_eq!(answered.get(&id("a"), AT_8), None);
    }

    #[test]
    fn r10_answers_without_end_take_no_more_than_their_room() {
        let answered = Answered::default();
        let size = 64 * 1024;
        for n in 0..1_000 {
            answered.keep(id(&format!("r{n}")), AT_7, answer(size));
            let kept = answered.kept();
            assert!(kept.answers.len() * size <= BYTES_MAX);
            assert!(kept.bytes <= BYTES_MAX);
        }
        assert_eq!(answered.get(&id("r999"), AT_7), Some(answer(size)));
        // The same again takes no room of its own.
        let before = answered.kept().bytes;
        answered.keep(id("r999"), AT_7, answer(size));
        assert_eq!(answered.kept().bytes, before);
    }
}
