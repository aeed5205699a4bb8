//! Drafts as JSON: a list, a collection, one alone, or one a line; and flat objects, which are rows.
//!
//! Each element is read by the protocol's own strict reader, so a name given twice or a number that
//! would be rounded is named where it stands. Records that were signed are drafts again: whose they
//! are is for the one who signs next to say.

mod elements;

use std::collections::HashMap;
use std::io::{BufRead, Read as _};

use protocol::canonical::{Numbers, parse};
use protocol::id::Did;
use protocol::limits::RECORD_BYTES_MAX;
use protocol::proof::Proof;
use serde_json::{Map, Value};

use super::Format;
use super::drafts::{Drafts, Key, local_id_of};
use super::foreign::{self, Element, Foreign, text_key};
use super::page;
use super::plan::Plan;
use super::report::{Finding, ImportError, shown};
use super::settings::Settings;
use super::source;
use super::table::{Cell, Cells};
use elements::{elements, place};

/// Largest file of JSON, in bytes: unlike CSV, it is held whole.
const JSON_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Members that signing adds.
const SIGNED: [&str; 5] = ["spec", "author", "seq", "issued", "proof"];

pub(super) fn read(text: &mut impl BufRead, out: &mut Drafts<'_>) -> Result<(), ImportError> {
    let bytes = whole(text)?;
    let elements = elements(&bytes, out)?;
    let settings = Settings::new(out.options)?;
    let mut sorted = Sorted::default();
    for (row, slice) in elements {
        sorted.take(row, slice, None, &settings, out)?;
    }
    sorted.finish(&settings, out)
}

/// Reads the JSON-LD of a page.
pub(super) fn read_page(text: &mut impl BufRead, out: &mut Drafts<'_>) -> Result<(), ImportError> {
    let bytes = whole(text)?;
    let html = String::from_utf8_lossy(&bytes);
    let page = page::read(&html)?;
    let settings = Settings::new(out.options)?;
    let mut sorted = Sorted {
        forced: Some(Foreign::SchemaOrg),
        ..Sorted::default()
    };
    for (block, number) in page.blocks.iter().zip(1..) {
        match elements(block.as_bytes(), out) {
            Ok(elements) => {
                for (_, slice) in elements {
                    let row = sorted.counted + 1;
                    sorted.take(row, slice, page.language.as_deref(), &settings, out)?;
                }
            }
            // One broken script says nothing about the others.
            Err(error @ (ImportError::Json { .. } | ImportError::Empty)) => {
                let row = sorted.counted + 1;
                out.begin(row)?;
                sorted.counted += 1;
                let problem = format!("script {number} of the page is no JSON: {error}");
                refuse(row, "", &problem, "ask whoever keeps the page", out);
            }
            Err(error) => return Err(error),
        }
    }
    sorted.finish(&settings, out)
}

fn whole(text: &mut impl BufRead) -> Result<Vec<u8>, ImportError> {
    let mut bytes = Vec::new();
    text.take(JSON_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(source::error)?;
    if bytes.len() as u64 > JSON_BYTES_MAX {
        return Err(ImportError::TooLarge {
            bytes_max: JSON_BYTES_MAX,
        });
    }
    if let Err(error) = std::str::from_utf8(&bytes) {
        let at = error.valid_up_to();
        let (line, column) = place(&bytes, at);
        let near = bytes.get(at.saturating_sub(20)..).unwrap_or_default();
        let as_western = shown(&source::as_western(near.get(..40).unwrap_or(near)));
        return Err(ImportError::NotUtf8 {
            line,
            column,
            as_western,
        });
    }
    Ok(bytes)
}

/// Objects by what they are; drafts are handed over at once.
#[derive(Default)]
struct Sorted {
    /// What all of them are, if that is known.
    forced: Option<Foreign>,
    counted: u64,
    flat: Vec<(u64, Map<String, Value>)>,
    foreign: Vec<(Foreign, Element)>,
}

/// Largest object of others, in bytes.
const FOREIGN_BYTES_MAX: usize = 1024 * 1024;

/// Deepest that collections within JSON-LD are opened.
const GRAPH_DEPTH_MAX: usize = 4;

impl Sorted {
    fn take(
        &mut self,
        row: u64,
        slice: &[u8],
        language: Option<&str>,
        settings: &Settings<'_>,
        out: &mut Drafts<'_>,
    ) -> Result<(), ImportError> {
        let forced = self.forced.or(match out.options.format {
            Format::Dpg => Some(Foreign::Dpg),
            Format::SchemaOrg => Some(Foreign::SchemaOrg),
            Format::Hsds => Some(Foreign::Hsds),
            _ => None,
        });
        // What others wrote has numbers that no record of ours may have.
        let object = match parse(slice, FOREIGN_BYTES_MAX, Numbers::Any) {
            Ok(Value::Object(object)) => object,
            Ok(Value::Array(list)) if forced == Some(Foreign::SchemaOrg) => {
                return self.take_things(list, language, None, GRAPH_DEPTH_MAX, out);
            }
            Ok(_) => {
                self.begin(row, out)?;
                let right = "a draft is an object with type, localId and body";
                refuse(row, "", "is no object", right, out);
                return Ok(());
            }
            Err(error) => {
                self.begin(row, out)?;
                refuse(row, "", &error.to_string(), "", out);
                return Ok(());
            }
        };
        let is_draft = object.contains_key("body")
            || object.contains_key("localId")
            || object.get("status").and_then(Value::as_str) == Some("withdrawn");
        let foreign = forced.or_else(|| Foreign::of(&object).filter(|_| !is_draft));
        match foreign {
            Some(Foreign::SchemaOrg) => {
                return self.take_thing(row, object, language, None, GRAPH_DEPTH_MAX, out);
            }
            Some(format) => {
                self.begin(row, out)?;
                let language = language.map(str::to_owned);
                self.foreign.push((
                    format,
                    Element {
                        row,
                        object,
                        language,
                    },
                ));
                return Ok(());
            }
            None => self.begin(row, out)?,
        }
        // White space may make the file's form larger than the record.
        if let Err(error) = parse(slice, 6 * RECORD_BYTES_MAX, Numbers::SafeIntegers) {
            refuse(row, "", &error.to_string(), "", out);
        } else if is_draft {
            read_draft(row, object, settings, out);
        } else {
            self.flat.push((row, object));
        }
        Ok(())
    }

    fn begin(&mut self, row: u64, out: &mut Drafts<'_>) -> Result<(), ImportError> {
        self.counted += 1;
        out.begin(row)
    }

    /// Takes a thing of JSON-LD, or what a collection holds: `@graph`, or the items of a list.
    fn take_thing(
        &mut self,
        row: u64,
        mut object: Map<String, Value>,
        language: Option<&str>,
        context: Option<&Value>,
        depth: usize,
        out: &mut Drafts<'_>,
    ) -> Result<(), ImportError> {
        let own = object.get("@context").cloned();
        let context = own.as_ref().or(context);
        let within = ["@graph", "itemListElement"]
            .iter()
            .find_map(|name| object.remove(*name))
            .or_else(|| object.get("item").filter(|item| item.is_object()).cloned());
        match within {
            Some(within) if depth > 0 => {
                let list = match within {
                    Value::Array(list) => list,
                    one => vec![one],
                };
                self.take_things(list, language, context, depth - 1, out)
            }
            _ => {
                if let Some(context) = context {
                    object.insert("@context".to_owned(), context.clone());
                }
                self.begin(row, out)?;
                let language = language.map(str::to_owned);
                self.foreign.push((
                    Foreign::SchemaOrg,
                    Element {
                        row,
                        object,
                        language,
                    },
                ));
                Ok(())
            }
        }
    }

    fn take_things(
        &mut self,
        list: Vec<Value>,
        language: Option<&str>,
        context: Option<&Value>,
        depth: usize,
        out: &mut Drafts<'_>,
    ) -> Result<(), ImportError> {
        for value in list {
            if let Value::Object(object) = value {
                let row = self.counted + 1;
                self.take_thing(row, object, language, context, depth, out)?;
            }
        }
        Ok(())
    }

    fn finish(self, settings: &Settings<'_>, out: &mut Drafts<'_>) -> Result<(), ImportError> {
        let mut rest = self.foreign;
        for format in [Foreign::Dpg, Foreign::SchemaOrg, Foreign::Hsds] {
            let (these, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(of, _)| *of == format);
            rest = others;
            let elements = these.into_iter().map(|(_, element)| element).collect();
            foreign::read(format, elements, settings, out);
        }
        read_flat(self.flat, out)
    }
}

fn refuse(row: u64, column: &str, problem: &str, suggestion: &str, out: &mut Drafts<'_>) {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (column, suggestion) = (text(column), text(suggestion));
    out.refuse(vec![Finding {
        row,
        column,
        value: None,
        problem: problem.to_owned(),
        suggestion,
    }]);
}

fn read_draft(
    row: u64,
    mut tree: Map<String, Value>,
    settings: &Settings<'_>,
    out: &mut Drafts<'_>,
) {
    if tree.get("type").and_then(Value::as_str) == Some("Checkpoint") {
        return out.leave_out(row, "checkpoints are left out: every node makes its own");
    }
    if tree.contains_key("proof") {
        let signed = Proof::of(&tree).and_then(|proof| proof.check(&tree, &proof.claimed_key()?));
        if let Err(error) = signed {
            let problem = format!("the record is signed, and its signature does not hold: {error}");
            return refuse(
                row,
                "proof",
                &problem,
                "get it again from whoever signed it, or drop the proof",
                out,
            );
        }
    }
    if let Some(author) = tree.get("author").and_then(Value::as_str)
        && let Some(scid) = settings.options.author
        && Did::parse(author).is_ok_and(|author| *author.scid() != scid)
    {
        let problem = format!("this is a record of {author}, not of the organisation that imports");
        return refuse(
            row,
            "author",
            &problem,
            "follow the node that has it, or take it in with `baraza bundle import`: it stays theirs. To publish something of your own that builds on it, drop `author` and `proof`",
            out,
        );
    }
    let before = tree.len();
    tree.retain(|name, _| !SIGNED.contains(&name.as_str()));
    if tree.len() < before {
        out.note(row, "records that were signed already are taken as drafts, to be signed anew; author, number and date are not taken over");
    }
    settings.complete(&mut tree);
    tree.entry("sources").or_insert_with(|| out.sources());
    let key = match tree.get("localId").or_else(|| tree.get("id")) {
        None | Some(Value::Null) => {
            let empty = Map::new();
            let body = tree
                .get("body")
                .and_then(Value::as_object)
                .unwrap_or(&empty);
            let id = text_key(&tree, body);
            tree.insert("localId".to_owned(), id.into());
            Key::Text
        }
        Some(Value::String(id)) => {
            // A draft's `localId` is a promise; an `id` is only what its source calls it.
            let id = if tree.contains_key("localId") {
                id.clone()
            } else {
                local_id_of(id)
            };
            tree.insert("localId".to_owned(), id.into());
            Key::Id
        }
        Some(_) => Key::Id,
    };
    out.accept(row, &tree, key, &|_| None);
}

/// Reads objects without a body as rows whose headers are their members.
fn read_flat(
    objects: Vec<(u64, Map<String, Value>)>,
    out: &mut Drafts<'_>,
) -> Result<(), ImportError> {
    if objects.is_empty() {
        return Ok(());
    }
    let columns_max = out.options.limits.columns_max;
    let mut headers: Vec<String> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut rows = Vec::with_capacity(objects.len());
    for (row, object) in objects {
        let mut flat = Vec::new();
        if let Err(member) = flatten("", &object, &mut flat) {
            let right = "a flat object has texts, numbers, yes or no, or lists of these; all else needs a draft with a body";
            refuse(row, &member, "is a list of objects", right, out);
            continue;
        }
        let mut cells = Vec::new();
        for (header, cell) in flat {
            let position = *at.entry(header).or_insert_with_key(|header| {
                headers.push(header.clone());
                headers.len() - 1
            });
            if position >= columns_max {
                return Err(ImportError::TooManyColumns { row, columns_max });
            }
            cells.push((position, cell));
        }
        rows.push((row, cells));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let plan = Plan::new(&headers, 1, out)?;
    for (row, found) in rows {
        let mut cells = vec![Cell::default(); headers.len()];
        for (position, cell) in found {
            if let Some(place) = cells.get_mut(position) {
                *place = cell;
            }
        }
        plan.read_row(&Cells { row, cells }, out);
    }
    Ok(())
}

/// Members and members of members as cells; the name of the first that can be none, otherwise.
fn flatten(
    before: &str,
    object: &Map<String, Value>,
    cells: &mut Vec<(String, Cell)>,
) -> Result<(), String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    for (name, value) in object {
        let path = if before.is_empty() {
            name.clone()
        } else {
            format!("{before}.{name}")
        };
        let cell = match value {
            Value::Null => continue,
            Value::Object(inner) => {
                flatten(&path, inner, cells)?;
                continue;
            }
            Value::Array(list) => {
                let values: Option<Vec<String>> = list.iter().map(scalar).collect();
                let values = values.ok_or_else(|| shown(&path))?;
                Cell {
                    text: values.join("; "),
                    values: Some(values),
                    cut: false,
                }
            }
            other => Cell {
                text: scalar(other).unwrap_or_default(),
                ..Cell::default()
            },
        };
        cells.push((path, cell));
    }
    Ok(())
}
