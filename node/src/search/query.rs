//! What is asked, read whole and within limits before the index sees it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::codes::{geography, language_tag, primary_language};
use protocol::time::Timestamp;

use super::cursor::{self, After};
use super::facet::{Facet, GLOBAL};
use super::rank::Sort;
use super::text::{Lowered, Word};

/// Longest text of a query, in characters.
pub const QUERY_CHARS_MAX: usize = 200;
/// Most words of a query; those of a phrase count.
pub const QUERY_WORDS_MAX: usize = 16;
/// Most results of one page.
pub const PAGE_RESULTS_MAX: u8 = 100;
/// Results of one page if nothing is said.
pub const PAGE_RESULTS_DEFAULT: u8 = 20;
/// Most values of all filters together.
pub const FILTER_VALUES_MAX: usize = 64;
/// Longest value of a filter, in bytes.
const FILTER_BYTES_MAX: usize = 300;

/// Why a search cannot be made; each is for the asker to put right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// More text than anyone reads.
    #[error("the text has {chars} characters; at most {QUERY_CHARS_MAX} are searched for")]
    TextTooLong {
        /// How many it has.
        chars: usize,
    },
    /// Too many words.
    #[error("the text has {words} words; at most {QUERY_WORDS_MAX} are searched for")]
    TooManyWords {
        /// How many it has.
        words: usize,
    },
    /// A page of no or too many results.
    #[error("limit is {limit}; it must be 1 to {PAGE_RESULTS_MAX}")]
    Limit {
        /// What was asked for.
        limit: i64,
    },
    /// A cursor that no search gave out, or that another search did.
    #[error("the cursor does not belong to this search: begin again without it")]
    Cursor,
    /// Too many values.
    #[error("there are {values} filter values; at most {FILTER_VALUES_MAX} are allowed")]
    TooManyFilters {
        /// How many there are.
        values: usize,
    },
    /// A value that can be none of its family.
    #[error("“{value}” is not {expected}")]
    Filter {
        /// The family.
        facet: Facet,
        /// What was given, shortened.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The asker's language is none.
    #[error("“{value}” is not a BCP 47 language tag such as fr or pt-BR")]
    Language {
        /// What was given, shortened.
        value: String,
    },
}

/// How the words of a query meet those of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// Every word must stand in the record: itself, its stem in any language, or its beginning.
    #[default]
    All,
    /// One word suffices; more give a better score.
    Any,
    /// Every word must stand in the name, the summary or the description, unstemmed.
    Plain,
}

/// Which records a search is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validity {
    /// Those that hold now.
    #[default]
    Current,
    /// Also those whose time is over.
    Any,
}

/// A search as someone asked it: raw texts, from an address or a form.
#[derive(Debug, Clone)]
pub struct QueryParts<'p> {
    /// The present moment.
    pub now: Timestamp,
    /// Words, `"phrases"` and `-exclusions`. Anything else is ordinary text.
    pub text: &'p str,
    /// How words meet.
    pub matching: Matching,
    /// The asker's own language: preferred, never required.
    pub language: Option<&'p str>,
    /// Values of families: several of one family mean any of them, families all apply.
    pub filters: Vec<(Facet, &'p str)>,
    /// Whether records whose time is over are wanted.
    pub validity: Validity,
    /// The order.
    pub sort: Sort,
    /// Results of the page; [`PAGE_RESULTS_DEFAULT`] if absent.
    pub limit: Option<i64>,
    /// Where the page before ended: its [`super::Found::next`].
    pub cursor: Option<&'p str>,
    /// Which families to count.
    pub facets: Vec<Facet>,
}

impl QueryParts<'_> {
    /// Everything that holds at `now`, by relevance.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            text: "",
            matching: Matching::default(),
            language: None,
            filters: Vec::new(),
            validity: Validity::default(),
            sort: Sort::default(),
            limit: None,
            cursor: None,
            facets: Vec::new(),
        }
    }
}

/// A search that can be made.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) now: Timestamp,
    pub(super) text: TextQuery,
    pub(super) matching: Matching,
    /// The asker's primary language.
    pub(super) language: Option<Box<str>>,
    /// Families in order, each with its values in order.
    pub(super) filters: Vec<Filter>,
    pub(super) validity: Validity,
    pub(super) sort: Sort,
    pub(super) limit: usize,
    pub(super) after: Option<After>,
    pub(super) facets: Vec<Facet>,
    /// Tells this search from others, whatever its page; see [`cursor`].
    pub(super) fingerprint: [u8; 8],
}

/// The values of one family, any of which will do.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) facet: Facet,
    pub(super) values: Vec<Box<str>>,
}

/// The text of a query, taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct TextQuery {
    /// Each must be found.
    pub(super) wanted: Vec<Wanted>,
    /// None may be found.
    pub(super) unwanted: Vec<Wanted>,
    /// There was text, but not one letter or digit: it stands in no record.
    pub(super) is_unfindable: bool,
}

/// A word, a phrase, or a stretch of a script without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// At least one.
    pub(super) words: Vec<Word<'static>>,
    /// Whether the words must stand side by side in this order.
    pub(super) is_phrase: bool,
    /// What will do in place of the words; see [`Lowered::sequences`].
    pub(super) sequences: Vec<String>,
}

impl Query {
    /// Checks a search.
    ///
    /// # Errors
    /// [`QueryError`]. No text is ever an error but by its length.
    pub fn parse(parts: &QueryParts<'_>) -> Result<Self, QueryError> {
        let limit = match parts.limit {
            None => PAGE_RESULTS_DEFAULT,
            Some(limit) => u8::try_from(limit)
                .ok()
                .filter(|limit| (1..=PAGE_RESULTS_MAX).contains(limit))
                .ok_or(QueryError::Limit { limit })?,
        };
        let language = match parts.language {
            None => None,
            Some(tag) => {
                let tag =
                    language_tag(tag).ok_or_else(|| QueryError::Language { value: shown(tag) })?;
                Some(primary_language(&tag).into())
            }
        };
        let mut facets = parts.facets.clone();
        facets.sort_unstable();
        facets.dedup();
        let mut query = Self {
            now: parts.now,
            text: TextQuery::parse(parts.text)?,
            matching: parts.matching,
            language,
            filters: read_filters(&parts.filters)?,
            validity: parts.validity,
            sort: parts.sort,
            limit: usize::from(limit),
            after: None,
            facets,
            fingerprint: [0; 8],
        };
        query.fingerprint = cursor::fingerprint(&query);
        query.after = match parts.cursor {
            None => None,
            Some(text) => Some(cursor::read(text, &query.fingerprint).ok_or(QueryError::Cursor)?),
        };
        Ok(query)
    }

    /// The plainest search there is: every word of `words` unstemmed in the name, the summary or the
    /// description, by record id. For comparing this index with another engine.
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub fn plain_tokens(
        words: &str,
        filters: &[(Facet, &str)],
        now: Timestamp,
    ) -> Result<Self, QueryError> {
        Self::parse(&QueryParts {
            text: words,
            matching: Matching::Plain,
            filters: filters.to_vec(),
            sort: Sort::Id,
            ..QueryParts::at(now)
        })
    }
}

impl TextQuery {
    pub(super) fn has_words(&self) -> bool {
        !self.wanted.is_empty() || !self.unwanted.is_empty()
    }

    fn parse(text: &str) -> Result<Self, QueryError> {
        let chars = text.trim().chars().count();
        if chars > QUERY_CHARS_MAX {
            return Err(QueryError::TextTooLong { chars });
        }
        let pieces = pieces(text);
        let count = pieces
            .iter()
            .map(|piece| piece.text.split_whitespace().count())
            .sum();
        if count > QUERY_WORDS_MAX {
            return Err(QueryError::TooManyWords { words: count });
        }
        let mut query = Self::default();
        for piece in &pieces {
            let lowered = Lowered::of(&piece.text);
            let words: Vec<Word<'_>> = lowered.words().into_iter().map(Word::into_owned).collect();
            if words.is_empty() {
                continue;
            }
            // `e-learning` and 网络安全 are several words; to exclude them means all at once.
            let is_phrase = words.len() > 1 && (piece.is_quoted || piece.is_excluded);
            let list = if piece.is_excluded {
                &mut query.unwanted
            } else {
                &mut query.wanted
            };
            list.push(Wanted {
                words,
                is_phrase,
                sequences: lowered.sequences(),
            });
        }
        query.is_unfindable =
            query.wanted.is_empty() && pieces.iter().any(|piece| !piece.is_excluded);
        Ok(query)
    }
}

struct Piece {
    text: String,
    is_quoted: bool,
    is_excluded: bool,
}

/// The words and phrases of a text, as it was typed.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let unsigned = rest
            .strip_prefix('-')
            .filter(|after| after.starts_with(|next: char| !next.is_whitespace()));
        let is_excluded = unsigned.is_some();
        let body = unsigned.unwrap_or(rest);
        let quoted = closing_quote(body).and_then(|closing| {
            let inner = body.get(body.chars().next()?.len_utf8()..)?;
            inner.split_once(closing)
        });
        if let Some((inside, after)) = quoted {
            pieces.push(Piece {
                text: inside.to_owned(),
                is_quoted: true,
                is_excluded,
            });
            rest = after.trim_start();
            continue;
        }
        let (word, after) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        pieces.push(Piece {
            text: word.to_owned(),
            is_quoted: false,
            is_excluded,
        });
        rest = after.trim_start();
    }
    pieces
}

/// What closes the quotation that `text` begins with, if it does.
fn closing_quote(text: &str) -> Option<char> {
    match text.chars().next()? {
        '"' => Some('"'),
        '“' | '„' => Some('”'),
        '«' => Some('»'),
        '「' => Some('」'),
        _ => None,
    }
}

fn read_filters(filters: &[(Facet, &str)]) -> Result<Vec<Filter>, QueryError> {
    if filters.len() > FILTER_VALUES_MAX {
        return Err(QueryError::TooManyFilters {
            values: filters.len(),
        });
    }
    let mut families: BTreeMap<Facet, BTreeSet<Box<str>>> = BTreeMap::new();
    for (facet, value) in filters {
        let values = families.entry(*facet).or_default();
        values.insert(read_filter(*facet, value)?);
    }
    let filter = |(facet, values): (Facet, BTreeSet<Box<str>>)| Filter {
        facet,
        values: values.into_iter().collect(),
    };
    Ok(families.into_iter().map(filter).collect())
}

fn read_filter(facet: Facet, value: &str) -> Result<Box<str>, QueryError> {
    let refused = |expected| QueryError::Filter {
        facet,
        value: shown(value),
        expected,
    };
    let value = value.trim();
    if value.is_empty() || value.len() > FILTER_BYTES_MAX {
        return Err(refused("a value to filter by"));
    }
    match facet {
        Facet::Language => {
            let tag = language_tag(value);
            tag.map(Into::into)
                .ok_or_else(|| refused("a BCP 47 language tag such as fr or pt-BR"))
        }
        Facet::Country => {
            if value.eq_ignore_ascii_case(GLOBAL) {
                return Ok(GLOBAL.into());
            }
            let code = value.to_ascii_uppercase();
            let is_known = geography::country(&code).is_some()
                || geography::country_of_subdivision(&code).is_some()
                || geography::is_region(&code)
                || super::plan::GROUPS.iter().any(|(group, _)| *group == code);
            if is_known {
                Ok(code.into())
            } else {
                Err(refused(
                    "a country such as KE, a part of one such as KE-30, a region such as 014, LDC, LLDC, SIDS or global",
                ))
            }
        }
        // A code that is not listed may belong to a newer version: it finds nothing, and is no error.
        _ => Ok(value.into()),
    }
}

fn shown(value: &str) -> String {
    value.chars().take(60).collect()
}
