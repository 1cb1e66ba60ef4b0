//! The accept loop.
//!
//! `axum::serve` has no time limit for the head of a request and no limit for the number of
//! connections, so this crate accepts for itself. The cap is taken *before* accepting: clients over it
//! wait in the kernel's queue instead of holding memory here, and because silent connections end after
//! the first-request limit, they cannot hold their places for long. (One client per listener is accepted
//! and waits unread, because a listener that took its place first would hold one that another needs.)
//!
//! A port can be served by several listeners, one per core: the kernel deals connections out to
//! those that listen with `SO_REUSEPORT`. A second *process* could join them without an error, so the
//! first socket is bound without it.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metrics::Gauge;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

pub use super::body::Timed;

use super::body::{BodyLimits, Holding};
use super::connection::{Activity, ConnectionLimits, Guarded, Watched};
use crate::config::Http;

const HEAD_BYTES: u32 = 64 * 1024;
const STREAMS: u32 = 250;
/// The most connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// The pause after a failed accept, which means that descriptors or memory are short for the moment.
const PAUSE: Duration = Duration::from_millis(100);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("port {0} is already in use: stop the other program or set PORT")]
    InUse(u16),
    /// Only root may listen on this port.
    #[error("port {0} needs special rights: set PORT to one above 1023")]
    Denied(u16),
    /// Not an address of this machine, or the system is out of something.
    #[error("cannot listen on {address}")]
    Other {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A port that is bound and not served yet.
#[derive(Debug)]
pub struct Listener {
    // Belongs to no runtime until it is served.
    socket: net::TcpListener,
    address: SocketAddr,
}

/// Answers the requests of connections, on the runtime that owns them.
pub trait Serve: Clone + Send + Sync + 'static {
    /// Answers one request of `peer`.
    fn serve(
        &self,
        request: Request<Timed>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl Serve for Router {
    async fn serve(&self, request: Request<Timed>, peer: SocketAddr) -> Response<Body> {
        let request = with_peer(request.map(Body::new), peer);
        let Ok(response) = self.clone().call(request).await;
        response
    }
}

/// Puts the peer's address into the request, for [`ConnectInfo`].
pub(crate) fn with_peer(mut request: Request<Body>, peer: SocketAddr) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// The limits and counters that the listeners of one port share.
#[derive(Clone, Debug)]
pub struct Serving {
    limits: ConnectionLimits,
    body_timeout: Duration,
    places: Arc<Semaphore>,
    max_connections: usize,
    connections: Gauge,
    stop: Arc<CancellationToken>,
    cut: CancellationToken,
}

impl Serving {
    /// Makes what listeners serve with until `stop` is cancelled; they then finish the requests in flight, until
    /// `cut` is cancelled. `connections` shows the number of open connections.
    #[must_use]
    pub fn new(
        http: &Http,
        connections: Gauge,
        stop: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        Self {
            limits: ConnectionLimits::from(http),
            body_timeout: http.body_timeout,
            places: Arc::new(Semaphore::new(http.max_connections)),
            max_connections: http.max_connections,
            connections,
            stop: Arc::new(stop),
            cut,
        }
    }

    /// Returns how many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.max_connections
            .saturating_sub(self.places.available_permits())
    }
}

impl Listener {
    /// Binds the port. Clients can connect from now on, and are answered once [`Listener::serve`] runs.
    ///
    /// # Errors
    /// A [`BindError`] if the address cannot be listened on.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::open(address, false).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address.port()),
            io::ErrorKind::PermissionDenied => BindError::Denied(address.port()),
            _ => BindError::Other {
                address,
                source: error,
            },
        })
    }

    /// Makes another listener on the same port. The kernel deals connections out between all of them.
    ///
    /// # Errors
    /// The system is out of something.
    pub fn sibling(&self) -> io::Result<Self> {
        Self::open(self.address, true)
    }

    fn open(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        if shared {
            socket.set_reuseport(true)?;
        }
        socket.bind(address)?;
        // Only once the port is known to be nobody else's may others of this process join.
        socket.set_reuseport(true)?;
        let socket = socket.listen(BACKLOG)?.into_std()?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Returns the bound address, with the port that was picked if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the stop, on the runtime that polls it, then finishes the requests in flight. Returns how
    /// many connections had to be cut.
    ///
    /// Dropping the future closes the port; connections go on until the stop.
    ///
    /// # Errors
    /// The runtime does not take the socket.
    pub async fn serve(self, service: impl Serve, serving: Serving) -> io::Result<usize> {
        let socket = TcpListener::from_std(self.socket)?;
        let stop = Arc::clone(&serving.stop);
        let server = AcceptLoop {
            service,
            serving,
            open: TaskTracker::new(),
        };
        while let Some((stream, peer, place)) = server.next(&socket, &stop).await {
            server.open(stream, peer, place);
        }
        drop(socket);
        Ok(server.finish().await)
    }
}

struct AcceptLoop<S> {
    service: S,
    serving: Serving,
    open: TaskTracker,
}

impl<S: Serve> AcceptLoop<S> {
    async fn next(
        &self,
        socket: &TcpListener,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        loop {
            match stop.run_until_cancelled(socket.accept()).await? {
                Ok((stream, peer)) => {
                    let place = Arc::clone(&self.serving.places).acquire_owned();
                    let place = stop.run_until_cancelled(place).await?.ok()?;
                    return Some((stream, peer, place));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Either way the loop looks again.
                    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        // Answers are written whole; without this, small ones wait for the peer's acknowledgement.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let activity = Activity::new();
        let (service, seen) = (self.service.clone(), Arc::clone(&activity));
        let limits = BodyLimits {
            timeout: self.serving.body_timeout,
            stop: Arc::clone(&self.serving.stop),
        };
        let service = service_fn(move |request: Request<Incoming>| {
            let in_flight = seen.request(request.version());
            let request = Timed::new(request, &limits);
            let service = service.clone();
            async move {
                let response = service.serve(request, peer).await;
                Ok::<_, Infallible>(response.map(|body| Holding::new(body, in_flight)))
            }
        });
        let socket = TokioIo::new(Watched {
            stream,
            activity: Arc::clone(&activity),
        });
        let counted = CountedConnection::new(self.serving.connections.clone());
        let (limits, stop) = (self.serving.limits, (*self.serving.stop).clone());
        let cut = self.serving.cut.clone();
        self.open.spawn(async move {
            let builder = builder(&limits);
            let connection = builder.serve_connection_with_upgrades(socket, service);
            let guarded = Guarded::new(connection, activity, limits, stop);
            cut.run_until_cancelled(guarded).await;
            drop((place, counted));
        });
    }

    async fn finish(self) -> usize {
        self.open.close();
        let waited = self.serving.cut.run_until_cancelled(self.open.wait());
        let left = match waited.await {
            Some(()) => 0,
            None => self.open.len(),
        };
        self.open.wait().await;
        left
    }
}

/// Counts an open connection in the metrics while it is held, also when its task panics.
struct CountedConnection(Gauge);

impl CountedConnection {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // `Guarded` has the limits of heads; hyper's own would arm a timer for every request.
    let mut one = builder.http1();
    one.header_read_timeout(None)
        .max_buf_size(HEAD_BYTES as usize);
    let mut two = builder.http2();
    two.timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    two.keep_alive_interval(limits.idle / 2)
        .max_header_list_size(HEAD_BYTES);
    builder
}

#[cfg(test)]
mod tests;
