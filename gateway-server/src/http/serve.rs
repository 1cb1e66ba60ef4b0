//! The accept loop.
//!
//! `axum::serve` has no time limit for the head of a request and no limit for the number of
//! connections, so this crate accepts for itself. The cap is taken *before* accepting: clients over it
//! wait in the kernel's queue instead of holding memory here, and because silent connections end after
//! the first-request limit, they cannot hold their places for long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::body::{Holding, Timed};
use super::connection::{Activity, Guarded, InFlight, Limits, Watched};
use crate::config::Http;

const HEAD_BYTES: u32 = 64 * 1024;
const STREAMS: u32 = 250;
/// After a failed accept, which means that descriptors or memory are short for the moment.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("port {0} is already in use: stop the other program or set PORT")]
    InUse(u16),
    /// Only root may.
    #[error("port {0} needs special rights: set PORT to one above 1023")]
    Denied(u16),
    /// Not an address of this machine, or the system is out of something.
    #[error("cannot listen on {address}")]
    Other {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A port that is held, and not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes the port. Clients can connect from now on; they are answered from [`Listener::serve`] on.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let other = |source| BindError::Other { address, source };
        let socket = TcpListener::bind(address)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse(address.port()),
                io::ErrorKind::PermissionDenied => BindError::Denied(address.port()),
                _ => other(error),
            })?;
        let address = socket.local_addr().map_err(other)?;
        Ok(Self { socket, address })
    }

    /// The address with the port that was picked if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `stop` is cancelled, then finishes the requests in flight for at most
    /// `http.shutdown_timeout`. Answers how many connections had to be cut.
    ///
    /// `connections` follows the number of open connections. Every request carries [`ConnectInfo`] with the address of its peer. Dropping the future closes
    /// the port; connections go on until `stop`.
    pub async fn serve(
        self,
        router: Router,
        http: &Http,
        connections: Gauge,
        stop: CancellationToken,
    ) -> usize {
        let server = Server {
            router,
            connections,
            limits: Limits::from(http),
            body_timeout: http.body_timeout,
            stop: stop.clone(),
            cut: CancellationToken::new(),
            open: TaskTracker::new(),
        };
        let places = Arc::new(Semaphore::new(http.max_connections));
        while let Some((stream, peer, place)) = self.next(&places, &stop).await {
            server.open(stream, peer, place);
        }
        drop(self);
        server.finish(http.shutdown_timeout).await
    }

    async fn next(
        &self,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = stop
            .run_until_cancelled(Arc::clone(places).acquire_owned())
            .await?
            .ok()?;
        loop {
            match stop.run_until_cancelled(self.socket.accept()).await? {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Either way the loop looks again.
                    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                }
            }
        }
    }
}

struct Server {
    router: Router,
    connections: Gauge,
    limits: Limits,
    body_timeout: Duration,
    stop: CancellationToken,
    cut: CancellationToken,
    open: TaskTracker,
}

impl Server {
    fn open(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        // Answers are written whole; without this, small ones wait for the peer's acknowledgement.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let activity = Activity::new();
        let (router, seen, body_timeout) = (
            self.router.clone(),
            Arc::clone(&activity),
            self.body_timeout,
        );
        let service = service_fn(move |request: Request<Incoming>| {
            let in_flight = seen.request(request.version());
            answer(router.clone(), request, peer, body_timeout, in_flight)
        });
        let socket = TokioIo::new(Watched {
            stream,
            activity: Arc::clone(&activity),
        });
        let counted = Counted::new(self.connections.clone());
        let (limits, stop, cut) = (self.limits, self.stop.clone(), self.cut.clone());
        self.open.spawn(async move {
            let builder = builder(&limits);
            let connection = builder.serve_connection_with_upgrades(socket, service);
            let guarded = Guarded::new(connection, activity, limits, stop);
            cut.run_until_cancelled(guarded).await;
            drop((place, counted));
        });
    }

    async fn finish(self, limit: Duration) -> usize {
        self.open.close();
        if tokio::time::timeout(limit, self.open.wait()).await.is_ok() {
            return 0;
        }
        let left = self.open.len();
        self.cut.cancel();
        self.open.wait().await;
        left
    }
}

/// An open connection in the metrics, also when its task panics.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    body_timeout: Duration,
    in_flight: InFlight,
) -> Result<Response<Holding<InFlight>>, Infallible> {
    let mut request = request.map(|body| Body::new(Timed::new(body, body_timeout)));
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.call(request).await?;
    Ok(response.map(|body| Holding::new(body, in_flight)))
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The second line behind `Guarded`, for a head that arrived with the request before it.
    let mut one = builder.http1();
    one.timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(HEAD_BYTES as usize);
    let mut two = builder.http2();
    two.timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    two.keep_alive_interval(limits.idle / 2)
        .max_header_list_size(HEAD_BYTES);
    builder
}

#[cfg(test)]
mod tests;
