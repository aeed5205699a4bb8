//! Records by the hundred thousand: signed into a file first, then taken in part by part.
//!
//! One transaction of so many would need more memory than a small machine has, and several can be cut
//! short between two. So the file is the promise: before it is whole and on disk, nothing is published;
//! from then on everything is, and what a crash leaves undone is done before the node serves again.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use protocol::id::RecordId;
use protocol::record::Draft;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::OwnedMutexGuard;

use super::{Outcome, PublishError, Published, Publisher};
use crate::keychain::Signer;
use crate::origins::Origin;
use crate::standing::Numbering;

/// Records that are taken in as one transaction.
const TOGETHER_MAX: usize = 1_000;

/// Longest line: a record and its origin.
const LINE_BYTES_MAX: u64 = 4 * protocol::limits::RECORD_BYTES_MAX as u64;

/// What stands in a line: a signed record, where it came from, or both.
#[derive(Serialize, Deserialize)]
struct Line<R> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

/// What is to be published, being written down. Dropped before [`Writing::commit`], it leaves nothing.
/// While it lives, nothing else of this node's own is published.
pub struct Writing {
    publisher: Publisher,
    signer: Signer,
    file: BufWriter<File>,
    path: PathBuf,
    lines: u64,
    numbering: Numbering,
    _turn: OwnedMutexGuard<()>,
}

impl Publisher {
    /// Begins to write down what is to be published for an author, once it is its turn.
    ///
    /// # Errors
    /// The disk.
    pub async fn begin(&self, signer: Signer) -> Result<Writing, PublishError> {
        let turn = std::sync::Arc::clone(&self.turn).lock_owned().await;
        let numbering = self.standing.numbering()?;
        self.take_in(|_| {}).await?;
        let path = self.journal.with_extension("new");
        let file = File::create(&path).map_err(|error| fault(&path, error))?;
        Ok(Writing {
            publisher: self.clone(),
            signer,
            file: BufWriter::with_capacity(256 * 1024, file),
            path,
            lines: 0,
            numbering,
            _turn: turn,
        })
    }

    /// Does what a crash left undone. To be called before the node serves.
    ///
    /// # Errors
    /// The disk. A record that is refused is logged, and stands in nobody's way.
    pub async fn finish(&self) -> Result<(), PublishError> {
        let _turn = self.turn.lock().await;
        if !self.journal.exists() {
            return Ok(());
        }
        tracing::info!("an import was cut short after it was decided: it is finished now");
        match self.take_in(|_| {}).await {
            Err(error @ PublishError::Refused { .. }) => {
                tracing::warn!(%error, "a record of the import was refused");
                Ok(())
            }
            other => other,
        }
    }

    /// Takes the journal in, if there is one, and removes it.
    async fn take_in(&self, mut progress: impl FnMut(u64)) -> Result<(), PublishError> {
        let file = match File::open(&self.journal) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fault(&self.journal, error)),
        };
        let mut lines = BufReader::with_capacity(256 * 1024, file);
        let numbering = self.standing.numbering_of_decided()?;
        let mut first_refusal = None;
        let mut done = 0;
        loop {
            let mut ids = Vec::new();
            let mut records = Vec::new();
            let mut beside = Vec::new();
            let mut count: u64 = 0;
            while records.len() < TOGETHER_MAX && beside.len() < 2 * TOGETHER_MAX {
                let Some(line) = self.next_line(&mut lines)? else {
                    break;
                };
                count += 1;
                if let Some(origin) = line.origin {
                    beside.push(origin.row(&line.id).map_err(|_| self.damaged())?);
                }
                if let Some(record) = line.record {
                    beside.extend(numbering.row(&line.id));
                    ids.push(line.id);
                    records.push(record.get().as_bytes().to_vec());
                }
            }
            if count == 0 {
                break;
            }
            let receipts = self.ingest.records(records, None, beside).await?;
            for (id, receipt) in ids.into_iter().zip(receipts) {
                if let Err(error) = receipt {
                    first_refusal.get_or_insert((id, error));
                }
            }
            done += count;
            progress(done);
        }
        fs::remove_file(&self.journal).map_err(|error| fault(&self.journal, error))?;
        match first_refusal {
            None => Ok(()),
            Some((id, error)) => {
                let id = RecordId::parse(&id).map_err(|_| self.damaged())?;
                Err(PublishError::Refused {
                    local: id.local,
                    error,
                })
            }
        }
    }

    fn next_line(
        &self,
        lines: &mut BufReader<File>,
    ) -> Result<Option<Line<Box<RawValue>>>, PublishError> {
        let mut line = Vec::new();
        lines
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .map_err(|error| fault(&self.journal, error))?;
        if line.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|_| self.damaged())
    }

    fn damaged(&self) -> PublishError {
        let kind = std::io::ErrorKind::InvalidData;
        let reason = "it is damaged. Move it elsewhere, and import again what was to be imported";
        fault(&self.journal, std::io::Error::new(kind, reason))
    }
}

impl Writing {
    /// Signs a draft and writes it down, unless the published version says it already; and where it came
    /// from, unless that is known. Gives what will have become of the draft.
    ///
    /// # Errors
    /// The draft cannot be signed, or the disk.
    pub fn add(&mut self, draft: &Draft, origin: Option<Origin>) -> Result<Outcome, PublishError> {
        let (Published { id, outcome, .. }, signed) =
            self.publisher.sign(&self.signer, draft, &self.numbering)?;
        if signed.is_none() && origin.is_none() {
            return Ok(outcome);
        }
        let damaged = || self.publisher.damaged();
        let record = signed
            .map(|bytes| String::from_utf8(bytes).map_err(|_| damaged()))
            .transpose()?
            .map(|text| RawValue::from_string(text).map_err(|_| damaged()))
            .transpose()?;
        let mut line = serde_json::to_vec(&Line { id, record, origin }).map_err(|_| damaged())?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|error| fault(&self.path, error))?;
        self.lines += 1;
        Ok(outcome)
    }

    /// How many lines there are to take in.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Publishes what was written down: all of it, even if the process ends meanwhile.
    ///
    /// # Errors
    /// The disk: before the file is whole, nothing is published; after it, the rest is when the node
    /// starts again. [`PublishError::Refused`] if our own door refused a record; the others are in.
    pub async fn commit(mut self, progress: impl FnMut(u64)) -> Result<(), PublishError> {
        if self.lines == 0 {
            return Ok(());
        }
        let on_disk = |file: &mut BufWriter<File>| {
            file.flush()?;
            file.get_ref().sync_all()
        };
        on_disk(&mut self.file).map_err(|error| fault(&self.path, error))?;
        let journal = &self.publisher.journal;
        let renamed = fs::rename(&self.path, journal).and_then(|()| sync_folder(journal));
        renamed.map_err(|error| fault(journal, error))?;
        self.publisher.take_in(progress).await
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // After a commit it has another name; what stays otherwise is overwritten by the next.
        let _ = fs::remove_file(&self.path);
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn fault(path: &Path, error: std::io::Error) -> PublishError {
    PublishError::Journal {
        path: path.to_owned(),
        error,
    }
}
