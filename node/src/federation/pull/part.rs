//! Going on with a peer that is followed in part and whose log has begun anew (docs/protocol.md, 4).
//!
//! Sets are compared by those who carry all. Here the peer's log is read from its beginning through the
//! filter; what is here by the filter and did not come is then asked for by its id: a peer that was
//! restored may not know any more that a record has left the part.

use std::collections::BTreeSet;

use protocol::envelope::Envelope;
use protocol::id::{RecordId, VersionHash};
use protocol::limits::{CHANGES_ROWS_MAX, FETCH_IDS_MAX};
use protocol::sync::{Filter, Line};
use url::form_urlencoded::Serializer;

use super::super::fetch;
use super::super::peers::Peer;
use super::reconcile::FRUITLESS_MAX;
use super::{Inner, PAGE_BYTES_MAX, PageReader, PullError, Pulled, StreamRequest};
use crate::store::StoreError;

/// What a reading from the beginning brought.
#[derive(Default)]
pub(super) struct Read {
    pub(super) pulled: Pulled,
    /// From where the log is to be read on.
    end: String,
    /// How many versions the peer named and nobody gave, and one of them.
    missing: Option<(usize, VersionHash)>,
}

impl Read {
    /// Whether all that the peer named was given, by it or by others.
    ///
    /// # Errors
    /// [`PullError::Withheld`].
    pub(super) fn check_given(&self) -> Result<(), PullError> {
        match self.missing {
            None => Ok(()),
            Some((count, first)) => Err(PullError::Withheld { count, first }),
        }
    }

    /// Counts what nobody gave. Who names thousands and gives none is not asked for all of them.
    fn count_missing(&mut self, missing: &BTreeSet<VersionHash>) -> Result<(), PullError> {
        if let Some(first) = missing.first() {
            let (count, first) = self.missing.unwrap_or((0, *first));
            self.missing = Some((count + missing.len(), first));
        }
        match self.missing {
            Some((count, _)) if count >= FRUITLESS_MAX => Err(PullError::Fruitless { count }),
            _ => Ok(()),
        }
    }
}

impl Inner {
    /// Reads all that a peer's log has by a filter, from its beginning, and shows each line to `look`. How
    /// far the log is read otherwise stays as it is.
    ///
    /// # Errors
    /// See [`PullError`]; what was read before stays.
    pub(super) async fn read_by(
        &self,
        url: &str,
        filter: &str,
        mut look: impl FnMut(&Line<'_>),
    ) -> Result<Read, PullError> {
        let mut all = Read::default();
        loop {
            let request = StreamRequest::get(changes(url, &all.end, filter), PAGE_BYTES_MAX);
            let mut lines = self.client.lines(request).await?;
            let mut page = PageReader::new(self, url, filter.to_owned(), None);
            page.keeps_place = false;
            let mut end = None;
            while let Some(line) = lines.next().await? {
                if let Ok((read, cursor)) = Line::read(&line) {
                    look(&read);
                    end = cursor.map(|cursor| cursor.to_string()).or(end);
                }
                let is_end = page.take(&line).await?;
                // More is not asked for at a time: what was named so far comes first.
                if page.wanted.len() >= FETCH_IDS_MAX {
                    all.count_missing(&page.complete().await?)?;
                }
                if is_end {
                    break;
                }
            }
            page.flush().await?;
            page.settle().await?;
            all.count_missing(&page.complete().await?)?;
            let is_over = page.pulled.lines == 0;
            all.pulled.add(page.pulled);
            match end {
                Some(end) if end != all.end && !is_over => all.end = end,
                Some(end) if is_over => {
                    all.end = end;
                    return Ok(all);
                }
                _ => return Err(PullError::CutOff),
            }
        }
    }

    /// Goes on with a peer that is followed in part and whose log begins anew. Where that is read on from is
    /// kept at the end only: what breaks off begins again.
    ///
    /// # Errors
    /// See [`PullError`].
    pub(super) async fn begin_part_anew(&self, peer: &Peer) -> Result<Pulled, PullError> {
        let url = &peer.url;
        let mut held = self.held_by(peer.filter()).await?;
        let read = self
            .read_by(url, &peer.filter, |line| {
                if let Line::Record { record } = line
                    && let Ok(envelope) = Envelope::parse(record.as_bytes())
                {
                    held.remove(&envelope.header().record_id());
                }
            })
            .await?;
        let mut pulled = read.pulled;
        pulled.add(self.ask_by_id(url, held).await?);
        if pulled.stored > 0 {
            self.peers
                .change(url, |peer| peer.received += pulled.stored)
                .await?;
        }
        self.peers.keep_place(url, &peer.filter, &read.end).await?;
        read.check_given()?;
        Ok(pulled)
    }

    /// The records that are here by a filter.
    async fn held_by(&self, filter: Filter) -> Result<BTreeSet<RecordId>, StoreError> {
        let ingest = self.ingest.clone();
        let read = tokio::task::spawn_blocking(move || ingest.held_by(&filter)).await;
        read.map_err(|_| StoreError::Closed)?
    }

    /// Asks for what counts of these records, and takes in what comes of it.
    async fn ask_by_id(
        &self,
        url: &str,
        mut wanted: BTreeSet<RecordId>,
    ) -> Result<Pulled, PullError> {
        let mut page = PageReader::new(self, url, String::new(), None);
        page.keeps_place = false;
        while !wanted.is_empty() {
            let rest = wanted.iter().nth(FETCH_IDS_MAX).cloned();
            let rest = rest.map_or_else(BTreeSet::new, |first| wanted.split_off(&first));
            let mut asked = std::mem::replace(&mut wanted, rest);
            let ids: Vec<String> = asked.iter().map(ToString::to_string).collect();
            let mut lines = self.client.lines(fetch::records(url, &ids)).await?;
            // Nobody is owed more lines than were asked for.
            for _ in 0..=ids.len() {
                let Some(line) = lines.next().await? else {
                    break;
                };
                let id = match Line::read(&line) {
                    Ok((Line::Record { record }, _)) => Envelope::parse(record.as_bytes())
                        .ok()
                        .map(|envelope| envelope.header().record_id()),
                    _ => None,
                };
                if id.is_some_and(|id| asked.remove(&id)) {
                    page.take(&line).await?;
                } else {
                    page.refuse(&"a line is none of the records asked for")
                        .await?;
                }
            }
            page.flush().await?;
            page.settle().await?;
        }
        Ok(page.pulled)
    }
}

fn changes(url: &str, since: &str, filter: &str) -> String {
    let mut query = Serializer::new(String::new());
    query
        .append_pair("since", since)
        .append_pair("filter", filter)
        .append_pair("limit", &CHANGES_ROWS_MAX.to_string());
    format!("{url}/sync/v1/changes?{}", query.finish())
}
