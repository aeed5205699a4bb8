//! What there is to say about a file: what stops it, what is wrong with a row, what was left out.

use std::collections::HashMap;
use std::fmt;
use std::io;

/// Why a file as a whole is not imported. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    Io(io::Error),
    /// More bytes than [`super::Limits::bytes_max`].
    #[error("the file is larger than {bytes_max} bytes: divide it and import the parts")]
    TooLarge {
        /// Bytes allowed.
        bytes_max: u64,
    },
    /// Nothing that is read here.
    #[error(
        "the file is {found}: a table (.xlsx, .csv) or JSON can be imported. \
         Open it where it comes from and save it as “Excel workbook (.xlsx)” or “CSV UTF-8”"
    )]
    OtherKind {
        /// What it is.
        found: &'static str,
    },
    /// A workbook that is not read.
    #[error("the workbook is not read: {0}")]
    Workbook(#[from] super::workbook::Problem),
    /// A page that describes nothing.
    #[error("the page says nothing that a program can read: {why}")]
    NoStructuredData {
        /// What it lacks.
        why: &'static str,
    },
    /// A sheet of what has none.
    #[error("the file is no workbook (.xlsx), and has no sheets")]
    NoWorkbook,
    /// Bytes that are no UTF-8.
    #[error(
        "line {line}, character {column}: not UTF-8. If “{as_western}” is how this cell should read, \
         give --encoding windows-1252; for Arabic try --encoding windows-1256; or save the file as “CSV UTF-8”"
    )]
    NotUtf8 {
        /// Line of the file, from 1.
        line: u64,
        /// Character in the line, from 1; where the cell begins, if that is on an earlier line.
        column: u64,
        /// The cell, read as Windows-1252.
        as_western: String,
    },
    /// A file that is not written as its mark or the user says.
    #[error("the file is not {encoding}, or is damaged: save it as “CSV UTF-8”")]
    Malformed {
        /// The encoding.
        encoding: &'static str,
    },
    /// A format that nobody knows.
    #[error("the format “{name}” is not known: use auto, csv, xlsx, json, dpg, schema-org or hsds")]
    UnknownFormat {
        /// As it was named.
        name: String,
    },
    /// An encoding that nobody knows.
    #[error(
        "“{name}” is no encoding that is known: use utf-8, utf-16le, windows-1252 (Western), windows-1256 (Arabic) …"
    )]
    UnknownEncoding {
        /// As it was named.
        name: String,
    },
    /// U+0000 among the headers.
    #[error(
        "the header row contains the character U+0000, as UTF-16 without its mark does: \
         save the file as “CSV UTF-8”"
    )]
    NulInHeader,
    /// No row at all.
    #[error("the file is empty: its first row must name the columns, such as title,url,language")]
    Empty,
    /// Not one header that is known, and no mapping.
    #[error(
        "no column is known by its header (found: {found}): the first row must name the columns, \
         such as title,url,language, or a mapping file must say what they mean"
    )]
    NoKnownColumn {
        /// The headers.
        found: String,
    },
    /// A quote that is never closed.
    #[error("line {line}, character {column}: the quote that opens here is never closed")]
    UnclosedQuote {
        /// Line of the file, from 1.
        line: u64,
        /// Character in the line, from 1.
        column: u64,
    },
    /// Text right after a closing quote.
    #[error(
        "line {line}, character {column}: text after a closing quote. A quote within a quoted cell \
         is written twice (\"\")"
    )]
    TextAfterQuote {
        /// Line of the file, from 1.
        line: u64,
        /// Character in the line, from 1.
        column: u64,
    },
    /// A cell beyond any text.
    #[error(
        "line {line}, character {column}: the cell that begins here has more than {bytes_max} bytes; \
         perhaps a quote is never closed"
    )]
    CellTooLong {
        /// Line of the file, from 1.
        line: u64,
        /// Character in the line, from 1.
        column: u64,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// More rows than [`super::Limits::rows_max`].
    #[error("row {row}: more than {rows_max} rows. Nothing was imported; divide the file")]
    TooManyRows {
        /// The first row beyond the limit.
        row: u64,
        /// Rows allowed.
        rows_max: u64,
    },
    /// More columns than [`super::Limits::columns_max`].
    #[error("row {row}: more than {columns_max} columns")]
    TooManyColumns {
        /// The row.
        row: u64,
        /// Columns allowed.
        columns_max: usize,
    },
    /// Not JSON.
    #[error("line {line}, character {column}: {detail}")]
    Json {
        /// Line of the file, from 1.
        line: u64,
        /// Character in the line, from 1.
        column: u64,
        /// What is wrong.
        detail: String,
    },
    /// A mapping file that cannot be read.
    #[error(
        "the mapping file {detail}: write {{\"column header\": \"body.member\"}} or the same as TOML"
    )]
    MappingSyntax {
        /// What is wrong.
        detail: String,
    },
    /// A mapping of a column that the file does not have.
    #[error("the mapping file names the column “{column}”, which the file does not have{}", meant(.nearest))]
    MappingColumn {
        /// As the mapping names it.
        column: String,
        /// The header most like it.
        nearest: Option<String>,
    },
    /// A mapping, or a setting, of a member that no record has.
    #[error("“{member}” is no member that can be imported{}", meant(.nearest))]
    UnknownMember {
        /// As it was named.
        member: String,
        /// The member most like it.
        nearest: Option<String>,
    },
    /// A setting that is not `FIELD=VALUE`.
    #[error("“{text}” must be FIELD=VALUE, such as kind=course")]
    SettingSyntax {
        /// As it was written.
        text: String,
    },
    /// A setting whose value is wrong.
    #[error("--set {field}={value}: {problem}{}", hint(.suggestion))]
    SettingValue {
        /// Its field.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong.
        problem: String,
        /// What would be right.
        suggestion: Option<String>,
    },
    /// A member that every record needs, and no column has.
    #[error("no column gives the {member}: {hint}")]
    MissingColumn {
        /// The member.
        member: &'static str,
        /// What to do.
        hint: String,
    },
}

fn meant(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|nearest| format!(": did you mean “{nearest}”?"))
        .unwrap_or_default()
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map(|suggestion| format!("; {suggestion}"))
        .unwrap_or_default()
}

/// What is wrong with one row, which is therefore no draft. As text, one line of plain English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// As [`super::Row::row`].
    pub row: u64,
    /// The header of the column, or the member of a JSON draft; `None` where it concerns the row.
    pub column: Option<String>,
    /// What stands there, shortened.
    pub value: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub suggestion: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "row {}", self.row)?;
        if let Some(column) = &self.column {
            write!(out, ", column “{column}”")?;
        }
        out.write_str(":")?;
        if let Some(value) = &self.value {
            write!(out, " “{value}”")?;
        }
        write!(out, " {}{}", self.problem, hint(&self.suggestion))
    }
}

/// A row that says again what an earlier row said; the earlier one is the draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// As [`super::Row::row`].
    pub row: u64,
    /// The row that it repeats.
    pub first_row: u64,
    /// By what they are one: “id” or “language, url and title”.
    pub by: &'static str,
    /// Whether all else is the same too.
    pub is_identical: bool,
    /// What the two are called, where they became one record; otherwise the earlier one is taken.
    pub joined: Option<String>,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, first_row, .. } = self;
        if let Some(name) = &self.joined {
            return write!(
                out,
                "row {row}: describes “{name}” again, as row {first_row} does; they became one record"
            );
        }
        let rest = if self.is_identical {
            "all else too"
        } else {
            "other cells differ"
        };
        let by = self.by;
        write!(
            out,
            "row {row}: repeats row {first_row} (same {by}; {rest}); row {first_row} is taken"
        )
    }
}

/// Something that was done or left out without anything being wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: String,
    /// The first row it was met in; 1, the header, if it concerns the file.
    pub first_row: u64,
    /// In how many places.
    pub times: u64,
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)?;
        match (self.first_row, self.times) {
            (0 | 1, _) => Ok(()),
            (row, 1) => write!(out, " (row {row})"),
            (row, times) => write!(out, " ({times} times, first in row {row})"),
        }
    }
}

/// What a column was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Its header; `column D` where it has none.
    pub header: String,
    /// The member, such as `name:fr` or `cost.kind`; `None` if it was ignored.
    pub member: Option<String>,
}

/// What there is to say about a file that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows or records that were read, blank ones left out.
    pub rows_read: u64,
    /// Rows that became drafts.
    pub rows_good: u64,
    /// Rows with at least one finding.
    pub rows_bad: u64,
    /// Records that are no matter of imports: checkpoints.
    pub rows_left_out: u64,
    /// What is wrong, in the order of the file.
    pub findings: Vec<Finding>,
    /// How many findings more there were than are kept.
    pub findings_left_out: u64,
    /// Rows that repeat others.
    pub duplicates: Vec<Duplicate>,
    /// How many rows repeat others, kept or not.
    pub rows_duplicate: u64,
    /// What was mended, ignored or left out.
    pub notices: Vec<Notice>,
    /// What each column was taken for; empty for JSON drafts.
    pub columns: Vec<ColumnUse>,
    /// The organisation that a collection names.
    pub handle: Option<String>,
}

impl Report {
    /// Whether every row is a draft or repeats one: what an import demands unless told otherwise.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.findings_left_out == 0
    }
}

/// Most notices of different wording.
const NOTICES_MAX: usize = 200;

/// Counts notices of one wording together.
#[derive(Debug, Default)]
pub(super) struct Notices {
    list: Vec<Notice>,
    at: HashMap<String, usize>,
}

impl Notices {
    pub(super) fn add(&mut self, row: u64, text: &str) {
        if let Some(notice) = self.at.get(text).and_then(|at| self.list.get_mut(*at)) {
            notice.times += 1;
        } else if self.list.len() < NOTICES_MAX {
            self.at.insert(text.to_owned(), self.list.len());
            self.list.push(Notice {
                text: text.to_owned(),
                first_row: row,
                times: 1,
            });
        }
    }

    pub(super) fn into_list(self) -> Vec<Notice> {
        self.list
    }
}

/// A text as a message shows it: one line, short.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(60)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
