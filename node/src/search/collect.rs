//! One pass over the matches: how many, which come first, and how often each code occurs.
//!
//! Reads columns only; the ids and codes behind their numbers are looked up for the page's results
//! and the counted codes alone. Segments are visited one after another and meet in [`merge`], where
//! only ids are compared, never numbers of one segment with those of another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::sync::Arc;

use protocol::id::RecordId;
use tantivy::columnar::{Column, ColumnIndex, ColumnValues, StrColumn, TermOrdHit};
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
    pub(super) id: RecordId,
    /// Languages as the record writes them; read only for searches that filter by language.
    pub(super) language_tags: Vec<String>,
}

/// Visits every match of `plan`.
pub(super) fn collect(
    searcher: &Searcher,
    plan: &dyn TantivyQuery,
    query: &Query,
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
    for reader in searcher.segment_readers() {
        let mut segment = Segment::open(reader, query)?;
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
            .finish(query, &mut collected)
            .map_err(SearchError::reading)?;
    }
    merge(&mut collected.best, query.limit + 1);
    Ok(collected)
}

/// The first `limit` of results of different segments.
fn merge(best: &mut Vec<Best>, limit: usize) {
    best.sort_by_cached_key(|best| (Reverse(best.rank), best.id.to_string()));
    best.truncate(limit);
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
struct Counter {
    column: StrColumn,
    counts: Vec<u64>,
}

/// One segment while it is visited.
struct Segment<'s> {
    reader: &'s SegmentReader,
    ids: Option<StrColumn>,
    id_ords: Arc<dyn ColumnValues<u64>>,
    issued: Arc<dyn ColumnValues<u64>>,
    confirmed: Arc<dyn ColumnValues<u64>>,
    /// `None` if every record of the segment holds, or it does not matter.
    valid_until: Option<Arc<dyn ColumnValues<u64>>>,
    counters: Vec<Option<Counter>>,
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
    fn open(reader: &'s SegmentReader, query: &Query) -> Result<Self, SearchError> {
        let columns = reader.fast_fields();
        let now = stored(query.now);
        let ids = columns.str(ID)?;
        let (id_ords, after) = match &ids {
            None => (values(Column::build_empty_column(reader.max_doc())), None),
            Some(ids) => {
                let after = query.after.as_ref().map(|after| {
                    let first_new = match ids.dictionary().term_ord_or_next(after.id.to_string())? {
                        TermOrdHit::Exact(ord) => ord + 1,
                        TermOrdHit::Next(ord) => ord,
                    };
                    Ok::<_, io::Error>((after.rank, first_new))
                });
                (
                    values(ids.ords().clone()),
                    after.transpose().map_err(SearchError::reading)?,
                )
            }
        };
        let valid_until = values(columns.u64(VALID_UNTIL)?);
        let all_hold = query.validity == Validity::Any || valid_until.min_value() > now;
        let counter = |facet: &Facet| -> Result<Option<Counter>, SearchError> {
            Ok(columns.str(&column(*facet))?.map(|column| Counter {
                counts: vec![0; column.num_terms()],
                column,
            }))
        };
        Ok(Self {
            reader,
            id_ords,
            after,
            issued: values(columns.u64(ISSUED)?),
            confirmed: values(columns.u64(CONFIRMED)?),
            valid_until: (!all_hold).then_some(valid_until),
            counters: query.facets.iter().map(counter).collect::<Result<_, _>>()?,
            sort: query.sort,
            now,
            limit: query.limit + 1,
            best: BinaryHeap::with_capacity(query.limit + 2),
            total: 0,
            ids,
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
        if let Some(valid_until) = &self.valid_until {
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
                    issued: self.issued.get_val(doc),
                },
            ),
            Sort::Relevance => {
                let (confirmed, issued) = (self.confirmed.get_val(doc), self.issued.get_val(doc));
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
        let ord = self.id_ords.get_val(doc);
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

    /// Turns numbers into ids and codes, and adds them to what other segments gave.
    fn finish(self, query: &Query, collected: &mut Collected) -> io::Result<()> {
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

        let Some(ids) = &self.ids else { return Ok(()) };
        let filters_language = query
            .filters
            .iter()
            .any(|filter| filter.facet == Facet::Language);
        let tags = if filters_language {
            self.reader
                .fast_fields()
                .str(LANGUAGE_TAG)
                .map_err(io::Error::other)?
        } else {
            None
        };
        let mut id = String::new();
        for Reverse(((rank, Reverse(ord)), doc)) in self.best {
            ids.ord_to_str(ord, &mut id)?;
            let id = RecordId::parse(&id)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let mut language_tags = Vec::new();
            if let Some(tags) = &tags {
                for ord in tags.term_ords(doc) {
                    let mut tag = String::new();
                    tags.ord_to_str(ord, &mut tag)?;
                    language_tags.push(tag);
                }
            }
            collected.best.push(Best {
                rank,
                id,
                language_tags,
            });
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
