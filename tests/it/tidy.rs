//! The layout of the sources, kept by a test: each engine has one home, and so have clock and
//! environment.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sources;

/// Every file with this ending below a folder, by its path from the root.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let root = sources();
    let mut found = Vec::new();
    let mut waiting = vec![root.join(folder)];
    while let Some(path) = waiting.pop() {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | "node_modules" | ".git") {
                waiting.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        } else if name.ends_with(ending) {
            let shown = path.strip_prefix(&root).unwrap().display().to_string();
            found.push((shown, fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Lines of code that have `word`, outside the files whose paths begin with one of `homes`.
fn strays(code: &[(String, String)], word: &str, homes: &[&str]) -> Vec<String> {
    let mut strays = Vec::new();
    for (path, text) in code {
        // Tests may read what they like.
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        if is_test || homes.iter().any(|home| path.starts_with(home)) {
            continue;
        }
        for (line, number) in text.lines().zip(1..) {
            if line.contains(word) && !line.trim_start().starts_with("//") {
                strays.push(format!("{path}:{number}: {line}"));
            }
        }
    }
    strays
}

#[test]
fn each_engine_stays_in_its_home() {
    let code = [files("node/src", ".rs"), files("protocol/src", ".rs")].concat();
    assert!(code.len() > 60, "{} files", code.len());
    for (word, homes) in [
        ("sled::", &["node/src/store/embedded.rs"][..]),
        (
            "reqwest::",
            &[
                "node/src/federation/client.rs",
                "node/src/federation/client/",
            ],
        ),
        ("tantivy::", &["node/src/search.rs", "node/src/search/"]),
        ("axum::", &["node/src/web.rs", "node/src/web/"]),
        // The client asks of an error whether it was the connection's.
        (
            "hyper::",
            &["node/src/web.rs", "node/src/federation/client/error.rs"],
        ),
        ("SystemTime::now", &["node/src/clock.rs"]),
        (
            "Instant::now",
            &[
                "node/src/clock.rs",
                "node/src/federation/client",
                "node/src/federation/deliveries.rs",
                "node/src/federation/outbox.rs",
            ],
        ),
        ("env::var", &["node/src/config.rs"]),
        ("aws_lc_rs::", &["node/src/rsa.rs"]),
        ("RustCrypto", &[]),
    ] {
        let strays = strays(&code, word, homes);
        assert!(
            strays.is_empty(),
            "{word} outside its home:\n{}",
            strays.join("\n")
        );
        for home in homes {
            assert!(
                code.iter().any(|(path, _)| path.starts_with(home)),
                "{home} is no more: mend this test"
            );
        }
    }
}

#[test]
fn the_protocol_touches_no_file_socket_thread_or_clock() {
    let code = files("protocol/src", ".rs");
    assert!(code.len() > 20, "{} files", code.len());
    for word in [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::time",
        "tokio",
        "getrandom",
        "HashMap",
    ] {
        let strays = strays(&code, word, &[]);
        assert!(
            strays.is_empty(),
            "{word} in protocol:\n{}",
            strays.join("\n")
        );
    }
}

#[test]
fn no_folder_has_a_mod_rs_and_no_test_is_named_test() {
    for folder in ["node", "protocol", "tests", "examples"] {
        for (path, text) in files(folder, ".rs") {
            assert!(!path.ends_with("/mod.rs"), "{path}");
            assert!(
                !text.contains(concat!("fn test", "_")),
                "{path} has a test that is named test"
            );
        }
    }
}

/// Where the files of docs/bad-inputs.md lie, by the short beginnings of their paths there.
const SHORT_PATHS: [(&str, &str); 8] = [
    ("it/", "tests/it/"),
    ("harness/", "tests/harness/tests/"),
    ("store/", "tests/store/tests/"),
    ("ap/", "node/tests/activitypub/"),
    ("client/", "node/src/federation/client/tests/"),
    ("node/", "node/src/"),
    ("protocol/tests/", "protocol/tests/"),
    ("protocol/", "protocol/src/"),
];

#[test]
fn each_test_that_the_table_of_bad_inputs_names_is_there() {
    let table = fs::read_to_string(sources().join("docs/bad-inputs.md")).unwrap();
    let mut named = 0;
    let mut missing = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let mut text = String::new();
        for word in row.split('`').skip(1).step_by(2) {
            let (path, test) = match word.split_once("::") {
                Some((path, test)) => (Some(path), test),
                None if word.contains(".rs") => (Some(word), ""),
                None => (None, word),
            };
            let place = SHORT_PATHS
                .iter()
                .find_map(|(short, long)| Some(format!("{long}{}", path?.strip_prefix(short)?)));
            match place {
                Some(place) => text = fs::read_to_string(sources().join(place)).unwrap_or_default(),
                None if path.is_none() && test.ends_with('…') && !text.is_empty() => {}
                None => continue,
            }
            named += 1;
            let is_there = match test
                .strip_suffix('…')
                .map(|test| test.trim_start_matches('…'))
            {
                Some(part) => text.contains("fn ") && text.contains(part),
                None => {
                    test.is_empty() && !text.is_empty() || text.contains(&format!("fn {test}("))
                }
            };
            if !is_there {
                missing.push(format!("{word} of {row}"));
            }
        }
    }
    assert!(named > 100, "only {named} tests are named");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The targets of the links of a Markdown text, without fences.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target: String = part
                .chars()
                .take_while(|c| !matches!(c, ')' | ' '))
                .collect();
            found.push(target);
        }
    }
    found
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = files("", ".md");
    let mut checked = 0;
    for (path, text) in &documents {
        let folder = sources()
            .join(path)
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        for link in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target: PathBuf = match file {
                "" => sources().join(path),
                file => folder.join(file),
            };
            assert!(
                target.exists(),
                "{path} links to {link}, which is not there"
            );
            if !fragment.is_empty() && target.extension().is_some_and(|ending| ending == "md") {
                let text = fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let is_there = headings.map(anchor).any(|known| known == fragment);
                assert!(is_there, "{path} links to {link}: no such heading");
            }
            checked += 1;
        }
    }
    println!("{checked} links in {} documents", documents.len());
    assert_eq!(
        links("[a](b.md) [c](d#e \"t\")\n```\n[x](y)\n```"),
        ["b.md", "d#e"]
    );
    assert_eq!(anchor("## What it does, and why"), "what-it-does-and-why");
}

#[test]
fn no_file_has_the_marks_of_a_merge_in_it() {
    let marks = ["<".repeat(7) + " ", ">".repeat(7) + " "];
    for ending in [".rs", ".pem", ".toml", ".md", ".html", ".json", ".ftl"] {
        for (path, text) in files("", ending) {
            let marked = text
                .lines()
                .find(|line| marks.iter().any(|mark| line.starts_with(mark)));
            assert_eq!(marked, None, "{path}");
        }
    }
}
