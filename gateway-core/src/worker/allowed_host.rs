//! The hosts at which an operator permits workers.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::EndpointHost;
use crate::network::{Network, is_special};

/// One entry of the list of hosts at which workers may be. Names are compared as names: an entry for a
/// network does not permit a name, whatever it resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// Every host that is not special; see [`EndpointHost::is_special`].
    Any,
    /// One name, lower case.
    Name(String),
    /// Every name below a domain, stored with its leading dot.
    Below(String),
    /// The addresses of a network.
    Network(Network),
}

/// Why a text is no entry of the allow-list: it names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name, *.example.org, an address, a network such as 10.0.0.0/8, or *")]
pub struct InvalidHost;

impl AllowedHost {
    /// Returns whether a worker may be at `host` by this list. A special host needs an entry that names
    /// it: neither `*` nor a network of all addresses does.
    #[must_use]
    pub fn permit(list: &[Self], host: &EndpointHost) -> bool {
        let special = host.is_special();
        list.iter()
            .any(|entry| entry.covers(host) && !(special && entry.is_everything()))
    }

    /// Returns whether a worker at the host `name`, which is permitted, may be at an address that the name leads
    /// to. A special one needs an entry that names it or the host.
    #[must_use]
    pub fn permit_address(list: &[Self], name: &str, address: IpAddr) -> bool {
        let names = |entry: &Self| match entry {
            Self::Any | Self::Below(_) => false,
            Self::Name(own) => own.eq_ignore_ascii_case(name),
            Self::Network(network) => !network.is_everything() && network.contains(address),
        };
        !is_special(address) || list.iter().any(names)
    }

    fn covers(&self, host: &EndpointHost) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name(own), EndpointHost::Name(name)) => own == name,
            (Self::Below(domain), EndpointHost::Name(name)) => name.ends_with(domain.as_str()),
            (Self::Network(network), EndpointHost::Address(address)) => network.contains(*address),
            (Self::Name(_) | Self::Below(_), EndpointHost::Address(_))
            | (Self::Network(_), EndpointHost::Name(_)) => false,
        }
    }

    const fn is_everything(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Network(network) => network.is_everything(),
            Self::Name(_) | Self::Below(_) => false,
        }
    }
}

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let below = text.strip_prefix('*').filter(|rest| rest.starts_with('.'));
        let name = below.map_or(text.as_str(), |rest| &rest[1..]);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(InvalidHost);
        }
        Ok(below.map_or_else(
            || Self::Name(name.to_owned()),
            |rest| Self::Below(rest.to_owned()),
        ))
    }
}

impl<'de> Deserialize<'de> for AllowedHost {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for AllowedHost {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => to.serialize_str("*"),
            Self::Name(name) => to.serialize_str(name),
            Self::Below(domain) => to.collect_str(&format_args!("*{domain}")),
            Self::Network(network) => network.serialize(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Endpoint;

    fn permits(entry: &str, url: &str) -> bool {
        let allowed: AllowedHost = entry.parse().expect(entry);
        let endpoint: Endpoint = url.parse().expect(url);
        AllowedHost::permit(&[allowed], endpoint.host())
    }

    #[test]
    fn entries_permit_what_they_name() {
        for (entry, yes, no) in [
            ("*", "http://anything", "http://169.254.169.254"),
            (
                "worker.local",
                "http://WORKER.local",
                "http://evil-worker.local",
            ),
            ("*.svc.local", "http://a.svc.local", "http://svc.local"),
            ("10.0.0.0/8", "http://10.255.1.2", "http://11.0.0.1"),
            ("127.0.0.1", "http://0x7f.1", "http://127.0.0.2"),
            ("0.0.0.0/0", "http://8.8.8.8", "http://[::1]"),
            ("fd00::/8", "http://[fd12::1]", "http://10.0.0.1"),
            (
                "10.0.0.0/8",
                "http://[::ffff:10.0.0.1]",
                "http://[::ffff:11.0.0.1]",
            ),
        ] {
            assert!(permits(entry, yes), "{entry} should permit {yes}");
            assert!(!permits(entry, no), "{entry} should refuse {no}");
        }
    }

    #[test]
    fn a_special_host_must_be_named_whatever_its_spelling() {
        for url in [
            "http://169.254.169.254/latest",
            "http://2852039166",
            "http://0xa9fea9fe",
            "http://0xA9.0xFE.0xA9.0xFE",
            "http://0251.0376.0251.0376",
            "http://169.254.43518",
            "http://169.254.169.254.",
            "http://[::ffff:169.254.169.254]",
            "http://[::ffff:a9fe:a9fe]",
            "http://[64:ff9b::a9fe:a9fe]",
            "http://[fe80::1]",
            "http://[ff02::1]",
            "http://[::]",
            "http://0",
            "http://0.0.0.0:9000",
            "http://224.0.0.1",
            "http://metadata.google.internal",
            "http://METADATA.google.internal.",
        ] {
            for entry in ["*", "0.0.0.0/0", "::/0"] {
                assert!(!permits(entry, url), "{entry} should refuse {url}");
            }
        }
        for (entry, url) in [
            ("169.254.169.254", "http://0xa9fea9fe"),
            ("169.254.0.0/16", "http://[::ffff:169.254.7.7]"),
            ("fe80::/10", "http://[fe80::1]"),
            (
                "metadata.google.internal",
                "http://metadata.google.internal",
            ),
        ] {
            assert!(permits(entry, url), "{entry} names {url}");
        }
    }

    #[test]
    fn nonsense_is_no_entry() {
        for bad in ["", "*.", "10.0.0.0/33", "http://host", "a b", "*host"] {
            assert_eq!(bad.parse::<AllowedHost>(), Err(InvalidHost), "{bad}");
        }
    }
}
