//! What filters let through, kept at hand: the same few codes narrow down most searches.
//!
//! A segment of the index never changes, so what a filter lets through of it holds for as long as the
//! segment is there: one bit for each document. All filters of a search are asked at once, 64 documents
//! at a time. Deleted documents are among them; whoever collects leaves them out, as always.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::index::SegmentId;
use tantivy::query::{
    ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight, intersect_scorers,
};
use tantivy::{DocId, DocSet, Score, Searcher, SegmentReader, TERMINATED, TantivyError, Term};

/// Most memory for what is kept: 64 filters over a million records.
const BYTES_MAX: usize = 8 << 20;

/// A filter that lets less than one document in so many through is read from its list: that is shorter.
const SPARSE: u32 = 64;

/// The documents of one segment that a filter lets through.
#[derive(Debug)]
struct Bits {
    words: Box<[u64]>,
    count: u32,
}

impl Bits {
    fn of(mut documents: Box<dyn Scorer>, documents_max: u32) -> Self {
        let mut words = vec![0_u64; documents_max.div_ceil(64) as usize];
        let mut count = 0;
        let mut document = documents.doc();
        while document != TERMINATED {
            if let Some(word) = words.get_mut(document as usize / 64) {
                *word |= 1 << (document % 64);
                count += 1;
            }
            document = documents.advance();
        }
        Self {
            words: words.into_boxed_slice(),
            count,
        }
    }

    fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }
}

#[derive(Debug)]
struct Entry {
    bits: Arc<Bits>,
    /// When it was last asked for, counted in questions.
    asked: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<(SegmentId, Arc<str>), Entry>,
    bytes: usize,
    questions: u64,
}

/// What was asked for lately.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Table>);

impl Kept {
    fn get(&self, key: &(SegmentId, Arc<str>)) -> Option<Arc<Bits>> {
        let mut table = self.lock();
        table.questions += 1;
        let asked = table.questions;
        let entry = table.entries.get_mut(key)?;
        entry.asked = asked;
        Some(Arc::clone(&entry.bits))
    }

    /// Keeps something, in place of what was not asked for the longest.
    fn put(&self, key: (SegmentId, Arc<str>), bits: Bits) -> Arc<Bits> {
        let bits = Arc::new(bits);
        let mut table = self.lock();
        table.bytes += bits.bytes();
        let asked = table.questions;
        let entry = Entry {
            bits: Arc::clone(&bits),
            asked,
        };
        if let Some(before) = table.entries.insert(key, entry) {
            table.bytes -= before.bits.bytes();
        }
        while table.bytes > BYTES_MAX {
            let oldest = table.entries.iter().min_by_key(|(_, entry)| entry.asked);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some(gone) = table.entries.remove(&oldest) {
                table.bytes -= gone.bits.bytes();
            }
        }
        bits
    }

    /// Gives back what is kept of segments that are gone.
    pub(super) fn retain(&self, searcher: &Searcher) {
        let readers = searcher.segment_readers();
        let mut table = self.lock();
        table
            .entries
            .retain(|(segment, _), _| readers.iter().any(|reader| reader.segment_id() == *segment));
        let entries = table.entries.values();
        table.bytes = entries.map(|entry| entry.bits.bytes()).sum();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The documents that all of these filters let through, each with what tells it from others. They add
/// nothing to a document's score.
#[derive(Debug, Clone)]
pub(super) struct Narrowed {
    pub(super) filters: Vec<(Arc<str>, Arc<dyn Query>)>,
    pub(super) kept: Arc<Kept>,
}

impl Query for Narrowed {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let unscored = match scoring.searcher() {
            Some(searcher) => EnableScoring::disabled_from_searcher(searcher),
            None => EnableScoring::disabled_from_schema(scoring.schema()),
        };
        let weight = |(name, filter): &(Arc<str>, Arc<dyn Query>)| {
            Ok((Arc::clone(name), filter.weight(unscored)?))
        };
        Ok(Box::new(NarrowedWeight {
            filters: self
                .filters
                .iter()
                .map(weight)
                .collect::<Result<_, TantivyError>>()?,
            kept: Arc::clone(&self.kept),
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        for (_, filter) in &self.filters {
            filter.query_terms(visitor);
        }
    }
}

struct NarrowedWeight {
    filters: Vec<(Arc<str>, Box<dyn Weight>)>,
    kept: Arc<Kept>,
}

impl Weight for NarrowedWeight {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let (mut sets, mut lists) = (Vec::new(), Vec::new());
        for (name, weight) in &self.filters {
            let key = (reader.segment_id(), Arc::clone(name));
            if let Some(bits) = self.kept.get(&key) {
                sets.push(bits);
                continue;
            }
            let list = weight.scorer(reader, 1.0)?;
            match list.size_hint() < reader.max_doc() / SPARSE {
                true => lists.push(list),
                false => sets.push(self.kept.put(key, Bits::of(list, reader.max_doc()))),
            }
        }
        if !sets.is_empty() {
            let sets = InAll::new(sets, reader.max_doc());
            lists.push(Box::new(ConstScorer::new(sets, 0.0)));
        }
        let all = intersect_scorers(lists, reader.max_doc());
        Ok(Box::new(ConstScorer::new(all, 0.0)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.doc() > doc || scorer.seek(doc) != doc {
            let reason = format!("document {doc} does not match");
            return Err(TantivyError::InvalidArgument(reason));
        }
        Ok(Explanation::new("what filters let through", 0.0))
    }
}

/// The documents that are in all of these sets.
struct InAll {
    sets: Vec<Arc<Bits>>,
    /// The word that is read, and what of it comes after `doc`.
    at: usize,
    rest: u64,
    doc: DocId,
    /// About how many there are.
    size: u32,
}

impl InAll {
    fn new(sets: Vec<Arc<Bits>>, documents: u32) -> Self {
        let documents = f64::from(documents.max(1));
        let shares = sets.iter().map(|set| f64::from(set.count) / documents);
        let mut all = Self {
            size: (shares.product::<f64>() * documents) as u32,
            sets,
            at: 0,
            rest: 0,
            doc: 0,
        };
        all.rest = all.word(0).unwrap_or_default();
        all.next();
        all
    }

    fn word(&self, at: usize) -> Option<u64> {
        let mut words = self.sets.iter().map(|set| set.words.get(at).copied());
        words.try_fold(u64::MAX, |all, word| Some(all & word?))
    }

    /// Goes to the first of the rest.
    fn next(&mut self) -> DocId {
        while self.rest == 0 {
            let Some(word) = self.word(self.at + 1) else {
                self.doc = TERMINATED;
                return TERMINATED;
            };
            self.at += 1;
            self.rest = word;
        }
        // Documents of a segment are numbered in 32 bits.
        self.doc = self.at as u32 * 64 + self.rest.trailing_zeros();
        self.rest &= self.rest - 1;
        self.doc
    }
}

impl DocSet for InAll {
    fn advance(&mut self) -> DocId {
        self.next()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target <= self.doc {
            return self.doc;
        }
        let at = target as usize / 64;
        if at != self.at {
            self.at = at;
            self.rest = self.word(at).unwrap_or_default();
        }
        self.rest &= u64::MAX << (target % 64);
        self.next()
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bits(documents: &BTreeSet<u32>, documents_max: u32) -> Arc<Bits> {
        let mut words = vec![0_u64; documents_max.div_ceil(64) as usize];
        for document in documents {
            words[*document as usize / 64] |= 1 << (document % 64);
        }
        let count = documents.len() as u32;
        Arc::new(Bits {
            words: words.into_boxed_slice(),
            count,
        })
    }

    proptest! {
        #[test]
        fn what_is_in_all_sets_comes_in_order_and_from_any_place(
            sets in prop::collection::vec(prop::collection::btree_set(0_u32..300, 0..300), 1..4),
            targets in prop::collection::btree_set(0_u32..310, 0..20),
        ) {
            let all = sets.iter().skip(1).fold(sets[0].clone(), |all, set| &all & set);
            let open = || InAll::new(sets.iter().map(|set| bits(set, 300)).collect(), 300);
            let mut one_by_one = open();
            let mut met = Vec::new();
            while one_by_one.doc() != TERMINATED {
                met.push(one_by_one.doc());
                one_by_one.advance();
            }
            prop_assert_eq!(one_by_one.advance(), TERMINATED);
            prop_assert!(met.iter().eq(&all));
            let mut sought = open();
            for target in targets {
                let first = all.range(target.max(sought.doc())..).next().copied();
                prop_assert_eq!(sought.seek(target), first.unwrap_or(TERMINATED));
            }
        }
    }

    #[test]
    fn what_was_not_asked_for_the_longest_gives_way() {
        let kept = Kept::default();
        let segment = SegmentId::generate_random();
        let key = |number: usize| (segment, Arc::from(format!("{number}")));
        let big = || Bits {
            words: vec![0; BYTES_MAX / 4 / size_of::<u64>()].into_boxed_slice(),
            count: 0,
        };
        for number in 0..4 {
            kept.put(key(number), big());
            assert!(kept.get(&key(0)).is_some());
        }
        kept.put(key(4), big());
        let here = (0..5).map(|number| kept.get(&key(number)).is_some());
        assert_eq!(here.collect::<Vec<_>>(), [true, false, true, true, true]);
    }
}
