//! SQLite FTS5. Rows are numbered in the order of their ids, which is the order that it gives for nothing.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{Answer, PAGE, Row, codes};
use crate::support::corpus::Asked;

pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let rows = Connection::open(folder.join("fts.db")).unwrap();
        rows.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000;
             PRAGMA mmap_size = 8000000000;
             CREATE TABLE ids (place INTEGER PRIMARY KEY, id TEXT NOT NULL);
             CREATE VIRTUAL TABLE found USING fts5 (words, codes, content = '', tokenize = 'unicode61');",
        )
        .unwrap();
        Self(rows)
    }

    pub(crate) fn put(&mut self, rows: &[Row]) {
        let mut ordered: Vec<&Row> = rows.iter().collect();
        ordered.sort_unstable_by_key(|row| row.place);
        let all = self.0.transaction().unwrap();
        {
            let mut ids = all.prepare_cached("INSERT INTO ids VALUES (?, ?)").unwrap();
            let mut found = all
                .prepare_cached("INSERT INTO found (rowid, words, codes) VALUES (?, ?, ?)")
                .unwrap();
            for row in ordered {
                let place = row.place as i64;
                ids.execute(params![place, row.id]).unwrap();
                let (words, codes) = (row.texts.join(" "), row.codes.join(" "));
                found.execute(params![place, words, codes]).unwrap();
            }
        }
        all.commit().unwrap();
    }

    pub(crate) fn finish(&mut self) {
        self.0
            .execute_batch("INSERT INTO found (found) VALUES ('optimize'); ANALYZE;")
            .unwrap();
    }

    pub(crate) fn search(&self, asked: &Asked) -> Answer {
        let words = asked.words.iter().map(|word| format!("words : {word}"));
        let codes = codes(asked.area, asked.country).map(|code| format!("codes : {code}"));
        let asked = words.chain(codes).collect::<Vec<_>>().join(" AND ");
        let mut count = self
            .0
            .prepare_cached("SELECT count(*) FROM found WHERE found MATCH ?")
            .unwrap();
        let mut first = self
            .0
            .prepare_cached(
                "SELECT id FROM ids JOIN
                 (SELECT rowid AS place FROM found WHERE found MATCH ? ORDER BY rowid LIMIT ?)
                 USING (place) ORDER BY place",
            )
            .unwrap();
        let total: i64 = count.query_one([&asked], |row| row.get(0)).unwrap();
        let ids = first
            .query_map(params![asked, PAGE as i64], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap);
        Answer {
            total: total.unsigned_abs(),
            ids: ids.collect(),
        }
    }
}
