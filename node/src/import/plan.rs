//! A table's columns, what each means, and how a row becomes the tree of a draft.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde_json::Value;

use super::Options;
use super::drafts::{Drafts, Key, local_id_of, local_id_of_text};
use super::filling::Filling;
use super::headers::{self, Meaning, Target};
use super::members::{self, Kind, Shape};
use super::report::{ColumnUse, Finding, ImportError, shown};
use super::settings::{Settings, kind_named};
use super::source;
use super::table::{Cell, Cells, Rows, Table};

/// Reads a CSV file.
pub(super) fn read_table(mut text: impl BufRead, out: &mut Drafts<'_>) -> Result<(), ImportError> {
    let options = out.options;
    let start = text.fill_buf().map_err(source::error)?;
    // Some spreadsheets say in a line of its own how cells are parted.
    let named = match start {
        [b's', b'e', b'p', b'=', delimiter, b'\n', ..] => Some((*delimiter, 6)),
        [b's', b'e', b'p', b'=', delimiter, b'\r', b'\n', ..] => Some((*delimiter, 7)),
        _ => None,
    };
    let mut table = match named {
        Some((delimiter, bytes)) => {
            text.consume(bytes);
            Table::new(text, delimiter, options.limits).after_a_line()
        }
        None => {
            let delimiter = delimiter(start, options);
            Table::new(text, delimiter, options.limits)
        }
    };
    read_rows(&mut table, out)
}

/// Rows among which the headers are looked for: tables from offices have a title and a date above them.
const ROWS_ABOVE_MAX: usize = 10;

/// Reads the rows of a table.
pub(super) fn read_rows(table: &mut impl Rows, out: &mut Drafts<'_>) -> Result<(), ImportError> {
    let mut first = table.next_row()?.ok_or(ImportError::Empty)?;
    if first.cells.iter().any(|cell| cell.text.contains('\0')) {
        return Err(ImportError::NulInHeader);
    }
    // One known word may stand in a title by chance; headers know each other.
    let is_header = |row: &Cells| known_headers(row, out.options) >= 2;
    let mut above = Vec::new();
    if known_headers(&first, out.options) == 0 {
        while above.len() < ROWS_ABOVE_MAX {
            let Some(row) = table.next_row()? else { break };
            let found = is_header(&row);
            above.push(row);
            if found {
                break;
            }
        }
        // Where no row has headers, the first is the one to complain of.
        if let Some(row) = above.pop_if(|row| is_header(row)) {
            out.note(
                1,
                &format!(
                    "the headers were found in row {}; what stands above them was left out",
                    row.row
                ),
            );
            first = row;
            above.clear();
        }
    }
    let headers: Vec<String> = first
        .cells
        .into_iter()
        .map(|cell| cell.text.trim().to_owned())
        .collect();
    let plan = Plan::new(&headers, first.row, out)?;
    let mut below = above.into_iter();
    while let Some(row) = below
        .next()
        .map_or_else(|| table.next_row(), |row| Ok(Some(row)))?
    {
        out.begin(row.row)?;
        plan.read_row(&row, out);
    }
    Ok(())
}

/// How many cells of a row are headers that are known, or named by the mapping.
fn known_headers(row: &Cells, options: &Options<'_>) -> usize {
    let is_known = |cell: &&Cell| {
        let header = cell.text.trim();
        headers::meaning(header, options.labels).is_some()
            || options
                .mapping
                .as_ref()
                .is_some_and(|mapping| mapping.names(header))
    };
    row.cells.iter().filter(is_known).count()
}

/// What parts the cells: that by which most headers are known, else most cells are found.
fn delimiter(start: &[u8], options: &Options<'_>) -> u8 {
    let score = |delimiter: u8| {
        let row = Table::new(start, delimiter, options.limits)
            .next_row()
            .ok()
            .flatten();
        let cells = row.map(|row| row.cells).unwrap_or_default();
        let is_known = |cell: &&Cell| headers::meaning(&cell.text, options.labels).is_some();
        (cells.iter().filter(is_known).count(), cells.len())
    };
    let mut best = (b',', score(b','));
    for delimiter in [b';', b'\t', b'|'] {
        let found = score(delimiter);
        if found > best.1 {
            best = (delimiter, found);
        }
    }
    best.0
}

struct Column {
    /// As findings name it.
    header: String,
    meaning: Option<Meaning>,
}

/// What the columns of one file mean.
pub(super) struct Plan<'o> {
    options: &'o Options<'o>,
    columns: Vec<Column>,
    settings: Settings<'o>,
}

impl<'o> Plan<'o> {
    /// Reads the headers, which stand in row `row`.
    pub(super) fn new(
        headers: &[String],
        row: u64,
        out: &mut Drafts<'o>,
    ) -> Result<Self, ImportError> {
        let options = out.options;
        let settings = Settings::new(options)?;
        let mapped = match &options.mapping {
            Some(mapping) => mapping.meanings(headers, options.labels)?,
            None => Vec::new(),
        };
        let mut columns: Vec<(Column, bool)> = Vec::with_capacity(headers.len());
        for (position, header) in headers.iter().enumerate() {
            let by_mapping = mapped.iter().find(|(column, _)| column == header);
            let meaning = match by_mapping {
                Some((_, meaning)) => meaning.clone(),
                None => headers::meaning(header, options.labels),
            };
            let shown = if header.is_empty() {
                format!("column {}", letters(position))
            } else {
                shown(header)
            };
            columns.push((
                Column {
                    header: shown,
                    meaning,
                },
                by_mapping.is_some(),
            ));
        }
        Self::part_rivals(&mut columns, row, out);
        let columns: Vec<Column> = columns.into_iter().map(|(column, _)| column).collect();
        let ignored: Vec<String> = columns
            .iter()
            .filter(|column| column.meaning.is_none())
            .map(|column| format!("“{}”", column.header))
            .collect();
        if ignored.len() == columns.len() {
            let found = headers
                .iter()
                .take(12)
                .map(|header| shown(header))
                .collect::<Vec<_>>();
            return Err(ImportError::NoKnownColumn {
                found: found.join(", "),
            });
        }
        if !ignored.is_empty() {
            let (some, more) = ignored.split_at(ignored.len().min(20));
            let more = if more.is_empty() {
                String::new()
            } else {
                format!(" and {} more", more.len())
            };
            out.note(
                1,
                &format!(
                    "columns left out, for their headers mean nothing known: {}{more}",
                    some.join(", ")
                ),
            );
        }
        let plan = Self {
            options,
            columns,
            settings,
        };
        plan.demand_what_every_row_needs()?;
        let used = |column: &Column| ColumnUse {
            header: column.header.clone(),
            member: column.meaning.as_ref().map(Meaning::member),
        };
        out.set_columns(plan.columns.iter().map(used).collect());
        Ok(plan)
    }

    /// Of two columns with one meaning, the mapped one is taken, else the one with the member's own
    /// name; where neither is before the other, the first is taken and the second is a finding.
    /// Columns of lists are joined.
    fn part_rivals(columns: &mut [(Column, bool)], row: u64, out: &mut Drafts<'o>) {
        for later in 0..columns.len() {
            let (before, rest) = columns.split_at_mut(later);
            let Some((second, second_mapped)) = rest.first_mut() else {
                continue;
            };
            let Some(meaning) = second.meaning.clone() else {
                continue;
            };
            if matches!(meaning.target, Target::Body(path) if members::is_list(path)) {
                continue;
            }
            let rival = before.iter_mut().find(|(column, _)| {
                column.meaning.as_ref().is_some_and(|other| {
                    (other.target, &other.language) == (meaning.target, &meaning.language)
                })
            });
            let Some((first, first_mapped)) = rival else {
                continue;
            };
            let rank = |exact: bool, mapped: bool| (mapped, exact);
            let first_exact = first
                .meaning
                .as_ref()
                .is_some_and(|meaning| meaning.is_exact);
            let first_rank = rank(first_exact, *first_mapped);
            let second_rank = rank(meaning.is_exact, *second_mapped);
            let (taken, left) = if second_rank > first_rank {
                (second, first)
            } else {
                (first, second)
            };
            left.meaning = None;
            if first_rank == second_rank {
                out.find(Finding {
                    row,
                    column: Some(left.header.clone()),
                    value: None,
                    problem: format!(
                        "means {}, as the column “{}” does",
                        meaning.member(),
                        taken.header
                    ),
                    suggestion: Some(
                        "leave one out, or say in a mapping file what each means".to_owned(),
                    ),
                });
            }
        }
    }

    /// A column that every row needs is missed once, not in every row.
    fn demand_what_every_row_needs(&self) -> Result<(), ImportError> {
        let has = |wanted: fn(Target) -> bool| {
            let mut columns = self
                .columns
                .iter()
                .filter_map(|column| column.meaning.as_ref());
            columns.any(|meaning| wanted(meaning.target))
                || self
                    .settings
                    .list
                    .iter()
                    .any(|set| wanted(set.meaning.target))
        };
        if !has(|target| target == Target::Body("name")) {
            let hint = "name a column “title” or “name”, or say in a mapping file which it is";
            return Err(ImportError::MissingColumn {
                member: "name",
                hint: hint.to_owned(),
            });
        }
        let kinds = match self.settings.kind.shape("kind") {
            Some(Shape::OwnCode(scheme)) => scheme.codes(),
            _ => &[],
        };
        if let (Some(first), false) = (
            kinds.first(),
            has(|target| matches!(target, Target::Body("kind") | Target::Type)),
        ) {
            let hint = format!(
                "add a column “kind”, or give --set kind={first} (one of {})",
                kinds.join(", ")
            );
            return Err(ImportError::MissingColumn {
                member: "kind",
                hint,
            });
        }
        let has_plain_text = self
            .columns
            .iter()
            .filter_map(|column| column.meaning.as_ref())
            .any(|meaning| {
                meaning.language.is_none()
                    && matches!(meaning.target, Target::Body(path) if members::is_text_map(path))
            });
        let has_language = self.options.language.is_some()
            || has(|target| matches!(target, Target::Language | Target::Body("languages")));
        if has_plain_text && !has_language {
            let hint = "add a column “language”, or give --set language=en";
            return Err(ImportError::MissingColumn {
                member: "language",
                hint: hint.to_owned(),
            });
        }
        Ok(())
    }

    fn filled<'c>(
        &'c self,
        cells: &'c [Cell],
        target: Target,
    ) -> impl Iterator<Item = (&'c Column, &'c Meaning, &'c Cell)> {
        self.full(cells)
            .filter(move |(_, meaning, _)| meaning.target == target)
    }

    /// The columns with a meaning whose cell is not empty.
    fn full<'c>(
        &'c self,
        cells: &'c [Cell],
    ) -> impl Iterator<Item = (&'c Column, &'c Meaning, &'c Cell)> {
        self.columns.iter().zip(cells).filter_map(|(column, cell)| {
            let is_empty = cell.text.trim().is_empty()
                && cell.values.as_ref().is_none_or(|values| values.is_empty());
            Some((column, column.meaning.as_ref().filter(|_| !is_empty)?, cell))
        })
    }

    /// Reads one row into a draft or findings.
    pub(super) fn read_row(&self, row: &Cells, out: &mut Drafts<'_>) {
        let cells = &row.cells;
        let (kind, kind_cell) = self.kind_of(cells);
        let mut draft = Filling::new(self.options, kind);
        if let Some(extra) = cells
            .iter()
            .skip(self.columns.len())
            .find(|cell| !cell.text.trim().is_empty())
        {
            draft.findings.push(Finding {
                row: row.row,
                column: None,
                value: Some(shown(extra.text.trim())),
                problem: format!(
                    "stands beyond the last of the {} columns",
                    self.columns.len()
                ),
                suggestion: Some("a text with a comma in it must stand in quotes".to_owned()),
            });
        }
        let (language, is_said) = self.language_of(cells, &mut draft);
        let key_language = language.clone().filter(|_| is_said).unwrap_or_default();
        let language = language.as_deref();
        if let Some((column, cell)) = kind_cell {
            let meaning = Meaning {
                target: Target::Body("kind"),
                language: None,
                is_exact: false,
            };
            draft.fill(&column.header, &meaning, cell, language);
        }
        for (column, meaning, cell) in self.full(cells) {
            draft.fill(&column.header, meaning, cell, language);
        }
        let given: Vec<Target> = self
            .full(cells)
            .map(|(_, meaning, _)| meaning.target)
            .collect();
        for set in &self.settings.list {
            let is_kind = set.meaning.target == Target::Body("kind");
            // What kinds there are hangs on the type: a course is no kind of organisation.
            let fits = !is_kind || (kind_cell.is_none() && kind == self.settings.kind);
            if fits && !given.contains(&set.meaning.target) {
                draft.fill(&set.setting.field, &set.meaning, &set.cell(), language);
            }
        }
        draft.settle_places();
        draft.settle_cost();
        if kind == Kind::Offering && !draft.said_languages.is_empty() {
            let languages = draft.said_languages.clone();
            draft
                .body
                .entry("languages")
                .or_insert_with(|| languages.into());
        }
        self.demand(&mut draft);
        let key = self.name_draft(cells, &key_language, &mut draft);
        for note in &draft.notes {
            out.note(row.row, note);
        }
        if !draft.findings.is_empty() {
            let findings = draft.findings.into_iter().map(|finding| Finding {
                row: row.row,
                ..finding
            });
            return out.refuse(findings.collect());
        }
        let mut tree = draft.envelope;
        tree.insert("type".to_owned(), kind.name().into());
        tree.entry("sources").or_insert_with(|| out.sources());
        tree.insert("body".to_owned(), Value::Object(draft.body));
        out.accept(row.row, &tree, key, &|path| self.column_of(kind, path));
    }

    /// The type of the row, and the cell that says its kind where a column `type` does.
    fn kind_of<'c>(&'c self, cells: &'c [Cell]) -> (Kind, Option<(&'c Column, &'c Cell)>) {
        match self.filled(cells, Target::Type).next() {
            None => (self.settings.kind, None),
            Some((column, _, cell)) => match kind_named(cell.text.trim(), self.options) {
                Some(kind) => (kind, None),
                // A column of kinds says it better.
                None if self.filled(cells, Target::Body("kind")).next().is_some() => {
                    (self.settings.kind, None)
                }
                None => (self.settings.kind, Some((column, cell))),
            },
        }
    }

    /// The language of the row's texts, and whether file or user said so. A node's own default may
    /// change, and names no row.
    fn language_of(&self, cells: &[Cell], draft: &mut Filling<'_>) -> (Option<String>, bool) {
        let mut tags = Vec::new();
        if let Some((column, _, cell)) = self.filled(cells, Target::Language).next() {
            tags = draft.languages(&column.header, cell);
        } else if let Some(set) = self.settings.of(Target::Language) {
            tags = draft.languages(&set.setting.field, &set.cell());
        }
        draft.said_languages.clone_from(&tags);
        if let Some(tag) = tags.into_iter().next() {
            return (Some(tag), true);
        }
        if let Some((column, _, cell)) = self.filled(cells, Target::Body("languages")).next() {
            // Faults of this cell come out when it is read for itself.
            let before = draft.findings.len();
            let tags = draft.languages(&column.header, cell);
            draft.findings.truncate(before);
            if let [only] = tags.as_slice() {
                return (Some(only.clone()), true);
            }
        }
        (self.options.language.clone(), false)
    }

    /// Names what is missing in the words of the file.
    fn demand(&self, draft: &mut Filling<'_>) {
        let has_fault = |draft: &Filling<'_>, column: &Option<String>| {
            draft
                .findings
                .iter()
                .any(|finding| finding.column == *column)
        };
        let column = self.column_of(draft.kind, "body.name");
        if !draft.body.contains_key("name") && !draft.lacks_language && !has_fault(draft, &column) {
            draft.find(
                column,
                "is empty, and every record needs a name",
                "write the title",
            );
        }
        let column = self.column_of(draft.kind, "body.kind");
        if let Some(Shape::OwnCode(scheme)) = draft.kind.shape("kind")
            && !draft.body.contains_key("kind")
            && !has_fault(draft, &column)
        {
            let codes = format!("write one of {}", scheme.codes().join(", "));
            draft.find(column, "the kind is missing", &codes);
        }
        if draft.lacks_language {
            let column = self.columns.iter().find(|column| {
                column
                    .meaning
                    .as_ref()
                    .is_some_and(|meaning| meaning.target == Target::Language)
            });
            let column = column.map(|column| column.header.clone());
            if !has_fault(draft, &column) {
                let right =
                    "write a language tag such as fr, or give --set language=fr for the whole file";
                draft.find(column, "the language of the texts is unknown", right);
            }
        }
    }

    /// Gives the draft its local id.
    fn name_draft(&self, cells: &[Cell], language: &str, draft: &mut Filling<'_>) -> Key {
        let text = |cell: &Cell| cell.text.trim().to_owned();
        let (id, key) = match self.filled(cells, Target::Id).next() {
            Some((_, _, cell)) => (local_id_of(&text(cell)), Key::Id),
            None => {
                let url = [Target::Body("url"), Target::Body("website")]
                    .into_iter()
                    .find_map(|target| self.filled(cells, target).next())
                    .map(|(_, _, cell)| text(cell))
                    .unwrap_or_default();
                let names: BTreeMap<&str, String> = self
                    .filled(cells, Target::Body("name"))
                    .map(|(_, meaning, cell)| {
                        (meaning.language.as_deref().unwrap_or(language), text(cell))
                    })
                    .collect();
                let title = names.get(language).or_else(|| names.values().next());
                let title = title.map(String::as_str).unwrap_or_default();
                (local_id_of_text(language, &url, title), Key::Text)
            }
        };
        draft.envelope.insert("localId".to_owned(), id.into());
        key
    }

    /// The header of the column that fills the member at `path`, positions left aside.
    fn column_of(&self, kind: Kind, path: &str) -> Option<String> {
        let named: Vec<&str> = path
            .split('.')
            .filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        let path = named.join(".");
        let body = path.strip_prefix("body.");
        let fits = |target: Target| match (target, body) {
            (Target::Body(own), Some(path)) => {
                let own = kind.own_path(own);
                own == path
                    || path
                        .strip_prefix(own)
                        .is_some_and(|rest| rest.starts_with('.'))
            }
            (Target::Type, _) => body == Some("kind") || path == "type",
            (Target::Place(part), Some(path)) => path.ends_with(&format!("place.{part}")),
            (Target::RecordLicence, None) => path == "licence",
            (other, None) => other.name() == path,
            _ => false,
        };
        let column = self.columns.iter().find(|column| {
            column
                .meaning
                .as_ref()
                .is_some_and(|meaning| fits(meaning.target))
        });
        column.map(|column| column.header.clone())
    }
}

/// The letters by which a spreadsheet names the column at `position`, from 0.
fn letters(position: usize) -> String {
    let mut letters = Vec::new();
    let mut left = position + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(
            b'A' + u8::try_from(left % 26).unwrap_or_default(),
        ));
        left /= 26;
    }
    letters.into_iter().rev().collect()
}
