//! Bundles: a part of the network as one file, `ndjson.zst`, that verifies with nothing else at hand.

mod census;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};

use bytes::Bytes;
use protocol::acceptance::Rules;
use protocol::envelope::Envelope;
use protocol::id::Scid;
use protocol::identity::{Branches, LogEntry, Taken, WitnessProofs};
use protocol::limits::LINE_BYTES_MAX;
use protocol::sync::{Filter, Line};
use protocol::time::Timestamp;
use protocol::verified::{Judged, Record, Verified};
use serde::Serialize;

use crate::ingest::Ingest;
use crate::store::{LogReceipt, Receipt, Store, StoreError};
use census::Census;
pub use census::Counted;

/// Records taken in at a time.
const BATCH: usize = 512;

/// Why a bundle is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The disk of the node.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file, or who reads it.
    #[error("the bundle: {0}")]
    Io(#[from] io::Error),
    /// A line that is none.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// Writes the lines of an author's log.
fn write_log(store: &Store, scid: &Scid, out: &mut impl Write) -> Result<(), BundleError> {
    let witness = store.witness_of(scid)?;
    let witness = witness
        .as_deref()
        .and_then(|witness| std::str::from_utf8(witness).ok());
    for entry in store.log_of(scid)? {
        let entry = String::from_utf8_lossy(&entry);
        let line = Line::Log {
            scid: *scid,
            entry: &entry,
            witness,
        };
        out.write_all(line.write(None).as_bytes())?;
    }
    Ok(())
}

/// Writes a bundle: the logs first, so that a reader can check each record as it comes.
///
/// # Errors
/// See [`BundleError`].
pub fn export(store: &Store, filter: &Filter, out: impl Write) -> Result<u64, BundleError> {
    let mut out = zstd::Encoder::new(out, 3)?;
    let mut records = 0;
    for author in store.authors()? {
        if filter.wants_author(author.state.scid()) {
            write_log(store, author.state.scid(), &mut out)?;
        }
    }
    for held in store.held(None) {
        let (id, held) = held?;
        let record = held.canonical()?;
        if store.lets_through(filter, &id, &record)? {
            let record = String::from_utf8_lossy(&record);
            out.write_all(Line::Record { record: &record }.write(None).as_bytes())?;
            records += 1;
        }
    }
    out.finish()?.flush()?;
    Ok(records)
}

/// Lines of a bundle, packed or not, bounded.
fn lines<'f>(
    file: impl Read + Send + 'f,
) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'f> {
    let mut file = BufReader::new(file);
    let is_packed = file.fill_buf()?.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let mut reader: Box<dyn BufRead + Send + 'f> = match is_packed {
        true => Box::new(BufReader::new(zstd::Decoder::with_buffer(file)?)),
        false => Box::new(file),
    };
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader
            .by_ref()
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => None,
            Ok(_) if line.last() != Some(&b'\n') && line.len() == LINE_BYTES_MAX => {
                Some(Err(io::Error::other("a line is too long")))
            }
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    })
    .filter(|line| !line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty())))
}

/// A bundle has all that it names.
const WITHOUT_BYTES: &str = "a version without its bytes";

/// What became of a bundle's lines.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Imported {
    /// Records that are new here.
    pub stored: u64,
    /// Records that were held, or are older than what is held.
    pub held: u64,
    /// Records that wait for a log.
    pub parked: u64,
    /// Log entries that are new here.
    pub log_entries: u64,
    /// Lines that were refused, with their reasons; at most a hundred are kept.
    pub refused: Vec<String>,
    /// How many were refused.
    pub refused_count: u64,
    /// Whose logs came.
    #[serde(skip)]
    pub authors: BTreeSet<Scid>,
}

impl Imported {
    fn refuse(&mut self, line: u64, reason: &dyn std::fmt::Display) {
        self.refused_count += 1;
        if self.refused.len() < 100 {
            self.refused.push(format!("line {line}: {reason}"));
        }
    }
}

/// Takes a bundle in through the one door. A refused line stops none of the others.
///
/// # Errors
/// The file cannot be read to its end, or a disk fault. What was read before stays.
pub async fn import(ingest: &Ingest, file: impl Read + Send) -> Result<Imported, BundleError> {
    let mut imported = Imported::default();
    let mut batch: Vec<(u64, Vec<u8>)> = Vec::new();
    for (line, number) in lines(file)?.zip(1..) {
        let line = line?;
        match Line::read(&line) {
            Ok((Line::Record { record }, _)) => {
                batch.push((number, record.as_bytes().to_vec()));
                if batch.len() >= BATCH {
                    take_batch(ingest, &mut batch, &mut imported).await?;
                }
            }
            Ok((
                Line::Log {
                    scid,
                    entry,
                    witness,
                },
                _,
            )) => {
                imported.authors.insert(scid);
                take_batch(ingest, &mut batch, &mut imported).await?;
                let proofs = witness.map_or(Ok(WitnessProofs::empty()), |witness| {
                    WitnessProofs::parse(witness.as_bytes())
                });
                let taken = match proofs {
                    Ok(proofs) => ingest.log_entry(entry.as_bytes(), &proofs).await,
                    Err(error) => Err(error.into()),
                };
                match taken {
                    Ok(LogReceipt::AlreadyHeld) => {}
                    Ok(_) => imported.log_entries += 1,
                    Err(crate::ingest::IngestError::Store(error)) => return Err(error.into()),
                    Err(error) => imported.refuse(number, &error),
                }
            }
            Ok((Line::Version { .. }, _)) => imported.refuse(number, &WITHOUT_BYTES),
            Ok((Line::End, _)) => {}
            Err(error) => imported.refuse(number, &error),
        }
    }
    take_batch(ingest, &mut batch, &mut imported).await?;
    Ok(imported)
}

async fn take_batch(
    ingest: &Ingest,
    batch: &mut Vec<(u64, Vec<u8>)>,
    imported: &mut Imported,
) -> Result<(), BundleError> {
    let (numbers, lines): (Vec<u64>, Vec<Vec<u8>>) = std::mem::take(batch).into_iter().unzip();
    for (number, receipt) in numbers
        .into_iter()
        .zip(ingest.records(lines, Some("bundle".into()), None).await?)
    {
        match receipt {
            Ok(Receipt::Stored) => imported.stored += 1,
            Ok(Receipt::AlreadyHeld | Receipt::Superseded | Receipt::Twin) => imported.held += 1,
            Ok(Receipt::Parked) => imported.parked += 1,
            Err(error) => imported.refuse(number, &error),
        }
    }
    Ok(())
}

/// What checking a file of lines found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Checked {
    /// Authors whose logs verify.
    pub authors: u64,
    /// Records that verify against their author's log in the same file.
    pub verified: u64,
    /// Records whose author's log is not in the file.
    pub without_log: u64,
    /// What does not verify.
    pub refused: Vec<String>,
    /// How complete authors are by their own checkpoints; those without one that can be judged are left
    /// out.
    pub counted: Vec<Counted>,
}

/// Checks a bundle, or any file of its lines, with nothing but the file.
///
/// # Errors
/// The file cannot be read to its end.
pub fn check(file: impl Read + Send, now: Timestamp) -> Result<Checked, BundleError> {
    let mut checked = Checked::default();
    let mut logs: BTreeMap<Scid, Branches> = BTreeMap::new();
    let (rules, mut census) = (Rules::decided(), Census::default());
    for (line, number) in lines(file)?.zip(1..) {
        let line = line?;
        let refused = match Line::read(&line) {
            Err(error) => Some(error.to_string()),
            Ok((Line::Version { .. }, _)) => Some(WITHOUT_BYTES.to_owned()),
            Ok((Line::End, _)) => None,
            Ok((
                Line::Log {
                    scid,
                    entry,
                    witness,
                },
                _,
            )) => {
                let branches = logs.entry(scid).or_insert_with(|| Branches::empty(scid));
                check_entry(branches, entry, witness, now).err()
            }
            Ok((Line::Record { record }, _)) => {
                match check_record(&rules, &logs, record.as_bytes()) {
                    Ok(Some(record)) => {
                        census.add(&rules, &record);
                        checked.verified += 1;
                        None
                    }
                    Ok(None) => {
                        checked.without_log += 1;
                        None
                    }
                    Err(reason) => Some(reason),
                }
            }
        };
        checked
            .refused
            .extend(refused.map(|reason| format!("line {number}: {reason}")));
    }
    checked.authors = logs.values().filter(|log| log.head().is_some()).count() as u64;
    checked.counted = census.judge(&rules);
    Ok(checked)
}

fn check_entry(
    branches: &mut Branches,
    entry: &str,
    witness: Option<&str>,
    now: Timestamp,
) -> Result<(), String> {
    let entry = LogEntry::parse(entry.as_bytes()).map_err(|error| error.to_string())?;
    let proofs = match witness {
        None => WitnessProofs::empty(),
        Some(witness) => {
            WitnessProofs::parse(witness.as_bytes()).map_err(|error| error.to_string())?
        }
    };
    match branches
        .take(&entry, now, &proofs)
        .map_err(|error| error.to_string())?
    {
        Taken::Orphan => Err("a log entry that continues nothing in this file".to_owned()),
        _ => Ok(()),
    }
}

/// `None` if the author's log, or the key in it, is not there to check against.
fn check_record(
    rules: &Rules,
    logs: &BTreeMap<Scid, Branches>,
    record: &[u8],
) -> Result<Option<Verified<Record>>, String> {
    let envelope = Envelope::parse(record).map_err(|error| error.to_string())?;
    let head = logs
        .get(envelope.header().author.scid())
        .and_then(Branches::head);
    let proven = envelope.prove().map_err(|error| error.to_string())?;
    let judged = proven.against(rules, head.map(protocol::identity::LogState::keys));
    match judged.map_err(|error| error.to_string())? {
        Judged::Verified(record) => Ok(Some(record)),
        Judged::NotYet(_) => Ok(None),
    }
}

/// Authors that are told one by one.
const TOLD_MAX: usize = 50;

/// For people: who is complete as of when, and of whom something is missing. What is missing comes first.
pub fn tell(counted: &[Counted]) -> String {
    let mut counted: Vec<&Counted> = counted.iter().collect();
    counted.sort_by_key(|counted| counted.is_complete);
    let mut text = String::new();
    for Counted {
        author,
        as_of,
        named,
        held,
        is_complete,
    } in counted.iter().take(TOLD_MAX)
    {
        text.push_str(&if *is_complete {
            format!("\n  {author}: complete as of {as_of}, with {named} records")
        } else {
            format!(
                "\n  {author}: INCOMPLETE, {held} records are here that count; by its own count of {as_of} it had {named}"
            )
        });
    }
    if let Some(more) = counted.len().checked_sub(TOLD_MAX + 1) {
        text.push_str(&format!("\n  and {} more", more + 1));
    }
    text
}

/// Bytes handed to a task that sends them.
pub struct ChannelWriter {
    sender: tokio::sync::mpsc::Sender<Result<Bytes, io::Error>>,
}

impl ChannelWriter {
    /// Writes into the channel; blocks while it is full.
    pub fn new(sender: tokio::sync::mpsc::Sender<Result<Bytes, io::Error>>) -> Self {
        Self { sender }
    }
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sender
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
