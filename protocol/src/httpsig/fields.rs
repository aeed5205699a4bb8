//! Structured fields (RFC 8941), as far as signatures and digests need them: dictionaries of items
//! and inner lists, read and written. Knows nothing of what they mean.
//!
//! Stricter than RFC 8941 where two readers could differ: a name given twice is refused. Decimals
//! are refused too, as no field read here has any.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{HttpSigError, malformed};
use crate::limits::SIGNATURE_PARAMETERS_MAX;

/// RFC 8941, 4.2.7 asks readers to take missing padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const NAME_BYTES_MAX: usize = 64;

/// Writes bytes in base64 with padding.
pub(super) fn write_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Reads base64, padded or not.
pub(super) fn read_base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// A value without parameters (RFC 8941, 3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bare {
    Integer(i64),
    Text(String),
    Token(String),
    Bytes(Vec<u8>),
    Boolean(bool),
}

impl Bare {
    fn write(&self, out: &mut String) {
        match self {
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Text(text) => write_text(out, text),
            Self::Token(token) => out.push_str(token),
            Self::Bytes(bytes) => {
                out.push(':');
                out.push_str(&write_base64(bytes));
                out.push(':');
            }
            Self::Boolean(true) => out.push_str("?1"),
            Self::Boolean(false) => out.push_str("?0"),
        }
    }
}

/// Writes a text in quotes. The caller has checked that it [`is_text`].
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// Whether a structured field can hold `text` as a string: printable ASCII.
pub(super) fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// Parameters in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, Bare)>);

impl Parameters {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, name: &str, value: Bare) {
        self.0.push((name.to_owned(), value));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Bare> {
        self.0
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value)
    }

    /// The one value if `name` is the only parameter.
    pub(super) fn only(&self, name: &str) -> Option<&Bare> {
        if self.0.len() == 1 {
            self.get(name)
        } else {
            None
        }
    }

    pub(super) fn integer(&self, name: &'static str) -> Result<Option<i64>, HttpSigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Bare::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(malformed("a signature's date must be an integer")),
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, HttpSigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Bare::Text(text)) => Ok(Some(text)),
            Some(_) => Err(malformed("a signature's parameter must be a quoted text")),
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        for (name, value) in &self.0 {
            out.push(';');
            out.push_str(name);
            if *value != Bare::Boolean(true) {
                out.push('=');
                value.write(out);
            }
        }
    }
}

/// A value with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) value: Bare,
    pub(super) parameters: Parameters,
}

/// A list in round brackets with its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InnerList {
    pub(super) items: Vec<Item>,
    pub(super) parameters: Parameters,
}

impl InnerList {
    /// The one written form (RFC 8941, 4.1.1.1).
    pub(super) fn to_text(&self) -> String {
        let mut out = String::from("(");
        for (position, item) in self.items.iter().enumerate() {
            if position > 0 {
                out.push(' ');
            }
            item.value.write(&mut out);
            item.parameters.write(&mut out);
        }
        out.push(')');
        self.parameters.write(&mut out);
        out
    }
}

/// What a name of a dictionary stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    Item(Item),
    InnerList(InnerList),
}

/// Reads a dictionary of at most `members_max` members, each list with at most `items_max` items.
pub(super) fn read_dictionary(
    text: &str,
    members_max: usize,
    items_max: usize,
) -> Result<Vec<(String, Member)>, HttpSigError> {
    let mut reader = Reader(text.as_bytes());
    let mut members: Vec<(String, Member)> = Vec::new();
    reader.skip(b" ");
    while !reader.0.is_empty() {
        let name = reader.name()?;
        if members.iter().any(|(given, _)| *given == name) {
            return Err(malformed("a name stands twice in a field"));
        }
        if members.len() == members_max {
            return Err(malformed("a field has too many members"));
        }
        members.push((name, reader.member(items_max)?));
        reader.skip(b" \t");
        if reader.0.is_empty() {
            break;
        }
        reader.expect(b',', "members of a field must be separated by commas")?;
        reader.skip(b" \t");
        if reader.0.is_empty() {
            return Err(malformed("a field ends with a comma"));
        }
    }
    Ok(members)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, byte: u8, detail: &'static str) -> Result<(), HttpSigError> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(malformed(detail))
        }
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.take_while(|byte| bytes.contains(&byte));
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self
            .0
            .iter()
            .position(|&byte| !wanted(byte))
            .unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn name(&mut self) -> Result<String, HttpSigError> {
        let refused = "a field's member or parameter has no proper name";
        if !self
            .peek()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*')
        {
            return Err(malformed(refused));
        }
        let name = self.take_while(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        });
        if name.len() > NAME_BYTES_MAX {
            return Err(malformed(refused));
        }
        Ok(ascii(name))
    }

    fn member(&mut self, items_max: usize) -> Result<Member, HttpSigError> {
        if !self.eat(b'=') {
            let parameters = self.parameters()?;
            return Ok(Member::Item(Item {
                value: Bare::Boolean(true),
                parameters,
            }));
        }
        if self.eat(b'(') {
            return Ok(Member::InnerList(self.inner_list(items_max)?));
        }
        Ok(Member::Item(self.item()?))
    }

    /// The rest of a list whose bracket has been read.
    fn inner_list(&mut self, items_max: usize) -> Result<InnerList, HttpSigError> {
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                return Ok(InnerList {
                    items,
                    parameters: self.parameters()?,
                });
            }
            if items.len() == items_max {
                return Err(malformed("a list has too many items"));
            }
            items.push(self.item()?);
            if !matches!(self.peek(), Some(b' ' | b')')) {
                return Err(malformed(
                    "a list is not closed, or its items are not separated",
                ));
            }
        }
    }

    fn item(&mut self) -> Result<Item, HttpSigError> {
        Ok(Item {
            value: self.bare()?,
            parameters: self.parameters()?,
        })
    }

    fn parameters(&mut self) -> Result<Parameters, HttpSigError> {
        let mut parameters = Parameters::default();
        while self.eat(b';') {
            self.skip(b" ");
            let name = self.name()?;
            if parameters.get(&name).is_some() {
                return Err(malformed("a parameter stands twice"));
            }
            if parameters.0.len() == SIGNATURE_PARAMETERS_MAX {
                return Err(malformed("too many parameters"));
            }
            let value = if self.eat(b'=') {
                self.bare()?
            } else {
                Bare::Boolean(true)
            };
            parameters.0.push((name, value));
        }
        Ok(parameters)
    }

    fn bare(&mut self) -> Result<Bare, HttpSigError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b'"') => self.text(),
            Some(b':') => self.bytes(),
            Some(b'?') => self.boolean(),
            Some(byte) if byte == b'*' || byte.is_ascii_alphabetic() => {
                let token = self.take_while(|byte| is_token_byte(byte) || b":/".contains(&byte));
                Ok(Bare::Token(ascii(token)))
            }
            _ => Err(malformed("a value is missing or of an unknown kind")),
        }
    }

    fn integer(&mut self) -> Result<Bare, HttpSigError> {
        let refused = || malformed("an integer has 1 to 15 digits and no fraction");
        let negative = self.eat(b'-');
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 15 || self.peek() == Some(b'.') {
            return Err(refused());
        }
        let number = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(Bare::Integer(if negative { -number } else { number }))
    }

    fn text(&mut self) -> Result<Bare, HttpSigError> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some(b'"') => return Ok(Bare::Text(text)),
                Some(b'\\') => match self.next() {
                    Some(byte @ (b'"' | b'\\')) => text.push(char::from(byte)),
                    _ => return Err(malformed("a quoted text has an unknown escape")),
                },
                Some(byte @ 0x20..=0x7e) => text.push(char::from(byte)),
                _ => return Err(malformed("a quoted text is not closed or not ASCII")),
            }
        }
    }

    fn bytes(&mut self) -> Result<Bare, HttpSigError> {
        self.next();
        let encoded = self.take_while(|byte| byte != b':');
        self.expect(b':', "a byte sequence is not closed")?;
        read_base64(encoded)
            .map(Bare::Bytes)
            .ok_or(malformed("a byte sequence is not base64"))
    }

    fn boolean(&mut self) -> Result<Bare, HttpSigError> {
        self.next();
        match self.next() {
            Some(b'1') => Ok(Bare::Boolean(true)),
            Some(b'0') => Ok(Bare::Boolean(false)),
            _ => Err(malformed("a truth value is ?0 or ?1")),
        }
    }
}

/// Whether `byte` may stand in a token of HTTP, such as a method or a field name (RFC 9110, 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn ascii(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bare, Member, read_dictionary};

    fn read(text: &str) -> Option<Vec<(String, Member)>> {
        read_dictionary(text, 4, 4).ok()
    }

    #[test]
    fn every_kind_of_value_is_read_and_written_back_in_its_one_form() {
        let field = "a=(  \"x\\\"\\\\\";n=\"1\"   tok*/:;b   ?0 -12 );c=007;d=:AQI:;e;f=?1";
        let members = read(field).unwrap();
        let Member::InnerList(list) = &members[0].1 else {
            panic!("a list")
        };
        let written = "(\"x\\\"\\\\\";n=\"1\" tok*/:;b ?0 -12);c=7;d=:AQI=:;e;f";
        assert_eq!(list.to_text(), written);
        assert_eq!(list.parameters.get("c"), Some(&Bare::Integer(7)));
        assert_eq!(read("a, b;c ,\td=1").unwrap().len(), 3);
        assert_eq!(read("").unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        for text in [
            "A=1",
            "=1",
            "a=",
            "a=1,",
            "a=1 b=2",
            "a=1,,b",
            "a=(1",
            "a=(1",
            "a=(1\"x\")",
            "a=\"x",
            "a=\"\\n\"",
            "a=\"\u{e9}\"",
            "a=:AQ",
            "a=:!:",
            "a=?2",
            "a=1.5",
            "a=-",
            "a=@1",
            "a;b;b",
            "a=1234567890123456",
            "a=1, a=2",
            "a=1,b,c,d,e",
            "a=(1 2 3 4 5)",
            "a;",
            "\ta=1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read(&format!("a{}", ";b".repeat(100))).is_none());
        assert!(read(&"a".repeat(65)).is_none());
    }
}
