//! Why a worker refuses a command, and what that is on the wire.

use std::time::Duration;

use gateway_core::id::{Epoch, Incarnation};
use gateway_core::protocol::WorkerProblem;
use gateway_core::worker::LinkError;

/// Why a worker refuses a command. Whatever the reason, nothing has gone out to WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker refuses: {}", self.code())]
pub enum Refusal {
    /// The worker does not hold the session.
    UnknownSession,
    /// The worker knows a higher epoch, or has stopped this one.
    StaleEpoch {
        /// The highest epoch that the worker knows.
        current: Epoch,
    },
    /// The command is for another run of the process.
    WrongIncarnation { current: Incarnation },
    /// The session is not connected to WhatsApp.
    NotConnected,
    /// The message id was used with another body.
    BodyMismatch,
    /// The worker cannot at the moment; the gateway may try again.
    Busy {
        /// Why: `state_not_stored`, `at_capacity`, `not_registered`, `stopping`, or what an engine says.
        code: &'static str,
    },
    /// The worker refuses for good; a repetition would be refused, too.
    Final {
        /// The HTTP status, 4xx or 501.
        status: u16,
        code: String,
    },
}

/// How long a gateway in the same process waits before it repeats a command that a busy worker refused.
const BUSY_WAIT: Duration = Duration::from_millis(100);

impl Refusal {
    /// Makes a final refusal because the present state forbids the command (409).
    #[must_use]
    pub fn conflict(code: &str) -> Self {
        Self::Final {
            status: 409,
            code: code.to_owned(),
        }
    }

    /// Returns the machine-readable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::UnknownSession => "unknown_session",
            Self::StaleEpoch { .. } => "stale_epoch",
            Self::WrongIncarnation { .. } => "wrong_incarnation",
            Self::NotConnected => "not_connected",
            Self::BodyMismatch => "body_mismatch",
            Self::Busy { code } => code,
            Self::Final { code, .. } => code,
        }
    }

    /// Returns the HTTP status and body.
    #[must_use]
    pub fn problem(&self) -> (u16, WorkerProblem) {
        let mut body = WorkerProblem {
            kind: self.code().to_owned(),
            error: self.to_string(),
            ..WorkerProblem::default()
        };
        let status = match self {
            Self::UnknownSession => 404,
            Self::StaleEpoch { current } => {
                body.current_epoch = Some(*current);
                409
            }
            Self::WrongIncarnation { current } => {
                body.current_incarnation = Some(current.clone());
                409
            }
            Self::NotConnected | Self::BodyMismatch => 409,
            Self::Busy { .. } => 503,
            Self::Final { status, .. } => *status,
        };
        (status, body)
    }
}

impl From<Refusal> for LinkError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSession => Self::UnknownSession,
            Refusal::StaleEpoch { current } => Self::StaleEpoch { current },
            Refusal::WrongIncarnation { current } => Self::WrongIncarnation {
                current: Some(current),
            },
            Refusal::NotConnected => Self::NotConnected,
            Refusal::BodyMismatch => Self::BodyMismatch,
            Refusal::Busy { .. } => Self::Busy {
                retry_after: Some(BUSY_WAIT),
            },
            Refusal::Final {
                status: 429 | 503, ..
            } => Self::Busy { retry_after: None },
            Refusal::Final { status, code } => Self::Refused {
                status,
                message: format!("the worker refuses: {code}"),
                code,
            },
        }
    }
}

/// How a command that stops a session ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// Stop, keep the credentials.
    Release,
    Logout,
    /// Unlink the device if it is linked, and erase everything.
    Forget,
}
