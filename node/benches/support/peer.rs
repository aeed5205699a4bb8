//! A node that others follow, as far as they can see: the pages of its change feed, written before
//! and given from memory. What a peer does to write them is no part of what is measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State as Shared};
use protocol::identity::LogEntry;
use protocol::limits::CHANGES_ROWS_MAX;
use protocol::sync::{Cursor, Line};

const EPOCH: &str = "bench";
/// How often it looks whether there is more, for who waits.
const LOOK: Duration = Duration::from_millis(20);

/// Pages of the feed.
#[derive(Clone, Default)]
pub(crate) struct Pages(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By the cursor they are asked with.
    pages: BTreeMap<String, Bytes>,
    /// Not given yet.
    ready: BTreeMap<String, Bytes>,
    /// How many lines there are in all.
    end: u64,
}

impl Pages {
    /// Adds entries and records, to be given once they are published.
    pub(crate) fn add(&self, entries: &[LogEntry], records: &[Vec<u8>]) {
        let entries: Vec<(_, String)> = entries
            .iter()
            .map(|entry| {
                let line = String::from_utf8(entry.to_canonical_bytes()).unwrap();
                (*entry.did().scid(), line)
            })
            .collect();
        let entries = entries.iter().map(|(scid, entry)| Line::Log {
            scid: *scid,
            entry,
            witness: None,
        });
        let records = records.iter().map(|record| Line::Record {
            record: std::str::from_utf8(record).unwrap(),
        });
        let mut lines = entries.chain(records).peekable();
        while lines.peek().is_some() {
            let mut held = self.0.lock().unwrap();
            let State { ready, end, .. } = &mut *held;
            let since = if *end == 0 {
                String::new()
            } else {
                cursor(*end).to_string()
            };
            let mut page = String::new();
            for line in lines.by_ref().take(CHANGES_ROWS_MAX) {
                *end += 1;
                page.push_str(&line.write(Some(&cursor(*end))));
            }
            page.push_str(&Line::End.write(Some(&cursor(*end))));
            ready.insert(since, page.into());
        }
    }

    /// Gives from now on all that was added.
    pub(crate) fn publish(&self) {
        let mut held = self.0.lock().unwrap();
        let State { pages, ready, .. } = &mut *held;
        pages.append(ready);
    }

    fn after(&self, since: &str) -> Option<Bytes> {
        self.0.lock().unwrap().pages.get(since).cloned()
    }

    /// Gives them on a port of loopback until the process ends; who asks for more than there is waits.
    pub(crate) async fn serve(self, port: u16) {
        let routes = axum::Router::new()
            .route("/sync/v1/changes", axum::routing::get(give))
            .with_state(self);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
        axum::serve(listener.unwrap(), routes).await.unwrap();
    }
}

async fn give(
    Shared(pages): Shared<Pages>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Bytes {
    let since = asked.get("since").map_or("", String::as_str);
    loop {
        if let Some(page) = pages.after(since) {
            return page;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn cursor(number: u64) -> Cursor {
    Cursor {
        epoch: EPOCH.to_owned(),
        number,
    }
}
