//! Bodies that report: when a response is over, and when a request takes too long or is too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::problem::{ApiResult, Problem};

/// A response body that holds a value until it was sent or given up.
pub(super) struct Holding<T> {
    body: Body,
    _held: T,
}

impl<T> Holding<T> {
    pub(super) fn new(body: Body, held: T) -> Self {
        Self { body, _held: held }
    }
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How much of a body that nobody wants is read all the same.
const DROPPED_BYTES: usize = 1 << 20;
/// How long the rest of a refused body is read and dropped before the connection closes.
const DROPPED_FOR: Duration = Duration::from_secs(2);

/// What limits the time that bodies take.
#[derive(Clone, Debug)]
pub(super) struct BodyLimits {
    /// From the end of the head to the end of the body.
    pub(super) timeout: Duration,
    /// Cancelled when the server stops: a client that is still uploading is not waited for.
    pub(super) stop: Arc<CancellationToken>,
}

/// The body did not come to its end before the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub(super) struct Stopping;

/// A request body that fails when it is not complete in time, however steadily it drips, or before the server
/// stops.
///
/// One that is dropped before its end is read on for a while. The client may still be writing it, and would
/// otherwise find the connection closed instead of the answer that says why.
#[derive(Debug)]
pub struct Timed {
    // Taken when the rest is read by somebody else.
    body: Option<Incoming>,
    deadline: Instant,
    stop: Arc<CancellationToken>,
    // Most bodies arrive with their head, so these are made when one is waited for.
    waiting: Option<Waiting>,
    /// Whether the client sends the body by itself, without being asked for it.
    is_coming: bool,
}

/// What may come before the next piece of a body.
#[derive(Debug)]
struct Waiting {
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Timed {
    /// Wraps the body of a request, which has to be complete within the limits.
    pub(super) fn new(request: Request<Incoming>, limits: &BodyLimits) -> Request<Self> {
        let asks_first = request.headers().contains_key(header::EXPECT);
        let is_coming = request.version() != Version::HTTP_2 && !asks_first;
        request.map(|body| Self {
            body: Some(body),
            deadline: Instant::now() + limits.timeout,
            stop: Arc::clone(&limits.stop),
            waiting: None,
            is_coming,
        })
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), true, Ok(runtime)) = (left, self.is_coming, Handle::try_current()) {
            let reading = Limited::new(body, DROPPED_BYTES).collect();
            runtime.spawn(timeout(DROPPED_FOR, reading));
        }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let (deadline, stop) = (self.deadline, Arc::clone(&self.stop));
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            timer: Box::pin(sleep_until(deadline)),
            stop: Box::pin(CancellationToken::clone(&stop).cancelled_owned()),
        });
        if waiting.stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(Stopping))));
        }
        ready!(waiting.timer.as_mut().poll(context));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the request body took too long");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

/// The most bytes that the body of a request to a route may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimit(pub(super) usize);

impl BodyLimit {
    /// Reads a body to its end. One whose declared length is over the limit is refused at once, instead
    /// of being waited for.
    pub(super) async fn read<B>(self, body: B) -> ApiResult<Bytes>
    where
        B: HttpBody<Data = Bytes, Error = axum::Error>,
    {
        if body.size_hint().lower() > self.0 as u64 {
            return Err(Problem::payload_too_large());
        }
        match Limited::new(body, self.0).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Problem::payload_too_large()),
            Err(error) => Err(Problem::unread(error)),
        }
    }
}
