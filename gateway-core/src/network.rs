//! Networks of addresses, and the addresses at which no ordinary service is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The bits before the IPv4 address in an IPv6 address that stands for one.
const MAPPED_BITS: u8 = 96;

/// One address, or those that share their first bits. An IPv6 address that stands for an IPv4 address is
/// that one, here and in what is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, or a network such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    /// Returns whether the address belongs to the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Returns whether the network holds every address of its kind.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.bits == 0
    }

    /// Makes the network of the addresses whose first `bits` are those of `address`.
    fn new(address: IpAddr, bits: u8) -> Result<Self, InvalidNetwork> {
        let mapped = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => address.to_ipv4_mapped().zip(bits.checked_sub(MAPPED_BITS)),
        };
        let (address, bits) =
            mapped.map_or((address, bits), |(four, bits)| (IpAddr::V4(four), bits));
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most)
            .then_some(Self { address, bits })
            .ok_or(InvalidNetwork)
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self { address, bits }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let text = text.trim();
        let Some((address, bits)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| InvalidNetwork)?;
            return Ok(address.into());
        };
        let address = address.parse().map_err(|_| InvalidNetwork)?;
        let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = bits.parse().ok().filter(|_| is_number);
        Self::new(address, bits.ok_or(InvalidNetwork)?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
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

/// Where no service of anybody's own can be: this host without a name, the link with the machines' own
/// settings at clouds, many hosts at once, and what is reserved.
const SPECIAL_V4: [(Ipv4Addr, u8); 7] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // The settings of machines at Alibaba, Oracle and Azure.
    (Ipv4Addr::new(100, 100, 100, 200), 32),
    (Ipv4Addr::new(192, 0, 0, 192), 32),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

const SPECIAL_V6: [(Ipv6Addr, u8); 5] = [
    (Ipv6Addr::UNSPECIFIED, 128),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    // The settings of machines at Amazon and Google.
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
];

/// IPv6 networks whose addresses carry an IPv4 address, and behind how many bits it stands: mapped,
/// compatible, translated (twice) and 6to4.
const CARRIERS: [(Ipv6Addr, u8, u32); 5] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 96),
    (Ipv6Addr::UNSPECIFIED, 96, 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 96),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 16),
];

/// Returns whether the address is unspecified, link-local, multicast, reserved, or one at which clouds
/// keep the settings of their machines; also where an IPv6 address only carries such an IPv4 address.
///
/// A request that somebody else chose the address of must not go there: with it, an outsider reads
/// a machine's credentials.
#[must_use]
pub fn is_special(address: IpAddr) -> bool {
    let within = |first: IpAddr, bits| {
        Network {
            address: first,
            bits,
        }
        .contains(address)
    };
    match address {
        IpAddr::V4(_) => SPECIAL_V4
            .iter()
            .any(|&(first, bits)| within(first.into(), bits)),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => false,
        IpAddr::V6(six) => {
            let own = SPECIAL_V6
                .iter()
                .any(|&(first, bits)| is_within(six, first, bits));
            own || CARRIERS.iter().any(|&(first, bits, before)| {
                let four = six.to_bits() << before >> 96;
                is_within(six, first, bits)
                    && u32::try_from(four)
                        .is_ok_and(|four| is_special(Ipv4Addr::from_bits(four).into()))
            })
        }
    }
}

/// Returns whether the first `bits` of both are the same, without a look at what the address stands for.
fn is_within(address: Ipv6Addr, first: Ipv6Addr, bits: u8) -> bool {
    let differ = address.to_bits() ^ first.to_bits();
    differ.leading_zeros() >= u32::from(bits)
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
            ("0.0.0.0/0", "9.9.9.9", "::1"),
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
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "proxy.local",
            "*",
            "10.0.0.1:80",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(InvalidNetwork), "{bad}");
        }
    }

    #[test]
    fn a_network_is_shown_as_it_was_written() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.1.2.3/8"),
            (" 127.0.0.1 ", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            let network: Network = text.parse().expect(text);
            assert_eq!(network.to_string(), shown);
        }
    }

    #[test]
    fn special_addresses_are_known_in_every_form() {
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_special(special.parse().expect(special)), "{special}");
        }
        for ordinary in [
            "127.0.0.1",
            "10.0.0.7",
            "192.168.1.1",
            "100.64.0.1",
            "8.8.8.8",
            "::1",
            "fd12::1",
            "2001:db8::1",
            "::ffff:10.0.0.7",
            "64:ff9b::a00:7",
            "2002:a00:7::1",
        ] {
            assert!(!is_special(ordinary.parse().expect(ordinary)), "{ordinary}");
        }
    }
}
