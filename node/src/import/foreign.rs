//! What others describe in formats of their own: the registry of digital public goods, schema.org, HSDS.
//!
//! Whoever imports such a file cannot mend it. So what cannot be understood of an item is left out and
//! told, and the item is kept; only without a name or a kind it is no record. Nothing is guessed: what a
//! format does not say is absent.

mod dpg;
mod hsds;
mod licence;
mod schema_org;
mod text;

use serde_json::{Map, Value};

use super::drafts::{Drafts, Key, local_id_of, local_id_of_text};
use super::filling::Filling;
use super::headers::{Meaning, Target};
use super::members::{Kind, Shape};
use super::report::Finding;
use super::settings::Settings;
use super::table::Cell;

/// A format of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// The registry of digital public goods: nominations, reviews, or both in one object.
    Dpg,
    /// JSON-LD with the vocabulary of schema.org.
    SchemaOrg,
    /// The Human Services Data Specification, version 3.
    Hsds,
}

impl Foreign {
    /// The format that an object bears the marks of.
    pub(super) fn of(object: &Map<String, Value>) -> Option<Self> {
        let has = |name: &str| object.contains_key(name);
        if has("@type") || has("@context") || has("@graph") || has("@id") {
            return Some(Self::SchemaOrg);
        }
        if has("clearOwnership") || has("SDGs") && (has("organizations") || has("type")) {
            return Some(Self::Dpg);
        }
        const HSDS: [&str; 8] = [
            "service_at_locations",
            "interpretation_services",
            "fees_description",
            "eligibility_description",
            "organization_identifiers",
            "legal_status",
            "year_incorporated",
            "tax_status",
        ];
        let is_hsds = has("name") && HSDS.iter().any(|name| has(name));
        is_hsds.then_some(Self::Hsds)
    }
}

/// One thing in a file of others.
pub(super) struct Element {
    /// Where it stands.
    pub(super) row: u64,
    /// What it says.
    pub(super) object: Map<String, Value>,
    /// The language of the text around it, if that is known.
    pub(super) language: Option<String>,
}

/// Reads things that are all of one format.
pub(super) fn read(
    format: Foreign,
    elements: Vec<Element>,
    settings: &Settings<'_>,
    out: &mut Drafts<'_>,
) {
    match format {
        Foreign::Dpg => dpg::read(elements, settings, out),
        Foreign::SchemaOrg => schema_org::read(elements, settings, out),
        Foreign::Hsds => hsds::read(elements, settings, out),
    }
}

/// One thing of others on its way to a draft.
struct Item<'o> {
    row: u64,
    filling: Filling<'o>,
    language: Option<String>,
}

impl<'o> Item<'o> {
    fn new(row: u64, kind: Kind, settings: &Settings<'o>, language: Option<String>) -> Self {
        let mut filling = Filling::new(settings.options, kind);
        let said = settings.of(Target::Language).map(|set| set.cell());
        let said = said.and_then(|cell| filling.languages("language", &cell).into_iter().next());
        Self {
            row,
            filling,
            language: language
                .or(said)
                .or_else(|| settings.options.language.clone()),
        }
    }

    /// A text for the member at `path`; `from` is what its source calls it.
    fn put(&mut self, path: &'static str, from: &str, text: &str) {
        self.fill(Target::Body(path), from, &cell(text), None);
    }

    /// A text in a language that is named beside it.
    fn put_in(&mut self, path: &'static str, from: &str, text: &str, language: Option<&str>) {
        self.fill(Target::Body(path), from, &cell(text), language);
    }

    /// Several values.
    fn put_all(&mut self, path: &'static str, from: &str, values: Vec<String>) {
        if values.is_empty() {
            return;
        }
        let cell = Cell {
            text: values.join("; "),
            values: Some(values),
            cut: false,
        };
        self.fill(Target::Body(path), from, &cell, None);
    }

    fn fill(&mut self, target: Target, from: &str, cell: &Cell, language: Option<&str>) {
        let meaning = Meaning {
            target,
            language: language.map(str::to_owned),
            is_exact: true,
        };
        let language = self.language.clone();
        self.filling.fill(from, &meaning, cell, language.as_deref());
    }

    /// A value as it is, where nothing stands yet.
    fn set(&mut self, member: &str, value: impl Into<Value>) {
        let value = value.into();
        self.filling.body.entry(member).or_insert(value);
    }

    fn note(&mut self, text: impl Into<String>) {
        self.filling.notes.push(text.into());
    }

    /// Names the record by what its source calls it, else by what it says, and hands it over.
    fn finish(mut self, id: Option<&str>, settings: &Settings<'_>, out: &mut Drafts<'_>) {
        let language = self.language.clone();
        let kind = self.filling.kind;
        for set in &settings.list {
            // What is said of the thing goes before; and what kinds there are hangs on the type.
            let fits = match set.meaning.target {
                Target::Body("kind") => kind == settings.kind,
                Target::Body(path) => kind.shape(kind.own_path(path)).is_some(),
                _ => true,
            };
            let member = match set.meaning.target {
                Target::Body(path) => path.split('.').next().unwrap_or(path),
                _ => "",
            };
            if fits && !self.filling.body.contains_key(member) {
                let field = &set.setting.field;
                self.filling
                    .fill(field, &set.meaning, &set.cell(), language.as_deref());
            }
        }
        self.filling.settle_places();
        self.filling.settle_cost();
        let Self { row, filling, .. } = self;
        for note in &filling.notes {
            out.note(row, note);
        }
        for fault in &filling.findings {
            let member = fault.column.as_deref().unwrap_or_default();
            let value = fault.value.as_deref().unwrap_or_default();
            let problem = &fault.problem;
            out.note(
                row,
                &format!("“{member}”: “{value}” {problem}, and is left out"),
            );
        }
        let missing = |column: &str, problem: String, suggestion: &str| Finding {
            row,
            column: Some(column.to_owned()),
            value: None,
            problem,
            suggestion: Some(suggestion.to_owned()),
        };
        let mut findings = Vec::new();
        if filling.lacks_language {
            findings.push(missing(
                "language",
                "the language of its texts is not said".to_owned(),
                "give --set language=en for the whole file",
            ));
        } else if !filling.body.contains_key("name") {
            findings.push(missing(
                "name",
                "it has no name, and every record needs one".to_owned(),
                "ask whoever publishes it",
            ));
        }
        if let (Some(Shape::OwnCode(scheme)), None) = (kind.shape("kind"), filling.body.get("kind"))
        {
            let codes = scheme.codes().join(", ");
            let name = kind.name();
            let kind = match kind {
                Kind::Offering => "--set kind=…".to_owned(),
                _ => format!("--set type={name} --set kind=…"),
            };
            findings.push(missing(
                "kind",
                format!("it does not say what kind of {name} it is"),
                &format!("give {kind} for the whole file, one of {codes}"),
            ));
        }
        if !findings.is_empty() {
            return out.refuse(findings);
        }
        let mut tree = filling.envelope;
        let (id, key) = match id {
            Some(id) => (local_id_of(id), Key::Id),
            None => (text_key(&tree, &filling.body), Key::Text),
        };
        tree.insert("localId".to_owned(), id.into());
        tree.insert("type".to_owned(), kind.name().into());
        tree.entry("sources").or_insert_with(|| out.sources());
        tree.insert("body".to_owned(), Value::Object(filling.body));
        out.accept(row, &tree, key, &|_| None);
    }
}

fn cell(text: &str) -> Cell {
    Cell::holding(text.to_owned())
}

/// The local id of what its source does not name.
pub(super) fn text_key(envelope: &Map<String, Value>, body: &Map<String, Value>) -> String {
    let text = |object: &Map<String, Value>, name: &str| {
        let text = object.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let language = text(envelope, "language").unwrap_or_default();
    let url = text(body, "url").or_else(|| text(body, "website"));
    let names = body.get("name").and_then(Value::as_object);
    let name = names.and_then(|names| names.get(&language).or_else(|| names.values().next()));
    local_id_of_text(
        &language,
        &url.unwrap_or_default(),
        name.and_then(Value::as_str).unwrap_or_default(),
    )
}
