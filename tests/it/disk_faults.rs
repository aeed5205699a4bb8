//! Rows D05, D06, D14 and D15: a disk that is full or fails, too few files, too little memory. What was
//! acknowledged stays, what was not is not there in part, and the node goes on without a restart.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::author::{Author, hand_in};
use crate::support::client;
use crate::support::node::{Node, binary};
use crate::support::until;

/// A small disk of its own, where the system lets us have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Puts the data of a node that does not run on a disk of so many megabytes.
    fn under(node: &Node, megabytes: u32) -> Option<Self> {
        let data = node.dir().join("data");
        let aside = node.file("aside");
        fs::rename(&data, &aside).unwrap();
        fs::create_dir(&data).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(&data)
            .output();
        let disk = match mounted {
            Ok(mounted) if mounted.status.success() => Some(Self(data.clone())),
            Ok(mounted) => {
                let why = String::from_utf8_lossy(&mounted.stderr).into_owned();
                println!("SKIPPED: no disk may be mounted here: {why}");
                None
            }
            Err(error) => {
                println!("SKIPPED: there is no mount here: {error}");
                None
            }
        };
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(aside.join(".")).arg(&data);
        assert!(copy.status().unwrap().success());
        disk
    }

    /// Leaves nothing free; gives the file that takes all the room.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = File::create(&filler).unwrap();
        let some = vec![7; 64 * 1024];
        while file.write_all(&some).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn d05_a_node_whose_disk_is_full_reads_on_and_writes_again_once_there_is_room() {
    let mut node = Node::make(&[]);
    node.host_anyone();
    let Some(disk) = SmallDisk::under(&node, 160) else {
        return;
    };
    node.start();
    node.org("itu");
    let author = Author::hosted(&node.url);
    assert_eq!(
        hand_in(&node.url, &author.record("before", 1, "Before")).status,
        201
    );
    node.until_found("q=before", 1);
    for round in 1..=2 {
        let name = format!("Draft {round}");
        let draft = json!({"type": "Offering", "localId": "d", "body": {"kind": "course", "name": {"en": name}}});
        let draft = node.write("draft.json", draft.to_string());
        let filler = disk.fill();
        let state = node.state_hash();
        let during = author.record(&format!("during-{round}"), 1, "During");
        for _ in 0..3 {
            let answer = hand_in(&node.url, &during);
            assert_eq!(
                (answer.status, answer.code()),
                (503, "unavailable".to_owned())
            );
            assert_eq!(answer.header("retry-after"), Some("10"));
        }
        node.run(&["publish", &draft, "--org", "itu"])
            .refused("make room");
        // Everything can still be read.
        assert_eq!(node.get(&author.path("before")).status, 200);
        assert_eq!(
            node.get(&author.path(&format!("during-{round}"))).status,
            404
        );
        assert_eq!(node.found("q=before").len(), 1);
        assert_eq!(node.get("/sync/v1/changes").status, 200);
        assert_eq!(node.state_hash(), state);
        assert_eq!(node.get("/readyz").status, 200);
        let told = node.run(&["doctor"]).refused("disk");
        assert!(told.out.contains("left"), "{}", told.out);
        fs::remove_file(filler).unwrap();
        assert_eq!(hand_in(&node.url, &during).status, 201);
        node.run(&["publish", &draft, "--org", "itu"]).ok();
        node.until_found("q=during", round);
    }
    let state = node.state_hash();
    node.stop();
    node.start();
    assert_eq!(node.state_hash(), state);
    // The disk goes first.
    node.stop();
}

/// Makes system calls of a process fail while it lives.
struct Failing(Child);

impl Failing {
    /// `None` where that is not allowed.
    fn calls(process: u32, calls: &str, error: &str) -> Option<Self> {
        let tracer = Command::new("strace")
            .args(["-f", "-e", &format!("trace={calls}"), "-e"])
            .arg(format!("inject={calls}:error={error}"))
            .args(["-o", "/dev/null", "-p", &process.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut tracer = match tracer {
            Ok(tracer) => tracer,
            Err(error) => {
                println!("SKIPPED: there is no strace here: {error}");
                return None;
            }
        };
        let mut says = BufReader::new(tracer.stderr.take().unwrap()).lines();
        let first = says.next().and_then(Result::ok).unwrap_or_default();
        if !first.contains("attached") {
            println!("SKIPPED: processes may not be traced here: {first}");
            let _ = tracer.kill();
            let _ = tracer.wait();
            return None;
        }
        // What it says later is read, so that it is not stopped by a full pipe.
        std::thread::spawn(move || says.for_each(drop));
        Some(Self(tracer))
    }

    /// Calls work again.
    fn end(mut self) {
        let told = Command::new("kill")
            .args(["-INT", &self.0.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        self.0.wait().unwrap();
    }
}

/// A write that the disk fails is not acknowledged, and the next one is without a restart.
fn a_failing_disk(calls: &str, error: &str) {
    let mut node = Node::hosting(&[]);
    let author = Author::hosted(&node.url);
    assert_eq!(
        hand_in(&node.url, &author.record("before", 1, "Before")).status,
        201
    );
    for round in 1..=3 {
        let Some(failing) = Failing::calls(node.process(), calls, error) else {
            return;
        };
        let lost = author.record(&format!("lost-{round}"), 1, "Lost");
        let answer = hand_in(&node.url, &lost);
        assert_eq!(
            (answer.status, answer.code()),
            (503, "unavailable".to_owned())
        );
        failing.end();
        let good = author.record(&format!("good-{round}"), 1, "Good");
        until("it writes again", || {
            let answer = hand_in(&node.url, &good);
            assert!(
                [201, 200, 503].contains(&answer.status),
                "{}",
                answer.text()
            );
            (answer.status != 503).then_some(())
        });
        assert_eq!(node.get(&author.path("before")).status, 200);
    }
    assert!(node.log().contains("was opened again"), "{}", node.log());
    // A power cut now loses nothing that was acknowledged.
    node.kill();
    node.start();
    for local in ["before", "good-1", "good-2", "good-3"] {
        assert_eq!(node.get(&author.path(local)).status, 200, "{local}");
    }
}

#[test]
fn d06_a_write_whose_fsync_fails_is_not_acknowledged_and_the_store_is_opened_again() {
    a_failing_disk("fdatasync", "EIO");
}

#[test]
fn d05_a_write_that_finds_no_room_after_all_is_not_acknowledged_and_the_store_is_opened_again() {
    a_failing_disk("pwrite64", "ENOSPC");
}

#[test]
fn d14_a_node_out_of_files_refuses_connections_and_recovers_whole() {
    let mut node = Node::make(&[]);
    node.host_anyone();
    node.start_limited("ulimit -n 64");
    let author = Author::hosted(&node.url);
    assert_eq!(
        hand_in(&node.url, &author.record("before", 1, "Before")).status,
        201
    );
    let host: SocketAddr = client::authority(&node.url).parse().unwrap();
    // More callers than it has files for, who say nothing; they are held until the end.
    let silent: Vec<TcpStream> = (0..100)
        .filter_map(|_| TcpStream::connect_timeout(&host, Duration::from_secs(5)).ok())
        .collect();
    assert!(silent.len() > 64, "{}", silent.len());
    until("it has no more files", || {
        node.log().contains("Too many open files").then_some(())
    });
    until("it answers again", || {
        let answer = client::try_request(&node.url, "GET", "/readyz", &[], &[])?;
        (answer.status == 200).then_some(())
    });
    let after = author.record("after", 1, "After");
    until("it writes again", || {
        let answer = hand_in(&node.url, &after);
        assert!(
            [201, 200, 503].contains(&answer.status),
            "{}",
            answer.text()
        );
        (answer.status != 503).then_some(())
    });
    let state = node.state_hash();
    node.kill();
    node.start();
    assert_eq!(node.state_hash(), state);
    for local in ["before", "after"] {
        assert_eq!(node.get(&author.path(local)).status, 200, "{local}");
    }
}

/// A group of processes that together may use so much memory.
struct LittleMemory(PathBuf);

impl LittleMemory {
    /// `None` where the system does not let us make one.
    fn of(megabytes: u64) -> Option<Self> {
        let name = format!("baraza-d15-{}", std::process::id());
        let bytes = (megabytes * 1024 * 1024).to_string();
        // The older form of the interface, then the newer.
        for (root, limit) in [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ] {
            let group = Self(Path::new(root).join(&name));
            if Path::new(root).join("cgroup.procs").exists()
                && fs::create_dir(&group.0).is_ok()
                && fs::write(group.0.join(limit), &bytes).is_ok()
            {
                // Where there is swap it counts apart, in the newer form; elsewhere there is no such file.
                let _ = fs::write(group.0.join("memory.swap.max"), "0");
                return Some(group);
            }
        }
        println!("SKIPPED: memory may not be limited here");
        None
    }

    /// Runs a command within; `false` if it was killed.
    fn run(&self, arguments: &[&str], dir: &Path) -> bool {
        let join = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        let status = Command::new("sh")
            .args(["-c", &join, "sh"])
            .arg(binary())
            .args(arguments)
            .arg("--dir")
            .arg(dir)
            .env_remove("BARAZA_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let status = status.unwrap();
        let is_killed = status.signal() == Some(9);
        assert!(is_killed || status.success(), "{status}");
        !is_killed
    }
}

impl Drop for LittleMemory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn d15_an_import_that_is_killed_for_want_of_memory_is_there_whole_or_not_at_all() {
    const ROWS: u64 = 6_000;
    let node = Node::make(&[]);
    node.org("many");
    let rows: String = (0..ROWS)
        .map(|n| format!("row-{n},Course number {n},https://courses.example/{n}\n"))
        .collect();
    let file = node.write("rows.csv", format!("id,title,url\n{rows}"));
    let import = [
        "import",
        &file,
        "--org",
        "many",
        "--set",
        "kind=course",
        "--set",
        "language=en",
    ];
    let seen = || {
        node.json(&["search", "--type", "Offering"])["total"]
            .as_u64()
            .unwrap()
    };
    let mut killed = 0;
    for megabytes in [24, 40, 56, 72] {
        let Some(group) = LittleMemory::of(megabytes) else {
            return;
        };
        let is_done = group.run(&import, &node.dir());
        killed += u32::from(!is_done);
        // Whoever looks next opens the node as it would be started again.
        let seen = seen();
        println!("with {megabytes} MB: done {is_done}, {seen} rows are seen");
        assert!(seen == 0 || seen == ROWS, "{seen} of {ROWS} rows");
        assert!(!is_done || seen == ROWS, "it is done, and nothing is seen");
    }
    assert!(killed >= 1, "there was memory enough");
    node.json(&import);
    assert_eq!(seen(), ROWS);
}
