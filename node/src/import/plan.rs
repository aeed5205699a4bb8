//! A table's columns, what each means, and how a row becomes the tree of a draft.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde_json::{Map, Value};

use super::Options;
use super::drafts::{Drafts, Key, local_id_of, local_id_of_text};
use super::headers::{self, Meaning, Target};
use super::mapping::{Setting, member_named};
use super::members::{self, Kind, Shape};
use super::report::{ColumnUse, Finding, ImportError, shown};
use super::source;
use super::table::{Cell, Cells, Rows, Table};
use super::values::Reader;

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

struct Set<'o> {
    setting: &'o Setting,
    meaning: Meaning,
}

/// What the columns of one file mean.
pub(super) struct Plan<'o> {
    options: &'o Options<'o>,
    columns: Vec<Column>,
    settings: Settings<'o>,
}

/// What a file lacks, as the user gives it.
pub(super) struct Settings<'o> {
    options: &'o Options<'o>,
    list: Vec<Set<'o>>,
    /// The type of a row that does not say.
    pub(super) kind: Kind,
}

impl<'o> Settings<'o> {
    /// # Errors
    /// A field that does not exist, or a value that cannot stand there.
    pub(super) fn new(options: &'o Options<'o>) -> Result<Self, ImportError> {
        let mut kind = Kind::Offering;
        let mut list = Vec::new();
        for setting in &options.set {
            let mut meaning = member_named(&setting.field, options.labels)?;
            match meaning.target {
                // One id for every row would make them one record.
                Target::Id => {
                    return Err(ImportError::UnknownMember {
                        member: setting.field.clone(),
                        nearest: None,
                    });
                }
                Target::Type => match kind_named(&setting.value, options) {
                    Some(named) => {
                        kind = named;
                        continue;
                    }
                    None => meaning.target = Target::Body("kind"),
                },
                // Of a whole file, the licence is that of its data, not of what they describe.
                Target::Body("licence") if !setting.field.starts_with("body.") => {
                    meaning.target = Target::RecordLicence;
                }
                _ => {}
            }
            list.push(Set { setting, meaning });
        }
        let settings = Self {
            options,
            list,
            kind,
        };
        for set in &settings.list {
            let mut row = Draft::new(options, kind);
            row.fill(&set.setting.field, &set.meaning, &set.cell(), Some("und"));
            if set.meaning.target == Target::Language {
                row.languages(&set.setting.field, &set.cell());
            }
            if let Some(fault) = row.findings.into_iter().next() {
                return Err(ImportError::SettingValue {
                    field: set.setting.field.clone(),
                    value: set.setting.value.clone(),
                    problem: fault.problem,
                    suggestion: fault.suggestion,
                });
            }
        }
        Ok(settings)
    }

    fn of(&self, target: Target) -> Option<&Set<'o>> {
        self.list.iter().find(|set| set.meaning.target == target)
    }

    /// Fills what a JSON draft lacks.
    pub(super) fn complete(&self, tree: &mut Map<String, Value>) {
        let kind = tree
            .entry("type")
            .or_insert_with(|| self.kind.name().into());
        let Some(kind) = kind.as_str().and_then(Kind::parse) else {
            return;
        };
        let mut row = Draft::new(self.options, kind);
        let language = tree
            .get("language")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let set = self
            .of(Target::Language)
            .map(|set| row.languages("language", &set.cell()));
        let language = language.or_else(|| set?.into_iter().next());
        for set in &self.list {
            row.fill(
                &set.setting.field,
                &set.meaning,
                &set.cell(),
                language.as_deref(),
            );
        }
        if let (None, Some(language)) = (tree.get("language"), &language) {
            tree.insert("language".to_owned(), language.as_str().into());
        }
        for (name, value) in row.envelope {
            tree.entry(name).or_insert(value);
        }
        if let Some(Value::Object(body)) = tree.get_mut("body") {
            for (name, value) in row.body {
                lay_under(body, name, value);
            }
        }
    }
}

/// Puts `value` where there is nothing yet, within objects too.
fn lay_under(object: &mut Map<String, Value>, name: String, value: Value) {
    match (object.get_mut(&name), value) {
        (None | Some(Value::Null), value) => {
            object.insert(name, value);
        }
        (Some(Value::Object(there)), Value::Object(new)) => {
            for (name, value) in new {
                lay_under(there, name, value);
            }
        }
        _ => {}
    }
}

impl Set<'_> {
    fn cell(&self) -> Cell {
        Cell {
            text: self.setting.value.clone(),
            ..Cell::default()
        }
    }
}

fn kind_named(text: &str, options: &Options<'_>) -> Option<Kind> {
    Kind::parse(text).or_else(|| Kind::parse(options.labels.code("type", text)?))
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
        let mut draft = Draft::new(self.options, kind);
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
    fn language_of(&self, cells: &[Cell], draft: &mut Draft<'_>) -> (Option<String>, bool) {
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
    fn demand(&self, draft: &mut Draft<'_>) {
        let has_fault = |draft: &Draft<'_>, column: &Option<String>| {
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
    fn name_draft(&self, cells: &[Cell], language: &str, draft: &mut Draft<'_>) -> Key {
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

/// A draft that is being filled.
struct Draft<'o> {
    options: &'o Options<'o>,
    kind: Kind,
    envelope: Map<String, Value>,
    body: Map<String, Value>,
    /// Parts of a place, until it is known whose place it is.
    places: Vec<(&'static str, Value)>,
    /// What the row's language cell says, all of it.
    said_languages: Vec<String>,
    /// Whether a text had to be left out because nobody says in which language it is.
    lacks_language: bool,
    findings: Vec<Finding>,
    notes: Vec<String>,
}

impl<'o> Draft<'o> {
    fn new(options: &'o Options<'o>, kind: Kind) -> Self {
        Self {
            options,
            kind,
            envelope: Map::new(),
            body: Map::new(),
            places: Vec::new(),
            said_languages: Vec::new(),
            lacks_language: false,
            findings: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn find(&mut self, column: Option<String>, problem: &str, suggestion: &str) {
        let (problem, suggestion) = (problem.to_owned(), Some(suggestion.to_owned()));
        self.findings.push(Finding {
            row: 0,
            column,
            value: None,
            problem,
            suggestion,
        });
    }

    /// Reads a cell with `read` and keeps what it remarks.
    fn read<T>(&mut self, header: &str, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        let mut reader = Reader::new(self.options.labels, header);
        let value = read(&mut reader);
        let Reader {
            notes,
            beside,
            faults,
            ..
        } = reader;
        self.notes.extend(notes);
        for (path, value) in beside {
            if self.kind.shape(path).is_some() {
                put(&mut self.body, path, value);
            }
        }
        self.findings
            .extend(faults.into_iter().map(|fault| Finding {
                row: 0,
                column: Some(header.to_owned()),
                value: Some(fault.value),
                problem: fault.problem,
                suggestion: fault.suggestion,
            }));
        value
    }

    fn languages(&mut self, header: &str, cell: &Cell) -> Vec<String> {
        self.read(header, |reader| reader.languages_of(cell))
    }

    /// Fills what `meaning` says with the cell.
    fn fill(&mut self, header: &str, meaning: &Meaning, cell: &Cell, language: Option<&str>) {
        let language = meaning.language.as_deref().or(language);
        match meaning.target {
            Target::Id => {}
            Target::Type => {}
            Target::Language => {
                if let Some(language) = language {
                    self.envelope.insert("language".to_owned(), language.into());
                }
            }
            Target::RecordLicence => {
                self.fill_envelope(header, "licence", |reader| reader.tidy(cell))
            }
            Target::ValidUntil => {
                self.fill_envelope(header, "validUntil", |reader| reader.moment(cell, true))
            }
            Target::Confirmed => {
                self.fill_envelope(header, "confirmed", |reader| reader.moment(cell, false))
            }
            Target::Place(part) => {
                // A place of its own and that of an instance have the same members.
                let shape = OWN_PLACE
                    .iter()
                    .find(|(own, _)| *own == part)
                    .and_then(|(_, path)| Kind::Offering.shape(path));
                if let (Some(shape), Kind::Offering) = (shape, self.kind) {
                    if let Some(value) = self.value(header, part, shape, cell, language) {
                        self.places.push((part, value));
                    }
                } else {
                    self.leave_out(header, meaning);
                }
            }
            Target::Body(path) => {
                let path = self.kind.own_path(path);
                match self.kind.shape(path) {
                    Some(shape) => {
                        if let Some(value) = self.value(header, path, shape, cell, language) {
                            put(&mut self.body, path, value);
                        }
                    }
                    None => self.leave_out(header, meaning),
                }
            }
        }
    }

    fn leave_out(&mut self, header: &str, meaning: &Meaning) {
        let (member, kind) = (meaning.member(), self.kind.name());
        self.notes.push(format!(
            "column “{header}” ({member}) is left out: no {kind} has it"
        ));
    }

    fn fill_envelope(
        &mut self,
        header: &str,
        name: &str,
        read: impl FnOnce(&mut Reader<'_>) -> Option<String>,
    ) {
        if let Some(text) = self.read(header, read) {
            self.envelope.insert(name.to_owned(), text.into());
        }
    }

    fn value(
        &mut self,
        header: &str,
        path: &str,
        shape: Shape,
        cell: &Cell,
        language: Option<&str>,
    ) -> Option<Value> {
        let value = self.read(header, |reader| reader.value(path, shape, cell))?;
        match (shape, language) {
            (Shape::TextMap, Some(language)) => {
                if self.envelope.get("language").is_none() && language != "und" {
                    self.envelope.insert("language".to_owned(), language.into());
                }
                Some(Value::Object(Map::from_iter([(
                    language.to_owned(),
                    value,
                )])))
            }
            (Shape::TextMap, None) => {
                self.lacks_language = true;
                None
            }
            _ => Some(value),
        }
    }

    /// Puts the parts of a place where they belong.
    fn settle_places(&mut self) {
        let is_place = self.body.get("kind").and_then(Value::as_str) == Some("place");
        for (part, value) in std::mem::take(&mut self.places) {
            let path = if is_place {
                format!("place.{part}")
            } else {
                format!("instances.place.{part}")
            };
            put(&mut self.body, &path, value);
        }
    }

    /// A price without a word on the cost is a cost.
    fn settle_cost(&mut self) {
        let Some(Value::Object(cost)) = self.body.get_mut("cost") else {
            return;
        };
        if let (None, Some(price)) = (cost.get("kind"), cost.get("price").and_then(Value::as_str)) {
            let is_zero = price.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            cost.insert(
                "kind".to_owned(),
                if is_zero { "free" } else { "paid" }.into(),
            );
        }
    }
}

const OWN_PLACE: [(&str, &str); 6] = [
    ("name", "place.name"),
    ("locality", "place.locality"),
    ("address", "place.address"),
    ("latitude", "place.latitude"),
    ("longitude", "place.longitude"),
    ("openingHours", "place.openingHours"),
];

/// Puts a value at a dotted path: objects are made on the way, `instances` and `contactPoints` are
/// lists of one, lists and texts by language are joined, and what is there already stays.
fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((name, rest)) = path.split_once('.') else {
        match (object.get_mut(path), value) {
            (None, value) => {
                object.insert(path.to_owned(), value);
            }
            (Some(Value::Array(there)), Value::Array(more)) => {
                for value in more {
                    if !there.contains(&value) {
                        there.push(value);
                    }
                }
            }
            (Some(Value::Object(there)), Value::Object(more)) => {
                for (language, text) in more {
                    there.entry(language).or_insert(text);
                }
            }
            _ => {}
        }
        return;
    };
    let is_list = matches!(name, "instances" | "contactPoints");
    let empty = || {
        let object = Value::Object(Map::new());
        if is_list {
            Value::Array(vec![object])
        } else {
            object
        }
    };
    let inner = match object.entry(name).or_insert_with(empty) {
        Value::Array(list) => list.first_mut(),
        other => Some(other),
    };
    if let Some(Value::Object(inner)) = inner {
        put(inner, rest, value);
    }
}
