//! What a worker says while the gateway does not let it in.
//!
//! It tries for ever, because what is in the way mostly heals: the gateway starts, or the other process
//! with its id ends. So it says what is in the way once for each reason, neither never nor every two
//! seconds. A token that is not taken heals only by starting the worker with another one: that is its end.

use gateway_core::id::WorkerId;

use crate::call::Answer;
use crate::gateway::GatewayError;

/// The gateway does not take the token: a worker that shows another one has to be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{gateway} does not take the token of {worker}: give the gateway's WORKER_AUTH_TOKEN, or for a \
     reserved id its one-time token, which works once"
)]
pub struct TokenRefused {
    /// The base URL of the gateway.
    pub gateway: String,
    pub worker: WorkerId,
}

/// Follows the registration of one worker, and logs what is in its way.
#[derive(Debug)]
pub(super) struct Registering {
    gateway: String,
    worker: WorkerId,
    /// What is in the way, as it was last logged.
    reason: Option<String>,
    refused: bool,
}

impl Registering {
    pub(super) fn new(gateway: &str, worker: WorkerId) -> Self {
        Self {
            gateway: gateway.to_owned(),
            worker,
            reason: None,
            refused: false,
        }
    }

    /// Takes note of the answer to a registration, and logs what has changed.
    pub(super) fn heard(&mut self, result: &Result<Answer, GatewayError>) {
        let reason = match result {
            Ok(_) => None,
            Err(GatewayError::Unauthorized) => {
                self.refused = true;
                return;
            }
            Err(error) => Some(self.reason(error)),
        };
        if reason == self.reason {
            return;
        }
        match &reason {
            Some(reason) => {
                tracing::warn!(worker.id = %self.worker, reason, "cannot register; trying again");
            }
            None => tracing::info!(worker.id = %self.worker, "registered"),
        }
        self.reason = reason;
    }

    /// Returns why the worker cannot go on, if the gateway does not take its token.
    pub(super) fn refused(&self) -> Option<TokenRefused> {
        self.refused.then(|| TokenRefused {
            gateway: self.gateway.clone(),
            worker: self.worker.clone(),
        })
    }

    fn reason(&self, error: &GatewayError) -> String {
        let gateway = &self.gateway;
        match error {
            GatewayError::Unreachable => {
                format!("{gateway} does not answer: check this URL, and that the gateway runs")
            }
            GatewayError::Unavailable { .. } | GatewayError::Failed { status: 500.. } => {
                format!("{gateway} cannot take registrations at the moment")
            }
            GatewayError::Failed { status } => {
                format!("{gateway} answers {status} as no gateway does: check this URL")
            }
            GatewayError::Refused { message, .. } => format!("{gateway} refuses: {message}"),
            other => format!("{gateway} refuses: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registering() -> Registering {
        let worker = WorkerId::parse("worker-1").expect("an id");
        Registering::new("http://gateway:8000", worker)
    }

    fn refusal(kind: &str, message: &str) -> Result<Answer, GatewayError> {
        Err(GatewayError::Refused {
            status: 409,
            kind: kind.to_owned(),
            message: message.to_owned(),
        })
    }

    #[test]
    fn each_reason_says_what_to_do() {
        let in_use = refusal("worker_id_in_use", "another process uses this worker id");
        for (result, says) in [
            (Err(GatewayError::Unreachable), "does not answer"),
            (
                Err(GatewayError::Unavailable { retry_after: None }),
                "at the moment",
            ),
            (in_use, "refuses: another process uses this worker id"),
            (
                Err(GatewayError::Failed { status: 401 }),
                "answers 401 as no gateway does",
            ),
        ] {
            let mut registering = registering();
            registering.heard(&result);
            let reason = registering.reason.as_deref().expect("a reason");
            assert!(reason.contains(says), "{reason}");
            assert!(reason.starts_with("http://gateway:8000 "), "{reason}");
            assert_eq!(registering.refused(), None, "{reason}");
            registering.heard(&Ok(Answer::Done));
            assert_eq!(registering.reason, None);
        }
    }

    #[test]
    fn a_wrong_token_is_the_end() {
        let mut registering = registering();
        registering.heard(&Err(GatewayError::Unauthorized));
        let refused = registering.refused().expect("the end").to_string();
        assert!(
            refused.contains("worker-1") && refused.contains("WORKER_AUTH_TOKEN"),
            "{refused}"
        );
    }
}
