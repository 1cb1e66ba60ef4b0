//! `[http]`: the listener and its limits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::network::Network;
use serde::{Deserialize, Serialize};

use super::unit::{duration, optional, size};
use super::{Invalid, Origin, PublicUrl, Secret};

/// The options of the listener, its time limits and its size limits.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The address to listen on.
    pub listen: IpAddr,
    /// The port to listen on; 0 picks a free one.
    pub port: u16,
    /// From the first byte of a request to the end of its head.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// From accepting a connection to the end of its first request's head.
    #[serde(with = "duration")]
    pub first_request_timeout: Duration,
    /// From the end of a request's head to the end of its body.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// Between two requests on one connection.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// The largest request body in bytes.
    #[serde(with = "size")]
    pub body_limit: usize,
    /// Open connections at once.
    pub max_connections: usize,
    /// Where proxies are whose `X-Forwarded-For` says who is asking.
    pub trusted_proxies: Vec<Network>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<Origin>,
    /// How long requests in flight may take at shutdown.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
    /// The address by which clients reach the server, if a proxy stands in front of it.
    #[serde(with = "optional")]
    pub public_url: Option<PublicUrl>,
    /// Whether each request is a line of the log.
    pub access_log: bool,
    /// The token that `GET /metrics` asks for.
    #[serde(with = "optional")]
    pub metrics_token: Option<Secret>,
}

impl Http {
    /// Returns the address and the port to listen on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.port)
    }

    /// Returns whether clients come over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(PublicUrl::is_https)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let timeouts = [
            ("http.header_timeout", self.header_timeout),
            ("http.first_request_timeout", self.first_request_timeout),
            ("http.body_timeout", self.body_timeout),
            ("http.idle_timeout", self.idle_timeout),
        ];
        Invalid::unless_positive(timeouts)?;
        Invalid::unless(
            "http.body_limit",
            self.body_limit > 0,
            "must be more than 0",
        )?;
        Invalid::unless(
            "http.max_connections",
            self.max_connections > 0,
            "must be more than 0",
        )?;
        Invalid::unless(
            "http.trusted_proxies",
            !self.trusted_proxies.iter().any(Network::is_everything),
            "must name the proxies: who trusts every address lets every client choose its own",
        )
    }
}
