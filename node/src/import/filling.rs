//! A draft being filled, value by value: each is read, and what is remarked about it is kept.

use serde_json::{Map, Value};

use super::Options;
use super::headers::{Meaning, Target};
use super::members::{Kind, Shape};
use super::report::Finding;
use super::table::Cell;
use super::values::Reader;

/// What is known of one record so far. Its findings get their row from whoever asks for them.
pub(super) struct Filling<'o> {
    pub(super) options: &'o Options<'o>,
    pub(super) kind: Kind,
    pub(super) envelope: Map<String, Value>,
    pub(super) body: Map<String, Value>,
    /// Parts of a place, until it is known whose place it is.
    places: Vec<(&'static str, Value)>,
    /// What the row's language cell says, all of it.
    pub(super) said_languages: Vec<String>,
    /// Whether a text had to be left out because nobody says in which language it is.
    pub(super) lacks_language: bool,
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<String>,
}

impl<'o> Filling<'o> {
    pub(super) fn new(options: &'o Options<'o>, kind: Kind) -> Self {
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

    pub(super) fn find(&mut self, column: Option<String>, problem: &str, suggestion: &str) {
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

    pub(super) fn languages(&mut self, header: &str, cell: &Cell) -> Vec<String> {
        self.read(header, |reader| reader.languages_of(cell))
    }

    /// Fills what `meaning` says with the cell.
    pub(super) fn fill(
        &mut self,
        header: &str,
        meaning: &Meaning,
        cell: &Cell,
        language: Option<&str>,
    ) {
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
    pub(super) fn settle_places(&mut self) {
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
    pub(super) fn settle_cost(&mut self) {
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
        // A column of currencies is filled even where nothing has a price.
        if cost.keys().all(|name| name == "currency") {
            self.body.remove("cost");
            self.notes
                .push("a currency without a price says nothing and was left out".to_owned());
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
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
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
