//! A word in any of its places, looked up beside what else is required.
//!
//! tantivy's own unions read every list from end to end, in windows: right for one word alone, and most
//! of the time of a search that other words or codes narrow down. Here a list is only asked about
//! documents that the rest still allows, and skips those between.

use tantivy::postings::SegmentPostings;
use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

/// The documents that have any of these terms; the best of them is a document's score.
#[derive(Debug, Clone)]
pub(super) struct AnyPlace(pub(super) Vec<(Term, u32)>);

impl Query for AnyPlace {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        for (term, _) in &self.0 {
            visitor(term, false);
        }
    }
}

impl Weight for AnyPlace {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut lists = Vec::with_capacity(self.0.len());
        for (term, points) in &self.0 {
            let postings = reader
                .inverted_index(term.field())?
                .read_postings(term, IndexRecordOption::Basic)?;
            lists.extend(postings.map(|postings| List {
                postings,
                // Points are small whole numbers, which an f32 holds exactly.
                score: *points as f32 * boost,
            }));
        }
        // The longest list is the likeliest to have a document.
        lists.sort_by_key(|list| std::cmp::Reverse(list.postings.size_hint()));
        Ok(Box::new(AnyPlaceScorer::new(lists)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.doc() > doc || scorer.seek(doc) != doc {
            let reason = format!("document {doc} does not match");
            return Err(TantivyError::InvalidArgument(reason));
        }
        Ok(Explanation::new("the best place", scorer.score()))
    }
}

struct List {
    postings: SegmentPostings,
    score: Score,
}

impl List {
    /// The list's first document from `target` on.
    fn seek(&mut self, target: DocId) -> DocId {
        match self.postings.doc() {
            doc if doc < target => self.postings.seek(target),
            doc => doc,
        }
    }
}

/// Lists may lag behind `doc`: they are moved when they are asked.
struct AnyPlaceScorer {
    lists: Vec<List>,
    doc: DocId,
}

impl AnyPlaceScorer {
    fn new(lists: Vec<List>) -> Self {
        let mut scorer = Self { lists, doc: 0 };
        scorer.move_to(0);
        scorer
    }

    fn move_to(&mut self, target: DocId) -> DocId {
        self.doc = TERMINATED;
        for list in &mut self.lists {
            self.doc = self.doc.min(list.seek(target));
            if self.doc == target {
                break;
            }
        }
        self.doc
    }
}

impl DocSet for AnyPlaceScorer {
    fn advance(&mut self) -> DocId {
        match self.doc {
            TERMINATED => TERMINATED,
            doc => self.move_to(doc + 1),
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target <= self.doc {
            return self.doc;
        }
        self.move_to(target)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        let hints = self.lists.iter().map(|list| list.postings.size_hint());
        hints.fold(0, u32::saturating_add)
    }
}

impl Scorer for AnyPlaceScorer {
    fn score(&mut self) -> Score {
        let doc = self.doc;
        let here = self
            .lists
            .iter_mut()
            .filter_map(|list| (list.seek(doc) == doc).then_some(list.score));
        here.fold(0.0, Score::max)
    }
}
