//! Requests without a valid credential, counted per address.
//!
//! Only those: a customer's many programs behind one address must not slow each other down. Over the
//! limit, a request is refused before it costs a look-up.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use gateway_core::coord::Counted;
use http::request::Parts;

use crate::app::App;
use crate::http::problem::{Kind, Problem};

/// The address of the peer; unspecified when the request came through no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl Peer {
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip());
        Self(address.to_canonical())
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

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions))
    }
}

fn name(peer: Peer) -> String {
    format!("address:{}", peer.key())
}

/// Refuses an address that is over the limit; counts nothing.
pub(super) async fn check(app: &App, peer: Peer) -> Result<(), Problem> {
    let counted = app.coord.counted(&name(peer)).await;
    verdict(app, counted.unwrap_or_else(|error| away(&error)))
}

/// Counts a request without a valid credential, and refuses it if that was one too many.
pub(super) async fn count(app: &App, peer: Peer) -> Result<(), Problem> {
    let window = app.config.limits.address_window;
    let counted = app.coord.count(&name(peer), window).await.map(Some);
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
        let key = |text: &str| Peer(text.parse().expect("an address")).key();
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_eq!(key("2001:db8::1"), key("2001:db8::2:3"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }
}
