//! The way to a worker, as a port (section 6 of the specification, gateway → worker).

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::id::{Epoch, Incarnation, SessionId};
use crate::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use crate::session::{Order, Owner};

/// Which worker, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The slot and its run; every command repeats the incarnation.
    pub owner: Owner,
    /// Its base URL.
    pub endpoint: String,
}

/// Why a worker did not do what it was asked, by what the caller can conclude.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing was sent: no connection. The command was certainly not executed.
    #[error("the worker cannot be reached")]
    NotSent,
    /// The time limit passed or the connection broke after bytes went out: it may have been executed.
    #[error("the worker did not answer in time")]
    Unknown,
    /// It does not hold the session.
    #[error("the worker does not know the session")]
    UnknownSession,
    /// It knows a higher epoch of the session, or has closed this one.
    #[error("the worker refuses the epoch; it knows {current}")]
    StaleEpoch {
        /// The highest it knows.
        current: Epoch,
    },
    /// It is another run of the process.
    #[error("the worker is another incarnation")]
    WrongIncarnation {
        /// Which.
        current: Option<Incarnation>,
    },
    /// The session is not connected there at the moment.
    #[error("the session is not connected at the worker")]
    NotConnected,
    /// The message id was used with another body.
    #[error("the message id was used with another body")]
    BodyMismatch,
    /// It refuses for now (429, 503): not executed.
    #[error("the worker is busy")]
    Busy {
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// It has not answered others for some time and is not asked: not executed.
    #[error("the worker has not answered lately and is given a pause")]
    BreakerOpen {
        /// When it is asked again.
        retry_after: Duration,
    },
    /// It refuses for good: not executed, and a repetition will be refused too.
    #[error("the worker refused: {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its machine-readable code.
        code: String,
        /// Its words.
        message: String,
    },
    /// It answered something that is not the protocol: it may have been executed.
    #[error("the worker's answer makes no sense")]
    Rubbish,
}

/// Sends commands to workers.
///
/// Every method carries incarnation and epoch, takes its time limit, and makes exactly one attempt:
/// whoever calls decides what may be repeated. A dropped future counts as [`LinkError::Unknown`].
#[async_trait]
pub trait WorkerLink: Debug + Send + Sync {
    /// `POST /sessions`. Repeating it at the same epoch gets the same answer.
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError>;

    /// `GET /sessions/{id}`: asks the client itself, not the last event.
    async fn session(
        &self,
        target: &Target,
        session: SessionId,
        limit: Duration,
    ) -> Result<SessionState, LinkError>;

    /// `POST /sessions/{id}/messages`. Repeating a message id gets the first result.
    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError>;

    /// `POST /sessions/{id}/release`: stop, flush, tombstone; credentials are kept.
    async fn release(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError>;

    /// `POST /sessions/{id}/logout`: unlink the device and tombstone.
    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError>;

    /// `DELETE /sessions/{id}`: unlink if linked, stop, erase, tombstone.
    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError>;

    /// `POST /sessions/{id}/passkey` and, with `confirm`, `…/passkey/confirm`.
    async fn passkey(
        &self,
        target: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        limit: Duration,
    ) -> Result<(), LinkError>;

    /// `GET /health`; never the basis of a lease.
    async fn health(&self, target: &Target, limit: Duration) -> Result<Health, LinkError>;
}
