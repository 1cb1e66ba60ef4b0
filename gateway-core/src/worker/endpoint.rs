//! Where a worker is reached: its base URL.
//!
//! The URL of a worker is the gateway's to call, and a worker says it itself, so it is read strictly: what
//! two programs could understand differently is refused, and the host stands in one form, whichever
//! spelling was sent. In particular a number in any of the forms of old (`0xa9fea9fe`, `2852039166`,
//! `0251.0376.0251.0376`) is the address that it stands for, as browsers and clients take it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::network::is_special;

/// The most characters of an endpoint.
const MAX_CHARS: usize = 500;

/// Names under which clouds keep the settings of their machines.
const METADATA_NAMES: [&str; 5] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
];

/// Why a text is no base URL of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("must be an http or https URL with a host, such as http://10.0.0.7:9000")]
    Form,
    /// The host has letters that are not ASCII.
    #[error("must name its host in ASCII letters; write an international name as xn--…")]
    NotAscii,
    #[error("must not contain a user name or a password")]
    UserInfo,
    #[error("must not contain a query or a fragment")]
    Query,
}

/// The base URL of a worker in its one form: scheme and host in lower case, an address in its usual
/// spelling, no default port, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    host: EndpointHost,
}

/// The host of an [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointHost {
    /// A name, in lower case.
    Name(String),
    Address(IpAddr),
}

impl Endpoint {
    /// Returns the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host in the URL.
    #[must_use]
    pub const fn host(&self) -> &EndpointHost {
        &self.host
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let form = InvalidEndpoint::Form;
        if text.len() > MAX_CHARS {
            return Err(form);
        }
        let (scheme, rest) = text.split_once("://").ok_or(form)?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(form),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidEndpoint::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(InvalidEndpoint::UserInfo);
        }
        if !authority.is_ascii() {
            return Err(InvalidEndpoint::NotAscii);
        }
        let (host, port) = host_and_port(authority).ok_or(form)?;
        let path = base_path(path).ok_or(form)?;
        let port = port.filter(|port| *port != default_port);
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let text = format!("{scheme}://{host}{port}{path}");
        Ok(Self { text, host })
    }
}

fn host_and_port(authority: &str) -> Option<(EndpointHost, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (EndpointHost::Address(address.into()), port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            (EndpointHost::parse(host)?, port)
        }
    };
    if port.is_empty() {
        return Some((host, None));
    }
    let digits = port.strip_prefix(':')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| is_number && *port > 0)?;
    Some((host, Some(port)))
}

/// Returns the path without slashes at its end, if nobody could take it for another one.
fn base_path(path: &str) -> Option<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/".contains(c);
    let moves = |part: &str| matches!(part, "." | "..");
    let good = path.chars().all(fits) && !path.split('/').any(moves);
    good.then_some(path.trim_end_matches('/'))
}

impl EndpointHost {
    /// Parses a host that stands without brackets.
    fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        let bare = name.strip_suffix('.').unwrap_or(&name);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_label = |label: &str| !label.is_empty() && label.chars().all(fits);
        let mut labels = bare.split('.');
        if !labels.clone().all(is_label) {
            return None;
        }
        if labels.next_back().is_some_and(is_number) {
            let address = old_address(bare)?;
            return Some(Self::Address(address.into()));
        }
        Some(Self::Name(name))
    }

    /// Returns whether no worker is there unless an operator says so: the address is unspecified,
    /// link-local, multicast or a cloud's own, or the name is one of a cloud's own.
    #[must_use]
    pub fn is_special(&self) -> bool {
        match self {
            Self::Name(name) => METADATA_NAMES.contains(&name.trim_end_matches('.')),
            Self::Address(address) => is_special(*address),
        }
    }
}

impl fmt::Display for EndpointHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Returns whether a host that ends with this label is a number, never a name.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").unwrap_or("-");
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Parses one number of an address: decimal, octal behind a `0`, hexadecimal behind `0x`.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) => (octal, 8),
        (None, None) => (text, 10),
    };
    if digits.is_empty() {
        return Some(0);
    }
    let is_digit = |byte: u8| char::from(byte).is_digit(radix);
    let whole = digits.bytes().all(is_digit);
    whole
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

/// Parses an IPv4 address of one to four numbers, of which the last fills what the others leave.
fn old_address(text: &str) -> Option<Ipv4Addr> {
    let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= 4)?;
    let (last, first) = numbers.split_last()?;
    let room = 8 * (4 - u32::try_from(first.len()).ok()?);
    if first.iter().any(|byte| *byte > 255) || *last >= 1 << room {
        return None;
    }
    let high = first.iter().fold(0, |high, byte| high << 8 | byte);
    let bits = high << room | last;
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_one_form() {
        for (text, form) in [
            ("http://10.0.0.7:9000/", "http://10.0.0.7:9000"),
            ("HTTP://Worker.Local:80", "http://worker.local"),
            ("https://w:443/base//", "https://w/base"),
            ("https://w:80", "https://w:80"),
            ("http://worker_1.svc.:9/a/b", "http://worker_1.svc.:9/a/b"),
            ("http://[FD00:0::1]:9", "http://[fd00::1]:9"),
            ("http://0x7f000001", "http://127.0.0.1"),
            ("http://2130706433:9", "http://127.0.0.1:9"),
            ("http://0177.0.0.1", "http://127.0.0.1"),
            ("http://127.1", "http://127.0.0.1"),
            ("http://127.0.0.1.", "http://127.0.0.1"),
            ("http://0x", "http://0.0.0.0"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.as_str(), form);
            let again: Endpoint = form.parse().expect(form);
            assert_eq!(again, endpoint, "the form stands for itself");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, why) in [
            ("", InvalidEndpoint::Form),
            ("10.0.0.7:9000", InvalidEndpoint::Form),
            ("ftp://host", InvalidEndpoint::Form),
            ("http://", InvalidEndpoint::Form),
            ("http:///path", InvalidEndpoint::Form),
            ("http:host", InvalidEndpoint::Form),
            ("http://host:", InvalidEndpoint::Form),
            ("http://host:0", InvalidEndpoint::Form),
            ("http://host:65536", InvalidEndpoint::Form),
            ("http://host:+9", InvalidEndpoint::Form),
            ("http://a:b:9", InvalidEndpoint::Form),
            ("http://host\\x", InvalidEndpoint::Form),
            ("http://host/a b", InvalidEndpoint::Form),
            ("http://host/a/../b", InvalidEndpoint::Form),
            ("http://ho%73t", InvalidEndpoint::Form),
            ("http:// host", InvalidEndpoint::Form),
            ("http://a..b", InvalidEndpoint::Form),
            ("http://1.2.3.4.5", InvalidEndpoint::Form),
            ("http://256.0.0.1", InvalidEndpoint::Form),
            ("http://4294967296", InvalidEndpoint::Form),
            ("http://0xffffffffffffffffff", InvalidEndpoint::Form),
            ("http://08.0.0.1", InvalidEndpoint::Form),
            ("http://host.09", InvalidEndpoint::Form),
            ("http://[::1", InvalidEndpoint::Form),
            ("http://[fe80::1%25eth0]", InvalidEndpoint::Form),
            ("http://[::1]9", InvalidEndpoint::Form),
            ("http://bücher.example", InvalidEndpoint::NotAscii),
            ("http://①②⑦.0.0.1", InvalidEndpoint::NotAscii),
            ("http://u:p@host", InvalidEndpoint::UserInfo),
            ("http://a@b@host", InvalidEndpoint::UserInfo),
            ("http://host/?a=b", InvalidEndpoint::Query),
            ("http://host#a", InvalidEndpoint::Query),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(why), "{text}");
        }
        let long = format!("http://host/{}", "x".repeat(MAX_CHARS));
        assert_eq!(long.parse::<Endpoint>(), Err(InvalidEndpoint::Form));
    }
}
