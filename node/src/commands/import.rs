//! `baraza import`: a file of rows becomes published records, all of them or none.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::codes;
use protocol::envelope::Status;
use protocol::id::{RecordId, Scid};
use protocol::record::Draft;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Done, refused};
use crate::catalogue::PROFILE;
use crate::control::Progress;
use crate::import::{self, Format, Mapping, Options, Report, Setting, Source};
use crate::labels::Labels;
use crate::node::{Node, NodeError};
use crate::places;
use crate::publish::Outcome;

/// What to import, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    /// The file.
    pub path: PathBuf,
    /// As whom.
    pub handle: String,
    /// Which kind of file; `auto` finds out.
    pub format: String,
    /// A file that says what columns mean.
    pub map: Option<PathBuf>,
    /// What the file lacks, as `FIELD=VALUE`.
    pub set: Vec<String>,
    /// Publish the good rows although others are bad.
    pub good_rows: bool,
    /// Withdraw records of earlier imports that are not in the file.
    pub withdraw_missing: bool,
    /// Say what would be done and do nothing.
    pub dry_run: bool,
    /// A file to write the findings to.
    pub report: Option<PathBuf>,
}

struct Names<'l>(&'l Labels);

impl import::Labels for Names<'_> {
    fn code(&self, scheme: &str, text: &str) -> Option<&'static str> {
        let code = self.0.find(scheme, text)?;
        codes::scheme(scheme)?.get(code)
    }

    fn country(&self, text: &str) -> Option<&'static str> {
        places::country_named(text)
    }

    fn language(&self, text: &str) -> Option<String> {
        places::language_named(text).map(str::to_owned)
    }
}

pub(super) async fn run(
    node: &Arc<Node>,
    command: &Import,
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let signer = node.keychain.signer(&command.handle)?;
    let (job, labels) = (command.clone(), Arc::clone(&node.labels));
    let licence = node.config.settings.publishing.licence.clone();
    let reading = tokio::task::spawn_blocking(move || read(&job, &labels, licence))
        .await
        .map_err(refused)??;
    let report = &reading.report;
    if let Some(path) = &command.report {
        let text = describe(report);
        std::fs::write(path, text)
            .map_err(|error| refused(format!("{}: {error}", path.display())))?;
    }
    let bad = report.rows_bad;
    let is_blocked = bad > 0 && !command.good_rows;
    let mut text = describe(report);
    if is_blocked {
        text.push_str(
            "\nNothing was published: mend these rows, or publish the good ones with --good-rows.",
        );
    }
    if is_blocked || command.dry_run {
        let count = reading.drafts.len();
        if command.dry_run && !is_blocked {
            text.push_str(&format!(
                "\n{count} rows would be published; nothing was changed."
            ));
        }
        let json = json!({"new": 0, "changed": 0, "unchanged": 0, "refused": bad, "readable": count, "dryRun": command.dry_run});
        return Ok(Done {
            text,
            json,
            is_complete: !is_blocked,
        });
    }
    let mut drafts: Vec<Draft> = reading.drafts.into_iter().map(|row| row.draft).collect();
    let rows = drafts.len();
    let missing = missing(node, signer.did.scid(), &drafts)?;
    if command.withdraw_missing {
        // In one step with the rows: an import that is cut short changes nothing.
        for id in &missing {
            drafts.push(node.publisher.tombstone(id).map_err(refused)?);
        }
    }
    let total = drafts.len() as u64;
    let tell = |done: usize| {
        // A step that nobody has room for is not waited for.
        let _ = progress.try_send(Progress {
            done: done as u64,
            total: Some(total),
        });
    };
    let published = node.publisher.publish(&signer, &drafts, tell).await?;
    let count = |outcome| {
        published
            .iter()
            .take(rows)
            .filter(|record| record.outcome == outcome)
            .count()
    };
    let (new, changed, unchanged) = (
        count(Outcome::New),
        count(Outcome::Changed),
        count(Outcome::Unchanged),
    );
    text.push_str(&format!(
        "\n{new} new, {changed} changed, {unchanged} unchanged, {bad} refused"
    ));
    let withdrawn = published.len() - rows;
    if command.withdraw_missing {
        text.push_str(&format!(
            "\n{withdrawn} withdrawn: they are no longer in the file"
        ));
    } else if !missing.is_empty() {
        text.push_str(&format!(
            "\n{} records of earlier imports are not in this file; they stay. Withdraw them with --withdraw-missing.",
            missing.len()
        ));
    }
    let json = json!({"new": new, "changed": changed, "unchanged": unchanged, "refused": bad, "withdrawn": withdrawn});
    Ok(Done {
        text,
        json,
        is_complete: true,
    })
}

/// Records of earlier imports that are not among `drafts`.
fn missing(node: &Node, scid: &Scid, drafts: &[Draft]) -> Result<Vec<RecordId>, NodeError> {
    let present: BTreeSet<&str> = drafts.iter().map(|draft| draft.local().as_str()).collect();
    let mut missing = Vec::new();
    for (id, row) in node.store.counting_of(scid)? {
        let local = id.local.as_str();
        let is_of_a_row = local != PROFILE && local.starts_with(ROW_ID_PREFIX);
        if row.status == Status::Active && is_of_a_row && !present.contains(local) {
            missing.push(id);
        }
    }
    Ok(missing)
}

/// Rows without an id of their own are named by what they say, with this in front.
const ROW_ID_PREFIX: &str = "row-";

/// A report as a person in an office reads it.
fn describe(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} rows read: {} good, {} bad, {} repeated",
        report.rows_read, report.rows_good, report.rows_bad, report.rows_duplicate
    )];
    let taken = report.columns.iter().map(|column| match &column.member {
        Some(member) => format!("“{}” is {member}", column.header),
        None => format!("“{}” is left out", column.header),
    });
    let taken: Vec<String> = taken.collect();
    if !taken.is_empty() {
        lines.push(format!("columns: {}", taken.join(", ")));
    }
    lines.extend(report.findings.iter().map(ToString::to_string));
    if report.findings_left_out > 0 {
        lines.push(format!("and {} more findings", report.findings_left_out));
    }
    lines.extend(report.duplicates.iter().map(ToString::to_string));
    lines.extend(report.notices.iter().map(ToString::to_string));
    lines.join("\n")
}

fn read(command: &Import, labels: &Labels, licence: String) -> Result<import::Reading, NodeError> {
    let fault = |error: std::io::Error| refused(format!("{}: {error}", command.path.display()));
    let format = match command.format.as_str() {
        "auto" => Format::Auto,
        "csv" => Format::Csv,
        "json" => Format::Json,
        other => {
            return Err(refused(format!(
                "the format “{other}” is not known: use auto, csv or json"
            )));
        }
    };
    let mapping = match &command.map {
        None => None,
        Some(path) => {
            let text = std::fs::read(path)
                .map_err(|error| refused(format!("{}: {error}", path.display())))?;
            Some(Mapping::read(&text).map_err(refused)?)
        }
    };
    let set = command
        .set
        .iter()
        .map(|text| text.parse::<Setting>())
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    let title = command
        .path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let names = Names(labels);
    let options = Options {
        format,
        mapping,
        set,
        licence,
        source: Source {
            title,
            ..Source::default()
        },
        labels: &names,
        ..Options::default()
    };
    import::read(File::open(&command.path).map_err(fault)?, &options).map_err(refused)
}
