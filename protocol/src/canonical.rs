//! Strict JSON in, the exact bytes that are signed out.
//!
//! Two peers must never read one document differently, so [`parse`] refuses what common parsers
//! repair in silence: a member name given twice, a number that no double holds, half a surrogate
//! pair. [`to_canonical`] writes the JSON Canonicalization Scheme (RFC 8785).
//!
//! This module knows nothing of keys or records.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::{INTEGER_MAX, JSON_DEPTH_MAX, JSON_MEMBERS_MAX, JSON_STRING_BYTES_MAX};

/// Why bytes are not a document that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than the caller's bound.
    #[error("{bytes} bytes are too many: at most {max} are allowed here")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not JSON as RFC 8259 has it, or not UTF-8.
    #[error("not valid JSON: {detail}")]
    Syntax {
        /// What the parser met, with line and column.
        detail: String,
    },
    /// A member name that stands twice in one object, perhaps in two spellings.
    #[error("the member name “{name}” stands twice in one object")]
    DuplicateName {
        /// The name, unescaped.
        name: String,
    },
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// More than [`JSON_MEMBERS_MAX`] members and elements.
    #[error("more than {JSON_MEMBERS_MAX} members and elements")]
    TooManyMembers,
    /// A text longer than [`JSON_STRING_BYTES_MAX`].
    #[error("a text of {bytes} bytes is too long: at most {JSON_STRING_BYTES_MAX} are allowed")]
    StringTooLong {
        /// Bytes of UTF-8.
        bytes: usize,
    },
    /// A number with a fraction or an exponent where only integers are allowed.
    #[error("{number} is not an integer: write decimals as text")]
    NotAnInteger {
        /// The number as read.
        number: String,
    },
    /// An integer that a double would round.
    #[error("{number} is outside the safe integers (plus or minus 2^53 - 1): write it as text")]
    UnsafeInteger {
        /// The number as read.
        number: String,
    },
    /// U+0000, which many stores and languages cut a text at.
    #[error("a text contains the character U+0000")]
    Nul,
}

impl JsonError {
    /// Whether the bytes were JSON, but with a value that this network does not exchange
    /// (HTTP 422 rather than 400).
    pub fn is_well_formed(&self) -> bool {
        matches!(
            self,
            Self::NotAnInteger { .. } | Self::UnsafeInteger { .. } | Self::Nul
        )
    }
}

/// Which numbers a document may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers within plus or minus 2^53 - 1: records and key logs.
    SafeIntegers,
    /// Whatever a double holds: activities of foreign servers.
    Any,
}

/// Reads one JSON document of at most `bytes_max` bytes.
///
/// # Errors
/// See [`JsonError`]; nothing of a refused document is returned.
pub fn parse(bytes: &[u8], bytes_max: usize, numbers: Numbers) -> Result<Value, JsonError> {
    let mut walk = Walk::new(numbers);
    walk.document(bytes, bytes_max).map_err(|(fault, _)| fault)
}

/// A fault and where it was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedError {
    /// What is wrong.
    pub error: JsonError,
    /// Where in the text, counted from 1, if there is a place: line and column.
    pub place: Option<(usize, usize)>,
}

impl std::error::Error for PlacedError {}

impl fmt::Display for PlacedError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, self.place) {
            // What serde says of syntax has its place already.
            (JsonError::Syntax { .. }, _) | (_, None) => self.error.fmt(out),
            (error, Some((line, column))) => write!(out, "{error} at line {line} column {column}"),
        }
    }
}

/// Reads a file that a person wrote: one document, or a list of documents (perhaps as the member of an
/// object), each bounded by itself. Numbers are taken as they come; what they may be is said by who knows
/// the member.
///
/// # Errors
/// As [`parse`], with line and column.
pub fn parse_file(bytes: &[u8], bytes_max: usize) -> Result<Value, PlacedError> {
    let mut walk = Walk::new(Numbers::Any);
    walk.is_file = true;
    let read = walk.document(bytes, bytes_max);
    read.map_err(|(error, place)| PlacedError { error, place })
}

/// What has been counted so far, and why reading stopped.
struct Walk {
    numbers: Numbers,
    depth: usize,
    members: usize,
    fault: Option<JsonError>,
    /// Members are counted anew for each element of an outer list.
    is_file: bool,
}

impl Walk {
    fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            depth: 0,
            members: 0,
            fault: None,
            is_file: false,
        }
    }

    /// Reads a whole document, or says what is wrong and in which line and column.
    fn document(
        &mut self,
        bytes: &[u8],
        bytes_max: usize,
    ) -> Result<Value, (JsonError, Option<(usize, usize)>)> {
        if bytes.len() > bytes_max {
            let fault = JsonError::TooLarge {
                bytes: bytes.len(),
                max: bytes_max,
            };
            return Err((fault, None));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let read = Node(self)
            .deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value));
        read.map_err(|error| {
            let place = Some((error.line(), error.column())).filter(|(line, _)| *line > 0);
            let fault = self.fault.take().unwrap_or_else(|| JsonError::Syntax {
                detail: error.to_string(),
            });
            (fault, place)
        })
    }

    /// Keeps the reason and stops serde with a placeholder error.
    fn stop<E: de::Error>(&mut self, fault: JsonError) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    fn member<E: de::Error>(&mut self) -> Result<(), E> {
        self.members += 1;
        if self.members > JSON_MEMBERS_MAX {
            return Err(self.stop(JsonError::TooManyMembers));
        }
        Ok(())
    }

    fn text<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.len() > JSON_STRING_BYTES_MAX {
            return Err(self.stop(JsonError::StringTooLong { bytes: text.len() }));
        }
        if text.as_bytes().contains(&0) {
            return Err(self.stop(JsonError::Nul));
        }
        Ok(())
    }

    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > JSON_DEPTH_MAX {
            return Err(self.stop(JsonError::TooDeep));
        }
        Ok(())
    }
}

/// One value of the tree, at whatever depth.
struct Node<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if self.0.numbers == Numbers::SafeIntegers && value.unsigned_abs() > INTEGER_MAX as u64 {
            let number = value.to_string();
            return Err(self.0.stop(JsonError::UnsafeInteger { number }));
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if self.0.numbers == Numbers::SafeIntegers && value > INTEGER_MAX as u64 {
            let number = value.to_string();
            return Err(self.0.stop(JsonError::UnsafeInteger { number }));
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        match (self.0.numbers, number) {
            (Numbers::Any, Some(number)) => Ok(Value::Number(number)),
            // serde_json hands integers beyond 64 bits over as doubles.
            (Numbers::SafeIntegers, _)
                if value.fract() == 0.0 && value.abs() > INTEGER_MAX as f64 =>
            {
                let number = value.to_string();
                Err(self.0.stop(JsonError::UnsafeInteger { number }))
            }
            _ => {
                let number = value.to_string();
                Err(self.0.stop(JsonError::NotAnInteger { number }))
            }
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.0.text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        self.0.text(&text)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Node(self.0))? {
            if self.0.is_file && self.0.depth <= 2 {
                self.0.members = 0;
            }
            self.0.member()?;
            list.push(element);
        }
        self.0.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.0.member()?;
            self.0.text(&name)?;
            if object.contains_key(&name) {
                return Err(self.0.stop(JsonError::DuplicateName { name }));
            }
            let value = members.next_value_seed(Node(self.0))?;
            object.insert(name, value);
        }
        self.0.depth -= 1;
        Ok(Value::Object(object))
    }
}

/// The canonical form of a value (RFC 8785): no white space, members sorted by UTF-16 code units,
/// numbers as ECMAScript writes them.
pub fn to_canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    write_value(&mut out, value);
    out
}

/// The canonical form of an object as if the member `left_out` were not there: what a proof signs.
pub fn to_canonical_without(object: &Map<String, Value>, left_out: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    write_object(&mut out, object, Some(left_out));
    out
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_text(out, text),
        Value::Array(list) => {
            out.push(b'[');
            for (position, element) in list.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_value(out, element);
            }
            out.push(b']');
        }
        Value::Object(object) => write_object(out, object, None),
    }
}

fn write_object(out: &mut Vec<u8>, object: &Map<String, Value>, left_out: Option<&str>) {
    // serde_json's own order depends on its features, which any crate of the build may switch.
    let mut members: Vec<(&String, &Value)> = object
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != left_out)
        .collect();
    members.sort_unstable_by(|(one, _), (other, _)| by_utf16(one, other));
    out.push(b'{');
    for (position, (name, value)) in members.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_value(out, value);
    }
    out.push(b'}');
}

fn by_utf16(one: &str, other: &str) -> Ordering {
    // Below U+D800 the orders of UTF-8 bytes and UTF-16 units agree; nearly every name is ASCII.
    if one.is_ascii() && other.is_ascii() {
        return one.cmp(other);
    }
    one.encode_utf16().cmp(other.encode_utf16())
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) if integer.unsigned_abs() <= INTEGER_MAX as u64 => {
            out.extend_from_slice(integer.to_string().as_bytes());
        }
        (_, Some(double)) => {
            out.extend_from_slice(ryu_js::Buffer::new().format(double).as_bytes());
        }
        (_, None) => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (position, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..position]);
        written = position + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{JsonError, Numbers, parse, parse_file, to_canonical};
    use crate::limits::{JSON_MEMBERS_MAX, JSON_STRING_BYTES_MAX, RECORD_BYTES_MAX};

    fn read(text: &str) -> Result<String, JsonError> {
        parse(text.as_bytes(), RECORD_BYTES_MAX, Numbers::SafeIntegers)
            .map(|value| String::from_utf8(to_canonical(&value)).unwrap())
    }

    #[test]
    fn j01_j02_a_member_name_given_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"id":"a","id":"b"}"#,
            r#"{"a":{"b":[{"id":1,"id":1}]}}"#,
            r#"{"id":"a","\u0069d":"b"}"#,
        ] {
            assert_eq!(
                read(text),
                Err(JsonError::DuplicateName { name: "id".into() })
            );
        }
    }

    #[test]
    fn a_fault_in_a_file_has_its_line_and_a_list_may_be_longer_than_a_document() {
        let said = |text: &str| parse_file(text.as_bytes(), 1_000_000).unwrap_err();
        let twice = said("[{\n  \"id\": 1,\n  \"b\": 2,\n  \"id\": 3\n}]");
        assert_eq!(twice.error, JsonError::DuplicateName { name: "id".into() });
        assert_eq!(twice.place.unwrap().0, 4);
        let text = twice.to_string();
        assert!(
            text.contains("“id”") && text.contains("line 4 column"),
            "{text}"
        );
        let syntax = said("{\n\"a\": }").to_string();
        assert_eq!(syntax.matches("line 2").count(), 1, "{syntax}");
        assert_eq!(parse_file(b"{}", 1).unwrap_err().place, None);
        // As many documents as there are, each within its own bound.
        let one = format!("[{}0]", "0,".repeat(JSON_MEMBERS_MAX / 2));
        let many = [one.as_str(); 10].join(",");
        for text in [format!("[{many}]"), format!("{{\"records\":[{many}]}}")] {
            assert!(parse(text.as_bytes(), 1_000_000, Numbers::Any).is_err());
            assert!(parse_file(text.as_bytes(), 1_000_000).is_ok());
        }
    }

    #[test]
    fn j03_j05_numbers_that_two_readers_could_round_differently_are_refused() {
        for text in [
            "9007199254740993",
            "-9007199254740992",
            "18446744073709551616",
        ] {
            assert!(
                matches!(read(text), Err(JsonError::UnsafeInteger { .. })),
                "{text}"
            );
        }
        for text in ["1.5", "1.0", "1e3", "-0"] {
            assert!(
                matches!(read(text), Err(JsonError::NotAnInteger { .. })),
                "{text}"
            );
        }
        assert_eq!(
            read("[9007199254740991,-9007199254740991]").unwrap(),
            "[9007199254740991,-9007199254740991]"
        );
    }

    #[test]
    fn decimals_of_activities_are_read_as_the_nearest_double() {
        for (text, written) in [
            ("333333333.33333329", "333333333.3333333"),
            ("-3.3333333333333335e-7", "-3.3333333333333335e-7"),
        ] {
            let value = parse(text.as_bytes(), 100, Numbers::Any).unwrap();
            assert_eq!(to_canonical(&value), written.as_bytes());
        }
    }

    #[test]
    fn j04_j08_j10_j11_j12_what_is_not_json_is_refused() {
        for text in [
            "1e400",
            "NaN",
            "Infinity",
            "01",
            "+1",
            ".5",
            r#""\ud800""#,
            "\u{feff}{}",
            "{} {}",
            "{}x",
            "",
            "{",
        ] {
            assert!(
                matches!(read(text), Err(JsonError::Syntax { .. })),
                "{text}"
            );
        }
        for bytes in [
            &b"\"\xff\""[..],
            b"\"\xc0\xaf\"",
            b"\"\xed\xa0\x80\"",
            b"{\0}\0",
        ] {
            let refused = parse(bytes, RECORD_BYTES_MAX, Numbers::SafeIntegers);
            assert!(
                matches!(refused, Err(JsonError::Syntax { .. })),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn j06_depth_32_is_read_and_depth_33_and_100_000_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(31)).is_ok());
        assert!(read(&nested(32)).is_ok());
        assert_eq!(read(&nested(33)), Err(JsonError::TooDeep));
        let deep = parse(nested(100_000).as_bytes(), 1 << 20, Numbers::Any);
        assert_eq!(deep, Err(JsonError::TooDeep));
    }

    #[test]
    fn j07_members_and_elements_are_counted_over_the_whole_document() {
        let zeros = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(read(&zeros(JSON_MEMBERS_MAX - 1)).is_ok());
        assert!(read(&zeros(JSON_MEMBERS_MAX)).is_ok());
        assert_eq!(
            read(&zeros(JSON_MEMBERS_MAX + 1)),
            Err(JsonError::TooManyMembers)
        );
        let million = parse(zeros(1_000_000).as_bytes(), 4 << 20, Numbers::Any);
        assert_eq!(million, Err(JsonError::TooManyMembers));
    }

    #[test]
    fn a_text_of_16_kib_is_read_and_one_byte_more_is_refused() {
        let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes));
        assert!(read(&text(JSON_STRING_BYTES_MAX - 1)).is_ok());
        assert!(read(&text(JSON_STRING_BYTES_MAX)).is_ok());
        assert_eq!(
            read(&text(JSON_STRING_BYTES_MAX + 1)),
            Err(JsonError::StringTooLong {
                bytes: JSON_STRING_BYTES_MAX + 1
            })
        );
    }

    #[test]
    fn j09_the_character_nul_is_refused_in_texts_and_in_names() {
        assert_eq!(read(r#""a\u0000""#), Err(JsonError::Nul));
        assert_eq!(read(r#"{"a\u0000":1}"#), Err(JsonError::Nul));
    }

    #[test]
    fn j15_members_are_sorted_by_utf_16_code_units() {
        // U+FB33 sorts after U+1F600 in UTF-16 and before it in UTF-8.
        let sorted = read("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\u{20ac}\":3}").unwrap();
        assert_eq!(sorted, "{\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn j16_composed_and_decomposed_letters_stay_two_texts() {
        assert_ne!(read("\"\u{e9}\"").unwrap(), read("\"e\u{301}\"").unwrap());
    }

    #[test]
    fn j22_names_that_mean_something_to_javascript_are_plain_data() {
        assert_eq!(
            read(r#"{"constructor":1,"__proto__":{}}"#).unwrap(),
            r#"{"__proto__":{},"constructor":1}"#
        );
    }

    proptest! {
        #[test]
        fn canonical_form_reads_back_as_itself(text in "\\PC{0,40}", number in -1_000i64..1_000) {
            let document = serde_json::json!({ "t": text, "n": number, text.clone(): [null, true] });
            let once = to_canonical(&document);
            let again = parse(&once, RECORD_BYTES_MAX, Numbers::SafeIntegers).unwrap();
            prop_assert_eq!(to_canonical(&again), once);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, RECORD_BYTES_MAX, Numbers::SafeIntegers);
        }
    }
}
