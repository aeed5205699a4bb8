//! The canonical form against the test data of RFC 8785.

use baraza_protocol::canonical::{Numbers, parse, to_canonical};
use serde_json::Value;

#[path = "support/vectors.rs"]
mod vectors;

#[test]
fn the_six_documents_of_rfc_8785_come_out_byte_for_byte() {
    let Some(folder) = vectors::folder("jcs-rfc8785") else {
        return;
    };
    for name in [
        "arrays",
        "french",
        "structures",
        "unicode",
        "values",
        "weird",
    ] {
        let document = vectors::json(&folder.join(format!("input/{name}.json")));
        let canonical = to_canonical(&document);
        let expected = vectors::unhex(&vectors::text(&folder.join(format!("outhex/{name}.txt"))));
        assert_eq!(vectors::hex(&canonical), vectors::hex(&expected), "{name}");
        assert_eq!(
            canonical,
            vectors::bytes(&folder.join(format!("output/{name}.json")))
        );
    }
}

#[test]
fn ten_thousand_doubles_are_written_as_ecmascript_writes_them_and_read_back() {
    let Some(folder) = vectors::folder("jcs-rfc8785") else {
        return;
    };
    let lines = vectors::text(&folder.join("es6-numbers-10000.txt"));
    let mut numbers = 0;
    for line in lines.lines() {
        let (bits, expected) = line.split_once(',').unwrap();
        let double = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
        let written = String::from_utf8(to_canonical(&Value::from(double))).unwrap();
        assert_eq!(written, expected, "{bits}");
        let read = parse(expected.as_bytes(), 100, Numbers::Any).unwrap();
        assert_eq!(
            String::from_utf8(to_canonical(&read)).unwrap(),
            expected,
            "read {bits}"
        );
        numbers += 1;
    }
    assert_eq!(numbers, 10_000);
}
