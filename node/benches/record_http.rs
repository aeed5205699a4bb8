//! A stored record over HTTP against nginx with the same bytes as static files, in one run:
//! `cargo bench --bench record_http`. Needs `nginx` and `wrk`.
//!
//! The real program holds the records; wrk asks for them in turn, over the same number of connections.
//! The two servers take turns, and of each the best round counts.
//! Prints one JSON line. `BARAZA_BENCH_RECORDS` sets how many records (1,000), `BARAZA_BENCH_SECONDS`
//! how long a round is (5), `BARAZA_BENCH_ROUNDS` how many there are (3).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, and a fault ends it"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use support::corpus::Corpus;
use support::peer::Pages;
use support::process::Process;

const PORTS: [u16; 3] = [9_475, 9_476, 9_477];
const CONNECTIONS: &str = "32";
const LOOK: Duration = Duration::from_millis(100);

fn main() {
    let records = support::setting("BARAZA_BENCH_RECORDS", 1_000);
    let time = format!("{}s", support::setting("BARAZA_BENCH_SECONDS", 5));
    let rounds = support::setting("BARAZA_BENCH_ROUNDS", 3);
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::new();
    let signed = corpus.sign(0..records);
    let paths: Vec<String> = (0..records)
        .map(|number| format!("/api/v1/records/{}", corpus.id(number)))
        .collect();

    let pages = Pages::default();
    pages.add(&corpus.entries(), &signed);
    pages.publish();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(pages.serve(PORTS[0]));
    let mut node = Process::make(&folder.path().join("node"), PORTS[1], PORTS[0]);
    runtime.block_on(async {
        node.start().await;
        node.run(&["follow", &format!("http://127.0.0.1:{}", PORTS[0])]);
        while node.found().await < records {
            tokio::time::sleep(LOOK).await;
        }
        assert!(node.get(&paths[0]).await == signed[0], "other bytes");
    });
    let nginx = Nginx::start(&folder.path().join("nginx"), &paths, &signed);
    let script = folder.path().join("paths.lua");
    std::fs::write(&script, in_turn(&paths)).unwrap();
    let wrk = |port: u16| wrk(&time, &script, &format!("http://127.0.0.1:{port}"));

    let (mut of_node, mut of_nginx) = (Vec::new(), Vec::new());
    // The first round warms both.
    for round in 0..=rounds {
        let both = [wrk(PORTS[1]), wrk(PORTS[2])];
        eprintln!("round {round}: {both:?}");
        if round > 0 {
            of_node.push(both[0]);
            of_nginx.push(both[1]);
        }
    }
    drop(nginx);
    let best = |rates: &[f64]| rates.iter().copied().max_by(f64::total_cmp).unwrap();
    let (node, nginx) = (best(&of_node), best(&of_nginx));
    println!(
        "{}",
        json!({
            "benchmark": "record_http", "records": records,
            "bytes_a_record": signed.iter().map(Vec::len).sum::<usize>() / records,
            "connections": CONNECTIONS, "node_requests_per_second": node.round(),
            "nginx_requests_per_second": nginx.round(), "ratio": support::rounded(node / nginx),
            "node_each": of_node, "nginx_each": of_nginx,
        })
    );
}

/// A script by which wrk asks for the paths in turn.
fn in_turn(paths: &[String]) -> String {
    let mut script = String::from("local paths = {");
    for path in paths {
        script.push_str(&format!("\"{path}\","));
    }
    script.push_str(
        "}\nlocal at = 0\nrequest = function()\n  at = at % #paths + 1\n  return wrk.format(\"GET\", paths[at])\nend\n",
    );
    script
}

/// Requests a second; one that fails ends the benchmark.
fn wrk(time: &str, script: &Path, address: &str) -> f64 {
    let output = Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--connections",
            CONNECTIONS,
            "--duration",
            time,
            "--script",
        ])
        .arg(script)
        .arg(address)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && !told.contains("Non-2xx") && !told.contains("errors"),
        "{told}"
    );
    let rate = told
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.unwrap().trim().parse().unwrap()
}

struct Nginx(Child);

impl Nginx {
    fn start(folder: &PathBuf, paths: &[String], bodies: &[Vec<u8>]) -> Self {
        let files = folder.join("files");
        for (path, body) in paths.iter().zip(bodies) {
            let file = files.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, body).unwrap();
        }
        let settings = format!(
            "daemon off; worker_processes auto; user root; pid {folder}/pid; error_log {folder}/log;
             events {{ worker_connections 256; }}
             http {{
               access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
               open_file_cache max=10000; default_type application/json;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
               fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
               scgi_temp_path {folder}/scgi;
               server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
             }}",
            folder = folder.display(),
            port = PORTS[2],
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, settings).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", PORTS[2])).is_err() {
            std::thread::sleep(LOOK);
        }
        Self(child)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends the workers.
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.0.wait();
    }
}
