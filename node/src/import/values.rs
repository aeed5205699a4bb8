//! Text of a cell to a value of a record: what is mended, and what is named as wrong.
//!
//! Mended is only what can mean one thing. Where a person must choose (`03/04/2027`), both readings
//! are named.

mod address;
mod codes;
mod numbers;
mod places;
mod text;
mod times;

use serde_json::Value;

use super::Labels;
use super::members::Shape;
use super::report::shown;
use super::table::Cell;
pub(super) use text::entities;

use codes::foreign;
use numbers::{count, currency, decimal, flag};
use places::unknown_country;
use times::duration;

/// What is wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) value: String,
    pub(super) problem: String,
    pub(super) suggestion: Option<String>,
}

impl Fault {
    fn new(value: &str, problem: impl Into<String>, suggestion: impl Into<String>) -> Self {
        let suggestion = suggestion.into();
        Self {
            value: shown(value),
            problem: problem.into(),
            suggestion: (!suggestion.is_empty()).then_some(suggestion),
        }
    }
}

/// One cell on its way to a value, and what came out beside it.
pub(super) struct Reader<'r> {
    labels: &'r dyn Labels,
    header: &'r str,
    /// What was mended, to be told.
    pub(super) notes: Vec<String>,
    /// Values that belong to other members: an area in the column of topics.
    pub(super) beside: Vec<(&'static str, Value)>,
    /// All that is wrong.
    pub(super) faults: Vec<Fault>,
}

/// Cells that say that nothing is known.
const UNKNOWN: [&str; 11] = [
    "-", "–", "—", "?", "n/a", "#n/a", "na", "null", "nil", "unknown", "tbd",
];

impl<'r> Reader<'r> {
    pub(super) fn new(labels: &'r dyn Labels, header: &'r str) -> Self {
        Self {
            labels,
            header,
            notes: Vec::new(),
            beside: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The cell as a value for the member at `path`; `None` where it says nothing or is wrong. A text
    /// by language comes back as text.
    pub(super) fn value(&mut self, path: &str, shape: Shape, cell: &Cell) -> Option<Value> {
        let text = self.tidy(cell)?;
        let is_text = matches!(shape, Shape::TextMap | Shape::Text);
        if !is_text && UNKNOWN.contains(&text.to_lowercase().as_str()) {
            return None;
        }
        let pieces = || -> Vec<String> {
            let parted = |text: &str| -> Vec<String> {
                text.split([';', '؛'])
                    .map(|piece| piece.trim().to_owned())
                    .collect()
            };
            let mut pieces = match &cell.values {
                Some(values) => values
                    .iter()
                    .map(|value| entities(value).trim().to_owned())
                    .collect(),
                None => parted(&text),
            };
            pieces.retain(|piece: &String| !piece.is_empty());
            pieces
        };
        let one = |result: Result<Value, Fault>, reader: &mut Self| match result {
            Ok(value) => Some(value),
            Err(fault) => {
                reader.faults.push(fault);
                None
            }
        };
        match shape {
            Shape::TextMap | Shape::Text => Some(text.into()),
            Shape::RecordId => Some(text.into()),
            Shape::Texts | Shape::RecordIds => Some(list(pieces())),
            Shape::Flag => one(flag(&text), self),
            Shape::Count => one(count(&text), self),
            Shape::Decimal => one(decimal(&text).map(Value::from), self),
            Shape::Url => {
                let value = self.url(&text);
                one(value, self)
            }
            Shape::Urls => {
                let mut urls = Vec::new();
                for piece in pieces() {
                    let url = self.url(&piece);
                    urls.extend(one(url, self));
                }
                Some(list(urls))
            }
            Shape::Date => {
                let date = self.date(&text).map(Value::from);
                one(date, self)
            }
            Shape::Duration => one(duration(&text), self),
            Shape::Currency => one(currency(&text), self),
            Shape::OwnCode(scheme) => {
                let value = self.own_code(path, scheme, &text);
                one(value, self)
            }
            Shape::Code(scheme) => Some(self.code(scheme, &text)),
            Shape::Codes(scheme) => Some(self.codes(path, scheme, pieces())),
            Shape::ForeignCodes => Some(list(pieces().iter().map(|piece| foreign(piece)))),
            Shape::Languages => Some(list(self.languages(pieces()))),
            Shape::Countries => Some(self.countries(path, pieces())),
            Shape::Country => match self.country(&text) {
                Some(code) => Some(code.into()),
                None => {
                    self.faults.push(unknown_country(&text));
                    None
                }
            },
            Shape::Regions => Some(self.regions(pieces())),
        }
    }

    /// The languages that a cell names, as tags.
    pub(super) fn languages_of(&mut self, cell: &Cell) -> Vec<String> {
        let list = self.value("languages", Shape::Languages, cell);
        let tags = list
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        tags.filter_map(|tag| tag.as_str().map(str::to_owned))
            .collect()
    }

    /// A day as the moment at which it begins or, where `at_end`, ends; a moment as it is.
    pub(super) fn moment(&mut self, cell: &Cell, at_end: bool) -> Option<String> {
        let date = self.value("", Shape::Date, cell)?;
        let date = date.as_str()?;
        let time = if at_end { "T23:59:59Z" } else { "T00:00:00Z" };
        Some(if date.len() == 10 {
            format!("{date}{time}")
        } else {
            date.to_owned()
        })
    }

    fn note(&mut self, text: &str) {
        self.notes
            .push(format!("column “{}”: {text}", shown(self.header)));
    }
}

fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    let mut unique: Vec<Value> = Vec::new();
    for value in values {
        let value = value.into();
        if !unique.contains(&value) {
            unique.push(value);
        }
    }
    Value::Array(unique)
}

/// The parts of a text that was parted by something other than `;`, if each is known.
fn parts<T>(text: &str, known: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let parts: Vec<&str> = text
        .split([',', '/', '|', '\n', '،', '+', '&'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() < 2 {
        None
    } else {
        parts.into_iter().map(known).collect()
    }
}
