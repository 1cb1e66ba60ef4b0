//! Kept connections to workers, by endpoint.
//!
//! The one used last is used next, so those that a burst has left over grow old at the bottom and are
//! closed. Beside them stands what every command to that worker repeats: its address, parsed, and the
//! token of its present run, which is a keyed hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use gateway_core::identity::WorkerTokens;
use gateway_core::session::Owner;
use gateway_core::worker::Target;
use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::connection::WorkerConnection;
use super::resolver::CheckedResolver;

pub(super) type Connector = HttpsConnector<HttpConnector<CheckedResolver>>;

/// The kept connections of one runtime. Clones share them.
#[derive(Clone)]
pub(super) struct ConnectionPool(Arc<PoolShared>);

/// How connections are kept.
#[derive(Clone, Debug)]
pub(super) struct PoolOptions {
    /// How long an unused connection is kept.
    pub(super) idle_timeout: Duration,
    /// How many unused connections are kept per worker.
    pub(super) max_idle: usize,
    /// Cuts every connection, used or not.
    pub(super) cut: CancellationToken,
}

struct PoolShared {
    connector: Connector,
    options: PoolOptions,
    places: Mutex<HashMap<Box<str>, EndpointEntry>>,
    all: AllPools,
}

/// Every pool that was made with [`ConnectionPool::apart`] from the same first one. Closing unused connections
/// needs to know them all, whichever runtime polls them.
#[derive(Clone, Default)]
struct AllPools(Arc<Mutex<Vec<Weak<PoolShared>>>>);

/// What is remembered of an endpoint: its address, the token of its present run, and kept connections.
struct EndpointEntry {
    address: Arc<Address>,
    token: (Owner, HeaderValue),
    kept: Vec<KeptConnection>,
    used: Instant,
}

struct KeptConnection {
    connection: WorkerConnection,
    since: Instant,
}

/// A worker's endpoint, parsed once: where to connect and what paths begin with.
#[derive(Debug)]
pub(super) struct Address {
    uri: Uri,
    pub(super) host: HeaderValue,
}

impl Address {
    fn parse(endpoint: &str) -> Option<Self> {
        let uri: Uri = endpoint.parse().ok()?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return None;
        }
        let authority = uri.authority()?.as_str();
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let host = HeaderValue::from_str(host).ok()?;
        Some(Self { uri, host })
    }

    /// Returns the path of the endpoint, which precedes the path of every command.
    pub(super) fn prefix(&self) -> &str {
        self.uri.path().trim_end_matches('/')
    }
}

/// The address and the token that a command to a worker needs.
pub(super) struct Way {
    pub(super) address: Arc<Address>,
    pub(super) token: HeaderValue,
}

impl ConnectionPool {
    /// Makes a pool without connections.
    pub(super) fn new(connector: Connector, options: PoolOptions) -> Self {
        Self::among(&AllPools::default(), connector, options)
    }

    fn among(all: &AllPools, connector: Connector, options: PoolOptions) -> Self {
        let inner = Arc::new(PoolShared {
            connector,
            options,
            places: Mutex::default(),
            all: all.clone(),
        });
        all.lock().push(Arc::downgrade(&inner));
        Self(inner)
    }

    /// Returns a pool with the same options and connections of its own.
    pub(super) fn apart(&self) -> Self {
        let inner = &self.0;
        let (all, connector) = (inner.all.clone(), inner.connector.clone());
        Self::among(&all, connector, inner.options.clone())
    }

    /// Returns how long an unused connection is kept.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.0.options.idle_timeout
    }

    /// Closes connections that nobody has used for too long, here and in every pool that was made apart
    /// from this one.
    pub(super) fn close_idle(&self) {
        let mut living = Vec::new();
        self.0.all.lock().retain(|pool| {
            let pool = pool.upgrade();
            living.extend(pool.clone());
            pool.is_some()
        });
        for pool in living {
            pool.close_idle();
        }
    }

    /// Returns the address and token for commands to a worker, or `None` if its endpoint or token cannot
    /// be expressed in HTTP.
    pub(super) fn way(&self, target: &Target, tokens: &WorkerTokens) -> Option<Way> {
        let mut places = self.0.places();
        let place = match places.get_mut(&*target.endpoint) {
            Some(place) => place,
            None => {
                let place = EndpointEntry {
                    address: Arc::new(Address::parse(&target.endpoint)?),
                    token: (target.owner.clone(), token(tokens, &target.owner)?),
                    kept: Vec::new(),
                    used: Instant::now(),
                };
                places
                    .entry(target.endpoint.as_str().into())
                    .or_insert(place)
            }
        };
        if place.token.0 != target.owner {
            place.token = (target.owner.clone(), token(tokens, &target.owner)?);
        }
        Some(Way {
            address: Arc::clone(&place.address),
            token: place.token.1.clone(),
        })
    }

    /// Returns a kept connection that looks sound, if there is one before the `deadline`.
    pub(super) async fn kept(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Option<WorkerConnection> {
        loop {
            let kept = self.0.places().get_mut(&*target.endpoint)?.kept.pop()?;
            if kept.since.elapsed() >= self.0.options.idle_timeout {
                continue;
            }
            let mut connection = kept.connection;
            if timeout_at(deadline, connection.is_ready()).await == Ok(true) {
                return Some(connection);
            }
        }
    }

    /// Opens a new connection, or returns `None` if that fails.
    pub(super) async fn connect(&self, address: &Address) -> Option<WorkerConnection> {
        let mut connector = self.0.connector.clone();
        // It is always ready: every call is a connection of its own.
        let stream = connector.call(address.uri.clone()).await.ok()?;
        let cut = self.0.options.cut.clone();
        WorkerConnection::over(stream, cut).await.ok()
    }

    /// Keeps a connection for the next command, unless it is closed.
    pub(super) fn keep(&self, target: &Target, connection: WorkerConnection) {
        if connection.is_closed() {
            return;
        }
        let mut places = self.0.places();
        let Some(place) = places.get_mut(&*target.endpoint) else {
            return;
        };
        let since = Instant::now();
        place.used = since;
        if place.kept.len() < self.0.options.max_idle {
            place.kept.push(KeptConnection { connection, since });
        }
    }
}

impl PoolShared {
    fn places(&self) -> MutexGuard<'_, HashMap<Box<str>, EndpointEntry>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_idle(&self) {
        self.places().retain(|_, place| {
            place
                .kept
                .retain(|kept| kept.since.elapsed() < self.options.idle_timeout);
            !place.kept.is_empty() || place.used.elapsed() < self.options.idle_timeout
        });
    }
}

impl AllPools {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<PoolShared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token(tokens: &WorkerTokens, owner: &Owner) -> Option<HeaderValue> {
    let mut token = HeaderValue::try_from(format!("Bearer {}", tokens.issue(owner))).ok()?;
    token.set_sensitive(true);
    Some(token)
}
