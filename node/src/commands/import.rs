//! `baraza import`: a file or a page of others becomes published records, all of them or none.

mod paper;
mod tally;

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use protocol::codes;
use protocol::id::Scid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Done, refused};
use crate::control::{Progress, Step};
use crate::import::{self, Format, Mapping, Options, Report, Setting, Source};
use crate::labels::Labels;
use crate::node::{Node, NodeError};
use crate::places;
use paper::{Ending, Told};
use tally::{Rules, Tally};

/// What to import, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Import {
    /// Where the rows are.
    pub from: From,
    /// As whom.
    pub handle: String,
    /// Which kind of file; found out if absent.
    pub format: Option<String>,
    /// How its characters are written; found out if absent.
    pub encoding: Option<String>,
    /// Which sheet of a workbook.
    pub sheet: Option<String>,
    /// What the source is called, if not by its file's name or address.
    pub source: Option<String>,
    /// A file that says what columns mean.
    pub map: Option<PathBuf>,
    /// What the file lacks, as `FIELD=VALUE`.
    pub set: Vec<String>,
    /// Publish the good rows although others are bad.
    pub good_rows: bool,
    /// Withdraw records of this source that it has no longer.
    pub withdraw_missing: bool,
    /// Bring back records that their owner withdrew.
    pub restore: bool,
    /// Say what would be done and do nothing.
    pub dry_run: bool,
    /// A file to write the report to.
    pub report: Option<PathBuf>,
}

/// Where rows are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// A file.
    File(PathBuf),
    /// A page.
    Url(String),
}

impl Default for From {
    fn default() -> Self {
        Self::File(PathBuf::new())
    }
}

impl From {
    /// What it is called where nobody says otherwise.
    fn name(&self) -> String {
        match self {
            Self::File(path) => path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            Self::Url(url) => url.clone(),
        }
    }
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

/// Longest name of a source.
const SOURCE_CHARS_MAX: usize = 300;

pub(super) async fn run(
    node: &Arc<Node>,
    command: &Import,
    progress: &mpsc::Sender<Progress>,
) -> Result<Done, NodeError> {
    let signer = node.keychain.signer(&command.handle)?;
    let scid = *signer.did.scid();
    let mut reading = Reading::new(command, scid, &node.config.settings.publishing.licence)?;
    reading.open(node, progress).await?;
    let source = command
        .source
        .clone()
        .unwrap_or_else(|| command.from.name());
    if source.is_empty() || source.chars().nth(SOURCE_CHARS_MAX).is_some() {
        return Err(refused(format!(
            "the source needs a name of at most {SOURCE_CHARS_MAX} letters: give --source NAME"
        )));
    }
    let rules = Rules {
        scid,
        source: source.clone(),
        restores: command.restore,
    };
    let writing = node.publisher.begin(signer).await?;
    let tally = Tally::new(Arc::clone(&node.store), writing, rules);
    let labels = Arc::clone(&node.labels);
    let work = move || reading.read(&labels, tally);
    let (report, mut tally) = tokio::task::spawn_blocking(work).await.map_err(refused)??;

    let is_blocked = report.rows_bad > 0 && !command.good_rows;
    let is_dry = command.dry_run;
    let mut missing = tally.missing()?;
    if command.withdraw_missing && !is_blocked {
        // In one step with the rows: an import that is cut short changes nothing.
        missing.withdraw(&mut tally, &node.publisher)?;
    }
    let ending = match (is_blocked, is_dry) {
        (true, _) => Ending::Blocked,
        (false, true) => Ending::Tried,
        (false, false) => Ending::Published,
    };
    let (counted, writing) = tally.finish();
    if ending == Ending::Published {
        let total = Some(writing.lines());
        writing
            .commit(|done| tell(progress, Step::Publishing, done, total))
            .await?;
    } else {
        drop(writing);
    }
    let told = Told {
        source,
        handle: command.handle.clone(),
        at: node.clock.now(),
        ending,
        report,
        counted,
        missing,
    };
    if let Some(path) = &command.report {
        let text = paper::file(&told, path);
        std::fs::write(path, text)
            .map_err(|error| refused(format!("{}: {error}", path.display())))?;
    }
    Ok(Done {
        text: paper::terminal(&told, command.report.as_deref()),
        json: for_programs(&told),
        is_complete: !is_blocked,
    })
}

/// A step that nobody has room for is not waited for.
fn tell(progress: &mpsc::Sender<Progress>, step: Step, done: u64, total: Option<u64>) {
    let _ = progress.try_send(Progress { step, done, total });
}

/// Most findings that are handed to programs.
const FINDINGS_MAX: usize = 1_000;

fn for_programs(told: &Told) -> Value {
    let (report, counted) = (&told.report, &told.counted);
    let done = |count: u64| {
        if told.ending == Ending::Blocked {
            0
        } else {
            count
        }
    };
    let findings: Vec<Value> = report
        .findings
        .iter()
        .take(FINDINGS_MAX)
        .map(|finding| {
            json!({
                "row": finding.row, "column": finding.column, "value": finding.value,
                "problem": finding.problem, "suggestion": finding.suggestion,
            })
        })
        .collect();
    json!({
        "new": done(counted.new), "changed": done(counted.changed), "unchanged": done(counted.unchanged),
        "refused": report.rows_bad, "repeated": report.rows_duplicate, "leftOut": report.rows_left_out,
        "readable": report.rows_good, "stillWithdrawn": counted.still_withdrawn,
        "missing": told.missing.count, "withdrawn": done(told.missing.withdrawn),
        "dryRun": told.ending == Ending::Tried, "findings": findings,
    })
}

/// A file or page on its way to drafts. Held by value, for it is read on a thread of its own.
struct Reading {
    command: Import,
    licence: String,
    format: Format,
    encoding: import::Encoding,
    mapping: Option<Mapping>,
    set: Vec<Setting>,
    input: Box<dyn Read + Send>,
    source: Source,
    author: Scid,
}

impl Reading {
    /// What was asked for, looked at before anything is opened.
    fn new(command: &Import, author: Scid, licence: &str) -> Result<Self, NodeError> {
        let mapping = match &command.map {
            None => None,
            Some(path) => {
                let text = std::fs::read(path)
                    .map_err(|error| refused(format!("{}: {error}", path.display())))?;
                Some(Mapping::read(&text).map_err(refused)?)
            }
        };
        let set = command.set.iter().map(|text| text.parse::<Setting>());
        Ok(Self {
            format: parsed(command.format.as_deref())?,
            encoding: parsed(command.encoding.as_deref())?,
            mapping,
            set: set.collect::<Result<_, _>>().map_err(refused)?,
            input: Box::new(io::empty()),
            source: Source::default(),
            author,
            licence: licence.to_owned(),
            command: command.clone(),
        })
    }

    async fn open(
        &mut self,
        node: &Node,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<(), NodeError> {
        match &self.command.from {
            From::File(path) => {
                let fault = |error| refused(format!("{}: {error}", path.display()));
                let file = File::open(path).map_err(fault)?;
                let total = file.metadata().map_err(fault)?.len();
                self.input = Box::new(Watched {
                    input: file,
                    done: 0,
                    told: 0,
                    total,
                    progress: progress.clone(),
                });
            }
            From::Url(url) => {
                let document = node.client.document(url, ACCEPTED).await?;
                self.source.url = Some(document.url.to_string());
                self.input = Box::new(Cursor::new(document.bytes));
            }
        }
        Ok(())
    }

    fn read(self, labels: &Labels, mut tally: Tally) -> Result<(Report, Tally), NodeError> {
        let names = Names(labels);
        let options = Options {
            format: self.format,
            encoding: self.encoding,
            sheet: self.command.sheet,
            mapping: self.mapping,
            set: self.set,
            licence: self.licence,
            source: self.source,
            author: Some(self.author),
            labels: &names,
            ..Options::default()
        };
        let report =
            import::read_each(self.input, &options, |row| tally.take(row)).map_err(refused)?;
        tally.check()?;
        Ok((report, tally))
    }
}

/// What a page may be.
const ACCEPTED: &str = "text/html, application/ld+json, application/json, text/csv;q=0.8";

fn parsed<T: Default + std::str::FromStr<Err = import::ImportError>>(
    text: Option<&str>,
) -> Result<T, NodeError> {
    text.map_or_else(|| Ok(T::default()), |text| text.parse().map_err(refused))
}

/// A file that tells how much of it was read.
struct Watched {
    input: File,
    done: u64,
    told: u64,
    total: u64,
    progress: mpsc::Sender<Progress>,
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.done += count as u64;
        // A hundred words of it are enough for a bar.
        if self.done - self.told > self.total / 100 || count == 0 {
            self.told = self.done;
            tell(&self.progress, Step::Reading, self.done, Some(self.total));
        }
        Ok(count)
    }
}
