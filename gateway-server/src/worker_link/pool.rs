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
use tower::Service;

use super::connection::Connection;

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// The connections of one runtime. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    idle_timeout: Duration,
    max_idle: usize,
    places: Mutex<HashMap<Box<str>, Place>>,
    all: AllPools,
}

/// Every pool that was made apart from the same first one: what closes unused connections needs to know
/// them, wherever they are polled.
#[derive(Clone, Default)]
struct AllPools(Arc<Mutex<Vec<Weak<Inner>>>>);

/// What is known of an endpoint.
struct Place {
    address: Arc<Address>,
    token: (Owner, HeaderValue),
    kept: Vec<Kept>,
    used: Instant,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

/// An endpoint, parsed.
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

    /// What stands before the path of every command.
    pub(super) fn prefix(&self) -> &str {
        self.uri.path().trim_end_matches('/')
    }
}

/// What a command to a worker starts with.
pub(super) struct Way {
    pub(super) address: Arc<Address>,
    pub(super) token: HeaderValue,
}

impl Pool {
    /// No connection yet.
    pub(super) fn new(connector: Connector, idle_timeout: Duration, max_idle: usize) -> Self {
        Self::among(&AllPools::default(), connector, idle_timeout, max_idle)
    }

    fn among(
        all: &AllPools,
        connector: Connector,
        idle_timeout: Duration,
        max_idle: usize,
    ) -> Self {
        let inner = Arc::new(Inner {
            connector,
            idle_timeout,
            max_idle,
            places: Mutex::default(),
            all: all.clone(),
        });
        all.lock().push(Arc::downgrade(&inner));
        Self(inner)
    }

    /// The same with connections of its own.
    pub(super) fn apart(&self) -> Self {
        let inner = &self.0;
        let (all, connector) = (inner.all.clone(), inner.connector.clone());
        Self::among(&all, connector, inner.idle_timeout, inner.max_idle)
    }

    /// How long an unused connection is kept.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.0.idle_timeout
    }

    /// Closes what nobody has used for too long, here and in every pool that was made apart from this one.
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

    /// The way to a worker; none if its endpoint or token cannot be written down.
    pub(super) fn way(&self, target: &Target, tokens: &WorkerTokens) -> Option<Way> {
        let mut places = self.0.places();
        let place = match places.get_mut(&*target.endpoint) {
            Some(place) => place,
            None => {
                let place = Place {
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
    pub(super) async fn kept(&self, target: &Target, deadline: Instant) -> Option<Connection> {
        loop {
            let kept = self.0.places().get_mut(&*target.endpoint)?.kept.pop()?;
            if kept.since.elapsed() >= self.0.idle_timeout {
                continue;
            }
            let mut connection = kept.connection;
            if timeout_at(deadline, connection.is_ready()).await == Ok(true) {
                return Some(connection);
            }
        }
    }

    /// A new connection; none if there was no way to make one.
    pub(super) async fn connect(&self, address: &Address) -> Option<Connection> {
        let mut connector = self.0.connector.clone();
        // It is always ready: every call is a connection of its own.
        let stream = connector.call(address.uri.clone()).await.ok()?;
        Connection::over(stream).await.ok()
    }

    /// Keeps a connection for the next command, unless it is closed.
    pub(super) fn keep(&self, target: &Target, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut places = self.0.places();
        let Some(place) = places.get_mut(&*target.endpoint) else {
            return;
        };
        let since = Instant::now();
        place.used = since;
        if place.kept.len() < self.0.max_idle {
            place.kept.push(Kept { connection, since });
        }
    }
}

impl Inner {
    fn places(&self) -> MutexGuard<'_, HashMap<Box<str>, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_idle(&self) {
        self.places().retain(|_, place| {
            place
                .kept
                .retain(|kept| kept.since.elapsed() < self.idle_timeout);
            !place.kept.is_empty() || place.used.elapsed() < self.idle_timeout
        });
    }
}

impl AllPools {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Inner>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token(tokens: &WorkerTokens, owner: &Owner) -> Option<HeaderValue> {
    let mut token = HeaderValue::try_from(format!("Bearer {}", tokens.issue(owner))).ok()?;
    token.set_sensitive(true);
    Some(token)
}
