//! What an import says: on the terminal in brief, in the report whole, for whoever keeps the table.

use std::path::Path;

use protocol::time::Timestamp;

use super::tally::{Counted, Missing};
use crate::import::Report;

/// How an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Rows are bad, and nothing was done.
    Blocked,
    /// It was only tried.
    Tried,
    /// It is done.
    Published,
}

/// All that there is to say.
pub(super) struct Told {
    pub(super) source: String,
    pub(super) handle: String,
    pub(super) at: Timestamp,
    pub(super) ending: Ending,
    pub(super) report: Report,
    pub(super) counted: Counted,
    pub(super) missing: Missing,
}

/// Most lines of one kind on a terminal.
const LINES_MAX: usize = 20;

fn rows(count: u64) -> String {
    some(count, "row", "rows")
}

fn some(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{} {many}", grouped(count)),
    }
}

/// `12345` as `12,345`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Told {
    /// One line on the rows.
    fn read(&self) -> String {
        let report = &self.report;
        let left_out = match report.rows_left_out {
            0 => String::new(),
            count => format!(", {} left out", grouped(count)),
        };
        format!(
            "{} read: {} good, {} bad, {} repeated{left_out}",
            rows(report.rows_read),
            grouped(report.rows_good),
            grouped(report.rows_bad),
            grouped(report.rows_duplicate)
        )
    }

    /// One line on what was done.
    fn result(&self) -> String {
        let (counted, bad) = (&self.counted, self.report.rows_bad);
        let counts = format!(
            "{} new, {} changed, {} unchanged, {} refused",
            grouped(counted.new),
            grouped(counted.changed),
            grouped(counted.unchanged),
            grouped(bad)
        );
        match self.ending {
            Ending::Blocked => {
                "Nothing was published: mend these rows, or publish the good ones with --good-rows."
                    .to_owned()
            }
            Ending::Tried => format!("{counts}: this is what would be done. Nothing was changed."),
            Ending::Published => counts,
        }
    }

    /// What the owner should know beyond the rows themselves.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let (counted, missing) = (&self.counted, &self.missing);
        if self.ending == Ending::Blocked {
            return remarks;
        }
        match counted.still_withdrawn {
            0 => {}
            1 => remarks.push(
                "1 row is of a record that you withdrew; it stays withdrawn. Bring it back with --restore.".to_owned(),
            ),
            count => remarks.push(format!(
                "{} rows are of records that you withdrew; they stay withdrawn. Bring them back with --restore.",
                grouped(count)
            )),
        }
        for (source, before) in &counted.before {
            remarks.push(format!(
                "{} came from {source} before, and {} this source's now.",
                some(before.taken_over, "row", "rows"),
                if before.taken_over == 1 { "is" } else { "are" }
            ));
            if before.left > 0 {
                remarks.push(format!(
                    "{} of {source} {} not in it. If {} takes its place, import it with --source \"{source}\".",
                    some(before.left, "other record", "other records"),
                    if before.left == 1 { "is" } else { "are" },
                    self.source
                ));
            }
        }
        if counted.overwritten > 0 {
            remarks.push(format!(
                "{} that did not come from an import {} now what this file says.",
                some(counted.overwritten, "record", "records"),
                if counted.overwritten == 1 {
                    "says"
                } else {
                    "say"
                }
            ));
        }
        if missing.withdrawn > 0 {
            let done = if self.ending == Ending::Tried {
                "would be withdrawn"
            } else {
                "withdrawn"
            };
            remarks.push(format!(
                "{} {done}: no longer in {}",
                some(missing.withdrawn, "record", "records"),
                self.source
            ));
        } else if missing.count > 0 {
            remarks.push(format!(
                "{} of earlier imports of {} no longer in it. Nothing is withdrawn unless you say --withdraw-missing.",
                some(missing.count, "record", "records"),
                match missing.count {
                    1 => format!("{} is", self.source),
                    _ => format!("{} are", self.source),
                }
            ));
        }
        remarks
    }

    fn columns(&self) -> Option<String> {
        let taken = self
            .report
            .columns
            .iter()
            .map(|column| match &column.member {
                Some(member) => format!("“{}” is {member}", column.header),
                None => format!("“{}” is left out", column.header),
            });
        let taken: Vec<String> = taken.collect();
        (!taken.is_empty()).then(|| format!("columns: {}", taken.join(", ")))
    }

    fn findings_count(&self) -> u64 {
        self.report.findings.len() as u64 + self.report.findings_left_out
    }
}

/// What a terminal shows: enough to go on, never a screenful.
pub(super) fn terminal(told: &Told, report_file: Option<&Path>) -> String {
    let report = &told.report;
    let mut lines = vec![told.read()];
    lines.extend(told.columns());
    let first = |lines: &mut Vec<String>, list: Vec<String>, all: u64| {
        let shown = list.len().min(LINES_MAX) as u64;
        lines.extend(list.into_iter().take(LINES_MAX));
        if all > shown {
            lines.push(format!("… and {} more", grouped(all - shown)));
        }
    };
    let texts = |list: &[&dyn ToString]| list.iter().map(|item| item.to_string()).collect();
    let findings: Vec<&dyn ToString> = report.findings.iter().map(|item| item as _).collect();
    let duplicates: Vec<&dyn ToString> = report.duplicates.iter().map(|item| item as _).collect();
    let notices: Vec<&dyn ToString> = report.notices.iter().map(|item| item as _).collect();
    first(&mut lines, texts(&findings), told.findings_count());
    first(&mut lines, texts(&duplicates), report.rows_duplicate);
    first(&mut lines, texts(&notices), notices.len() as u64);
    if told.ending != Ending::Blocked {
        let missing = told.missing.named.iter();
        let missing = missing.map(|(id, name)| format!("no longer in the file: {id}  {name}"));
        first(&mut lines, missing.collect(), told.missing.count);
    }
    lines.push(told.result());
    lines.extend(told.remarks());
    match report_file {
        Some(path) => lines.push(format!("The whole report: {}", path.display())),
        None if told.findings_count() > LINES_MAX as u64 => {
            lines.push(
                "All of them, for whoever keeps the table: --report FILE.txt or FILE.csv"
                    .to_owned(),
            );
        }
        None => {}
    }
    lines.join("\n")
}

/// The report as a file: a table if it is named `.csv`, a text to read or print otherwise.
pub(super) fn file(told: &Told, path: &Path) -> String {
    let is_table = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    if is_table { table(told) } else { text(told) }
}

fn text(told: &Told) -> String {
    let report = &told.report;
    let day = told.at.to_string();
    let day = day.get(..16).unwrap_or(&day).replace('T', " ");
    let mut page = Page(String::new());
    page.line(&format!("IMPORT OF {}", told.source));
    page.line(&format!("for {}, on {day} UTC", told.handle));
    page.heading("Result");
    match told.ending {
        Ending::Blocked => {
            page.line(&format!(
                "Nothing was published: {} cannot be read rightly.",
                rows(report.rows_bad)
            ));
            page.line("Mend what is listed below in your own file, save it, and import it again.");
        }
        Ending::Tried => page.line("This was a trial. Nothing was published or changed."),
        Ending::Published => page.line("The import is published."),
    }
    page.line("");
    page.pair("rows read", &grouped(report.rows_read));
    page.pair("good", &grouped(report.rows_good));
    page.pair("with mistakes", &grouped(report.rows_bad));
    page.pair("repeating others", &grouped(report.rows_duplicate));
    if report.rows_left_out > 0 {
        page.pair("left out", &grouped(report.rows_left_out));
    }
    if told.ending != Ending::Blocked {
        page.line("");
        page.pair("new", &grouped(told.counted.new));
        page.pair("changed", &grouped(told.counted.changed));
        page.pair("as before", &grouped(told.counted.unchanged));
    }
    let remarks = told.remarks();
    if !remarks.is_empty() {
        page.line("");
        for remark in &remarks {
            page.item(remark);
        }
    }
    if told.findings_count() > 0 {
        page.heading(&format!(
            "To mend: {}",
            some(told.findings_count(), "mistake", "mistakes")
        ));
        page.line("Rows and columns are named as your spreadsheet shows them.");
        for finding in &report.findings {
            page.line("");
            let column = finding.column.as_ref();
            let column = column.map_or_else(String::new, |column| format!(", column “{column}”"));
            page.line(&format!("Row {}{column}", finding.row));
            if let Some(value) = &finding.value {
                page.entry("it says", value);
            }
            page.entry("mistake", &finding.problem);
            if let Some(suggestion) = &finding.suggestion {
                page.entry("to do", suggestion);
            }
        }
        if report.findings_left_out > 0 {
            page.line("");
            page.line(&format!(
                "and {} more, which are not listed.",
                grouped(report.findings_left_out)
            ));
        }
    }
    page.list(
        "Rows that repeat others",
        &report.duplicates,
        report.rows_duplicate,
    );
    page.list("What was mended for you, or left out", &report.notices, 0);
    if told.ending != Ending::Blocked {
        let rows: Vec<String> = told
            .counted
            .withdrawn_rows
            .iter()
            .map(|(row, id)| format!("row {row}: {id}"))
            .collect();
        page.list(
            "Withdrawn by you, and left so",
            &rows,
            told.counted.still_withdrawn,
        );
        let missing: Vec<String> = told
            .missing
            .named
            .iter()
            .map(|(id, name)| format!("{name} ({id})"))
            .collect();
        page.list("No longer in the file", &missing, told.missing.count);
    }
    if !report.columns.is_empty() {
        page.heading("How the columns were understood");
        for column in &report.columns {
            let member = column.member.as_deref().unwrap_or("(left out)");
            page.pair(&format!("“{}”", column.header), member);
        }
    }
    page.0
}

/// A page of text.
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
        self.line(&"-".repeat(text.chars().count()));
    }

    fn pair(&mut self, name: &str, value: &str) {
        let room = 24_usize.saturating_sub(name.chars().count());
        self.line(&format!("  {name}{}  {value}", " ".repeat(room)));
    }

    fn entry(&mut self, name: &str, text: &str) {
        self.line(&format!("    {name:<8} {text}"));
    }

    fn item(&mut self, text: &str) {
        self.line(&format!("* {text}"));
    }

    /// A section of what is listed; `all` if there are more than that.
    fn list(&mut self, heading: &str, items: &[impl ToString], all: u64) {
        if items.is_empty() {
            return;
        }
        let count = (items.len() as u64).max(all);
        self.heading(&format!("{heading}: {}", grouped(count)));
        for item in items {
            self.item(&item.to_string());
        }
        if count > items.len() as u64 {
            self.line(&format!("and {} more", grouped(count - items.len() as u64)));
        }
    }
}

/// The findings and repetitions as a table that a spreadsheet opens.
fn table(told: &Told) -> String {
    // Without the mark, spreadsheets take it for another encoding.
    let mut table = String::from("\u{feff}row,column,it says,mistake,to do\r\n");
    let mut put = |cells: [&str; 5]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell_of(cell)).collect();
        table.push_str(&cells.join(","));
        table.push_str("\r\n");
    };
    for finding in &told.report.findings {
        put([
            &finding.row.to_string(),
            finding.column.as_deref().unwrap_or_default(),
            finding.value.as_deref().unwrap_or_default(),
            &finding.problem,
            finding.suggestion.as_deref().unwrap_or_default(),
        ]);
    }
    for duplicate in &told.report.duplicates {
        let problem = duplicate.to_string();
        put([&duplicate.row.to_string(), "", "", &problem, ""]);
    }
    table
}

/// A cell that is text to every spreadsheet: what begins like a formula gets an apostrophe (I04).
fn cell_of(text: &str) -> String {
    let text = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if text.contains(['"', ',', '\n', '\r', ';']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{cell_of, grouped, rows};

    #[test]
    fn i04_cells_that_would_be_formulas_are_text_in_the_table() {
        assert_eq!(cell_of("=1+1"), "'=1+1");
        assert_eq!(cell_of("@SUM(A1,\"x\")"), "\"'@SUM(A1,\"\"x\"\")\"");
        assert_eq!(cell_of("plain"), "plain");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(rows(1), "1 row");
    }
}
