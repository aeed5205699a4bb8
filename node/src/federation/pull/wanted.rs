//! Versions that a peer names without their bytes: asked for by hash, of that peer and then of others.
//! What comes back is taken only if it was asked for; whether it is true is judged at the door.

use std::collections::BTreeSet;

use protocol::envelope::Envelope;
use protocol::id::VersionHash;
use protocol::limits::FETCH_IDS_MAX;
use protocol::sync::Line;

use super::super::client::FetchError;
use super::super::fetch;
use super::super::peers::PeerError;
use super::{Inner, PullError};

/// Peers that are asked for what the one that named it does not give.
const OTHERS_MAX: usize = 8;

/// What one peer gave.
#[derive(Default)]
struct Given {
    records: Vec<Vec<u8>>,
    /// Lines that were not asked for.
    faults: u64,
    /// Why the last of them was refused.
    last_fault: String,
    /// Why there was no more.
    error: Option<FetchError>,
}

/// What came of asking.
pub(super) struct Found {
    pub(super) records: Vec<Vec<u8>>,
    /// Lines of the peer that named them that were not asked for.
    pub(super) faults: u64,
    /// Versions that nobody gave.
    pub(super) missing: BTreeSet<VersionHash>,
}

impl Inner {
    /// Asks the peer that named these versions for them, then others.
    ///
    /// # Errors
    /// A disk fault, or [`FetchError`] if that peer is in a bad way and would better be asked later.
    pub(super) async fn find(
        &self,
        url: &str,
        mut wanted: BTreeSet<VersionHash>,
    ) -> Result<Found, PullError> {
        let own = self.ask(url, &mut wanted).await?;
        let (mut records, faults) = (own.records, own.faults);
        if !wanted.is_empty() {
            let all = self.peers.all()?.into_iter();
            let others = all.filter(|peer| peer.is_read() && peer.url != url);
            for other in others.take(OTHERS_MAX) {
                records.extend(self.ask(&other.url, &mut wanted).await?.records);
                if wanted.is_empty() {
                    break;
                }
            }
        }
        match own.error {
            Some(error) if !wanted.is_empty() && passes(&error) => Err(error.into()),
            _ => Ok(Found {
                records,
                faults,
                missing: wanted,
            }),
        }
    }

    /// Asks one peer; what it gives is wanted no longer.
    async fn ask(&self, url: &str, wanted: &mut BTreeSet<VersionHash>) -> Result<Given, PeerError> {
        let mut given = Given::default();
        let ids: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        debug_assert!(ids.len() <= FETCH_IDS_MAX, "the page ended before");
        match self.client.lines(fetch::records(url, &ids)).await {
            Err(error) => given.error = Some(error),
            Ok(mut lines) => {
                // Nobody is owed more lines than were asked for.
                for _ in 0..=ids.len() {
                    match lines.next().await {
                        Ok(None) => break,
                        Err(error) => {
                            given.error = Some(error);
                            break;
                        }
                        Ok(Some(line)) => match asked_for(&line, wanted) {
                            Ok(record) => given.records.push(record),
                            Err(reason) => {
                                given.faults += 1;
                                given.last_fault = reason;
                            }
                        },
                    }
                }
            }
        }
        if let Some(error) = &given.error {
            tracing::debug!(peer = url, %error, "a peer was asked for records by hash");
        }
        if given.faults > 0 {
            self.count_refused(url, given.faults, &given.last_fault)
                .await?;
        }
        Ok(given)
    }
}

/// The record of a line, if its hash is one that is wanted still.
fn asked_for(line: &[u8], wanted: &mut BTreeSet<VersionHash>) -> Result<Vec<u8>, String> {
    let record = match Line::read(line) {
        Ok((Line::Record { record }, _)) => record.as_bytes(),
        Ok(_) => return Err("something other than the records asked for".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let hash = Envelope::parse(record)
        .map_err(|error| error.to_string())?
        .hash();
    if wanted.remove(&hash) {
        Ok(record.to_vec())
    } else {
        Err(format!("a record that was not asked for: {hash}"))
    }
}

/// Whether a failure says nothing about what the peer has.
pub(super) fn passes(error: &FetchError) -> bool {
    match error {
        FetchError::Status { status, .. } => *status >= 500 || *status == 429,
        FetchError::BadAnswer { .. }
        | FetchError::LineTooLong { .. }
        | FetchError::BudgetSpent { .. } => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_once_and_only_if_its_hash_was_asked_for() {
        let mut wanted = BTreeSet::from([VersionHash::of(b"x")]);
        for line in ["{}", "nonsense", r#"{"record":{}}"#, r#"{"cursor":"a-1"}"#] {
            assert!(asked_for(line.as_bytes(), &mut wanted).is_err(), "{line}");
        }
        assert_eq!(wanted.len(), 1);
    }
}
