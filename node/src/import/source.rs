//! Bytes of a file to UTF-8 bytes: byte order marks, other encodings, and a bound on the size.
//!
//! Whether UTF-8 is valid is checked where text is made of it, for there the place is known.

use std::io::{self, BufReader, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8, WINDOWS_1252};

use super::report::ImportError;
use super::{Encoding, Options};

/// A file as UTF-8 without a byte order mark.
pub(super) type Text<'r> = BufReader<Box<dyn Read + 'r>>;

/// Room for the first row, by which delimiter and format are found out.
const START_BYTES: usize = 64 * 1024;

/// What a file turns out to be.
pub(super) enum Opened<'r> {
    /// Text, whatever stands in it.
    Text(Text<'r>),
    /// A zip archive, as it is.
    Archive(Box<dyn Read + 'r>),
}

pub(super) fn open<'r>(
    input: impl Read + 'r,
    options: &Options<'_>,
) -> Result<Opened<'r>, ImportError> {
    let mut input = Bounded {
        input,
        left: options.limits.bytes_max,
        max: options.limits.bytes_max,
    };
    let mut start = Vec::new();
    (&mut input)
        .take(8)
        .read_to_end(&mut start)
        .map_err(error)?;
    if let [b'P', b'K', 3 | 5, ..] = start.as_slice() {
        return Ok(Opened::Archive(Box::new(
            io::Cursor::new(start).chain(input),
        )));
    }
    if let Some(found) = other_kind(&start) {
        return Err(ImportError::OtherKind { found });
    }
    // The mark is the file's own word, and goes before what the user says.
    let marked = encoding_rs::Encoding::for_bom(&start);
    start.drain(..marked.map_or(0, |(_, mark)| mark));
    let encoding = match (marked, options.encoding) {
        (Some((encoding, _)), _) => encoding,
        (None, Encoding::Auto) => UTF_8,
        (None, Encoding::Named(encoding)) => encoding,
    };
    let rest = io::Cursor::new(start).chain(input);
    let mut text: Box<dyn Read + 'r> = if encoding == UTF_8 {
        Box::new(rest)
    } else {
        Box::new(Recoded::new(rest, encoding))
    };
    // A reader may give less at a time than the first row is long.
    let mut start = Vec::new();
    (&mut text)
        .take(START_BYTES as u64)
        .read_to_end(&mut start)
        .map_err(error)?;
    let whole: Box<dyn Read + 'r> = Box::new(io::Cursor::new(start).chain(text));
    Ok(Opened::Text(BufReader::with_capacity(START_BYTES, whole)))
}

/// What a file is that begins like this, if it is nothing that is read here.
fn other_kind(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [0xD0, 0xCF, 0x11, 0xE0, ..] => "an old Excel workbook (.xls) or one with a password",
        [0x1F, 0x8B, ..] => "compressed with gzip",
        [0x28, 0xB5, 0x2F, 0xFD, ..] => "compressed with zstd",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        _ => return None,
    })
}

/// The error of this module's readers, and of the reader below them.
pub(super) fn error(error: io::Error) -> ImportError {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Stop>());
    match inner {
        Some(Stop::TooLarge(bytes_max)) => ImportError::TooLarge {
            bytes_max: *bytes_max,
        },
        Some(Stop::Malformed(encoding)) => ImportError::Malformed { encoding },
        None => ImportError::Io(error),
    }
}

#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("more than {0} bytes")]
    TooLarge(u64),
    #[error("not {0}")]
    Malformed(&'static str),
}

struct Bounded<R> {
    input: R,
    left: u64,
    max: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(Stop::TooLarge(self.max)))?;
        Ok(count)
    }
}

/// Bytes of another encoding as UTF-8.
struct Recoded<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    at_end: bool,
    text: io::Cursor<Vec<u8>>,
}

impl<R: Read> Recoded<R> {
    fn new(input: R, encoding: &'static encoding_rs::Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: Vec::new(),
            at_end: false,
            text: io::Cursor::default(),
        }
    }
}

impl<R: Read> Read for Recoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.text.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            if self.at_end && self.raw.is_empty() {
                return Ok(0);
            }
            if self.raw.is_empty() {
                let mut chunk = [0; 4096];
                let count = self.input.read(&mut chunk)?;
                self.at_end = count == 0;
                self.raw.extend(chunk.iter().take(count));
            }
            let mut text = vec![0; 16 * 1024];
            // Malformed input is an error and not U+FFFD: nothing is garbled without a word.
            let (result, taken, written) =
                self.decoder
                    .decode_to_utf8_without_replacement(&self.raw, &mut text, self.at_end);
            if let DecoderResult::Malformed(..) = result {
                let name = self.decoder.encoding().name();
                return Err(io::Error::other(Stop::Malformed(name)));
            }
            self.raw.drain(..taken.min(self.raw.len()));
            text.truncate(written);
            self.text = io::Cursor::new(text);
        }
    }
}

/// How the start of bytes that are no UTF-8 would read as Windows-1252, for a person to judge.
pub(super) fn as_western(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(200)).unwrap_or_default();
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(start);
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::as_western;

    #[test]
    fn bytes_that_are_no_utf8_are_shown_as_western_text() {
        assert_eq!(as_western(b"D\xE9j\xE0 \x80"), "Déjà €");
        assert_eq!(as_western(&[0xFF; 500]).chars().count(), 200);
    }
}
