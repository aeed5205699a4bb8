//! The form of a backup, written and read as a stream.
//!
//! A line `baraza-backup 1`; the manifest, one line of JSON; a zstd stream of entries; and the SHA-256 of
//! all that, 32 bytes. An entry is a letter, the length of a name and the name, the length of a value and
//! the value (lengths in 4 bytes, highest first): `f` a file of the node's folder, `p` a row of the store
//! to put, `d` one to delete, `e` the end, whose value is the seal. Rows are applied in their order.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BackupError, Manifest, Seal};

/// The form that this program writes, and the newest that it reads.
pub const FORM: u64 = 1;

const MAGIC: &str = "baraza-backup ";
const DIGEST_BYTES: u64 = 32;

/// Longest first line and manifest.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Longest name and value of an entry: a damaged length must not ask for memory.
const NAME_BYTES_MAX: u32 = 64 * 1024;
const VALUE_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// Rows are packed already, so little is won by more.
const ZSTD_LEVEL: i32 = 1;

/// What a backup is made of.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file, by its path within the node's folder.
    File {
        /// Its path.
        name: String,
        /// What is in it.
        content: Vec<u8>,
    },
    /// A row of the store, or that there is none.
    Row {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
    /// All was read.
    End(Seal),
}

/// Counts what goes through into a digest.
struct Hashed<T> {
    inner: T,
    digest: Sha256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.digest.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A backup that is being written.
pub(super) struct Writer {
    out: zstd::Encoder<'static, Hashed<BufWriter<File>>>,
    rows: u64,
    files: u64,
}

impl Writer {
    pub(super) fn begin(file: File, manifest: &Manifest) -> io::Result<Self> {
        let mut out = Hashed::new(BufWriter::with_capacity(256 * 1024, file));
        writeln!(out, "{MAGIC}{FORM}")?;
        serde_json::to_writer(&mut out, manifest)?;
        out.write_all(b"\n")?;
        Ok(Self {
            out: zstd::Encoder::new(out, ZSTD_LEVEL)?,
            rows: 0,
            files: 0,
        })
    }

    fn entry(&mut self, kind: u8, name: &[u8], value: &[u8]) -> io::Result<()> {
        let length = |bytes: &[u8], max: u32| {
            let length = u32::try_from(bytes.len())
                .ok()
                .filter(|length| *length <= max);
            length.ok_or_else(|| io::Error::other("a row or file that is too long for a backup"))
        };
        self.out.write_all(&[kind])?;
        self.out
            .write_all(&length(name, NAME_BYTES_MAX)?.to_be_bytes())?;
        self.out.write_all(name)?;
        self.out
            .write_all(&length(value, VALUE_BYTES_MAX)?.to_be_bytes())?;
        self.out.write_all(value)
    }

    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.files += 1;
        self.entry(b'f', name.as_bytes(), content)
    }

    pub(super) fn row(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        self.rows += 1;
        match value {
            Some(value) => self.entry(b'p', key, value),
            None => self.entry(b'd', key, &[]),
        }
    }

    /// How many rows and files were written.
    pub(super) fn written(&self) -> (u64, u64) {
        (self.rows, self.files)
    }

    /// Writes the seal and the digest; all is on disk then.
    pub(super) fn finish(mut self, seal: &Seal) -> io::Result<()> {
        self.entry(b'e', &[], &serde_json::to_vec(seal)?)?;
        let Hashed { mut inner, digest } = self.out.finish()?;
        inner.write_all(&digest.finalize())?;
        inner
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
    }
}

/// A backup that is being read. It is only known to be whole once its end was read.
pub struct Reader {
    path: PathBuf,
    /// What stands in front.
    pub manifest: Manifest,
    entries: Option<Entries>,
    expected: [u8; DIGEST_BYTES as usize],
    rows: u64,
    files: u64,
    bytes: u64,
}

type Entries = zstd::Decoder<'static, BufReader<Hashed<io::Take<File>>>>;

impl Reader {
    /// Opens a backup and reads its manifest.
    ///
    /// # Errors
    /// [`BackupError::NoBackup`], [`BackupError::Newer`], [`BackupError::Damaged`].
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let io = |error| BackupError::at(path)(error);
        let damaged = |what: &str| BackupError::Damaged {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let mut file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut first = Vec::new();
        Read::by_ref(&mut file)
            .take(MAGIC.len() as u64)
            .read_to_end(&mut first)
            .map_err(io)?;
        if first != MAGIC.as_bytes() {
            return Err(BackupError::NoBackup {
                path: path.to_owned(),
            });
        }
        let content = bytes
            .checked_sub(DIGEST_BYTES + MAGIC.len() as u64)
            .ok_or_else(|| damaged("it is cut off"))?;
        let mut expected = [0; DIGEST_BYTES as usize];
        {
            use std::os::unix::fs::FileExt as _;
            file.read_exact_at(&mut expected, bytes - DIGEST_BYTES)
                .map_err(io)?;
        }
        let mut hashed = Hashed::new(file.take(content));
        hashed.digest.update(MAGIC);
        let mut reader = BufReader::with_capacity(256 * 1024, hashed);
        let mut line = || {
            let mut line = String::new();
            let read = reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
            match read {
                Ok(_) if line.ends_with('\n') => Ok(line),
                _ => Err(damaged("its first lines do not read")),
            }
        };
        let form: u64 = line()?
            .trim_end()
            .parse()
            .map_err(|_| damaged("its form is no number"))?;
        if form > FORM {
            return Err(BackupError::Newer {
                path: path.to_owned(),
                found: form,
            });
        }
        let manifest =
            serde_json::from_str(&line()?).map_err(|_| damaged("its manifest does not read"))?;
        Ok(Self {
            path: path.to_owned(),
            manifest,
            entries: Some(zstd::Decoder::with_buffer(reader).map_err(io)?),
            expected,
            rows: 0,
            files: 0,
            bytes,
        })
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn damaged(&self, what: impl ToString) -> BackupError {
        BackupError::Damaged {
            path: self.path.clone(),
            what: what.to_string(),
        }
    }

    /// The next entry; nothing comes after the end, which is only given if every byte of the file is what
    /// was written.
    ///
    /// # Errors
    /// [`BackupError::Damaged`].
    pub fn read(&mut self) -> Result<Option<Entry>, BackupError> {
        let Some(mut entries) = self.entries.take() else {
            return Ok(None);
        };
        let read = read_entry(&mut entries);
        let (kind, name, value) = read.map_err(|error| self.damaged(error))?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let entry = match kind {
            b'f' => {
                self.files += 1;
                text(name).map(|name| Entry::File {
                    name,
                    content: value,
                })
            }
            b'p' | b'd' => {
                self.rows += 1;
                Some(Entry::Row {
                    key: name,
                    value: (kind == b'p').then_some(value),
                })
            }
            b'e' => {
                let seal: Option<Seal> = serde_json::from_slice(&value).ok();
                let seal = seal.filter(|seal| (seal.rows, seal.files) == (self.rows, self.files));
                let seal = seal.ok_or_else(|| self.damaged("its end does not fit"))?;
                self.check_digest(entries)?;
                return Ok(Some(Entry::End(seal)));
            }
            _ => None,
        };
        self.entries = Some(entries);
        entry
            .map(Some)
            .ok_or_else(|| self.damaged("an entry that does not read"))
    }

    fn check_digest(&self, mut entries: Entries) -> Result<(), BackupError> {
        // Whatever stands behind the end was not written by us, and is counted all the same.
        let mut rest = [0; 1];
        let read = entries
            .read(&mut rest)
            .map_err(|error| self.damaged(error))?;
        let mut reader = entries.finish();
        let rest = io::copy(&mut reader, &mut io::sink()).map_err(|error| self.damaged(error))?;
        let digest: [u8; DIGEST_BYTES as usize] = reader.into_inner().digest.finalize().into();
        match digest == self.expected && read == 0 && rest == 0 {
            true => Ok(()),
            false => Err(self.damaged("its bytes are not those that were written")),
        }
    }
}

fn read_entry(from: &mut impl Read) -> io::Result<(u8, Vec<u8>, Vec<u8>)> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    let mut bytes = |max: u32| {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > max {
            return Err(io::Error::other("a length that cannot be"));
        }
        // Memory is only taken for bytes that are there.
        let mut bytes = Vec::new();
        let read = from
            .by_ref()
            .take(u64::from(length))
            .read_to_end(&mut bytes)?;
        match read == length as usize {
            true => Ok(bytes),
            false => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    };
    let name = bytes(NAME_BYTES_MAX)?;
    let value = bytes(VALUE_BYTES_MAX)?;
    let [kind] = kind;
    Ok((kind, name, value))
}
