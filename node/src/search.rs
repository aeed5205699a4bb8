//! The search index: finds records by words and codes, orders them, counts their codes.
//!
//! Owns a tantivy index with one document for each record it is given, and the position in the
//! change log up to which it was filled; both move in one commit. Everything in it can be made again
//! from the log. It keeps no record, only ids: the caller loads records from its store.
//!
//! Refuses: deciding which records count or are visible, reading the log, HTTP, clocks.
//!
//! ```
//! use baraza::search::{Facet, Index, Query, QueryParts, Sort, WriterBudget};
//! use protocol::time::Timestamp;
//!
//! let index = Index::in_memory()?;
//! let mut writer = index.writer(WriterBudget::default())?;
//! // writer.put(Document::of(&record.header, &record.tree())?)?;
//! writer.commit("log position 1")?;
//!
//! let now = Timestamp::from_unix_seconds(1_795_320_000);
//! let query = Query::parse(&QueryParts {
//!     text: "\"network security\" -windows",
//!     filters: vec![(Facet::Country, "KE"), (Facet::Language, "sw")],
//!     facets: vec![Facet::Area],
//!     ..QueryParts::at(now)
//! })?;
//! assert_eq!(index.search(&query)?.total, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read next: `search/rank.rs` for the order of results, `search/text.rs` for which words meet,
//! `search/document.rs` for what of a record is found.

mod collect;
mod cursor;
mod document;
mod facet;
mod labels;
mod narrow;
mod places;
mod plan;
mod query;
mod rank;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::codes::primary_language;
use protocol::id::{RecordId, Scid};
use serde::{Deserialize, Serialize};
use tantivy::directory::error::{LockError, OpenReadError};
use tantivy::directory::{Directory as _, INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyError, Term};

pub use document::{Document, NotIndexed};
pub use facet::{Facet, GLOBAL};
pub use labels::LabelWords;
pub use query::{
    FILTER_VALUES_MAX, Matching, PAGE_RESULTS_DEFAULT, PAGE_RESULTS_MAX, QUERY_CHARS_MAX,
    QUERY_WORDS_MAX, Query, QueryError, QueryParts, Validity,
};
pub use rank::Sort;

use collect::{Best, Opened, collect};
use cursor::After;
use narrow::Kept;
use schema::{Fields, SCHEMA_VERSION, code};

/// Most codes counted for one family.
pub const FACET_CODES_MAX: usize = 200;

/// Why the index could not be opened, filled or searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is no index in the folder.
    #[error("there is no search index yet")]
    Missing,
    /// The index was made by another version of the program.
    #[error("the search index is of version {found}, this program writes version {SCHEMA_VERSION}")]
    OtherVersion {
        /// What the index says of itself.
        found: String,
    },
    /// Files are damaged, gone, or not those of an index.
    #[error("the search index is damaged: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// Another writer, here or in another process, has it.
    #[error("another process is writing to the search index")]
    Busy,
    /// The disk or the machine failed.
    #[error("the search index could not be read or written: {0}")]
    Failed(#[source] TantivyError),
}

impl SearchError {
    /// Whether it helps to [`Index::create_fresh`] and to fill the index again from the log.
    pub fn asks_for_refill(&self) -> bool {
        match self {
            Self::Missing | Self::OtherVersion { .. } | Self::Corrupt { .. } => true,
            Self::Busy | Self::Failed(_) => false,
        }
    }

    fn corrupt(reason: impl ToString) -> Self {
        Self::Corrupt {
            reason: reason.to_string(),
        }
    }

    fn reading(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::corrupt(error),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<TantivyError> for SearchError {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::LockFailure(LockError::LockBusy, _) => Self::Busy,
            TantivyError::IncompatibleIndex(found)
            | TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(found)) => {
                Self::OtherVersion {
                    found: format!("{found:?}"),
                }
            }
            TantivyError::DataCorruption(_)
            | TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_))
            | TantivyError::SchemaError(_)
            | TantivyError::FieldNotFound(_)
            | TantivyError::DeserializeError(_) => Self::corrupt(error),
            TantivyError::OpenReadError(OpenReadError::IoError { ref io_error, .. })
            | TantivyError::IoError(ref io_error) => match io_error.kind() {
                io::ErrorKind::InvalidData
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::NotFound => Self::corrupt(error),
                _ => Self::Failed(error),
            },
            other => Self::Failed(other),
        }
    }
}

/// What every commit says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    version: u32,
    position: Option<String>,
}

/// An index to search in. Cheap to clone; all clones see each commit at once.
#[derive(Clone)]
pub struct Index {
    shared: Arc<Shared>,
    labels: Arc<LabelWords>,
}

struct Shared {
    index: tantivy::Index,
    reader: IndexReader,
    fields: Fields,
    position: RwLock<Option<String>>,
    kept: Arc<Kept>,
    opened: Opened,
}

impl Shared {
    /// Lets searches see what was committed.
    fn reload(&self) -> Result<(), SearchError> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        self.kept.retain(&searcher);
        self.opened.retain(&searcher);
        Ok(())
    }
}

impl Index {
    /// Opens the index in `folder`. Reads every byte of it once, to compare checksums: about a
    /// second for each gigabyte.
    ///
    /// # Errors
    /// Where [`SearchError::asks_for_refill`], nothing was changed and the caller decides.
    pub fn open(folder: &Path) -> Result<Self, SearchError> {
        if !folder.join("meta.json").exists() {
            return Err(SearchError::Missing);
        }
        let index = tantivy::Index::open_in_dir(folder)?;
        let (schema, fields) = Fields::build();
        let payload = index.load_metas()?.payload.unwrap_or_default();
        let payload: Payload = serde_json::from_str(&payload).map_err(SearchError::corrupt)?;
        if payload.version != SCHEMA_VERSION || index.schema() != schema {
            return Err(SearchError::OtherVersion {
                found: payload.version.to_string(),
            });
        }
        let damaged = index.validate_checksum()?;
        if let Some(file) = damaged.iter().min() {
            return Err(SearchError::corrupt(format!(
                "the checksum of {} is wrong",
                file.display()
            )));
        }
        Self::over(index, fields, payload.position)
    }

    /// Makes an empty index in `folder`, which is created if need be. Files of an earlier index are
    /// deleted; files of any other name are left alone.
    ///
    /// # Errors
    /// [`SearchError::Busy`] if a writer is open on it; else the disk's.
    pub fn create_fresh(folder: &Path) -> Result<Self, SearchError> {
        let failed = |error: io::Error| SearchError::Failed(error.into());
        fs::create_dir_all(folder).map_err(failed)?;
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        let lock = directory
            .acquire_lock(&INDEX_WRITER_LOCK)
            .map_err(|error| match error {
                LockError::LockBusy => SearchError::Busy,
                LockError::IoError(_) => {
                    SearchError::Failed(TantivyError::LockFailure(error, None))
                }
            })?;
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_file = entry.file_type().map_err(failed)?.is_file();
            if is_file && entry.file_name().to_str().is_some_and(is_index_file) {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        drop(lock);
        let (schema, fields) = Fields::build();
        let index = tantivy::Index::builder()
            .schema(schema)
            .settings(settings())
            .create_in_dir(folder)?;
        Self::begin(index, fields)
    }

    /// An empty index that lives in memory alone, for tests.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn in_memory() -> Result<Self, SearchError> {
        let (schema, fields) = Fields::build();
        let index = tantivy::Index::builder()
            .schema(schema)
            .settings(settings())
            .create_in_ram()?;
        Self::begin(index, fields)
    }

    /// Marks a new index with its version.
    fn begin(index: tantivy::Index, fields: Fields) -> Result<Self, SearchError> {
        let made = Self::over(index, fields, None)?;
        let mut writer = made.writer(WriterBudget::smallest())?;
        writer.commit_payload(None)?;
        Ok(made)
    }

    fn over(
        index: tantivy::Index,
        fields: Fields,
        position: Option<String>,
    ) -> Result<Self, SearchError> {
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let position = RwLock::new(position);
        Ok(Self {
            shared: Arc::new(Shared {
                index,
                reader,
                fields,
                position,
                kept: Arc::default(),
                opened: Opened::default(),
            }),
            labels: Arc::default(),
        })
    }

    /// Lets words find codes by these labels, in searches through this handle and its clones.
    #[must_use]
    pub fn with_labels(mut self, labels: LabelWords) -> Self {
        self.labels = Arc::new(labels);
        self
    }

    /// The one writer. It holds its memory and a lock on the folder until it is dropped.
    ///
    /// # Errors
    /// [`SearchError::Busy`] if there is one already, here or in another process.
    pub fn writer(&self, budget: WriterBudget) -> Result<Writer, SearchError> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(
                (budget.memory_bytes / budget.threads.max(1)).max(BYTES_A_THREAD_MIN),
            )
            .num_worker_threads(budget.threads.max(1))
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = self.shared.index.writer_with_options(options)?;
        let mut merging = LogMergePolicy::default();
        merging.set_min_num_segments(MERGED_SEGMENTS_MIN);
        merging.set_del_docs_ratio_before_merge(DELETED_RATIO_MAX);
        writer.set_merge_policy(Box::new(merging));
        Ok(Writer {
            writer,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Up to where in the change log the index was filled, as [`Writer::commit`] was told; `None`
    /// if nothing was committed yet.
    pub fn position(&self) -> Option<String> {
        self.shared
            .position
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many records can be found.
    pub fn count(&self) -> u64 {
        self.shared.reader.searcher().num_docs()
    }

    /// Finds one page of results.
    ///
    /// # Errors
    /// Only if the disk fails or the index is damaged: whatever [`Query::parse`] takes can be
    /// answered.
    pub fn search(&self, query: &Query) -> Result<Found, SearchError> {
        let searcher = self.shared.reader.searcher();
        let shared = &self.shared;
        let plan = plan::plan(&shared.fields, query, &searcher, &self.labels, &shared.kept)?;
        let mut collected = collect(&searcher, plan.as_ref(), query, &shared.opened)?;

        let has_more = collected.best.len() > query.limit;
        collected.best.truncate(query.limit);
        let last = collected.best.last().filter(|_| has_more);
        let next = last.map(|last| {
            let after = After {
                rank: last.rank,
                id: last.id()?,
            };
            Ok::<_, SearchError>(cursor::write(&query.fingerprint, &after))
        });
        let facets = query.facets.iter().zip(collected.counts);
        Ok(Found {
            total: collected.total,
            hits: collected
                .best
                .into_iter()
                .map(|best| Hit::of(best, query))
                .collect::<Result<_, _>>()?,
            facets: facets
                .map(|(facet, counts)| FacetCounts::of(*facet, counts))
                .collect(),
            next: next.transpose()?,
        })
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Index")
            .field("count", &self.count())
            .field("position", &self.position())
            .finish()
    }
}

/// One page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many results there are on all pages.
    pub total: u64,
    /// Those of this page, in order.
    pub hits: Vec<Hit>,
    /// How often each code occurs among all results, for each family asked for, in the order of
    /// [`Facet::ALL`].
    pub facets: Vec<FacetCounts>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Which record.
    pub id: RecordId,
    /// How well it fits; see the formula in `search/rank.rs`. Absent where the order is another.
    pub score: Option<u32>,
    /// For a search that filters by language: in which language it is offered.
    pub language: Option<LanguageMatch>,
}

/// How a result answers a filter by language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageMatch {
    /// The language asked for, such as `pt-MZ`.
    pub asked: Box<str>,
    /// That of the record, such as `pt-BR`.
    pub found: Box<str>,
}

impl LanguageMatch {
    /// Whether the record is offered in the very language asked for, or in a form of one that was
    /// asked for without saying which. Where not, show it.
    pub fn is_exact(&self) -> bool {
        self.asked == self.found || primary_language(&self.asked) == self.asked.as_ref()
    }
}

impl Hit {
    fn of(best: Best, query: &Query) -> Result<Self, SearchError> {
        let asked = query
            .filters
            .iter()
            .filter(|filter| filter.facet == Facet::Language)
            .flat_map(|filter| &filter.values);
        let pairs =
            asked.flat_map(|asked| best.language_tags.iter().map(move |found| (asked, found)));
        let matching =
            pairs.filter(|(asked, found)| primary_language(asked) == primary_language(found));
        // The exact one first, then the general one, then any other.
        let nearest = matching.min_by_key(|(asked, found)| {
            (
                asked.as_ref() != found.as_str(),
                primary_language(found) != found.as_str(),
                found.as_str(),
                *asked,
            )
        });
        Ok(Self {
            score: (query.sort == Sort::Relevance).then(|| rank::score_of(best.rank)),
            language: nearest.map(|(asked, found)| LanguageMatch {
                asked: asked.clone(),
                found: found.as_str().into(),
            }),
            id: best.id()?,
        })
    }
}

/// How often the codes of one family occur among the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCounts {
    /// The family.
    pub facet: Facet,
    /// Codes with their counts, most frequent first, then by code; the first [`FACET_CODES_MAX`].
    pub codes: Vec<(String, u64)>,
    /// How many more codes there are.
    pub left_out: usize,
}

impl FacetCounts {
    fn of(facet: Facet, counts: std::collections::HashMap<String, u64>) -> Self {
        let mut codes: Vec<(String, u64)> = counts.into_iter().collect();
        codes.sort_unstable_by(|(left, left_count), (right, right_count)| {
            (Reverse(left_count), left).cmp(&(Reverse(right_count), right))
        });
        let left_out = codes.len().saturating_sub(FACET_CODES_MAX);
        codes.truncate(FACET_CODES_MAX);
        Self {
            facet,
            codes,
            left_out,
        }
    }
}

/// What the writer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterBudget {
    /// How many threads build the index; one more merges.
    pub threads: usize,
    /// Memory for all of them, in bytes; at least 16 MB are taken for each thread.
    pub memory_bytes: usize,
}

impl WriterBudget {
    fn smallest() -> Self {
        Self {
            threads: 1,
            memory_bytes: BYTES_A_THREAD_MIN,
        }
    }
}

impl Default for WriterBudget {
    fn default() -> Self {
        Self {
            threads: 2,
            memory_bytes: 48_000_000,
        }
    }
}

/// Tantivy refuses less than 15 MB.
const BYTES_A_THREAD_MIN: usize = 16_000_000;
/// So many segments of like size are merged into one.
const MERGED_SEGMENTS_MIN: usize = 6;
/// With more of its records deleted, a segment is written again without them.
const DELETED_RATIO_MAX: f32 = 0.25;

/// Fills the index. What is put and removed is found after the next [`Writer::commit`].
///
/// Dropped without a commit, it leaves the index as the last commit left it. After an error, drop
/// it, open another, and go on from [`Index::position`].
pub struct Writer {
    writer: IndexWriter,
    shared: Arc<Shared>,
}

impl Writer {
    /// Puts a record in, in place of what was held under its id. May be called from several threads.
    ///
    /// # Errors
    /// If the writer failed, now or before.
    pub fn put(&self, document: Document) -> Result<(), SearchError> {
        let id = document.id().to_string();
        let document = document.into_tantivy(&self.shared.fields, &id);
        let id = Term::from_field_text(self.shared.fields.id, &id);
        self.writer
            .run([UserOperation::Delete(id), UserOperation::Add(document)])?;
        Ok(())
    }

    /// Takes a record out; not an error if it is not there.
    pub fn remove(&self, id: &RecordId) {
        self.writer.delete_term(self.id_term(id));
    }

    /// Takes all records of an author out.
    pub fn remove_author(&self, author: &Scid) {
        let term = code(Facet::Org.name(), &author.to_string());
        self.writer
            .delete_term(Term::from_field_text(self.shared.fields.code, &term));
    }

    /// Takes everything out, so that the index can be filled anew.
    ///
    /// # Errors
    /// If the writer failed, now or before.
    pub fn clear(&self) -> Result<(), SearchError> {
        self.writer.delete_all_documents()?;
        Ok(())
    }

    /// Makes all that was done durable and visible, together with the position in the log that it
    /// goes up to.
    ///
    /// # Errors
    /// If the disk fails; what was done since the last commit is then lost with the position.
    pub fn commit(&mut self, position: &str) -> Result<(), SearchError> {
        self.commit_payload(Some(position.to_owned()))
    }

    fn commit_payload(&mut self, position: Option<String>) -> Result<(), SearchError> {
        let payload = Payload {
            version: SCHEMA_VERSION,
            position,
        };
        let written = serde_json::to_string(&payload).map_err(SearchError::corrupt)?;
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&written);
        commit.commit()?;
        self.shared.reload()?;
        *self
            .shared
            .position
            .write()
            .unwrap_or_else(PoisonError::into_inner) = payload.position;
        Ok(())
    }

    /// Commits nothing, and waits until merges that are under way are done.
    ///
    /// # Errors
    /// If a merge failed.
    pub fn finish(self) -> Result<(), SearchError> {
        self.writer.wait_merging_threads()?;
        self.shared.reload()?;
        Ok(())
    }

    fn id_term(&self, id: &RecordId) -> Term {
        Term::from_field_text(self.shared.fields.id, &id.to_string())
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Records are not stored, so nothing is gained by a thread that compresses them.
fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// Whether tantivy gives files such names: its two lists, and a segment's id with what it holds.
fn is_index_file(name: &str) -> bool {
    let is_segment =
        |(id, _): (&str, &str)| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    ["meta.json", ".managed.json"].contains(&name) || name.split_once('.').is_some_and(is_segment)
}
