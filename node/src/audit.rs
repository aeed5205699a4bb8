//! What operators decided, in the order in which they did: each entry names the hash of the one before, so
//! one that was changed, left out or moved shows.
//!
//! Entries are put in the transaction that carries the decision out, and are never changed or removed. They
//! lie in the store, so a backup carries them. The chain finds what was altered by hand or by a fault; whoever
//! can write the whole store can also write a new chain, so who wants to be sure keeps the newest hash
//! elsewhere.

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::{DECISIONS, NamedRows, Store, StoreError};

/// The entries, by number in twenty digits.
const TABLE: &str = DECISIONS;
/// How many there are and the hash of the newest: without it, a missing end would not show.
const HEAD: (&str, &str) = ("audit-head", "head");

/// What the settings said last, by their names.
const SETTINGS: &str = "audit-settings";

/// Longest subject and reason that are kept, in characters.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A node may hand over records and follow.
    Allow,
    /// Nothing is exchanged with a node, or nothing of an author is carried.
    Block,
    /// That no longer.
    Unblock,
    /// A record is not shown.
    Hide,
    /// It is shown again.
    Unhide,
    /// A line of a disputed log is gone by.
    Pin,
    /// A node or page is followed.
    Follow,
    /// It is followed no longer.
    Unfollow,
    /// The settings say something new of whom this node deals with, or hosts.
    Policy,
}

impl Act {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Hide => "hide",
            Self::Unhide => "unhide",
            Self::Pin => "pin",
            Self::Follow => "follow",
            Self::Unfollow => "unfollow",
            Self::Policy => "policy",
        }
    }
}

/// A decision that is to be written down.
#[derive(Debug, Clone)]
pub struct Decision {
    /// When it was made.
    pub time: Timestamp,
    /// What.
    pub act: Act,
    /// About whom or what: an address, an SCID, a record id, a setting.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
}

/// An entry, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// 1, 2, 3 …
    pub number: u64,
    /// RFC 3339.
    pub time: String,
    /// `operator`: whoever can run commands on this node's folder or change its settings.
    pub who: String,
    /// What was decided.
    pub act: Act,
    /// About whom or what.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
    /// SHA-256 of the bytes of the entry before, in hex; none in the first.
    pub previous: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    count: u64,
    hash: Option<String>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The entry where it shows.
    pub number: u64,
    /// What.
    pub what: String,
}

/// The log as it was read.
#[derive(Debug, Clone, Serialize)]
pub struct Read {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The hash of the newest: kept elsewhere, it vouches for all of them.
    pub hash: Option<String>,
    /// What does not fit.
    pub faults: Vec<Fault>,
}

/// Writes a decision down, in the transaction that carries it out.
///
/// # Errors
/// A disk fault, or the log's head does not read.
pub fn append(rows: &mut NamedRows<'_, '_>, decision: &Decision) -> Result<(), StoreError> {
    let head = match rows.get(HEAD.0, HEAD.1)? {
        None => Head::default(),
        Some(row) => serde_json::from_slice(&row).map_err(damaged)?,
    };
    let cut = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect::<String>();
    let entry = Entry {
        number: head.count + 1,
        time: decision.time.to_string(),
        who: "operator".to_owned(),
        act: decision.act,
        subject: cut(&decision.subject),
        reason: decision.reason.as_deref().map(cut),
        previous: head.hash,
    };
    let row = serde_json::to_vec(&entry).map_err(damaged)?;
    let head = Head {
        count: entry.number,
        hash: Some(hash(&row)),
    };
    rows.put(TABLE, &format!("{:020}", entry.number), row);
    rows.put(HEAD.0, HEAD.1, serde_json::to_vec(&head).map_err(damaged)?);
    Ok(())
}

/// Writes down what the settings say of whom this node deals with and hosts, if that is new. Settings are
/// changed in a file, so it shows when the node starts by them.
///
/// # Errors
/// A disk fault.
pub async fn note_settings(
    store: &Store,
    settings: Vec<(&'static str, String)>,
    time: Timestamp,
) -> Result<(), StoreError> {
    let put = move |rows: &mut NamedRows<'_, '_>| {
        for (name, value) in settings {
            if rows.get(SETTINGS, name)?.as_deref() != Some(value.as_bytes()) {
                let decision = Decision {
                    time,
                    act: Act::Policy,
                    subject: name.to_owned(),
                    reason: Some(value.clone()),
                };
                append(rows, &decision)?;
                rows.put(SETTINGS, name, value.into_bytes());
            }
        }
        Ok(())
    };
    store.change_named(put).await
}

/// Reads the log and checks each link of its chain.
///
/// # Errors
/// A disk fault. An entry that does not read is a [`Fault`].
pub fn read(store: &Store) -> Result<Read, StoreError> {
    let head = match store.named(HEAD.0, HEAD.1)? {
        None => Head::default(),
        Some(row) => serde_json::from_slice(&row).map_err(damaged)?,
    };
    let mut read = Read {
        entries: Vec::new(),
        hash: None,
        faults: Vec::new(),
    };
    let mut last = 0;
    for (name, row) in store.all_named(TABLE)? {
        let number = name.parse().unwrap_or(last + 1);
        let mut fault = |what: &str| {
            let what = what.to_owned();
            read.faults.push(Fault { number, what });
        };
        if number != last + 1 {
            fault("the entries before it are missing");
        }
        match serde_json::from_slice::<Entry>(&row) {
            Ok(entry) => {
                if entry.number != number {
                    fault("it was written under another number");
                }
                if entry.previous != read.hash {
                    fault("the entry before it is not the one that it was written after");
                }
                read.entries.push(entry);
            }
            Err(_) => fault("it does not read"),
        }
        read.hash = Some(hash(&row));
        last = number;
    }
    if (last, &read.hash) != (head.count, &head.hash) {
        let number = head.count.max(last);
        let what = "the newest entry is not the one that was written last".to_owned();
        read.faults.push(Fault { number, what });
    }
    Ok(read)
}

fn hash(row: &[u8]) -> String {
    let digest = Sha256::digest(row);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        detail: format!("the audit log: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn three() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), "e".into()).unwrap();
        for (act, subject) in [
            (Act::Follow, "https://a.example"),
            (Act::Block, "https://b.example"),
            (Act::Unblock, "https://b.example"),
        ] {
            let decision = Decision {
                time: Timestamp::from_unix_seconds(0),
                act,
                subject: subject.to_owned(),
                reason: Some("x".repeat(TEXT_CHARS_MAX + 1)),
            };
            let put = move |rows: &mut NamedRows<'_, '_>| append(rows, &decision);
            store.change_named(put).await.unwrap();
        }
        (store, folder)
    }

    fn name(number: u64) -> String {
        format!("{number:020}")
    }

    #[tokio::test]
    async fn an_audit_log_that_nobody_touched_reads_whole_and_its_texts_are_bounded() {
        let (store, _folder) = three().await;
        let log = read(&store).unwrap();
        assert_eq!(log.faults, []);
        let acts: Vec<Act> = log.entries.iter().map(|entry| entry.act).collect();
        assert_eq!(acts, [Act::Follow, Act::Block, Act::Unblock]);
        assert_eq!(log.entries[0].previous, None);
        let reason = log.entries[0].reason.as_deref().unwrap();
        assert_eq!(reason.chars().count(), TEXT_CHARS_MAX);
        store.close();
    }

    #[tokio::test]
    async fn an_entry_that_was_changed_left_out_or_moved_is_found() {
        type Tamper = fn(Vec<Vec<u8>>) -> Vec<Option<Vec<u8>>>;
        let whole = |rows: Vec<Vec<u8>>| rows.into_iter().map(Some).collect::<Vec<_>>();
        let tampers: [(&str, Tamper); 6] = [
            ("first changed", |mut rows| {
                let text = String::from_utf8(rows[0].clone()).unwrap();
                rows[0] = text.replace("a.example", "c.example").into_bytes();
                rows.into_iter().map(Some).collect()
            }),
            ("last changed", |mut rows| {
                let text = String::from_utf8(rows[2].clone()).unwrap();
                rows[2] = text.replace("b.example", "c.example").into_bytes();
                rows.into_iter().map(Some).collect()
            }),
            ("first missing", |rows| {
                vec![None, Some(rows[1].clone()), Some(rows[2].clone())]
            }),
            ("middle missing", |rows| {
                vec![Some(rows[0].clone()), None, Some(rows[2].clone())]
            }),
            ("last missing", |rows| {
                vec![Some(rows[0].clone()), Some(rows[1].clone()), None]
            }),
            ("two exchanged", |rows| {
                vec![
                    Some(rows[0].clone()),
                    Some(rows[2].clone()),
                    Some(rows[1].clone()),
                ]
            }),
        ];
        for (what, tamper) in tampers {
            let (store, _folder) = three().await;
            let rows: Vec<Vec<u8>> = (1..=3)
                .map(|number| store.named(TABLE, &name(number)).unwrap().unwrap())
                .collect();
            assert_ne!(tamper(rows.clone()), whole(rows.clone()), "{what}");
            for (row, number) in tamper(rows).into_iter().zip(1..) {
                store.put_named(TABLE, &name(number), row).await.unwrap();
            }
            assert_ne!(read(&store).unwrap().faults, [], "{what}");
            store.close();
        }
    }
}
