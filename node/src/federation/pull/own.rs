//! Asking another node for all that it has of some authors, whatever else is read of it.

use std::collections::BTreeSet;

use protocol::id::Scid;
use protocol::sync::{Filter, Line};

use super::{PullError, Pulled, Puller};

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
            let filter = Filter {
                authors: authors.iter().copied().collect(),
                ..Filter::default()
            };
            let filter = filter.to_string();
            let read = self.0.read_by(url, &filter, |line| {
                if let Line::Log { scid, .. } = line {
                    known.insert(*scid);
                }
            });
            let read = read.await?;
            // One that knows of a version and cannot give it does not tell what there is of an author.
            read.check_given()?;
            pulled.add(read.pulled);
        }
        known.retain(|scid| authors.contains(scid));
        Ok((known, pulled))
    }
}
