//! Asking nodes as a provider's own machine does: for a log, for the versions of its records, and to
//! take in what it signed. All of it is checked here as if a stranger had sent it.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::envelope::Envelope;
use protocol::id::{RecordId, Scid, VersionHash};
use protocol::identity::{
    Branches, KeyRing, LogEntry, LogError, LogState, WitnessProofs, read_lines, verify_log,
};
use protocol::key::PublicKey;
use protocol::limits::RECORDS_HANDED_MAX;
use protocol::sync::Line;
use protocol::time::Timestamp;
use protocol::verified::Judged;
use serde::Deserialize;
use serde_json::Value;

use crate::config::is_loopback;
use crate::federation::client::{Answer, Client, FetchError, StreamRequest, reason};
use crate::federation::fetch;
use crate::federation::peers::node_address;

/// The media type in which logs and records are handed over.
const LINES: &str = "text/jsonl";

/// Ids that are fetched at a time.
const FETCH_IDS: usize = 200;

/// Bytes of log lines that are sent at a time.
const LOG_PART_BYTES_MAX: usize = 200 * 1024;

/// Bytes of records that are sent at a time: over a line of 64 kbit/s they take six seconds of the fifteen that a
/// request has.
const RECORDS_PART_BYTES_MAX: usize = 48 * 1024;

/// Versions that are read of an author's history: a node that never ends its list is not listened to.
const VERSIONS_MAX: usize = 2_000_000;

/// A node that is asked too much at a time says how long to wait. Longer than this, or as often as this in a row,
/// is left to whoever runs the command.
const WAIT_MAX: Duration = Duration::from_secs(60);
const WAITS_MAX: usize = 10;

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address.
    #[error("“{text}” is no address of a node: write it like https://hub.example")]
    Address {
        /// What was written.
        text: String,
    },
    /// No answer, or none that can be read.
    #[error("{address}: {error}")]
    Fetch {
        /// The node.
        address: String,
        /// Why.
        error: FetchError,
    },
    /// It said no.
    #[error("{address} says no: {reason}")]
    Refused {
        /// The node.
        address: String,
        /// Its words.
        reason: String,
    },
    /// It answered something that it should not.
    #[error("{address} {what}")]
    Strange {
        /// The node.
        address: String,
        /// What.
        what: String,
    },
    /// The log that it serves does not hold.
    #[error("the log that {address} serves does not verify: {error}; ask another node")]
    Log {
        /// The node.
        address: String,
        /// Why.
        error: LogError,
    },
}

impl RemoteError {
    /// Whether it is certain that the node has taken nothing of what it was sent last.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Address { .. } => true,
            Self::Fetch { error, .. } => error.is_before_sending(),
            Self::Strange { .. } | Self::Log { .. } => false,
        }
    }
}

/// A log as a node serves it, verified.
pub struct Seen {
    /// What it says.
    pub state: LogState,
    /// Its entries, first entry first.
    pub entries: Vec<LogEntry>,
    /// The node holds other lines as well: somebody else has an update key.
    pub is_disputed: bool,
}

/// A version that a node knows of.
pub struct Told {
    /// Of which record.
    pub id: RecordId,
    /// Its number.
    pub seq: u64,
    /// Its digest.
    pub hash: VersionHash,
    /// The key that signed it.
    pub key: PublicKey,
    /// When it came there.
    pub received: Timestamp,
}

/// What became of records that were handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// New there.
    pub taken: usize,
    /// Held there already, or newer ones are.
    pub held: usize,
    /// Not taken: names and reasons.
    pub refused: Vec<String>,
    /// Those that were not taken.
    pub left: Vec<Vec<u8>>,
}

impl Handed {
    /// How many there were.
    pub fn total(&self) -> usize {
        self.taken + self.held + self.refused.len()
    }
}

/// A node, asked from a provider's own machine.
pub struct Remote {
    address: String,
    client: Client,
}

impl Remote {
    /// A node at an address. Plain http is for this machine only, for trials.
    ///
    /// # Errors
    /// [`RemoteError::Address`].
    pub fn at(text: &str) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Address {
            text: text.chars().take(80).collect(),
        };
        let address = node_address(text).map_err(|_| wrong())?;
        let url = url::Url::parse(&address).map_err(|_| wrong())?;
        let mut insecure_peers = BTreeSet::new();
        if let (Some(host), Some(port)) = (url.host(), url.port_or_known_default())
            && url.scheme() == "http"
            && is_loopback(&host)
        {
            insecure_peers.insert((host.to_string(), port));
        }
        let agent = format!("Baraza/{}", env!("CARGO_PKG_VERSION"));
        let client = Client::new(insecure_peers, &agent).map_err(|error| RemoteError::Fetch {
            address: address.clone(),
            error,
        })?;
        Ok(Self { address, client })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn fault(&self, error: FetchError) -> RemoteError {
        RemoteError::Fetch {
            address: self.address.clone(),
            error,
        }
    }

    fn strange(&self, what: impl Into<String>) -> RemoteError {
        RemoteError::Strange {
            address: self.address.clone(),
            what: what.into(),
        }
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        let url = format!("{}{path}", self.address);
        match self
            .client
            .document(&url, "application/json, */*;q=0.1")
            .await
        {
            Ok(document) => Ok(Some(document.bytes.to_vec())),
            Err(error) if matches!(error.status(), Some((404, _))) => Ok(None),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// The log of an author as this node goes by it; `None` if it carries nothing of that author.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn log(&self, scid: &Scid, now: Timestamp) -> Result<Option<Seen>, RemoteError> {
        let base = format!("/api/v1/organizations/{scid}");
        // A failure is remembered for a while, and a log that was just handed over is asked for again.
        let Some(lines) = self.get(&format!("{base}/did.jsonl")).await? else {
            return Ok(None);
        };
        let log_fault = |error| RemoteError::Log {
            address: self.address.clone(),
            error,
        };
        let entries = read_lines(&lines)
            .collect::<Result<Vec<_>, _>>()
            .map_err(log_fault)?;
        let proofs = match verify_log(&lines, &WitnessProofs::empty(), now) {
            Err(LogError::NotWitnessed { .. }) => {
                let proofs = self.get(&format!("{base}/did-witness.json")).await?;
                WitnessProofs::parse(&proofs.unwrap_or_default()).map_err(log_fault)?
            }
            _ => WitnessProofs::empty(),
        };
        let state = verify_log(&lines, &proofs, now).map_err(log_fault)?;
        if state.scid() != scid {
            return Err(self.strange("served the log of somebody else"));
        }
        let mut branches = Branches::empty(*scid);
        for entry in &entries {
            branches.take(entry, now, &proofs).map_err(log_fault)?;
        }
        for line in self
            .lines_of(fetch::logs(&self.address, &[scid.to_string()]))
            .await?
        {
            if let Ok((Line::Log { entry, .. }, _)) = Line::read(&line)
                && let Ok(entry) = LogEntry::parse(entry.as_bytes())
            {
                // What does not verify is nobody's evidence.
                let _ = branches.take(&entry, now, &proofs);
            }
        }
        Ok(Some(Seen {
            is_disputed: branches.is_disputed(),
            state,
            entries,
        }))
    }

    /// Who is at home there under a name.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn scid_of(&self, handle: &str) -> Result<Scid, RemoteError> {
        let log = self.get(&format!("/orgs/{handle}/did.jsonl")).await?;
        let log = log.ok_or_else(|| self.strange(format!("has no organisation “{handle}”")))?;
        let first = read_lines(&log).next().unwrap_or(Err(LogError::Empty));
        let first = first.map_err(|error| RemoteError::Log {
            address: self.address.clone(),
            error,
        })?;
        Ok(*first.scid())
    }

    async fn lines_of(&self, request: StreamRequest) -> Result<Vec<Vec<u8>>, RemoteError> {
        let mut stream = self
            .client
            .lines(request)
            .await
            .map_err(|error| self.fault(error))?;
        let mut lines = Vec::new();
        while let Some(line) = stream.next().await.map_err(|error| self.fault(error))? {
            lines.push(line.to_vec());
        }
        Ok(lines)
    }

    /// All versions of an author's records that this node knows of.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn history(&self, scid: &Scid) -> Result<Vec<Told>, RemoteError> {
        #[derive(Deserialize)]
        struct Page {
            versions: Vec<Row>,
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct Row {
            id: String,
            seq: u64,
            version: String,
            key: String,
            received: String,
        }
        let mut told = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/api/v1/organizations/{scid}/history{after}");
            let page = self.get(&path).await?;
            let page = page.ok_or_else(|| {
                self.strange("does not tell the history of records: ask a node of this release")
            })?;
            let unreadable = || self.strange("sent a history of records that does not read");
            let page: Page = serde_json::from_slice(&page).map_err(|_| unreadable())?;
            for row in page.versions {
                let id = RecordId::parse(&row.id).map_err(|_| unreadable())?;
                if id.author != *scid {
                    return Err(self.strange("sent the history of somebody else"));
                }
                told.push(Told {
                    id,
                    seq: row.seq,
                    hash: VersionHash::parse(&row.version).map_err(|_| unreadable())?,
                    key: PublicKey::parse(&row.key).map_err(|_| unreadable())?,
                    received: Timestamp::parse(&row.received).map_err(|_| unreadable())?,
                });
            }
            match page.next {
                None => return Ok(told),
                Some(_) if told.len() > VERSIONS_MAX => {
                    return Err(self.strange("tells of more versions than any author has"));
                }
                Some(next) => after = format!("?after={next}"),
            }
        }
    }

    /// The versions with these digests, as far as the node hands them out, each signed by a key that
    /// `ring` lists: what they say may be signed anew, so nobody else's words may be among them.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn fetch(
        &self,
        hashes: &[VersionHash],
        ring: &KeyRing,
    ) -> Result<Vec<Envelope>, RemoteError> {
        let mut records = Vec::new();
        for part in hashes.chunks(FETCH_IDS) {
            let want: Vec<String> = part.iter().map(VersionHash::to_string).collect();
            for line in self.lines_of(fetch::records(&self.address, &want)).await? {
                let Ok((Line::Record { record }, _)) = Line::read(&line) else {
                    continue;
                };
                let unreadable = |error: &dyn std::fmt::Display| {
                    self.strange(format!("sent a record that does not verify: {error}"))
                };
                let record =
                    Envelope::parse(record.as_bytes()).map_err(|error| unreadable(&error))?;
                match record.clone().verify(ring) {
                    Ok(Judged::Verified(_)) => {}
                    Ok(Judged::NotYet(_)) => {
                        return Err(unreadable(&"it is not signed by a key of this identity"));
                    }
                    Err(error) => return Err(unreadable(&error)),
                }
                if part.contains(&record.hash()) {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    /// Hands over entries of a log; `true` if any of them is new there.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn hand_log(
        &self,
        scid: &Scid,
        entries: &[Vec<u8>],
        invitation: Option<&str>,
    ) -> Result<bool, RemoteError> {
        let mut is_new = false;
        let mut rest = entries;
        while !rest.is_empty() {
            let (part, later) = rest.split_at(part_of(rest, LOG_PART_BYTES_MAX, usize::MAX));
            rest = later;
            let mut headers = vec![("content-type", LINES.to_owned())];
            headers.extend(invitation.map(|code| ("baraza-invitation", code.to_owned())));
            let path = format!("/api/v1/organizations/{scid}/log");
            let answer = self.post(&path, &headers, part.join(&b'\n')).await?;
            is_new |= answer.status == 201;
        }
        Ok(is_new)
    }

    /// Hands records over, many in one request. A refusal stops none of the others.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn hand_records(&self, records: Vec<Vec<u8>>) -> Result<Handed, RemoteError> {
        #[derive(Deserialize)]
        struct Results {
            results: Vec<Value>,
        }
        let mut handed = Handed::default();
        let headers = [("content-type", LINES.to_owned())];
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (part, later) =
                rest.split_at(part_of(rest, RECORDS_PART_BYTES_MAX, RECORDS_HANDED_MAX));
            rest = later;
            let lines = part.join(&b'\n');
            let answer = self.post("/api/v1/records", &headers, lines).await?;
            let answer: Option<Results> = serde_json::from_slice(&answer.bytes).ok();
            let results = answer.filter(|answer| answer.results.len() == part.len());
            let results = results
                .ok_or_else(|| self.strange("did not say what became of each record"))?
                .results;
            for (record, result) in part.iter().zip(results) {
                match result["status"].as_u64() {
                    Some(201) => handed.taken += 1,
                    Some(200) => handed.held += 1,
                    Some(400..=499) => {
                        let name = Envelope::parse(record)
                            .map(|record| record.header().local.to_string())
                            .unwrap_or_default();
                        let reason =
                            reason(&result).unwrap_or_else(|| "it gives no reason".to_owned());
                        handed.refused.push(format!("{name}: {reason}"));
                        handed.left.push(record.clone());
                    }
                    _ => {
                        let reason = reason(&result).unwrap_or_else(|| result.to_string());
                        return Err(
                            self.strange(format!("did not take all: {reason}; try again later"))
                        );
                    }
                }
            }
        }
        Ok(handed)
    }

    async fn post(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, RemoteError> {
        let url = format!("{}{path}", self.address);
        let mut waits = 0;
        let answer = loop {
            let answer = self.client.post(&url, headers, body.clone()).await;
            let answer = answer.map_err(|error| self.fault(error))?;
            match answer.retry_after.filter(|wait| *wait <= WAIT_MAX) {
                Some(wait) if answer.status == 429 && waits < WAITS_MAX => {
                    waits += 1;
                    tokio::time::sleep(wait).await;
                }
                _ => break answer,
            }
        };
        match answer.status {
            200..=299 => Ok(answer),
            400..=499 => Err(RemoteError::Refused {
                address: self.address.clone(),
                reason: answer.reason(),
            }),
            status => Err(self.strange(format!("answered {status}; try again later"))),
        }
    }
}

/// How many of these lines are sent together: at least one.
fn part_of(lines: &[Vec<u8>], bytes_max: usize, lines_max: usize) -> usize {
    let mut bytes = 0;
    let fits = lines.iter().take(lines_max).take_while(|line| {
        bytes += line.len() + 1;
        bytes <= bytes_max
    });
    fits.count().max(1)
}
