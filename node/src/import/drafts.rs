//! What becomes of a row: a draft, a repetition of one, or findings.

use std::collections::HashMap;

use protocol::canonical::{Numbers, parse, to_canonical};
use protocol::envelope::{EnvelopeError, Header, SPEC};
use protocol::id::{LocalId, Scid};
use protocol::record::{Checkpoint, Draft, DraftError, FieldErrors};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::report::{ColumnUse, Duplicate, Finding, ImportError, Notices, Report};
use super::{DRAFT_BYTES_MAX, Options, Row};

/// By what a row is told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Id,
    Text,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text => "language, url and title",
        }
    }
}

/// Where a local id was met, and a digest of all that its row says.
struct Met {
    row: u64,
    said: u64,
}

/// Gathers what a file gives.
pub(super) struct Drafts<'o> {
    pub(super) options: &'o Options<'o>,
    sink: Box<dyn FnMut(Row) + 'o>,
    report: Report,
    notices: Notices,
    met: HashMap<[u8; 16], Met>,
}

impl<'o> Drafts<'o> {
    pub(super) fn new(options: &'o Options<'o>, sink: impl FnMut(Row) + 'o) -> Self {
        Self {
            options,
            sink: Box::new(sink),
            report: Report::default(),
            notices: Notices::default(),
            met: HashMap::new(),
        }
    }

    pub(super) fn finish(self) -> Report {
        Report {
            notices: self.notices.into_list(),
            ..self.report
        }
    }

    pub(super) fn set_columns(&mut self, columns: Vec<ColumnUse>) {
        self.report.columns = columns;
    }

    pub(super) fn set_handle(&mut self, handle: String) {
        self.report.handle = Some(handle);
    }

    pub(super) fn note(&mut self, row: u64, text: &str) {
        self.notices.add(row, text);
    }

    /// Counts a row that is no matter of imports.
    pub(super) fn leave_out(&mut self, row: u64, why: &str) {
        self.report.rows_left_out += 1;
        self.note(row, why);
    }

    /// Counts a row before it is read.
    pub(super) fn begin(&mut self, row: u64) -> Result<(), ImportError> {
        let rows_max = self.options.limits.rows_max;
        if self.report.rows_read >= rows_max {
            return Err(ImportError::TooManyRows { row, rows_max });
        }
        self.report.rows_read += 1;
        Ok(())
    }

    /// Takes findings about the file as a whole, which spoil no row.
    pub(super) fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < self.options.limits.findings_max {
            self.report.findings.push(finding);
        } else {
            self.report.findings_left_out += 1;
        }
    }

    /// Counts a row that says again what an earlier one says.
    pub(super) fn repeat(&mut self, duplicate: Duplicate) {
        self.report.rows_duplicate += 1;
        if self.report.duplicates.len() < self.options.limits.findings_max {
            self.report.duplicates.push(duplicate);
        }
    }

    pub(super) fn refuse(&mut self, findings: Vec<Finding>) {
        self.report.rows_bad += 1;
        for finding in findings {
            self.find(finding);
        }
    }

    /// Takes the tree of a draft, `localId` included. `column` names the column that fills a member,
    /// which it is given by its path from the top, such as `body.cost.kind`.
    pub(super) fn accept(
        &mut self,
        row: u64,
        tree: &Map<String, Value>,
        key: Key,
        column: &dyn Fn(&str) -> Option<String>,
    ) {
        let draft = match self.checked(tree) {
            Ok(draft) => draft,
            Err(faults) => {
                let finding = |(path, problem): (String, String)| Finding {
                    row,
                    column: column(&path).or((!path.is_empty()).then_some(path)),
                    value: None,
                    problem,
                    suggestion: None,
                };
                return self.refuse(faults.into_iter().map(finding).collect());
            }
        };
        let (name, said) = (digest(draft.local().as_str().as_bytes()), said(tree));
        if let Some(first) = self.met.get(&name) {
            let (first_row, is_identical) = (first.row, first.said == said);
            if key == Key::Id && !is_identical {
                return self.refuse(vec![Finding {
                    row,
                    column: column("localId"),
                    value: Some(draft.local().to_string()),
                    problem: format!(
                        "is the id of row {first_row} already, which says something else"
                    ),
                    suggestion: Some("give each row an id of its own".to_owned()),
                }]);
            }
            self.repeat(Duplicate {
                row,
                first_row,
                by: key.name(),
                is_identical,
                joined: None,
            });
            return;
        }
        self.met.insert(name, Met { row, said });
        self.report.rows_good += 1;
        (self.sink)(Row { row, draft });
    }

    /// Everything that signing would demand is demanded here, where the row is known.
    fn checked(&self, tree: &Map<String, Value>) -> Result<Draft, Vec<(String, String)>> {
        if let Some(name) = linked_data_keyword(tree) {
            return Err(vec![(
                name.to_owned(),
                "is not allowed: a record is plain JSON".to_owned(),
            )]);
        }
        let mut envelope = tree.clone();
        envelope
            .entry("licence")
            .or_insert_with(|| self.options.licence.clone().into());
        envelope.entry("status").or_insert_with(|| "active".into());
        envelope.retain(|_, value| !value.is_null());
        let bytes = to_canonical(&Value::Object(envelope.clone()));
        parse(&bytes, DRAFT_BYTES_MAX, Numbers::SafeIntegers)
            .map_err(|error| vec![(String::new(), format!("cannot be a record: {error}"))])?;
        // Author, number and date are the signer's; the rest must be right now.
        envelope.insert("spec".to_owned(), SPEC.into());
        envelope.insert(
            "author".to_owned(),
            format!("did:webvh:{}:a.example", Scid::of(b"")).into(),
        );
        envelope.insert("seq".to_owned(), 1.into());
        envelope.insert("issued".to_owned(), "2026-01-01T00:00:00Z".into());
        let of_envelope = |error: EnvelopeError| match error {
            EnvelopeError::Field { field, expected } => {
                vec![(field.to_owned(), format!("must be {expected}"))]
            }
            other => vec![(String::new(), other.to_string())],
        };
        Header::read(&envelope).map_err(of_envelope)?;
        Draft::new(tree, &self.options.licence).map_err(|error| match error {
            DraftError::Envelope(error) => of_envelope(error),
            DraftError::Language(problem) => vec![("language".to_owned(), problem)],
            DraftError::Body(FieldErrors(faults)) => {
                let path = |path: String| format!("body.{path}");
                faults
                    .into_iter()
                    .map(|fault| (path(fault.path), fault.problem))
                    .collect()
            }
        })
    }

    /// What every imported record says of its source.
    pub(super) fn sources(&self) -> Value {
        let source = &self.options.source;
        let mut entry = Map::new();
        for (name, value) in [
            ("title", &source.title),
            ("url", &source.url),
            ("licence", &source.licence),
        ] {
            if let Some(text) = value {
                entry.insert(name.to_owned(), text.as_str().into());
            }
        }
        entry.insert("method".to_owned(), "imported".into());
        json!([entry])
    }
}

/// The local id for what a source calls a row: itself where it can be one, else from its digest. One
/// that only differs in case is made lower.
pub(super) fn local_id_of(id: &str) -> String {
    let lower = id.to_ascii_lowercase();
    if LocalId::parse(&lower).is_ok() && lower != Checkpoint::LOCAL_ID {
        return lower;
    }
    format!("id-{}", hex(&Sha256::digest(id.as_bytes())))
}

/// The local id for a row without one, from what tells it from others. The texts are those of the
/// file, for what this program mends may grow, and ids must not change with it.
pub(super) fn local_id_of_text(language: &str, url: &str, title: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [language, url, title] {
        hasher.update(part.trim().as_bytes());
        // No text has it, so no two triples are one.
        hasher.update([0]);
    }
    format!("row-{}", hex(&hasher.finalize()))
}

/// The first 80 bits.
fn hex(digest: &[u8]) -> String {
    digest
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(Sha256::digest(bytes)) {
        *to = from;
    }
    short
}

fn said(tree: &Map<String, Value>) -> u64 {
    let bytes = to_canonical(&Value::Object(tree.clone()));
    u64::from_be_bytes(digest(&bytes).first_chunk().copied().unwrap_or_default())
}

/// The first member name, at any depth, that JSON-LD would read as a keyword.
fn linked_data_keyword(object: &Map<String, Value>) -> Option<&str> {
    object.iter().find_map(|(name, value)| match value {
        _ if name.starts_with('@') => Some(name.as_str()),
        Value::Object(inner) => linked_data_keyword(inner),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_object)
            .find_map(linked_data_keyword),
        _ => None,
    })
}
