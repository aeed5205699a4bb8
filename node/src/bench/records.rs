//! Records that nobody wrote, signed by authors that nobody is.

use std::sync::Arc;

use protocol::identity::LogEntry;
use protocol::identity::key_hash;
use protocol::identity::write::{Change, Place, create};
use protocol::key::SecretKey;
use protocol::record::Draft;
use protocol::time::Timestamp;
use serde_json::json;

use crate::keychain::new_key;
use crate::node::NodeError;

const AUTHORS: usize = 10;
/// Words from the most to the least frequent.
const WORDS: usize = 20_000;
pub(super) const AREAS: [&str; 4] = ["cyber", "policy", "data-ai", "connectivity"];
pub(super) const COUNTRIES: [&str; 4] = ["KE", "SN", "BD", "PE"];

/// Authors who sign as much as is asked for.
#[derive(Clone)]
pub(super) struct Authors(Arc<Vec<(LogEntry, SecretKey)>>);

impl Authors {
    pub(super) fn new(now: Timestamp) -> Result<Self, NodeError> {
        let author = |number: usize| -> Result<_, NodeError> {
            let refused = |error: &dyn std::fmt::Display| NodeError::Refused(error.to_string());
            let (record, update, next) = (new_key()?, new_key()?, new_key()?);
            let place = Place::new("bench.example", None, &[&format!("a{number}")]);
            let change = Change {
                place: place.map_err(|error| refused(&error))?,
                record_keys: [record.public()].into(),
                next_key_hashes: [key_hash(&next.public())].into(),
                also_known_as: Vec::new(),
                services: Vec::new(),
            };
            let entry = create(&change, &update, now).map_err(|error| refused(&error))?;
            Ok((entry, record))
        };
        let authors: Result<Vec<_>, _> = (0..AUTHORS).map(author).collect();
        Ok(Self(Arc::new(authors?)))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &LogEntry> {
        self.0.iter().map(|(entry, _)| entry)
    }

    /// A record of some 1.5 kB; the same words for the same number.
    pub(super) fn sign(&self, number: u64, now: Timestamp) -> Result<Vec<u8>, NodeError> {
        let mut chance = Chance(number);
        let author = chance.below(AUTHORS);
        let mut text = |words| {
            (0..words)
                .map(|_| word(&mut chance))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (name, summary, description) = (text(6), text(25), text(80));
        let draft = json!({
            "type": "Offering", "localId": format!("r{number}"), "language": "en",
            "body": {
                "kind": "course", "name": {"en": name}, "summary": {"en": summary},
                "description": {"en": description}, "url": format!("https://example.org/{number}"),
                "areas": [AREAS.get(chance.below(AREAS.len()))],
                "countries": [COUNTRIES.get(chance.below(COUNTRIES.len()))],
                "languages": ["en"], "audiences": ["civil-servants"], "cost": {"kind": "free"},
                "modes": ["online-self"],
            },
        });
        let refused = |error: &dyn std::fmt::Display| NodeError::Refused(error.to_string());
        let (Some((entry, key)), Some(members)) = (self.0.get(author), draft.as_object()) else {
            return Err(refused(&"no author"));
        };
        let draft = Draft::new(members, "CC0-1.0").map_err(|error| refused(&error))?;
        let signed = draft.sign(entry.did(), 1, now, key);
        Ok(signed
            .map_err(|error| refused(&error))?
            .canonical()
            .to_vec())
    }
}

/// A word: the fiftieth is as frequent as a fiftieth of the first, as words are in a language.
pub(super) fn word(chance: &mut Chance) -> String {
    let place = (WORDS as f64).powf(chance.share());
    let syllables = ["ba", "ke", "lo", "mi", "nu", "ra", "si", "to", "vu", "za"];
    let digits = format!("{place:04.0}");
    let digits = digits
        .bytes()
        .map(|digit| usize::from(digit.saturating_sub(b'0')));
    digits
        .filter_map(|digit| syllables.get(digit))
        .copied()
        .collect()
}

/// A sequence of numbers that is the same on every run (SplitMix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
