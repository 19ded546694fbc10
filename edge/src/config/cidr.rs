//! Ranges of addresses: who may connect, and whose headers are believed.

use std::net::IpAddr;

/// A set of ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cidrs {
    /// Every address.
    Any,
    /// Those in one of these ranges.
    List(Vec<Cidr>),
}

impl Cidrs {
    /// Whether an address is in it. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        match self {
            Cidrs::Any => true,
            Cidrs::List(list) => {
                let address = address.to_canonical();
                list.iter().any(|cidr| cidr.contains(address))
            }
        }
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Cidrs::List(list) if list.is_empty())
    }
}

/// A range: the addresses that share the first bits of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Reads `address/bits`, or an address alone. Bits behind the prefix must be zero, so that
    /// nobody writes a range that means another one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|b| *b <= most)?,
            None => most,
        };
        let cidr = Cidr { network, bits };
        (cidr.masked(network) == Some(value(network))).then_some(cidr)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.masked(address) == Some(value(self.network))
    }

    /// The prefix of an address of the same family.
    fn masked(&self, address: IpAddr) -> Option<u128> {
        let width: u32 = if self.network.is_ipv4() { 32 } else { 128 };
        let same = self.network.is_ipv4() == address.is_ipv4();
        let host = width - u32::from(self.bits);
        let mask = u128::MAX.checked_shl(host).unwrap_or(0);
        same.then_some(value(address) & mask)
    }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_what_they_say() {
        let rows = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
        ];
        for (range, address, want) in rows {
            let list = Cidrs::List(vec![Cidr::parse(range).unwrap()]);
            assert_eq!(list.contain(address.parse().unwrap()), want, "{range} {address}");
        }
        assert!(Cidrs::Any.contain("203.0.113.9".parse().unwrap()));
        assert!(Cidrs::List(Vec::new()).is_empty());
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["", "any", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8"] {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
    }
}
