//! `[workers]`: who may be a worker, and where.

use std::str::FromStr;
use std::time::Duration;

use gateway_core::message::SendLimits;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::unit::{duration, optional};
use super::{Invalid, Network, Secret};

/// The options of workers: how they register, where they may be, how long they may take.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    /// The token that workers register with.
    #[serde(with = "optional")]
    pub bootstrap_token: Option<Secret>,
    /// The hosts at which workers may be.
    pub allowed_endpoints: Vec<AllowedHost>,
    /// The pause between two probes of `GET /health`, while a worker's heartbeats come in time.
    #[serde(with = "duration")]
    pub health_check_interval: Duration,
    /// The time limit of a command.
    #[serde(with = "duration")]
    pub command_timeout: Duration,
    /// The time limit of a send.
    #[serde(with = "duration")]
    pub send_timeout: Duration,
}

impl Workers {
    /// Returns whether a worker may be at `host`: a name, an IPv4 address, or an IPv6 address with or
    /// without brackets.
    #[must_use]
    pub fn permits(&self, host: &str) -> bool {
        self.allowed_endpoints
            .iter()
            .any(|allowed| allowed.permits(host))
    }

    /// Converts the time limits of a send into the core's form.
    #[must_use]
    pub fn send_limits(&self) -> SendLimits {
        SendLimits {
            worker: self.send_timeout,
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        Invalid::unless_positive([
            ("workers.health_check_interval", self.health_check_interval),
            ("workers.command_timeout", self.command_timeout),
            ("workers.send_timeout", self.send_timeout),
        ])
    }
}

/// One entry of the allow-list. Names are compared as names: an entry for a network does not permit a
/// name, whatever it resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
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
    fn permits(&self, host: &str) -> bool {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        match self {
            Self::Any => true,
            Self::Name(name) => *name == host,
            Self::Below(domain) => host.ends_with(domain.as_str()),
            Self::Network(network) => host.parse().is_ok_and(|address| network.contains(address)),
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

    #[test]
    fn entries_permit_what_they_name() {
        for (entry, yes, no) in [
            ("*", "anything", ""),
            ("worker.local", "WORKER.local", "evil-worker.local"),
            ("*.svc.local", "a.svc.local", "svc.local"),
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd00::/8", "[fd12::1]", "10.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
        ] {
            let allowed: AllowedHost = entry.parse().expect(entry);
            assert!(allowed.permits(yes), "{entry} should permit {yes}");
            assert!(
                no.is_empty() || !allowed.permits(no),
                "{entry} should refuse {no}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "*.", "10.0.0.0/33", "http://host", "a b", "*host"] {
            assert_eq!(bad.parse::<AllowedHost>(), Err(InvalidHost), "{bad}");
        }
    }
}
