//! Every error of the core as a problem. No match has a wildcard: a new variant has to be decided here.

use std::time::Duration;

use gateway_core::coord::CoordError;
use gateway_core::identity::Denied;
use gateway_core::message::{InvalidContent, LogError, LogFull, SendError};
use gateway_core::session::InvalidTransition;
use gateway_core::state::StateError;
use gateway_core::store::{AsStoreError, StoreError};
use gateway_core::worker::LinkError;

use super::{Kind, Problem};
use crate::identity::{InvalidCredential, OtherSession};

/// The `Retry-After` of something that is away for a moment.
pub(super) const SOON: Duration = Duration::from_secs(2);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::new(
                Kind::Conflict,
                "somebody else changed this at the same time; repeat the request",
            )
            .retry_after(Duration::from_secs(1)),
            // Which field of the request that was, the handler knows.
            StoreError::Duplicate(_) => Self::new(Kind::Duplicate, error.to_string()),
            StoreError::Unavailable(_) => Self::new(
                Kind::ConnectivityError,
                "the database cannot be reached; try again shortly",
            )
            .retry_after(SOON)
            .because(error),
            StoreError::Refused(_) => Self::new(
                Kind::ValidationError,
                "the database cannot store a value of this request",
            )
            .because(error),
            StoreError::Corrupt { .. } | StoreError::Internal(_) => Self::internal(error),
        }
    }
}

impl AsStoreError for Problem {
    /// Returns whether the store reported a conflict, so that [`gateway_core::store::retry_conflicts`]
    /// can repeat what a handler does.
    fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }
}

impl From<CoordError> for Problem {
    fn from(error: CoordError) -> Self {
        Self::new(
            Kind::ConnectivityError,
            "the coordinator cannot be reached; try again shortly",
        )
        .retry_after(SOON)
        .because(error)
    }
}

impl From<InvalidTransition> for Problem {
    fn from(error: InvalidTransition) -> Self {
        Self::new(Kind::InvalidTransition, error.to_string()).with("status", error.status.name())
    }
}

impl From<Denied> for Problem {
    fn from(error: Denied) -> Self {
        match error {
            Denied::Credential(_) => Self::new(Kind::Forbidden, error.to_string()),
            Denied::Scope(scope) => {
                Self::new(Kind::InsufficientScope, error.to_string()).with("scope", scope.name())
            }
        }
    }
}

impl From<InvalidCredential> for Problem {
    fn from(error: InvalidCredential) -> Self {
        Self::new(Kind::Unauthorized, error.to_string())
    }
}

impl From<OtherSession> for Problem {
    /// Answers as if there were no such session: a restricted key does not learn of others.
    fn from(_: OtherSession) -> Self {
        Self::not_found("session")
    }
}

impl From<InvalidContent> for Problem {
    fn from(error: InvalidContent) -> Self {
        Self::field(error.field, error.message)
    }
}

impl From<LogFull> for Problem {
    fn from(error: LogFull) -> Self {
        Self::new(Kind::Overloaded, error.to_string()).retry_after(SOON)
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Refused(error) => error.into(),
            LogError::Unavailable => Self::new(
                Kind::ConnectivityError,
                "messages cannot be stored at the moment; try again shortly",
            )
            .retry_after(SOON),
        }
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        let text = error.to_string();
        match error {
            StateError::StaleEpoch { current } => {
                Self::new(Kind::StaleEpoch, text).with("current", current.0)
            }
            StateError::SeqConflict { current } => {
                Self::new(Kind::SeqConflict, text).with("current", current)
            }
            StateError::UnknownSession => Self::new(Kind::UnknownSession, text),
            StateError::TooLarge { max } => {
                Self::new(Kind::PayloadTooLarge, text).with("limit", max)
            }
            StateError::Corrupt { .. } => Self::internal(error),
            StateError::Store(error) => error.into(),
        }
    }
}

impl From<SendError> for Problem {
    /// Maps the outcomes of a send to statuses as the table of R-61 does.
    fn from(error: SendError) -> Self {
        let text = error.to_string();
        match error {
            SendError::UnknownSession => Self::not_found("session"),
            SendError::NotConnected {
                reason,
                action_required,
            } => not_connected(text, &reason, action_required),
            SendError::SessionUnavailable => unavailable(text, None),
            SendError::NotSupported { capability } => Self::not_supported(capability),
            SendError::UnknownTarget { field } => Self::field(field, text),
            SendError::LogFull(error) => error.into(),
            SendError::Store(error) => error.into(),
            SendError::Refused {
                id,
                status,
                code,
                message,
            } => refused(status, &code, &message).with("id", id.to_string()),
            SendError::WorkerError { id } => {
                Self::new(Kind::WorkerError, text).with("id", id.to_string())
            }
            SendError::OutcomeUnknown { id } => {
                Self::new(Kind::OutcomeUnknown, text).with("id", id.to_string())
            }
            SendError::NotRecorded { id, source } => Self::new(Kind::OutcomeUnknown, text)
                .with("id", id.to_string())
                .because(source),
            SendError::IdempotencyMismatch { id } => {
                Self::new(Kind::IdempotencyMismatch, text).with("id", id.to_string())
            }
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        let text = error.to_string();
        match error {
            LinkError::NotSent
            | LinkError::UnknownSession
            | LinkError::StaleEpoch { .. }
            | LinkError::WrongIncarnation { .. } => unavailable(text, None),
            LinkError::Busy { retry_after } => unavailable(text, retry_after),
            LinkError::BreakerOpen { retry_after } => unavailable(text, Some(retry_after)),
            LinkError::NotConnected => not_connected(text, "not_connected", None),
            LinkError::Unknown => Self::new(Kind::OutcomeUnknown, text),
            LinkError::BodyMismatch => Self::new(Kind::IdempotencyMismatch, text),
            LinkError::Refused {
                status,
                code,
                message,
            } => refused(status, &code, &message),
            LinkError::Rubbish => Self::new(Kind::WorkerError, text),
        }
    }
}

fn not_connected(text: String, reason: &str, action_required: Option<String>) -> Problem {
    Problem::new(Kind::NotConnected, text)
        .with("reason", reason)
        .with("actionRequired", action_required)
}

fn unavailable(text: String, wait: Option<Duration>) -> Problem {
    Problem::new(Kind::SessionUnavailable, text).retry_after(wait.unwrap_or(SOON))
}

/// Makes the problem of a worker's final refusal: 501 if its engine cannot do it, otherwise 422 about the
/// message.
fn refused(status: u16, code: &str, message: &str) -> Problem {
    let kind = match status {
        501 => Kind::NotSupported,
        _ => Kind::MessageRefused,
    };
    let text = format!("the worker refused: {message}");
    Problem::new(kind, text).with("code", code)
}

#[cfg(test)]
mod tests {
    use gateway_core::id::{Epoch, MessageId};
    use serde_json::{Value, json};

    use super::*;

    fn check(problem: impl Into<Problem>, status: u16, kind: &str, more: &Value) {
        let problem = problem.into();
        let failure = problem.render("r1");
        let seen = (problem.kind.status().as_u16(), problem.kind.slug());
        assert_eq!(seen, (status, kind), "{failure:?}");
        assert_eq!(&Value::Object(failure.more), more, "{kind}");
    }

    #[test]
    fn each_end_of_a_send_has_its_own_answer() {
        let id = MessageId::from_u128(7);
        let named = json!({"id": id.to_string()});
        let refused = |status, code: &str| SendError::Refused {
            id,
            status,
            code: code.to_owned(),
            message: "no".to_owned(),
        };
        check(SendError::UnknownSession, 404, "not_found", &json!({}));
        let waits = SendError::NotConnected {
            reason: "qr_timeout".to_owned(),
            action_required: Some("connect".to_owned()),
        };
        let why = json!({"reason": "qr_timeout", "actionRequired": "connect"});
        check(waits, 409, "not_connected", &why);
        check(
            SendError::SessionUnavailable,
            503,
            "session_unavailable",
            &json!({}),
        );
        check(LogFull, 503, "overloaded", &json!({}));
        check(SendError::WorkerError { id }, 502, "worker_error", &named);
        check(
            SendError::OutcomeUnknown { id },
            504,
            "outcome_unknown",
            &named,
        );
        let lost = SendError::NotRecorded {
            id,
            source: LogError::Unavailable,
        };
        check(lost, 504, "outcome_unknown", &named);
        check(
            SendError::IdempotencyMismatch { id },
            422,
            "idempotency_mismatch",
            &named,
        );
        let coded = |code: &str| json!({"id": id.to_string(), "code": code});
        check(refused(501, "x"), 501, "not_supported", &coded("x"));
        check(refused(400, "bad"), 422, "message_refused", &coded("bad"));
    }

    #[test]
    fn state_writes_say_where_the_state_is() {
        let stale = StateError::StaleEpoch { current: Epoch(3) };
        check(stale, 409, "stale_epoch", &json!({"current": 3}));
        let behind = StateError::SeqConflict { current: 9 };
        check(behind, 409, "seq_conflict", &json!({"current": 9}));
        check(
            StateError::UnknownSession,
            404,
            "unknown_session",
            &json!({}),
        );
        let large = StateError::TooLarge { max: 5 };
        check(large, 413, "payload_too_large", &json!({"limit": 5}));
    }

    #[test]
    fn causes_stay_in_the_log() {
        let problem = Problem::from(StoreError::Internal("password is hunter2".into()));
        let body = serde_json::to_string(&problem.render("r1")).expect("a body");
        assert!(!body.contains("hunter2"), "{body}");
    }
}
