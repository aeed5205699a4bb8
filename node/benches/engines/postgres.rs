//! PostgreSQL full-text search in a cluster of its own, reached over a socket in its folder.
//!
//! One GIN index has words and codes, so that it alone answers which rows match; the planner knows the
//! table, plans each search anew, and has memory for whole bitmaps.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio_postgres::{Client, NoTls, Statement};

use super::{Answer, PAGE, Row, codes};
use crate::support::corpus::Asked;

const SETTINGS: [&str; 13] = [
    "listen_addresses=",
    "shared_buffers=2GB",
    "effective_cache_size=6GB",
    "work_mem=256MB",
    "maintenance_work_mem=1GB",
    "random_page_cost=1.1",
    "jit=off",
    "plan_cache_mode=force_custom_plan",
    "autovacuum=off",
    "fsync=off",
    "max_wal_size=8GB",
    "wal_level=minimal",
    "max_wal_senders=0",
];

const TABLES: &str = "
    CREATE UNLOGGED TABLE given (id text, words text, codes text);
    CREATE UNLOGGED TABLE records (id text COLLATE \"C\" NOT NULL, words tsvector NOT NULL, codes text[] NOT NULL);";

const INDEXES: &str = "
    INSERT INTO records SELECT id, to_tsvector('simple', words), string_to_array(codes, ' ') FROM given;
    DROP TABLE given;
    ALTER TABLE records ADD PRIMARY KEY (id);
    CREATE INDEX ON records USING gin (words, codes) WITH (fastupdate = off);";

const SEARCH: &str = "
    WITH found AS MATERIALIZED (
        SELECT id FROM records WHERE words @@ to_tsquery('simple', $1::text) AND codes @> $2::text[])
    SELECT (SELECT count(*) FROM found), ARRAY(SELECT id FROM found ORDER BY id LIMIT $3::bigint)";

pub(crate) struct Postgres {
    folder: PathBuf,
    loading: Option<(Child, BufWriter<ChildStdin>)>,
    runtime: tokio::runtime::Runtime,
    client: Option<(Client, Statement)>,
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let mut postgres = Self {
            folder: folder.to_owned(),
            loading: None,
            runtime: runtime.unwrap(),
            client: None,
        };
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder));
        }
        let data = postgres.data();
        run(postgres
            .command("initdb")
            .args([
                "--auth=trust",
                "--username=bench",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg(&data));
        let mut options = format!("-k {}", folder.display());
        for setting in SETTINGS {
            options.push_str(&format!(" -c {setting}"));
        }
        run(postgres
            .command("pg_ctl")
            .args([
                "start",
                "--wait",
                "--silent",
                "--options",
                &options,
                "--log",
            ])
            .arg(folder.join("log"))
            .arg("--pgdata")
            .arg(&data));
        run(postgres.psql().args(["--command", TABLES]));
        let mut loading = postgres
            .psql()
            .args(["--command", "COPY given FROM STDIN"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let rows = BufWriter::new(loading.stdin.take().unwrap());
        postgres.loading = Some((loading, rows));
        postgres
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The server refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--", program]);
                command
            }
            false => Command::new(program),
        };
        command.current_dir(&self.folder).stdout(Stdio::null());
        command
    }

    fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        command
            .args([
                "--quiet",
                "--no-psqlrc",
                "--username=bench",
                "--dbname=postgres",
            ])
            .args(["--set", "ON_ERROR_STOP=1", "--host"])
            .arg(&self.folder)
            .stdout(Stdio::null());
        command
    }

    pub(crate) fn put(&mut self, rows: &[Row]) {
        let (_, given) = self.loading.as_mut().unwrap();
        for Row {
            id, texts, codes, ..
        } in rows
        {
            writeln!(given, "{id}\t{}\t{}", texts.join(" "), codes.join(" ")).unwrap();
        }
    }

    pub(crate) fn finish(&mut self) {
        let (mut loading, given) = self.loading.take().unwrap();
        drop(given);
        assert!(loading.wait().unwrap().success());
        run(self.psql().args(["--command", INDEXES]));
        run(self.psql().args(["--command", "VACUUM ANALYZE records"]));
        let address = format!("host={} user=bench dbname=postgres", self.folder.display());
        self.client = Some(self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
            tokio::spawn(connection);
            let statement = client.prepare(SEARCH).await.unwrap();
            (client, statement)
        }));
    }

    pub(crate) fn search(&self, asked: &Asked) -> Answer {
        let words = asked.words.join(" & ");
        let codes = codes(asked.area, asked.country).to_vec();
        let (client, statement) = self.client.as_ref().unwrap();
        let page = PAGE as i64;
        let row = self
            .runtime
            .block_on(client.query_one(statement, &[&words, &codes, &page]))
            .unwrap();
        Answer {
            total: row.get::<_, i64>(0).unsigned_abs(),
            ids: row.get(1),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = self
            .command("pg_ctl")
            .args(["stop", "--silent", "--mode=immediate", "--pgdata"])
            .arg(data)
            .status();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
