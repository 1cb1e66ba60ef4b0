//! Networks of addresses, as options name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The bits before the IPv4 address in an IPv6 address that stands for one.
const MAPPED_BITS: u8 = 96;

/// One address, or those that share their first bits. An IPv6 address that stands for an IPv4 address is
/// that one, here and in what is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, or a network such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    /// Returns whether the address belongs to the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Returns whether the network holds every address of its kind.
    pub(super) fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let text = text.trim();
        let network = match text.parse::<IpAddr>() {
            Ok(address) => Ok(IpNet::from(address)),
            Err(_) => text.parse().map_err(|_| InvalidNetwork),
        }?;
        let IpNet::V6(six) = network else {
            return Ok(Self(network));
        };
        let bits = six.prefix_len().checked_sub(MAPPED_BITS);
        let (Some(four), Some(bits)) = (six.addr().to_ipv4_mapped(), bits) else {
            return Ok(Self(network));
        };
        let four = Ipv4Net::new(four, bits).map_err(|_| InvalidNetwork)?;
        Ok(Self(four.into()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_what_shares_its_bits_in_either_form() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("10.1.2.3/8", "10.9.9.9", "11.0.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.255.1.2", "11.0.0.1"),
            ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("fd00::/8", "fd12::1", "10.0.0.1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let parsed: Network = network.parse().expect(network);
            let contains = |text: &str| parsed.contains(text.parse().expect(text));
            assert!(contains(inside), "{network} has {inside}");
            assert!(!contains(outside), "{network} has not {outside}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "proxy.local",
            "*",
            "10.0.0.1:80",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(InvalidNetwork), "{bad}");
        }
    }
}
