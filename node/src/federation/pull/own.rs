//! Asking another node for all that it has of some authors, whatever else is read of it.

use std::collections::BTreeSet;

use protocol::id::Scid;
use protocol::limits::CHANGES_ROWS_MAX;
use protocol::sync::Line;
use url::form_urlencoded::Serializer;

use super::{PAGE_BYTES_MAX, PageReader, PullError, Pulled, Puller, StreamRequest};

/// Authors that are asked for at a time: they stand in an address.
const AUTHORS_MAX: usize = 50;

impl Puller {
    /// Reads all that the node at `url` has of these authors, from the beginning of its log, and takes it
    /// in. Gives those of whom it has the log: it can tell what there is of them.
    ///
    /// # Errors
    /// See [`PullError`]; what was read before stays.
    pub async fn read_authors(
        &self,
        url: &str,
        authors: &[Scid],
    ) -> Result<(BTreeSet<Scid>, Pulled), PullError> {
        let mut known = BTreeSet::new();
        let mut pulled = Pulled::default();
        for authors in authors.chunks(AUTHORS_MAX) {
            let filter = filter_of(authors);
            self.read_filtered(url, &filter, &mut known, &mut pulled)
                .await?;
        }
        known.retain(|scid| authors.contains(scid));
        Ok((known, pulled))
    }

    async fn read_filtered(
        &self,
        url: &str,
        filter: &str,
        known: &mut BTreeSet<Scid>,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut since = String::new();
        loop {
            let request = StreamRequest::get(changes(url, &since, filter), PAGE_BYTES_MAX);
            let mut lines = self.0.client.lines(request).await?;
            let mut page = PageReader::new(&self.0, url, filter.to_owned(), None);
            // Another part of the log may be followed: its place stays.
            page.keeps_place = false;
            let mut end = None;
            while let Some(line) = lines.next().await? {
                if let Ok((read, cursor)) = Line::read(&line) {
                    if let Line::Log { scid, .. } = read {
                        known.insert(scid);
                    }
                    end = cursor.map(|cursor| cursor.to_string()).or(end);
                }
                if page.take(&line).await? {
                    break;
                }
            }
            page.flush().await?;
            page.settle().await?;
            page.complete().await?;
            let is_over = page.pulled.lines == 0;
            pulled.add(page.pulled);
            match end {
                Some(end) if end != since && !is_over => since = end,
                _ if is_over => return Ok(()),
                _ => return Err(PullError::CutOff),
            }
        }
    }
}

fn filter_of(authors: &[Scid]) -> String {
    let mut filter = Serializer::new(String::new());
    for author in authors {
        filter.append_pair("author", &author.to_string());
    }
    filter.finish()
}

fn changes(url: &str, since: &str, filter: &str) -> String {
    let mut query = Serializer::new(String::new());
    query
        .append_pair("since", since)
        .append_pair("filter", filter)
        .append_pair("limit", &CHANGES_ROWS_MAX.to_string());
    format!("{url}/sync/v1/changes?{}", query.finish())
}
