//! Rows I: files of rows, as an operator imports them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::hostile::{Hostile, answer};
use crate::support::node::Node;
use crate::support::{sources, started, until};

fn import(node: &Node, file: &str, more: &[&str]) -> Value {
    let mut arguments = vec![
        "import",
        file,
        "--org",
        "itu",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ];
    arguments.extend(more);
    node.json(&arguments)
}

/// As it stands, for a file that says in which language its rows are.
fn import_with(node: &Node, file: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["import", file, "--org", "itu", "--set", "kind=course"];
    arguments.extend(more);
    node.json(&arguments)
}

fn counts(said: &Value) -> [u64; 4] {
    ["new", "changed", "unchanged", "refused"].map(|member| said[member].as_u64().unwrap())
}

fn row(n: usize) -> String {
    format!("Course number {n},https://courses.example/{n},cyber\n")
}

fn table(rows: impl IntoIterator<Item = usize>) -> String {
    let rows: String = rows.into_iter().map(row).collect();
    format!("title,url,areas\n{rows}")
}

#[test]
fn i09_a_file_imported_twice_changes_nothing_the_second_time() {
    let node = Node::running(&[]);
    node.org("itu");
    let file = node.write("rows.csv", table(0..50));
    assert_eq!(counts(&import(&node, &file, &[])), [50, 0, 0, 0]);
    let (hash, changes) = (node.state_hash(), node.number("changes"));
    assert_eq!(counts(&import(&node, &file, &[])), [0, 0, 50, 0]);
    assert_eq!((node.state_hash(), node.number("changes")), (hash, changes));
    // The rows in another order, with other line ends and a byte order mark, are the same rows.
    let turned = format!("\u{feff}{}", table((0..50).rev())).replace('\n', "\r\n");
    let file = node.write("rows.csv", turned);
    assert_eq!(counts(&import(&node, &file, &[])), [0, 0, 50, 0]);
    // A dry run says what would be and does nothing.
    let file = node.write("rows.csv", table(0..60));
    let said = import(&node, &file, &["--dry-run"]);
    assert_eq!(
        (&said["dryRun"], &said["readable"]),
        (&json!(true), &json!(60))
    );
    assert_eq!(node.number("changes"), changes);
    assert_eq!(counts(&import(&node, &file, &[])), [10, 0, 50, 0]);
    node.until_found("q=course&limit=100", 60);
}

#[test]
fn rows_that_are_gone_from_the_file_stay_until_their_withdrawal_is_asked_for() {
    let node = Node::running(&[]);
    let scid = node.org("itu");
    let own = json!({"type": "Offering", "localId": "own", "body": {"kind": "course", "name": {"en": "Course of our own"}}});
    node.publish("itu", &own);
    let file = node.write("rows.csv", table(0..10));
    import(&node, &file, &[]);
    let fewer = node.write("rows.csv", table(0..7));
    let said = import(&node, &fewer, &[]);
    assert_eq!(
        (counts(&said), &said["withdrawn"]),
        ([0, 0, 7, 0], &json!(0))
    );
    node.until_found("q=course&limit=100", 11);
    let said = import(&node, &fewer, &["--withdraw-missing"]);
    assert_eq!(
        (counts(&said), &said["withdrawn"]),
        ([0, 0, 7, 0], &json!(3))
    );
    node.until_found("q=course&limit=100", 8);
    assert_eq!(node.number("withdrawn"), 3);
    assert_eq!(node.get(&format!("/api/v1/records/{scid}/own")).status, 200);
    let said = import(&node, &fewer, &["--withdraw-missing"]);
    assert_eq!(said["withdrawn"], 0, "{said}");
    // A row that comes back is there again.
    let file = node.write("rows.csv", table(0..10));
    let said = import(&node, &file, &[]);
    assert_eq!(counts(&said), [0, 3, 7, 0], "{said}");
    node.until_found("q=course&limit=100", 11);
}

#[test]
fn i02_i03_i05_bad_files_are_refused_with_row_and_reason_and_import_nothing() {
    let node = Node::running(&[]);
    node.org("itu");
    let before = node.state_hash();
    let good = table(0..3);
    let utf16: Vec<u8> = "\u{feff}title,url\nA,https://a.example\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut big_endian = b"title\n".to_vec();
    big_endian.extend_from_slice(b"caf\xe9\n");
    let rows: [(&str, Vec<u8>, &str); 4] = [
        (
            "I02 unclosed quote",
            format!("{good}\"never closed,x,y\n").into_bytes(),
            "line 5, character 1",
        ),
        ("I03 Windows-1252", big_endian, "UTF-8"),
        (
            "I05 no title",
            format!("{good},https://x.example/,cyber\n").into_bytes(),
            "row 5",
        ),
        (
            "I05 bad address",
            format!("{good}Course,javascript:alert(1),cyber\n").into_bytes(),
            "row 5",
        ),
    ];
    for (id, bytes, words) in rows {
        let file = node.write("bad.csv", bytes);
        let arguments = [
            "import",
            &file,
            "--org",
            "itu",
            "--set",
            "kind=course",
            "--set",
            "language=en",
        ];
        let ran = node.run(&arguments).refused(words);
        assert_eq!(node.state_hash(), before, "{id}: {}", ran.out);
    }
    // The good rows only when that is asked for.
    let file = node.write("bad.csv", format!("{good},https://x.example/,cyber\n"));
    let report = node.file("report.txt");
    let more = ["--good-rows", "--report", report.to_str().unwrap()];
    assert_eq!(counts(&import(&node, &file, &more)), [3, 0, 0, 1]);
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("\nRow 5, column “title”\n"), "{report}");
    let file = node.write("utf16.csv", utf16);
    assert_eq!(counts(&import(&node, &file, &[]))[0], 1);
}

#[test]
fn i04_cells_that_look_like_formulas_are_text() {
    let node = Node::running(&[]);
    node.org("itu");
    let cells = [
        "=1+1 quux",
        "+1 quux",
        "-1 quux",
        "@sum quux",
        "<script>alert(1)</script> quux",
    ];
    let file = node.write("rows.csv", format!("title\n{}\n", cells.join("\n")));
    assert_eq!(counts(&import(&node, &file, &[])), [5, 0, 0, 0]);
    node.until_found("q=quux", 5);
    let answer = node.get("/api/v1/search?q=quux").json();
    let names: Vec<&str> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    for cell in cells {
        assert!(names.contains(&cell), "{cell} is not among {names:?}");
    }
}

/// How many records an import left, seen after whatever ended it.
fn imported(node: &Node) -> u64 {
    node.json(&["search", "--type", "Offering"])["total"]
        .as_u64()
        .unwrap()
}

#[test]
fn i10_an_import_that_is_killed_leaves_all_or_nothing() {
    const ROWS: usize = 2_000;
    let measured = Node::make(&[]);
    measured.org("itu");
    let file = measured.write("rows.csv", table(0..ROWS));
    let start = started();
    import(&measured, &file, &[]);
    let whole = start.elapsed();
    assert_eq!(imported(&measured), ROWS as u64);

    let node = Node::make(&[]);
    node.org("itu");
    let (mut killed, mut left) = (0, Vec::new());
    for step in 1..=60 {
        let mut process = node.begin(&[
            "import",
            &file,
            "--org",
            "itu",
            "--set",
            "kind=course",
            "--set",
            "language=en",
        ]);
        // The moment is chosen by the clock because any moment must do.
        std::thread::sleep(whole * step / 30);
        let is_over = process.try_wait().unwrap().is_some();
        process.kill().unwrap();
        process.wait().unwrap();
        let count = imported(&node);
        assert!(
            count == 0 || count == ROWS as u64,
            "{count} of {ROWS} after step {step}"
        );
        if is_over {
            assert_eq!(count, ROWS as u64);
        } else {
            killed += 1;
        }
        left.push(count);
        if count > 0 {
            break;
        }
    }
    println!("killed {killed} times within {whole:?}: {left:?} records were left");
    assert!(killed >= 5, "killed {killed} times");
    let said = import(&node, &file, &[]);
    assert_eq!(counts(&said).iter().sum::<u64>(), ROWS as u64, "{said}");
    assert_eq!(imported(&node), ROWS as u64);
}

#[test]
fn i10_an_import_that_is_decided_is_finished_after_a_kill_and_one_that_is_not_leaves_nothing() {
    const ROWS: usize = 6_000;
    let mut node = Node::make(&[]);
    node.org("itu");
    let file = node.write("rows.csv", table(0..ROWS));
    let arguments = [
        "import",
        &file,
        "--org",
        "itu",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ];
    let kill_once = |node: &Node, name: &str| {
        let path = node.dir().join("data").join(name);
        let mut process = node.begin(&arguments);
        until(&format!("{name} is there"), || path.exists().then_some(()));
        process.kill().unwrap();
        process.wait().unwrap();
    };
    // While rows are read and signed, nothing is decided.
    kill_once(&node, "publishing.new");
    assert_eq!(imported(&node), 0);
    // Once all is written down, everything is: a node that starts has finished it before it serves.
    kill_once(&node, "publishing.ndjson");
    assert!(
        node.dir().join("data/publishing.ndjson").exists(),
        "it was over before it was killed"
    );
    node.start();
    assert_eq!(node.number("records"), ROWS as u64 + 1, "{}", node.census());
    assert!(!node.dir().join("data/publishing.ndjson").exists());
    let said = import(&node, &file, &[]);
    assert_eq!(counts(&said), [0, 0, ROWS as u64, 0], "{said}");
    node.stop();
}

#[test]
fn rows_of_other_files_are_not_missed_and_a_file_may_take_anothers_place() {
    let node = Node::running(&[]);
    node.org("itu");
    let spring = node.write("spring.csv", table(0..5));
    let autumn = node.write("autumn.csv", table(5..8));
    import(&node, &spring, &[]);
    let said = import(&node, &autumn, &["--withdraw-missing"]);
    assert_eq!(
        (counts(&said), &said["withdrawn"]),
        ([3, 0, 0, 0], &json!(0))
    );
    // A new edition under another name: what stands in it is as it was, what does not is the old file's.
    let edition = node.write("spring-2.csv", table(0..4));
    let ran = node.run(&[
        "import",
        &edition,
        "--org",
        "itu",
        "--set",
        "kind=course",
        "--set",
        "language=en",
        "--dry-run",
    ]);
    assert!(
        ran.out.contains("import it with --source \"spring.csv\""),
        "{}",
        ran.out
    );
    let said = import(
        &node,
        &edition,
        &["--source", "spring.csv", "--withdraw-missing"],
    );
    assert_eq!(
        (counts(&said), &said["withdrawn"]),
        ([0, 0, 4, 0], &json!(1)),
        "{said}"
    );
    // Rows with ids of their own are remembered as well.
    let rows = "id,title\na,A\nb,B\n";
    let named = node.write("named.csv", rows);
    import(&node, &named, &[]);
    let named = node.write("named.csv", "id,title\na,A\n");
    let said = import(&node, &named, &[]);
    assert_eq!(
        (&said["missing"], &said["withdrawn"]),
        (&json!(1), &json!(0))
    );
    let said = import(&node, &named, &["--withdraw-missing"]);
    assert_eq!(said["withdrawn"], 1, "{said}");
}

#[test]
fn what_its_owner_withdrew_stays_withdrawn_until_it_is_asked_back() {
    let node = Node::running(&[]);
    let scid = node.org("itu");
    let file = node.write("rows.csv", "id,title\na,A\nb,B\n");
    import(&node, &file, &[]);
    node.run(&["withdraw", &format!("{scid}/a")]).ok();
    let said = import(&node, &file, &[]);
    assert_eq!(
        (counts(&said), &said["stillWithdrawn"]),
        ([0, 0, 1, 0], &json!(1)),
        "{said}"
    );
    assert_eq!(node.number("withdrawn"), 1);
    let said = import(&node, &file, &["--restore"]);
    assert_eq!(
        (counts(&said), &said["stillWithdrawn"]),
        ([0, 1, 1, 0], &json!(0)),
        "{said}"
    );
    assert_eq!(node.number("withdrawn"), 0);
}

const PAGE: &str = r#"<!doctype html><html lang="en"><script>boom()</script>
    <script type="application/ld+json">{"@context": "https://schema.org", "@graph": [
    {"@type": "Course", "@id": "/quux", "name": "Quux for beginners", "isAccessibleForFree": true},
    {"@type": "WebSite", "name": "Site"}]}</script></html>"#;

#[test]
fn i13_a_page_is_fetched_as_safely_as_all_else_and_its_courses_are_published() {
    let inside = Hostile::start(|_, stream| answer(stream, "200 OK", "text/html", PAGE.as_bytes()));
    let listed = Hostile::start(|first, stream| {
        let (status, kind, body): (&str, &str, &[u8]) = match first.split(' ').nth(1).unwrap() {
            "/courses" => ("200 OK", "text/html; charset=utf-8", PAGE.as_bytes()),
            "/empty" => ("200 OK", "text/html", b"<html></html>"),
            "/large" => ("200 OK", "text/html", &[b' '; 2 * 1024 * 1024]),
            _ => ("404 Not Found", "text/plain", b""),
        };
        answer(stream, status, kind, body);
    });
    let node = Node::running(&[listed.port]);
    node.org("itu");
    let before = node.state_hash();
    let port = inside.port;
    for (address, words) in [
        (format!("http://127.0.0.1:{port}/"), "https"),
        (format!("https://127.0.0.1:{port}/"), "127.0.0.1"),
        ("https://10.0.0.1/".to_owned(), "not on the public internet"),
        (
            "https://169.254.169.254/latest/".to_owned(),
            "not on the public internet",
        ),
        ("https://[::1]/".to_owned(), "not on the public internet"),
        (format!("{}/empty", listed.url), "application/ld+json"),
        (format!("{}/large", listed.url), "more than 1048576 bytes"),
        (format!("{}/none", listed.url), "404"),
    ] {
        node.run(&["import", &address, "--org", "itu"])
            .refused(words);
    }
    assert_eq!((node.state_hash(), inside.connections()), (before, 0));
    let address = format!("{}/courses", listed.url);
    let said = node.json(&["import", &address, "--org", "itu"]);
    assert_eq!(
        (counts(&said), &said["leftOut"]),
        ([1, 0, 0, 0], &json!(1)),
        "{said}"
    );
    node.until_found("q=quux&cost=free", 1);
    let said = node.json(&["import", &address, "--org", "itu"]);
    assert_eq!(counts(&said), [0, 0, 1, 0], "{said}");
}

/// The data that lies beside the clone, if it does.
fn shared(path: &str) -> Option<PathBuf> {
    let given = std::env::var_os("BARAZA_SHARED").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| sources().join("../shared"));
    Some(folder.join(path)).filter(|file| file.exists())
}

#[test]
fn real_data_imports_whole_once_and_a_follower_ends_with_the_same() {
    let Some(file) = shared("data/free-courses/free-courses.csv") else {
        println!(
            "skipped: ../shared/data/free-courses is not beside this clone (BARAZA_SHARED names another place)"
        );
        return;
    };
    let (hub, follower) = Node::pair();
    hub.org("itu");
    let file = file.to_str().unwrap();
    let start = started();
    let said = import_with(&hub, file, &["--set", "cost=free", "--good-rows"]);
    let took = start.elapsed();
    println!("{said} in {took:.1?}");
    let [new, changed, unchanged, refused] = counts(&said);
    assert!(new > 4_000 && changed == 0, "{said}");
    assert!(refused * 50 < new, "{said}");
    let again = import_with(&hub, file, &["--set", "cost=free", "--good-rows"]);
    assert_eq!(counts(&again), [0, 0, new + unchanged, refused], "{again}");

    let start = started();
    follower.befriend(&hub);
    follower.until_equal(&hub);
    println!("a follower had all of it after {:.1?}", start.elapsed());
    until("all is found", || {
        let all = follower.number("records");
        (follower.number("indexed") == all).then_some(())
    });
    println!("and found it after {:.1?}", start.elapsed());
    let total = |node: &Node| node.get("/api/v1/search?q=python&limit=1").json()["total"].clone();
    assert!(total(&follower).as_u64() > Some(10), "{}", total(&follower));
    until("the hub finds the same", || {
        (total(&hub) == total(&follower)).then_some(())
    });
    assert!(start.elapsed() < Duration::from_secs(120));
}

#[test]
fn i11_a_record_of_another_organisation_is_refused_and_theirs_stays_as_it_is() {
    let node = Node::running(&[]);
    node.org("itu");
    let diplo = node.org("diplo");
    let theirs = json!([{
        "type": "Offering", "localId": "c-1", "language": "en",
        "body": {"kind": "course", "name": {"en": "Theirs"}, "areas": ["cyber"]},
    }]);
    node.publish("diplo", &theirs);
    let path = format!("/api/v1/records/{diplo}/c-1");
    let signed = node.get(&path).body;
    let hash = node.state_hash();
    let mut changed: Value = serde_json::from_slice(&signed).unwrap();
    changed["body"]["name"]["en"] = json!("Ours now");
    changed.as_object_mut().unwrap().remove("proof");
    for (name, record) in [
        ("signed.json", signed.clone()),
        ("changed.json", changed.to_string().into_bytes()),
    ] {
        let file = node.write(name, &record);
        let ran = node.run(&["import", &file, "--org", "itu", "--json"]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let finding = ran.json()["findings"][0].clone();
        assert_eq!(finding["column"], "author", "{finding}");
        assert!(
            finding["problem"].as_str().unwrap().contains(&diplo),
            "{finding}"
        );
    }
    assert_eq!(node.state_hash(), hash);
    assert_eq!(node.get(&path).body, signed);
    // Its own organisation takes it, as a draft.
    let file = node.write("signed.json", &signed);
    let said = node.json(&["import", &file, "--org", "diplo"]);
    assert_eq!(said["refused"], 0, "{said}");
}
