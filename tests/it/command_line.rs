//! The command line does the same beside a running node and in its place, and says so to scripts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::node::{Node, Ran, baraza};
use crate::support::until;

fn course(local: &str, name: &str) -> Value {
    json!({
        "type": "Offering", "localId": local, "language": "en",
        "body": {"kind": "course", "name": {"en": name}, "areas": ["cyber"]},
    })
}

fn members(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// An operator's day, as text without what differs from node to node.
fn story(node: &Node) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |what: &str, said: &Value| told.push(format!("{what}: {said}"));

    let made = node.json(&["org", "add", "itu", "--name", "ITU Academy"]);
    for member in ["handle", "did", "scid"] {
        assert!(made[member].is_string(), "{made}");
    }
    assert_eq!(made["handle"], "itu");
    assert!(
        made["did"]
            .as_str()
            .unwrap()
            .contains(made["scid"].as_str().unwrap())
    );
    tell("org add", &json!(members(&made)));
    let scid = made["scid"].as_str().unwrap().to_owned();
    node.run(&["org", "add", "itu", "--name", "Again"])
        .refused("taken");
    node.run(&["org", "add", "Not A Handle", "--name", "X"])
        .refused("handle");

    let file = node.write("one.json", course("c-1", "Incident response").to_string());
    let said = node.json(&["publish", &file, "--org", "itu"]);
    assert_eq!(said["id"], format!("{scid}/c-1"));
    assert!(
        said["version"].as_str().unwrap().starts_with("Qm"),
        "{said}"
    );
    tell(
        "publish",
        &json!([members(&said), said["seq"], said["outcome"]]),
    );
    let said = node.json(&["publish", &file, "--org", "itu"]);
    tell("again", &json!([said["seq"], said["outcome"]]));
    let file = node.write(
        "one.json",
        course("c-1", "Incident response, revised").to_string(),
    );
    let said = node.json(&["publish", &file, "--org", "itu"]);
    tell("changed", &json!([said["seq"], said["outcome"]]));
    let many = json!([
        course("c-2", "Digital policy"),
        course("c-3", "Data protection")
    ]);
    let file = node.write("many.json", many.to_string());
    let said = node.json(&["publish", &file, "--org", "itu"]);
    tell("many", &json!(said.as_array().unwrap().len()));

    let search = |words: &str| {
        until(&format!("“{words}” is found"), || {
            let found = node.json(&["search", words]);
            (found["total"].as_u64() > Some(0)).then_some(found)
        })
    };
    let found = search("revised");
    assert_eq!(found["items"][0]["id"], format!("{scid}/c-1"), "{found}");
    tell(
        "search",
        &json!([members(&found), found["total"], members(&found["items"][0])]),
    );
    let filtered = node.json(&["search", "--area", "cyber", "--type", "Offering"]);
    tell("filter", &filtered["total"]);
    tell("none", &node.json(&["search", "zebra"])["total"]);

    let csv =
        "id,title,url\nrow-a,Course A,https://a.example/\nrow-b,Course B,https://b.example/\n";
    let file = node.write("rows.csv", csv);
    let import = [
        "import",
        &file,
        "--org",
        "itu",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ];
    for what in ["import", "import again"] {
        let said = node.json(&import);
        for member in ["new", "changed", "unchanged", "refused"] {
            assert!(said[member].is_u64(), "{said}");
        }
        tell(what, &said);
    }

    let id = format!("{scid}/c-2");
    let said = node.json(&["withdraw", &id]);
    tell("withdraw", &json!([members(&said), said["seq"]]));
    node.run(&["withdraw", &id])
        .refused("not a record of this node");
    node.run(&["withdraw", &format!("{scid}/no-such")])
        .refused("not a record");
    node.run(&["withdraw", "nonsense"]).refused("");
    tell(
        "withdrawn",
        &node.json(&["search", "policy", "--area", "cyber"])["total"],
    );

    let listed = node.json(&["org", "list"]);
    tell(
        "org list",
        &json!([listed["total"], members(&listed["items"][0])]),
    );
    let peers = node.json(&["peers"]);
    tell("peers", &peers);
    told
}

#[test]
fn commands_give_the_same_beside_a_running_node_and_without_one() {
    let mut running = Node::running(&[]);
    let resting = Node::make(&[]);
    let (beside, without) = (story(&running), story(&resting));
    assert_eq!(beside, without);
    assert!(beside.len() >= 12, "{beside:?}");
    // And what was done without a process is served once there is one.
    let mut resting = resting;
    resting.start();
    resting.until_found("q=revised", 1);
    assert_eq!(resting.number("records"), running.number("records"));
    assert_eq!(resting.number("withdrawn"), 1);
    running.stop();
    resting.stop();
}

#[test]
fn exit_codes_are_0_done_1_refused_and_2_wrong_usage() {
    let node = Node::make(&[]);
    let code = |ran: Ran| ran.code;
    for wrong in [
        vec!["nonsense"],
        vec![],
        vec!["publish", "x.json"],
        vec!["init", "/nowhere"],
        vec!["search", "--limit", "many"],
        vec!["org"],
    ] {
        assert_eq!(code(baraza(&wrong)), 2, "{wrong:?}");
    }
    assert_eq!(code(baraza(&["--help"])), 0);
    assert_eq!(code(baraza(&["--version"])), 0);
    let nowhere = node.file("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    baraza(&["search", "x", "--dir", nowhere]).refused("there is no node in");
    baraza(&["serve", "--dir", nowhere]).refused("baraza init");
    assert!(
        !node.file("nowhere").exists(),
        "asking must not make a folder"
    );
    node.run(&["publish", "/no/such.json", "--org", "x"])
        .refused("/no/such.json");
    node.run(&["publish", &node.write("x.json", "{}"), "--org", "nobody"])
        .refused("nobody");
    node.run(&["unfollow", "https://hub.example"])
        .refused("is not followed");
    let refused = node.run(&["--json", "withdraw", "nonsense"]);
    assert_eq!(refused.code, 1);
    assert!(refused.json()["error"].is_string());
    let dir = node.dir();
    let again = [
        "init",
        dir.to_str().unwrap(),
        "--name",
        "X",
        "--url",
        "http://127.0.0.1:9",
    ];
    baraza(&again).refused("holds a node already");
    for url in [
        "http://hub.example",
        "https://hub",
        "nonsense",
        "https://hub.example/path",
    ] {
        let ran = baraza(&["init", nowhere, "--name", "X", "--url", url]).refused("url");
        assert!(!node.file("nowhere").exists(), "{url}: {}", ran.err);
    }
}

#[test]
fn init_says_the_recovery_code_once_and_keeps_it_nowhere() {
    let node = Node::make(&[]);
    let folder = node.file("second");
    let folder = folder.to_str().unwrap();
    let said = baraza(&[
        "--json",
        "init",
        folder,
        "--name",
        "X",
        "--url",
        "https://hub.example",
    ])
    .ok();
    let said = said.json();
    let code = said["recoveryCode"].as_str().unwrap().to_owned();
    assert!(
        said["did"].as_str().unwrap().ends_with(":hub.example"),
        "{said}"
    );
    let mut waiting = vec![node.file("second")];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(code.len())
            .any(|part| part == code.as_bytes());
        assert!(!found, "{}", path.display());
    }
    assert!(files >= 5, "{files} files");
}

#[test]
fn a_draft_with_a_member_twice_or_a_language_by_name_is_refused_with_the_place() {
    let node = Node::running(&[]);
    node.org("itu");
    let before = node.number("records");
    let publish = |text: &str| {
        let file = node.write("draft.json", text);
        let ran = node.run(&["publish", &file, "--org", "itu"]);
        assert_ne!(ran.code, 0, "{text}");
        ran.err
    };
    let twice = publish(
        "{\n \"type\": \"Offering\", \"localId\": \"x\",\n \"body\": {\"kind\": \"course\",\n  \"name\": {\"en\": \"A\"},\n  \"name\": {\"en\": \"B\"}}\n}",
    );
    assert!(twice.contains("“name” stands twice"), "{twice}");
    assert!(twice.contains("line 5 column"), "{twice}");

    let mut named = course("x", "A course");
    named["language"] = "english".into();
    let said = publish(&named.to_string());
    assert!(
        said.contains("“english”") && said.contains("did you mean en?"),
        "{said}"
    );
    let mut named = course("x", "A course");
    named["body"]["name"] = json!({"french": "Un cours"});
    let said = publish(&named.to_string());
    assert!(
        said.contains("name") && said.contains("did you mean fr?"),
        "{said}"
    );
    let mut named = course("x", "A course");
    named["body"]["languages"] = json!(["en", "swahili"]);
    let said = publish(&named.to_string());
    assert!(
        said.contains("languages.1") && said.contains("did you mean sw?"),
        "{said}"
    );
    assert_eq!(node.number("records"), before);
}

#[test]
fn a_bad_draft_publishes_nothing_and_names_the_field() {
    let node = Node::running(&[]);
    node.org("itu");
    let before = node.state_hash();
    let with = |member: &str, value: Value| {
        let mut draft = course("c-2", "Bad");
        draft["body"][member] = value;
        draft
    };
    for (draft, words) in [
        (with("kind", json!("curse")), "kind"),
        (with("name", json!("plain")), "name"),
        (with("areas", json!(["astrology"])), "areas"),
        (with("url", json!("javascript:alert(1)")), "url"),
        (json!({"type": "Offering"}), "localId"),
        (
            json!({"type": "Request", "localId": "x", "body": {}}),
            "type",
        ),
        (course("c-1", "Twice"), "c-1"),
        (json!(5), "object"),
    ] {
        let drafts = json!([course("c-1", "Good"), draft]);
        let file = node.write("drafts.json", drafts.to_string());
        node.run(&["publish", &file, "--org", "itu"]).refused(words);
        assert_eq!(node.state_hash(), before, "{draft}");
    }
}

#[test]
fn a_record_verifies_offline_step_by_step_and_no_altered_byte_passes() {
    let mut node = Node::running(&[]);
    let scid = node.org("itu");
    node.publish("itu", &course("c-1", "Incident response"));
    let record = node.get(&format!("/api/v1/records/{scid}/c-1")).body;
    let log = node.get("/orgs/itu/did.jsonl").body;
    let other = node.get("/.well-known/did.jsonl").body;
    node.stop();
    let elsewhere = Node::make(&[]);
    let file = elsewhere.write("record.json", &record);
    let log_file = elsewhere.write("did.jsonl", &log);
    let other_file = elsewhere.write("other.jsonl", other);
    let with_log = |log: &str| elsewhere.run(&["verify", &file, "--log", log]);

    let good = with_log(&log_file).ok();
    for step in [
        "strict JSON",
        "canonical form",
        "proof fits every byte",
        "lists the key",
        "verifies",
    ] {
        assert!(good.out.contains(step), "“{step}” is not in {}", good.out);
    }
    let said = elsewhere.json(&["verify", &file, "--log", &log_file]);
    assert_eq!(
        (&said["verified"], &said["id"]),
        (&json!(true), &json!(format!("{scid}/c-1")))
    );
    assert!(
        elsewhere
            .run(&["verify", &log_file])
            .ok()
            .out
            .contains("key log verifies")
    );
    // Without the log, or with another's, nothing is believed.
    elsewhere
        .run(&["verify", &file])
        .refused("key log is not at hand");
    with_log(&other_file).refused("another author's");
    // Its own node has the log.
    node.run(&["verify", &file]).ok();

    for n in 0..48 {
        let at = record.len() * n / 48;
        let mut altered = record.clone();
        altered[at] = if altered[at] == b'7' { b'8' } else { b'7' };
        let altered_file = elsewhere.write("altered.json", &altered);
        let ran = elsewhere.run(&["verify", &altered_file, "--log", &log_file]);
        assert_eq!(ran.code, 1, "byte {at}: {}", ran.out);
        assert!(!ran.out.contains("verifies."), "byte {at}: {}", ran.out);
    }
    for n in 0..24 {
        let at = log.len() * n / 24;
        let mut altered = log.clone();
        altered[at] = if altered[at] == b'7' { b'8' } else { b'7' };
        let altered_file = elsewhere.write("altered.jsonl", &altered);
        assert_eq!(with_log(&altered_file).code, 1, "log byte {at}");
    }

    // After a rotation the same bytes no longer count, and the reason is said.
    node.json(&["org", "rotate", "itu"]);
    node.start();
    let rotated = elsewhere.write("rotated.jsonl", node.get("/orgs/itu/did.jsonl").body);
    with_log(&rotated).refused("dropped it");
}
