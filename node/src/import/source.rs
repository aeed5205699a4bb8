//! Bytes of a file to UTF-8 bytes: byte order marks, UTF-16, Windows-1252, and a bound on the size.
//!
//! Whether UTF-8 is valid is checked where text is made of it, for there the place is known.

use std::io::{self, BufReader, Read};

use super::report::ImportError;
use super::{Encoding, Options};

/// A file as UTF-8 without a byte order mark.
pub(super) type Text<'r> = BufReader<Box<dyn Read + 'r>>;

/// Room for the first row, by which delimiter and format are found out.
const START_BYTES: usize = 64 * 1024;

pub(super) fn open<'r>(
    input: impl Read + 'r,
    options: &Options<'_>,
) -> Result<Text<'r>, ImportError> {
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
    if let Some(found) = other_kind(&start) {
        return Err(ImportError::OtherKind { found });
    }
    let (mark, wide) = match start.as_slice() {
        [0xEF, 0xBB, 0xBF, ..] => (3, None),
        [0xFF, 0xFE, ..] => (2, Some(u16::from_le_bytes as fn([u8; 2]) -> u16)),
        [0xFE, 0xFF, ..] => (2, Some(u16::from_be_bytes as fn([u8; 2]) -> u16)),
        _ => (0, None),
    };
    start.drain(..mark);
    let rest = io::Cursor::new(start).chain(input);
    let text: Box<dyn Read + 'r> = match (wide, options.encoding) {
        (Some(unit), _) => Box::new(Recoded::new(rest, utf16(unit))),
        (None, Encoding::Windows1252) if mark == 0 => Box::new(Recoded::new(rest, windows_1252)),
        (None, _) => Box::new(rest),
    };
    // A reader may give less at a time than the first row is long.
    let mut text = text;
    let mut start = Vec::new();
    (&mut text)
        .take(START_BYTES as u64)
        .read_to_end(&mut start)
        .map_err(error)?;
    let whole: Box<dyn Read + 'r> = Box::new(io::Cursor::new(start).chain(text));
    Ok(BufReader::with_capacity(START_BYTES, whole))
}

/// What a file is that begins like this, if it is neither CSV nor JSON.
fn other_kind(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [b'P', b'K', 3 | 5, ..] => "a workbook or another zip archive (.xlsx, .ods)",
        [0xD0, 0xCF, 0x11, 0xE0, ..] => "an old Excel workbook (.xls)",
        [0x1F, 0x8B, ..] => "compressed with gzip",
        [0x28, 0xB5, 0x2F, 0xFD, ..] => "compressed with zstd",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [b'<', b'?' | b'!' | b'h' | b'H', ..] => "a web page or XML",
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
        Some(Stop::HalfPair) => ImportError::NotUtf16,
        None => ImportError::Io(error),
    }
}

#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("more than {0} bytes")]
    TooLarge(u64),
    #[error("half a surrogate pair")]
    HalfPair,
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

/// Bytes of another encoding as UTF-8. `decode` takes what it can from the front of its input, adds
/// it to the text, and says how many bytes it took.
struct Recoded<R, D> {
    input: R,
    decode: D,
    raw: Vec<u8>,
    text: io::Cursor<Vec<u8>>,
}

impl<R: Read, D: Fn(&[u8], bool, &mut String) -> io::Result<usize>> Recoded<R, D> {
    fn new(input: R, decode: D) -> Self {
        Self {
            input,
            decode,
            raw: Vec::new(),
            text: io::Cursor::new(Vec::new()),
        }
    }
}

impl<R: Read, D: Fn(&[u8], bool, &mut String) -> io::Result<usize>> Read for Recoded<R, D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.text.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let mut chunk = [0; 4096];
            let count = self.input.read(&mut chunk)?;
            self.raw
                .extend_from_slice(chunk.get(..count).unwrap_or_default());
            if self.raw.is_empty() {
                return Ok(0);
            }
            let mut text = String::new();
            let taken = (self.decode)(&self.raw, count == 0, &mut text)?;
            self.raw.drain(..taken.min(self.raw.len()));
            self.text = io::Cursor::new(text.into_bytes());
        }
    }
}

fn utf16(unit: fn([u8; 2]) -> u16) -> impl Fn(&[u8], bool, &mut String) -> io::Result<usize> {
    let half = || io::Error::other(Stop::HalfPair);
    move |raw, at_end, text| {
        let mut units: Vec<u16> = raw
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| unit(*pair))
            .collect();
        // The second half may come with the next bytes.
        if !at_end
            && units
                .last()
                .is_some_and(|last| (0xD800..0xDC00).contains(last))
        {
            units.pop();
        }
        if at_end && raw.len() % 2 == 1 {
            return Err(half());
        }
        for letter in char::decode_utf16(units.iter().copied()) {
            text.push(letter.map_err(|_| half())?);
        }
        Ok(units.len() * 2)
    }
}

/// The characters at 0x80 to 0x9F; the five that are none become U+FFFD.
const WINDOWS_1252: &str = "€\u{FFFD}‚ƒ„…†‡ˆ‰Š‹Œ\u{FFFD}Ž\u{FFFD}\u{FFFD}‘’“”•–—˜™š›œ\u{FFFD}žŸ";

fn windows_1252(raw: &[u8], _at_end: bool, text: &mut String) -> io::Result<usize> {
    text.extend(raw.iter().map(|byte| {
        match byte {
            0x80..=0x9F => WINDOWS_1252
                .chars()
                .nth(usize::from(byte - 0x80))
                .unwrap_or(char::REPLACEMENT_CHARACTER),
            _ => char::from(*byte),
        }
    }));
    Ok(raw.len())
}
