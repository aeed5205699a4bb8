//! Where the objects of a JSON file begin and end; what stands in them is read later, one at a time.

use serde::de::IgnoredAny;

use super::super::drafts::Drafts;
use super::super::report::ImportError;

/// The records of a file and where each stands: its line in JSON lines, else its position.
pub(super) fn elements<'b>(
    bytes: &'b [u8],
    out: &mut Drafts<'_>,
) -> Result<Vec<(u64, &'b [u8])>, ImportError> {
    let mut scan = Scan { bytes, at: 0 };
    match scan.peek() {
        Some(b'[') => {
            let list = scan.list(out)?;
            scan.end()?;
            Ok(list)
        }
        Some(b'{') => {
            let first = scan.value()?;
            if scan.peek().is_none() {
                return match members(first)? {
                    Some(collection) => collection.read(out),
                    None => Ok(vec![(1, first)]),
                };
            }
            scan.at = 0;
            let mut lines = Vec::new();
            let (mut line, mut counted) = (1, 0);
            while scan.peek().is_some() {
                let between = bytes.get(counted..scan.at).unwrap_or_default();
                line += between.iter().filter(|byte| **byte == b'\n').count() as u64;
                counted = scan.at;
                lines.push((line, scan.value()?));
                scan.check_count(&lines, out)?;
            }
            Ok(lines)
        }
        Some(_) => Err(scan.wrong("must begin with a list or an object")),
        None => Err(ImportError::Empty),
    }
}

/// The parts of `{"handle": …, "records": […]}`, or of a page of HSDS, which calls them `contents`.
struct Collection<'b> {
    handle: Option<&'b [u8]>,
    records: Scan<'b>,
}

impl<'b> Collection<'b> {
    fn read(mut self, out: &mut Drafts<'_>) -> Result<Vec<(u64, &'b [u8])>, ImportError> {
        if let Some(handle) = self
            .handle
            .and_then(|slice| serde_json::from_slice(slice).ok())
        {
            out.set_handle(handle);
        }
        self.records.list(out)
    }
}

/// The collection that an object is, if it has `records`.
fn members(object: &[u8]) -> Result<Option<Collection<'_>>, ImportError> {
    let mut scan = Scan {
        bytes: object,
        at: 0,
    };
    let (mut handle, mut records) = (None, None);
    scan.expect(b'{')?;
    while scan.peek() != Some(b'}') {
        let name: String = serde_json::from_slice(scan.value()?)
            .map_err(|_| scan.wrong("must have member names in quotes"))?;
        scan.expect(b':')?;
        scan.peek();
        let at = scan.at;
        let value = scan.value()?;
        let twice = match name.as_str() {
            "records" | "contents" => records.replace(Scan { bytes: object, at }).is_some(),
            "handle" => handle.replace(value).is_some(),
            _ => false,
        };
        if twice {
            return Err(scan.wrong("names a member twice"));
        }
        if scan.peek() == Some(b',') {
            scan.at += 1;
        }
    }
    Ok(records.map(|records| Collection { handle, records }))
}

/// Finds where values begin and end; what stands in them is read later.
struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Scan<'b> {
    /// The next byte that is no white space, and moves to it.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        let space = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.at += space;
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), ImportError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.wrong(&format!("“{}” must stand here", char::from(byte))))
    }

    fn wrong(&self, detail: &str) -> ImportError {
        let (line, column) = place(self.bytes, self.at);
        ImportError::Json {
            line,
            column,
            detail: detail.to_owned(),
        }
    }

    /// The bytes of the next value.
    fn value(&mut self) -> Result<&'b [u8], ImportError> {
        self.peek();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                let length = values.byte_offset();
                self.at += length;
                Ok(rest.get(..length).unwrap_or_default())
            }
            Some(Err(error)) => {
                // Counted from this value; say where in the file.
                let lines_before = rest
                    .split_inclusive(|byte| *byte == b'\n')
                    .take(error.line().saturating_sub(1));
                let offset =
                    lines_before.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
                let (line, column) = place(self.bytes, self.at + offset);
                let detail = error.to_string();
                let detail = detail.split(" at line ").next().unwrap_or_default();
                Err(ImportError::Json {
                    line,
                    column,
                    detail: format!("not JSON: {detail}"),
                })
            }
            None => Err(self.wrong("the file breaks off here")),
        }
    }

    fn list(&mut self, out: &Drafts<'_>) -> Result<Vec<(u64, &'b [u8])>, ImportError> {
        let mut list = Vec::new();
        self.expect(b'[')?;
        while self.peek() != Some(b']') {
            list.push((list.len() as u64 + 1, self.value()?));
            self.check_count(&list, out)?;
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if self.peek() == Some(b']') {
                        return Err(self.wrong("a value must stand after the comma"));
                    }
                }
                Some(b']') => {}
                _ => return Err(self.wrong("“,” or “]” must stand here")),
            }
        }
        self.at += 1;
        Ok(list)
    }

    fn check_count(&self, list: &[(u64, &[u8])], out: &Drafts<'_>) -> Result<(), ImportError> {
        let rows_max = out.options.limits.rows_max;
        match list.last() {
            Some((row, _)) if list.len() as u64 > rows_max => Err(ImportError::TooManyRows {
                row: *row,
                rows_max,
            }),
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), ImportError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("nothing may stand after the list")),
        }
    }
}

/// Line and character, from 1, of the byte at `offset`.
pub(super) fn place(bytes: &[u8], offset: usize) -> (u64, u64) {
    let before = bytes.get(..offset.min(bytes.len())).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let letters = before
        .get(start..)
        .unwrap_or_default()
        .iter()
        .filter(|byte| **byte & 0xC0 != 0x80);
    (line, letters.count() as u64 + 1)
}
