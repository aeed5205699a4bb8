//! Asking others for records that are damaged here.

use std::collections::BTreeSet;

use protocol::envelope::Envelope;
use protocol::id::RecordId;
use protocol::limits::FETCH_IDS_MAX;
use protocol::sync::Line;

use super::super::fetch;
use super::super::site::is_site;
use super::{PullError, Puller};
use crate::store::{Offered, Refusal, Store};

impl Puller {
    /// Fetches the records that were noted as damaged from the peers that are followed, and puts them in
    /// their place. Gives how many were mended, and which nobody had.
    ///
    /// # Errors
    /// A disk fault; a peer that does not answer is passed over.
    pub async fn mend(&self, store: &Store) -> Result<(usize, BTreeSet<RecordId>), PullError> {
        let mut wanted: BTreeSet<RecordId> = store.noted_rotten()?.into_iter().collect();
        let mut mended = 0;
        for peer in self.0.peers.all()? {
            if wanted.is_empty() {
                break;
            }
            if peer.is_read() && !is_site(&peer.url) {
                mended += self.mend_from(store, &peer.url, &mut wanted).await?;
            }
        }
        Ok((mended, wanted))
    }

    async fn mend_from(
        &self,
        store: &Store,
        url: &str,
        wanted: &mut BTreeSet<RecordId>,
    ) -> Result<usize, PullError> {
        let ids: Vec<RecordId> = wanted.iter().cloned().collect();
        let mut mended = 0;
        for ids in ids.chunks(FETCH_IDS_MAX) {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let mut lines = match self.0.client.lines(fetch::records(url, &ids)).await {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::warn!(peer = url, %error, "a peer was asked for damaged records");
                    return Ok(mended);
                }
            };
            while let Ok(Some(line)) = lines.next().await {
                let Ok((Line::Record { record }, _)) = Line::read(&line) else {
                    continue;
                };
                let proven = Envelope::parse(record.as_bytes())
                    .ok()
                    .and_then(|envelope| envelope.prove().ok());
                let Some(proven) = proven else {
                    continue;
                };
                let id = proven.record().header.record_id();
                if !wanted.contains(&id) {
                    continue;
                }
                match store.mend(Offered::new(proven)?, self.0.clock.now()).await {
                    Ok(is_mended) => {
                        mended += usize::from(is_mended);
                        wanted.remove(&id);
                    }
                    Err(Refusal::Store(error)) => return Err(error.into()),
                    Err(error) => tracing::warn!(%id, %error, "a peer's record mends nothing"),
                }
            }
        }
        Ok(mended)
    }
}
