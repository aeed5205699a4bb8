//! Rows and cells of a CSV file (RFC 4180), one row in memory at a time.
//!
//! Not the `csv` crate: that one reads a quote that is never closed to the end of the file as one
//! cell, mends text after a closing quote in silence, and skips blank lines, so that row numbers no
//! longer are those that a spreadsheet shows.

use std::io::BufRead;

use super::report::{ImportError, shown};
use super::{CELL_BYTES_MAX, CELL_BYTES_STOP, Limits, source};

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cell {
    /// Its text, at most [`CELL_BYTES_MAX`] bytes.
    pub(super) text: String,
    /// Its values, where the file itself parts them (JSON).
    pub(super) values: Option<Vec<String>>,
    /// Whether there was more text.
    pub(super) cut: bool,
}

impl Cell {
    /// A cell with this text, or the front of it.
    pub(super) fn holding(mut text: String) -> Self {
        let cut = text.len() > CELL_BYTES_MAX;
        if cut {
            text.truncate(text.floor_char_boundary(CELL_BYTES_MAX));
            text.shrink_to_fit();
        }
        Self {
            text,
            values: None,
            cut,
        }
    }
}

/// The cells of a row, and its number as a spreadsheet shows it.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) row: u64,
    pub(super) cells: Vec<Cell>,
}

/// Where rows come from.
pub(super) trait Rows {
    /// The next row with anything in it.
    fn next_row(&mut self) -> Result<Option<Cells>, ImportError>;
}

impl<R: BufRead> Rows for Table<R> {
    fn next_row(&mut self) -> Result<Option<Cells>, ImportError> {
        loop {
            match self.any_row()? {
                Some(row) if row.cells.iter().all(|cell| cell.text.trim().is_empty()) => {}
                other => return Ok(other),
            }
        }
    }
}

pub(super) struct Table<R> {
    input: R,
    delimiter: u8,
    limits: Limits,
    row: u64,
    line: u64,
    column: u64,
    after_return: bool,
}

/// Where in a cell the reader is.
#[derive(Clone, Copy)]
enum State {
    Start,
    Bare,
    Quoted,
    Closed,
}

/// What one more byte does.
enum Step {
    Keep,
    Skip,
    EndCell,
    EndRow,
}

#[derive(Default)]
struct Raw {
    bytes: Vec<u8>,
    line: u64,
    column: u64,
}

impl<R: BufRead> Table<R> {
    pub(super) fn new(input: R, delimiter: u8, limits: Limits) -> Self {
        Self {
            input,
            delimiter,
            limits,
            row: 0,
            line: 1,
            column: 0,
            after_return: false,
        }
    }

    /// Tells the table that a line was taken off before it.
    pub(super) fn after_a_line(mut self) -> Self {
        self.row += 1;
        self.line += 1;
        self
    }

    fn any_row(&mut self) -> Result<Option<Cells>, ImportError> {
        let mut cells = Vec::new();
        let mut state = State::Start;
        let mut cell = self.begin_cell(1);
        let mut seen_any = false;
        while let Some(byte) = self.next_byte()? {
            if std::mem::take(&mut self.after_return) && byte == b'\n' {
                // The second half of a line end: the row ended at the first.
                self.column = 0;
                cell = self.begin_cell(1);
                continue;
            }
            seen_any = true;
            if byte & 0xC0 != 0x80 {
                self.column += 1;
            }
            match self.step(&mut state, byte)? {
                Step::Keep => self.keep(&mut cell, byte)?,
                Step::Skip if matches!(state, State::Quoted) => cell = self.begin_cell(0),
                Step::Skip => {}
                Step::EndCell => {
                    let done = std::mem::replace(&mut cell, self.begin_cell(1));
                    self.end_cell(&mut cells, done)?;
                }
                Step::EndRow => {
                    self.end_cell(&mut cells, cell)?;
                    self.line += 1;
                    self.column = 0;
                    self.after_return = byte == b'\r';
                    return self.end_row(cells).map(Some);
                }
            }
            if byte == b'\n' {
                self.line += 1;
                self.column = 0;
            }
        }
        if matches!(state, State::Quoted) {
            return Err(ImportError::UnclosedQuote {
                line: cell.line,
                column: cell.column,
            });
        }
        if !seen_any {
            return Ok(None);
        }
        self.end_cell(&mut cells, cell)?;
        self.end_row(cells).map(Some)
    }

    fn step(&self, state: &mut State, byte: u8) -> Result<Step, ImportError> {
        let ends_row = matches!(byte, b'\n' | b'\r');
        Ok(match *state {
            State::Quoted if byte == b'"' => {
                *state = State::Closed;
                Step::Skip
            }
            State::Quoted => Step::Keep,
            _ if byte == self.delimiter => {
                *state = State::Start;
                Step::EndCell
            }
            _ if ends_row => Step::EndRow,
            State::Start if byte == b'"' => {
                *state = State::Quoted;
                Step::Skip
            }
            State::Closed if byte == b'"' => {
                *state = State::Quoted;
                Step::Keep
            }
            State::Closed if byte == b' ' => Step::Skip,
            State::Closed => {
                return Err(ImportError::TextAfterQuote {
                    line: self.line,
                    column: self.column,
                });
            }
            State::Start | State::Bare => {
                *state = State::Bare;
                Step::Keep
            }
        })
    }

    fn next_byte(&mut self) -> Result<Option<u8>, ImportError> {
        let byte = self
            .input
            .fill_buf()
            .map_err(source::error)?
            .first()
            .copied();
        if byte.is_some() {
            self.input.consume(1);
        }
        Ok(byte)
    }

    fn begin_cell(&self, ahead: u64) -> Raw {
        Raw {
            line: self.line,
            column: self.column + ahead,
            ..Raw::default()
        }
    }

    fn keep(&self, cell: &mut Raw, byte: u8) -> Result<(), ImportError> {
        if cell.bytes.len() >= CELL_BYTES_STOP {
            return Err(ImportError::CellTooLong {
                line: cell.line,
                column: cell.column,
                bytes_max: CELL_BYTES_STOP,
            });
        }
        cell.bytes.push(byte);
        Ok(())
    }

    fn end_cell(&self, cells: &mut Vec<Cell>, raw: Raw) -> Result<(), ImportError> {
        if cells.len() >= self.limits.columns_max {
            let columns_max = self.limits.columns_max;
            return Err(ImportError::TooManyColumns {
                row: self.row + 1,
                columns_max,
            });
        }
        let text = String::from_utf8(raw.bytes).map_err(|error| {
            let good = error
                .as_bytes()
                .get(..error.utf8_error().valid_up_to())
                .unwrap_or_default();
            let count =
                |wanted: fn(&u8) -> bool| good.iter().filter(|byte| wanted(byte)).count() as u64;
            let lines = count(|byte| *byte == b'\n');
            let letters = if lines == 0 {
                count(|byte| *byte & 0xC0 != 0x80)
            } else {
                0
            };
            ImportError::NotUtf8 {
                line: raw.line + lines,
                column: raw.column + letters,
                as_western: shown(&source::as_western(error.as_bytes())),
            }
        })?;
        cells.push(Cell::holding(text));
        Ok(())
    }

    fn end_row(&mut self, cells: Vec<Cell>) -> Result<Cells, ImportError> {
        self.row += 1;
        Ok(Cells {
            row: self.row,
            cells,
        })
    }
}
