//! Acknowledged is durable: what a killed process, a torn file and a trace of system calls show.
//! `BARAZA_KILLS=1000` kills more often than the usual 100 times.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use baraza::store::{Change, Receipt, Store, StoreError, What};
use baraza_store_tests::{Author, Chance, Version, at, proven, wait};
use protocol::id::VersionHash;
use protocol::identity::WitnessProofs;

const PUBLISHER: &str = env!("CARGO_BIN_EXE_publish_until_killed");

fn publisher(folder: &Path, round: u64, threads: u64) -> Command {
    let mut command = Command::new(PUBLISHER);
    command
        .arg(folder)
        .args([round.to_string(), threads.to_string()])
        .stdout(Stdio::piped());
    command
}

/// What the publisher said was acknowledged.
#[derive(Default)]
struct Said {
    new: BTreeMap<String, VersionHash>,
    hot: BTreeMap<String, u64>,
    seen: u64,
    lines: usize,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ready"] => {}
            ["seen", number] => self.seen = self.seen.max(number.parse().unwrap()),
            ["new", local, hash] => {
                self.new
                    .insert(local.to_owned(), VersionHash::parse(hash).unwrap());
            }
            ["hot", local, seq] => {
                let seq = seq.parse().unwrap();
                let before = self.hot.insert(local.to_owned(), seq);
                assert!(before < Some(seq), "{line} after {before:?}");
            }
            _ => panic!("the publisher says: {line}"),
        }
        self.lines += 1;
    }
}

/// All changes after `after`, whose numbers must rise.
fn changes(store: &Store, after: u64) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    let mut read_to = after;
    loop {
        let (changes, end) = store.changes(read_to, 1_000).unwrap();
        for change in changes {
            let last = all.last().map_or(after, |change| change.number);
            assert!(change.number > last && change.number <= end);
            all.push(change);
        }
        if end == read_to {
            return all;
        }
        read_to = end;
    }
}

fn hash_of(change: &Change) -> Option<VersionHash> {
    match &change.what {
        What::Held { row, .. } => Some(row.rank.hash),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often to kill is chosen outside"
)]
fn kills() -> u64 {
    let chosen = std::env::var("BARAZA_KILLS").ok();
    chosen.and_then(|kills| kills.parse().ok()).unwrap_or(100)
}

#[test]
fn d01_a_process_killed_at_any_moment_has_lost_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let author = Author::found(1, &[1], at(-1_000));
    let mut chance = Chance::of(1);
    let mut said = Said::default();
    // A follower outside, who reads on after each kill from where it stopped.
    let mut cursor = 0;
    let mut followed = BTreeSet::new();
    for round in 0..kills() {
        let threads = 1 + round % 8;
        let mut child = publisher(folder.path(), round, threads).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert_eq!(first, "ready", "round {round}");
        for _ in 0..chance.below(150) {
            said.hear(&lines.next().unwrap().unwrap());
        }
        child.kill().unwrap();
        // What it had written before it died was acknowledged too.
        for line in lines {
            said.hear(&line.unwrap());
        }
        assert!(!child.wait().unwrap().success());

        let store = Store::open(folder.path(), "another".to_owned()).unwrap();
        assert_eq!(store.epoch(), "epoch");
        for (local, hash) in &said.new {
            let held = store.by_hash(hash).unwrap();
            let (id, row) = held.unwrap_or_else(|| panic!("round {round}: {local} is lost"));
            assert_eq!(id, author.id(local));
            assert_eq!(VersionHash::of(&row.canonical().unwrap()), *hash);
        }
        for (local, seq) in &said.hot {
            assert!(store.highest_seq(&author.id(local)).unwrap() >= *seq);
            assert!(store.counting(&author.id(local)).unwrap().unwrap().rank.seq >= *seq);
        }
        // Nothing that a follower was shown, inside or outside, was taken back.
        let last = store.last_change().unwrap();
        assert!(last >= said.seen, "{last} after {} was seen", said.seen);
        assert!(last >= cursor);
        let news = changes(&store, cursor);
        followed.extend(news.iter().filter_map(hash_of));
        cursor = last;
        let held: BTreeSet<VersionHash> = store
            .held(None)
            .map(|row| row.unwrap().1.rank.hash)
            .collect();
        assert!(
            held.is_subset(&followed),
            "round {round}: a follower misses some"
        );
        if round % 20 == 0 {
            let all: Vec<VersionHash> = changes(&store, 0).iter().filter_map(hash_of).collect();
            assert_eq!(all.len(), held.len());
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), held);
        }
    }
    println!("{} lines, {} records", said.lines, said.new.len());
    assert!(said.new.len() as u64 > 5 * kills());
}

/// A copy of a store's folder with other content in its database file.
fn copy_with(folder: &Path, database: &[u8]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let to = copy.path().join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&to).unwrap();
            for blob in std::fs::read_dir(entry.path()).unwrap() {
                let blob = blob.unwrap();
                std::fs::copy(blob.path(), to.join(blob.file_name())).unwrap();
            }
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
    std::fs::write(copy.path().join("db"), database).unwrap();
    copy
}

/// A store's folder as a killed process leaves it after some records, and how far its file was written
/// when each of them was acknowledged.
struct Killed {
    _folder: tempfile::TempDir,
    torn_from: tempfile::TempDir,
    author: Author,
    database: Vec<u8>,
    acknowledged: Vec<(usize, VersionHash)>,
}

fn killed_after(records: u64) -> Killed {
    let folder = tempfile::tempdir().unwrap();
    let author = Author::found(1, &[1], at(-1_000));
    let store = Store::open(folder.path(), "epoch".to_owned()).unwrap();
    let none = WitnessProofs::empty();
    wait(store.learn(author.entries[0].clone(), none, at(0))).unwrap();
    let file = folder.path().join("db");
    let mut database = std::fs::read(&file).unwrap();
    let mut written = 0;
    let mut acknowledged = Vec::new();
    for n in 0..records {
        let record = author.record(&Version::of(&format!("r{n}"), 1));
        let receipt = wait(store.admit(proven(&record), at(0), None)).unwrap();
        assert_eq!(receipt, Receipt::Stored);
        let now = std::fs::read(&file).unwrap();
        written = written.max(end_of_difference(&database, &now));
        acknowledged.push((written, record.hash()));
        database = now;
    }
    // Copied while it is open: nothing is written at the end.
    let torn_from = copy_with(folder.path(), &database);
    drop(store);
    Killed {
        _folder: folder,
        torn_from,
        author,
        database,
        acknowledged,
    }
}

#[test]
fn d03_the_last_record_torn_at_every_byte_is_dropped_alone_and_the_log_says_so() {
    let killed = killed_after(12);
    let [.., (before, _), (last, torn)] = killed.acknowledged[..] else {
        panic!("there are records");
    };
    let kept = &killed.acknowledged[..killed.acknowledged.len() - 1];
    let said = killed.torn_from.path().join("said");
    let log = std::fs::File::create(&said).unwrap();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::sync::Arc::new(log))
        .finish();
    let mut dropped = 0;
    tracing::subscriber::with_default(log, || {
        for tear in before..last {
            let cut = killed.database[..tear].to_vec();
            let mut zeroed = killed.database.clone();
            zeroed[tear..].fill(0);
            for (how, file) in [("cut", cut), ("zeroed", zeroed)] {
                let copy = copy_with(killed.torn_from.path(), &file);
                let place = format!("{how} at {tear}, {} before the end", last - tear);
                let store = Store::open(copy.path(), "epoch".to_owned())
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                for (_, hash) in kept {
                    let held = store.by_hash(hash).unwrap();
                    let (_, row) = held.unwrap_or_else(|| panic!("{place}: one is lost"));
                    assert_eq!(VersionHash::of(&row.canonical().unwrap()), *hash);
                }
                let held: BTreeSet<VersionHash> = store
                    .held(None)
                    .map(|row| row.unwrap().1.rank.hash)
                    .collect();
                let told = changes(&store, 0).iter().filter_map(hash_of).collect();
                assert_eq!(held, told, "{place}");
                // Whole, or not there in any table.
                let is_held = store.by_hash(&torn).unwrap().is_some();
                assert_eq!(is_held, held.contains(&torn), "{place}");
                assert_eq!(held.len(), kept.len() + usize::from(is_held), "{place}");
                dropped += usize::from(!is_held);
                let said_now = std::fs::read_to_string(&said).unwrap();
                let last_change = format!("last_change={}", store.last_change().unwrap());
                let line = said_now.lines().next_back().unwrap_or_default();
                assert!(line.contains("not closed in order"), "{place}: {line}");
                assert!(line.contains(&last_change), "{place}: {line}");
                std::fs::write(&said, "").unwrap();
                // It takes the record again and goes on from there.
                let number = kept.len();
                let again = killed.author.record(&Version::of(&format!("r{number}"), 1));
                wait(store.admit(proven(&again), at(0), None)).unwrap();
                assert!(store.by_hash(&torn).unwrap().is_some(), "{place}");
            }
        }
    });
    println!(
        "{} offsets, cut and zeroed: {dropped} dropped",
        last - before
    );
    assert!(dropped > 0 && last - before > 100);
}

#[test]
fn a_store_that_was_closed_in_order_is_opened_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let log = std::sync::Arc::new(std::fs::File::create(&said).unwrap());
    let log = tracing_subscriber::fmt().with_writer(log).finish();
    tracing::subscriber::with_default(log, || {
        for _ in 0..3 {
            drop(Store::open(&folder.path().join("store"), "epoch".to_owned()).unwrap());
        }
    });
    assert_eq!(std::fs::read_to_string(&said).unwrap(), "");
}

#[test]
fn d03_a_torn_file_opens_with_all_that_was_acknowledged_before_the_tear_or_is_refused() {
    let killed = killed_after(24);
    let Killed {
        torn_from,
        author,
        database: before,
        acknowledged,
        ..
    } = &killed;
    let last = acknowledged.last().unwrap().0;
    let first = acknowledged[acknowledged.len() - 4].0;
    let mut chance = Chance::of(3);
    let mut tears: Vec<usize> = (first.saturating_sub(40)..first + 40)
        .step_by(7)
        .chain(last - 30..=last)
        .collect();
    tears.extend((0..40).map(|_| first + chance.below(last - first)));
    let (mut opened, mut refused) = (0, 0);
    for tear in tears {
        let cut = before[..tear].to_vec();
        let mut zeroed = before.clone();
        zeroed[tear..].fill(0);
        for torn in [cut, zeroed] {
            let copy = copy_with(torn_from.path(), &torn);
            match Store::open(copy.path(), "epoch".to_owned()) {
                Ok(store) => {
                    opened += 1;
                    for (end, hash) in acknowledged {
                        let is_held = store.by_hash(hash).unwrap().is_some();
                        assert!(is_held || *end > tear, "torn at {tear}: one is lost");
                    }
                    let held = store.held(None).map(|row| row.unwrap().1.rank.hash);
                    let told = changes(&store, 0);
                    assert_eq!(
                        held.collect::<BTreeSet<_>>(),
                        told.iter().filter_map(hash_of).collect()
                    );
                    let local = format!("after-{tear}");
                    let more = proven(&author.record(&Version::of(&local, 1)));
                    wait(store.admit(more, at(0), None)).unwrap();
                }
                Err(
                    StoreError::Corrupt { .. } | StoreError::Io(_) | StoreError::Unusable { .. },
                ) => {
                    refused += 1;
                }
                Err(other) => panic!("torn at {tear}: {other}"),
            }
        }
    }
    println!("{opened} opened, {refused} refused");
    assert!(opened > 0);
}

/// The end of the part in which two files differ.
fn end_of_difference(before: &[u8], now: &[u8]) -> usize {
    let at = |bytes: &[u8], place: usize| bytes.get(place).copied().unwrap_or_default();
    (0..now.len())
        .rev()
        .find(|place| at(before, *place) != at(now, *place))
        .map_or(0, |place| place + 1)
}

#[test]
fn d07_a_folder_of_somebody_else_is_refused_with_a_clear_message() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    let folder = tempfile::tempdir().unwrap();
    let is_root = std::fs::metadata(folder.path()).unwrap().uid() == 0;
    let mut command = publisher(folder.path(), 0, 1);
    let readable = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(folder.path(), readable).unwrap();
    if is_root {
        // Root may write everywhere: let nobody try, with a copy of the program that it may run.
        let program = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(program.path(), open).unwrap();
        let copy = program.path().join("publisher");
        std::fs::copy(PUBLISHER, &copy).unwrap();
        command = Command::new(&copy);
        command
            .arg(folder.path())
            .args(["0", "1"])
            .stdout(Stdio::piped())
            .uid(65_534);
        assert_refused(command);
    } else {
        assert_refused(command);
    }
}

fn assert_refused(mut command: Command) {
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    let mut out = child.stdout.take().unwrap();
    out.read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(
        said.starts_with("refused ") && said.contains("cannot be used"),
        "{said}"
    );
}

#[test]
fn d08_a_second_process_on_one_folder_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = publisher(folder.path(), 0, 1).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let second = publisher(folder.path(), 1, 1).output().unwrap();
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(!second.status.success());
    assert!(said.contains("in use by another process"), "{said}");
    let refused = Store::open(folder.path(), "epoch".to_owned());
    assert!(matches!(refused, Err(StoreError::Locked { .. })));
    let goes_on = lines.by_ref().take(50).filter(|line| line.is_ok()).count();
    assert_eq!(goes_on, 50);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn no_acknowledgement_is_written_before_fdatasync_on_the_database_has_returned() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let store = folder.path().join("store");
    let options = [
        "-f",
        "-y",
        "-s",
        "64",
        "-e",
        "trace=fdatasync,fsync,write,pwrite64,sync_file_range",
    ];
    let Some(said) = traced(&options, &trace, &store, &["0", "1", "40"]) else {
        return;
    };
    let acknowledged = said.lines().filter(is_acknowledgement).count();
    assert_eq!(acknowledged, 40 + 14);

    let trace = std::fs::read_to_string(&trace).unwrap();
    let calls = read_trace(&trace);
    let database = store.join("db").display().to_string();
    let (mut is_written, mut is_synced, mut checked) = (false, false, 0);
    for call in calls {
        if call.starts_with("pwrite64(") && call.contains(&format!("<{database}>")) {
            is_written = true;
            is_synced = false;
        } else if call.starts_with("fdatasync(")
            && call.contains(&format!("<{database}>"))
            && call.ends_with("= 0")
        {
            is_synced = true;
        } else if call.starts_with("write(1<")
            && (call.contains("\"new ") || call.contains("\"hot "))
        {
            assert!(is_written, "nothing was written before {call}");
            assert!(is_synced, "not synced before {call}");
            is_written = false;
            checked += 1;
        }
    }
    assert_eq!(checked, acknowledged);
    println!("{checked} acknowledgements, each after fdatasync on {database} had returned");
}

/// Runs the publisher under `strace`, and gives what it said; `None`, with the reason told, where that is
/// not possible.
fn traced(options: &[&str], trace: &Path, store: &Path, arguments: &[&str]) -> Option<String> {
    let traced = Command::new("strace")
        .args(options)
        .arg("-o")
        .arg(trace)
        .args([PUBLISHER.as_ref(), store.as_os_str()])
        .args(arguments)
        .output();
    match traced {
        Ok(traced) if traced.status.success() => Some(String::from_utf8(traced.stdout).unwrap()),
        Ok(traced) => {
            let why = String::from_utf8_lossy(&traced.stderr).into_owned();
            assert!(
                why.contains("ptrace") || why.contains("PTRACE"),
                "the publisher failed: {why}"
            );
            println!("skipped: tracing is not allowed here: {why}");
            None
        }
        Err(_) => {
            println!("skipped: strace is not installed");
            None
        }
    }
}

fn is_acknowledgement(line: &&str) -> bool {
    line.starts_with("new ") || line.starts_with("hot ")
}

/// The calls of a trace in the order in which they count: a write to standard output when it begins,
/// any other when it has returned.
fn read_trace(trace: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.trim().split_once(' ') else {
            continue;
        };
        let call = call.trim();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            if beginning.starts_with("write(1<") {
                calls.push(beginning.to_owned());
            } else {
                begun.insert(thread, beginning.to_owned());
            }
        } else if call.starts_with("<... ") {
            let end = call.split_once("resumed>").map_or("", |(_, end)| end);
            if let Some(beginning) = begun.remove(thread) {
                calls.push(format!("{beginning}{end}"));
            }
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

/// A system call of a traced process that changed the database or made it durable, or acknowledged.
enum Call {
    Written { offset: usize, bytes: Vec<u8> },
    Synced,
    Acknowledged { local: String, hash: VersionHash },
}

/// Reads a trace whose texts stand in hexadecimal digits.
fn calls_of(trace: &str, database: &str) -> Vec<Call> {
    let unpack = |text: &str| -> Vec<u8> {
        let digits = text.trim_matches('"').split("\\x").skip(1);
        digits
            .map(|digits| u8::from_str_radix(digits, 16).unwrap())
            .collect()
    };
    let is_of_database = |call: &str| {
        let file = call
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        file.is_some_and(|(file, _)| file == database || unpack(file) == database.as_bytes())
    };
    let mut calls = Vec::new();
    for call in read_trace(trace) {
        if call.starts_with("pwrite64(") && is_of_database(&call) {
            let mut parts = call.split_once(", ").unwrap().1.split(", ");
            let bytes = unpack(parts.next().unwrap());
            let length: usize = parts.next().unwrap().parse().unwrap();
            let offset = parts.next().unwrap().split(')').next().unwrap().trim();
            assert_eq!(bytes.len(), length, "the trace cut a write short");
            calls.push(Call::Written {
                offset: offset.parse().unwrap(),
                bytes,
            });
        } else if call.starts_with("fdatasync(") && is_of_database(&call) && call.ends_with("= 0") {
            calls.push(Call::Synced);
        } else if call.starts_with("write(1<") {
            let said = unpack(call.split_once(", ").unwrap().1.split(", ").next().unwrap());
            let said = String::from_utf8(said).unwrap();
            if let ["new", local, hash] = said.trim_end().split(' ').collect::<Vec<_>>()[..] {
                calls.push(Call::Acknowledged {
                    local: local.to_owned(),
                    hash: VersionHash::parse(hash).unwrap(),
                });
            }
        }
    }
    calls
}

#[test]
fn d02_a_power_cut_that_drops_all_that_was_not_synced_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, store) = (folder.path().join("trace"), folder.path().join("store"));
    // What was there before, and came to an orderly end.
    let first = publisher(&store, 0, 1).arg("1").status().unwrap();
    assert!(first.success());
    let base = std::fs::read(store.join("db")).unwrap();
    let before = copy_with(&store, &base);
    let Some(_) = traced(
        &[
            "-f",
            "-y",
            "-xx",
            "-s",
            "8000000",
            "-e",
            "trace=pwrite64,fdatasync,write",
        ],
        &trace,
        &store,
        &["1", "1", "30"],
    ) else {
        return;
    };
    let database = store.join("db").display().to_string();
    let calls = calls_of(&std::fs::read_to_string(&trace).unwrap(), &database);
    let (mut durable, mut written) = (base.clone(), base);
    let mut acknowledged: Vec<(String, VersionHash)> = Vec::new();
    for call in calls {
        match call {
            Call::Written { offset, bytes } => {
                let end = offset + bytes.len();
                written.resize(written.len().max(end), 0);
                written[offset..end].copy_from_slice(&bytes);
            }
            Call::Synced => durable.clone_from(&written),
            Call::Acknowledged { local, hash } => {
                acknowledged.push((local, hash));
                // The power goes now. Of the other files, only those of before are there.
                let after = copy_with(before.path(), &durable);
                let store = Store::open(after.path(), "another".to_owned()).unwrap();
                for (local, hash) in &acknowledged {
                    let held = store.by_hash(hash).unwrap();
                    let (_, row) = held.unwrap_or_else(|| panic!("{local} is lost"));
                    assert_eq!(VersionHash::of(&row.canonical().unwrap()), *hash);
                }
            }
        }
    }
    assert_eq!(acknowledged.len(), 30);
}
