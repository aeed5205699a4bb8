//! A node: a folder, and sometimes a process that serves it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::client::{self, Answer};
use super::thin_line::End;
use super::{started, until};

/// The program under test, built once. `BARAZA_BIN` names another.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("BARAZA_BIN") {
            return given.into();
        }
        // …/TARGET/PROFILE/deps/it-0123
        let own = std::env::current_exe().unwrap();
        let profile = own.parent().and_then(Path::parent).unwrap();
        let built = profile.join("baraza");
        if is_newer_than_sources(&built) {
            return built;
        }
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        build
            .args(["build", "--quiet", "--package", "baraza"])
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .current_dir(super::sources());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "baraza does not build");
        built
    })
}

/// Whether nothing that the program is made of was changed since it was built.
fn is_newer_than_sources(built: &Path) -> bool {
    let Ok(built) = fs::metadata(built).and_then(|file| file.modified()) else {
        return false;
    };
    let mut waiting = ["node", "protocol", "Cargo.toml", "Cargo.lock"]
        .map(|name| super::sources().join(name))
        .to_vec();
    while let Some(path) = waiting.pop() {
        let about = fs::metadata(&path).unwrap();
        if about.is_dir() {
            waiting.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if about.modified().unwrap() > built {
            return false;
        }
    }
    true
}

/// A free port of this machine, below those that systems give to outgoing connections, so that it
/// is still free when a node comes to use it.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = 12_000 + (std::process::id() % 180) as u16 * 100;
        let port = start + step;
        assert!(step < 2_000, "no port is free");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What came of a command.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let ran = Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    /// The last line, which with `--json` is the result.
    pub(crate) fn json(&self) -> Value {
        let last = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self
    }

    /// Refused: exit code 1, and a reason that has `words`.
    pub(crate) fn refused(self, words: &str) -> Self {
        assert_eq!(self.code, 1, "{} {}", self.out, self.err);
        assert!(
            self.err.contains(words) || self.out.contains(words),
            "“{words}” is not in: {} {}",
            self.out,
            self.err
        );
        self
    }
}

/// Runs the program with nothing but these arguments.
pub(crate) fn baraza(arguments: &[&str]) -> Ran {
    let output = Command::new(binary())
        .args(arguments)
        .env_remove("BARAZA_DIR")
        .stdin(Stdio::null())
        .output();
    Ran::of(output.unwrap())
}

pub(crate) struct Node {
    pub(crate) url: String,
    pub(crate) port: u16,
    folder: TempDir,
    process: Option<Child>,
    environment: Vec<(String, String)>,
}

impl Node {
    /// A node that may talk to those on `peers`, made by `baraza init`. It does not run yet.
    pub(crate) fn make(peers: &[u16]) -> Self {
        Self::make_on(port(), peers)
    }

    pub(crate) fn make_on(port: u16, peers: &[u16]) -> Self {
        let folder = TempDir::new().unwrap();
        let node = Self {
            url: format!("http://127.0.0.1:{port}"),
            port,
            process: None,
            environment: Vec::new(),
            folder,
        };
        let name = format!("node {port}");
        let dir = node.dir();
        let mut arguments = vec![
            "init",
            dir.to_str().unwrap(),
            "--name",
            &name,
            "--url",
            &node.url,
        ];
        let peers: Vec<String> = peers
            .iter()
            .flat_map(|port| {
                [
                    format!("127.0.0.1:{port}"),
                    format!("node.localhost:{port}"),
                ]
            })
            .collect();
        for peer in &peers {
            arguments.extend(["--insecure-peer", peer]);
        }
        baraza(&arguments).ok();
        // Most tests count what organisations say.
        node.edit("announce = true", "announce = false");
        node
    }

    /// Says of itself what it is, from its next start on.
    pub(crate) fn announce(&self) {
        self.edit("announce = false", "announce = true");
    }

    /// A node that runs.
    pub(crate) fn running(peers: &[u16]) -> Self {
        let mut node = Self::make(peers);
        node.start();
        node
    }

    /// A node that runs and takes in organisations that hold their own keys.
    pub(crate) fn hosting(peers: &[u16]) -> Self {
        let mut node = Self::make(peers);
        node.host_anyone();
        node.start();
        node
    }

    /// Two nodes, each of which may talk to the other, the second one open to anyone.
    pub(crate) fn pair() -> (Self, Self) {
        let ports = [port(), port()];
        let mut first = Self::make_on(ports[0], &ports);
        first.start();
        let mut second = Self::make_on(ports[1], &ports);
        second.host_anyone();
        second.start();
        (first, second)
    }

    /// Each follows the other, so that in the end both hold the same.
    pub(crate) fn befriend(&self, other: &Self) {
        self.json(&["follow", &other.url]);
        other.json(&["follow", &self.url]);
    }

    pub(crate) fn host_anyone(&self) {
        self.edit("policy = \"closed\"", "policy = \"open\"");
    }

    /// Changes the settings.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let file = self.dir().join("baraza.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    pub(crate) fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    /// A file beside the node's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file beside the node's folder and gives its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let file = self.file(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// What the process wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("stderr")).unwrap_or_default()
    }

    /// Starts the process without waiting for it.
    fn spawn_with(&mut self, arguments: &[&str]) {
        self.spawn_by(Command::new(binary()), arguments);
    }

    fn spawn_by(&mut self, mut program: Command, arguments: &[&str]) {
        assert!(self.process.is_none(), "it runs");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("stderr"))
            .unwrap();
        let child = program
            .args(["serve", "--dir"])
            .arg(self.dir())
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .env_remove("BARAZA_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(child.unwrap());
    }

    /// Starts the process and waits until it serves.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// As [`Node::start`], with more arguments.
    pub(crate) fn start_with(&mut self, arguments: &[&str]) {
        self.spawn_with(arguments);
        self.until_ready();
    }

    /// As [`Node::start`], with less than the system would give: `limit` is what a shell is told.
    pub(crate) fn start_limited(&mut self, limit: &str) {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{limit} && exec \"$@\""), "sh"])
            .arg(binary());
        self.spawn_by(shell, &[]);
        self.until_ready();
    }

    /// A node at one end of a line, made but not started, which may talk to `peers` there. It says that it has
    /// TLS, as a node off loopback must, and who follows it here says http.
    pub(crate) fn at(end: &End, peers: &[&Self]) -> Self {
        let mut node = Self::make(&[]);
        let address = format!("{}:{}", end.address, node.port);
        let settings = format!("url = \"https://{address}\"\nlisten = \"{address}\"");
        node.edit(&format!("url = \"{}\"", node.url), &settings);
        node.url = format!("http://{address}");
        let peers: Vec<&str> = peers
            .iter()
            .map(|peer| &peer.url["http://".len()..])
            .collect();
        node.edit(
            "insecure_peers = []",
            &format!("insecure_peers = {peers:?}"),
        );
        node
    }

    /// Starts the process in the network at this end of a line, and waits until it serves.
    pub(crate) fn start_at(&mut self, end: &End) {
        let mut program = Command::new("ip");
        program.args(["netns", "exec", &end.network]).arg(binary());
        self.spawn_by(program, &[]);
        // Its address is not reached from here, its folder is.
        until("the node is ready", || {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            UnixStream::connect(self.dir().join("control.sock")).ok()
        });
    }

    fn until_ready(&mut self) {
        until("the node is ready", || {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            let answer = client::try_request(&self.url, "GET", "/readyz", &[], &[])?;
            (answer.status == 200).then_some(())
        });
    }

    /// Starts a process that must refuse to: gives its exit code and reason.
    pub(crate) fn start_refused(&mut self) -> Ran {
        baraza(&["serve", "--dir", self.dir().to_str().unwrap()])
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// The number of the process.
    pub(crate) fn process(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// The memory that the process has now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.unwrap().parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let process = self.process();
        let sent = Command::new("kill")
            .args([name, &process.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to stop and does not wait.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Waits for the end that was asked for.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        let status = until("the process ends", || process.try_wait().unwrap());
        self.check_log();
        status
    }

    /// Stops it as service managers do; it must end well.
    pub(crate) fn stop(&mut self) {
        self.terminate();
        let start = started();
        let status = self.ended();
        assert!(status.success(), "{status}: {}", self.log());
        assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
        self.check_log();
    }

    fn check_log(&self) {
        let log = self.log();
        assert!(!log.contains(" panicked at "), "{log}");
    }

    /// Runs a command for this node's folder, whether the node runs or not.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let dir = self.dir();
        let mut all = arguments.to_vec();
        all.extend(["--dir", dir.to_str().unwrap()]);
        baraza(&all)
    }

    /// Runs a command that must do what it says; gives its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.run(&all).ok().json()
    }

    /// Starts a command and does not wait for it.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        Command::new(binary())
            .args(arguments)
            .arg("--dir")
            .arg(self.dir())
            .env_remove("BARAZA_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Makes an organisation; gives its SCID.
    pub(crate) fn org(&self, handle: &str) -> String {
        let name = format!("Organisation {handle}");
        let made = self.json(&["org", "add", handle, "--name", &name]);
        made["scid"].as_str().unwrap().to_owned()
    }

    /// Publishes drafts as an organisation.
    pub(crate) fn publish(&self, handle: &str, drafts: &Value) -> Value {
        let file = self.write("drafts.json", drafts.to_string());
        self.json(&["publish", &file, "--org", handle])
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        client::get(&self.url, path)
    }

    pub(crate) fn census(&self) -> Value {
        client::census(&self.url)
    }

    pub(crate) fn number(&self, member: &str) -> u64 {
        self.census()[member].as_u64().unwrap()
    }

    pub(crate) fn state_hash(&self) -> String {
        client::state_hash(&self.url)
    }

    /// Every line of the change feed that is not about the node's own identity: what was signed, as
    /// it goes out to others.
    pub(crate) fn holdings(&self) -> BTreeSet<String> {
        let own = self.get("/.well-known/did.jsonl").json();
        let own = own["parameters"]["scid"].as_str().unwrap().to_owned();
        let mut lines = BTreeSet::new();
        let mut since = String::new();
        loop {
            let page = self.get(&format!("/sync/v1/changes?limit=1000{since}"));
            assert_eq!(page.status, 200, "{}", page.text());
            let page: Vec<Value> = page
                .text()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let (end, rows) = page.split_last().unwrap();
            for row in rows.iter().filter(|row| row["scid"] != own.as_str()) {
                let is_record = row.get("record").is_some();
                let signed = if is_record {
                    &row["record"]
                } else {
                    &row["log"]
                };
                lines.insert(signed.to_string());
            }
            if rows.is_empty() {
                return lines;
            }
            since = format!("&since={}", end["cursor"].as_str().unwrap());
        }
    }

    /// Waits until this node holds exactly what that one does.
    pub(crate) fn until_equal(&self, other: &Self) {
        until("both hold the same", || {
            (self.state_hash() == other.state_hash()).then_some(())
        });
    }

    /// The ids that a search finds, best first.
    pub(crate) fn found(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/api/v1/search?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let items = answer["items"].as_array().unwrap();
        let ids = items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    /// Waits until a search finds so many.
    pub(crate) fn until_found(&self, query: &str, count: usize) -> Vec<String> {
        until(&format!("{count} found for {query}"), || {
            let found = self.found(query);
            (found.len() == count).then_some(found)
        })
    }

    /// How it stands with its only peer.
    pub(crate) fn peer(&self) -> Value {
        let peers = self.json(&["peers"]);
        assert_eq!(peers["total"], 1, "{peers}");
        peers["items"][0].clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}", self.url, self.log());
        } else {
            self.check_log();
        }
    }
}
