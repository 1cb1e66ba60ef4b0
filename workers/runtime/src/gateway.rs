//! The way from a worker to the gateway, as a trait.
//!
//! A worker decides *what* to call and hands it out as a value ([`Call`](crate::Call)); this trait makes
//! the call. Over HTTP it is the client of the worker protocol; in process a test or an embedder
//! implements it over its own orchestrator.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::session::Owner;
use gateway_core::state::StoredState;

/// Who calls: one run of one worker, with the token it got at its registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The slot and the run.
    pub owner: Owner,
    /// The token; empty before the registration.
    pub token: String,
}

/// Why a call to the gateway did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// No answer: it may have been executed. Repeated.
    #[error("the gateway did not answer")]
    Unreachable,
    /// It cannot at the moment (429, 5xx). Repeated.
    #[error("the gateway cannot answer at the moment")]
    Unavailable {
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The token is not valid (any more) (401): this incarnation is over, or was never let in.
    #[error("the gateway does not know this incarnation any more: register again")]
    Unauthorized,
    /// The incarnation has ended (409 `wrong_incarnation`): only a new one may register.
    #[error("this incarnation has ended: register with a new one")]
    IncarnationEnded,
    /// The session has moved on (409 `stale_epoch`): drop it without a logout.
    #[error("the session is at a higher epoch")]
    StaleEpoch {
        /// Which, if it said so.
        current: Option<Epoch>,
    },
    /// A state write does not follow the newest one (409 `seq_conflict`).
    #[error("the session's state is at sequence {current}")]
    SeqConflict {
        /// The newest sequence.
        current: u64,
    },
    /// It refuses for good (any other 4xx). Not repeated.
    #[error("the gateway refused with {status} {kind}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The machine-readable type.
        kind: String,
        /// The gateway's words.
        message: String,
    },
}

/// The gateway as a worker sees it (section 6 of the specification, worker → gateway).
#[async_trait]
pub trait GatewayApi: Debug + Send + Sync {
    /// `POST /workers/register`
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError>;

    /// `PUT /workers/{id}/heartbeat`. A refused renewal is [`GatewayError::Unauthorized`].
    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError>;

    /// `DELETE /workers/{id}`
    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError>;

    /// `GET /workers/{id}/sessions/assigned`
    async fn assigned(&self, caller: &Caller) -> Result<Vec<AssignedSession>, GatewayError>;

    /// `POST /workers/{id}/sessions/recovery-status`
    async fn recovery_status(
        &self,
        caller: &Caller,
        body: &RecoveryReport,
    ) -> Result<(), GatewayError>;

    /// `POST /webhooks/session-status`
    async fn session_report(
        &self,
        caller: &Caller,
        body: &SessionReport,
    ) -> Result<(), GatewayError>;

    /// `POST /webhooks/message-status`
    async fn message_reports(
        &self,
        caller: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError>;

    /// `POST /webhooks/messages`
    async fn inbound(&self, caller: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError>;

    /// `GET /workers/{id}/sessions/{sid}/state`: seals the state to `epoch` and returns it.
    async fn state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError>;

    /// `PUT /workers/{id}/sessions/{sid}/state`: a snapshot that follows the sequence `after`; returns
    /// the newest sequence.
    async fn put_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError>;

    /// `POST /workers/{id}/sessions/{sid}/state/journal`: entries that follow the sequence `after`;
    /// returns the newest sequence.
    async fn append_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError>;
}
