//! Text of a cell to a value of a record: what is mended, and what is named as wrong.
//!
//! Mended is only what can mean one thing. Where a person must choose (`03/04/2027`), both readings
//! are named.

use protocol::codes::{self, Scheme, geography};
use protocol::time::Timestamp;
use serde_json::{Value, json};

use super::Labels;
use super::headers::short_tag;
use super::members::Shape;
use super::report::shown;
use super::table::Cell;

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

/// What a spreadsheet writes where a formula failed.
const FORMULA_ERRORS: [&str; 7] = [
    "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#ERROR!",
];

/// UTF-8 that was once read as Windows-1252.
const GARBLED: [&str; 9] = ["Ã©", "Ã¨", "Ã¡", "Ã±", "Ã§", "Ã³", "Ãª", "â€™", "Ø§Ù"];

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

    /// The text of a cell without what is there by accident; `None` where nothing is left.
    pub(super) fn tidy(&mut self, cell: &Cell) -> Option<String> {
        let raw = cell.text.trim();
        if raw.is_empty() && cell.values.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        if cell.cut {
            let most = super::CELL_BYTES_MAX;
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

    fn note(&mut self, text: &str) {
        self.notes
            .push(format!("column “{}”: {text}", shown(self.header)));
    }

    fn known(&self, scheme: &Scheme, text: &str) -> Option<&'static str> {
        let spelled = text.to_lowercase().replace([' ', '_'], "-");
        scheme
            .get(text)
            .or_else(|| scheme.get(&spelled))
            .or_else(|| scheme.get(self.labels.code(scheme.name(), text)?))
    }

    fn own_code(
        &mut self,
        path: &str,
        scheme: &'static Scheme,
        text: &str,
    ) -> Result<Value, Fault> {
        if let Some(code) = self.known(scheme, text) {
            return Ok(code.into());
        }
        if path == "cost.kind"
            && let Some((price, currency)) = amount(text)
        {
            let free = price.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            if !free {
                self.beside.push(("cost.price", price.into()));
                self.beside
                    .extend(currency.map(|code| ("cost.currency", code.into())));
            }
            return Ok(if free { "free" } else { "paid" }.into());
        }
        if path == "certificate.kind" && flag(text) == Ok(Value::Bool(false)) {
            return Ok("none".into());
        }
        let codes = scheme.codes().join(", ");
        let suggestion = match scheme.nearest(text).or_else(|| meant_by(scheme, text)) {
            Some(nearest) => format!("did you mean “{nearest}”? It must be one of {codes}"),
            None => format!("it must be one of {codes}"),
        };
        Err(Fault::new(
            text,
            format!("is no {} that is known", scheme.name()),
            suggestion,
        ))
    }

    fn code(&mut self, scheme: &'static Scheme, text: &str) -> Value {
        match self.known(scheme, text) {
            Some(code) => code.into(),
            None => self.kept(scheme, text),
        }
    }

    /// A text that is no code of ours stays what the source calls it.
    fn kept(&mut self, scheme: &'static Scheme, text: &str) -> Value {
        if scheme.name() == "sector"
            && text.len() == 5
            && text.bytes().all(|byte| byte.is_ascii_digit())
        {
            return json!({"scheme": "DAC", "code": text});
        }
        let value = foreign(text);
        if value.get("scheme").and_then(Value::as_str) == Some(SOURCE) {
            match scheme.nearest(text) {
                Some(nearest) => self.note(&format!(
                    "“{}” is no {} and is kept as the source's own word; did you mean “{nearest}”?",
                    shown(text),
                    scheme.name()
                )),
                None => self.note(&format!(
                    "what is no {} is kept as the source's own word",
                    scheme.name()
                )),
            }
        }
        value
    }

    fn codes(&mut self, path: &str, scheme: &'static Scheme, pieces: Vec<String>) -> Value {
        let mut values = Vec::new();
        for piece in pieces {
            let piece = match scheme.name() {
                "sdg-target" => piece
                    .trim_start_matches(|letter: char| !letter.is_ascii_digit())
                    .to_owned(),
                _ => piece,
            };
            if let Some(code) = self.known(scheme, &piece) {
                values.push(code.into());
            } else if let Some((sister, code)) = self.in_sister_list(path, &piece) {
                self.beside.push((sister, json!([code])));
                values.extend(
                    codes::area_of(code)
                        .filter(|_| path == "areas")
                        .map(Value::from),
                );
            } else if let Some(codes) = parts(&piece, |part| self.known(scheme, part)) {
                values.extend(codes.into_iter().map(Value::from));
            } else if !piece.is_empty() {
                values.push(self.kept(scheme, &piece));
            }
        }
        list(values)
    }

    /// An area among the topics, or a topic among the areas.
    fn in_sister_list(&self, path: &str, text: &str) -> Option<(&'static str, &'static str)> {
        let (sister, scheme) = match path {
            "areas" => ("topics", &codes::TOPICS),
            "topics" => ("areas", &codes::AREAS),
            _ => return None,
        };
        self.known(scheme, text).map(|code| (sister, code))
    }

    fn language(&self, text: &str) -> Option<String> {
        match short_tag(text) {
            Some(tag) if codes::primary_language(&tag).len() == 2 => Some(tag),
            // Three letters may be another standard's code for a language that has two.
            other => self.labels.language(text).or(other),
        }
    }

    fn languages(&mut self, pieces: Vec<String>) -> Vec<String> {
        let mut tags = Vec::new();
        for piece in pieces {
            if let Some(tag) = self.language(&piece) {
                tags.push(tag);
            } else if let Some(several) = parts(&piece, |part| self.language(part)) {
                tags.extend(several);
            } else {
                self.faults.push(Fault::new(
                    &piece,
                    "is no language that is known",
                    "write a tag of BCP 47 such as fr or pt-BR, several parted by “;”",
                ));
            }
        }
        tags
    }

    fn country(&self, text: &str) -> Option<String> {
        let code = text.to_ascii_uppercase().replace('_', "-");
        if geography::country(&code).is_some() || geography::country_of_subdivision(&code).is_some()
        {
            return Some(code);
        }
        self.labels.country(text).map(str::to_owned)
    }

    fn region(&self, text: &str) -> Option<&'static str> {
        const WORLD: [&str; 9] = [
            "world",
            "worldwide",
            "global",
            "all countries",
            "monde",
            "mondial",
            "mundial",
            "عالمي",
            "dunia nzima",
        ];
        if WORLD.contains(&text.to_lowercase().as_str()) {
            return Some(geography::WORLD);
        }
        self.known(&geography::REGIONS, text)
    }

    fn countries(&mut self, path: &str, pieces: Vec<String>) -> Value {
        let mut countries = Vec::new();
        for piece in pieces {
            if let Some(code) = self.country(&piece) {
                countries.push(code);
            } else if let Some(region) = self.region(&piece).filter(|_| path == "countries") {
                self.beside.push(("regions", json!([region])));
            } else if let Some(several) = parts(&piece, |part| self.country(part)) {
                countries.extend(several);
            } else {
                self.faults.push(unknown_country(&piece));
            }
        }
        list(countries)
    }

    fn regions(&mut self, pieces: Vec<String>) -> Value {
        let mut regions = Vec::new();
        for piece in pieces {
            let padded = format!("{piece:0>3}");
            if let Some(code) = self
                .region(&piece)
                .or_else(|| geography::REGIONS.get(&padded))
            {
                regions.push(code);
            } else if let Some(country) = self.country(&piece) {
                self.beside.push(("countries", json!([country])));
            } else if let Some(several) = parts(&piece, |part| self.region(part)) {
                regions.extend(several);
            } else {
                self.faults.push(Fault::new(
                    &piece,
                    "is no region that is known",
                    "write a region of UN M49, such as 011 for Western Africa",
                ));
            }
        }
        list(regions)
    }

    fn url(&mut self, text: &str) -> Result<Value, Fault> {
        const RIGHT: &str = "write an address that begins with https:// or http://";
        let text = text.trim_matches(['<', '>', ' ']);
        let lower = text.to_ascii_lowercase();
        let address = if let Some(rest) = ["https://", "http://"]
            .iter()
            .find(|scheme| lower.starts_with(**scheme))
        {
            let (scheme, rest) = text.split_at_checked(rest.len()).unwrap_or_default();
            format!("{}{rest}", scheme.to_ascii_lowercase())
        } else if lower.starts_with("www.") && !text.contains(char::is_whitespace) {
            self.note("addresses that begin with www. were given https:// before it");
            format!("https://{text}")
        } else {
            let host = text.split('/').next().unwrap_or_default();
            let is_host = host.contains('.')
                && host.split('.').all(|part| !part.is_empty())
                && host
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "-.".contains(letter));
            let suggestion = if is_host {
                format!("perhaps https://{}", shown(text))
            } else {
                RIGHT.to_owned()
            };
            return Err(Fault::new(text, "is no web address", suggestion));
        };
        let lower = address.to_ascii_lowercase();
        let second = lower.get(8..).is_some_and(|rest| {
            rest.split(char::is_whitespace)
                .skip(1)
                .any(|word| word.contains("://"))
        });
        if second {
            return Err(Fault::new(
                text,
                "holds more than one web address",
                "keep the one that people should open",
            ));
        }
        let rest = address
            .split_once("://")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(Fault::new(text, "is no web address", RIGHT));
        }
        if !address.contains(char::is_whitespace) {
            return Ok(address.into());
        }
        self.note("spaces within addresses became %20");
        Ok(address
            .split_whitespace()
            .collect::<Vec<_>>()
            .join("%20")
            .into())
    }

    fn date(&mut self, text: &str) -> Result<String, Fault> {
        const RIGHT: &str = "write year-month-day, such as 2027-01-12";
        let text = ascii_digits(text);
        let is_day = |text: &str| Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok();
        if (text.len() == 10 && is_day(&text)) || Timestamp::parse(&text).is_ok() {
            return Ok(text);
        }
        let fault = |problem: &str, suggestion: &str| Err(Fault::new(&text, problem, suggestion));
        if text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return fault(
                "is a spreadsheet's own day number",
                "format the column as dates like 2027-01-12 and save again",
            );
        }
        if let Some((day, time)) = text.split_at_checked(10) {
            let has_time = time.starts_with([' ', 'T']) && time.contains(':');
            if has_time && is_day(day) {
                self.note("times of day without a time zone were left out");
                return Ok(day.to_owned());
            }
        }
        let parts: Vec<&str> = text.split(['/', '.', '-']).map(str::trim).collect();
        let [first, second, third] = parts.as_slice() else {
            return fault("is no date", RIGHT);
        };
        let day = |year: &str, month: &str, day: &str| {
            Some(format!("{year}-{month:0>2}-{day:0>2}"))
                .filter(|text| text.len() == 10 && is_day(text))
        };
        if first.len() == 4 {
            return day(first, second, third).map_or_else(|| fault("is no date", RIGHT), Ok);
        }
        // Where days and months are parted by dots, the day comes first.
        let readings = match (day(third, second, first), day(third, first, second)) {
            (Some(day_first), _) if text.contains('.') => vec![day_first],
            (Some(day_first), Some(month_first)) if day_first == month_first => vec![day_first],
            (day_first, month_first) => day_first.into_iter().chain(month_first).collect(),
        };
        match readings.as_slice() {
            [only] => Ok(only.clone()),
            [day_first, month_first] => fault(
                "may be two dates",
                &format!("write {day_first} or {month_first}"),
            ),
            _ => fault("is no date", RIGHT),
        }
    }
}

/// The scheme of words that only their source knows.
const SOURCE: &str = "source";

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

fn unknown_country(text: &str) -> Fault {
    let suggestion = match text.to_ascii_uppercase().as_str() {
        "UK" => "the code of the United Kingdom is GB",
        "EL" => "the code of Greece is GR",
        _ => "write a code of ISO 3166 such as KE, several parted by “;”",
    };
    Fault::new(text, "is no country that is known", suggestion)
}

/// `ESCO:1234` as a code of ESCO; anything else as a word of the source.
fn foreign(text: &str) -> Value {
    if let Some((scheme, code)) = text.split_once(':') {
        let is_scheme = (2..=32).contains(&scheme.len())
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let is_code =
            !code.is_empty() && !code.starts_with("//") && !code.contains(char::is_whitespace);
        if is_scheme && is_code {
            return json!({"scheme": scheme, "code": code});
        }
    }
    json!({"scheme": SOURCE, "code": text})
}

/// What people call a kind that we name otherwise; only ever suggested.
fn meant_by(scheme: &Scheme, text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let word = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match scheme.name() {
        "kind"
            if word(&[
                "mooc",
                "training",
                "e-learning",
                "formation",
                "curso",
                "lesson",
            ]) =>
        {
            Some("course")
        }
        "kind" if word(&["webinar", "seminar", "conference"]) => Some("event"),
        "kind" if word(&["grant", "fund", "loan", "subvention"]) => Some("funding"),
        "kind" if word(&["consult", "advice", "technical assistance", "conseil"]) => {
            Some("advisory")
        }
        "kind" if word(&["guide", "manual", "template"]) => Some("toolkit"),
        "certificate" if flag(&text) == Ok(Value::Bool(true)) => Some("completion"),
        "cost" if flag(&text) == Ok(Value::Bool(true)) => Some("paid"),
        "cost" if word(&["scholarship", "freemium", "audit"]) => Some("conditional"),
        _ => None,
    }
}

fn flag(text: &str) -> Result<Value, Fault> {
    const YES: [&str; 12] = [
        "true", "yes", "y", "1", "x", "✓", "oui", "sí", "si", "sim", "نعم", "ndiyo",
    ];
    const NO: [&str; 10] = [
        "false", "no", "n", "0", "non", "não", "nao", "لا", "hapana", "la",
    ];
    match text.to_lowercase().as_str() {
        text if YES.contains(&text) => Ok(true.into()),
        text if NO.contains(&text) => Ok(false.into()),
        _ => Err(Fault::new(
            text,
            "is neither yes nor no",
            "write yes or no, or leave the cell empty",
        )),
    }
}

fn ascii_digits(text: &str) -> String {
    let digit = |letter: char| match letter {
        '٠'..='٩' => char::from_digit(letter as u32 - '٠' as u32, 10),
        '۰'..='۹' => char::from_digit(letter as u32 - '۰' as u32, 10),
        _ => None,
    };
    text.trim()
        .chars()
        .map(|letter| digit(letter).unwrap_or(letter))
        .collect()
}

fn count(text: &str) -> Result<Value, Fault> {
    let digits: String = ascii_digits(text)
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let number = digits
        .parse::<u64>()
        .ok()
        .filter(|_| digits.len() <= 15 && !digits.starts_with('+'));
    number
        .map(Value::from)
        .ok_or_else(|| Fault::new(text, "is no whole number", "write digits alone, such as 30"))
}

/// A decimal number as records write it: digits and at most one point.
fn decimal(text: &str) -> Result<String, Fault> {
    let compact: String = ascii_digits(text)
        .chars()
        .filter(|letter| {
            !letter.is_whitespace() && !matches!(letter, '\u{A0}' | '\u{202F}' | '\'' | '’')
        })
        .collect();
    let (sign, number) = match compact.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", compact.strip_prefix('+').unwrap_or(&compact)),
    };
    let fault = |suggestion: String| {
        Err(Fault::new(
            text,
            "is no number that can be read in one way",
            suggestion,
        ))
    };
    let groups = |text: &str, mark: char| {
        let mut parts = text.split(mark);
        parts
            .next()
            .is_some_and(|first| (1..=3).contains(&first.len()))
            && parts.all(|part| part.len() == 3)
    };
    let number = match (number.rfind(','), number.rfind('.')) {
        (None, None) => number.to_owned(),
        (Some(comma), Some(point)) => {
            let (mark, at) = if comma < point {
                (',', point)
            } else {
                ('.', comma)
            };
            let (whole, fraction) = number.split_at_checked(at).unwrap_or_default();
            if !groups(whole, mark) {
                return fault("write digits and one point, such as 12.50".to_owned());
            }
            format!(
                "{}.{}",
                whole.replace(mark, ""),
                fraction.get(1..).unwrap_or_default()
            )
        }
        (Some(comma), None) => match number.split_at_checked(comma) {
            Some((whole, fraction)) if fraction.len() == 4 || whole.contains(',') => {
                return fault(format!(
                    "write {whole}{rest} or {whole}.{rest}",
                    whole = whole.replace(',', ""),
                    rest = fraction.trim_start_matches(',')
                ));
            }
            _ => number.replace(',', "."),
        },
        (None, Some(_)) => number.to_owned(),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    let digits = |part: &str| {
        (1..=20).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if digits(whole) && digits(fraction) {
        return Ok(format!("{sign}{number}"));
    }
    fault("write digits and one point, such as 12.50".to_owned())
}

/// `50`, `50 USD`, `EUR 12,50` as price and currency.
fn amount(text: &str) -> Option<(String, Option<String>)> {
    if let Ok(price) = decimal(text) {
        return Some((price, None));
    }
    let (first, last) = text.split_once(char::is_whitespace)?;
    let code = |text: &str| {
        currency(text.trim())
            .ok()
            .and_then(|code| code.as_str().map(str::to_owned))
    };
    match (decimal(first), decimal(last)) {
        (Ok(price), _) => Some((price, Some(code(last)?))),
        (_, Ok(price)) => Some((price, Some(code(first)?))),
        _ => None,
    }
}

fn currency(text: &str) -> Result<Value, Fault> {
    let code = match text {
        "€" => "EUR".to_owned(),
        "£" => "GBP".to_owned(),
        "₹" => "INR".to_owned(),
        "₦" => "NGN".to_owned(),
        "₣" | "$" | "¥" => String::new(),
        other => other.to_ascii_uppercase(),
    };
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(code.into());
    }
    Err(Fault::new(
        text,
        "is no currency",
        "write its three letters of ISO 4217, such as KES",
    ))
}

/// `P6W` as it is; `6 weeks`, `12 h`, `3 jours` as ISO 8601.
fn duration(text: &str) -> Result<Value, Fault> {
    const UNITS: [(&str, &str, &str); 6] = [
        (
            "PT",
            "M",
            "m min mins minute minutes minuto minutos دقيقة دقائق dakika",
        ),
        (
            "PT",
            "H",
            "h hr hrs hour hours heure heures hora horas ساعة ساعات saa",
        ),
        (
            "P",
            "D",
            "d day days jour jours j día dia días dias يوم أيام siku",
        ),
        (
            "P",
            "W",
            "w wk wks week weeks semaine semaines semana semanas أسبوع أسابيع wiki",
        ),
        (
            "P",
            "M",
            "month months mois mes meses mês شهر أشهر شهور mwezi miezi",
        ),
        (
            "P",
            "Y",
            "y yr yrs year years an ans année años año ano anos سنة سنوات mwaka miaka",
        ),
    ];
    let plain = ascii_digits(text);
    if plain.starts_with(['P', 'p']) && plain.chars().any(|letter| letter.is_ascii_digit()) {
        // Its form is checked with the body.
        return Ok(plain.to_uppercase().into());
    }
    let digits = plain.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = plain.split_at_checked(digits).unwrap_or_default();
    let unit = unit.trim().trim_end_matches('.').to_lowercase();
    let found = UNITS
        .iter()
        .find(|(_, _, words)| words.split(' ').any(|word| word == unit));
    match found {
        Some((before, after, _)) if (1..=6).contains(&number.len()) => {
            Ok(format!("{before}{number}{after}").into())
        }
        _ => {
            let hours = if unit.is_empty() && !number.is_empty() {
                number
            } else {
                "12"
            };
            let right = format!("write it like P6W (6 weeks) or PT{hours}H ({hours} hours)");
            Err(Fault::new(
                text,
                "is no duration that can be read in one way",
                right,
            ))
        }
    }
}

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
pub(super) fn entities(text: &str) -> String {
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
