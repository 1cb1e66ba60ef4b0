//! One HTTP/1.1 connection to a worker, driven by whoever waits for an answer on it.
//!
//! The usual way is a task per connection and channels between it and the requests, which is two
//! wake-ups per answer. A connection carries one command at a time, so the task that waits for the answer
//! can as well read it. A connection that nobody drives notices nothing, so it is looked at once more
//! before it is used again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use gateway_core::worker::LinkError;
use http::{Request, response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::answer::MAX_BYTES;

pub(super) type Command = Request<Full<Bytes>>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection that is not in use, or used by its owner alone.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<Stream, Full<Bytes>>,
}

/// Why there is no answer.
pub(super) enum Cut {
    /// No byte of the command was written; here it is again.
    Unwritten(Box<Command>),
    /// It may have been executed.
    Lost(LinkError),
}

impl From<TrySendError<Command>> for Cut {
    fn from(mut error: TrySendError<Command>) -> Self {
        if let Some(command) = error.take_message() {
            return Self::Unwritten(Box::new(command));
        }
        Self::Lost(match error.error().is_parse() {
            true => LinkError::Rubbish,
            false => LinkError::Unknown,
        })
    }
}

impl Connection {
    /// Over a stream that is connected.
    pub(super) async fn over(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(stream).await?;
        Ok(Self { sender, driver })
    }

    /// Whether another command can be sent, as far as can be seen from here.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|context| {
            let ended = Pin::new(&mut self.driver).poll(context).is_ready();
            Poll::Ready(!ended && self.sender.is_ready())
        })
        .await
    }

    /// The whole answer to a command. Dropping this gives the connection up.
    pub(super) async fn exchange(
        &mut self,
        command: Command,
    ) -> Result<(response::Parts, Bytes), Cut> {
        let Self { sender, driver } = self;
        let mut answer = pin!(answer(sender, command));
        let mut ended = false;
        poll_fn(|context| {
            // Head and body arrive together, and each is one step of both.
            for _ in 0..2 {
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    return Poll::Ready(answer);
                }
                ended = ended || Pin::new(&mut *driver).poll(context).is_ready();
            }
            answer.as_mut().poll(context)
        })
        .await
    }
}

async fn answer(
    sender: &mut SendRequest<Full<Bytes>>,
    command: Command,
) -> Result<(response::Parts, Bytes), Cut> {
    let response = sender.try_send_request(command).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_BYTES).collect().await;
    let body = body.map_err(|error| {
        Cut::Lost(match error.is::<LengthLimitError>() {
            true => LinkError::Rubbish,
            false => LinkError::Unknown,
        })
    })?;
    Ok((head, body.to_bytes()))
}
