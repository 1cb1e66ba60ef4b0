//! Requests without a valid credential, counted per address.
//!
//! Only those: a customer's many programs behind one address must not slow each other down. Over the
//! limit, a request is refused before it costs a look-up.
//!
//! Whose address counts: the peer's, unless that is a proxy that the operator trusts. Anybody can write
//! `X-Forwarded-For`; of what stands there, only what trusted proxies have appended at its end is true, so
//! it is read from the end, up to the first address that is none of theirs.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str;

use axum::extract::{ConnectInfo, FromRequestParts};
use gateway_core::coord::Counted;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName};

use crate::app::App;
use crate::config::Network;
use crate::http::problem::{Kind, Problem};

/// Every proxy appends the address it was called from.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from; unspecified when it came through no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    pub(crate) fn of(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip());
        let peer = peer.to_canonical();
        let trusted = &app.config.http.trusted_proxies;
        Self(forwarded(peer, headers, trusted).unwrap_or(peer))
    }

    /// What is counted together: an IPv4 address, or the network of 64 bits that one IPv6 user has.
    #[must_use]
    pub fn key(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                format!("{}/64", Ipv6Addr::from_bits(network))
            }
        }
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(Self::of(app, &parts.headers, &parts.extensions))
    }
}

/// Who called the outermost trusted proxy; none if nobody trusted says so.
fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return None;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops.filter(|hop| !hop.trim_ascii().is_empty()) {
        let address = hop_address(hop)?;
        if !is_trusted(address) {
            return Some(address);
        }
    }
    None
}

/// Some proxies write the port, too.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    Some(address.ok()?.to_canonical())
}

fn name(client: ClientAddress) -> String {
    format!("address:{}", client.key())
}

/// Refuses an address that is over the limit; counts nothing.
pub(super) async fn check(app: &App, client: ClientAddress) -> Result<(), Problem> {
    let counted = app.coord.counted(&name(client)).await;
    verdict(app, counted.unwrap_or_else(|error| away(&error)))
}

/// Counts a request without a valid credential, and refuses it if that was one too many.
pub(super) async fn count(app: &App, client: ClientAddress) -> Result<(), Problem> {
    let window = app.config.limits.address_window;
    let counted = app.coord.count(&name(client), window).await.map(Some);
    let over = counted.unwrap_or_else(|error| away(&error));
    let over = over.filter(|counted| counted.count > u64::from(app.config.limits.address_requests));
    over.map_or(Ok(()), |counted| Err(too_many(app, counted)))
}

fn verdict(app: &App, counted: Option<Counted>) -> Result<(), Problem> {
    let limit = u64::from(app.config.limits.address_requests);
    match counted {
        Some(counted) if counted.count >= limit => Err(too_many(app, counted)),
        Some(_) | None => Ok(()),
    }
}

/// Without the coordinator nobody is refused: this limit guards resources, not data.
fn away(error: &gateway_core::coord::CoordError) -> Option<Counted> {
    tracing::warn!(%error, "requests are not counted per address");
    None
}

fn too_many(app: &App, counted: Counted) -> Problem {
    Problem::new(
        Kind::RateLimited,
        "too many requests without a valid credential from this address",
    )
    .with("limit", app.config.limits.address_requests)
    .with("used", counted.count)
    .retry_after(counted.resets_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_address() {
        let key = |text: &str| ClientAddress(text.parse().expect("an address")).key();
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_eq!(key("2001:db8::1"), key("2001:db8::2:3"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }

    fn client(peer: &str, lines: &[&[u8]]) -> Option<String> {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect(text));
        let value = |line: &&[u8]| http::HeaderValue::from_bytes(line).expect("a value");
        let headers = lines.iter().map(|line| (FORWARDED_FOR, value(line)));
        let peer: IpAddr = peer.parse().expect("an address");
        let client = forwarded(peer.to_canonical(), &headers.collect(), &trusted);
        client.map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            (
                "10.0.0.1",
                &["198.51.100.1, 192.0.2.7, 10.0.0.2"],
                "192.0.2.7",
            ),
            ("10.0.0.1", &["nonsense, 192.0.2.7"], "192.0.2.7"),
            (
                "10.0.0.1",
                &["198.51.100.1", "192.0.2.7,,10.0.0.2 ", ""],
                "192.0.2.7",
            ),
            ("::ffff:10.0.0.1", &["::ffff:192.0.2.7"], "192.0.2.7"),
            (
                "fd00::1",
                &["[2001:db8::7], ::ffff:10.0.0.2"],
                "2001:db8::7",
            ),
            ("10.0.0.1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
        ] {
            let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(client(peer, &bytes).as_deref(), Some(expected), "{lines:?}");
        }
        let odd = b"\xff\xfe, 192.0.2.7".as_slice();
        assert_eq!(client("10.0.0.1", &[odd]).as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn without_one_it_is_the_peer() {
        for lines in [
            &[][..],
            &[b"".as_slice()],
            &[b"unknown"],
            &[b"192.0.2.7, _hidden"],
            &[b"192.0.2.7, \xff"],
            &[b"192.0.2.7 10.0.0.2"],
            &[b"10.0.0.3, 10.0.0.2"],
        ] {
            assert_eq!(client("10.0.0.1", lines), None, "{lines:?}");
        }
        assert_eq!(client("11.0.0.1", &[b"192.0.2.7"]), None, "not trusted");
    }
}
