//! Rows I: files of rows, as an operator imports them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

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
    // The name of the file is part of what a record says of its source.
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
