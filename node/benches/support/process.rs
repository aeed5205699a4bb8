//! The program itself, as its users run it: a folder, and a process that serves it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How often it is asked whether it serves.
const LOOK: Duration = Duration::from_millis(1);

/// A node in a folder; killed when it is dropped.
pub(crate) struct Process {
    folder: PathBuf,
    pub(crate) url: String,
    child: Option<Child>,
    client: reqwest::Client,
}

impl Process {
    /// Makes a node that may talk to a port of loopback. It does not run yet.
    pub(crate) fn make(folder: &Path, port: u16, peer: u16) -> Self {
        let process = Self {
            folder: folder.to_owned(),
            url: format!("http://127.0.0.1:{port}"),
            child: None,
            client: reqwest::Client::new(),
        };
        let peer = format!("127.0.0.1:{peer}");
        let made = Command::new(env!("CARGO_BIN_EXE_baraza"))
            .arg("init")
            .arg(folder)
            .args([
                "--name",
                "bench",
                "--url",
                &process.url,
                "--insecure-peer",
                &peer,
            ])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        process
    }

    /// Carries a command out.
    pub(crate) fn run(&self, arguments: &[&str]) {
        assert!(self.does(arguments), "{arguments:?}");
    }

    /// Carries a command out, and gives whether it could.
    pub(crate) fn does(&self, arguments: &[&str]) -> bool {
        let ran = self
            .command()
            .args(arguments)
            .stdout(Stdio::null())
            .status();
        ran.unwrap().success()
    }

    fn command(&self) -> Command {
        command_in(&self.folder)
    }

    /// Backs all of it up beside its folder while it runs.
    pub(crate) fn backup(&self) -> Backup {
        let file = self.folder.with_extension("backup");
        let start = Instant::now();
        self.run(&["backup", file.to_str().unwrap()]);
        Backup {
            time: start.elapsed(),
            bytes: bytes_below(&file),
        }
    }

    /// Makes another folder of the backup, gives how long that took, and removes it again.
    pub(crate) fn restore_beside(&self) -> Duration {
        let (file, folder) = ["backup", "restored"]
            .map(|extension| self.folder.with_extension(extension))
            .into();
        let start = Instant::now();
        let ran = command_in(&folder)
            .args(["restore", file.to_str().unwrap()])
            .stdout(Stdio::null())
            .status();
        let time = start.elapsed();
        assert!(ran.unwrap().success());
        std::fs::remove_dir_all(&folder).unwrap();
        time
    }

    /// Starts it, and gives the time until it answered a search.
    pub(crate) async fn start(&mut self) -> Duration {
        let start = Instant::now();
        let child = self.command().arg("serve").stdout(Stdio::null()).spawn();
        self.child = Some(child.unwrap());
        let address = format!("{}/api/v1/search?q=course&limit=1", self.url);
        loop {
            if let Ok(answer) = self.client.get(&address).send().await
                && answer.status().is_success()
            {
                answer.bytes().await.unwrap();
                return start.elapsed();
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.child.take().unwrap().wait().unwrap();
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// An answer's bytes.
    pub(crate) async fn get(&self, path: &str) -> Vec<u8> {
        let answer = self
            .client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap().to_vec()
    }

    /// How many records are found.
    pub(crate) async fn found(&self) -> usize {
        let answer = self.get("/api/v1/search?limit=1").await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["total"].as_u64().unwrap() as usize
    }

    /// Memory that is neither files nor shared, in bytes: what nothing but the process can give back.
    pub(crate) fn anonymous_memory(&self) -> u64 {
        anonymous_memory_of(self.pid())
    }

    /// Bytes of the disk that a part of its folder takes.
    pub(crate) fn disk(&self, part: &str) -> u64 {
        bytes_below(&self.folder.join(part))
    }
}

/// A backup that was taken.
pub(crate) struct Backup {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

fn command_in(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baraza"));
    command.arg("--dir").arg(folder).stdin(Stdio::null());
    command
}

/// That of any process.
pub(crate) fn anonymous_memory_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1_024
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// What goes while it is looked for counts nothing: segments of the index are merged.
fn bytes_below(path: &Path) -> u64 {
    let Ok(about) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !about.is_dir() {
        return about.blocks() * 512;
    }
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .map(|entry| bytes_below(&entry.unwrap().path()))
        .sum()
}
