//! A person in an office, a spreadsheet, and what is said about it.

use std::collections::BTreeMap;
use std::fs;

use rust_xlsxwriter::Workbook;
use serde_json::Value;

use crate::support::node::{Node, Ran};

const HEADERS: [&str; 24] = [
    "id",
    "title",
    "link",
    "language",
    "kind",
    "summary",
    "subject",
    "cost",
    "price",
    "currency",
    "start date",
    "end date",
    "deadline",
    "seats",
    "country",
    "region",
    "not available in",
    "duration",
    "hours",
    "certificate",
    "tutored",
    "offline",
    "picture",
    "expires",
];

/// One mistake a row: the column, what stands there, a word of what is said about it, and what is right.
const MISTAKES: [(&str, &str, &str, &str); 40] = [
    ("title", "", "every record needs a name", "A title"),
    ("link", "nonsense", "no web address", "https://a.example"),
    (
        "link",
        "javascript:alert(1)",
        "no web address",
        "https://a.example",
    ),
    (
        "link",
        "a.example/x",
        "perhaps https://a.example/x",
        "https://a.example/x",
    ),
    (
        "link",
        "https://a.example https://b.example",
        "more than one web address",
        "https://a.example",
    ),
    ("language", "", "language of the texts is unknown", "en"),
    (
        "language",
        "Klingon of old",
        "no language that is known",
        "French",
    ),
    ("kind", "corse", "did you mean “course”", "course"),
    ("kind", "", "the kind is missing", "course"),
    ("kind", "MOOC", "did you mean “course”", "course"),
    ("kind", "banquet", "is no kind that is known", "event"),
    ("summary", "#REF!", "a formula failed", "All of it"),
    ("cost", "fre", "did you mean “free”", "free"),
    ("cost", "perhaps", "is no cost that is known", "conditional"),
    ("price", "1,234", "write 1234 or 1.234", "1234"),
    ("price", "a lot", "no number", "12.50"),
    ("currency", "$", "no currency", "USD"),
    ("currency", "shillings", "no currency", "KES"),
    (
        "start date",
        "03/04/2027",
        "write 2027-04-03 or 2027-03-04",
        "2027-04-03",
    ),
    ("start date", "2027-02-30", "is no date", "2027-02-28"),
    ("start date", "46400", "day number", "2027-01-12"),
    ("end date", "next week", "is no date", "2027-01-12"),
    ("deadline", "31.31.2027", "is no date", "31.12.2027"),
    ("deadline", "1/2/27", "is no date", "2027-02-01"),
    ("seats", "about 30", "no whole number", "30"),
    ("seats", "-5", "no whole number", "5"),
    (
        "country",
        "UK",
        "the code of the United Kingdom is GB",
        "GB",
    ),
    (
        "country",
        "Atlantis",
        "is no country that is known",
        "Kenya",
    ),
    (
        "country",
        "Kenya, Atlantis",
        "is no country that is known",
        "Kenya, Uganda",
    ),
    (
        "region",
        "Middle Earth",
        "is no region that is known",
        "Africa",
    ),
    (
        "not available in",
        "Narnia",
        "is no country that is known",
        "NZ",
    ),
    ("duration", "40", "PT40H (40 hours)", "6 weeks"),
    ("duration", "a while", "no duration", "P6W"),
    ("hours", "2-3 h", "no duration", "3 h"),
    (
        "certificate",
        "yes",
        "did you mean “completion”",
        "completion",
    ),
    (
        "certificate",
        "gold",
        "is no certificate that is known",
        "badge",
    ),
    ("tutored", "perhaps", "neither yes nor no", "yes"),
    ("offline", "sometimes", "neither yes nor no", "no"),
    (
        "picture",
        "logo.png",
        "no web address",
        "https://a.example/logo.png",
    ),
    (
        "expires",
        "05/06/2027",
        "write 2027-06-05 or 2027-05-06",
        "2027-06-05",
    ),
];

/// The row of a mistake as the spreadsheet shows it: headers are row 1, and a good row stands first.
fn row_of(mistake: usize) -> usize {
    mistake + 3
}

fn workbook(node: &Node, name: &str, are_right: bool) -> String {
    // The last word on a cell counts; an empty one is not written.
    let mut cells: BTreeMap<(usize, &str), String> = BTreeMap::new();
    for header in HEADERS {
        cells.insert((1, header), header.to_owned());
    }
    for row in 2..MISTAKES.len() + 3 {
        for (column, text) in [
            ("id", format!("course-{row}")),
            ("title", format!("Course {row}")),
            ("link", "https://a.example/course".to_owned()),
            ("language", "English".to_owned()),
            ("kind", "course".to_owned()),
            ("subject", "cyber".to_owned()),
        ] {
            cells.insert((row, column), text);
        }
    }
    for (number, (column, wrong, _, right)) in MISTAKES.iter().enumerate() {
        let text = if are_right { right } else { wrong };
        cells.insert((row_of(number), column), (*text).to_owned());
    }
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for ((row, column), text) in cells {
        let column = HEADERS.iter().position(|header| *header == column).unwrap();
        let (row, column) = (
            u32::try_from(row - 1).unwrap(),
            u16::try_from(column).unwrap(),
        );
        sheet.write_string(row, column, text).unwrap();
    }
    let file = node.file(name);
    book.save(&file).unwrap();
    file.to_str().unwrap().to_owned()
}

fn import(node: &Node, file: &str, more: &[&str]) -> Ran {
    node.run(&[&["import", file, "--org", "itu"], more].concat())
}

#[test]
fn forty_mistakes_are_forty_findings_in_their_rows_and_columns_and_nothing_is_published() {
    let node = Node::running(&[]);
    node.org("itu");
    let before = node.state_hash();
    let file = workbook(&node, "courses.xlsx", false);
    let (report, table) = (node.file("report.txt"), node.file("report.csv"));
    let ran = import(&node, &file, &["--report", report.to_str().unwrap()])
        .refused("Nothing was published");
    assert!(ran.out.contains("… and 20 more"), "{}", ran.out);
    let ran = import(
        &node,
        &file,
        &["--json", "--report", table.to_str().unwrap()],
    );
    let said: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    let findings = said["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 40, "{findings:#?}");
    let text = fs::read_to_string(report).unwrap();
    for (number, ((column, wrong, words, _), finding)) in MISTAKES.iter().zip(findings).enumerate()
    {
        let row = row_of(number);
        assert_eq!(
            (&finding["row"], &finding["column"]),
            (&row.into(), &(*column).into()),
            "{finding}"
        );
        let whole = format!(
            "{} {}",
            finding["problem"].as_str().unwrap(),
            finding["suggestion"].as_str().unwrap_or_default()
        );
        assert!(whole.contains(words), "row {row}: {whole}");
        assert!(
            wrong.contains(finding["value"].as_str().unwrap_or_default()),
            "{finding}"
        );
        assert!(
            text.contains(&format!("\nRow {row}, column “{column}”\n")),
            "row {row}"
        );
    }
    assert_eq!(fs::read_to_string(table).unwrap().lines().count(), 41);
    assert_eq!((node.state_hash(), said["new"].as_u64()), (before, Some(0)));

    // Corrected, it publishes; and again, it changes nothing, whatever the file is called.
    let right = workbook(&node, "courses.xlsx", true);
    let said = import(&node, &right, &["--json"]).ok().json();
    assert_eq!(
        (&said["new"], &said["refused"]),
        (&41.into(), &0.into()),
        "{said}"
    );
    let published = node.state_hash();
    for name in ["courses.xlsx", "courses (final).xlsx"] {
        let said = import(&node, &workbook(&node, name, true), &["--json"])
            .ok()
            .json();
        assert_eq!(
            (&said["new"], &said["changed"], &said["unchanged"]),
            (&0.into(), &0.into(), &41.into()),
            "{said}"
        );
    }
    assert_eq!(node.state_hash(), published);
}
