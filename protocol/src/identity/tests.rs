use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::entry::{PLACEHOLDER, replaced};
use super::write::{Change, Place, create, deactivate, sealed, update};
use super::{
    Branches, LogEntry, LogError, LogState, Taken, VersionId, WitnessProofs, key_hash, read_lines,
    verify_log,
};
use crate::canonical::to_canonical_without;
use crate::id::{Did, Scid};
use crate::key::{PublicKey, SecretKey};
use crate::limits::{
    CLOCK_SKEW_SECONDS_MAX, LOG_BRANCHES_MAX, LOG_ENTRIES_MAX, RECORD_KEYS_MAX, UPDATE_KEYS_MAX,
};
use crate::proof::{self, ProofError};
use crate::time::Timestamp;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn public(seed: u8) -> PublicKey {
    key(seed).public()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::parse("2026-01-01T00:00:00Z")
        .unwrap()
        .plus_seconds(seconds)
}

fn none() -> WitnessProofs {
    WitnessProofs::empty()
}

fn hub() -> Place {
    Place::new("hub.example", None, &["orgs", "itu"]).unwrap()
}

fn change(record_keys: &[u8], next_keys: &[u8]) -> Change {
    Change {
        place: hub(),
        record_keys: record_keys.iter().map(|seed| public(*seed)).collect(),
        next_key_hashes: next_keys
            .iter()
            .map(|seed| key_hash(&public(*seed)))
            .collect(),
        also_known_as: Vec::new(),
        services: Vec::new(),
    }
}

/// A log's first entry by key 1, which commits to keys 2 and 9; record key 101.
fn first() -> LogEntry {
    create(&change(&[101], &[2, 9]), &key(1), at(0)).unwrap()
}

fn begun(entry: &LogEntry) -> LogState {
    LogState::begin(entry, at(100_000), &none()).unwrap()
}

fn followed(state: &LogState, entry: &LogEntry) -> LogState {
    state.next(entry, at(100_000), &none()).unwrap()
}

/// A first entry with whatever content, its SCID, hash and proof made to fit.
fn first_with(edit: impl FnOnce(&mut Value), signer: &SecretKey) -> LogEntry {
    let entry = first();
    let mut tree = entry.tree().clone();
    tree.remove("proof");
    tree.insert("versionId".into(), PLACEHOLDER.into());
    let mut tree = Value::Object(replaced(&tree, &entry.scid().to_string(), PLACEHOLDER));
    edit(&mut tree);
    let tree = tree.as_object().unwrap();
    let scid = Scid::of(&to_canonical_without(tree, "proof")).to_string();
    sealed(replaced(tree, PLACEHOLDER, &scid), &scid, 1, signer, at(0)).unwrap()
}

/// The entry after `state` with whatever content, its hash and proof made to fit.
fn next_with(state: &LogState, edit: impl FnOnce(&mut Value), signer: &SecretKey) -> LogEntry {
    let previous = state.version_id();
    let mut tree = json!({
        "versionId": previous.to_string(),
        "versionTime": state.version_time().plus_seconds(10).to_string(),
        "parameters": {},
        "state": state.document(),
    });
    edit(&mut tree);
    let tree = tree.as_object().unwrap().clone();
    let number = previous.number + 1;
    sealed(tree, &previous.to_string(), number, signer, at(0)).unwrap()
}

/// A log without pre-rotation, by key 1.
fn plain(edit: impl FnOnce(&mut Value)) -> LogState {
    let entry = first_with(
        |tree| {
            tree["parameters"]["nextKeyHashes"] = json!([]);
            edit(tree);
        },
        &key(1),
    );
    begun(&entry)
}

fn refused(state: &LogState, edit: impl FnOnce(&mut Value), signer: u8) -> LogError {
    state
        .next(&next_with(state, edit, &key(signer)), at(100_000), &none())
        .unwrap_err()
}

fn with_member(entry: &LogEntry, pointer: &str, value: Value) -> LogEntry {
    let mut tree = Value::Object(entry.tree().clone());
    *tree.pointer_mut(pointer).unwrap() = value;
    LogEntry::from_tree(tree.as_object().unwrap().clone()).unwrap()
}

fn lines(entries: &[&LogEntry]) -> Vec<u8> {
    let mut lines = Vec::new();
    for entry in entries {
        lines.extend(entry.to_canonical_bytes());
        lines.push(b'\n');
    }
    lines
}

fn strings(keys: &[u8]) -> Vec<String> {
    keys.iter().map(|seed| public(*seed).to_string()).collect()
}

fn hashes(keys: &[u8]) -> Vec<String> {
    keys.iter()
        .map(|seed| key_hash(&public(*seed)).to_string())
        .collect()
}

#[test]
fn a_version_id_is_a_number_from_1_a_dash_and_an_entry_hash() {
    let entry = first();
    let text = entry.version_id().to_string();
    assert_eq!(VersionId::parse(&text).unwrap(), entry.version_id());
    let hash = entry.digest();
    for bad in [
        "",
        "1",
        "1-",
        &format!("0-{hash}"),
        &format!("01-{hash}"),
        &format!("+1-{hash}"),
        &format!("-{hash}"),
        &format!("4294967296-{hash}"),
        &format!("1-{hash}x"),
        &format!("1 -{hash}"),
    ] {
        assert!(VersionId::parse(bad).is_err(), "{bad}");
    }
    let later = VersionId { number: 10, hash };
    let earlier = VersionId { number: 9, hash };
    assert!(earlier < later);
}

#[test]
fn a_whole_life_that_is_written_here_verifies() {
    let one = first();
    let state = begun(&one);
    let two = update(&state, &change(&[101, 102], &[3, 9]), &key(2), at(10)).unwrap();
    let state = followed(&state, &two);
    let mut moved = Change::of(&state);
    moved.place = Place::new("own.example", Some(8443), &[]).unwrap();
    moved.next_key_hashes = change(&[], &[4, 9]).next_key_hashes;
    let three = update(&state, &moved, &key(3), at(20)).unwrap();
    let state = followed(&state, &three);
    let four = update(&state, &Change::of(&state), &key(9), at(20)).unwrap();
    let state = followed(&state, &four);
    assert_eq!(
        state.version_time(),
        at(21),
        "an entry is dated after the one before it"
    );
    let five = deactivate(&state, &key(9), at(30)).unwrap();

    let whole = lines(&[&one, &two, &three, &four, &five]);
    let end = verify_log(&whole, &none(), at(100)).unwrap();
    assert_eq!(end, followed(&state, &five));
    assert_eq!(end.scid(), one.scid());
    assert_eq!(
        end.did().to_string(),
        format!("did:webvh:{}:own.example%3A8443", one.scid())
    );
    assert_eq!(end.also_known_as(), [one.did().to_string()]);
    assert_eq!(end.version_id().number, 5);
    assert!(end.is_deactivated() && end.keys().is_closed() && end.update_keys().is_empty());
    assert!(
        one.to_canonical_bytes()
            .starts_with(b"{\"parameters\":{\"method\":\"did:webvh:1.0\"")
    );
    assert_eq!(verify_log(b"\n \n", &none(), at(0)), Err(LogError::Empty));
}

#[test]
fn the_document_names_each_record_key_by_its_multikey() {
    let state = begun(&first());
    let document = Value::Object(state.document().clone());
    let id = format!("{}#{}", state.did(), public(101));
    assert_eq!(document["assertionMethod"], json!([id]));
    assert_eq!(document["verificationMethod"][0]["id"], json!(id));
    assert_eq!(
        document["verificationMethod"][0]["controller"],
        json!(state.did().to_string())
    );
    assert!(state.is_portable() && state.is_pre_rotating());
    assert_eq!(state.next_key_hashes().len(), 2);
    assert_eq!(*state.update_keys(), BTreeSet::from([public(1)]));
}

#[test]
fn writing_refuses_what_could_not_be_verified() {
    let no_next = create(&change(&[101], &[]), &key(1), at(0));
    assert!(matches!(
        no_next,
        Err(LogError::Parameter {
            name: "nextKeyHashes",
            ..
        })
    ));
    let state = begun(&first());
    let stranger = update(&state, &change(&[101], &[3]), &key(7), at(10));
    assert_eq!(
        stranger,
        Err(LogError::NotCommitted {
            key: Box::new(public(7))
        })
    );
    assert_eq!(
        deactivate(&state, &key(2), at(10)),
        Err(LogError::PreRotationOn)
    );
    let ended = update(&state, &change(&[101], &[]), &key(2), at(10)).unwrap();
    let ended = followed(&state, &ended);
    let stranger = deactivate(&ended, &key(9), at(20));
    assert_eq!(
        stranger,
        Err(LogError::NotAuthorized {
            key: Box::new(public(9))
        })
    );
    for (host, path) in [
        ("localhost", "a"),
        ("127.0.0.1", "a"),
        ("a.example", ".."),
        ("a.example", ""),
    ] {
        assert!(Place::new(host, None, &[path]).is_err(), "{host} {path}");
    }
}

#[test]
fn the_scid_is_bound_to_the_first_entry_and_to_every_did() {
    let other = Scid::of(b"another author");
    let entry = first_with(
        |tree| tree["state"]["id"] = format!("did:webvh:{other}:hub.example").into(),
        &key(1),
    );
    let refusal = LogState::begin(&entry, at(0), &none());
    assert_eq!(
        refusal,
        Err(LogError::OtherScid {
            expected: *entry.scid(),
            found: other
        })
    );

    // All of the entry renamed to another author, and signed.
    let entry = first();
    let tree = replaced(entry.tree(), &entry.scid().to_string(), &other.to_string());
    let renamed = sealed(tree, &other.to_string(), 1, &key(1), at(0)).unwrap();
    assert_eq!(
        LogState::begin(&renamed, at(0), &none()),
        Err(LogError::WrongScid)
    );

    let left = first_with(|tree| tree["state"]["note"] = "{SC".into(), &key(1));
    assert!(LogState::begin(&left, at(0), &none()).is_ok());
    let mut tree = entry.tree().clone();
    tree.insert("x-{SCID}".into(), 1.into());
    let scid = entry.scid().to_string();
    let left = sealed(tree, &scid, 1, &key(1), at(0)).unwrap();
    assert_eq!(
        LogState::begin(&left, at(0), &none()),
        Err(LogError::Placeholder)
    );
}

#[test]
fn entries_are_chained_numbered_and_dated_one_after_the_other() {
    let one = first();
    let state = begun(&one);
    let two = update(&state, &change(&[101], &[3]), &key(2), at(10)).unwrap();
    let after = followed(&state, &two);
    let three = update(&after, &change(&[101], &[4]), &key(3), at(20)).unwrap();
    let now = at(1_000);
    assert_eq!(
        state.next(&three, now, &none()),
        Err(LogError::WrongNumber {
            expected: 2,
            found: 3
        })
    );
    assert_eq!(
        after.next(&two, now, &none()),
        Err(LogError::WrongNumber {
            expected: 3,
            found: 2
        })
    );
    assert_eq!(
        LogState::begin(&two, now, &none()),
        Err(LogError::WrongNumber {
            expected: 1,
            found: 2
        })
    );
    let elsewhere = update(&state, &change(&[102], &[3]), &key(2), at(10)).unwrap();
    let elsewhere = followed(&state, &elsewhere);
    assert_eq!(
        elsewhere.next(&three, now, &none()),
        Err(LogError::WrongHash)
    );

    let dated = |time: Timestamp| {
        let entry = next_with(
            &after,
            |tree| {
                tree["versionTime"] = time.to_string().into();
                tree["parameters"] = json!({"updateKeys": strings(&[3]), "nextKeyHashes": []});
            },
            &key(3),
        );
        after
            .next(&entry, at(1_000), &none())
            .map(|state| state.version_id().number)
    };
    assert_eq!(dated(at(10)), Err(LogError::NotLater { at: at(10) }));
    assert_eq!(dated(at(9)), Err(LogError::NotLater { at: at(9) }));
    assert_eq!(dated(at(11)), Ok(3));
    assert_eq!(dated(at(1_000 + CLOCK_SKEW_SECONDS_MAX)), Ok(3));
    assert_eq!(
        dated(at(1_001 + CLOCK_SKEW_SECONDS_MAX)),
        Err(LogError::NotYetDue { at: at(1_001) })
    );
}

#[test]
fn an_early_entry_is_taken_when_it_is_due_and_a_false_one_never() {
    let early = create(&change(&[101], &[2]), &key(1), at(50_000)).unwrap();
    let Err(LogError::NotYetDue { at: due }) = LogState::begin(&early, at(0), &none()) else {
        panic!("taken too early");
    };
    assert!(LogState::begin(&early, due.plus_seconds(-1), &none()).is_err());
    assert!(LogState::begin(&early, due, &none()).is_ok());
    let spoiled = with_member(&early, "/proof/0/created", json!("2026-01-01T00:00:09Z"));
    assert_eq!(
        LogState::begin(&spoiled, at(0), &none()),
        Err(LogError::Proof(ProofError::BadSignature))
    );
}

#[test]
fn a_fraction_of_a_second_is_later_also_after_a_restart() {
    let state = plain(|tree| tree["versionTime"] = "2026-01-01T00:00:00.5Z".into());
    let state = LogState::from_stored(&state.to_stored()).unwrap();
    let earlier = |tree: &mut Value| tree["versionTime"] = "2026-01-01T00:00:00.4Z".into();
    assert!(matches!(
        refused(&state, earlier, 1),
        LogError::NotLater { .. }
    ));
    let later = |tree: &mut Value| tree["versionTime"] = "2026-01-01T00:00:00.6+00:00".into();
    assert!(
        state
            .next(&next_with(&state, later, &key(1)), at(1), &none())
            .is_ok()
    );
    let zoned = first().tree().clone();
    let zoned = Map::from_iter(zoned.into_iter().map(|(name, value)| match name.as_str() {
        "versionTime" => (name, json!("2026-01-01T01:00:00+01:00")),
        _ => (name, value),
    }));
    assert!(matches!(
        LogEntry::from_tree(zoned),
        Err(LogError::Member {
            member: "versionTime",
            ..
        })
    ));
}

#[test]
fn only_an_authorised_update_key_in_its_one_spelling_signs_an_entry() {
    let entry = first();
    let begin = |entry: &LogEntry| LogState::begin(entry, at(0), &none()).unwrap_err();
    let method = "/proof/0/verificationMethod";
    let (own, other) = (public(1), public(7));
    for wrong in [
        format!("did:key:{other}#{own}"),
        format!("did:web:{own}#{own}"),
        format!("#{own}"),
        format!("did:key:{own}?x#{own}"),
    ] {
        assert_eq!(
            begin(&with_member(&entry, method, json!(wrong))),
            LogError::SignerForm
        );
    }
    let swapped = with_member(&entry, method, json!(format!("did:key:{own}#{other}")));
    assert_eq!(begin(&swapped), LogError::SignerForm);
    assert!(matches!(
        begin(&with_member(
            &entry,
            method,
            json!(format!("did:key:{own}"))
        )),
        LogError::Proof(ProofError::Key(_))
    ));
    assert!(matches!(
        begin(&with_member(
            &entry,
            "/proof/0/cryptosuite",
            json!("eddsa-rdfc-2022")
        )),
        LogError::Proof(ProofError::Unsupported { .. })
    ));
    let purpose = with_member(&entry, "/proof/0/proofPurpose", json!("authentication"));
    assert_eq!(begin(&purpose), LogError::WrongPurpose);
    let by_other = sealed(
        entry.tree().clone(),
        &entry.scid().to_string(),
        1,
        &key(7),
        at(0),
    );
    assert_eq!(
        begin(&by_other.unwrap()),
        LogError::NotAuthorized {
            key: Box::new(other)
        }
    );
    for missing in [json!([]), json!(null), json!("x")] {
        let none = with_member(&entry, "/proof", missing);
        assert!(matches!(
            begin(&none),
            LogError::Member {
                member: "proof",
                ..
            }
        ));
    }
}

#[test]
fn each_proof_of_an_entry_must_hold() {
    let entry = first_with(
        |tree| tree["parameters"]["updateKeys"] = strings(&[1, 5]).into(),
        &key(1),
    );
    let mut unsigned = entry.tree().clone();
    unsigned.remove("proof");
    let by = |seed: u8| {
        let method = public(seed).to_did_key_url();
        Value::Object(proof::sign(&unsigned, &key(seed), &method, at(5)))
    };
    let begin =
        |proofs: Value| LogState::begin(&with_member(&entry, "/proof", proofs), at(0), &none());
    assert!(begin(json!([by(1), by(5)])).is_ok());
    assert!(begin(by(5)).is_ok(), "one proof may stand by itself");
    assert_eq!(
        begin(json!([by(1), by(6)])),
        Err(LogError::NotAuthorized {
            key: Box::new(public(6))
        })
    );
    let mut broken = by(5);
    broken["created"] = "2026-01-01T00:00:06Z".into();
    assert_eq!(
        begin(json!([by(1), broken])),
        Err(LogError::Proof(ProofError::BadSignature))
    );
    let many = Value::from(vec![by(1); 17]);
    assert!(matches!(begin(many), Err(LogError::TooMany { .. })));
}

#[test]
fn without_pre_rotation_the_keys_of_the_entry_before_sign() {
    let state = plain(|_| ());
    let rotate = |tree: &mut Value| tree["parameters"]["updateKeys"] = strings(&[2]).into();
    assert_eq!(
        refused(&state, rotate, 2),
        LogError::NotAuthorized {
            key: Box::new(public(2))
        }
    );
    let rotated = followed(&state, &next_with(&state, rotate, &key(1)));
    assert_eq!(
        refused(&rotated, |_| (), 1),
        LogError::NotAuthorized {
            key: Box::new(public(1))
        }
    );
    let kept = followed(&rotated, &next_with(&rotated, |_| (), &key(2)));
    assert_eq!(*kept.update_keys(), BTreeSet::from([public(2)]));
}

#[test]
fn under_pre_rotation_an_entry_reveals_committed_keys_and_is_signed_by_one() {
    let state = begun(&first());
    let set = |parameters: Value| move |tree: &mut Value| tree["parameters"] = parameters;
    let omitted = |name| LogError::PreRotationOmitted { name };
    let next = hashes(&[3]);
    assert_eq!(refused(&state, set(json!({})), 1), omitted("updateKeys"));
    assert_eq!(
        refused(&state, set(json!({"nextKeyHashes": next})), 1),
        omitted("updateKeys")
    );
    for empty in [json!([]), json!(null)] {
        let edit = set(json!({"updateKeys": empty, "nextKeyHashes": next}));
        assert_eq!(refused(&state, edit, 1), omitted("updateKeys"));
    }
    let edit = set(json!({"updateKeys": strings(&[2])}));
    assert_eq!(refused(&state, edit, 2), omitted("nextKeyHashes"));
    for mixed in [strings(&[1]), strings(&[2, 1]), strings(&[7])] {
        let edit = set(json!({"updateKeys": mixed, "nextKeyHashes": next}));
        assert!(matches!(
            refused(&state, edit, 2),
            LogError::NotCommitted { .. }
        ));
    }
    let both = set(json!({"updateKeys": strings(&[2, 9]), "nextKeyHashes": next}));
    let both = next_with(&state, both, &key(9));
    assert_eq!(followed(&state, &both).update_keys().len(), 2);
    let edit = set(json!({"updateKeys": strings(&[2]), "nextKeyHashes": next}));
    assert_eq!(
        refused(&state, edit, 1),
        LogError::NotAuthorized {
            key: Box::new(public(1))
        }
    );
    let edit = set(json!({"updateKeys": strings(&[2]), "nextKeyHashes": next}));
    assert_eq!(
        refused(&state, edit, 9),
        LogError::NotAuthorized {
            key: Box::new(public(9))
        }
    );
}

#[test]
fn pre_rotation_ends_after_the_entry_that_says_so() {
    let state = begun(&first());
    let end = |tree: &mut Value| {
        tree["parameters"] = json!({"updateKeys": strings(&[2]), "nextKeyHashes": []});
    };
    assert_eq!(
        refused(&state, end, 1),
        LogError::NotAuthorized {
            key: Box::new(public(1))
        }
    );
    let ended = followed(&state, &next_with(&state, end, &key(2)));
    assert!(!ended.is_pre_rotating());
    assert!(
        ended
            .next(&next_with(&ended, |_| (), &key(2)), at(1_000), &none())
            .is_ok()
    );
}

#[test]
fn a_commitment_to_nothing_that_can_be_revealed_still_commits() {
    let state = plain(|tree| tree["parameters"]["nextKeyHashes"] = json!(["any text"]));
    assert!(state.is_pre_rotating() && state.next_key_hashes().is_empty());
    let again = LogState::from_stored(&state.to_stored()).unwrap();
    let keep = |tree: &mut Value| {
        tree["parameters"] = json!({"updateKeys": strings(&[1]), "nextKeyHashes": []});
    };
    assert_eq!(
        refused(&again, keep, 1),
        LogError::NotCommitted {
            key: Box::new(public(1))
        }
    );
}

#[test]
fn a_did_moves_only_if_the_log_began_as_portable_and_names_the_former_one() {
    let moved = |state: &LogState, names: Value| {
        let id = format!("did:webvh:{}:other.example", state.scid());
        move |tree: &mut Value| {
            tree["state"]["id"] = id.into();
            tree["state"]["alsoKnownAs"] = names;
        }
    };
    let former = |state: &LogState| json!(["https://x.example", state.did().to_string()]);

    let state = plain(|_| ());
    let away = next_with(&state, moved(&state, former(&state)), &key(1));
    let away = followed(&state, &away);
    assert_eq!(away.did().host(), "other.example");
    assert_eq!(away.keys().did(), away.did());
    let silent = refused(&state, moved(&state, json!([])), 1);
    let former_did = Box::new(state.did().clone());
    assert_eq!(silent, LogError::FormerDidMissing { former: former_did });
    let thief = Scid::of(b"thief");
    let swap = |tree: &mut Value| {
        tree["state"]["alsoKnownAs"] = former(&state);
        tree["state"]["id"] = format!("did:webvh:{thief}:other.example").into();
    };
    assert!(matches!(
        refused(&state, swap, 1),
        LogError::OtherScid { .. }
    ));
    let frozen = |tree: &mut Value| {
        moved(&state, former(&state))(tree);
        tree["parameters"]["portable"] = false.into();
    };
    assert_eq!(refused(&state, frozen, 1), LogError::NotPortable);

    for fixed in [json!(false), json!(null)] {
        let state = plain(|tree| tree["parameters"]["portable"] = fixed);
        assert_eq!(
            refused(&state, moved(&state, former(&state)), 1),
            LogError::NotPortable
        );
        let turned = |tree: &mut Value| tree["parameters"]["portable"] = true.into();
        assert!(matches!(
            refused(&state, turned, 1),
            LogError::Parameter {
                name: "portable",
                ..
            }
        ));
    }
}

#[test]
fn parameters_that_the_method_does_not_allow_are_refused() {
    let state = plain(|_| ());
    let with = |name: &'static str, value: Value| {
        refused(&state, |tree| tree["parameters"][name] = value, 1)
    };
    let scid = state.scid().to_string();
    assert!(matches!(
        with("scid", json!(scid)),
        LogError::Parameter { name: "scid", .. }
    ));
    assert!(matches!(
        with("method", json!("did:webvh:99.0")),
        LogError::UnknownMethod { .. }
    ));
    assert!(matches!(
        with("method", json!(1)),
        LogError::Parameter { name: "method", .. }
    ));
    assert!(matches!(
        with("weight", json!(1)),
        LogError::UnknownParameter { .. }
    ));
    for (name, value) in [
        ("updateKeys", json!("z6Mk")),
        ("updateKeys", json!(["z6Mk"])),
        ("updateKeys", json!([1])),
        ("nextKeyHashes", json!([1])),
        ("nextKeyHashes", json!({})),
        ("watchers", json!("https://x.example")),
        ("portable", json!("true")),
        ("deactivated", json!(1)),
        ("ttl", json!(-1)),
        ("ttl", json!("60")),
        ("ttl", json!(4_294_967_296_i64)),
    ] {
        assert!(
            matches!(with(name, value), LogError::Parameter { .. }),
            "{name}"
        );
    }
    let many = vec![public(1).to_string(); UPDATE_KEYS_MAX + 1];
    assert!(matches!(
        with("updateKeys", json!(many)),
        LogError::TooMany { .. }
    ));
    for name in ["method", "scid", "updateKeys"] {
        let drop = |tree: &mut Value| {
            tree["parameters"].as_object_mut().unwrap().remove(name);
        };
        let entry = first_with(drop, &key(1));
        let refusal = LogState::begin(&entry, at(0), &none()).unwrap_err();
        assert!(
            matches!(refusal, LogError::Parameter { .. }),
            "{name}: {refusal}"
        );
    }
    let null = next_with(
        &state,
        |tree| tree["parameters"] = json!({"watchers": null, "witness": null, "ttl": null}),
        &key(1),
    );
    assert!(
        state.next(&null, at(1_000), &none()).is_ok(),
        "null is the default"
    );
}

#[test]
fn nothing_follows_a_deactivated_log() {
    let state = plain(|_| ());
    let closing = |tree: &mut Value| tree["parameters"] = json!({"deactivated": true});
    let closed = followed(&state, &next_with(&state, closing, &key(1)));
    assert!(closed.is_deactivated());
    assert!(closed.keys().is_listed(&public(101)) && !closed.keys().counts(&public(101)));
    let opening = |tree: &mut Value| tree["parameters"] = json!({"deactivated": false});
    assert_eq!(refused(&closed, opening, 1), LogError::Deactivated);
    assert_eq!(refused(&closed, |_| (), 1), LogError::Deactivated);
}

#[test]
fn a_record_key_once_dropped_never_counts_again() {
    let state = begun(&first());
    let ring = |state: &LogState, seed: u8| {
        let keys = state.keys();
        (
            keys.is_listed(&public(seed)),
            keys.was_dropped(&public(seed)),
            keys.counts(&public(seed)),
        )
    };
    assert_eq!(ring(&state, 101), (true, false, true));
    let two = update(&state, &change(&[102], &[3]), &key(2), at(10)).unwrap();
    let state = followed(&state, &two);
    assert_eq!(ring(&state, 101), (false, true, false));
    let three = update(&state, &change(&[101, 102], &[4]), &key(3), at(20)).unwrap();
    let state = followed(&state, &three);
    let state = LogState::from_stored(&state.to_stored()).unwrap();
    assert_eq!(ring(&state, 101), (true, true, false));
    assert_eq!(ring(&state, 102), (true, false, true));
    assert_eq!(ring(&state, 103), (false, false, false));
    assert_eq!(state.keys().listed().count(), 2);
    assert_eq!(state.keys().scid(), state.scid());
}

#[test]
fn record_keys_are_the_ed25519_multikeys_of_assertion_method_however_written() {
    let state = plain(|tree| {
        let id = tree["state"]["id"].as_str().unwrap().to_owned();
        let multikey = |id: String, seed: u8| json!({"id": id, "type": "Multikey", "publicKeyMultibase": public(seed).to_string()});
        tree["state"]["verificationMethod"] = json!([
            multikey(format!("{id}#a"), 101),
            multikey("#b".into(), 102),
            multikey(format!("{id}#not-listed"), 103),
            {"id": "#p256", "type": "Multikey", "publicKeyMultibase": "zDnaeSMnptAKpH4AD41vTkwzjznW7yNetRRh9FJ8bJsbsdbw"},
            {"id": "#jwk", "type": "JsonWebKey", "publicKeyMultibase": public(104).to_string()},
        ]);
        tree["state"]["assertionMethod"] = json!([
            "#a",
            format!("{id}#b"),
            multikey("#c".into(), 105),
            "#p256",
            "#jwk",
            "#gone",
            7
        ]);
        tree["state"]["authentication"] = json!(["#not-listed"]);
    });
    let listed: BTreeSet<PublicKey> = state.keys().listed().copied().collect();
    assert_eq!(
        listed,
        BTreeSet::from([public(101), public(102), public(105)])
    );
    let crowd: Vec<u8> = (100..=100 + RECORD_KEYS_MAX as u8).collect();
    let crowd = create(&change(&crowd, &[2]), &key(1), at(0));
    assert!(matches!(crowd, Err(LogError::TooMany { .. })));
}

#[test]
fn unknown_members_survive_and_a_stored_state_goes_on_as_before() {
    let entry = first_with(
        |tree| {
            tree["later"] = json!({"z": [1, {"": null}], "a": "é"});
            tree["state"]["note"] = "kept".into();
        },
        &key(1),
    );
    let read = LogEntry::parse(&entry.to_canonical_bytes()).unwrap();
    assert_eq!(read, entry);
    assert_eq!(
        read.tree()["later"],
        json!({"z": [1, {"": null}], "a": "é"})
    );
    let state = begun(&read);
    assert_eq!(state.document()["note"], json!("kept"));
    let again = LogState::from_stored(&state.to_stored()).unwrap();
    assert_eq!(again, state);
    assert!(LogState::from_stored(b"").is_err());
    assert!(LogState::from_stored(b"{}").is_err());
    let bad = read_lines(b"{\"a\":1,\"a\":2}\n[]\n{}")
        .map(|entry| entry.is_err())
        .collect::<Vec<_>>();
    assert_eq!(bad, [true, true, true]);
}

#[test]
fn a_log_has_at_most_so_many_entries_and_bytes() {
    let text = "a".repeat(16_000);
    let mut state = plain(|_| ());
    let refusal = loop {
        let entry = next_with(
            &state,
            |tree| tree["state"]["pad"] = json!(vec![&text; 10]),
            &key(1),
        );
        match state.next(&entry, at(100_000), &none()) {
            Ok(next) => state = next,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, LogError::TooLarge);
    assert_eq!(state.version_id().number, 7);

    let stored = String::from_utf8(plain(|_| ()).to_stored()).unwrap();
    let last = stored.replacen("\"1-Qm", &format!("\"{LOG_ENTRIES_MAX}-Qm"), 1);
    let last = LogState::from_stored(last.as_bytes()).unwrap();
    assert_eq!(last.version_id().number as usize, LOG_ENTRIES_MAX);
    assert!(matches!(
        refused(&last, |_| (), 1),
        LogError::TooMany { .. }
    ));
}

fn witness(threshold: usize, seeds: &[u8]) -> Value {
    let witnesses: Vec<Value> = seeds
        .iter()
        .map(|seed| json!({"id": format!("did:key:{}", public(*seed))}))
        .collect();
    json!({"threshold": threshold, "witnesses": witnesses})
}

/// A did-witness.json with the approval of these versions by these witnesses.
fn approvals(approved: &[(VersionId, &[u8])]) -> WitnessProofs {
    let list: Vec<Value> = approved
        .iter()
        .map(|(version, seeds)| {
            let document = json!({"versionId": version.to_string()});
            let document = document.as_object().unwrap();
            let proofs: Vec<_> = seeds
                .iter()
                .map(|seed| {
                    proof::sign(
                        document,
                        &key(*seed),
                        &public(*seed).to_did_key_url(),
                        at(0),
                    )
                })
                .collect();
            json!({"versionId": version.to_string(), "proof": proofs})
        })
        .collect();
    WitnessProofs::parse(&serde_json::to_vec(&list).unwrap()).unwrap()
}

fn witnessed_first(threshold: usize, seeds: &[u8]) -> LogEntry {
    first_with(
        |tree| {
            tree["parameters"]["nextKeyHashes"] = json!([]);
            tree["parameters"]["witness"] = witness(threshold, seeds);
        },
        &key(1),
    )
}

#[test]
fn a_witness_list_must_be_able_to_do_its_work() {
    let state = plain(|_| ());
    let with = |value: Value| refused(&state, |tree| tree["parameters"]["witness"] = value, 1);
    let id = |id: &str| json!({"threshold": 1, "witnesses": [{"id": id}]});
    for bad in [
        witness(0, &[200]),
        witness(2, &[200]),
        witness(2, &[200, 200]),
        witness(1, &[200, 200]),
        witness(1, &[]),
        json!({"threshold": 1}),
        json!({"witnesses": [{"id": format!("did:key:{}", public(200))}]}),
        json!({"threshold": "1", "witnesses": [{"id": format!("did:key:{}", public(200))}]}),
        json!({"threshold": -1, "witnesses": [{"id": format!("did:key:{}", public(200))}]}),
        json!({"threshold": 1, "witnesses": [7]}),
        json!([]),
        id("did:web:example.com"),
        id("did:key:z6Mk"),
        // Both spellings that are read are one witness.
        json!({"threshold": 2, "witnesses": [
            {"id": format!("did:key:{}", public(200))}, {"id": public(200).to_string()},
        ]}),
    ] {
        assert!(
            matches!(
                with(bad.clone()),
                LogError::Parameter {
                    name: "witness",
                    ..
                }
            ),
            "{bad}"
        );
    }
    assert!(matches!(
        with(witness(1, &(150..180).collect::<Vec<u8>>())),
        LogError::TooMany { .. }
    ));
}

#[test]
fn enough_different_witnesses_must_approve() {
    let one = witnessed_first(2, &[200, 201, 202]);
    let id = one.version_id();
    let verify = |proofs: &WitnessProofs| verify_log(&lines(&[&one]), proofs, at(100));
    let lacking = Err(LogError::NotWitnessed { number: 1 });
    assert_eq!(verify(&none()), lacking);
    assert_eq!(verify(&approvals(&[(id, &[200])])), lacking);
    assert_eq!(
        verify(&approvals(&[(id, &[200, 200]), (id, &[200])])),
        lacking
    );
    assert_eq!(verify(&approvals(&[(id, &[200, 203])])), lacking);
    let state = verify(&approvals(&[(id, &[200, 202])])).unwrap();
    assert!(state.is_witnessed() && state.uses_witnesses());
    assert_eq!(state.witness_rule().unwrap().threshold(), 2);
    assert_eq!(state.witness_rule().unwrap().witnesses().count(), 3);
    let again = LogState::from_stored(&state.to_stored()).unwrap();
    assert_eq!(again, state);
}

#[test]
fn an_approval_counts_only_for_an_entry_of_this_very_log() {
    let one = witnessed_first(1, &[200]);
    let other = first_with(
        |tree| tree["parameters"]["witness"] = witness(1, &[200]),
        &key(5),
    );
    let later = VersionId {
        number: 9,
        hash: other.digest(),
    };
    for replayed in [
        other.version_id(),
        later,
        VersionId {
            number: 2,
            hash: one.digest(),
        },
    ] {
        let proofs = approvals(&[(replayed, &[200])]);
        assert_eq!(
            verify_log(&lines(&[&one]), &proofs, at(100)),
            Err(LogError::NotWitnessed { number: 1 })
        );
    }
    // The proof of another version under this version's name.
    let mut file = approvals(&[(other.version_id(), &[200])]).to_json();
    file[0]["versionId"] = one.version_id().to_string().into();
    let proofs = WitnessProofs::from_json(&file).unwrap();
    assert!(
        !LogState::begin(&one, at(100), &proofs)
            .unwrap()
            .is_witnessed()
    );
}

#[test]
fn an_approval_of_a_later_entry_counts_for_all_before_it() {
    let one = witnessed_first(2, &[200, 201]);
    let state = LogState::begin(&one, at(100), &none()).unwrap();
    assert!(!state.is_witnessed());
    let replace = |tree: &mut Value| tree["parameters"]["witness"] = witness(1, &[202]);
    let two = next_with(&state, replace, &key(1));
    let after = followed(&state, &two);
    let three = next_with(&after, |_| (), &key(1));
    let whole = lines(&[&one, &two, &three]);
    let verify = |proofs: &[(VersionId, &[u8])]| verify_log(&whole, &approvals(proofs), at(100));
    let (v1, v2, v3) = (one.version_id(), two.version_id(), three.version_id());
    assert!(verify(&[(v3, &[200, 201, 202])]).is_ok());
    assert!(verify(&[(v2, &[200]), (v3, &[201, 202])]).is_ok());
    // The list that is replaced approves its replacement; the new one begins with the next entry.
    assert_eq!(
        verify(&[(v1, &[200, 201]), (v3, &[202])]),
        Err(LogError::NotWitnessed { number: 2 })
    );
    assert_eq!(
        verify(&[(v2, &[200, 201, 202])]),
        Err(LogError::NotWitnessed { number: 3 })
    );
    assert!(verify(&[(v2, &[200, 201]), (v3, &[202])]).is_ok());
}

#[test]
fn switching_witnesses_on_or_off_must_itself_be_witnessed() {
    let state = plain(|_| ());
    let on = next_with(
        &state,
        |tree| tree["parameters"]["witness"] = witness(1, &[200]),
        &key(1),
    );
    assert!(!followed(&state, &on).is_witnessed());
    let proofs = approvals(&[(on.version_id(), &[200])]);
    let state = state.next(&on, at(100), &proofs).unwrap();
    assert!(state.is_witnessed());
    let off = next_with(
        &state,
        |tree| tree["parameters"]["witness"] = json!({}),
        &key(1),
    );
    let unapproved = followed(&state, &off);
    assert!(!unapproved.is_witnessed() && unapproved.uses_witnesses());
    let state = state
        .next(&off, at(100), &approvals(&[(off.version_id(), &[200])]))
        .unwrap();
    assert!(state.is_witnessed());
    let free = followed(&state, &next_with(&state, |_| (), &key(1)));
    assert!(free.is_witnessed() && !free.uses_witnesses());
}

#[test]
fn witness_proofs_are_relayed_as_they_came_and_junk_is_left_out() {
    let id = first().version_id();
    let good = approvals(&[(id, &[200])]);
    let mut file = good.to_json();
    file[0]["proof"]
        .as_array_mut()
        .unwrap()
        .extend([json!(1), json!({"type": "x"})]);
    file.as_array_mut().unwrap().extend([
        json!({"versionId": "x"}),
        json!({"versionId": id.to_string()}),
    ]);
    let read = WitnessProofs::from_json(&file).unwrap();
    assert_eq!(read.to_canonical_bytes(), good.to_canonical_bytes());
    assert!(WitnessProofs::parse(b"{}").is_err());
    assert!(WitnessProofs::parse(b"[1]").is_err());
    assert!(WitnessProofs::parse(b"[]").unwrap().is_empty());
}

fn three() -> [LogEntry; 3] {
    let one = first();
    let state = begun(&one);
    let mut second = change(&[101, 102], &[3, 9]);
    second.also_known_as = vec!["https://itu.example".into()];
    second.services =
        vec![json!({"id": "#s", "type": "X", "serviceEndpoint": "https://s.example"})];
    let two = update(&state, &second, &key(2), at(10)).unwrap();
    let state = followed(&state, &two);
    let mut moved = Change::of(&state);
    moved.place = Place::new("own.example", None, &["a"]).unwrap();
    moved.next_key_hashes = change(&[], &[4]).next_key_hashes;
    let three = update(&state, &moved, &key(3), at(20)).unwrap();
    [one, two, three]
}

/// Where the texts of a tree stand, member names left out.
fn texts_of(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(pointer.to_owned()),
        Value::Array(list) => {
            for (position, element) in list.iter().enumerate() {
                texts_of(element, &format!("{pointer}/{position}"), found);
            }
        }
        Value::Object(object) => {
            for (name, element) in object {
                let name = name.replace('~', "~0").replace('/', "~1");
                texts_of(element, &format!("{pointer}/{name}"), found);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn one_changed_byte_in_any_text_of_an_entry_spoils_the_log(
        which in 0_usize..3,
        text in any::<prop::sample::Index>(),
        position in any::<prop::sample::Index>(),
        byte in 0x20_u8..0x7f,
    ) {
        let entries = three();
        let mut tree = Value::Object(entries[which].tree().clone());
        let mut pointers = Vec::new();
        texts_of(&tree, "", &mut pointers);
        let place = tree.pointer_mut(text.get(pointers.as_slice()) as &String).unwrap();
        let mut bytes = place.as_str().unwrap().as_bytes().to_vec();
        let position = position.index(bytes.len());
        prop_assume!(bytes[position] != byte);
        bytes[position] = byte;
        *place = String::from_utf8(bytes).unwrap().into();

        let mut log: Vec<Vec<u8>> = entries.iter().map(LogEntry::to_canonical_bytes).collect();
        prop_assert!(verify_log(&log.join(&b'\n'), &none(), at(100)).is_ok());
        log[which] = serde_json::to_vec(&tree).unwrap();
        prop_assert!(verify_log(&log.join(&b'\n'), &none(), at(100)).is_err());
    }

    #[test]
    fn nodes_on_one_line_keep_the_same_evidence_in_whatever_order_it_came(
        parents in proptest::collection::vec(any::<prop::sample::Index>(), 30),
        order in Just((0..30).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let root = plain(|_| ());
        let first = first_with(|tree| tree["parameters"]["nextKeyHashes"] = json!([]), &key(1));
        let ours = siblings(&root, 1, 1).remove(0);
        // A thief's entries, each after some earlier one of his or after the shared first.
        let mut states = vec![root.clone()];
        let mut forged = Vec::new();
        for (note, parent) in parents.iter().enumerate() {
            let parent = parent.get(states.as_slice()).clone();
            let entry = next_with(&parent, |tree| tree["state"]["note"] = (100 + note).into(), &key(1));
            states.push(followed(&parent, &entry));
            forged.push(entry);
        }
        let mut tree = Branches::empty(*root.scid());
        offer(&mut tree, &first);
        offer(&mut tree, &ours);
        let mut waiting: Vec<&LogEntry> = order.iter().map(|place| &forged[*place]).collect();
        loop {
            let before = waiting.len();
            waiting.retain(|entry| offer(&mut tree, entry) == Taken::Orphan);
            if waiting.len() == before {
                break;
            }
        }

        let line = |end: &LogState| {
            let mut line = Vec::new();
            let mut at = end;
            while let Some(previous) = at.previous() {
                line.push(at.version_id());
                at = states.iter().find(|state| state.version_id() == previous).unwrap();
            }
            line.reverse();
            line
        };
        let is_end = |end: &&LogState| states.iter().all(|s| s.previous() != Some(end.version_id()));
        let mut lines: Vec<Vec<VersionId>> = states[1..].iter().filter(is_end).map(line).collect();
        lines.sort();
        let kept: BTreeSet<VersionId> =
            lines.into_iter().take(LOG_BRANCHES_MAX - 1).flatten().collect();
        prop_assert_eq!(tree.evidence(), kept.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(tree.head().unwrap().version_id(), ours.version_id());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = verify_log(&bytes, &none(), at(0));
        let _ = WitnessProofs::parse(&bytes);
        let _ = LogState::from_stored(&bytes);
    }
}

/// A tree with the log `one, two` active; then entries beside it.
fn offer(tree: &mut Branches, entry: &LogEntry) -> Taken {
    tree.take(entry, at(100_000), &none()).unwrap()
}

/// Entries after `state` that all differ, lowest first.
fn siblings(state: &LogState, count: u8, signer: u8) -> Vec<LogEntry> {
    let mut siblings: Vec<LogEntry> = (0..count)
        .map(|note| {
            next_with(
                state,
                |tree| tree["state"]["note"] = note.into(),
                &key(signer),
            )
        })
        .collect();
    siblings.sort_by_key(LogEntry::version_id);
    siblings
}

#[test]
fn a_log_may_arrive_in_any_order_and_more_than_once() {
    let entries = three();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut tree = Branches::empty(*entries[0].scid());
        let mut waiting: Vec<&LogEntry> = order.iter().map(|place| &entries[*place]).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|entry| offer(&mut tree, entry) == Taken::Orphan);
            assert!(waiting.len() < before);
        }
        assert_eq!(tree.head().unwrap().version_id(), entries[2].version_id());
        assert!(
            entries
                .iter()
                .all(|entry| offer(&mut tree, entry) == Taken::Held)
        );
        assert!(!tree.is_disputed());
        assert_eq!(tree.active_line().count(), 3);
    }
}

#[test]
fn an_entry_of_another_author_or_with_changed_content_is_an_error() {
    let entries = three();
    let mut tree = Branches::empty(*entries[0].scid());
    offer(&mut tree, &entries[0]);
    let stranger = create(&change(&[101], &[2]), &key(5), at(0)).unwrap();
    assert!(matches!(
        tree.take(&stranger, at(100), &none()),
        Err(LogError::OtherScid { .. })
    ));
    let spoiled = with_member(&entries[0], "/state/@context/0", json!("https://x.example"));
    assert_eq!(
        tree.take(&spoiled, at(100), &none()),
        Err(LogError::WrongHash)
    );
    let unsigned = with_member(
        &entries[1],
        "/proof/0/created",
        json!("2026-01-01T00:00:09Z"),
    );
    assert_eq!(
        tree.take(&unsigned, at(100), &none()),
        Err(LogError::Proof(ProofError::BadSignature))
    );
    assert!(matches!(
        tree.take(&entries[1], at(-10_000), &none()),
        Err(LogError::NotYetDue { .. })
    ));
    assert_eq!(offer(&mut tree, &entries[2]), Taken::Orphan);
}

#[test]
fn a_second_proof_over_the_same_entry_is_no_fork() {
    let entry = first();
    let mut tree = Branches::empty(*entry.scid());
    assert_eq!(offer(&mut tree, &entry), Taken::Grown);
    let again = sealed(
        entry.tree().clone(),
        &entry.scid().to_string(),
        1,
        &key(1),
        at(77),
    )
    .unwrap();
    assert_ne!(again, entry);
    assert_eq!(offer(&mut tree, &again), Taken::Held);
    assert!(!tree.is_disputed());
}

#[test]
fn the_line_accepted_first_stays_until_the_operator_pins_another() {
    let root = plain(|_| ());
    let entry = first_with(
        |tree| tree["parameters"]["nextKeyHashes"] = json!([]),
        &key(1),
    );
    let pair = siblings(&root, 2, 1);
    for (ours, theirs) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
        let mut tree = Branches::empty(*root.scid());
        offer(&mut tree, &entry);
        assert_eq!(offer(&mut tree, ours), Taken::Grown);
        assert_eq!(offer(&mut tree, theirs), Taken::Forked { let_go: vec![] });
        let side = tree.get(&theirs.version_id()).unwrap().clone();
        let longer = next_with(&side, |_| (), &key(1));
        assert_eq!(offer(&mut tree, &longer), Taken::Forked { let_go: vec![] });
        assert!(tree.is_disputed());
        assert_eq!(tree.head().unwrap().version_id(), ours.version_id());
        assert_eq!(tree.evidence(), [theirs.version_id(), longer.version_id()]);

        let mut pinned = tree.clone();
        assert!(pinned.pin(&theirs.version_id()));
        assert_eq!(pinned.head().unwrap().version_id(), longer.version_id());
        assert_eq!(pinned.evidence(), [ours.version_id()]);
        assert!(pinned.is_disputed());
        assert!(pinned.pin(&ours.version_id()));
        assert_eq!(pinned.head().unwrap().version_id(), ours.version_id());
        assert!(
            pinned.pin(&entry.version_id()),
            "a shared entry leaves the line as it is"
        );
        assert_eq!(pinned.head().unwrap().version_id(), ours.version_id());
        assert!(!pinned.pin(&VersionId {
            number: 2,
            hash: entry.digest()
        }));

        let after = next_with(tree.head().unwrap(), |_| (), &key(1));
        assert_eq!(offer(&mut tree, &after), Taken::Grown);
    }
}

#[test]
fn the_lowest_lines_are_kept_as_evidence_whatever_came_first() {
    let root = plain(|_| ());
    let entry = first_with(
        |tree| tree["parameters"]["nextKeyHashes"] = json!([]),
        &key(1),
    );
    let all = siblings(&root, 14, 1);
    let (active, rest) = all.split_first().unwrap();
    let expected: Vec<VersionId> = rest
        .iter()
        .take(LOG_BRANCHES_MAX - 1)
        .map(LogEntry::version_id)
        .collect();
    for start in 0..rest.len() {
        let mut tree = Branches::empty(*root.scid());
        offer(&mut tree, &entry);
        offer(&mut tree, active);
        let mut gone = 0;
        for step in 0..rest.len() {
            let next = &rest[(start + step * 5) % rest.len()];
            if let Taken::Forked { let_go } = offer(&mut tree, next) {
                gone += let_go.len();
            }
        }
        assert_eq!(tree.evidence(), expected);
        assert_eq!(gone, rest.len() - expected.len());
        assert_eq!(
            offer(&mut tree, &rest[12]),
            Taken::Forked {
                let_go: vec![rest[12].version_id()]
            }
        );
    }
}

#[test]
fn letting_a_line_go_keeps_what_other_lines_share_with_it() {
    let root = plain(|_| ());
    let entry = first_with(
        |tree| tree["parameters"]["nextKeyHashes"] = json!([]),
        &key(1),
    );
    let pair = siblings(&root, 2, 1);
    let mut tree = Branches::empty(*root.scid());
    offer(&mut tree, &entry);
    offer(&mut tree, &pair[0]);
    offer(&mut tree, &pair[1]);
    let side = tree.get(&pair[1].version_id()).unwrap().clone();
    let fan = siblings(&side, 9, 1);
    let mut gone = Vec::new();
    for twig in fan.iter().rev() {
        if let Taken::Forked { let_go } = offer(&mut tree, twig) {
            gone.extend(let_go);
        }
    }
    assert_eq!(gone, [fan[8].version_id(), fan[7].version_id()]);
    assert!(tree.get(&pair[1].version_id()).is_some());
    let beyond = begun(&entry);
    let beyond = followed(&beyond, &pair[1]);
    let beyond = followed(&beyond, &fan[8]);
    assert_eq!(
        offer(&mut tree, &next_with(&beyond, |_| (), &key(1))),
        Taken::Orphan
    );
}

#[test]
fn a_tree_comes_back_from_its_rows_without_its_signatures_being_checked() {
    let root = plain(|_| ());
    let entry = first_with(
        |tree| tree["parameters"]["nextKeyHashes"] = json!([]),
        &key(1),
    );
    let pair = siblings(&root, 2, 1);
    let mut tree = Branches::empty(*root.scid());
    for row in [&entry, &pair[1], &pair[0]] {
        offer(&mut tree, row);
    }
    let rows = || [&pair[0], &entry, &pair[1]].map(|row| with_member(row, "/proof", json!([])));
    let tip = tree.head().map(LogState::version_id);
    let again = Branches::from_rows(*root.scid(), rows(), tip, none()).unwrap();
    assert_eq!(again.head(), tree.head());
    assert_eq!(again.evidence(), tree.evidence());
    let holed = Branches::from_rows(*root.scid(), [pair[0].clone()], None, none());
    assert_eq!(holed.err(), Some(LogError::WrongHash));
    let lost = VersionId {
        number: 7,
        hash: entry.digest(),
    };
    let lost = Branches::from_rows(*root.scid(), rows(), Some(lost), none());
    assert_eq!(lost.err(), Some(LogError::WrongHash));
}

#[test]
fn an_entry_without_its_witnesses_changes_nothing_and_disputes_nothing() {
    let one = witnessed_first(1, &[200]);
    let state = LogState::begin(&one, at(100), &none()).unwrap();
    let mut tree = Branches::empty(*one.scid());
    assert_eq!(
        offer(&mut tree, &one),
        Taken::Unwitnessed { let_go: vec![] }
    );
    assert!(tree.head().is_none());
    let mut late = tree.clone();
    let proofs = approvals(&[(one.version_id(), &[200, 201])]);
    assert!(late.take_witness_proofs(&proofs));
    assert_eq!(late.head().unwrap().version_id(), one.version_id());
    assert_eq!(
        tree.take(&one, at(100), &proofs),
        Ok(Taken::Grown),
        "held, and now approved"
    );

    // A thief has the update key and no witness.
    let pair = siblings(&state, 12, 1);
    for forged in &pair[1..] {
        assert!(matches!(
            offer(&mut tree, forged),
            Taken::Unwitnessed { .. }
        ));
    }
    assert_eq!(tree.evidence().len(), LOG_BRANCHES_MAX - 1);
    assert!(!tree.is_disputed());
    assert_eq!(tree.head().unwrap().version_id(), one.version_id());
    let approved = approvals(&[(pair[0].version_id(), &[200])]);
    assert_eq!(
        tree.take(&pair[0], at(100_000), &approved),
        Ok(Taken::Grown)
    );
    assert!(!tree.is_disputed());
    assert!(
        !tree.pin(&pair[1].version_id()),
        "what is not witnessed cannot be pinned"
    );

    let second = approvals(&[(pair[1].version_id(), &[200])]);
    assert!(!tree.take_witness_proofs(&second));
    assert!(tree.is_disputed(), "two approved entries with one number");
    let kept = tree.witness_proofs().to_json();
    assert_eq!(kept.as_array().unwrap().len(), 3);
    assert_eq!(
        kept[0]["proof"].as_array().unwrap().len(),
        1,
        "strangers' proofs are not kept"
    );

    let rows: Vec<LogEntry> = [&one, &pair[0], &pair[1]].map(LogEntry::clone).into();
    let tip = tree.head().map(LogState::version_id);
    let again = Branches::from_rows(*one.scid(), rows, tip, tree.witness_proofs().clone()).unwrap();
    assert!(again.is_disputed());
    assert_eq!(again.head(), tree.head());
}

#[test]
fn what_no_witness_approved_is_let_go_first_and_takes_no_evidence_with_it() {
    let one = witnessed_first(1, &[200]);
    let all = siblings(&LogState::begin(&one, at(100), &none()).unwrap(), 9, 1);
    let mut tree = Branches::empty(*one.scid());
    let approve = |tree: &mut Branches, entry: &LogEntry| {
        let proofs = approvals(&[(entry.version_id(), &[200])]);
        tree.take(entry, at(100_000), &proofs).unwrap()
    };
    approve(&mut tree, &one);
    approve(&mut tree, &all[0]);
    approve(&mut tree, &all[1]);
    let side = tree.get(&all[1].version_id()).unwrap().clone();
    let unapproved = next_with(&side, |_| (), &key(1));
    assert_eq!(
        offer(&mut tree, &unapproved),
        Taken::Unwitnessed { let_go: vec![] }
    );
    for entry in &all[2..8] {
        assert_eq!(approve(&mut tree, entry), Taken::Forked { let_go: vec![] });
    }
    let let_go = vec![unapproved.version_id(), all[8].version_id()];
    assert_eq!(approve(&mut tree, &all[8]), Taken::Forked { let_go });
    let kept: Vec<VersionId> = all[1..8].iter().map(LogEntry::version_id).collect();
    assert_eq!(tree.evidence(), kept);
}

#[test]
fn a_log_whose_pruned_proofs_are_all_on_its_end_is_taken_entry_by_entry() {
    let one = witnessed_first(1, &[200]);
    let mut state = LogState::begin(&one, at(100), &none()).unwrap();
    let mut entries = vec![one];
    for _ in 0..40 {
        let entry = next_with(&state, |_| (), &key(1));
        state = followed(&state, &entry);
        entries.push(entry);
    }
    let proofs = approvals(&[(state.version_id(), &[200])]);
    let mut tree = Branches::empty(*state.scid());
    for entry in &entries {
        tree.take(entry, at(100_000), &proofs).unwrap();
    }
    assert_eq!(tree.head().unwrap().version_id(), state.version_id());
    assert!(!tree.is_disputed());
}

#[test]
fn witness_lists_that_change_without_any_approval_do_not_pile_up() {
    let mut state = LogState::begin(&witnessed_first(1, &[200]), at(100), &none()).unwrap();
    let refusal = loop {
        let seed = 150 + state.version_id().number as u8;
        let edit = |tree: &mut Value| tree["parameters"]["witness"] = witness(1, &[seed]);
        match state.next(&next_with(&state, edit, &key(1)), at(100_000), &none()) {
            Ok(next) => state = next,
            Err(refusal) => break refusal,
        }
    };
    // Entry 2 stands for entry 1, which needs the same witness.
    assert_eq!(refusal, LogError::NotWitnessed { number: 2 });
    assert_eq!(state.version_id().number, 17);
}

#[test]
fn a_key_is_committed_to_by_the_hash_of_its_multikey_text() {
    // From the method's own test suite: script pre-rotation, key-1.
    let mut seed = [0; 32];
    seed[31] = 2;
    let key = SecretKey::from_seed(&seed).public();
    assert_eq!(
        key_hash(&key).to_string(),
        "Qmf2V5jB2UwPcFL5bvmKed7VvY3CSQ1RXyDdtip7ufpQ3R"
    );
    let did = Did::parse(&format!("did:webvh:{}:A.example%3a81:x", Scid::of(b"")));
    let place = Place::of(&did.unwrap());
    assert_eq!(place, Place::new("a.example", Some(81), &["x"]).unwrap());
}
