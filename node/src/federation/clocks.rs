//! Whether this machine's clock is right: the nodes that this one follows say what time it is there.
//!
//! A node cannot know the time by itself. What most of those whom its operator chose to follow agree on
//! is believed, and one alone cannot keep a node from publishing.

use std::time::Duration;

use super::client::Client;
use super::peers::{Peer, Peers};
use super::site::is_site;
use crate::chance;
use crate::clock::SharedClock;
use crate::standing::Standing;
use crate::store::StoreError;

/// How far clocks may differ before records are put aside or refused.
const DIFFER_SECONDS_MAX: i64 = protocol::limits::CLOCK_SKEW_SECONDS_MAX;

/// Peers that are heard.
const HEARD_MAX: usize = 5;

/// Peers that are asked, because some may be gone.
const ASKED_MAX: usize = 20;

/// How often they are asked, and how often while our clock is wrong.
const EVERY: Duration = Duration::from_secs(1_800);
const EVERY_WHILE_WRONG: Duration = Duration::from_secs(60);

/// Peers that must say so before nothing is published.
const WITNESSES_MIN: usize = 2;

/// What the clocks of peers show: by how many seconds ours lies ahead of each, in rising order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clocks(Vec<i64>);

impl Clocks {
    /// Asks the nodes that are followed; those that do not answer are left out.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn ask(
        client: &Client,
        peers: &Peers,
        clock: &SharedClock,
    ) -> Result<Self, StoreError> {
        let mut followed = witnesses(peers)?;
        // Not the same few each time: they may be those that are wrong.
        let first = chance::below(followed.len());
        followed.rotate_left(first);
        let mut ahead = Vec::new();
        for peer in followed.iter().take(ASKED_MAX) {
            if ahead.len() == HEARD_MAX {
                break;
            }
            let address = format!("{}/livez", peer.url);
            if let Ok(answer) = client.document(&address, "text/plain").await
                && let Some(date) = answer.date
            {
                ahead.push(clock.now().unix_seconds() - date.unix_seconds());
            }
        }
        ahead.sort_unstable();
        Ok(Self(ahead))
    }

    /// How many answered.
    pub fn answers(&self) -> usize {
        self.0.len()
    }

    /// By how many seconds our clock lies ahead, or behind if negative, of those of most peers, if that is
    /// more than records may be.
    pub fn wrong_by(&self) -> Option<i64> {
        // More than half would have to be wrong for us to be right.
        let most = self.0.len() / 2 + 1;
        let ahead = self.0.iter().rev().nth(most - 1).copied();
        let behind = self.0.get(most - 1).copied();
        ahead
            .filter(|seconds| *seconds > DIFFER_SECONDS_MAX)
            .or(behind.filter(|seconds| *seconds < -DIFFER_SECONDS_MAX))
    }

    /// Notes what it means for publishing. Silence changes nothing; without anybody to ask there is no
    /// reason to hold anything back.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note(&self, standing: &Standing, peers: &Peers) -> Result<(), StoreError> {
        match self.wrong_by() {
            Some(ahead) if self.answers() >= WITNESSES_MIN => {
                standing.hold_for_clock(ahead).await?
            }
            Some(_) => {}
            None if self.answers() > 0 => standing.note_right_clock().await?,
            None => {
                if witnesses(peers)?.is_empty() {
                    standing.note_right_clock().await?;
                }
            }
        }
        Ok(())
    }

    /// How long to wait before they are asked again: half an hour, or a minute while our clock is wrong. Over a
    /// thin line, where they are read every so many hours, they are asked as often, or half-hourly while it
    /// is wrong.
    ///
    /// # Errors
    /// A disk fault.
    pub fn pause(&self, peers: &Peers) -> Result<Duration, StoreError> {
        let thin = witnesses(peers)?.iter().filter_map(Peer::every).min();
        Ok(match (thin, self.wrong_by()) {
            (None, None) | (Some(_), Some(_)) => EVERY,
            (None, Some(_)) => EVERY_WHILE_WRONG,
            (Some(every), None) => every,
        })
    }
}

/// The nodes that are followed. Those at the other end of a thin line are left alone if there are others.
fn witnesses(peers: &Peers) -> Result<Vec<Peer>, StoreError> {
    let mut followed = peers.all()?;
    followed.retain(|peer| peer.is_read() && !is_site(&peer.url));
    if followed.iter().any(|peer| peer.every_hours.is_none()) {
        followed.retain(|peer| peer.every_hours.is_none());
    }
    Ok(followed)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::sync::Arc;

    use protocol::acceptance::Rules;

    use super::{Clocks, EVERY, EVERY_WHILE_WRONG, Peers, witnesses};
    use crate::store::{Store, engine::Memory};

    const DAY: i64 = 86_400;

    #[tokio::test]
    async fn who_is_behind_a_thin_line_is_asked_as_seldom_as_it_is_read_and_not_at_all_beside_others()
     {
        let (memory, epoch) = (Arc::new(Memory::default()), "epoch".to_owned());
        let store = Store::on(memory, epoch, Rules::decided()).unwrap();
        let peers = Peers::new(Arc::new(store));
        let follow = async |url: &str, hours| {
            let follow = |peer: &mut super::Peer| {
                peer.is_followed = true;
                peer.every_hours = NonZeroU8::new(hours);
            };
            peers.change(url, follow).await.unwrap();
        };
        let (right, wrong) = (Clocks(vec![0]), Clocks(vec![DAY]));
        follow("https://far.example", 6).await;
        follow("https://farther.example", 12).await;
        assert_eq!(witnesses(&peers).unwrap().len(), 2);
        assert_eq!(right.pause(&peers).unwrap().as_secs(), 6 * 3_600);
        assert_eq!(wrong.pause(&peers).unwrap(), EVERY);
        follow("https://near.example", 0).await;
        assert_eq!(witnesses(&peers).unwrap()[0].url, "https://near.example");
        assert_eq!(witnesses(&peers).unwrap().len(), 1);
        assert_eq!(right.pause(&peers).unwrap(), EVERY);
        assert_eq!(wrong.pause(&peers).unwrap(), EVERY_WHILE_WRONG);
    }

    #[test]
    fn t08_a_clock_is_wrong_if_most_say_so_on_one_side() {
        for (ahead, wrong_by) in [
            (&[][..], None),
            (&[0], None),
            (&[600], None),
            (&[601], Some(601)),
            (&[-DAY], Some(-DAY)),
            (&[0, DAY], None),
            (&[-DAY, DAY], None),
            (&[DAY, DAY + 1], Some(DAY)),
            (&[-DAY - 1, -DAY], Some(-DAY)),
            (&[0, DAY, DAY], Some(DAY)),
            (&[-DAY, -DAY, 0, 0], None),
            (&[-DAY, -DAY, -DAY, 0, DAY], Some(-DAY)),
        ] {
            assert_eq!(Clocks(ahead.to_vec()).wrong_by(), wrong_by, "{ahead:?}");
        }
    }
}
