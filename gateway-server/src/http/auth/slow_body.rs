//! Bodies that take their time, and credentials that end meanwhile.
//!
//! A request is let in when its head is there. Whoever sends the body half a minute later would have let a
//! revoked key live as long; so a body that was not there at once comes to its end only if its credential
//! still stands then.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::time::{Clock, Uptime};
use hyper::body::{Body, Frame, SizeHint};

/// How long a body may take before the credential is checked again.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The credential is not known any more: it has ended, or the caches may not be trusted at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential is not known any more")]
pub(crate) struct NotKnownAnyMore;

/// A body for which `is_known` is asked when it took long.
#[derive(Debug)]
pub(crate) struct WhileKnown<B, F> {
    body: B,
    clock: Arc<dyn Clock>,
    begun: Uptime,
    is_known: F,
}

impl<B, F: Fn(Uptime) -> bool> WhileKnown<B, F> {
    /// Wraps `body`, whose time runs from now on.
    pub(crate) fn new(body: B, clock: &Arc<dyn Clock>, is_known: F) -> Self {
        Self {
            body,
            clock: Arc::clone(clock),
            begun: clock.uptime(),
            is_known,
        }
    }
}

impl<B, F> Body for WhileKnown<B, F>
where
    B: Body<Data = Bytes, Error = axum::Error> + Unpin,
    F: Fn(Uptime) -> bool + Unpin,
{
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let now = self.clock.uptime();
        if now.since(self.begun) >= AT_ONCE && !(self.is_known)(now) {
            return Poll::Ready(Some(Err(axum::Error::new(NotKnownAnyMore))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use gateway_testkit::clock::ManualClock;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;

    use super::*;

    /// Reads a body whose second half comes `after` the first.
    async fn read(after: Duration, still_known: bool) -> Result<Bytes, axum::Error> {
        let manual = Arc::new(ManualClock::default());
        let clock: Arc<dyn Clock> = manual.clone();
        let (halves, mut arriving) = mpsc::channel::<&'static str>(2);
        let stream = futures_util::stream::poll_fn(move |context| arriving.poll_recv(context));
        let stream = futures_util::StreamExt::map(stream, Ok::<_, std::io::Error>);
        let body = axum::body::Body::from_stream(stream);
        let body = WhileKnown::new(body, &clock, move |_| still_known);
        halves.send("one ").await.expect("a reader");
        manual.advance(after);
        halves.send("two").await.expect("a reader");
        drop(halves);
        Ok(body.collect().await?.to_bytes())
    }

    #[tokio::test]
    async fn a_slow_body_is_not_taken_from_a_credential_that_has_ended() {
        let slow = Duration::from_secs(20);
        assert!(read(slow, false).await.is_err());
        assert_eq!(read(slow, true).await.expect("known"), "one two");
    }

    #[tokio::test]
    async fn a_body_that_is_there_at_once_is_not_asked_about() {
        let quick = Duration::from_millis(900);
        assert_eq!(read(quick, false).await.expect("quick"), "one two");
    }
}
