//! The way to a worker, as a port.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::id::{Epoch, Incarnation, SessionId};
use crate::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use crate::session::{Order, Owner};

/// A run of a worker and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The worker and its incarnation; every command repeats the incarnation.
    pub owner: Owner,
    /// The base URL of the worker.
    pub endpoint: String,
}

/// Why a worker did not do what it was asked, sorted by what the caller can conclude.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing was sent: no connection. The command was certainly not executed.
    #[error("the worker cannot be reached")]
    NotSent,
    /// No answer came within the time limit, or the connection broke after bytes went out: the command may
    /// have been executed.
    #[error("the worker did not answer in time")]
    Unknown,
    /// The worker does not hold the session.
    #[error("the worker does not know the session")]
    UnknownSession,
    /// The worker knows a higher epoch of the session, or has closed this one.
    #[error("the worker refuses the epoch; it knows {current}")]
    StaleEpoch {
        /// The highest epoch that the worker knows.
        current: Epoch,
    },
    /// Another run of the process answered.
    #[error("the worker is another incarnation")]
    WrongIncarnation {
        /// The incarnation that answered, if it said so.
        current: Option<Incarnation>,
    },
    /// The session is not connected there at the moment.
    #[error("the session is not connected at the worker")]
    NotConnected,
    /// The message id was used with another body.
    #[error("the message id was used with another body")]
    BodyMismatch,
    /// The worker refuses for now (429, 503): the command was not executed.
    #[error("the worker is busy")]
    Busy {
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The worker has not answered others for some time and is not asked: the command was not executed.
    #[error("the worker has not answered lately and is given a pause")]
    BreakerOpen {
        /// The time until the worker is asked again.
        retry_after: Duration,
    },
    /// The worker refuses for good: the command was not executed, and a repetition will be refused, too.
    #[error("the worker refused: {code}")]
    Refused {
        /// The HTTP status of the worker's answer.
        status: u16,
        /// The worker's machine-readable code.
        code: String,
        message: String,
    },
    /// The worker answered something that is not the protocol: the command may have been executed.
    #[error("the worker's answer makes no sense")]
    Rubbish,
}

/// Sends commands to workers.
///
/// Every method carries incarnation and epoch, takes its time limit, and makes exactly one attempt:
/// whoever calls decides what may be repeated. A dropped future counts as [`LinkError::Unknown`].
#[async_trait]
pub trait WorkerLink: Debug + Send + Sync {
    /// Orders the worker to start a session (`POST /sessions`). Repeating the order at the same epoch gets
    /// the same answer.
    async fn start(
        &self,
        target: &Target,
        body: &StartSession,
        limit: Duration,
    ) -> Result<Accepted, LinkError>;

    /// Asks for the state of a session (`GET /sessions/{id}`). The worker asks its WhatsApp client; it does
    /// not repeat the last event.
    async fn session(
        &self,
        target: &Target,
        session: SessionId,
        limit: Duration,
    ) -> Result<SessionState, LinkError>;

    /// Orders the worker to send a message (`POST /sessions/{id}/messages`). Repeating a message id gets
    /// the first result.
    async fn send(
        &self,
        target: &Target,
        session: SessionId,
        body: &SendMessage,
        limit: Duration,
    ) -> Result<Sent, LinkError>;

    /// Orders the worker to stop a session, flush its state and tombstone it (`POST
    /// /sessions/{id}/release`). Credentials are kept.
    async fn release(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError>;

    /// Orders the worker to unlink the device and tombstone the session (`POST /sessions/{id}/logout`).
    async fn logout(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError>;

    /// Orders the worker to unlink the device if it is linked, stop, erase and tombstone the session
    /// (`DELETE /sessions/{id}`).
    async fn forget(
        &self,
        target: &Target,
        order: &Order,
        limit: Duration,
    ) -> Result<Released, LinkError>;

    /// Passes a passkey assertion on (`POST /sessions/{id}/passkey`) or, with `confirm`, its confirmation
    /// (`…/passkey/confirm`).
    async fn passkey(
        &self,
        target: &Target,
        order: &Order,
        body: &Passkey,
        confirm: bool,
        limit: Duration,
    ) -> Result<(), LinkError>;

    /// Asks how the worker is (`GET /health`). The answer is never the basis of a lease.
    async fn health(&self, target: &Target, limit: Duration) -> Result<Health, LinkError>;
}
