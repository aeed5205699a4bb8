//! One pass over the matches: how many, which come first, and how often each code occurs.
//!
//! Reads columns only; the ids and codes behind their numbers are looked up for the page's results
//! and the counted codes alone. Segments are visited one after another and meet at the end, where
//! only ids are compared, never numbers of one segment with those of another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::RecordId;
use tantivy::columnar::{Column, ColumnIndex, ColumnValues, StrColumn, TermOrdHit};
use tantivy::index::SegmentId;
use tantivy::query::{EnableScoring, Query as TantivyQuery};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, Searcher, SegmentReader};

use super::SearchError;
use super::facet::Facet;
use super::query::{Query, Validity};
use super::rank::{Facts, Sort, least_of_score, most_of_score, rank, stored};
use super::schema::{CONFIRMED, ID, ISSUED, LANGUAGE_TAG, VALID_UNTIL, column};

/// What all segments together gave.
pub(super) struct Collected {
    pub(super) total: u64,
    /// In order, one more than the page holds if there are more.
    pub(super) best: Vec<Best>,
    /// For each family asked for, in the order of the query.
    pub(super) counts: Vec<HashMap<String, u64>>,
}

/// A result of the page.
pub(super) struct Best {
    pub(super) rank: u64,
    /// As it is written: these are in the order of ids.
    id: String,
    /// Languages as the record writes them; read only for searches that filter by language.
    pub(super) language_tags: Vec<String>,
}

impl Best {
    /// Which record.
    ///
    /// # Errors
    /// The index is damaged.
    pub(super) fn id(&self) -> Result<RecordId, SearchError> {
        RecordId::parse(&self.id).map_err(SearchError::corrupt)
    }
}

/// Visits every match of `plan`.
pub(super) fn collect(
    searcher: &Searcher,
    plan: &dyn TantivyQuery,
    query: &Query,
    opened: &Opened,
) -> Result<Collected, SearchError> {
    let is_scored = query.sort == Sort::Relevance;
    let scoring = if is_scored {
        EnableScoring::enabled_from_searcher(searcher)
    } else {
        EnableScoring::disabled_from_searcher(searcher)
    };
    let weight = plan.weight(scoring)?;
    let mut collected = Collected {
        total: 0,
        best: Vec::new(),
        counts: vec![HashMap::new(); query.facets.len()],
    };
    let mut candidates = Vec::new();
    let mut visited = Vec::new();
    for reader in searcher.segment_readers() {
        let columns = opened.get(reader)?;
        let mut segment = Segment::open(reader, &columns, query)?;
        let mut block = Block::default();
        if is_scored {
            weight.for_each(reader, &mut |doc, score| {
                // Scores are sums of small whole numbers, which an f32 holds exactly.
                if block.push(doc, score as u32) {
                    segment.take(&mut block);
                }
            })?;
            segment.take(&mut block);
        } else {
            weight.for_each_no_score(reader, &mut |docs| {
                block.docs.extend_from_slice(docs);
                block.scores.resize(docs.len(), 0);
                segment.take(&mut block);
            })?;
        }
        segment
            .add_counts(&mut collected)
            .map_err(SearchError::reading)?;
        let best = segment.best.into_iter();
        candidates.extend(best.map(|Reverse(((rank, Reverse(ord)), doc))| Candidate {
            rank,
            segment: visited.len(),
            ord,
            doc,
        }));
        visited.push(columns);
    }
    let limit = query.limit + 1;
    // Ids are looked up of those only that may be among the first.
    let mut ranks: Vec<u64> = candidates.iter().map(|candidate| candidate.rank).collect();
    ranks.sort_unstable_by_key(|rank| Reverse(*rank));
    if let Some(last) = ranks.get(limit - 1) {
        candidates.retain(|candidate| candidate.rank >= *last);
    }
    for candidates in candidates.chunk_by(|one, other| one.segment == other.segment) {
        let columns = candidates
            .first()
            .and_then(|first| visited.get(first.segment));
        if let Some(columns) = columns {
            columns.look_up(candidates, query, &mut collected.best)?;
        }
    }
    let best = &mut collected.best;
    best.sort_unstable_by(|one, other| {
        (Reverse(one.rank), &one.id).cmp(&(Reverse(other.rank), &other.id))
    });
    best.truncate(limit);
    Ok(collected)
}

/// A result that may be among the first of all segments, by numbers of its own.
struct Candidate {
    rank: u64,
    segment: usize,
    ord: u64,
    doc: DocId,
}

/// The columns of one segment.
struct Columns {
    ids: Option<StrColumn>,
    id_ords: Arc<dyn ColumnValues<u64>>,
    issued: Arc<dyn ColumnValues<u64>>,
    confirmed: Arc<dyn ColumnValues<u64>>,
    valid_until: Arc<dyn ColumnValues<u64>>,
    language_tags: Option<StrColumn>,
    counted: [Option<StrColumn>; Facet::ALL.len()],
}

impl Columns {
    fn open(reader: &SegmentReader) -> Result<Self, SearchError> {
        let columns = reader.fast_fields();
        let ids = columns.str(ID)?;
        let id_ords = match &ids {
            None => Column::build_empty_column(reader.max_doc()),
            Some(ids) => ids.ords().clone(),
        };
        let mut counted = [const { None }; Facet::ALL.len()];
        for (slot, facet) in counted.iter_mut().zip(Facet::ALL) {
            *slot = columns.str(&column(facet))?;
        }
        Ok(Self {
            ids,
            id_ords: values(id_ords),
            issued: values(columns.u64(ISSUED)?),
            confirmed: values(columns.u64(CONFIRMED)?),
            valid_until: values(columns.u64(VALID_UNTIL)?),
            language_tags: columns.str(LANGUAGE_TAG)?,
            counted,
        })
    }

    fn counted(&self, facet: Facet) -> Option<&StrColumn> {
        let mut counted = Facet::ALL.iter().zip(&self.counted);
        let (_, column) = counted.find(|(of, _)| **of == facet)?;
        column.as_ref()
    }

    /// Looks up the ids of results of this segment, and what else is told of them.
    fn look_up(
        &self,
        candidates: &[Candidate],
        query: &Query,
        best: &mut Vec<Best>,
    ) -> Result<(), SearchError> {
        let Some(ids) = &self.ids else { return Ok(()) };
        let mut in_order: Vec<&Candidate> = candidates.iter().collect();
        in_order.sort_unstable_by_key(|candidate| candidate.ord);
        let ords: Vec<u64> = in_order.iter().map(|candidate| candidate.ord).collect();
        let mut written = Vec::with_capacity(ords.len());
        let found = ids.dictionary().sorted_ords_to_term_cb(&ords, |id| {
            written.push(String::from_utf8_lossy(id).into_owned());
        });
        if !found.map_err(SearchError::reading)? {
            return Err(SearchError::corrupt("an id that is in no dictionary"));
        }
        let filters_language = query
            .filters
            .iter()
            .any(|filter| filter.facet == Facet::Language);
        let tags = self.language_tags.as_ref().filter(|_| filters_language);
        for (candidate, id) in in_order.into_iter().zip(written) {
            let mut language_tags = Vec::new();
            if let Some(tags) = tags {
                for ord in tags.term_ords(candidate.doc) {
                    let mut tag = String::new();
                    tags.ord_to_str(ord, &mut tag)
                        .map_err(SearchError::reading)?;
                    language_tags.push(tag);
                }
            }
            best.push(Best {
                rank: candidate.rank,
                id,
                language_tags,
            });
        }
        Ok(())
    }
}

/// The columns of all segments, opened once: that takes longer than most searches.
#[derive(Default)]
pub(super) struct Opened(Mutex<HashMap<SegmentId, Arc<Columns>>>);

impl Opened {
    fn get(&self, reader: &SegmentReader) -> Result<Arc<Columns>, SearchError> {
        let segment = reader.segment_id();
        if let Some(columns) = self.lock().get(&segment) {
            return Ok(Arc::clone(columns));
        }
        let columns = Arc::new(Columns::open(reader)?);
        self.lock().insert(segment, Arc::clone(&columns));
        Ok(columns)
    }

    /// Lets go of segments that are gone.
    pub(super) fn retain(&self, searcher: &Searcher) {
        let here: HashSet<SegmentId> = searcher
            .segment_readers()
            .iter()
            .map(SegmentReader::segment_id)
            .collect();
        self.lock().retain(|segment, _| here.contains(segment));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SegmentId, Arc<Columns>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Matches on their way, some at once so that columns are read in strides.
#[derive(Default)]
struct Block {
    docs: Vec<DocId>,
    scores: Vec<u32>,
}

impl Block {
    /// Whether the block is full now.
    fn push(&mut self, doc: DocId, score: u32) -> bool {
        self.docs.push(doc);
        self.scores.push(score);
        self.docs.len() >= COLLECT_BLOCK_BUFFER_LEN
    }

    /// Keeps those for which `keep` holds.
    fn retain(&mut self, mut keep: impl FnMut(DocId) -> bool) {
        let mut kept = 0;
        for position in 0..self.docs.len() {
            if keep(self.docs[position]) {
                self.docs.swap(kept, position);
                self.scores.swap(kept, position);
                kept += 1;
            }
        }
        self.docs.truncate(kept);
        self.scores.truncate(kept);
    }
}

/// One column of codes and how often each was met.
struct Counter<'s> {
    column: &'s StrColumn,
    counts: Vec<u64>,
}

/// One segment while it is visited.
struct Segment<'s> {
    reader: &'s SegmentReader,
    columns: &'s Columns,
    /// Whether records of the segment may be over, and it matters.
    may_be_over: bool,
    counters: Vec<Option<Counter<'s>>>,
    sort: Sort,
    now: u64,
    limit: usize,
    /// Where the page before ended: its last rank, and the first id here that at this rank is new.
    after: Option<(u64, u64)>,
    /// The worst of the best is on top.
    best: BinaryHeap<Reverse<(Key, DocId)>>,
    total: u64,
    doc_buffer: Vec<DocId>,
    row_buffer: Vec<u32>,
    value_buffer: Vec<u64>,
}

/// Larger comes first in results. The second part is the number of the record's id in this segment's
/// dictionary, which is sorted by the ids themselves.
type Key = (u64, Reverse<u64>);

impl<'s> Segment<'s> {
    fn open(
        reader: &'s SegmentReader,
        columns: &'s Columns,
        query: &Query,
    ) -> Result<Self, SearchError> {
        let now = stored(query.now);
        let after = match (&columns.ids, &query.after) {
            (Some(ids), Some(after)) => {
                let ord = ids.dictionary().term_ord_or_next(after.id.to_string());
                let first_new = match ord.map_err(SearchError::reading)? {
                    TermOrdHit::Exact(ord) => ord + 1,
                    TermOrdHit::Next(ord) => ord,
                };
                Some((after.rank, first_new))
            }
            _ => None,
        };
        let counter = |facet: &Facet| {
            let column = columns.counted(*facet)?;
            Some(Counter {
                counts: vec![0; column.num_terms()],
                column,
            })
        };
        Ok(Self {
            reader,
            columns,
            after,
            may_be_over: query.validity != Validity::Any && columns.valid_until.min_value() <= now,
            counters: query.facets.iter().map(counter).collect(),
            sort: query.sort,
            now,
            limit: query.limit + 1,
            best: BinaryHeap::with_capacity(query.limit + 2),
            total: 0,
            doc_buffer: Vec::new(),
            row_buffer: Vec::new(),
            value_buffer: Vec::new(),
        })
    }

    /// Counts the block's matches and empties it.
    fn take(&mut self, block: &mut Block) {
        if let Some(alive) = self.reader.alive_bitset() {
            block.retain(|doc| alive.is_alive(doc));
        }
        if self.may_be_over {
            let valid_until = &self.columns.valid_until;
            block.retain(|doc| valid_until.get_val(doc) > self.now);
        }
        self.total += block.docs.len() as u64;
        for counter in self.counters.iter_mut().flatten() {
            self.doc_buffer.clear();
            self.row_buffer.clear();
            counter.column.ords().row_ids_for_docs(
                &block.docs,
                &mut self.doc_buffer,
                &mut self.row_buffer,
            );
            self.value_buffer.resize(self.row_buffer.len(), 0);
            counter
                .column
                .ords()
                .values
                .get_vals(&self.row_buffer, &mut self.value_buffer);
            for ord in &self.value_buffer {
                if let Some(count) = usize::try_from(*ord)
                    .ok()
                    .and_then(|ord| counter.counts.get_mut(ord))
                {
                    *count += 1;
                }
            }
        }
        for (doc, score) in block.docs.iter().zip(&block.scores) {
            self.offer(*doc, *score);
        }
        block.docs.clear();
        block.scores.clear();
    }

    fn offer(&mut self, doc: DocId, score: u32) {
        let worst = if self.best.len() < self.limit {
            None
        } else {
            self.best.peek().map(|worst| worst.0.0)
        };
        // Most matches are out by their score alone, before any column is read.
        if self.sort == Sort::Relevance {
            let is_below = worst.is_some_and(|(worst, _)| most_of_score(score) < worst);
            let is_above = self
                .after
                .is_some_and(|(after, _)| least_of_score(score) > after);
            if is_below || is_above {
                return;
            }
        }
        let rank = match self.sort {
            Sort::Id => 0,
            Sort::Newest => rank(
                self.sort,
                self.now,
                Facts {
                    score,
                    confirmed: 0,
                    issued: self.columns.issued.get_val(doc),
                },
            ),
            Sort::Relevance => {
                let columns = self.columns;
                let (confirmed, issued) =
                    (columns.confirmed.get_val(doc), columns.issued.get_val(doc));
                rank(
                    self.sort,
                    self.now,
                    Facts {
                        score,
                        confirmed,
                        issued,
                    },
                )
            }
        };
        if worst.is_some_and(|(worst, _)| rank < worst) {
            return;
        }
        let ord = self.columns.id_ords.get_val(doc);
        let is_new = self
            .after
            .is_none_or(|(last, first_new)| rank < last || (rank == last && ord >= first_new));
        let key = (rank, Reverse(ord));
        if is_new && worst.is_none_or(|worst| key > worst) {
            self.best.push(Reverse((key, doc)));
            if self.best.len() > self.limit {
                self.best.pop();
            }
        }
    }

    /// Adds how often each code was met to what other segments gave.
    fn add_counts(&self, collected: &mut Collected) -> io::Result<()> {
        collected.total += self.total;
        for (counter, counts) in self.counters.iter().zip(&mut collected.counts) {
            let Some(counter) = counter else { continue };
            let met = |(ord, count): (usize, &u64)| (*count > 0).then_some((ord as u64, *count));
            let (ords, met): (Vec<u64>, Vec<u64>) =
                counter.counts.iter().enumerate().filter_map(met).unzip();
            let mut met = met.into_iter();
            counter
                .column
                .dictionary()
                .sorted_ords_to_term_cb(&ords, |code| {
                    let code = String::from_utf8_lossy(code).into_owned();
                    *counts.entry(code).or_default() += met.next().unwrap_or(0);
                })?;
        }
        Ok(())
    }
}

fn values(column: Column<u64>) -> Arc<dyn ColumnValues<u64>> {
    match column.index {
        ColumnIndex::Full => column.values,
        _ => column.first_or_default_col(0),
    }
}
