//! One HTTP/1.1 connection to a worker, driven by whoever waits for an answer on it.
//!
//! The usual way is a task per connection and channels between it and the requests, which is two
//! wake-ups per answer. A connection carries one command at a time, so the task that waits for the answer
//! can as well read it. A connection that nobody drives notices nothing, so it is looked at once more
//! before it is used again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

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
use super::bell::Bell;

pub(super) type Command = Request<Full<Bytes>>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection that is not in use, or used by its owner alone.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// None: the connection has ended. Only when it is dropped does it give back a command that it had not
    /// taken yet.
    driver: Option<http1::Connection<Stream, Full<Bytes>>>,
    bell: Bell,
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
        Ok(Self {
            sender,
            driver: Some(driver),
            bell: Bell::new(),
        })
    }

    /// Whether another command can be sent, as far as can be seen from here.
    pub(super) async fn is_ready(&mut self) -> bool {
        let Self {
            sender,
            driver,
            bell,
        } = self;
        poll_fn(|context| {
            bell.poll(context, |context| {
                drive(driver, context);
                Poll::Ready(driver.is_some() && sender.is_ready())
            })
        })
        .await
    }

    /// Nobody waits for anything on it any more.
    pub(super) fn rest(&self) {
        self.bell.leave();
    }

    /// The whole answer to a command. Dropping this gives the connection up.
    pub(super) async fn exchange(
        &mut self,
        command: Command,
    ) -> Result<(response::Parts, Bytes), Cut> {
        let Self {
            sender,
            driver,
            bell,
        } = self;
        let mut answer = pin!(answer(sender, command));
        poll_fn(|context| {
            bell.poll(context, |context| {
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    return Poll::Ready(answer);
                }
                drive(driver, context);
                answer.as_mut().poll(context)
            })
        })
        .await
    }
}

fn drive(driver: &mut Option<http1::Connection<Stream, Full<Bytes>>>, context: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(running).poll(context).is_ready()
    {
        *driver = None;
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_command_that_a_closing_connection_did_not_take_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (theirs, _) = theirs.expect("accepted");
        let stream = TokioIo::new(ours.expect("connected"));
        let stream = MaybeHttpsStream::Http(stream);
        let mut connection = Connection::over(stream).await.expect("a connection");
        assert!(connection.is_ready().await);
        drop(theirs);
        // Whoever waits for the network hears of everything that happened there before.
        let (made, taken) = tokio::join!(TcpStream::connect(address), listener.accept());
        drop((made.expect("connected"), taken.expect("accepted")));
        let command = Request::post("/x").body(Full::new(Bytes::from_static(b"{}")));
        let outcome = connection.exchange(command.expect("a request")).await;
        let Err(Cut::Unwritten(again)) = outcome else {
            panic!("nothing was written");
        };
        assert_eq!(again.uri(), "/x");
        assert!(!connection.is_ready().await);
    }
}
