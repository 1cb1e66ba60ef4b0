//! The way from a worker to the gateway, as a trait.
//!
//! A worker decides *what* to call and hands it out as a value ([`Call`](crate::Call)); this trait makes
//! the call. Over HTTP it is the client of the worker protocol; in process a test or an embedder
//! implements it over its own orchestrator.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::state::JournalGroup;
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::session::Owner;
use gateway_core::state::StoredState;

use crate::line::Setback;

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
    /// No answer came, or one that cannot be read, so the call may have been executed. It is repeated.
    #[error("the gateway did not answer")]
    Unreachable,
    /// The gateway cannot at the moment (429, 503). The call is repeated as long as it says so.
    #[error("the gateway cannot answer at the moment")]
    Unavailable {
        /// When to try again, if the gateway said so.
        retry_after: Option<Duration>,
    },
    /// The gateway failed (408, any other 5xx), or something between worker and gateway answered: a proxy or a
    /// load balancer refuses without the `type` that every refusal of a gateway has. That says nothing of what
    /// was sent, so the call is repeated.
    #[error("the answer was {status}, which says nothing of what was sent")]
    Failed {
        /// The HTTP status.
        status: u16,
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
        /// The session's present epoch, if the gateway said so.
        current: Option<Epoch>,
    },
    /// A state write does not follow the newest one (409 `seq_conflict`).
    #[error("the session's state is at sequence {current}")]
    SeqConflict { current: u64 },
    /// The gateway refuses for good (any other 4xx). The call is not repeated.
    #[error("the gateway refused with {status} {kind}: {message}")]
    Refused {
        status: u16,
        kind: String,
        message: String,
    },
}

impl GatewayError {
    /// Returns what the answer means for what was sent. `renewals` is how many the gateway has granted so far.
    pub(crate) const fn setback(&self, renewals: u64) -> Setback {
        match self {
            Self::Unavailable { retry_after } => Setback::Later(*retry_after),
            Self::Unreachable | Self::Failed { .. } => Setback::Doubt { renewals },
            Self::Unauthorized
            | Self::IncarnationEnded
            | Self::StaleEpoch { .. }
            | Self::SeqConflict { .. }
            | Self::Refused { .. } => Setback::Refusal,
        }
    }

    /// Returns whether the same call may succeed later.
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Unavailable { .. } | Self::Failed { .. }
        )
    }

    /// Returns whether this incarnation may not act any more.
    pub(crate) const fn ends_incarnation(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::IncarnationEnded)
    }

    /// Returns whether the session is not ours at that epoch, or does not exist any more.
    pub(crate) const fn ends_session(&self) -> bool {
        matches!(
            self,
            Self::StaleEpoch { .. } | Self::Refused { status: 404, .. }
        )
    }

    /// Returns how long the gateway asks to wait.
    pub(crate) const fn asks_to_wait(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after } => *retry_after,
            _ => None,
        }
    }
}

/// The gateway as a worker sees it.
#[async_trait]
pub trait GatewayApi: Debug + Send + Sync {
    /// Registers the worker: `POST /workers/register`.
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError>;

    /// Renews the lease: `PUT /workers/{id}/heartbeat`. A refused renewal is
    /// [`GatewayError::Unauthorized`].
    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError>;

    /// Says goodbye, holding nothing any more: `DELETE /workers/{id}`.
    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError>;

    /// Asks for the sessions that the worker should hold: `GET /workers/{id}/sessions/assigned`.
    async fn assigned(&self, caller: &Caller) -> Result<Vec<AssignedSession>, GatewayError>;

    /// Reports what became of sessions after a restart: `POST /workers/{id}/sessions/recovery-status`.
    async fn recovery_status(
        &self,
        caller: &Caller,
        body: &RecoveryReport,
    ) -> Result<(), GatewayError>;

    /// Reports a session's status: `POST /webhooks/session-status`.
    async fn session_report(
        &self,
        caller: &Caller,
        body: &SessionReport,
    ) -> Result<(), GatewayError>;

    /// Reports what became of messages: `POST /webhooks/message-status`.
    async fn message_reports(
        &self,
        caller: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError>;

    /// Reports messages that came in: `POST /webhooks/messages`.
    async fn inbound(&self, caller: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError>;

    /// Seals a session's state to `epoch` and returns it: `GET /workers/{id}/sessions/{sid}/state`.
    async fn state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError>;

    /// Stores a snapshot that follows the sequence `after`, and returns the newest sequence: `PUT
    /// /workers/{id}/sessions/{sid}/state`.
    async fn put_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError>;

    /// Stores journal entries that follow the sequence `after`, and returns the newest sequence: `POST
    /// /workers/{id}/sessions/{sid}/state/journal`.
    async fn append_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError>;

    /// Stores journal entries of several sessions, and returns for each, in order, what
    /// [`append_state`](Self::append_state) would: `POST /workers/{id}/state/journal`. Without any it shows whether
    /// state can be stored at this moment. Makes a call for each session, unless it is implemented.
    async fn append_states(
        &self,
        caller: &Caller,
        groups: &[JournalGroup],
    ) -> Result<Vec<Result<u64, GatewayError>>, GatewayError> {
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            let (session, epoch) = (group.session, group.epoch);
            let appended = self.append_state(caller, session, epoch, group.after, &group.entries);
            results.push(appended.await);
        }
        Ok(results)
    }
}
