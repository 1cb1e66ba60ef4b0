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
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use gateway_core::coord::{CoordError, Coordinator, Counted};
use gateway_core::identity::client_network;
use gateway_core::network::Network;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName};

use crate::config::{Http, Limits};
use crate::http::problem::{Kind, Problem};

/// The header to which every proxy appends the address it was called from.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from; unspecified when it came through no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    pub(crate) fn of(options: &Http, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip());
        let peer = peer.to_canonical();
        let trusted = &options.trusted_proxies;
        Self(forwarded(peer, headers, trusted).unwrap_or(peer))
    }

    /// Returns what is counted together.
    #[must_use]
    pub fn key(self) -> String {
        client_network(self.0)
    }
}

impl<S> FromRequestParts<S> for ClientAddress
where
    Arc<Http>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let options = Arc::<Http>::from_ref(state);
        Ok(Self::of(&options, &parts.headers, &parts.extensions))
    }
}

/// Returns the address that called the outermost trusted proxy, or `None` if no trusted proxy says so.
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

/// Reads one entry of the header. Some proxies write the port, too.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    Some(address.ok()?.to_canonical())
}

/// Counts requests without a valid credential per address, and refuses those over the limit.
#[derive(Clone, Debug)]
pub(super) struct StrangerLimit {
    coord: Arc<dyn Coordinator>,
    limits: Arc<Limits>,
}

impl StrangerLimit {
    pub(super) fn new(coord: Arc<dyn Coordinator>, limits: Arc<Limits>) -> Self {
        Self { coord, limits }
    }

    /// Refuses an address that is over the limit. Counts nothing.
    pub(super) async fn check(&self, client: ClientAddress) -> Result<(), Problem> {
        let counted = self.coord.counted(&name(client)).await;
        let counted = counted.unwrap_or_else(|error| uncounted(&error));
        self.refuse(counted.filter(|counted| counted.count >= self.limit()))
    }

    /// Counts a request without a valid credential, and refuses it if that was one too many.
    pub(super) async fn count(&self, client: ClientAddress) -> Result<(), Problem> {
        let window = self.limits.address_window;
        let counted = self.coord.count(&name(client), window).await.map(Some);
        let counted = counted.unwrap_or_else(|error| uncounted(&error));
        let over = counted.filter(|counted| counted.count > self.limit());
        // Once in a window: the next one is counted higher.
        if over
            .as_ref()
            .is_some_and(|over| over.count == self.limit() + 1)
        {
            let (address, limit) = (client.key(), self.limit());
            tracing::info!(address, limit, "an address is over its limit");
        }
        self.refuse(over)
    }

    fn limit(&self) -> u64 {
        u64::from(self.limits.address_requests)
    }

    fn refuse(&self, over: Option<Counted>) -> Result<(), Problem> {
        let Some(counted) = over else { return Ok(()) };
        let text = "too many requests without a valid credential from this address";
        Err(Problem::new(Kind::RateLimited, text)
            .with("limit", self.limits.address_requests)
            .with("used", counted.count)
            .retry_after(counted.resets_in))
    }
}

fn name(client: ClientAddress) -> String {
    format!("address:{}", client.key())
}

/// Lets a request pass when the coordinator cannot count it: this limit guards resources, not data.
fn uncounted(error: &CoordError) -> Option<Counted> {
    tracing::warn!(%error, "requests are not counted per address");
    None
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
