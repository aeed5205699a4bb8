//! Addresses and networks as settings name them: `127.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.

use std::net::IpAddr;

/// A set of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// All addresses that begin as `start` does, for so many bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    start: IpAddr,
    bits: u32,
}

impl Networks {
    /// Reads a list of addresses and networks; gives the first text that is neither.
    ///
    /// # Errors
    /// That text.
    pub fn parse(texts: &[String]) -> Result<Self, &str> {
        let read = |text| Network::parse(text).ok_or(text);
        let networks = texts.iter().map(|text| read(text.as_str()));
        Ok(Self(networks.collect::<Result<_, _>>()?))
    }

    /// Whether an address is among them. An IPv4 address written as IPv6 is that IPv4 address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (start, bits) = match text.split_once('/') {
            Some((start, bits)) => (start, Some(bits)),
            None => (text, None),
        };
        let start: IpAddr = start.parse().ok()?;
        let bits_max = if start.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => bits_max,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= bits_max)?,
        };
        Some(Self { start, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.start, address) {
            (IpAddr::V4(start), IpAddr::V4(address)) => {
                let differs = start.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            (IpAddr::V6(start), IpAddr::V6(address)) => {
                let differs = start.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Networks;

    #[test]
    fn an_address_is_in_the_networks_that_begin_like_it() {
        let texts = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"].map(str::to_owned);
        let networks = Networks::parse(&texts).unwrap();
        for within in [
            "127.0.0.1",
            "10.255.3.4",
            "2001:db8:1::7",
            "::ffff:10.1.1.1",
        ] {
            assert!(networks.contain(within.parse().unwrap()), "{within}");
        }
        for outside in ["127.0.0.2", "11.0.0.1", "2001:db9::1", "::1"] {
            assert!(!networks.contain(outside.parse().unwrap()), "{outside}");
        }
        let everywhere = Networks::parse(&["0.0.0.0/0".to_owned()][..]).unwrap();
        assert!(everywhere.contain("203.0.113.9".parse().unwrap()));
        for wrong in ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/x", "::/129"] {
            assert_eq!(Networks::parse(&[wrong.to_owned()]), Err(wrong));
        }
    }
}
