//! Comparing what is here with all that a peer has, and asking for the difference.
//!
//! Identities first, then records. Each message says what some range of a set comes to; where that
//! differs, the peer names what it has there. What is not here is asked for by hash and comes in
//! through the one door. What is here and not there is left to the peer: it pulls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::VersionHash;
use protocol::identity::LogEntry;
use protocol::limits::{FETCH_IDS_MAX, RECONCILE_BYTES_MAX};
use protocol::sync::{CURSOR_HEADER, Cursor, Line, SetName};

use super::super::fetch;
use super::super::peers::{Peer, PeerError};
use super::super::site::is_site;
use super::wanted::passes;
use super::{Inner, PageReader, PullError, Pulled, Puller, StreamRequest};
use crate::chance;
use crate::sets::{Items, Snapshot, Talk};
use crate::store::StoreError;

/// How long a peer may take to read its store for the first answer.
const WAIT: Duration = Duration::from_secs(30);

/// Logs that are asked for at a time: a long one has a megabyte.
const LOGS_MAX: usize = 20;

/// Versions in a row that may come and bring nothing, because they are older than what is here or
/// beyond a quota, before the rest of a comparison is given up.
pub(super) const FRUITLESS_MAX: usize = 4 * FETCH_IDS_MAX;

/// Peers that are tried in one round of comparing.
const TRIES: usize = 3;

/// What a comparison came to.
struct Compared {
    pulled: Pulled,
    /// From where the peer's log is to be read on: all that stood before is compared.
    cursor: Option<Cursor>,
    /// What the peer named and nobody gave.
    missing: BTreeSet<VersionHash>,
}

impl Puller {
    /// Compares what is here with all that a peer has, takes in what was missing, and reads the peer's log
    /// on to its end. A peer that cannot compare, or is followed in part, is read from its beginning.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn compare(&self, url: &str) -> Result<Pulled, PullError> {
        if !self.0.peers.get(url)?.is_some_and(|peer| is_whole(&peer)) {
            return self.read_anew(url).await;
        }
        let mut all = match self.0.compare(url).await {
            Ok(compared) => compared.pulled,
            Err(PullError::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::info!(peer = url, %error, "a peer was not compared with: its log is read anew");
                return self.read_anew(url).await;
            }
        };
        all.add(self.catch_up(url).await?);
        Ok(all)
    }

    /// Compares with one of the peers that are followed whole, chosen by chance; if that fails, with
    /// another. So what one peer leaves out is found at another. Who is at the other end of a thin line is
    /// chosen once a day only.
    ///
    /// # Errors
    /// A disk fault; how it went with a peer stands in its `last_error`.
    pub async fn compare_with_some(&self) -> Result<(), PullError> {
        self.compare_by(chance::below).await.map(|_| ())
    }

    /// As [`Puller::compare_with_some`], by the chance of whoever drives a node step by step: a number
    /// below the one given. Gives what the comparison brought that came to its end; `None` if none did.
    ///
    /// # Errors
    /// As [`Puller::compare_with_some`].
    pub async fn compare_by(
        &self,
        mut below: impl FnMut(usize) -> usize + Send,
    ) -> Result<Option<Pulled>, PullError> {
        let mut peers: Vec<Peer> = self.0.peers.all()?;
        let now = self.0.clock.now();
        peers.retain(|peer| peer.is_read() && is_whole(peer) && peer.is_due_to_compare(now));
        for _ in 0..TRIES.min(peers.len()) {
            let peer = peers.swap_remove(below(peers.len()));
            match self.0.compare(&peer.url).await {
                Ok(compared) if compared.missing.is_empty() => return Ok(Some(compared.pulled)),
                Ok(compared) => self.0.note_error(&peer.url, &compared.withheld()).await?,
                Err(PullError::Store(error)) => return Err(error.into()),
                // An earlier release, and no fault.
                Err(error) if error.is_not_offered() => {}
                Err(error) => self.0.note_error(&peer.url, &error).await?,
            }
        }
        Ok(None)
    }
}

impl PullError {
    fn is_not_offered(&self) -> bool {
        matches!(self, Self::Fetch(error)
            if error.status().is_some_and(|(status, _)| matches!(status, 404 | 405)))
    }
}

impl Compared {
    fn withheld(&self) -> PullError {
        PullError::Withheld {
            count: self.missing.len(),
            first: self
                .missing
                .first()
                .copied()
                .unwrap_or(VersionHash::of(&[])),
        }
    }
}

/// Whether all that a peer has is wanted, and it is a node.
fn is_whole(peer: &Peer) -> bool {
    peer.filter.is_empty() && !is_site(&peer.url)
}

impl Inner {
    /// Goes on with a peer whose log begins anew: compares, then reads on from where that log stands. If
    /// they cannot compare, the log is read from its beginning; so is that of a peer that is followed in part. While `is_patient`, a peer that
    /// is busy or out of reach is an error instead, and asked again later.
    ///
    /// # Errors
    /// See [`PullError`].
    pub(super) async fn begin_anew(
        &self,
        url: &str,
        is_patient: bool,
    ) -> Result<Pulled, PullError> {
        let peer = match self.peers.get(url)? {
            Some(peer) if is_whole(&peer) => peer,
            Some(peer) if !is_site(&peer.url) => return self.begin_part_anew(&peer).await,
            _ => {
                self.peers.begin_anew(url).await?;
                return Ok(Pulled::default());
            }
        };
        match self.compare(url).await {
            Ok(compared) => {
                if let Some(cursor) = &compared.cursor {
                    let cursor = cursor.to_string();
                    self.peers.keep_place(url, &peer.filter, &cursor).await?;
                } else {
                    self.peers.begin_anew(url).await?;
                }
                match compared.missing.is_empty() {
                    true => Ok(compared.pulled),
                    false => Err(compared.withheld()),
                }
            }
            Err(PullError::Store(error)) => Err(error.into()),
            Err(PullError::Fetch(error)) if is_patient && passes(&error) => Err(error.into()),
            Err(error) => {
                tracing::info!(peer = url, %error, "a peer was not compared with: its log is read anew");
                self.peers.begin_anew(url).await?;
                Ok(Pulled::default())
            }
        }
    }

    /// Compares identities, then records, and takes in what is missing here.
    async fn compare(&self, url: &str) -> Result<Compared, PullError> {
        let mut comparison = Comparison {
            inner: self,
            url,
            page: PageReader::new(self, url, String::new(), None),
            fruitless: 0,
            missing: BTreeSet::new(),
        };
        comparison.page.keeps_place = false;
        let ended = comparison.run().await;
        let Comparison { page, missing, .. } = comparison;
        let pulled = page.pulled;
        let (is_done, now) = (ended.is_ok(), self.clock.now().unix_seconds());
        if is_done || pulled.stored > 0 {
            self.peers
                .change(url, |peer| {
                    peer.received += pulled.stored;
                    peer.last_compared = is_done.then_some(now).or(peer.last_compared);
                })
                .await?;
        }
        tracing::info!(
            peer = url,
            messages = pulled.messages,
            bytes = pulled.message_bytes,
            stored = pulled.stored,
            missing = missing.len(),
            "compared with a peer"
        );
        Ok(Compared {
            cursor: ended?,
            pulled,
            missing,
        })
    }

    async fn sets(&self) -> Result<Snapshot, StoreError> {
        let sets = self.sets.clone();
        let read = tokio::task::spawn_blocking(move || sets.asking()).await;
        read.map_err(|_| StoreError::Closed)?
    }

    async fn note_error(&self, url: &str, error: &PullError) -> Result<(), PeerError> {
        let reason = error.to_string();
        self.peers
            .change(url, |peer| peer.last_error = Some(reason))
            .await?;
        Ok(())
    }
}

/// A comparison under way.
struct Comparison<'c> {
    inner: &'c Inner,
    url: &'c str,
    /// Takes in what comes.
    page: PageReader<'c>,
    /// Versions in a row that brought nothing.
    fruitless: usize,
    missing: BTreeSet<VersionHash>,
}

impl Comparison<'_> {
    /// Gives the place of the peer's log at its first answer: both sets were read after it.
    async fn run(&mut self) -> Result<Option<Cursor>, PullError> {
        let sets = self.inner.sets().await?;
        let own = Arc::clone(sets.identities());
        let cursor = self.talk(SetName::Identities, own, &sets).await?;
        // By the logs that came, other records may count here.
        let sets = self.inner.sets().await?;
        let own = Arc::clone(sets.records());
        self.talk(SetName::Records, own, &sets).await?;
        Ok(cursor)
    }

    async fn talk(
        &mut self,
        set: SetName,
        own: Arc<Items>,
        sets: &Snapshot,
    ) -> Result<Option<Cursor>, PullError> {
        let (mut talk, mut message) = Talk::begin(own)?;
        let mut first = None;
        loop {
            let (said, cursor) = self.say(&set, message).await?;
            first = first.or(cursor);
            let heard = talk.hear(&said)?;
            let mut lacking: BTreeSet<VersionHash> = heard.lacking.into_iter().collect();
            if set == SetName::Identities {
                lacking.retain(|head| {
                    sets.author_by_head(head).is_none() && !self.inner.sets.is_passed_over(head)
                });
                self.ask_for_logs(lacking).await?;
            } else {
                self.ask_for_records(lacking).await?;
            }
            match heard.reply {
                Some(reply) => message = reply,
                None => return Ok(first),
            }
        }
    }

    /// Sends one message, and gives the answer.
    async fn say(
        &mut self,
        set: &SetName,
        message: Vec<u8>,
    ) -> Result<(Vec<u8>, Option<Cursor>), PullError> {
        let sent = message.len();
        let address = format!("{}/sync/v1/reconcile?set={set}", self.url);
        let request = StreamRequest::post_bytes(address, message, RECONCILE_BYTES_MAX as u64);
        let answer = self.inner.client.lines(request.waiting(WAIT)).await?;
        let cursor = answer.header(CURSOR_HEADER).and_then(Cursor::parse);
        let said = answer.rest().await?;
        self.page.pulled.messages += 1;
        self.page.pulled.message_bytes += (sent + said.len()) as u64;
        Ok((said, cursor))
    }

    async fn ask_for_records(
        &mut self,
        mut lacking: BTreeSet<VersionHash>,
    ) -> Result<(), PullError> {
        let mut failed = None;
        lacking.retain(|hash| match self.inner.ingest.knows(hash) {
            Ok(is_known) => !is_known && !self.inner.sets.is_passed_over(hash),
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        while !lacking.is_empty() {
            let rest = lacking.iter().nth(FETCH_IDS_MAX).copied();
            let rest = rest.map_or_else(BTreeSet::new, |first| lacking.split_off(&first));
            let asked = std::mem::replace(&mut lacking, rest);
            let (count, stored) = (asked.len(), self.page.pulled.stored);
            self.page.wanted = asked;
            let missing = self.page.complete().await?;
            let is_barren = missing.len() == FETCH_IDS_MAX;
            self.missing.extend(missing);
            self.fruitless = match self.page.pulled.stored > stored {
                true => 0,
                false => self.fruitless + count,
            };
            // Who offers millions and gives nothing is not asked for all of them.
            if is_barren || self.fruitless >= FRUITLESS_MAX {
                return Err(PullError::Fruitless {
                    count: self.fruitless,
                });
            }
        }
        Ok(())
    }

    async fn ask_for_logs(&mut self, mut heads: BTreeSet<VersionHash>) -> Result<(), PullError> {
        while !heads.is_empty() {
            let mut wanted: BTreeSet<VersionHash> = heads.iter().take(LOGS_MAX).copied().collect();
            heads.retain(|head| !wanted.contains(head));
            let asked = wanted.len();
            self.ask_for_some_logs(&mut wanted).await?;
            if wanted.len() == LOGS_MAX {
                return Err(PullError::Fruitless { count: LOGS_MAX });
            }
            if wanted.len() < asked {
                // An answer is bounded: some may be given the next time.
                heads.extend(wanted);
                continue;
            }
            if let Some(first) = wanted.first() {
                let reason = format!("a log was named and not given: {first}");
                self.page.refuse(&reason).await?;
            }
            self.missing.extend(wanted);
        }
        Ok(())
    }

    /// Asks for the logs that have these newest entries, and takes in what comes; which of them were given
    /// is wanted no longer.
    async fn ask_for_some_logs(
        &mut self,
        wanted: &mut BTreeSet<VersionHash>,
    ) -> Result<(), PullError> {
        let ids: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let mut lines = self.inner.client.lines(fetch::logs(self.url, &ids)).await?;
        while let Some(line) = lines.next().await? {
            match Line::read(&line) {
                Ok((Line::Log { entry, .. }, _)) => {
                    if let Ok(entry) = LogEntry::parse(entry.as_bytes()) {
                        let digest = *entry.version_id().hash.as_digest();
                        wanted.remove(&VersionHash::from_digest(digest));
                    }
                    self.page.take(&line).await?;
                }
                _ => self.page.refuse(&"a line is no entry of a log").await?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use protocol::record::Draft;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::Config;
    use crate::node::Node;

    async fn node(port: u16, peer: u16) -> (Arc<Node>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "name = \"Test hub\"\nurl = \"http://127.0.0.1:{port}\"\n\
             [federation]\nannounce = false\ninsecure_peers = [\"127.0.0.1:{peer}\"]"
        );
        let settings = toml::from_str(&settings).unwrap();
        let config = Config::check(folder.path(), settings).unwrap();
        Node::init(&config, Arc::new(SystemClock)).await.unwrap();
        let node = Node::open(config, Arc::new(SystemClock)).unwrap();
        (node, folder)
    }

    #[tokio::test]
    async fn what_a_followed_peer_has_is_found_by_comparing_with_one_by_chance() {
        let free = || TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let ports = [free(), free()].map(|socket| socket.local_addr().unwrap().port());
        let (hub, _hub_folder) = node(ports[0], ports[1]).await;
        let (reader, _reader_folder) = node(ports[1], ports[0]).await;
        let org = hub.add_organization("org").await.unwrap();
        let draft = json!({
            "type": "Offering", "localId": "x", "language": "en",
            "body": {"kind": "course", "name": {"en": "A course"}},
        });
        let draft = Draft::new(draft.as_object().unwrap(), "CC-BY-4.0").unwrap();
        let signer = hub.keychain.signer("org").unwrap();
        let published = hub.publisher.publish(&signer, &[draft], |_| {}).await;
        assert_eq!(published.unwrap().len(), 1);
        let count = |node: &Node| node.store.held(None).count();
        assert!(count(&hub) > 0);
        hub.serve().await.unwrap();
        let url = format!("http://127.0.0.1:{}", ports[0]);

        // Nobody is followed whole: nobody is asked.
        let follow = |filter: &'static str| {
            reader.peers.change(&url, move |peer| {
                peer.is_followed = true;
                peer.filter = filter.to_owned();
            })
        };
        follow("area=cyber").await.unwrap();
        reader.puller.compare_with_some().await.unwrap();
        assert_eq!(count(&reader), 0);

        follow("").await.unwrap();
        reader.puller.compare_with_some().await.unwrap();
        assert_eq!(count(&reader), count(&hub));
        let scid = org.entry.scid();
        assert!(reader.store.author(scid).unwrap().is_some());
        let peer = reader.peers.get(&url).unwrap().unwrap();
        assert_eq!((peer.last_error, peer.received), (None, count(&hub) as u64));
        // The log was not read, and its place is not known.
        assert_eq!(reader.peers.cursor(&url, "").unwrap(), None);

        // Whoever does not answer is noted.
        hub.stop().await;
        reader.puller.compare_with_some().await.unwrap();
        let peer = reader.peers.get(&url).unwrap().unwrap();
        assert!(peer.last_error.is_some());
    }
}
