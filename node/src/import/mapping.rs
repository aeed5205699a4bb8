//! What the user says of a file: the meaning of its columns, and what it lacks.

use std::str::FromStr;

use protocol::canonical::{Numbers, parse};
use serde_json::Value;

use super::headers::{self, Meaning};
use super::report::{ImportError, shown};
use super::{Labels, members};
use crate::fold::fold;

/// Largest mapping file, in bytes.
const MAPPING_BYTES_MAX: usize = 256 * 1024;

/// Column headers and the members that they mean. Columns that it does not name are known by their
/// headers; `""`, `"-"` and `"ignore"` leave a column out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    columns: Vec<(String, String)>,
}

impl Mapping {
    /// Reads a mapping file: `{"column header": "body.member"}`, as JSON or TOML. Members are named as
    /// in a record, such as `name`, `name:fr`, `body.cost.price`, `localId`, `record.licence`.
    ///
    /// # Errors
    /// [`ImportError::MappingSyntax`]. Whether columns and members exist is said by [`super::read`].
    pub fn read(bytes: &[u8]) -> Result<Self, ImportError> {
        let syntax = |detail: String| ImportError::MappingSyntax { detail };
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let pairs: Vec<(String, Option<String>)> = if bytes.trim_ascii_start().starts_with(b"{") {
            let value = parse(bytes, MAPPING_BYTES_MAX, Numbers::Any)
                .map_err(|error| syntax(format!("cannot be read ({error})")))?;
            let Value::Object(object) = value else {
                return Err(syntax("is no object".to_owned()));
            };
            let text = |value: Value| value.as_str().map(str::to_owned);
            object
                .into_iter()
                .map(|(column, value)| (column, text(value)))
                .collect()
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| syntax("is not UTF-8".to_owned()))?;
            if text.len() > MAPPING_BYTES_MAX {
                return Err(syntax(format!("is larger than {MAPPING_BYTES_MAX} bytes")));
            }
            let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
                syntax(format!("cannot be read ({})", shown(error.message())))
            })?;
            let text = |value: toml::Value| value.as_str().map(str::to_owned);
            table
                .into_iter()
                .map(|(column, value)| (column, text(value)))
                .collect()
        };
        let columns = pairs
            .into_iter()
            .map(|(column, member)| match member {
                Some(member) => Ok((column.trim().to_owned(), member.trim().to_owned())),
                None => Err(syntax(format!(
                    "gives “{}” something other than a text",
                    shown(&column)
                ))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { columns })
    }

    /// Whether a column with this header is named.
    pub(super) fn names(&self, header: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|(column, _)| column == header || fold(column) == fold(header))
    }

    /// The columns named, and what each means; `None` where it is to be ignored.
    pub(super) fn meanings(
        &self,
        headers: &[String],
        labels: &dyn Labels,
    ) -> Result<Vec<(String, Option<Meaning>)>, ImportError> {
        let meaning = |(column, member): &(String, String)| {
            let known = headers
                .iter()
                .find(|header| *header == column)
                .or_else(|| headers.iter().find(|header| fold(header) == fold(column)));
            let Some(header) = known else {
                let nearest = nearest(column, headers.iter().map(String::as_str));
                return Err(ImportError::MappingColumn {
                    column: column.clone(),
                    nearest,
                });
            };
            let meaning = match member.as_str() {
                "" | "-" | "ignore" => None,
                member => Some(member_named(member, labels)?),
            };
            Ok((header.clone(), meaning))
        };
        self.columns.iter().map(meaning).collect()
    }
}

/// What the file lacks: `FIELD=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub(super) field: String,
    pub(super) value: String,
}

impl FromStr for Setting {
    type Err = ImportError;

    /// Reads `FIELD=VALUE`; the value may have `=` in it. The field is named as a column would be.
    fn from_str(text: &str) -> Result<Self, ImportError> {
        match text.split_once('=') {
            Some((field, value)) if !field.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Self {
                    field: field.trim().to_owned(),
                    value: value.trim().to_owned(),
                })
            }
            _ => Err(ImportError::SettingSyntax { text: shown(text) }),
        }
    }
}

pub(super) fn member_named(member: &str, labels: &dyn Labels) -> Result<Meaning, ImportError> {
    headers::meaning(member, labels).ok_or_else(|| ImportError::UnknownMember {
        member: shown(member),
        nearest: nearest(member, members::paths()),
    })
}

/// The candidate that shares most letter pairs with `text`, if it shares enough.
fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    let wanted = pairs(text);
    candidates
        .map(|candidate| {
            let other = pairs(candidate);
            let shared = wanted.iter().filter(|pair| other.contains(pair)).count();
            (
                shared * 200 / (wanted.len() + other.len()).max(1),
                candidate,
            )
        })
        .filter(|(score, _)| *score >= 50)
        .max_by_key(|(score, _)| *score)
        .map(|(_, candidate)| candidate.to_owned())
}

fn pairs(text: &str) -> Vec<(char, char)> {
    // Two edges, so that a word of one letter has pairs too. Longer texts are no headers.
    let letters: Vec<char> = format!("^{}$", fold(text)).chars().take(100).collect();
    letters
        .windows(2)
        .filter_map(|pair| Some((*pair.first()?, *pair.last()?)))
        .collect()
}
