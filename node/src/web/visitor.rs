//! Whose request it is, as far as that can be known, and how much of the node one visitor may keep
//! busy by waiting.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;

use crate::config::Networks;

/// Most requests of one visitor that wait for news at a time. Each keeps one of the node's connections for
/// up to half a minute; a few nodes behind one address are served, one visitor cannot take all places.
pub const WAITING_MAX: usize = 64;

/// The address that a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visitor(IpAddr);

impl Visitor {
    /// The other end of the connection; if that is one of our proxies, whom it says it speaks for.
    ///
    /// `X-Forwarded-For` is read from its end, which the nearest proxy wrote, to the first address that is no proxy of
    /// ours: what stands before that was written by the visitor, who may write anything. From anyone else the
    /// header is not read at all.
    pub fn of(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> Self {
        let mut nearest = peer.to_canonical();
        let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let mut told = lines
            .iter()
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        while proxies.contain(nearest) {
            let Some(before) = told.next().and_then(read_address) else {
                break;
            };
            nearest = before.to_canonical();
        }
        Self(nearest)
    }

    /// What is counted as one: an IPv6 visitor has a whole /64 at hand.
    pub(super) fn place(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
            }
        }
    }
}

/// An address as proxies write it, some with a port.
fn read_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    text.parse().ok().or_else(with_port)
}

/// How many requests wait, by visitor. Only those that have some are in it.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A visitor's place among those that wait, until it is dropped.
#[derive(Debug)]
pub struct Place {
    waiting: Waiting,
    of: IpAddr,
}

impl Waiting {
    /// A place for one more request of this visitor; `None` if it has [`WAITING_MAX`].
    pub fn place(&self, visitor: Visitor) -> Option<Place> {
        let of = visitor.place();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(of).or_default();
        if *count >= WAITING_MAX {
            return None;
        }
        *count += 1;
        let waiting = self.clone();
        Some(Place { waiting, of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counts = &self.waiting.0;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{Visitor, WAITING_MAX, Waiting};
    use crate::config::Networks;

    fn visitor(peer: &str, lines: &[&'static str]) -> String {
        let proxies = ["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let proxies = Networks::parse(&proxies).unwrap();
        Visitor::of(peer.parse().unwrap(), &headers, &proxies)
            .0
            .to_string()
    }

    #[test]
    fn h13_who_is_no_proxy_of_ours_is_counted_by_its_own_address_whatever_it_says() {
        assert_eq!(visitor("203.0.113.9", &["127.0.0.1"]), "203.0.113.9");
        assert_eq!(
            visitor("203.0.113.9", &["10.1.2.3, 127.0.0.1"]),
            "203.0.113.9"
        );
    }

    #[test]
    fn h13_of_what_a_proxy_says_only_what_proxies_wrote_is_believed() {
        assert_eq!(visitor("127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(visitor("::ffff:127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        // What the visitor sent stands first.
        assert_eq!(
            visitor("127.0.0.1", &["10.9.9.9, 203.0.113.9"]),
            "203.0.113.9"
        );
        assert_eq!(
            visitor("127.0.0.1", &["127.0.0.1", "203.0.113.9"]),
            "203.0.113.9"
        );
        // A proxy behind a proxy.
        assert_eq!(
            visitor("127.0.0.1", &["203.0.113.9, 10.1.2.3"]),
            "203.0.113.9"
        );
        assert_eq!(visitor("127.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(visitor("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        // What does not read ends it at the proxy that let it through.
        assert_eq!(visitor("127.0.0.1", &["203.0.113.9, unknown"]), "127.0.0.1");
        assert_eq!(visitor("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn a_visitor_has_so_many_places_and_gets_each_back() {
        let waiting = Waiting::default();
        let [one, same, other] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
            .map(|address| Visitor(address.parse().unwrap()));
        let mut places: Vec<_> = (0..WAITING_MAX).map(|_| waiting.place(one)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(waiting.place(one).is_none() && waiting.place(same).is_none());
        assert!(waiting.place(other).is_some());
        places.pop();
        assert!(waiting.place(same).is_some());
        drop(places);
        assert!(waiting.0.lock().unwrap().is_empty());
    }
}
