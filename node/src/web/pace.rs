//! How many requests one visitor may make: as many at once as in a minute, and again as many as the minute goes on.
//!
//! It keeps one visitor from taking the whole node; many together are bounded by the node's connections. Programs
//! on this machine are not counted: they are the operator's, or a proxy that the settings do not name, for whom
//! all its visitors would be one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::visitor::Visitor;
use crate::clock::Stopwatch;

/// Most visitors that are counted at a time, some 3 MB. While there are more, those that come are not counted:
/// no visitor can be told from so many.
const VISITORS_MAX: usize = 65_536;

/// How often those who need not be counted any more are looked for, once there are so many.
const SWEEP: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_secs(60);

/// Counts the requests of each visitor.
#[derive(Debug)]
pub struct Pace {
    /// None if nobody is counted.
    per_minute: Option<u32>,
    clock: Stopwatch,
    counted: Mutex<Counted>,
}

/// Times are those of the stopwatch.
#[derive(Debug, Default)]
struct Counted {
    /// When a visitor has its whole minute again. Who has it is not in here.
    whole_at: HashMap<IpAddr, Duration>,
    swept_at: Duration,
}

impl Pace {
    /// So many requests a minute for each visitor; with 0, any number.
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute: (per_minute > 0).then_some(per_minute),
            clock: Stopwatch::start(),
            counted: Mutex::default(),
        }
    }

    /// Counts one more request.
    ///
    /// # Errors
    /// The visitor has used up what it may: how long it is to wait.
    pub fn count(&self, visitor: Visitor) -> Result<(), Duration> {
        self.count_at(visitor.place(), self.clock.elapsed())
    }

    fn count_at(&self, visitor: IpAddr, now: Duration) -> Result<(), Duration> {
        let Some(per_minute) = self.per_minute else {
            return Ok(());
        };
        // Without a socket, as in tests of the routes alone, the address is unspecified.
        let is_here = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        if is_here.contains(&visitor) || visitor.is_unspecified() {
            return Ok(());
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.whole_at.get(&visitor).copied();
        let whole_at = known.unwrap_or_default().max(now) + MINUTE / per_minute;
        if let Some(wait) = whole_at
            .checked_sub(now + MINUTE)
            .filter(|wait| !wait.is_zero())
        {
            return Err(wait);
        }
        if known.is_none() && !counted.has_room(now) {
            return Ok(());
        }
        counted.whole_at.insert(visitor, whole_at);
        Ok(())
    }
}

impl Counted {
    fn has_room(&mut self, now: Duration) -> bool {
        if self.whole_at.len() >= VISITORS_MAX && now >= self.swept_at + SWEEP {
            self.swept_at = now;
            self.whole_at.retain(|_, whole_at| *whole_at > now);
        }
        self.whole_at.len() < VISITORS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(0xcb00_0000 + n).into()
    }

    #[test]
    fn h13_a_visitor_has_a_minutes_worth_at_once_and_then_as_the_minute_goes_on() {
        let pace = Pace::new(60);
        let [one, other] = [address(1), address(2)];
        let at = Duration::from_secs;
        let at_once = |n: u64| {
            (0..n)
                .filter(|_| pace.count_at(one, at(100)).is_ok())
                .count()
        };
        assert_eq!(at_once(100), 60);
        assert_eq!(pace.count_at(one, at(100)), Err(at(1)));
        // Another's is its own, and who is refused has used up nothing.
        assert_eq!(pace.count_at(other, at(100)), Ok(()));
        assert_eq!(pace.count_at(one, at(101)), Ok(()));
        assert_eq!(pace.count_at(one, at(101)), Err(at(1)));
        let later = (0..100).filter(|_| pace.count_at(one, at(161)).is_ok());
        assert_eq!(later.count(), 60);
    }

    #[test]
    fn this_machines_own_programs_are_not_counted_and_with_0_nobody_is() {
        for (pace, visitor) in [
            (Pace::new(1), IpAddr::V4(Ipv4Addr::LOCALHOST)),
            (Pace::new(1), IpAddr::V6(Ipv6Addr::LOCALHOST)),
            (Pace::new(0), address(1)),
        ] {
            for _ in 0..10 {
                assert_eq!(pace.count_at(visitor, MINUTE), Ok(()));
            }
            assert!(pace.counted.lock().unwrap().whole_at.is_empty());
        }
    }

    #[test]
    fn r10_visitors_without_end_take_no_more_than_their_room_and_it_comes_back() {
        let pace = Pace::new(60);
        let held = || pace.counted.lock().unwrap().whole_at.len();
        for n in 0..VISITORS_MAX as u32 + 1_000 {
            assert_eq!(pace.count_at(address(n), MINUTE), Ok(()));
        }
        assert_eq!(held(), VISITORS_MAX);
        // Whoever was counted still is.
        let again = (0..100).filter(|_| pace.count_at(address(7), MINUTE).is_ok());
        assert_eq!(again.count(), 59);
        assert_eq!(pace.count_at(address(1 << 20), 2 * MINUTE), Ok(()));
        assert_eq!(held(), 1, "the others have their whole minute again");
    }
}
