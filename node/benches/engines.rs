//! What search is compared with: each takes the same records and answers the same searches.

pub(crate) mod bare;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use serde_json::Value;

/// How many ids an answer has.
pub(crate) const PAGE: usize = 20;

/// All of a record that is searched for.
pub(crate) struct Row {
    /// Its place among all ids in order.
    pub(crate) place: usize,
    pub(crate) id: String,
    pub(crate) texts: [String; 3],
    pub(crate) codes: [String; 2],
}

impl Row {
    pub(crate) fn of(record: &Value, place: usize, id: String) -> Self {
        let body = &record["body"];
        let text = |member: &Value| member.as_str().unwrap().to_owned();
        Self {
            place,
            id,
            texts: ["name", "summary", "description"].map(|part| text(&body[part]["en"])),
            codes: codes(&text(&body["areas"][0]), &text(&body["countries"][0])),
        }
    }
}

/// Codes in a form that every engine takes for one word.
pub(crate) fn codes(area: &str, country: &str) -> [String; 2] {
    let plain = |code: &str| code.replace('-', "").to_lowercase();
    [
        format!("area{}", plain(area)),
        format!("country{}", plain(country)),
    ]
}

/// How many there are, and the first by id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) total: u64,
    pub(crate) ids: Vec<String>,
}
