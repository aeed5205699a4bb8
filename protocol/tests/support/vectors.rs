//! Where the published vectors are, and small readers for them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "shared by several test binaries, each using a part; a broken vector must stop the test"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use baraza_protocol::canonical::{Numbers, parse};
use serde_json::{Map, Value};

/// One folder of vectors, if it is there.
///
/// Looked for in `$BARAZA_SHARED/vectors`, or beside the project. Without it the test says what it
/// skips and passes: the data is not part of the project.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("BARAZA_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("vectors").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    say(&format!(
        "SKIPPED: the vectors of {name} are not at {}",
        folder.display()
    ));
    None
}

/// Says something that is seen although the test passes, when `println` is swallowed.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A text without the line break at its end.
pub(crate) fn text(path: &Path) -> String {
    String::from_utf8(bytes(path))
        .unwrap()
        .trim_end_matches('\n')
        .to_owned()
}

/// A document, read by our own strict reader.
pub(crate) fn json(path: &Path) -> Value {
    parse(&bytes(path), 1 << 20, Numbers::Any)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file of vectors that is larger than any document of ours.
pub(crate) fn large_json(path: &Path) -> Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

pub(crate) fn object(path: &Path) -> Map<String, Value> {
    json(path).as_object().unwrap().clone()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn str(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| u8::try_from(character.to_digit(16).unwrap()).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
