//! What a file lacks, as the user gives it: `--set FIELD=VALUE`.

use serde_json::{Map, Value};

use super::Options;
use super::filling::Filling;
use super::headers::{Meaning, Target};
use super::mapping::{Setting, member_named};
use super::members::Kind;
use super::report::ImportError;
use super::table::Cell;

/// One `FIELD=VALUE`, understood.
pub(super) struct Set<'o> {
    pub(super) setting: &'o Setting,
    pub(super) meaning: Meaning,
}

/// What a file lacks, as the user gives it.
pub(super) struct Settings<'o> {
    pub(super) options: &'o Options<'o>,
    pub(super) list: Vec<Set<'o>>,
    /// The type of a row that does not say.
    pub(super) kind: Kind,
}

impl<'o> Settings<'o> {
    /// # Errors
    /// A field that does not exist, or a value that cannot stand there.
    pub(super) fn new(options: &'o Options<'o>) -> Result<Self, ImportError> {
        let mut kind = Kind::Offering;
        let mut list = Vec::new();
        for setting in &options.set {
            let mut meaning = member_named(&setting.field, options.labels)?;
            match meaning.target {
                // One id for every row would make them one record.
                Target::Id => {
                    return Err(ImportError::UnknownMember {
                        member: setting.field.clone(),
                        nearest: None,
                    });
                }
                Target::Type => match kind_named(&setting.value, options) {
                    Some(named) => {
                        kind = named;
                        continue;
                    }
                    None => meaning.target = Target::Body("kind"),
                },
                // Of a whole file, the licence is that of its data, not of what they describe.
                Target::Body("licence") if !setting.field.starts_with("body.") => {
                    meaning.target = Target::RecordLicence;
                }
                _ => {}
            }
            list.push(Set { setting, meaning });
        }
        let settings = Self {
            options,
            list,
            kind,
        };
        for set in &settings.list {
            let mut row = Filling::new(options, kind);
            row.fill(&set.setting.field, &set.meaning, &set.cell(), Some("und"));
            if set.meaning.target == Target::Language {
                row.languages(&set.setting.field, &set.cell());
            }
            if let Some(fault) = row.findings.into_iter().next() {
                return Err(ImportError::SettingValue {
                    field: set.setting.field.clone(),
                    value: set.setting.value.clone(),
                    problem: fault.problem,
                    suggestion: fault.suggestion,
                });
            }
        }
        Ok(settings)
    }

    pub(super) fn of(&self, target: Target) -> Option<&Set<'o>> {
        self.list.iter().find(|set| set.meaning.target == target)
    }

    /// Fills what a JSON draft lacks.
    pub(super) fn complete(&self, tree: &mut Map<String, Value>) {
        let kind = tree
            .entry("type")
            .or_insert_with(|| self.kind.name().into());
        let Some(kind) = kind.as_str().and_then(Kind::parse) else {
            return;
        };
        let mut row = Filling::new(self.options, kind);
        let language = tree
            .get("language")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let set = self
            .of(Target::Language)
            .map(|set| row.languages("language", &set.cell()));
        let language = language.or_else(|| set?.into_iter().next());
        for set in &self.list {
            row.fill(
                &set.setting.field,
                &set.meaning,
                &set.cell(),
                language.as_deref(),
            );
        }
        if let (None, Some(language)) = (tree.get("language"), &language) {
            tree.insert("language".to_owned(), language.as_str().into());
        }
        for (name, value) in row.envelope {
            tree.entry(name).or_insert(value);
        }
        if let Some(Value::Object(body)) = tree.get_mut("body") {
            for (name, value) in row.body {
                lay_under(body, name, value);
            }
        }
    }
}

/// Puts `value` where there is nothing yet, within objects too.
fn lay_under(object: &mut Map<String, Value>, name: String, value: Value) {
    match (object.get_mut(&name), value) {
        (None | Some(Value::Null), value) => {
            object.insert(name, value);
        }
        (Some(Value::Object(there)), Value::Object(new)) => {
            for (name, value) in new {
                lay_under(there, name, value);
            }
        }
        _ => {}
    }
}

impl Set<'_> {
    pub(super) fn cell(&self) -> Cell {
        Cell {
            text: self.setting.value.clone(),
            ..Cell::default()
        }
    }
}

pub(super) fn kind_named(text: &str, options: &Options<'_>) -> Option<Kind> {
    Kind::parse(text).or_else(|| Kind::parse(options.labels.code("type", text)?))
}
