//! What a damaged row and a bound do to answers.

use std::collections::BTreeMap;

use protocol::acceptance::Rules;
use protocol::canonical::to_canonical;
use protocol::identity::write::{Change, Place, create};
use protocol::identity::{WitnessProofs, key_hash};
use protocol::key::SecretKey;
use protocol::time::Timestamp;
use serde_json::json;

use super::pieces::Pieces;
use super::*;
use crate::clock::ManualClock;
use crate::ingest::Ingest;
use crate::store::engine::{Engine as _, Memory};
use protocol::id::VersionHash;
use protocol::sync::Line;

/// A store with a log and some records; their ids, by version hash.
async fn store(records: usize) -> (Arc<Memory>, Arc<Store>, BTreeMap<String, RecordId>) {
    let engine = Arc::new(Memory::default());
    let store = Store::on(engine.clone(), "epoch".to_owned(), Rules::decided()).unwrap();
    let store = Arc::new(store);
    let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let ingest = Ingest::new(Arc::clone(&store), Arc::new(ManualClock::at(now)));
    let [first, next, key] = [1, 2, 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let change = Change {
        place: Place::new("hub.example", None, &["orgs", "x"]).unwrap(),
        record_keys: [key.public()].into(),
        next_key_hashes: [key_hash(&next.public())].into(),
        also_known_as: Vec::new(),
        services: Vec::new(),
    };
    let entry = create(&change, &first, now).unwrap();
    let none = WitnessProofs::empty();
    ingest
        .log_entry(&entry.to_canonical_bytes(), &none)
        .await
        .unwrap();
    let did = entry.did().to_string();
    let mut ids = BTreeMap::new();
    for n in 0..records {
        let record = json!({
            "spec": "baraza/1", "type": "Offering", "author": did, "localId": format!("r-{n}"),
            "seq": 1, "status": "active", "issued": now.to_string(), "licence": "CC-BY-4.0",
            "language": "en", "body": {"kind": "course", "name": {"en": "A course"}},
        });
        let mut record = record.as_object().unwrap().clone();
        let method = format!("{did}#{}", key.public());
        let proof = protocol::proof::sign(&record, &key, &method, now);
        record.insert("proof".to_owned(), proof.into());
        let record = to_canonical(&Value::Object(record));
        ingest.record(&record, None).await.unwrap();
        let hash = VersionHash::of(&record);
        let (id, _) = store.by_hash(&hash).unwrap().unwrap();
        ids.insert(hash.to_string(), id);
    }
    (engine, store, ids)
}

/// Flips a bit in the packed bytes of a version.
fn rot(engine: &Memory, hash: &VersionHash) {
    let rows = engine.range(b"R", b"S").map(Result::unwrap);
    let (key, mut row) = rows
        .into_iter()
        .find(|(_, row)| row.windows(32).any(|part| part == hash.as_digest()))
        .unwrap();
    *row.last_mut().unwrap() ^= 1;
    engine
        .commit(&[(key, Some(row))].into_iter().collect())
        .unwrap();
}

fn all(given: &mut impl Pieces) -> String {
    let mut all = String::new();
    loop {
        let piece = given.piece().unwrap();
        if piece.is_empty() {
            return all;
        }
        all.push_str(&piece);
    }
}

#[tokio::test]
async fn y13_a_record_that_rotted_here_is_named_and_stops_nothing_behind_it() {
    let (engine, store, ids) = store(3).await;
    let hashes: Vec<VersionHash> = ids
        .keys()
        .map(|hash| VersionHash::parse(hash).unwrap())
        .collect();
    rot(&engine, &hashes[1]);
    let mut feed = Feed::new(Arc::clone(&store), 0, 100, Filter::default());
    let text = all(&mut feed);
    let lines: Vec<Line<'_>> = text
        .lines()
        .map(|line| Line::read(line.as_bytes()).unwrap().0)
        .collect();
    let records = lines
        .iter()
        .filter(|line| matches!(line, Line::Record { .. }))
        .count();
    assert_eq!(records, 2);
    assert!(lines.contains(&Line::Version { hash: hashes[1] }));
    assert_eq!(lines.last(), Some(&Line::End));
    // Asked for, it is left out.
    let want = ids.keys().cloned().collect();
    let text = all(&mut Given::new(store, want, FETCH_BYTES_MAX));
    assert_eq!(text.lines().count(), 2);
}

#[tokio::test]
async fn an_answer_to_fetch_ends_with_the_line_that_takes_it_over_its_bound() {
    let (_, store, ids) = store(20).await;
    let mut want: Vec<String> = ids.keys().cloned().collect();
    let scid = ids.values().next().unwrap().author.to_string();
    want.push(scid);
    let given = |room| all(&mut Given::new(Arc::clone(&store), want.clone(), room));
    let whole = given(FETCH_BYTES_MAX);
    assert_eq!(whole.lines().count(), 21);
    let line = whole.find('\n').unwrap() + 1;
    assert_eq!(given(1).len(), line);
    assert_eq!(given(line), whole[..line]);
    let two = given(line + 1);
    assert_eq!(two.lines().count(), 2);
    assert!(whole.starts_with(&two));
}

#[tokio::test]
async fn pages_read_in_pieces_give_every_row_once_and_say_how_far_they_go() {
    const RECORDS: usize = 700;
    let (_, store, ids) = store(RECORDS).await;
    let mut seen = Vec::new();
    let (mut after, mut pages) = (0, 0);
    loop {
        let mut feed = Feed::new(Arc::clone(&store), after, 300, Filter::default());
        let text = all(&mut feed);
        if !feed.has_lines {
            break;
        }
        pages += 1;
        for line in text.lines() {
            match Line::read(line.as_bytes()).unwrap() {
                (Line::Record { record }, _) => {
                    seen.push(VersionHash::of(record.as_bytes()).to_string());
                }
                (Line::End, cursor) => after = cursor.unwrap().number,
                _ => {}
            }
        }
        assert_eq!(feed.read_to, after);
    }
    assert_eq!(pages, 3);
    assert_eq!(seen.len(), RECORDS);
    seen.sort_unstable();
    assert!(seen.iter().eq(ids.keys()));
}
