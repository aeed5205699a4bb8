//! The texts in a value of JSON-LD, whichever of its spellings it has.

use serde_json::{Map, Value};

/// Deepest that lists in lists are followed.
const DEPTH_MAX: usize = 4;

/// A text, and its language if that stands beside it.
pub(super) type Text = (String, Option<String>);

/// The texts of a value: `"a"`, `["a", "b"]`, `{"@value": "a", "@language": "fr"}`,
/// `{"fr": "a", "ar": "b"}`, or what the thing there is called.
pub(super) fn texts(value: Option<&Value>) -> Vec<Text> {
    let mut found = Vec::new();
    gather(value, DEPTH_MAX, &mut found);
    found
}

fn gather(value: Option<&Value>, depth: usize, found: &mut Vec<Text>) {
    match value {
        Some(Value::String(text)) => found.push((text.clone(), None)),
        Some(Value::Number(number)) => found.push((number.to_string(), None)),
        Some(Value::Array(list)) if depth > 0 => {
            for value in list {
                gather(Some(value), depth - 1, found);
            }
        }
        Some(Value::Object(object)) if depth > 0 => {
            if let Some(text) = object.get("@value").and_then(Value::as_str) {
                let language = object.get("@language").and_then(Value::as_str);
                found.push((text.to_owned(), language.map(str::to_owned)));
            } else if let Some(map) = language_map(object) {
                found.extend(map);
            } else {
                let named = NAMES.iter().find_map(|name| object.get(*name));
                gather(named, depth - 1, found);
            }
        }
        _ => {}
    }
}

/// By which of its members a thing is called.
const NAMES: [&str; 6] = [
    "name",
    "prefLabel",
    "headline",
    "legalName",
    "termCode",
    "identifier",
];

/// `{"fr": "a", "ar": "b"}`: nothing but language tags and texts.
fn language_map(object: &Map<String, Value>) -> Option<Vec<Text>> {
    let text = |(tag, value): (&String, &Value)| {
        let tag = protocol::codes::language_tag(tag)
            .filter(|tag| protocol::codes::primary_language(tag).len() <= 3)?;
        Some((value.as_str()?.to_owned(), Some(tag)))
    };
    // `url` and `name` have the form of tags: no language has these codes.
    let is_member = |name: &String| NAMES.contains(&name.as_str()) || name == "url" || name == "id";
    if object.is_empty() || object.keys().any(is_member) {
        return None;
    }
    object.iter().map(text).collect()
}

/// The texts alone.
pub(super) fn words(value: Option<&Value>) -> Vec<String> {
    texts(value).into_iter().map(|(text, _)| text).collect()
}

/// The first text.
pub(super) fn first(value: Option<&Value>) -> Option<String> {
    words(value).into_iter().next()
}

/// The things in a value: one, or a list of them.
pub(super) fn things(value: Option<&Value>) -> Vec<&Map<String, Value>> {
    match value {
        Some(Value::Object(object)) => vec![object],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).collect(),
        _ => Vec::new(),
    }
}

/// The address in a value: a text, or the `url` or name of a thing.
pub(super) fn address(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list.iter().find_map(|value| address(Some(value))),
        Value::Object(object) => ["@id", "id", "url", "contentUrl"]
            .iter()
            .find_map(|name| object.get(*name)?.as_str().map(str::to_owned)),
        _ => None,
    }
}
