//! The text of a cell without what is there by accident.

use super::super::table::Cell;
use super::{Fault, Reader};

impl Reader<'_> {
    /// The text of a cell without what is there by accident; `None` where nothing is left.
    pub(in crate::import) fn tidy(&mut self, cell: &Cell) -> Option<String> {
        let raw = cell.text.trim();
        if raw.is_empty() && cell.values.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        if cell.cut {
            let most = crate::import::CELL_BYTES_MAX;
            let problem = format!("is longer than {most} bytes");
            self.faults.push(Fault::new(
                raw,
                problem,
                "shorten it, and link to the whole text",
            ));
            return None;
        }
        if raw.contains('\0') {
            let problem = "contains the character U+0000";
            self.faults.push(Fault::new(raw, problem, "take it out"));
            return None;
        }
        if FORMULA_ERRORS.contains(&raw) {
            let problem = "is what a spreadsheet writes where a formula failed";
            self.faults.push(Fault::new(
                raw,
                problem,
                "write the value itself, or leave the cell empty",
            ));
            return None;
        }
        if raw.contains('\u{FFFD}') || GARBLED.iter().any(|garbled| raw.contains(garbled)) {
            self.note("text that looks garbled, as if saved in another encoding, is kept as it is");
        }
        let without_tags = without_spans(raw);
        if without_tags != raw {
            self.note("HTML tags that only set the direction of text were taken out");
        }
        let mut text = entities(&without_tags);
        if text != without_tags {
            self.note("HTML spellings such as &amp; became the characters that they stand for");
        }
        if text
            .chars()
            .any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'))
        {
            text = text.replace(
                |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'),
                " ",
            );
            self.note("control characters became spaces");
        }
        let text = text.trim().replace("\r\n", "\n");
        (!text.is_empty() || cell.values.is_some()).then_some(text)
    }
}

/// What a spreadsheet writes where a formula failed.
const FORMULA_ERRORS: [&str; 7] = [
    "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#ERROR!",
];

/// UTF-8 that was once read as Windows-1252.
const GARBLED: [&str; 9] = ["Ã©", "Ã¨", "Ã¡", "Ã±", "Ã§", "Ã³", "Ãª", "â€™", "Ø§Ù"];

/// The text without `<span …>` and `<bdi>`, with which exports wrap mixed scripts. Other tags stay: a
/// course on HTML has them in its title.
fn without_spans(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        let name = after.strip_prefix('/').unwrap_or(after);
        let tag = ["span", "bdi"]
            .into_iter()
            .find_map(|tag| name.strip_prefix(tag));
        match tag
            .filter(|tail| tail.starts_with([' ', '>']))
            .and_then(|tail| tail.split_once('>'))
        {
            Some((_, tail)) => rest = tail,
            None => {
                plain.push('<');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The text with the HTML spellings that exports leave behind turned into characters. Markup and
/// names beyond these stay as they are.
pub(in crate::import) fn entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let found = after
            .split_once(';')
            .filter(|(name, _)| name.len() <= 8)
            .and_then(|(name, tail)| Some((entity(name)?, tail)));
        match found {
            Some((letter, tail)) => {
                plain.push(letter);
                rest = tail;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{A0}',
        "lrm" => '\u{200E}',
        "rlm" => '\u{200F}',
        "zwj" => '\u{200D}',
        "zwnj" => '\u{200C}',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "rsquo" => '’',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|letter| !letter.is_control())?
        }
    })
}
