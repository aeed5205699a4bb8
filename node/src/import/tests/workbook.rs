//! Workbooks: what a spreadsheet program writes, and what none would. I06, I07, I08.

use std::io::{Cursor, Write as _};

use rust_xlsxwriter::{ExcelDateTime, Format as Style, Workbook, Worksheet};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;

fn saved(mut book: Workbook) -> Vec<u8> {
    book.save_to_buffer().unwrap()
}

/// A workbook of one sheet of texts.
fn sheet(rows: &[&[&str]]) -> Vec<u8> {
    let mut book = Workbook::new();
    write_rows(book.add_worksheet(), rows);
    saved(book)
}

fn write_rows(sheet: &mut Worksheet, rows: &[&[&str]]) {
    for (row, cells) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(*cells) {
            sheet.write_string(row, column, *cell).unwrap();
        }
    }
}

fn drafts(file: &[u8], options: &Options<'_>) -> Vec<Value> {
    let reading = read(file, options).unwrap();
    assert!(reading.report.is_clean(), "{:#?}", reading.report.findings);
    reading.drafts.iter().map(|row| tree(&row.draft)).collect()
}

/// The archive with each part as `change` makes it.
fn rewritten(file: &[u8], change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut from = zip::ZipArchive::new(Cursor::new(file)).unwrap();
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..from.len() {
        let mut part = from.by_index(number).unwrap();
        let name = part.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).unwrap();
        drop(part);
        to.start_file(&name, packed()).unwrap();
        to.write_all(&change(&name, bytes)).unwrap();
    }
    to.finish().unwrap().into_inner()
}

fn packed() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn with_part(file: &[u8], name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new_append(Cursor::new(file.to_vec())).unwrap();
    archive.start_file(name, packed()).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn a_workbook_says_what_the_same_table_says_as_csv() {
    let rows: [&[&str]; 3] = [
        &["id", "titre", "lien", "langue", "thème", "pays"],
        &[
            "a",
            "Soudure",
            "https://a.example/1",
            "fr",
            "cyber",
            "SN; ML",
        ],
        &["b", "الاستجابة", "https://a.example/2", "ar", "policy", ""],
    ];
    let csv: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let options = set(&["kind=course"]);
    assert_eq!(
        drafts(&sheet(&rows), &options),
        good(&csv.join("\n"), &options)
    );
}

#[test]
fn numbers_dates_durations_and_formulas_are_what_the_sheet_shows() {
    let mut book = Workbook::new();
    let page = book.add_worksheet();
    write_rows(
        page,
        &[&[
            "title", "id", "start", "end", "seats", "price", "tutor", "workload", "summary",
        ]],
    );
    let (day, moment) = (
        Style::new().set_num_format("dd/mm/yyyy"),
        Style::new().set_num_format("yyyy-mm-dd hh:mm"),
    );
    let hours = Style::new().set_num_format("[h]:mm");
    page.write_formula(
        1,
        0,
        rust_xlsxwriter::Formula::new("=\"A\"").set_result("A"),
    )
    .unwrap();
    page.write_number(1, 1, 2027).unwrap();
    let date = |text| ExcelDateTime::parse_from_str(text).unwrap();
    page.write_datetime_with_format(1, 2, date("2027-04-03"), &day)
        .unwrap();
    page.write_datetime_with_format(1, 3, date("2027-05-01T09:30:00"), &moment)
        .unwrap();
    page.write_number(1, 4, 30).unwrap();
    page.write_number(1, 5, 12.5).unwrap();
    page.write_boolean(1, 6, true).unwrap();
    page.write_number_with_format(1, 7, 1.5, &hours).unwrap();
    page.write_string(1, 8, "=1+1").unwrap();
    let record = drafts(&saved(book), &english()).remove(0);
    assert_eq!(record["localId"], "2027");
    assert_eq!(
        record["body"],
        json!({
            "kind": "course", "name": {"en": "A"}, "summary": {"en": "=1+1"}, "languages": ["en"],
            "instances": [{"start": "2027-04-03", "end": "2027-05-01", "seats": 30}],
            "cost": {"kind": "paid", "price": "12.5"}, "tutor": true, "workload": "PT36H0M",
        })
    );
}

#[test]
fn findings_name_the_rows_and_columns_of_the_sheet() {
    let file = sheet(&[
        &["Training list of the Ministry"],
        &["as of January"],
        &[],
        &["title", "url", "start"],
        &["A", "https://a.example", "2027-01-12"],
        &[],
        &["B", "nonsense", "03/04/2027"],
        &["", "", "", "beyond"],
    ]);
    let report = read(file.as_slice(), &english()).unwrap().report;
    let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert!(
        lines[0].starts_with("row 7, column “url”: “nonsense”"),
        "{lines:#?}"
    );
    assert!(lines[1].starts_with("row 7, column “start”: “03/04/2027” may be two dates"));
    assert!(lines[2].starts_with("row 8: “beyond” stands beyond the last"));
    assert!(
        report.notices[0]
            .text
            .starts_with("the headers were found in row 4"),
        "{:?}",
        report.notices
    );
}

#[test]
fn the_first_filled_sheet_is_read_and_the_others_are_told() {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Empty").unwrap();
    let hidden = book.add_worksheet();
    hidden.set_name("Lists").unwrap().set_hidden(true);
    write_rows(hidden, &[&["title"], &["hidden"]]);
    let courses = book.add_worksheet();
    courses.set_name("Courses").unwrap();
    write_rows(courses, &[&["title"], &["A"]]);
    let notes = book.add_worksheet();
    notes.set_name("More").unwrap();
    write_rows(notes, &[&["title"], &["B"]]);
    let file = saved(book);
    let reading = read(file.as_slice(), &english()).unwrap();
    assert_eq!(tree(&reading.drafts[0].draft)["body"]["name"]["en"], "A");
    assert_eq!(
        reading.report.notices[0].text,
        "the sheet “Courses” was read; the others were not: “More”. Name another with --sheet"
    );
    let named = |name: &str| Options {
        sheet: Some(name.to_owned()),
        ..english()
    };
    assert_eq!(
        drafts(&file, &named("Lists"))[0]["body"]["name"]["en"],
        "hidden"
    );
    assert!(error(&file, &named("lists")).contains("its sheets are Empty, Lists, Courses, More"));
    assert!(error("title\nA\n", &named("Lists")).contains("no workbook"));
    assert!(error(saved(Workbook::new()), &english()).contains("none of its sheets"));
}

#[test]
fn i06_parts_that_would_leave_their_folder_are_refused() {
    let file = sheet(&[&["title"], &["A"]]);
    for name in [
        "../../x",
        "/etc/passwd",
        "C:\\x.xml",
        "xl\\..\\..\\x",
        "xl/../../x",
    ] {
        let refused = read(with_part(&file, name, b"x").as_slice(), &english()).unwrap_err();
        assert!(
            matches!(refused, ImportError::Workbook(WorkbookProblem::Path(_))),
            "{name}: {refused}"
        );
    }
    let mut archive = ZipWriter::new_append(Cursor::new(file.clone())).unwrap();
    archive
        .add_symlink("xl/link", "/etc/passwd", SimpleFileOptions::default())
        .unwrap();
    let linked = archive.finish().unwrap().into_inner();
    let refused = error(linked, &english());
    assert!(refused.contains("xl/link"), "{refused}");
}

#[test]
fn i07_bombs_are_refused_by_size_ratio_and_count_before_anything_is_read() {
    let file = sheet(&[&["title"], &["A"]]);
    let refusal = |bytes: &[u8]| match read(bytes, &english()).unwrap_err() {
        ImportError::Workbook(WorkbookProblem::Bomb(why)) => why,
        other => panic!("{other}"),
    };
    let spaces = |count| {
        b"<x>"
            .iter()
            .copied()
            .chain(vec![b' '; count])
            .collect::<Vec<u8>>()
    };
    assert!(refusal(&with_part(&file, "xl/media/x", &spaces(2 * 1024 * 1024))).contains("1 MiB"));
    // Tags so that only the ratio is wrong.
    let tags = b"<a>".repeat(5 * 1024 * 1024);
    assert!(refusal(&with_part(&file, "xl/y.xml", &tags)).contains("200 times"));
    let declared = rewritten(&file, |name, bytes| match name {
        "xl/sharedStrings.xml" => String::from_utf8(bytes)
            .unwrap()
            .replace("uniqueCount=\"2\"", "uniqueCount=\"999999999999\"")
            .into_bytes(),
        _ => bytes,
    });
    assert!(
        refusal(&declared).contains("declares more texts"),
        "room for 24 TB was made"
    );
    let mut many = ZipWriter::new_append(Cursor::new(file.clone())).unwrap();
    for number in 0..2_001 {
        many.start_file(format!("xl/{number}"), packed()).unwrap();
    }
    assert!(refusal(&many.finish().unwrap().into_inner()).contains("2,000 parts"));
    // A size that is a lie is found out by what comes out.
    let mut lying = with_part(&file, "xl/z.xml", &tags);
    let name = lying
        .windows(8)
        .rposition(|window| window == b"xl/z.xml")
        .unwrap();
    // The uncompressed size stands 22 bytes before the name in the directory.
    lying[name - 22..name - 18].copy_from_slice(&100_u32.to_le_bytes());
    assert!(error(&lying, &english()).contains("larger than its declared"));
    // An archive within is bytes like others, and never opened.
    let inner = with_part(
        &file,
        "xl/embeddings/inner.xlsx",
        &with_part(&file, "xl/y.xml", &tags),
    );
    assert_eq!(drafts(&inner, &english()).len(), 1);
}

#[test]
fn i08_a_document_type_definition_is_refused_wherever_it_stands() {
    let file = sheet(&[&["title"], &["A"]]);
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;\">]>";
    let external =
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    for prolog in [laughs, external] {
        for part in [
            "xl/sharedStrings.xml",
            "xl/worksheets/sheet1.xml",
            "xl/workbook.xml",
            "[Content_Types].xml",
        ] {
            let bad = rewritten(&file, |name, bytes| {
                if name == part {
                    let padding = " ".repeat(64 * 1024 - 5);
                    let text = String::from_utf8(bytes).unwrap();
                    let root = text.split_once("?>").unwrap().1;
                    [
                        prolog.as_bytes(),
                        padding.as_bytes(),
                        b"<!DOCTYPE x>",
                        root.as_bytes(),
                    ]
                    .concat()
                } else {
                    bytes
                }
            });
            let refused = read(bad.as_slice(), &english()).unwrap_err();
            assert!(
                matches!(refused, ImportError::Workbook(WorkbookProblem::Dtd)),
                "{part}: {refused}"
            );
        }
    }
    // An entity that nobody defined is no text.
    let undefined = rewritten(&file, |name, bytes| match name {
        "xl/sharedStrings.xml" => String::from_utf8(bytes)
            .unwrap()
            .replace("<t>A</t>", "<t>A&lol;</t>")
            .into_bytes(),
        _ => bytes,
    });
    assert!(matches!(
        read(undefined.as_slice(), &english()),
        Err(ImportError::Workbook(WorkbookProblem::Damaged(_)))
    ));
}

#[test]
fn broken_workbooks_are_refused_by_name() {
    let file = sheet(&[&["title"], &["A"]]);
    for end in [4, 10, 30, file.len() / 2, file.len() - 1] {
        let refused = read(&file[..end], &english()).unwrap_err();
        assert!(
            matches!(refused, ImportError::Workbook(WorkbookProblem::Damaged(_))),
            "{end}: {refused}"
        );
    }
    let mut other = ZipWriter::new(Cursor::new(Vec::new()));
    other.start_file("letter.txt", packed()).unwrap();
    other.write_all(b"Dear all").unwrap();
    let refused = error(other.finish().unwrap().into_inner(), &english());
    assert!(refused.contains("workbook"), "{refused}");
    let csv = Options {
        format: Format::Csv,
        ..english()
    };
    assert!(error(&file, &csv).contains("workbook"));
    let book = Options {
        format: Format::Workbook,
        ..english()
    };
    assert!(error("title\nA\n", &book).contains("no workbook"));
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(at in 0_usize..4_000, byte: u8) {
        let mut file = sheet(&[&["title", "url"], &["A", "https://a.example"]]);
        let at = at % file.len();
        file[at] = byte;
        let _ = read(file.as_slice(), &english());
    }

    #[test]
    fn no_cell_address_makes_it_panic(from in "[A-Z]{0,4}[0-9]{0,12}", to in "[A-Z]{0,4}[0-9]{0,12}") {
        let file = sheet(&[&["title"], &["A"]]);
        let changed = rewritten(&file, |name, bytes| match name {
            "xl/worksheets/sheet1.xml" => String::from_utf8(bytes)
                .unwrap()
                .replace("\"A2\"", &format!("\"{from}\""))
                .replace("\"A1:A2\"", &format!("\"{from}:{to}\""))
                .into_bytes(),
            _ => bytes,
        });
        let _ = read(changed.as_slice(), &english());
    }
}
