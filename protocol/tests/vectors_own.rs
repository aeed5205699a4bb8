//! Our own vectors, `protocol/vectors`: what a second implementation is checked with. The code must
//! still make exactly these from their keys, and accept exactly these.
//!
//! They are written anew, after a change of the format that everybody agreed on, by
//! `cargo test -p baraza-protocol --test vectors_own -- --ignored write`
#![allow(clippy::unwrap_used, reason = "a broken vector must stop the test")]

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use baraza_protocol::acceptance::{Decision, Rank, Rules};
use baraza_protocol::activity::{self, Activity, Actor, Announced};
use baraza_protocol::canonical::to_canonical;
use baraza_protocol::envelope::Envelope;
use baraza_protocol::httpsig::{
    self, DELIVERY_COMPONENTS, KeyKind, RequestParts, SigningOptions, Unsigned, cavage,
};
use baraza_protocol::id::{EntryHash, LocalId, Scid, VersionHash};
use baraza_protocol::identity::write::{Change, Place, create, update};
use baraza_protocol::identity::{
    Branches, LogEntry, LogState, Taken, WitnessProofs, key_hash, verify_log,
};
use baraza_protocol::key::{PublicKey, RsaPublicKey, SecretKey};
use baraza_protocol::proof::signing_input;
use baraza_protocol::record::{Checkpoint, Draft};
use baraza_protocol::sync::{Cursor, Line, SetName};
use baraza_protocol::time::Timestamp;
use baraza_protocol::verified::{Judged, VerifyError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

const ACTOR: &str = "https://hub.example/orgs/pacific-ict";
const INBOX: &str = "https://reader.example/inbox";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn read(name: &str) -> Value {
    let file = folder().join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn key(name: &str) -> SecretKey {
    let keys = read("keys");
    let byte = u8::from_str_radix(keys["seeds"][name].as_str().unwrap(), 16).unwrap();
    SecretKey::from_seed(&[byte; 32])
}

fn rsa() -> RsaKeyPair {
    let keys = read("keys");
    let der = BASE64_STANDARD.decode(keys["rsaPkcs8"].as_str().unwrap());
    RsaKeyPair::from_pkcs8(&der.unwrap()).unwrap()
}

fn rsa_public() -> RsaPublicKey {
    RsaPublicKey::from_pkcs1_der(rsa().public_key().as_ref()).unwrap()
}

fn at(hour: u32) -> Timestamp {
    Timestamp::parse(&format!("2026-11-22T{hour:02}:00:00Z")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn tree(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).unwrap()
}

/// A log of three entries: it begins, gets another record key, and moves.
struct Author {
    entries: Vec<LogEntry>,
    states: Vec<LogState>,
}

fn change(host: &str, record: &SecretKey, next: &SecretKey) -> Change {
    Change {
        place: Place::new(host, None, &["orgs", "pacific-ict"]).unwrap(),
        record_keys: [record.public()].into(),
        next_key_hashes: [key_hash(&next.public())].into(),
        also_known_as: Vec::new(),
        services: Vec::new(),
    }
}

fn author() -> Author {
    let none = WitnessProofs::empty();
    let first = change("hub.example", &key("record"), &key("next"));
    let first = create(&first, &key("update"), at(1)).unwrap();
    let begun = LogState::begin(&first, at(1), &none).unwrap();
    let second = change("hub.example", &key("rotated"), &key("third"));
    let second = update(&begun, &second, &key("next"), at(2)).unwrap();
    let rotated = begun.next(&second, at(2), &none).unwrap();
    let third = change("other.example", &key("rotated"), &key("fourth"));
    let third = update(&rotated, &third, &key("third"), at(3)).unwrap();
    let moved = rotated.next(&third, at(3), &none).unwrap();
    Author {
        entries: vec![first, second, third],
        states: vec![begun, rotated, moved],
    }
}

fn draft(local: &str) -> Draft {
    let draft = json!({
        "type": "Offering", "localId": local, "language": "fr",
        "body": {
            "kind": "course",
            "name": {"fr": "Soudure — niveau 1 “débutant”", "ar": "دورة", "zh-Hant": "課程 😀"},
            "countries": ["SN"], "languages": ["fr"],
            "cost": {"kind": "paid", "price": "12.50", "currency": "XOF"},
            "instances": [{"start": "2027-01-12", "seats": 30}],
        },
    });
    Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap()
}

fn signed(local: &str, seq: u64, by: &str, hour: u32) -> Envelope {
    let did = author().states[2].did().clone();
    draft(local).sign(&did, seq, at(hour), &key(by)).unwrap()
}

fn withdrawn() -> Envelope {
    let did = author().states[2].did().clone();
    let draft = Draft::withdrawal(
        "Offering",
        LocalId::parse("welding-101").unwrap(),
        "CC-BY-4.0",
    );
    draft.sign(&did, 2, at(5), &key("rotated")).unwrap()
}

/// A proof with all that leads to it.
fn steps(document: &[u8], signer: &SecretKey) -> Value {
    let mut document = tree(document);
    let proof = document.remove("proof").unwrap();
    let proof = proof.as_array().map_or(&proof, |proofs| &proofs[0]);
    let mut options = proof.as_object().unwrap().clone();
    options.remove("proofValue");
    let signed = signing_input(&options, &document);
    json!({
        "publicKey": signer.public().to_string(),
        "optionsCanonical": text(&to_canonical(&options.into())),
        "optionsSha256": hex(&signed[..32]),
        "documentCanonical": text(&to_canonical(&document.into())),
        "documentSha256": hex(&signed[32..]),
        "signed": hex(&signed),
        "signature": hex(&signer.sign(&signed)),
        "proofValue": proof["proofValue"],
    })
}

fn record_of(envelope: &Envelope) -> Value {
    json!({
        "canonical": text(envelope.canonical()),
        "record": envelope.header().record_id().to_string(),
        "version": envelope.hash().to_string(),
        "versionSha256": hex(envelope.hash().as_digest()),
    })
}

fn record_vector() -> Value {
    let record = signed("welding-101", 1, "rotated", 4);
    let mut vector = record_of(&record);
    vector["about"] = "A record: its canonical form (the line as it travels), its names, and every step of its proof. The log that lists its key is in log.json.".into();
    vector["proof"] = steps(record.canonical(), &key("rotated"));
    let retired = signed("welding-101", 1, "record", 4);
    vector["refused"] = json!([
        {"because": "bad-signature", "record": text(record.canonical()).replace("niveau 1", "niveau 2")},
        {"because": "key-retired", "record": text(retired.canonical())},
    ]);
    vector
}

fn log_vector() -> Value {
    let author = author();
    let scid = author.states[0].scid().to_string();
    let mut predecessor = scid.clone();
    let mut entries = Vec::new();
    for (entry, signer) in author.entries.iter().zip(["update", "next", "third"]) {
        let line = entry.to_canonical_bytes();
        let mut hashed = tree(&line);
        hashed.remove("proof");
        hashed.insert("versionId".into(), predecessor.clone().into());
        let hashed = to_canonical(&hashed.into());
        predecessor = entry.version_id().to_string();
        entries.push(json!({
            "line": text(&line), "hashed": text(&hashed), "versionId": predecessor,
            "proof": steps(&line, &key(signer)),
        }));
    }
    // What the SCID is the digest of: the first entry with a placeholder wherever the SCID stands.
    let first = entries[0]["hashed"].as_str().unwrap();
    let placeholder = first.replace(&scid, "{SCID}");
    json!({
        "about": "A did:webvh log of three entries: it begins, lists another record key instead of the first, and moves to another host. `hashed` is what the hash in versionId is made of.",
        "scid": scid, "scidHashed": placeholder,
        "entries": entries,
        "did": author.states[2].did().to_string(),
        "listed": [key("rotated").public().to_string()],
        "dropped": [key("record").public().to_string()],
        "next": {"publicKey": key("fourth").public().to_string(), "hash": key_hash(&key("fourth").public()).to_string()},
    })
}

fn withdrawn_vector() -> Value {
    let mut vector = record_of(&withdrawn());
    vector["about"] = "The tombstone of the record in record.json: of the two it counts.".into();
    vector["insteadOf"] = signed("welding-101", 1, "rotated", 4)
        .hash()
        .to_string()
        .into();
    vector
}

fn checkpoint_vector() -> Value {
    let counting = [withdrawn(), signed("welding-102", 1, "rotated", 6)];
    let mut hashes: Vec<VersionHash> = counting.iter().map(Envelope::hash).collect();
    let digest = Checkpoint::digest(&mut hashes).to_string();
    let state = &author().states[2];
    let body = json!({"count": 2, "digest": digest, "logVersion": state.version_id().to_string()});
    let draft = json!({"type": "Checkpoint", "localId": Checkpoint::LOCAL_ID, "body": body});
    let draft = Draft::new(draft.as_object().unwrap(), "CC0-1.0").unwrap();
    let record = draft.sign(state.did(), 1, at(7), &key("rotated")).unwrap();
    let mut vector = record_of(&record);
    vector["about"] = "A checkpoint over two versions: `sorted` are their digests in the order in which they are hashed.".into();
    vector["counting"] = counting.iter().map(record_of).collect();
    vector["sorted"] = hashes.iter().map(|hash| hex(hash.as_digest())).collect();
    vector["digest"] = digest.into();
    vector
}

fn fork_vector() -> Value {
    let author = author();
    // Whoever has the second key can write another second entry.
    let other = change("hub.example", &key("thief"), &key("thief"));
    let other = update(&author.states[0], &other, &key("next"), at(9)).unwrap();
    let line = |entry: &LogEntry| text(&entry.to_canonical_bytes()).to_owned();
    json!({
        "about": "Two valid second entries: who took `lines` goes on by `tip`, keeps `other` as evidence, and shows the author as disputed.",
        "scid": author.states[0].scid().to_string(),
        "lines": author.entries.iter().map(line).collect::<Vec<_>>(),
        "tip": author.states[2].version_id().to_string(),
        "other": line(&other), "otherVersionId": other.version_id().to_string(),
    })
}

fn create_activity() -> Map<String, Value> {
    let record = signed("welding-101", 1, "rotated", 4);
    let announced = Announced {
        id: &format!("{ACTOR}/activities/{}", record.hash()),
        actor: ACTOR,
        followers: &format!("{ACTOR}/followers"),
        object: &format!(
            "https://hub.example/records/{}",
            record.header().record_id()
        ),
        attributed_to: ACTOR,
    };
    let written = activity::announcing(announced, record.header(), &tree(record.canonical()));
    activity::prove(written, ACTOR, &key("actor"), at(4))
}

fn actor_document() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/multikey/v1"],
        "id": ACTOR, "type": "Organization", "inbox": format!("{ACTOR}/inbox"),
        "assertionMethod": [activity::multikey(ACTOR, &key("actor").public())],
        "publicKey": activity::rsa_key(ACTOR, &rsa_public()),
    })
}

fn request_vector(
    dialect: &str,
    headers: &[(&str, String)],
    unsigned: Unsigned,
    rsa_signs: bool,
) -> Value {
    let base = text(unsigned.base()).to_owned();
    let signature = if rsa_signs {
        let pair = rsa();
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, base.as_bytes(), &mut signature)
            .unwrap();
        signature
    } else {
        key("actor").sign(base.as_bytes()).to_vec()
    };
    let made = unsigned.finish(&signature);
    let mut all: Vec<Value> = headers
        .iter()
        .map(|(name, value)| json!([name, value]))
        .collect();
    all.extend(
        made.signature_input
            .map(|value| json!(["signature-input", value])),
    );
    all.push(json!(["signature", made.signature]));
    json!({"dialect": dialect, "key": if rsa_signs { "rsa" } else { "ed25519" }, "headers": all, "base": base})
}

fn activity_vector() -> Value {
    let activity = create_activity();
    let body = to_canonical(&Value::Object(activity));
    let content = ("content-digest", httpsig::content_digest(&body));
    let digest = ("digest", cavage::digest(&body));
    let date = ("date", cavage::write_http_date(at(4)));
    let host = ("host", "reader.example".to_owned());
    let request = |headers: &[(&'static str, String)],
                   sign: &dyn Fn(&RequestParts<'_>) -> Unsigned| {
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        sign(&RequestParts::new("POST", INBOX, &headers).unwrap())
    };
    let ed25519 = activity::key_id(ACTOR, &key("actor").public());
    let main = activity::rsa_key_id(ACTOR);
    let newer = |key_id: &str| {
        let options = SigningOptions::new(key_id, at(4));
        request(std::slice::from_ref(&content), &|parts| {
            Unsigned::new(parts, &DELIVERY_COMPONENTS, &options).unwrap()
        })
    };
    let old = [host, date, digest];
    let cavage = request(&old, &|parts| {
        cavage::prepare(parts, &cavage::DELIVERY_HEADERS, &main).unwrap()
    });
    json!({
        "about": "An activity by which a record is told, with its actor, and three requests that deliver it: by RFC 9421 with each key, by draft-cavage-12. All are dated `now`.",
        "now": at(4).to_string(), "method": "POST", "target": INBOX,
        "actor": actor_document(), "body": text(&body),
        "proof": steps(&body, &key("actor")),
        "requests": [
            request_vector("rfc9421", std::slice::from_ref(&content), newer(&ed25519), false),
            request_vector("rfc9421", std::slice::from_ref(&content), newer(&main), true),
            request_vector("cavage12", &old, cavage, true),
        ],
    })
}

fn sync_vector() -> Value {
    let author = author();
    let record = signed("welding-101", 1, "rotated", 4);
    let cursor = |number| Cursor {
        epoch: "72c0ba3523467d79".into(),
        number,
    };
    let entry = author.entries[0].to_canonical_bytes();
    let log = Line::Log {
        scid: *author.states[0].scid(),
        entry: text(&entry),
        witness: None,
    };
    let whole = Line::Record {
        record: text(record.canonical()),
    };
    let lines = [
        ("log", log.write(Some(&cursor(1)))),
        ("record", whole.write(Some(&cursor(4)))),
        (
            "version",
            Line::Version {
                hash: record.hash(),
            }
            .write(Some(&cursor(5))),
        ),
        ("end", Line::End.write(Some(&cursor(7)))),
        ("record", whole.write(None)),
    ];
    let lines: Vec<Value> = lines
        .into_iter()
        .map(|(kind, line)| json!({"kind": kind, "line": line}))
        .collect();
    json!({
        "about": "Lines of the change feed, the last one as bundles and fetch have it. A cursor is opaque to all but the node that gave it.",
        "lines": lines,
        "cursor": {"text": cursor(7).to_string(), "epoch": "72c0ba3523467d79", "number": 7},
        "sets": ["identities", "records", SetName::Author(*author.states[0].scid()).to_string()],
    })
}

fn all() -> [(&'static str, Value); 7] {
    [
        ("record", record_vector()),
        ("log", log_vector()),
        ("withdrawn", withdrawn_vector()),
        ("checkpoint", checkpoint_vector()),
        ("fork", fork_vector()),
        ("activity", activity_vector()),
        ("sync", sync_vector()),
    ]
}

#[test]
#[ignore = "writes the vectors anew"]
fn write() {
    for (name, vector) in all() {
        let text = serde_json::to_string_pretty(&vector).unwrap();
        fs::write(folder().join(format!("{name}.json")), text + "\n").unwrap();
    }
}

#[test]
fn the_code_still_makes_exactly_what_is_written_down() {
    for (name, made) in all() {
        assert_eq!(read(name), made, "{name}");
    }
}

fn ring_of(log: &Value) -> LogState {
    let lines: Vec<&str> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["line"].as_str().unwrap())
        .collect();
    verify_log(lines.join("\n").as_bytes(), &WitnessProofs::empty(), at(12)).unwrap()
}

#[test]
fn the_log_verifies_and_says_which_keys_count() {
    let log = read("log");
    let state = ring_of(&log);
    let public = |value: &Value| PublicKey::parse(value.as_str().unwrap()).unwrap();
    assert_eq!(log["did"], state.did().to_string());
    assert_eq!(
        log["scid"],
        Scid::of(log["scidHashed"].as_str().unwrap().as_bytes()).to_string()
    );
    assert!(state.keys().counts(&public(&log["listed"][0])));
    assert!(state.keys().was_dropped(&public(&log["dropped"][0])));
    for entry in log["entries"].as_array().unwrap() {
        let hash = EntryHash::of(entry["hashed"].as_str().unwrap().as_bytes()).to_string();
        assert!(entry["versionId"].as_str().unwrap().ends_with(&hash));
    }
    // In another order, or with one of them left out, it is no log.
    let lines = log["entries"].as_array().unwrap();
    let cut = format!(
        "{}\n{}",
        lines[0]["line"].as_str().unwrap(),
        lines[2]["line"].as_str().unwrap()
    );
    verify_log(cut.as_bytes(), &WitnessProofs::empty(), at(12)).unwrap_err();
}

#[test]
fn the_records_verify_and_those_that_must_be_refused_are() {
    let state = ring_of(&read("log"));
    for name in ["record", "withdrawn", "checkpoint"] {
        let vector = read(name);
        let envelope = Envelope::parse(vector["canonical"].as_str().unwrap().as_bytes()).unwrap();
        let Judged::Verified(record) = envelope.verify(state.keys()).unwrap() else {
            panic!("{name}: the key is not listed");
        };
        assert_eq!(record.hash.to_string(), vector["version"], "{name}");
        assert_eq!(
            record.header.record_id().to_string(),
            vector["record"],
            "{name}"
        );
    }
    for refused in read("record")["refused"].as_array().unwrap() {
        let envelope = Envelope::parse(refused["record"].as_str().unwrap().as_bytes()).unwrap();
        let error = envelope.verify(state.keys()).unwrap_err();
        let is_retired = matches!(error, VerifyError::KeyRetired { .. });
        let because = if is_retired {
            "key-retired"
        } else {
            "bad-signature"
        };
        assert_eq!(refused["because"], because, "{error}");
    }
}

#[test]
fn before_the_log_is_known_a_record_waits_and_of_two_versions_the_tombstone_counts() {
    let proven = |name: &str| {
        let canonical = read(name)["canonical"].clone();
        Envelope::parse(canonical.as_str().unwrap().as_bytes())
            .unwrap()
            .prove()
            .unwrap()
    };
    let rank = |name: &str| {
        let proven = proven(name);
        let record = proven.record();
        Rank {
            seq: record.header.seq,
            hash: record.hash,
        }
    };
    let rules = Rules::decided();
    for name in ["record", "withdrawn"] {
        let judged = proven(name).against(&rules, None).unwrap();
        assert!(matches!(judged, Judged::NotYet(_)), "{name}");
    }
    let (record, withdrawn) = (rank("record"), rank("withdrawn"));
    assert_eq!(read("withdrawn")["insteadOf"], record.hash.to_string());
    assert_eq!(rules.judge(withdrawn, Some(record)), Decision::Hold);
    assert_eq!(rules.judge(record, Some(withdrawn)), Decision::Superseded);
}

#[test]
fn the_fork_is_seen_and_the_first_line_is_gone_on_with() {
    let fork = read("fork");
    let mut log = Branches::empty(Scid::parse(fork["scid"].as_str().unwrap()).unwrap());
    let none = WitnessProofs::empty();
    let mut take = |line: &Value| {
        let entry = LogEntry::parse(line.as_str().unwrap().as_bytes()).unwrap();
        log.take(&entry, at(12), &none).unwrap()
    };
    for line in fork["lines"].as_array().unwrap() {
        assert!(matches!(take(line), Taken::Grown));
    }
    assert!(matches!(take(&fork["other"]), Taken::Forked { .. }));
    assert!(log.is_disputed());
    assert_eq!(log.head().unwrap().version_id().to_string(), fork["tip"]);
    assert_eq!(log.evidence()[0].to_string(), fork["otherVersionId"]);
}

#[test]
fn the_activity_is_proven_and_each_of_its_requests_holds() {
    let vector = read("activity");
    let body = vector["body"].as_str().unwrap().as_bytes();
    let actor = Actor::parse(&to_canonical(&vector["actor"])).unwrap();
    let activity = Activity::parse(body).unwrap();
    activity.check_proof(&actor).unwrap();
    let record = activity.thing().object("object").unwrap().record().unwrap();
    assert_eq!(text(&record), read("record")["canonical"]);
    let now = Timestamp::parse(vector["now"].as_str().unwrap()).unwrap();
    for request in vector["requests"].as_array().unwrap() {
        let headers: Vec<(&str, &[u8])> = request["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().unwrap(),
                    pair[1].as_str().unwrap().as_bytes(),
                )
            })
            .collect();
        let parts = RequestParts::new("POST", INBOX, &headers).unwrap();
        let signature = &httpsig::read(&parts).unwrap()[0];
        signature.check_policy(body, now).unwrap();
        signature.check_policy(b"{}", now).unwrap_err();
        assert_eq!(text(signature.base()), request["base"]);
        if request["key"] == "rsa" {
            signature.algorithm_for(KeyKind::Rsa).unwrap();
            let public = actor.rsa_key(signature.key_id()).unwrap();
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_pkcs1_der())
                .verify(signature.base(), signature.signature())
                .unwrap();
        } else {
            let public = actor.key(signature.key_id()).unwrap();
            httpsig::verify_ed25519(signature, public).unwrap();
        }
    }
}

#[test]
fn the_lines_read_as_what_they_are() {
    let sync = read("sync");
    for line in sync["lines"].as_array().unwrap() {
        let (read, _) = Line::read(line["line"].as_str().unwrap().as_bytes()).unwrap();
        let kind = match read {
            Line::Log { .. } => "log",
            Line::Record { .. } => "record",
            Line::Version { .. } => "version",
            Line::End => "end",
        };
        assert_eq!(line["kind"], kind);
    }
    let cursor = Cursor::parse(sync["cursor"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(sync["cursor"]["number"], cursor.number);
    assert_eq!(sync["cursor"]["epoch"], cursor.epoch);
    for set in sync["sets"].as_array().unwrap() {
        assert!(SetName::parse(set.as_str().unwrap()).is_some(), "{set}");
    }
}
