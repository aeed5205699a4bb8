//! All that was ever said in a network: what organisations and thieves signed.

use protocol::envelope::{Envelope, Status};
use protocol::id::{Scid, VersionHash};
use protocol::identity::LogEntry;
use protocol::sync::Line;

/// Something that was signed.
#[derive(Debug, Clone)]
pub struct Told {
    /// What.
    pub what: Said,
    /// An honest node acknowledged it, and it was not lost with the only disk that had it.
    pub is_owed: bool,
}

/// What was signed.
#[derive(Debug, Clone)]
pub enum Said {
    /// A version of a record.
    Record(Box<Envelope>),
    /// An entry of a log.
    Entry(LogEntry),
}

impl Told {
    /// By whom.
    pub fn scid(&self) -> Scid {
        match &self.what {
            Said::Record(record) => *record.header().author.scid(),
            Said::Entry(entry) => *entry.scid(),
        }
    }

    /// The version of a record.
    pub fn record(&self) -> Option<&Envelope> {
        match &self.what {
            Said::Record(record) => Some(record),
            Said::Entry(_) => None,
        }
    }

    /// Its hash, if it is the version of a record.
    pub fn hash(&self) -> Option<VersionHash> {
        self.record().map(Envelope::hash)
    }

    /// Whether it is a tombstone.
    pub fn is_withdrawal(&self) -> bool {
        self.record()
            .is_some_and(|record| record.header().status == Status::Withdrawn)
    }

    /// The bytes that are pushed.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.what {
            Said::Record(record) => record.canonical().to_vec(),
            Said::Entry(entry) => entry.to_canonical_bytes(),
        }
    }

    /// The line of a feed.
    pub fn line(&self) -> String {
        let bytes = String::from_utf8(self.bytes()).unwrap();
        let line = match &self.what {
            Said::Record(_) => Line::Record { record: &bytes },
            Said::Entry(entry) => Line::Log {
                scid: *entry.scid(),
                entry: &bytes,
                witness: None,
            },
        };
        line.write(None)
    }
}
