//! Whether an archive may be opened at all: a workbook is a zip of XML, and both can be bombs.
//!
//! Every part is inflated once, into nothing, before anything reads it: what its directory declares
//! may be a lie. Nothing is ever written to disk, and an archive within the archive is never opened.

use std::io::{Cursor, Read};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::Problem;

/// Largest workbook, in bytes: it is held whole.
pub(super) const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most parts; a workbook has some ten and one for each sheet and picture.
const PARTS_MAX: usize = 2_000;

/// Most bytes of all parts, inflated: a sheet of a million rows of text has as many.
const INFLATED_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Most bytes of the part that holds the texts of all cells, inflated, for it alone is held whole.
const STRINGS_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A part that is this many times larger than its compressed form is no table, but a bomb. Sheets that
/// say one thing in every row come to 50.
const RATIO_MAX: u64 = 200;

/// Below this, no ratio hurts.
const RATIO_FROM_BYTES: u64 = 4 * 1024 * 1024;

/// Longest text between two tags: a cell holds 32,767 letters.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Checks an archive whole.
pub(super) fn check(bytes: &[u8]) -> Result<(), Problem> {
    if declared_parts(bytes)? > PARTS_MAX {
        return Err(Problem::Bomb("it has more than 2,000 parts"));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > PARTS_MAX {
        return Err(Problem::Bomb("it has more than 2,000 parts"));
    }
    let mut left = INFLATED_BYTES_MAX;
    for number in 0..archive.len() {
        let part = archive.by_index_raw(number).map_err(damaged)?;
        if part.encrypted() {
            return Err(Problem::Password);
        }
        let name = part.name().map_err(damaged)?.into_owned();
        if !is_inside(&name) || part.enclosed_name().is_none() || part.is_symlink() {
            return Err(Problem::Path(name));
        }
        if !matches!(
            part.compression(),
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            return Err(Problem::Damaged(format!(
                "“{name}” is compressed in a way that no workbook uses"
            )));
        }
        let packed = part.compressed_size();
        let is_strings = name.to_ascii_lowercase().ends_with("sharedstrings.xml");
        let bytes_max = if is_strings {
            STRINGS_BYTES_MAX.min(left)
        } else {
            left
        };
        if part.size() > bytes_max {
            return Err(TOO_LARGE);
        }
        drop(part);
        let part = archive.by_index(number).map_err(damaged)?;
        let ratio_bytes_max = packed.saturating_mul(RATIO_MAX).max(RATIO_FROM_BYTES);
        left -= inflate(part, bytes_max, ratio_bytes_max)?;
    }
    Ok(())
}

const TOO_LARGE: Problem = Problem::Bomb("unpacked it is larger than any table that is read here");

fn damaged(error: ZipError) -> Problem {
    Problem::Damaged(error.to_string())
}

/// How many parts the archive says that it has, by the record at its very end: a lie here is found
/// out by counting, and only bounds what the directory may cost.
fn declared_parts(bytes: &[u8]) -> Result<usize, Problem> {
    const SIGNATURE: &[u8] = b"PK\x05\x06";
    const RECORD_BYTES: usize = 22;
    // A comment of up to 64 KiB may follow.
    let from = bytes.len().saturating_sub(RECORD_BYTES + 0xFFFF);
    let tail = bytes.get(from..).unwrap_or_default();
    let at = tail
        .windows(SIGNATURE.len())
        .rposition(|window| window == SIGNATURE);
    let count = at.and_then(|at| tail.get(at + 10..at + 12));
    match count {
        Some([low, high]) => Ok(usize::from(u16::from_le_bytes([*low, *high]))),
        _ => Err(Problem::Damaged("it breaks off before its end".to_owned())),
    }
}

/// Whether a name stays within a folder, on every system.
fn is_inside(name: &str) -> bool {
    let has_drive = name.get(1..2) == Some(":");
    !name.starts_with(['/', '\\']) && !has_drive && name.split(['/', '\\']).all(|part| part != "..")
}

/// Reads a part to its end and looks at it as it goes by; gives its true size.
fn inflate(mut part: impl Read, bytes_max: u64, ratio_bytes_max: u64) -> Result<u64, Problem> {
    let mut look = Look::default();
    let mut chunk = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let count = part
            .read(&mut chunk)
            .map_err(|error| Problem::Damaged(error.to_string()))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > bytes_max {
            return Err(TOO_LARGE);
        }
        if size > ratio_bytes_max {
            return Err(Problem::Bomb(
                "a part of it is more than 200 times larger than it is packed",
            ));
        }
        look.at(chunk.get(..count).unwrap_or_default())?;
    }
    // The reader of workbooks makes room for as many texts as are declared.
    if look.declared > size {
        return Err(Problem::Bomb("it declares more texts than it has"));
    }
    Ok(size)
}

/// What goes by, wherever it is cut.
#[derive(Default)]
struct Look {
    /// The last bytes that went by.
    before: Vec<u8>,
    since_tag: u64,
    /// The highest `uniqueCount` of texts.
    declared: u64,
}

impl Look {
    /// Longest of what is looked for, with its number.
    const REACH: usize = 64;

    fn at(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        for byte in chunk {
            self.since_tag = if *byte == b'<' { 0 } else { self.since_tag + 1 };
            if self.since_tag > TEXT_BYTES_MAX {
                return Err(Problem::Bomb("one of its texts is longer than 1 MiB"));
            }
        }
        let mut bytes = std::mem::take(&mut self.before);
        bytes.extend_from_slice(chunk);
        for (at, first) in bytes.iter().enumerate() {
            let rest = || bytes.get(at..).unwrap_or_default();
            match first {
                b'<' if rest().starts_with(b"<!DOCTYPE") || rest().starts_with(b"<!ENTITY") => {
                    return Err(Problem::Dtd);
                }
                b'u' if rest().starts_with(COUNT) => {
                    self.declared = self.declared.max(number_in(rest()));
                }
                _ => {}
            }
        }
        bytes.drain(..bytes.len().saturating_sub(Self::REACH));
        self.before = bytes;
        Ok(())
    }
}

const COUNT: &[u8] = b"uniqueCount";

/// The number of `uniqueCount="12"`, whatever stands around it.
fn number_in(attribute: &[u8]) -> u64 {
    let digits = attribute
        .iter()
        .take(Look::REACH)
        .skip(COUNT.len())
        .skip_while(|byte| !byte.is_ascii_digit())
        .take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}
