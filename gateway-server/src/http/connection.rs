//! One connection, and the time it may take for what.
//!
//! hyper's own timer for the head of a request also runs while a connection is idle, and does not run
//! at all before the protocol is known, so a short value breaks keep-alive and a silent client stays
//! for ever. Here the bytes and the requests of a connection are watched instead: there is a limit from
//! accepting it to its first request, one from the first byte of a head to its end, and one between two
//! requests. HTTP/2 connections exchange frames while they are idle, so for them the second is left out.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Version;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::config::Http;

const FIRST: u8 = 0;
const IDLE: u8 = 1;
const HEAD: u8 = 2;
const BUSY: u8 = 3;

/// The time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    first: Duration,
    head: Duration,
    pub(super) idle: Duration,
}

impl From<&Http> for ConnectionLimits {
    fn from(http: &Http) -> Self {
        Self {
            first: http.first_request_timeout,
            head: http.header_timeout,
            idle: http.idle_timeout,
        }
    }
}

/// What a connection is doing. Written by its task and, for HTTP/2, by those of its requests; each
/// field is a hint for a timer, so no ordering between them is needed.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    phase: AtomicU8,
    since_millis: AtomicU64,
    requests: AtomicUsize,
    many_streams: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            phase: AtomicU8::new(FIRST),
            since_millis: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            many_streams: AtomicBool::new(false),
        })
    }

    /// Notes that the head of a request is complete. The returned guard must be held until its answer has
    /// ended.
    pub(super) fn request(self: &Arc<Self>, version: Version) -> InFlight {
        self.many_streams
            .store(version == Version::HTTP_2, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.phase.store(BUSY, Ordering::Release);
        InFlight(Arc::clone(self))
    }

    fn bytes_arrived(&self) {
        let idle = self.phase.load(Ordering::Acquire) == IDLE;
        if idle && !self.many_streams.load(Ordering::Relaxed) {
            self.enter(HEAD);
        }
    }

    fn enter(&self, phase: u8) {
        let since = u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since_millis.store(since, Ordering::Release);
        self.phase.store(phase, Ordering::Release);
    }

    /// Returns when the present phase ends by force; nothing while requests are served.
    fn deadline(&self, limits: &ConnectionLimits) -> Option<Instant> {
        let limit = match self.phase.load(Ordering::Acquire) {
            FIRST => limits.first,
            IDLE => limits.idle,
            HEAD => limits.head,
            _ => return None,
        };
        let since = Duration::from_millis(self.since_millis.load(Ordering::Acquire));
        Some(self.accepted + since + limit)
    }
}

/// A request between the end of its head and the end of its answer.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.enter(IDLE);
        }
    }
}

/// A socket whose arriving bytes are noticed.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.bytes_arrived();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Drives a connection until it ends, is told to stop, or takes too long.
pub(super) struct Guarded<C> {
    connection: Pin<Box<C>>,
    activity: Arc<Activity>,
    limits: ConnectionLimits,
    timer: Pin<Box<Sleep>>,
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<C: GracefulConnection> Guarded<C> {
    pub(super) fn new(
        connection: C,
        activity: Arc<Activity>,
        limits: ConnectionLimits,
        stop: CancellationToken,
    ) -> Self {
        let timer = Box::pin(sleep_until(activity.accepted + limits.first));
        let stop = Some(Box::pin(stop.cancelled_owned()));
        Self {
            connection: Box::pin(connection),
            activity,
            limits,
            timer,
            stop,
        }
    }

    /// Polls the timer, and returns whether the deadline has passed. The timer is moved only when it
    /// would fire too late: firing too early costs one more look, moving it with every request would cost
    /// something every time.
    fn timer_fires(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            let deadline = self.activity.deadline(&self.limits);
            if let Some(deadline) = deadline
                && deadline < self.timer.deadline()
            {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return false;
            }
            let now = Instant::now();
            match deadline {
                Some(deadline) if deadline <= now => return true,
                Some(deadline) => self.timer.as_mut().reset(deadline),
                None => self.timer.as_mut().reset(now + self.limits.head),
            }
        }
    }
}

impl<C: GracefulConnection> Future for Guarded<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(stop) = &mut this.stop
            && stop.as_mut().poll(context).is_ready()
        {
            this.stop = None;
            this.connection.as_mut().graceful_shutdown();
        }
        if this.connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if this.timer_fires(context) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
