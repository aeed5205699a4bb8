//! Files of others in, drafts and a report out: `baraza import`.
//!
//! Owns the reading of CSV, workbooks, JSON and formats of others, the words that headers are known
//! by, what is mended and what is named as wrong, and the name that a row's record gets. Signs, stores
//! and fetches nothing: whether good rows enter when others are bad is decided by whoever holds the
//! [`Reading`].
//!
//! The same file read twice gives the same drafts, in whatever order its rows stand, so a second
//! import changes nothing.
//!
//! ```
//! use baraza::import::{Options, read};
//!
//! let file = "titre;lien;langue\nSoudure;https://a.example/1;fr\n";
//! let options = Options { set: vec!["kind=course".parse()?], ..Options::default() };
//! let reading = read(file.as_bytes(), &options)?;
//! assert_eq!(reading.drafts.len(), 1);
//! assert!(reading.report.is_clean());
//! # Ok::<(), baraza::import::ImportError>(())
//! ```
//!
//! Read next: `import/plan.rs` for tables, `import/headers.rs` for the words, `import/values.rs` for
//! what is mended, `import/foreign.rs` for formats of others.

mod drafts;
mod filling;
mod foreign;
mod headers;
mod json;
mod mapping;
mod members;
mod page;
mod plan;
mod report;
mod settings;
mod source;
mod table;
mod values;
mod workbook;

use std::io::{BufRead as _, Read};
use std::str::FromStr;

use protocol::id::Scid;
use protocol::limits::{JSON_STRING_BYTES_MAX, RECORD_BYTES_MAX};
use protocol::record::Draft;

pub use mapping::{Mapping, Setting};
pub use report::{ColumnUse, Duplicate, Finding, ImportError, Notice, Report};
pub use workbook::Problem as WorkbookProblem;

use drafts::Drafts;
use source::Opened;

/// Which kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Found out from the first characters: `PK` begins a workbook, `{` and `[` begin JSON, all else
    /// is CSV.
    #[default]
    Auto,
    /// A workbook (`.xlsx`), of which one sheet is read.
    Workbook,
    /// A table whose first row names its columns, parted by `,` `;` `|` or tab.
    Csv,
    /// A list of drafts or flat objects, a collection `{"handle", "records"}`, one of these alone, or
    /// one a line. Objects that bear the marks of a format of others are read as such.
    Json,
    /// JSON of the registry of digital public goods.
    Dpg,
    /// JSON-LD with the vocabulary of schema.org, by itself or in a page.
    SchemaOrg,
    /// JSON of the Human Services Data Specification, version 3.
    Hsds,
}

impl FromStr for Format {
    type Err = ImportError;

    /// Reads `auto`, `csv`, `xlsx`, `json`, `dpg`, `schema-org`, `hsds`.
    fn from_str(text: &str) -> Result<Self, ImportError> {
        Ok(match text {
            "auto" => Self::Auto,
            "csv" => Self::Csv,
            "xlsx" => Self::Workbook,
            "json" => Self::Json,
            "dpg" => Self::Dpg,
            "schema-org" | "schema.org" | "jsonld" => Self::SchemaOrg,
            "hsds" => Self::Hsds,
            other => {
                return Err(ImportError::UnknownFormat {
                    name: report::shown(other),
                });
            }
        })
    }
}

/// How characters are written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, or what a byte order mark says. Anything else is refused with a guess that a person may
    /// confirm. Never guessed in silence: the bytes of Windows-1252 (Western) are those of Windows-1256
    /// (Arabic) too, and a wrong guess garbles without a sound.
    #[default]
    Auto,
    /// One that the user names.
    Named(&'static encoding_rs::Encoding),
}

impl FromStr for Encoding {
    type Err = ImportError;

    /// Reads a name as web pages use it: `utf-8`, `windows-1252`, `utf-16le`, `windows-1256`.
    fn from_str(text: &str) -> Result<Self, ImportError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            name => encoding_rs::Encoding::for_label_no_replacement(name.as_bytes())
                .map(Self::Named)
                .ok_or_else(|| ImportError::UnknownEncoding {
                    name: report::shown(name),
                }),
        }
    }
}

/// How much is taken in before reading stops.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of a file.
    pub bytes_max: u64,
    /// Most rows; at one more, nothing is imported.
    pub rows_max: u64,
    /// Most columns.
    pub columns_max: usize,
    /// Most findings that are kept; the others are counted.
    pub findings_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // A million rows is the most that a node's own store is made for.
        let bytes_max = 1024 * 1024 * 1024;
        Self {
            bytes_max,
            rows_max: 1_000_000,
            columns_max: 1_000,
            findings_max: 10_000,
        }
    }
}

/// Longest text that a record carries, in bytes; a longer cell is a finding.
const CELL_BYTES_MAX: usize = JSON_STRING_BYTES_MAX;

/// A cell of this many bytes stops the reading: it is no text, but a quote that was never closed.
const CELL_BYTES_STOP: usize = 1024 * 1024;

/// Room that author, number, dates and proof take in a record, in bytes.
const SIGNING_BYTES: usize = 2 * 1024;

/// Largest draft, in bytes of canonical form.
const DRAFT_BYTES_MAX: usize = RECORD_BYTES_MAX - SIGNING_BYTES;

/// Where the rows come from, as each record's `sources` will say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// What the source is called.
    pub title: Option<String>,
    /// Where it is found.
    pub url: Option<String>,
    /// The licence under which it was published.
    pub licence: Option<String>,
}

/// Names to codes, in whatever languages the caller has labels. Each is asked with a trimmed text and
/// should take it in any case.
pub trait Labels {
    /// The code of the list `scheme` (its [`protocol::codes::Scheme::name`]) that is labelled `text`.
    fn code(&self, scheme: &str, text: &str) -> Option<&'static str> {
        let _ = (scheme, text);
        None
    }

    /// The ISO 3166 code of the country named `text`.
    fn country(&self, text: &str) -> Option<&'static str> {
        let _ = text;
        None
    }

    /// The language tag of the language named `text`, or written as another standard's code.
    fn language(&self, text: &str) -> Option<String> {
        let _ = text;
        None
    }
}

/// No labels: codes only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLabels;

impl Labels for NoLabels {}

/// How a file is read.
#[derive(Clone)]
pub struct Options<'a> {
    /// Which kind of file it is.
    pub format: Format,
    /// How its characters are written.
    pub encoding: Encoding,
    /// Which sheet of a workbook is read; the first visible one with something in it if absent.
    pub sheet: Option<String>,
    /// What its columns mean, where their headers do not say so.
    pub mapping: Option<Mapping>,
    /// What the file lacks: fills empty cells and missing columns.
    pub set: Vec<Setting>,
    /// The language of texts where neither the row nor [`Options::set`] names one.
    pub language: Option<String>,
    /// The licence of the records (`publishing.licence`). A `licence` column is that of the thing
    /// described; `--set licence=…` and a `record.licence` column are that of the record.
    pub licence: String,
    /// Where the rows come from.
    pub source: Source,
    /// Who publishes the rows; a record that somebody else signed is refused, for it is theirs.
    pub author: Option<Scid>,
    /// Names to codes.
    pub labels: &'a dyn Labels,
    /// How much is taken in.
    pub limits: Limits,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            encoding: Encoding::Auto,
            sheet: None,
            mapping: None,
            set: Vec::new(),
            language: None,
            licence: "CC-BY-4.0".to_owned(),
            source: Source::default(),
            author: None,
            labels: &NoLabels,
            limits: Limits::default(),
        }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Options")
            .field("format", &self.format)
            .field("encoding", &self.encoding)
            .field("sheet", &self.sheet)
            .field("mapping", &self.mapping)
            .field("set", &self.set)
            .field("language", &self.language)
            .field("licence", &self.licence)
            .field("source", &self.source)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A draft and where it stands in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The row as a spreadsheet counts it (the header is row 1), the line of JSON lines, or the
    /// position in a list of JSON, from 1.
    pub row: u64,
    /// The record, ready to be signed.
    pub draft: Draft,
}

/// A file that was read to its end.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The good rows, in the order of the file; no two have one `localId`.
    pub drafts: Vec<Row>,
    /// What there is to say about the others.
    pub report: Report,
}

/// Reads a whole file into drafts and a report.
///
/// # Errors
/// What makes the file as a whole unreadable: see [`ImportError`]. A bad row is no error but a
/// [`Finding`] in the report.
pub fn read(input: impl Read, options: &Options<'_>) -> Result<Reading, ImportError> {
    let mut drafts = Vec::new();
    let report = read_each(input, options, |row| drafts.push(row))?;
    Ok(Reading { drafts, report })
}

/// As [`read`], handing over each draft as it is met. CSV is never held whole; of each row a key of
/// some 50 bytes is kept.
///
/// # Errors
/// As [`read`]. What was handed over before an error must be dropped by the caller.
pub fn read_each(
    input: impl Read,
    options: &Options<'_>,
    sink: impl FnMut(Row),
) -> Result<Report, ImportError> {
    let mut drafts = Drafts::new(options, sink);
    let opened = source::open(input, options)?;
    let (mut text, sheet) = match (opened, options.format) {
        (Opened::Archive(archive), Format::Auto | Format::Workbook) => {
            workbook::read(archive, options.sheet.as_deref(), &mut drafts)?;
            return Ok(drafts.finish());
        }
        (Opened::Archive(_), _) => {
            return Err(ImportError::OtherKind {
                found: "a workbook or another zip archive",
            });
        }
        (Opened::Text(_), Format::Workbook) => return Err(ImportError::NoWorkbook),
        (Opened::Text(text), _) => (text, options.sheet.as_deref()),
    };
    if sheet.is_some() {
        return Err(ImportError::NoWorkbook);
    }
    let start = text.fill_buf().map_err(source::error)?;
    let looks_like_json = matches!(start.trim_ascii_start().first(), Some(b'{' | b'['));
    let is_page = page::is_page(start);
    match options.format {
        Format::Csv => plan::read_table(text, &mut drafts)?,
        Format::Auto | Format::SchemaOrg if is_page => json::read_page(&mut text, &mut drafts)?,
        Format::Auto if !looks_like_json => plan::read_table(text, &mut drafts)?,
        _ => json::read(&mut text, &mut drafts)?,
    }
    Ok(drafts.finish())
}

#[cfg(test)]
mod tests;
