//! Rows K of the list of bad inputs: keys, logs and names.

use std::collections::BTreeMap;

use protocol::canonical::to_canonical;
use serde_json::{Value, json};

use crate::support::author::{Author, hand_in, new_key};
use crate::support::client::{self, get, post};
use crate::support::hostile::{Hostile, end_line, log_line, record_line};
use crate::support::node::Node;
use crate::support::target::Target;
use crate::support::until;

#[test]
fn k06_keys_of_a_wrong_make_are_refused() {
    let (target, author) = Target::with_author();
    let tree = author.offering("bad", 1, "A name");
    let scid = author.scid();
    // Base58btc of: 31 bytes, 33 bytes, an X25519 key, another multicodec, the identity point; then
    // other spellings.
    let wrong = [
        ("31 bytes", multikey(&[0xed, 1], 31)),
        ("33 bytes", multikey(&[0xed, 1], 33)),
        ("X25519", multikey(&[0xec, 1], 32)),
        ("secp256k1", multikey(&[0xe7, 1], 33)),
        (
            "small order",
            multikey_of(&[&[0xed, 1, 1][..], &[0; 31]].concat()),
        ),
        ("no fragment", String::new()),
        ("hex", "z0x00".to_owned()),
    ];
    for (id, key) in &wrong {
        let method = format!("{}#{key}", author.did());
        let record = author.sign_as(tree.clone(), &author.key, &method, crate::support::now());
        target.refuses_record(&format!("K06 record {id}"), &record, 422, "bad-key");

        // The same in a log that is handed in: its hashes no longer fit, whatever else is wrong.
        let entry = String::from_utf8(author.log[0].clone()).unwrap();
        let entry = entry.replace(&author.key.public().to_string(), key);
        let path = format!("/api/v1/organizations/{scid}/log");
        let send = |url: &str| post(url, &path, entry.as_bytes());
        target.refuses(&format!("K06 log {id}"), send, 422, "bad-log");
    }
    target.takes("with its own key", &author.sign(tree));
}

fn multikey(codec: &[u8], length: usize) -> String {
    multikey_of(&[codec, &vec![7; length]].concat())
}

fn multikey_of(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let text = digits
        .iter()
        .rev()
        .map(|digit| ALPHABET[*digit as usize] as char);
    std::iter::once('z').chain(text).collect()
}

#[test]
fn k10_a_record_under_a_key_that_the_log_dropped_is_refused_whatever_its_date() {
    let (target, mut author) = Target::with_author();
    let old = author.rotate();
    let answer = author.hand_log_to(&target.url);
    assert_eq!(answer.status, 201, "{}", answer.text());
    // What the old key signed no longer counts.
    assert_eq!(get(&target.url, &author.path("first")).status, 404);
    for (id, issued) in [
        ("now", crate::support::now().to_string()),
        ("1970", "1970-01-01T00:00:00Z".into()),
    ] {
        let mut tree = author.offering("late", 1, "Late");
        tree.insert("issued".into(), issued.into());
        let record = author.sign_with(tree, &old);
        target.refuses_record(&format!("K10 {id}"), &record, 422, "key-retired");
    }
    target.takes(
        "under the new key",
        &author.record("first", 2, "Signed anew"),
    );
}

#[test]
fn k09_a_log_entry_signed_by_an_update_key_that_was_rotated_out_is_refused() {
    let (target, mut author) = Target::with_author();
    for _ in 0..2 {
        author.rotate();
    }
    assert_eq!(author.hand_log_to(&target.url).status, 201);
    target.takes("K09 before", &author.record("first", 2, "Signed anew"));
    let path = format!("/api/v1/organizations/{}/log", author.scid());
    let served = format!("/api/v1/organizations/{}/did.jsonl", author.scid());
    let before = get(&target.url, &served).body;
    // The keys of the entries before the last one are out; with pre-rotation so is the last one's.
    assert_eq!(author.spent.len(), 3);
    for (n, out) in author.spent.iter().enumerate() {
        // An entry that names the old key has one that nothing committed to; one that names the
        // committed key is not signed by it.
        for (names_signer, reason) in [
            (true, "was not committed to by the entry before"),
            (false, "may not sign this entry"),
        ] {
            let entry = author.forged_entry(out, names_signer);
            let alone = target.refuses(
                &format!("K09 key {n} alone"),
                |url| post(url, &path, &entry),
                422,
                "bad-log",
            );
            assert!(alone.text().contains(reason), "{}", alone.text());
            let whole = [author.log.join(&b'\n'), entry].join(&b'\n');
            target.refuses(
                &format!("K09 key {n} with the log"),
                |url| post(url, &path, &whole),
                422,
                "bad-log",
            );
        }
    }
    assert_eq!(get(&target.url, &served).body, before);
    target.takes("K09 after", &author.record("first", 3, "Still here"));
    // The key that was committed to goes on.
    author.rotate();
    assert_eq!(author.hand_log_to(&target.url).status, 201);
}

#[test]
fn k09_a_peer_cannot_hand_on_a_log_entry_signed_by_an_update_key_that_was_rotated_out() {
    let mut author = Author::at("http://127.0.0.1:9");
    author.rotate();
    let record = author.record("kept", 1, "Kept");
    let forged = author.forged_entry(&author.spent[0], true);
    let peer = Hostile::feed(vec![
        log_line(1, &author.scid(), &author.log[0]),
        log_line(2, &author.scid(), &author.log[1]),
        record_line(3, &record),
        log_line(4, &author.scid(), &forged),
        end_line(4),
    ]);
    let node = Node::running(&[peer.port]);
    node.json(&["follow", &peer.url]);
    peer.until_asked_since("feed-4");
    let told = node.peer();
    assert_eq!(told["refused"], 1, "{told}");
    let reason = told["last_refusal"].as_str().unwrap();
    assert!(reason.contains("was not committed to"), "{told}");
    assert_eq!(node.get(&author.path("kept")).body, record);
    let lines: Vec<String> = node.holdings().into_iter().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn k07_a_record_under_a_key_that_the_log_never_listed_waits_and_is_shown_nowhere() {
    let (target, mut author) = Target::with_author();
    let before = client::state_hash(&target.url);
    // The key of the next log entry, which the node has not seen.
    let shown = author.key.public();
    author.rotate();
    let record = author.record("early", 1, "Early");
    let answer = hand_in(&target.url, &record);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(client::state_hash(&target.url), before);
    assert_eq!(get(&target.url, &author.path("early")).status, 404);
    let first = get(&target.url, &author.path("first"));
    assert_eq!(first.status, 200);
    assert!(first.text().contains(&shown.to_string()));
    // When the log lists it, it counts.
    assert_eq!(author.hand_log_to(&target.url).status, 201);
    assert_eq!(get(&target.url, &author.path("early")).body, record);
}

#[test]
fn k08_after_a_rotation_only_what_was_signed_anew_counts_here_and_at_a_follower() {
    let (hub, follower) = Node::pair();
    let scid = hub.org("itu");
    let drafts: Vec<Value> = (0..5)
        .map(|n| json!({"type": "Offering", "localId": format!("c-{n}"), "body": {"kind": "course", "name": {"en": format!("Course {n}")}}}))
        .collect();
    hub.publish("itu", &json!(drafts));
    hub.json(&["withdraw", &format!("{scid}/c-4")]);
    follower.befriend(&hub);
    follower.until_equal(&hub);
    let path = |local: &str| format!("/api/v1/records/{scid}/{local}");
    let locals = ["c-0", "c-1", "c-2", "c-3", "c-4", "organization"];
    let read = |node: &Node| -> BTreeMap<&str, (u16, Value)> {
        locals
            .map(|local| {
                let answer = node.get(&path(local));
                (local, (answer.status, answer.json()))
            })
            .into()
    };
    let before = read(&hub);
    assert_eq!(before, read(&follower));
    let old_key = before["c-0"].1["proof"]["verificationMethod"].clone();

    let rotated = hub.json(&["org", "rotate", "itu"]);
    assert_eq!(rotated["signed"], 6, "{rotated}");
    let after = read(&hub);
    for local in locals {
        let ((status, old), (new_status, new)) = (&before[local], &after[local]);
        assert_eq!(status, new_status, "{local}");
        assert_eq!(*status, if local == "c-4" { 410 } else { 200 }, "{local}");
        assert!(new["seq"].as_u64() > old["seq"].as_u64(), "{local}: {new}");
        assert_ne!(new["proof"]["verificationMethod"], old_key, "{local}");
        assert_eq!(new.get("body"), old.get("body"), "{local}");
        assert_eq!(new["status"], old["status"], "{local}");
        // The old version is refused now, here as there.
        let answer = client::post(&hub.url, "/api/v1/records", &to_canonical(old));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (422, "key-retired"),
            "{local}"
        );
    }
    follower.until_equal(&hub);
    assert_eq!(read(&follower), after);
    follower.until_found("q=course&type=Offering", 4);
}

#[test]
fn k13_somebody_else_under_the_same_name_is_another_identity() {
    let target = Target::open();
    let handle = crate::support::author::new_handle();
    let first = Author::with_handle(&target.url, &handle);
    assert_eq!(first.hand_log_to(&target.url).status, 201);
    let record = first.record("x", 1, "The first one's");
    target.takes("K13", &record);
    let second = Author::with_handle(&target.url, &handle);
    target.refuses(
        "K13 log",
        |url| second.hand_log_to(url),
        409,
        "handle-taken",
    );
    // With the first one's log under the second one's records, and the other way round.
    let claim = format!("/api/v1/organizations/{}/log", first.scid());
    let answer = post(&target.url, &claim, &second.log.join(&b'\n'));
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    let mut tree = second.offering("x", 2, "The second one's");
    tree.insert("author".into(), first.did().to_string().into());
    let forged = second.sign(tree.clone());
    target.refuses_record("K13 record", &forged, 422, "foreign-signer");
    let served = get(&target.url, &format!("/orgs/{handle}/did.jsonl"));
    assert_eq!(served.text().trim_end().as_bytes(), first.log.join(&b'\n'));
    assert_eq!(get(&target.url, &first.path("x")).body, record);
}

#[test]
fn k15_names_that_look_alike_are_kept_and_shown_with_their_host() {
    let (target, author) = Target::with_author();
    // Cyrillic letters, a right-to-left override, a joiner without width.
    for (n, name) in [
        "р\u{430}ypal quux",
        "\u{202e}lapyap quux",
        "pay\u{200d}pal quux",
    ]
    .iter()
    .enumerate()
    {
        target.takes("K15", &author.record(&format!("alike-{n}"), 1, name));
    }
    let items = until("all are found", || {
        let answer = get(
            &target.url,
            &format!("/api/v1/search?q=quux&org={}", author.scid()),
        )
        .json();
        let items = answer["items"].as_array().unwrap().clone();
        let own: Vec<Value> = items
            .into_iter()
            .filter(|item| item["author"]["id"] == author.scid().as_str())
            .collect();
        (own.len() == 3).then_some(own)
    });
    let (host, port) = (author.did().host(), author.did().port().unwrap());
    for item in items {
        assert_eq!(item["author"]["host"], format!("{host}:{port}"), "{item}");
    }
}

#[test]
fn logs_that_are_forked_or_elsewhere_or_cut_are_refused_and_change_nothing() {
    let (target, mut author) = Target::with_author();
    let path = format!("/api/v1/organizations/{}/log", author.scid());
    // Two entries with one number, both signed by the key that the first one commits to.
    let fork = author.next_entry(&new_key(), &new_key());
    author.rotate();
    assert_eq!(author.hand_log_to(&target.url).status, 201);
    let fork = [&author.log[0][..], b"\n", &fork.to_canonical_bytes()].concat();
    target.refuses("a fork", |url| post(url, &path, &fork), 409, "forked");
    // Without its beginning, by somebody who has not met it.
    let mut unknown = Author::at(&target.url);
    unknown.rotate();
    let cut = format!("/api/v1/organizations/{}/log", unknown.scid());
    let answer = post(&target.url, &cut, &unknown.log[1]);
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
    assert!(!answer.code().is_empty());
    let elsewhere = Author::at("http://127.0.0.1:9");
    target.refuses(
        "elsewhere",
        |url| elsewhere.hand_log_to(url),
        403,
        "not-hosted",
    );
    for (id, body, status, code) in [
        ("empty", Vec::new(), 400, "malformed"),
        ("no JSON", b"nonsense".to_vec(), 400, "malformed"),
        (
            "twice a name",
            br#"{"a":1,"a":2}"#.to_vec(),
            400,
            "duplicate-name",
        ),
        ("no entry", b"{}".to_vec(), 422, "bad-log"),
        ("of somebody else", elsewhere.log[0].clone(), 422, "bad-log"),
    ] {
        target.refuses(id, |url| post(url, &path, &body), status, code);
    }
    let wrong = |url: &str| post(url, "/api/v1/organizations/nonsense/log", &author.log[0]);
    target.refuses("no identifier", wrong, 400, "malformed");
    let held = post(&target.url, &path, &author.log[0]);
    assert_eq!(held.status, 200, "{}", held.text());
}
