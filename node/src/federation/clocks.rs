//! Whether this machine's clock is right: the nodes that this one follows say what time it is there.
//!
//! A node cannot know the time by itself. What most of those whom its operator chose to follow agree on
//! is believed, and one alone cannot keep a node from publishing.

use super::client::Client;
use super::peers::Peers;
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
        let followed = peers.all()?.into_iter();
        let followed = followed.filter(|peer| peer.is_read() && !is_site(&peer.url));
        let mut followed: Vec<_> = followed.collect();
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
                let all = peers.all()?;
                if !all.iter().any(|peer| peer.is_read() && !is_site(&peer.url)) {
                    standing.note_right_clock().await?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Clocks;

    const DAY: i64 = 86_400;

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
