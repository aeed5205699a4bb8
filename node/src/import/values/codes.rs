//! Codes of our lists, and words that only their source knows.

use protocol::codes::{self, Scheme};
use serde_json::{Value, json};

use super::super::report::shown;
use super::numbers::{amount, flag};
use super::{Fault, Reader, list, parts};

impl Reader<'_> {
    pub(super) fn known(&self, scheme: &Scheme, text: &str) -> Option<&'static str> {
        let spelled = text.to_lowercase().replace([' ', '_'], "-");
        scheme
            .get(text)
            .or_else(|| scheme.get(&spelled))
            .or_else(|| scheme.get(self.labels.code(scheme.name(), text)?))
    }

    pub(super) fn own_code(
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

    pub(super) fn code(&mut self, scheme: &'static Scheme, text: &str) -> Value {
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

    pub(super) fn codes(
        &mut self,
        path: &str,
        scheme: &'static Scheme,
        pieces: Vec<String>,
    ) -> Value {
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
}

/// The scheme of words that only their source knows.
const SOURCE: &str = "source";

/// `ESCO:1234` as a code of ESCO; anything else as a word of the source.
pub(super) fn foreign(text: &str) -> Value {
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
