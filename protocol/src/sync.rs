//! What nodes say to each other when they catch up: cursors, filters, and the lines of the change
//! feed, of `fetch` and of bundles (docs/protocol.md, 4). How lines travel is somebody else's.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::codes::{area_of, geography};
use crate::id::{Scid, VersionHash};

/// A place in one node's change log. To everyone else it is opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The log's name; a restored node has a new one.
    pub epoch: String,
    /// Everything up to this number was read.
    pub number: u64,
}

impl Cursor {
    /// Reads what [`fmt::Display`] writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.rsplit_once('-')?;
        let is_epoch = (1..=64).contains(&epoch.len())
            && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_number =
            (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_epoch && is_number).then_some(())?;
        Some(Self {
            epoch: epoch.to_owned(),
            number: number.parse().ok()?,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.epoch, self.number)
    }
}

/// The header of a reconciliation's answer that says where the change log of who answers stands
/// (docs/protocol.md, 4): from there it is read on once the sets are equal.
pub const CURSOR_HEADER: &str = "baraza-cursor";

/// A set that two nodes reconcile (docs/protocol.md, 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetName {
    /// The newest entry of each key log.
    Identities,
    /// Every version that may be handed out.
    Records,
    /// Those of one author.
    Author(Scid),
}

impl SetName {
    /// Reads what [`fmt::Display`] writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "identities" => Some(Self::Identities),
            "records" => Some(Self::Records),
            _ => {
                let scid = Scid::parse(text.strip_prefix("author:")?).ok()?;
                Some(Self::Author(scid))
            }
        }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identities => out.write_str("identities"),
            Self::Records => out.write_str("records"),
            Self::Author(scid) => write!(out, "author:{scid}"),
        }
    }
}

/// One line of the feed, of `fetch` or of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'l> {
    /// An entry of a key log.
    Log {
        /// Whose.
        scid: Scid,
        /// The entry's JSON.
        entry: &'l str,
        /// The log's witness proofs, where it uses them: `did-witness.json`.
        witness: Option<&'l str>,
    },
    /// A record.
    Record {
        /// Its JSON.
        record: &'l str,
    },
    /// A version that is held by who writes this, without its bytes: to be asked for by `fetch`, here or
    /// elsewhere.
    Version {
        /// Its hash.
        hash: VersionHash,
    },
    /// Nothing more in this answer. A feed without it was cut off.
    End,
}

/// The members of a line, as they stand in JSON.
#[derive(Deserialize)]
struct Members<'l> {
    cursor: Option<String>,
    scid: Option<String>,
    #[serde(borrow)]
    log: Option<&'l RawValue>,
    #[serde(borrow)]
    witness: Option<&'l RawValue>,
    #[serde(borrow)]
    record: Option<&'l RawValue>,
    version: Option<String>,
}

/// A line that is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a line of the change feed: {detail}")]
pub struct LineError {
    detail: String,
}

impl<'l> Line<'l> {
    /// Reads a line and the cursor that it leads to, if it has one. Members that this version does not
    /// know are passed over.
    ///
    /// # Errors
    /// No JSON object, or one that is neither a log entry nor a record nor an end.
    pub fn read(line: &'l [u8]) -> Result<(Self, Option<Cursor>), LineError> {
        let wrong = |detail: String| LineError { detail };
        let members: Members<'l> =
            serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        let cursor = match &members.cursor {
            None => None,
            Some(text) => Some(
                Cursor::parse(text)
                    .ok_or_else(|| wrong("a cursor that does not read".to_owned()))?,
            ),
        };
        let line = match (members.record, members.log) {
            (Some(record), None) => Line::Record {
                record: record.get(),
            },
            (None, Some(entry)) => {
                let scid = members.scid.unwrap_or_default();
                Line::Log {
                    scid: Scid::parse(&scid).map_err(|error| wrong(error.to_string()))?,
                    entry: entry.get(),
                    witness: members.witness.map(RawValue::get),
                }
            }
            (None, None) => match members.version {
                Some(hash) => Line::Version {
                    hash: VersionHash::parse(&hash).map_err(|error| wrong(error.to_string()))?,
                },
                None if cursor.is_some() => Line::End,
                None => return Err(wrong("neither a record nor a log entry".to_owned())),
            },
            _ => return Err(wrong("neither a record nor a log entry".to_owned())),
        };
        Ok((line, cursor))
    }

    /// Writes the line with its line feed. The JSON within goes out as it was signed.
    pub fn write(&self, cursor: Option<&Cursor>) -> String {
        let mut line = String::from("{");
        if let Some(cursor) = cursor {
            // Writing to a String cannot fail.
            let _ = write!(line, "\"cursor\":\"{cursor}\",");
        }
        match self {
            Line::Log {
                scid,
                entry,
                witness,
            } => {
                let _ = write!(line, "\"log\":{entry},\"scid\":\"{scid}\"");
                if let Some(witness) = witness {
                    let _ = write!(line, ",\"witness\":{witness}");
                }
            }
            Line::Record { record } => {
                let _ = write!(line, "\"record\":{record}");
            }
            Line::Version { hash } => {
                let _ = write!(line, "\"version\":\"{hash}\"");
            }
            Line::End => {
                line.truncate(line.trim_end_matches(',').len());
            }
        }
        line.push_str("}\n");
        line
    }
}

/// Which part of the world a follower wants: `author=…&area=…&country=…&type=…`. Several values of
/// one name mean any of them; different names must all be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Authors.
    pub authors: BTreeSet<Scid>,
    /// Codes of areas.
    pub areas: BTreeSet<String>,
    /// Countries of ISO 3166; a record without any geography matches all.
    pub countries: BTreeSet<String>,
    /// Types of records.
    pub types: BTreeSet<String>,
}

/// A filter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter has “{part}”: use author=SCID, area=CODE, country=CODE and type=NAME, joined by &"
)]
pub struct FilterError {
    part: String,
}

/// Most parts of one filter.
const FILTER_PARTS_MAX: usize = 64;

impl Filter {
    /// Reads a query string, already percent-decoded.
    ///
    /// # Errors
    /// A name that is unknown, a value that is empty or no author, or more than 64 parts.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (count, part) in text.split('&').filter(|part| !part.is_empty()).enumerate() {
            let wrong = || FilterError {
                part: part.chars().take(60).collect(),
            };
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            if value.is_empty() || value.len() > 96 || count >= FILTER_PARTS_MAX {
                return Err(wrong());
            }
            let is_new = match name {
                "author" => filter
                    .authors
                    .insert(Scid::parse(value).map_err(|_| wrong())?),
                "area" => filter.areas.insert(value.to_owned()),
                "country" => filter.countries.insert(value.to_owned()),
                "type" => filter.types.insert(value.to_owned()),
                _ => return Err(wrong()),
            };
            // The same part twice asks for nothing more.
            let _ = is_new;
        }
        Ok(filter)
    }

    /// Whether it lets everything through.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this author's log is wanted.
    pub fn wants_author(&self, author: &Scid) -> bool {
        self.authors.is_empty() || self.authors.contains(author)
    }

    /// Whether a record is wanted, by its tree. A tombstone says nothing of areas or countries and
    /// matches them all: who never had the record loses nothing by it.
    pub fn wants(&self, author: &Scid, record: &Map<String, Value>) -> bool {
        let kind = record
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !self.wants_author(author) || !(self.types.is_empty() || self.types.contains(kind)) {
            return false;
        }
        let Some(body) = record.get("body").and_then(Value::as_object) else {
            return true;
        };
        // A topic implies its area.
        let has_area = self.areas.is_empty()
            || codes(body, "areas").any(|area| self.areas.contains(area))
            || codes(body, "topics")
                .filter_map(area_of)
                .any(|area| self.areas.contains(area));
        has_area && (self.countries.is_empty() || self.wants_place(body))
    }

    /// What of a record filters look at: a filter wants the one if it wants the other. So little can be kept of
    /// a version whose bytes are not.
    pub fn looks_at(record: &Map<String, Value>) -> Map<String, Value> {
        let some_of = |tree: &Map<String, Value>, names: &[&str]| {
            let member = |name: &&str| Some(((*name).to_owned(), tree.get(*name)?.clone()));
            names.iter().filter_map(member).collect::<Map<_, _>>()
        };
        let mut part = some_of(record, &["type"]);
        if let Some(body) = record.get("body").and_then(Value::as_object) {
            let codes = ["areas", "topics", "countries", "regions"];
            part.insert("body".to_owned(), some_of(body, &codes).into());
        }
        part
    }

    fn wants_place(&self, body: &Map<String, Value>) -> bool {
        let countries: Vec<&str> = codes(body, "countries").collect();
        let regions: Vec<&str> = codes(body, "regions").collect();
        if countries.is_empty() && regions.is_empty() {
            return true;
        }
        let wanted = |code: &str| self.countries.contains(code);
        // `KE-30` is wanted by who wants `KE`.
        countries.iter().any(|code| {
            wanted(code)
                || code
                    .split_once('-')
                    .is_some_and(|(country, _)| wanted(country))
        }) || regions
            .iter()
            .any(|region| geography::countries_in(region).any(|country| wanted(country.code())))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authors = self.authors.iter().map(|author| format!("author={author}"));
        let areas = self.areas.iter().map(|area| format!("area={area}"));
        let countries = self
            .countries
            .iter()
            .map(|country| format!("country={country}"));
        let types = self.types.iter().map(|kind| format!("type={kind}"));
        let parts: Vec<String> = authors.chain(areas).chain(countries).chain(types).collect();
        out.write_str(&parts.join("&"))
    }
}

/// The codes of a member, whether of the shipped list or of another scheme.
fn codes<'b>(body: &'b Map<String, Value>, member: &str) -> impl Iterator<Item = &'b str> {
    let list = body.get(member).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|value| {
        value
            .as_str()
            .or_else(|| value.get("code").and_then(Value::as_str))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Cursor, Filter, Line};
    use crate::id::{Scid, VersionHash};

    #[test]
    fn lines_read_back_as_they_were_written() {
        let cursor = Cursor {
            epoch: "a1".into(),
            number: 7,
        };
        let scid = Scid::of(b"x");
        let record = r#"{"b":1,"a":"é"}"#;
        for line in [
            Line::Record { record },
            Line::Log {
                scid,
                entry: record,
                witness: Some("[]"),
            },
            Line::Log {
                scid,
                entry: record,
                witness: None,
            },
            Line::Version {
                hash: VersionHash::of(b"x"),
            },
            Line::End,
        ] {
            let text = line.write(Some(&cursor));
            assert_eq!(
                Line::read(text.as_bytes()),
                Ok((line, Some(cursor.clone()))),
                "{text}"
            );
        }
        let bundled = Line::Record { record }.write(None);
        assert_eq!(
            Line::read(bundled.as_bytes()),
            Ok((Line::Record { record }, None))
        );
        for text in [
            "",
            "{}",
            "[]",
            "{\"record\":{},\"log\":{}}",
            "{\"cursor\":\"x\"}",
            "{\"cursor\":\"a1-7\",\"version\":\"x\"}",
            "{\"log\":{},\"scid\":\"x\"}",
        ] {
            assert!(Line::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_filter_is_or_within_a_name_and_and_between_names() {
        let author = Scid::of(b"x");
        let filter = Filter::parse("area=cyber&area=data-ai&country=KE&type=Offering").unwrap();
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter.clone()));
        let offering = |body: serde_json::Value| {
            json!({"type": "Offering", "body": body})
                .as_object()
                .unwrap()
                .clone()
        };
        assert!(filter.wants(
            &author,
            &offering(json!({"areas": ["data-ai"], "countries": ["KE-30"]}))
        ));
        assert!(filter.wants(
            &author,
            &offering(json!({"areas": ["cyber"], "regions": ["014"]}))
        ));
        assert!(filter.wants(&author, &offering(json!({"areas": ["cyber"]}))));
        assert!(!filter.wants(
            &author,
            &offering(json!({"areas": ["policy"], "countries": ["KE"]}))
        ));
        assert!(!filter.wants(
            &author,
            &offering(json!({"areas": ["cyber"], "countries": ["SN"]}))
        ));
        assert!(
            filter.wants(
                &author,
                json!({"type": "Offering", "status": "withdrawn"})
                    .as_object()
                    .unwrap()
            )
        );
        let whole = offering(json!({
            "areas": ["cyber"], "countries": ["KE"], "name": {"en": "A course"}, "cost": {"kind": "free"},
        }));
        let part = Filter::looks_at(&whole);
        assert_eq!(
            Value::Object(part.clone()),
            json!({"type": "Offering", "body": {"areas": ["cyber"], "countries": ["KE"]}})
        );
        assert!(filter.wants(&author, &part));
        for wrong in ["colour=red", "area", "area=", "author=x"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
    }
}
