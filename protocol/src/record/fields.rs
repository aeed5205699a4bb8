//! Reading the members of a body: typed values out, faults collected with their paths.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::codes::language::{is_no_language, meant_by};
use crate::codes::{Scheme, geography, language_tag};
use crate::id::{RecordId, Scid};
use crate::time::Timestamp;

/// Most elements of one list in a body.
const LIST_MAX: usize = 300;

/// Text in several languages: BCP 47 tag to text, never empty.
pub type TextMap = BTreeMap<Box<str>, Box<str>>;

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: member names and positions, such as `cost.kind` or `instances.2.start`.
    pub path: String,
    /// What must stand there, and what stands there.
    pub problem: String,
}

/// All faults of a body, in the order in which they were met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl fmt::Display for FieldErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(out, "{separator}“{}” {}", error.path, error.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}

/// A coded value: of the shipped list, or of another scheme that it names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    /// The scheme; `None` for the list that ships for this member.
    pub scheme: Option<Box<str>>,
    /// The code.
    pub code: Box<str>,
}

/// The members of one object, and where its faults go.
pub(super) struct Fields<'b> {
    object: &'b Map<String, Value>,
    path: String,
    faults: RefCell<Vec<FieldError>>,
    /// What is read is not signed yet, so that its writer can still be told what is odd.
    is_draft: bool,
}

impl<'b> Fields<'b> {
    pub(super) fn of(object: &'b Map<String, Value>) -> Self {
        Self {
            object,
            path: String::new(),
            faults: RefCell::default(),
            is_draft: false,
        }
    }

    pub(super) fn of_draft(object: &'b Map<String, Value>) -> Self {
        Self {
            is_draft: true,
            ..Self::of(object)
        }
    }

    /// The faults, if there were any.
    pub(super) fn finish(self) -> Result<(), FieldErrors> {
        let faults = self.faults.into_inner();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(FieldErrors(faults))
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn fault(&self, path: String, problem: impl Into<String>) {
        self.faults.borrow_mut().push(FieldError {
            path,
            problem: problem.into(),
        });
    }

    /// An absent member reads as `None`; so does `null`, which many exporters write for absent.
    fn get(&self, name: &str) -> Option<&'b Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A member read by `read`, which gives what was expected where it cannot.
    fn value<T>(&self, name: &str, read: impl FnOnce(&'b Value) -> Result<T, String>) -> Option<T> {
        match read(self.get(name)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.fault(self.path_of(name), problem);
                None
            }
        }
    }

    fn list<T>(&self, name: &str, read: impl Fn(&'b Value) -> Result<T, String>) -> Vec<T> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let Some(list) = value.as_array().filter(|list| list.len() <= LIST_MAX) else {
            self.fault(
                self.path_of(name),
                format!("must be a list of at most {LIST_MAX} elements"),
            );
            return Vec::new();
        };
        let mut values = Vec::with_capacity(list.len());
        for (position, element) in list.iter().enumerate() {
            match read(element) {
                Ok(value) => values.push(value),
                Err(problem) => self.fault(self.path_of(&format!("{name}.{position}")), problem),
            }
        }
        values
    }

    fn nested<T>(
        &self,
        path: String,
        value: &'b Value,
        read: impl Fn(&Fields<'b>) -> T,
    ) -> Option<T> {
        let Some(object) = value.as_object() else {
            self.fault(path, "must be an object");
            return None;
        };
        let inner = Fields {
            object,
            path,
            faults: RefCell::default(),
            is_draft: self.is_draft,
        };
        let value = read(&inner);
        self.faults
            .borrow_mut()
            .append(&mut inner.faults.into_inner());
        Some(value)
    }

    /// An object member.
    pub(super) fn object<T>(&self, name: &str, read: impl Fn(&Fields<'b>) -> T) -> Option<T> {
        self.nested(self.path_of(name), self.get(name)?, read)
    }

    /// A list of objects.
    pub(super) fn objects<T>(&self, name: &str, read: impl Fn(&Fields<'b>) -> T) -> Vec<T> {
        let list = self.list(name, Ok);
        let element = |(position, value)| {
            self.nested(self.path_of(&format!("{name}.{position}")), value, &read)
        };
        list.into_iter().enumerate().filter_map(element).collect()
    }

    /// A text in one or more languages; a required one reads as empty where it is missing.
    pub(super) fn required_text_map(&self, name: &str) -> TextMap {
        if self.get(name).is_none() {
            self.fault(
                self.path_of(name),
                "is required: a text by language, such as {\"en\": \"…\"}",
            );
        }
        self.text_map(name)
    }

    /// A text in one or more languages.
    pub(super) fn text_map(&self, name: &str) -> TextMap {
        let expected = || "must be a text by language, such as {\"en\": \"…\"}".to_owned();
        self.value(name, |value| {
            let object = value
                .as_object()
                .filter(|object| !object.is_empty())
                .ok_or_else(expected)?;
            object
                .iter()
                .map(|(language, text)| {
                    let tag = language_tag(language).ok_or_else(|| {
                        let hint = did_you_mean(language);
                        format!("has “{language}” where a language tag such as fr must stand{hint}")
                    })?;
                    if self.is_draft && is_no_language(&tag) {
                        return Err(no_language(language));
                    }
                    let text = text
                        .as_str()
                        .filter(|text| !text.trim().is_empty())
                        .ok_or_else(expected)?;
                    Ok((tag.into(), text.into()))
                })
                .collect::<Result<TextMap, String>>()
        })
        .unwrap_or_default()
    }

    pub(super) fn text(&self, name: &str) -> Option<Box<str>> {
        self.value(name, read_text)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<Box<str>> {
        self.list(name, read_text)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.value(name, |value| {
            value
                .as_bool()
                .ok_or_else(|| "must be true or false".to_owned())
        })
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.value(name, |value| {
            value
                .as_u64()
                .ok_or_else(|| "must be a number of 0 or more".to_owned())
        })
    }

    /// A decimal number, which travels as text: `12.50`.
    pub(super) fn decimal(&self, name: &str) -> Option<Box<str>> {
        self.value(name, |value| {
            value
                .as_str()
                .filter(|text| is_decimal(text))
                .map(Into::into)
                .ok_or_else(|| "must be a decimal number as text, such as \"12.50\"".to_owned())
        })
    }

    pub(super) fn url(&self, name: &str) -> Option<Box<str>> {
        self.value(name, read_url)
    }

    pub(super) fn urls(&self, name: &str) -> Vec<Box<str>> {
        self.list(name, read_url)
    }

    /// A day, or a moment: `2027-01-12` or `2027-01-12T09:00:00Z`.
    pub(super) fn date(&self, name: &str) -> Option<Box<str>> {
        self.value(name, |value| {
            value
                .as_str()
                .filter(|text| is_date(text))
                .map(Into::into)
                .ok_or_else(|| format!("must be a date such as 2027-01-12, not {}", shown(value)))
        })
    }

    /// An ISO 8601 duration: `P6W`, `PT12H`.
    pub(super) fn duration(&self, name: &str) -> Option<Box<str>> {
        self.value(name, |value| {
            value
                .as_str()
                .filter(|text| is_duration(text))
                .map(Into::into)
                .ok_or_else(|| {
                    format!(
                        "must be an ISO 8601 duration such as P6W or PT12H, not {}",
                        shown(value)
                    )
                })
        })
    }

    /// A three-letter currency code of ISO 4217, by form.
    pub(super) fn currency(&self, name: &str) -> Option<Box<str>> {
        self.value(name, |value| {
            value
                .as_str()
                .filter(|text| {
                    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
                })
                .map(Into::into)
                .ok_or_else(|| {
                    format!(
                        "must be a currency of ISO 4217 such as KES, not {}",
                        shown(value)
                    )
                })
        })
    }

    pub(super) fn record_id(&self, name: &str) -> Option<RecordId> {
        self.value(name, read_record_id)
    }

    pub(super) fn record_ids(&self, name: &str) -> Vec<RecordId> {
        self.list(name, read_record_id)
    }

    pub(super) fn required_scid(&self, name: &str) -> Option<Scid> {
        const EXPECTED: &str = "must be the author's SCID: 46 characters that begin with Qm";
        if self.get(name).is_none() {
            self.fault(self.path_of(name), EXPECTED);
        }
        self.value(name, |value| {
            let scid = value.as_str().and_then(|text| Scid::parse(text).ok());
            scid.ok_or_else(|| EXPECTED.to_owned())
        })
    }

    /// A code that must be of the shipped list: what the program itself decides by.
    pub(super) fn own_code(&self, name: &str, scheme: &Scheme) -> Option<&'static str> {
        self.value(name, |value| {
            let code = value.as_str().ok_or_else(|| unknown_code(value, scheme))?;
            scheme.get(code).ok_or_else(|| unknown_code(value, scheme))
        })
    }

    pub(super) fn required_own_code(&self, name: &str, scheme: &Scheme) -> &'static str {
        if self.get(name).is_none() {
            let codes = scheme.codes().join(", ");
            self.fault(self.path_of(name), format!("is required: one of {codes}"));
        }
        self.own_code(name, scheme).unwrap_or_default()
    }

    /// A code of the shipped list, or of a scheme that it names.
    pub(super) fn code(&self, name: &str, scheme: &Scheme) -> Option<Code> {
        self.value(name, |value| {
            read_code(value, |code| check_in(scheme, value, code))
        })
    }

    /// Codes of the shipped list, or of schemes that they name.
    pub(super) fn codes(&self, name: &str, scheme: &Scheme) -> Vec<Code> {
        self.list(name, |value| {
            read_code(value, |code| check_in(scheme, value, code))
        })
    }

    /// Codes of schemes that each names: `{"scheme": "ESCO", "code": "…"}`.
    pub(super) fn foreign_codes(&self, name: &str) -> Vec<Code> {
        self.list(name, |value| {
            read_code(value, |_| {
                Err("must name its scheme: {\"scheme\": \"…\", \"code\": \"…\"}".to_owned())
            })
        })
    }

    pub(super) fn languages(&self, name: &str) -> Vec<Box<str>> {
        self.list(name, |value| {
            let tag = read_language(value)?;
            if self.is_draft && is_no_language(&tag) {
                return Err(no_language(&tag));
            }
            Ok(tag)
        })
    }

    /// ISO 3166-1 countries, or ISO 3166-2 parts of one: `KE`, `KE-30`.
    pub(super) fn countries(&self, name: &str) -> Vec<Box<str>> {
        self.list(name, read_country)
    }

    pub(super) fn country(&self, name: &str) -> Option<Box<str>> {
        self.value(name, read_country)
    }

    /// UN M49 regions: `002`, `011`.
    pub(super) fn regions(&self, name: &str) -> Vec<Box<str>> {
        self.list(name, |value| {
            value
                .as_str()
                .filter(|code| geography::is_region(code))
                .map(Into::into)
                .ok_or_else(|| {
                    format!(
                        "must be a UN M49 region such as \"011\" for Western Africa, not {}",
                        shown(value)
                    )
                })
        })
    }
}

/// A value as an error shows it: short.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        text
    } else {
        text.chars().take(59).chain(['…']).collect()
    }
}

fn read_text(value: &Value) -> Result<Box<str>, String> {
    value
        .as_str()
        .filter(|text| !text.trim().is_empty())
        .map(Into::into)
        .ok_or_else(|| format!("must be a text, not {}", shown(value)))
}

fn read_url(value: &Value) -> Result<Box<str>, String> {
    value
        .as_str()
        .filter(|text| is_web_address(text))
        .map(Into::into)
        .ok_or_else(|| {
            format!(
                "must be a web address that begins with https:// or http://, not {}",
                shown(value)
            )
        })
}

fn read_record_id(value: &Value) -> Result<RecordId, String> {
    value
        .as_str()
        .and_then(|text| RecordId::parse(text).ok())
        .ok_or_else(|| format!("must be a record id, SCID/localId, not {}", shown(value)))
}

/// What is said of a tag that stands for no language.
pub(super) fn no_language(tag: &str) -> String {
    let hint = did_you_mean(tag);
    format!("has “{tag}”, which is the code of no language: use one such as fr or pt-BR{hint}")
}

fn did_you_mean(name: &str) -> String {
    meant_by(name).map_or_else(String::new, |code| format!("; did you mean {code}?"))
}

fn read_language(value: &Value) -> Result<Box<str>, String> {
    value
        .as_str()
        .and_then(language_tag)
        .map(Into::into)
        .ok_or_else(|| {
            format!(
                "must be a BCP 47 language tag such as fr or pt-BR, not {}{}",
                shown(value),
                value.as_str().map(did_you_mean).unwrap_or_default()
            )
        })
}

fn read_country(value: &Value) -> Result<Box<str>, String> {
    value
        .as_str()
        .filter(|code| {
            geography::country(code).is_some() || geography::country_of_subdivision(code).is_some()
        })
        .map(Into::into)
        .ok_or_else(|| {
            format!(
                "must be a country of ISO 3166 such as KE, or a part of one such as KE-30, not {}",
                shown(value)
            )
        })
}

fn read_code(value: &Value, own: impl Fn(&str) -> Result<(), String>) -> Result<Code, String> {
    match value {
        Value::String(code) => {
            own(code)?;
            Ok(Code {
                scheme: None,
                code: code.as_str().into(),
            })
        }
        Value::Object(object) => {
            let member = |name: &str| {
                object
                    .get(name)
                    .and_then(Value::as_str)
                    .filter(|text| !text.is_empty())
                    .ok_or_else(|| "must be {\"scheme\": \"…\", \"code\": \"…\"}".to_owned())
            };
            Ok(Code {
                scheme: Some(member("scheme")?.into()),
                code: member("code")?.into(),
            })
        }
        _ => Err("must be a code, or {\"scheme\": \"…\", \"code\": \"…\"}".to_owned()),
    }
}

fn check_in(scheme: &Scheme, value: &Value, code: &str) -> Result<(), String> {
    if scheme.contains(code) {
        Ok(())
    } else {
        Err(unknown_code(value, scheme))
    }
}

fn unknown_code(value: &Value, scheme: &Scheme) -> String {
    let code = value.as_str().unwrap_or_default();
    match scheme.nearest(code) {
        Some(nearest) => format!(
            "has the unknown {} {}: did you mean “{nearest}”?",
            scheme.name(),
            shown(value)
        ),
        None => {
            let known = scheme.codes();
            let some = known.iter().take(6).copied().collect::<Vec<_>>().join(", ");
            let more = if known.len() > 6 { " …" } else { "" };
            format!(
                "has the unknown {} {}: known are {some}{more}",
                scheme.name(),
                shown(value)
            )
        }
    }
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| {
        (1..=20).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(whole) && digits(fraction)
}

fn is_date(text: &str) -> bool {
    Timestamp::parse(text).is_ok()
        || (text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok())
}

fn is_duration(text: &str) -> bool {
    let Some(parts) = text
        .strip_prefix('P')
        .filter(|parts| !parts.is_empty() && text.len() <= 32)
    else {
        return false;
    };
    let (days, time) = match parts.split_once('T') {
        Some((_, "")) => return false,
        Some((days, time)) => (days, time),
        None => (parts, ""),
    };
    counted_units(days, "YMWD") && counted_units(time, "HMS")
}

/// Whether `text` is numbers, each followed by the next of `units`.
fn counted_units(text: &str, units: &str) -> bool {
    let mut left = units;
    let mut digits = 0;
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits += 1;
            continue;
        }
        match left.find(letter) {
            Some(position) if digits > 0 => left = left.get(position + 1..).unwrap_or_default(),
            _ => return false,
        }
        digits = 0;
    }
    digits == 0
}

fn is_web_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && text.len() <= 2_048
            && !text
                .chars()
                .any(|letter| letter.is_whitespace() || letter.is_control())
    })
}

#[cfg(test)]
mod tests {
    use super::{is_date, is_decimal, is_duration, is_web_address};

    #[test]
    fn small_forms_are_told_apart() {
        assert!(
            ["P6W", "PT12H", "P1Y2M10DT2H30M"]
                .iter()
                .all(|text| is_duration(text))
        );
        assert!(
            !["6W", "P", "PT", "P6", "P1D2Y", "P6X", "P1W "]
                .iter()
                .any(|text| is_duration(text))
        );
        assert!(["0", "12.50", "-3.1"].iter().all(|text| is_decimal(text)));
        assert!(
            !["", ".5", "1.", "1e3", "1,5"]
                .iter()
                .any(|text| is_decimal(text))
        );
        assert!(is_date("2027-01-12") && is_date("2027-01-12T09:00:00Z") && !is_date("12/01/2027"));
        assert!(is_web_address("https://a.example/x") && is_web_address("http://a"));
        assert!(
            !is_web_address("javascript:alert(1)")
                && !is_web_address("https:///x")
                && !is_web_address("https://a b")
        );
    }
}
