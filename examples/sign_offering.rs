//! Makes an identity, signs one offering with it, and prints what anyone needs to check it: the key
//! log's entry and the record, as lines of a bundle.
//!
//! `cargo run -p baraza-examples --example sign_offering > mine.ndjson; baraza verify mine.ndjson`
//!
//! The keys here are made from fixed seeds, so that the output is the same each time. Real ones come
//! from a random source and are kept secret.

use std::error::Error;

use protocol::identity::key_hash;
use protocol::identity::write::{Change, Place, create};
use protocol::key::SecretKey;
use protocol::record::Draft;
use protocol::sync::Line;
use protocol::time::Timestamp;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let [update, next, record] = [1, 2, 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let now = Timestamp::parse("2026-11-22T04:00:00Z")?;

    // Who: a log whose first entry names the keys that sign records and commits to the next update key.
    let change = Change {
        place: Place::new("school.example", None, &[])?,
        record_keys: [record.public()].into(),
        next_key_hashes: [key_hash(&next.public())].into(),
        also_known_as: Vec::new(),
        services: Vec::new(),
    };
    let entry = create(&change, &update, now)?;

    // What: a draft whose body is checked, signed as version 1.
    let draft = json!({
        "type": "Offering",
        "localId": "welding-101",
        "language": "fr",
        "body": {
            "kind": "course",
            "name": {"fr": "Initiation à la soudure", "en": "Introduction to welding"},
            "countries": ["SN"],
            "languages": ["fr"],
            "cost": {"kind": "free"},
        },
    });
    let draft = Draft::new(
        draft.as_object().ok_or("a draft is an object")?,
        "CC-BY-4.0",
    )?;
    let signed = draft.sign(entry.did(), 1, now, &record)?;

    let log = String::from_utf8(entry.to_canonical_bytes())?;
    let line = Line::Log {
        scid: *entry.scid(),
        entry: &log,
        witness: None,
    };
    print!("{}", line.write(None));
    let record = std::str::from_utf8(signed.canonical())?;
    print!("{}", Line::Record { record }.write(None));
    Ok(())
}
