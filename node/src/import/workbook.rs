//! Rows and cells of a workbook (XLSX, ECMA-376), one row in memory at a time.
//!
//! The texts of all cells stand in one part of the file and are held; the rest is read as it goes by.
//! What may be opened at all is decided by `workbook/archive.rs`, and decided before.

mod archive;

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{
    Cell as Found, CellErrorType, DataRef, Reader as _, SheetType, SheetVisible, Xlsx,
    XlsxCellReader,
};

use super::Limits;
use super::drafts::Drafts;
use super::plan::read_rows;
use super::report::{ImportError, shown};
use super::table::{Cell, Cells, Rows};

/// Why a workbook is not read.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It would unpack to more than is read.
    #[error("{0}: divide the table, or save it as “CSV UTF-8”")]
    Bomb(&'static str),
    /// A part that would leave the folder it is unpacked in.
    #[error("one of its parts is named “{0}”, which no spreadsheet program writes")]
    Path(String),
    /// A document type definition.
    #[error("its XML has a document type definition, which no spreadsheet program writes")]
    Dtd,
    /// It can only be read with a password.
    #[error("it has a password: save it without one")]
    Password,
    /// It is no workbook, or a broken one.
    #[error(
        "it is damaged, or no workbook ({0}): open it in a spreadsheet program and save it anew"
    )]
    Damaged(String),
    /// It has no such sheet.
    #[error("it has no sheet “{name}”; its sheets are {sheets}")]
    NoSheet {
        /// As it was named.
        name: String,
        /// Those that it has.
        sheets: String,
    },
    /// Every sheet is empty.
    #[error("none of its sheets has a cell with something in it")]
    Empty,
}

type Book<'b> = Xlsx<Cursor<&'b [u8]>>;

/// Reads a workbook; `sheet` names one, else the first visible one with something in it is read.
pub(super) fn read(
    input: impl Read,
    sheet: Option<&str>,
    out: &mut Drafts<'_>,
) -> Result<(), ImportError> {
    let mut bytes = Vec::new();
    input
        .take(archive::FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(super::source::error)?;
    if bytes.len() as u64 > archive::FILE_BYTES_MAX {
        return Err(ImportError::TooLarge {
            bytes_max: archive::FILE_BYTES_MAX,
        });
    }
    archive::check(&bytes)?;
    // A defect of the reader below, met by a file that somebody made to meet it, ends this import alone.
    let reading = AssertUnwindSafe(|| read_checked(&bytes, sheet, out));
    catch_unwind(reading).unwrap_or_else(|_| {
        let problem = Problem::Damaged("it met a defect of the reader of workbooks".to_owned());
        Err(problem.into())
    })
}

fn read_checked(
    bytes: &[u8],
    sheet: Option<&str>,
    out: &mut Drafts<'_>,
) -> Result<(), ImportError> {
    let mut book: Book<'_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let limits = out.options.limits;
    let name = choose(&mut book, sheet, limits, out)?;
    let cells = book.worksheet_cells_reader(&name).map_err(damaged)?;
    read_rows(&mut Sheet::new(cells, limits), out)
}

fn damaged(error: calamine::XlsxError) -> Problem {
    Problem::Damaged(shown(&error.to_string()))
}

/// The sheet to read. That others are left out is told.
fn choose(
    book: &mut Book<'_>,
    wanted: Option<&str>,
    limits: Limits,
    out: &mut Drafts<'_>,
) -> Result<String, ImportError> {
    let sheets: Vec<(String, bool)> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible))
        .collect();
    if let Some(wanted) = wanted {
        let found = sheets.iter().find(|(name, _)| name == wanted);
        let found = found.ok_or_else(|| {
            let names: Vec<_> = sheets.iter().map(|(name, _)| shown(name)).collect();
            Problem::NoSheet {
                name: shown(wanted),
                sheets: names.join(", "),
            }
        })?;
        return Ok(found.0.clone());
    }
    let mut filled = Vec::new();
    for (name, _) in sheets.into_iter().filter(|(_, is_visible)| *is_visible) {
        let cells = book.worksheet_cells_reader(&name).map_err(damaged)?;
        if Sheet::new(cells, limits).next_row()?.is_some() {
            filled.push(name);
        }
    }
    let mut filled = filled.into_iter();
    let first = filled.next().ok_or(Problem::Empty)?;
    let others: Vec<_> = filled.map(|name| format!("“{}”", shown(&name))).collect();
    if !others.is_empty() {
        out.note(
            1,
            &format!(
                "the sheet “{}” was read; the others were not: {}. Name another with --sheet",
                shown(&first),
                others.join(", ")
            ),
        );
    }
    Ok(first)
}

/// The rows of one sheet.
struct Sheet<'b, 'f> {
    cells: XlsxCellReader<'b, Cursor<&'f [u8]>>,
    limits: Limits,
    /// The first cell of the next row.
    ahead: Option<Found<DataRef<'b>>>,
    /// Whether the last cell was met: asked again, the reader below would look for more.
    is_over: bool,
    row: u64,
}

impl<'b, 'f> Sheet<'b, 'f> {
    fn new(cells: XlsxCellReader<'b, Cursor<&'f [u8]>>, limits: Limits) -> Self {
        Self {
            cells,
            limits,
            ahead: None,
            is_over: false,
            row: 0,
        }
    }

    fn next_cell(&mut self) -> Result<Option<Found<DataRef<'b>>>, ImportError> {
        if self.ahead.is_some() || self.is_over {
            return Ok(self.ahead.take());
        }
        let cell = self.cells.next_cell().map_err(damaged)?;
        self.is_over = cell.is_none();
        Ok(cell)
    }
}

impl Rows for Sheet<'_, '_> {
    fn next_row(&mut self) -> Result<Option<Cells>, ImportError> {
        let mut cells: Vec<Cell> = Vec::new();
        let mut row = None;
        while let Some(found) = self.next_cell()? {
            let (at, column) = found.get_position();
            let (at, column) = (u64::from(at) + 1, column as usize);
            if row.is_some_and(|row| row != at) {
                self.ahead = Some(found);
                break;
            }
            let cell = text_of(found.get_value());
            if cell.text.trim().is_empty() {
                continue;
            }
            if at <= self.row {
                let problem = format!("row {at} stands twice");
                return Err(Problem::Damaged(problem).into());
            }
            let columns_max = self.limits.columns_max;
            if column >= columns_max {
                return Err(ImportError::TooManyColumns {
                    row: at,
                    columns_max,
                });
            }
            row = Some(at);
            if cells.len() <= column {
                cells.resize(column + 1, Cell::default());
            }
            if let Some(place) = cells.get_mut(column) {
                *place = cell;
            }
        }
        self.row = row.unwrap_or(self.row);
        Ok(row.map(|row| Cells { row, cells }))
    }
}

/// A cell as the person sees it who typed it; a date as records write it.
fn text_of(value: &DataRef<'_>) -> Cell {
    let text = match value {
        DataRef::Empty => String::new(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        DataRef::DateTime(moment) if moment.is_duration() => {
            let minutes = (moment.as_f64() * 24.0 * 60.0).round();
            format!("PT{}H{}M", (minutes / 60.0).floor(), minutes % 60.0)
        }
        DataRef::DateTime(moment) => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            if (hour, minute, second) == (0, 0, 0) {
                format!("{year:04}-{month:02}-{day:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
            }
        }
        DataRef::Error(error) => match error {
            CellErrorType::Div0 => "#DIV/0!",
            CellErrorType::NA => "#N/A",
            CellErrorType::Name => "#NAME?",
            CellErrorType::Null => "#NULL!",
            CellErrorType::Num => "#NUM!",
            CellErrorType::Ref => "#REF!",
            CellErrorType::Value => "#VALUE!",
            _ => "#ERROR!",
        }
        .to_owned(),
    };
    Cell::holding(text)
}
