//! Rows J of the list of bad inputs, as records that are handed to a running node.
//!
//! `BARAZA_URL=http://HOST:PORT` sends them to another node.

use protocol::canonical::to_canonical;
use protocol::envelope::Envelope;
use serde_json::{Value, json};

use crate::support::author::{Author, hand_in};
use crate::support::client;
use crate::support::target::Target;

/// A good record as text, with a mark where a row puts something else.
fn text_with(author: &Author, mark: &str) -> String {
    let mut tree = author.offering("bad", 1, "A name");
    tree.insert("mark".into(), mark.into());
    String::from_utf8(author.sign(tree)).unwrap()
}

/// What stands in place of a number, a text or a member of a record that is good otherwise.
fn with_value(author: &Author, value: &str) -> Vec<u8> {
    text_with(author, "MARK")
        .replace("\"MARK\"", value)
        .into_bytes()
}

#[test]
fn what_is_no_json_or_not_ours_is_refused_and_changes_nothing() {
    let (target, author) = Target::with_author();
    let good = author.record("bad", 1, "A name");
    let text = String::from_utf8(good.clone()).unwrap();
    let with = |value: &str| with_value(&author, value);
    let mut twice = text.clone();
    twice.insert_str(1, "\"seq\":1,");
    let latin = text.replace("A name", "MARK").into_bytes();
    let at = latin.windows(4).position(|part| part == b"MARK").unwrap();
    let with_bytes = |bytes: &[u8]| [&latin[..at], bytes, &latin[at + 4..]].concat();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (
            "J01 twice",
            br#"{"id":"a","id":"b"}"#.to_vec(),
            400,
            "duplicate-name",
        ),
        (
            "J01 in a record",
            twice.clone().into_bytes(),
            400,
            "duplicate-name",
        ),
        (
            "J01 escaped",
            twice.replacen("\"seq\"", "\"\\u0073eq\"", 1).into_bytes(),
            400,
            "duplicate-name",
        ),
        (
            "J02 nested",
            with(r#"{"a":{"b":{"c":1,"c":2}}}"#),
            400,
            "duplicate-name",
        ),
        ("J03 2^53+1", with("9007199254740993"), 422, "unsafe-value"),
        ("J03 2^53", with("9007199254740992"), 422, "unsafe-value"),
        ("J03 below", with("-9007199254740992"), 422, "unsafe-value"),
        ("J04 1e400", with("1e400"), 400, "malformed"),
        ("J04 NaN", with("NaN"), 400, "malformed"),
        ("J04 Infinity", with("Infinity"), 400, "malformed"),
        ("J04 01", with("01"), 400, "malformed"),
        ("J04 +1", with("+1"), 400, "malformed"),
        ("J04 .5", with(".5"), 400, "malformed"),
        ("J05 1.5", with("1.5"), 422, "unsafe-value"),
        ("J05 1.0", with("1.0"), 422, "unsafe-value"),
        ("J05 1e2", with("1e2"), 422, "unsafe-value"),
        (
            "J06 33 deep",
            with(&format!("{}{}", "[".repeat(32), "]".repeat(32))),
            400,
            "malformed",
        ),
        ("J06 100,000 deep", vec![b'['; 100_000], 400, "malformed"),
        (
            "J07 100,000 zeros",
            format!("[0{}]", ",0".repeat(99_999)).into_bytes(),
            400,
            "malformed",
        ),
        (
            "J07 in a record",
            with(&format!("[0{}]", ",0".repeat(2_000))),
            400,
            "malformed",
        ),
        ("J08 lone surrogate", with(r#""\ud800""#), 400, "malformed"),
        (
            "J08 reversed pair",
            with(r#""\udc00\ud800""#),
            400,
            "malformed",
        ),
        ("J09 NUL", with(r#""a\u0000b""#), 422, "unsafe-value"),
        (
            "J09 NUL in a name",
            with(r#"{"a\u0000b":1}"#),
            422,
            "unsafe-value",
        ),
        (
            "J10 invalid UTF-8",
            with_bytes(&[0xff, 0xfe]),
            400,
            "malformed",
        ),
        (
            "J10 over-long UTF-8",
            with_bytes(&[0xc0, 0xaf]),
            400,
            "malformed",
        ),
        (
            "J10 surrogate in UTF-8",
            with_bytes(&[0xed, 0xa0, 0x80]),
            400,
            "malformed",
        ),
        (
            "J11 byte order mark",
            [b"\xef\xbb\xbf", &good[..]].concat(),
            400,
            "malformed",
        ),
        ("J11 UTF-16", utf16, 400, "malformed"),
        (
            "J12 two documents",
            [&good[..], &good[..]].concat(),
            400,
            "malformed",
        ),
        (
            "J12 trailing garbage",
            [&good[..], b"x"].concat(),
            400,
            "malformed",
        ),
        ("J13 empty", Vec::new(), 400, "malformed"),
        ("J13 null", b"null".to_vec(), 400, "malformed"),
        ("J13 []", b"[]".to_vec(), 400, "malformed"),
        ("J13 text", b"\"text\"".to_vec(), 400, "malformed"),
        ("J13 0", b"0".to_vec(), 400, "malformed"),
        ("J13 {}", b"{}".to_vec(), 422, "bad-field"),
        (
            "a text of 16 KiB and one",
            with(&format!("\"{}\"", "x".repeat(16 * 1024 + 1))),
            400,
            "malformed",
        ),
    ];
    for (id, body, status, code) in rows {
        target.refuses_record(id, &body, status, code);
    }
    // It was the fault, and not the rest, that was refused.
    target.takes("the same without a fault", &good);
}

#[test]
fn j14_a_record_cut_at_any_byte_is_refused() {
    let (target, author) = Target::with_author();
    let good = author.record("cut", 1, "Cut");
    let before = client::state_hash(&target.url);
    for end in 0..good.len() {
        let answer = hand_in(&target.url, &good[..end]);
        assert_eq!(answer.status, 400, "{end}: {}", answer.text());
        assert_eq!(answer.code(), "malformed", "{end}");
    }
    assert_eq!(client::state_hash(&target.url), before);
    target.takes("whole", &good);
}

#[test]
fn signed_values_of_the_wrong_form_are_refused_by_the_field() {
    let (target, author) = Target::with_author();
    let set = |pointer: &str, value: Value| {
        let mut tree = Value::Object(author.offering("bad", 1, "A name"));
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        tree.pointer_mut(parent).unwrap()[member] = value;
        author.sign(tree.as_object().unwrap().clone())
    };
    let rows = [
        (
            "J17 name is a text",
            set("/body/name", json!("plain")),
            "bad-field",
            "body.name",
        ),
        (
            "J17 name is a number",
            set("/body/name", json!(5)),
            "bad-field",
            "body.name",
        ),
        (
            "J17 areas is a text",
            set("/body/areas", json!("cyber")),
            "bad-field",
            "body.areas",
        ),
        (
            "J17 unknown kind",
            set("/body/kind", json!("curse")),
            "bad-field",
            "body.kind",
        ),
        (
            "J17 body is a list",
            set("/body", json!([])),
            "bad-field",
            "body",
        ),
        (
            "J17 seq is a text",
            set("/seq", json!("1")),
            "bad-field",
            "seq",
        ),
        ("J17 seq is 0", set("/seq", json!(0)), "bad-field", "seq"),
        (
            "J17 seq is negative",
            set("/seq", json!(-1)),
            "bad-field",
            "seq",
        ),
        (
            "J17 issued",
            set("/issued", json!("yesterday")),
            "bad-field",
            "issued",
        ),
        (
            "J17 status",
            set("/status", json!("gone")),
            "bad-field",
            "status",
        ),
        (
            "J17 localId",
            set("/localId", json!("../../etc")),
            "bad-field",
            "localId",
        ),
        (
            "J17 author",
            set("/author", json!("did:web:x.example")),
            "bad-field",
            "author",
        ),
        (
            "J17 sources",
            set("/sources", json!("x")),
            "bad-field",
            "sources",
        ),
        (
            "no licence",
            set("/licence", json!("")),
            "bad-field",
            "licence",
        ),
        (
            "J19 @context",
            set("/@context", json!("https://m.example")),
            "linked-data",
            "@context",
        ),
        (
            "J19 nested",
            set("/body/@context", json!({})),
            "linked-data",
            "@context",
        ),
        (
            "J21 @graph",
            set("/body/@graph", json!([])),
            "linked-data",
            "@graph",
        ),
        (
            "J21 @reverse",
            set("/body/@reverse", json!({})),
            "linked-data",
            "@reverse",
        ),
        (
            "J21 @included",
            set("/@included", json!([])),
            "linked-data",
            "@included",
        ),
        (
            "J21 @nest",
            set("/body/x", json!({"y": {"@nest": 1}})),
            "linked-data",
            "@nest",
        ),
        (
            "unknown spec",
            set("/spec", json!("baraza/9")),
            "unsupported-version",
            "spec",
        ),
        (
            "private type",
            set("/type", json!("Request")),
            "private-type",
            "type",
        ),
    ];
    for (id, record, code, field) in rows {
        let answer = target.refuses_record(id, &record, 422, code);
        assert_eq!(answer.json()["field"], field, "{id}");
    }
    // A link that nobody should follow is a field like any other.
    let script = set("/body/url", json!("javascript:alert(1)"));
    let answer = target.refuses_record("a script for an address", &script, 422, "bad-field");
    assert_eq!(answer.json()["field"], "body.url");
}

#[test]
fn a_record_of_more_than_64_kib_is_refused_and_one_of_64_kib_is_taken() {
    let (target, author) = Target::with_author();
    let sized = |local: &str, bytes: usize| {
        let mut tree = author.offering(local, 1, "Large");
        let part = "x".repeat(15_000);
        tree.insert("padding".into(), json!([part, part, part, part, ""]));
        // A signature has 87 or 88 characters, so that it takes a few tries to meet the size.
        let records = (100..999).map(|seq| {
            tree["seq"] = seq.into();
            let length = tree["padding"][4].as_str().unwrap().len();
            let missing = bytes + length - author.sign(tree.clone()).len();
            tree["padding"][4] = "y".repeat(missing).into();
            author.sign(tree.clone())
        });
        let mut records = records.filter(|record| record.len() == bytes);
        records.next().expect("a record of that size")
    };
    target.takes("64 KiB", &sized("large", 64 * 1024));
    target.refuses_record(
        "64 KiB and one",
        &sized("larger", 64 * 1024 + 1),
        413,
        "too-large",
    );
}

#[test]
fn what_is_strange_but_sound_is_kept_and_relayed_as_it_was_signed() {
    let (target, author) = Target::with_author();
    let put = |local: &str, member: &str, value: Value| {
        let mut tree = author.offering(local, 1, "Strange");
        tree["body"][member] = value;
        author.sign(tree)
    };
    // J15: these sort differently by UTF-8 and by UTF-16.
    let names =
        json!({"\u{20ac}": 1, "\u{1f600}": 2, "\u{fb33}": 3, "\r": 4, "1": 5, "\u{80}": 6, "ö": 7});
    let sorted = put("j15", "names", names);
    let text = String::from_utf8(sorted.clone()).unwrap();
    let right =
        "{\"\\r\":4,\"1\":5,\"\u{80}\":6,\"ö\":7,\"\u{20ac}\":1,\"\u{1f600}\":2,\"\u{fb33}\":3}";
    assert!(text.contains(right), "{text}");
    target.takes("J15", &sorted);

    // J18 and J22: members that nobody knows.
    target.takes(
        "J18",
        &put("j18", "futureMember", json!({"deep": [1, null, true]})),
    );
    let proto = put("j22", "__proto__", json!({"constructor": {"prototype": 1}}));
    target.takes("J22", &proto);

    // J16: one letter in two spellings is two documents.
    let composed = put("j16", "text", json!("caf\u{e9}"));
    let decomposed = String::from_utf8(composed.clone())
        .unwrap()
        .replace('\u{e9}', "e\u{301}");
    target.refuses_record(
        "J16 decomposed",
        decomposed.as_bytes(),
        422,
        "bad-signature",
    );
    target.takes("J16 composed", &composed);

    // S29: another spelling of the same values is the same record.
    let value: Value = serde_json::from_slice(&author.record("s29", 1, "Spelled")).unwrap();
    let spelled = serde_json::to_string_pretty(&value)
        .unwrap()
        .replace("Spelled", "\\u0053pelled");
    let answer = hand_in(&target.url, spelled.as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let read = client::get(&target.url, &author.path("s29"));
    assert_eq!(read.body, to_canonical(&value));
    let again = hand_in(&target.url, &to_canonical(&value));
    assert_eq!(again.status, 200, "{}", again.text());

    // All of them go on as they were signed.
    let ids: Vec<String> = ["j15", "j16", "j18", "j22", "s29"]
        .map(|local| format!("{}/{local}", author.scid()))
        .to_vec();
    let want = json!({ "want": ids }).to_string();
    let fetched = client::post(&target.url, "/sync/v1/fetch", want.as_bytes());
    let lines: Vec<Value> = fetched
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    for line in lines {
        let record = to_canonical(&line["record"]);
        assert!(Envelope::parse(&record).unwrap().prove().is_ok(), "{line}");
    }
}

#[test]
fn signatures_that_do_not_fit_are_refused_by_name() {
    let (target, author) = Target::with_author();
    let good: Value = serde_json::from_slice(&author.record("bad", 1, "A name")).unwrap();
    let set = |pointer: &str, value: Value| {
        let mut tree = good.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        tree.pointer_mut(parent).unwrap()[member] = value;
        to_canonical(&tree)
    };
    let without_proof = {
        let mut tree = good.clone();
        tree.as_object_mut().unwrap().remove("proof");
        to_canonical(&tree)
    };
    let stranger = Author::at(&target.url);
    let foreign = format!("{}#{}", stranger.did(), stranger.key.public());
    let tree = author.offering("bad", 1, "A name");
    let time = crate::support::now();
    let rows = [
        ("S15 no proof", without_proof, "proof-required"),
        (
            "S16 signed by somebody else",
            author.sign_as(tree.clone(), &stranger.key, &foreign, time),
            "foreign-signer",
        ),
        (
            "S18 another purpose",
            set("/proof/proofPurpose", json!("authentication")),
            "bad-proof",
        ),
        (
            "S19 another suite",
            set("/proof/cryptosuite", json!("eddsa-rdfc-2022")),
            "unsupported-proof",
        ),
        (
            "S19 another type",
            set("/proof/type", json!("Ed25519Signature2020")),
            "unsupported-proof",
        ),
        (
            "S20 hex",
            set("/proof/proofValue", json!("ff00ff00")),
            "bad-proof",
        ),
        (
            "S20 base64",
            set("/proof/proofValue", json!("u3vYz")),
            "bad-proof",
        ),
        (
            "S20 short",
            set("/proof/proofValue", json!("z3vYz")),
            "bad-proof",
        ),
        (
            "S25 two proofs",
            set("/proof", json!([good["proof"], good["proof"]])),
            "bad-proof",
        ),
        (
            "S27 another id",
            set("/localId", json!("other")),
            "bad-signature",
        ),
        (
            "S28 a member more",
            set("/extra", json!(1)),
            "bad-signature",
        ),
        (
            "S30 created is no date",
            set("/proof/created", json!("tomorrow")),
            "bad-proof",
        ),
        (
            "S02 another signature",
            set("/proof/proofValue", good_signature_of(&author)),
            "bad-signature",
        ),
    ];
    for (id, record, code) in rows {
        target.refuses_record(id, &record, 422, code);
    }
    target.takes("as it was signed", &to_canonical(&good));
}

/// A signature that fits another record of the author.
fn good_signature_of(author: &Author) -> Value {
    let other: Value = serde_json::from_slice(&author.record("other", 1, "Other")).unwrap();
    other["proof"]["proofValue"].clone()
}
