//! Bodies that report: when a response is over, and when a request takes too long or is too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

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

/// A request body that fails when it is not complete in time, however steadily it drips.
#[derive(Debug)]
pub struct Timed {
    body: Incoming,
    deadline: Instant,
    // Most bodies arrive with their head, so the timer is made when one is waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    pub(super) fn new(body: Incoming, limit: Duration) -> Self {
        Self {
            body,
            deadline: Instant::now() + limit,
            timer: None,
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
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let deadline = self.deadline;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(context));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the request body took too long");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
