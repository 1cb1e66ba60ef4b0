//! One HTTP/1.1 connection to a worker: hyper's, driven by a task that ends with it.
//!
//! A connection carries one command at a time. A command that the connection did not take, because the worker
//! had closed it, comes back unwritten, so it can be sent over another one without being a second attempt.

use bytes::Bytes;
use gateway_core::worker::LinkError;
use http::{Request, response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::answer::MAX_BYTES;

pub(super) type WorkerRequest = Request<Full<Bytes>>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection, used by its owner alone. Dropping it closes it.
pub(super) struct WorkerConnection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// Why a connection gave no answer.
pub(super) enum Cut {
    /// No byte of the command was written, so it is given back.
    Unwritten(Box<WorkerRequest>),
    /// The command may have been executed.
    Lost(LinkError),
}

impl From<TrySendError<WorkerRequest>> for Cut {
    fn from(mut error: TrySendError<WorkerRequest>) -> Self {
        if let Some(command) = error.take_message() {
            return Self::Unwritten(Box::new(command));
        }
        Self::Lost(match error.error().is_parse() {
            true => LinkError::Rubbish,
            false => LinkError::Unknown,
        })
    }
}

impl WorkerConnection {
    /// Opens HTTP over a stream that is connected, until `cut` is cancelled; the connection belongs to the
    /// runtime that calls this.
    pub(super) async fn over(stream: Stream, cut: CancellationToken) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(stream).await?;
        // Its error is told to whoever waits for an answer.
        let driver = tokio::spawn(async move {
            cut.run_until_cancelled_owned(driver).await;
        });
        Ok(Self {
            sender,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Waits until the former command is over, and returns whether another one can be sent.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Returns whether it is certain that no command can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a command and returns the whole answer. Dropping the future gives the connection up.
    pub(super) async fn exchange(
        &mut self,
        command: WorkerRequest,
    ) -> Result<(response::Parts, Bytes), Cut> {
        let response = self.sender.try_send_request(command).await?;
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
        let mut connection = WorkerConnection::over(stream, CancellationToken::new())
            .await
            .expect("a connection");
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
