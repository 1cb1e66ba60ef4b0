//! What a worker's answer means.
//!
//! The caller acts on one question: was the command executed? Statuses that say *no* are errors of their
//! own; whatever cannot be understood counts as *perhaps* ([`LinkError::Rubbish`]). An answer that is
//! about another session or message than the question is not understood either.

use std::time::Duration;

use gateway_core::id::{Epoch, MessageId, SessionId};
use gateway_core::protocol::{Accepted, Health, Released, Sent, SessionState, WorkerProblem};
use gateway_core::worker::LinkError;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

/// The most bytes of an answer that are read.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// The most characters of a worker's own words that are kept: they reach logs and the tenant.
const MAX_WORDS: usize = 512;

/// What the answer to a command must be about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Anything,
    Session(SessionId),
    /// This session at this epoch.
    Owned(SessionId, Epoch),
    Message(MessageId),
}

/// A body that can be checked against the question.
pub(super) trait WorkerAnswer: DeserializeOwned {
    /// Returns whether the answer is about what the command was about.
    fn is(&self, about: About) -> bool;
}

/// An answer whose body does not matter: the status alone is the answer.
#[derive(Debug)]
pub(super) struct Done;

impl<'de> serde::Deserialize<'de> for Done {
    fn deserialize<D: serde::Deserializer<'de>>(any: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(any).map(|_| Self)
    }
}

impl WorkerAnswer for Done {
    fn is(&self, _: About) -> bool {
        true
    }
}

impl WorkerAnswer for Accepted {
    fn is(&self, about: About) -> bool {
        is_of(self.session_id, self.epoch, about)
    }
}

impl WorkerAnswer for Released {
    fn is(&self, about: About) -> bool {
        is_of(self.session_id, self.epoch, about)
    }
}

impl WorkerAnswer for SessionState {
    fn is(&self, about: About) -> bool {
        self.session_id
            .is_none_or(|session| is_of(session, self.epoch, about))
    }
}

impl WorkerAnswer for Sent {
    fn is(&self, about: About) -> bool {
        match about {
            About::Message(id) => self.message_id == id,
            About::Anything | About::Session(_) | About::Owned(..) => true,
        }
    }
}

impl WorkerAnswer for Health {
    fn is(&self, _: About) -> bool {
        true
    }
}

fn is_of(session: SessionId, epoch: Epoch, about: About) -> bool {
    match about {
        About::Session(asked) => session == asked,
        About::Owned(asked, at) => session == asked && epoch == at,
        About::Anything | About::Message(_) => true,
    }
}

/// Reads a worker's complete answer to a command that was about `about`.
pub(super) fn read<T: WorkerAnswer>(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    about: About,
) -> Result<T, LinkError> {
    if status.is_success() {
        let body = if body.is_empty() { b"null" } else { body };
        let answer: T = serde_json::from_slice(body).map_err(|_| LinkError::Rubbish)?;
        return answer.is(about).then_some(answer).ok_or(LinkError::Rubbish);
    }
    Err(refusal(status, headers, body))
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> LinkError {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => LinkError::Busy {
            retry_after: retry_after(headers),
        },
        _ if status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED => {
            understood(status, &problem(body))
        }
        // Redirects are not part of the protocol, and a worker that fails may have acted before.
        _ => LinkError::Rubbish,
    }
}

fn understood(status: StatusCode, problem: &WorkerProblem) -> LinkError {
    match (status, problem.kind.as_str()) {
        // Something in between has answered, and nobody knows whether the worker was asked before.
        (_, kind) if !is_kind(kind) => LinkError::Rubbish,
        // It does not take our token at the moment, so it has done nothing.
        (StatusCode::UNAUTHORIZED, _) => LinkError::Busy { retry_after: None },
        (StatusCode::NOT_FOUND, "unknown_session") => LinkError::UnknownSession,
        (StatusCode::CONFLICT, "stale_epoch") => LinkError::StaleEpoch {
            current: problem.current_epoch.unwrap_or_default(),
        },
        (StatusCode::CONFLICT, "wrong_incarnation") => LinkError::WrongIncarnation {
            current: problem.current_incarnation.clone(),
        },
        (StatusCode::CONFLICT, "not_connected") => LinkError::NotConnected,
        (StatusCode::CONFLICT, "body_mismatch") => LinkError::BodyMismatch,
        _ => refused(status, problem),
    }
}

/// Returns whether the text names a kind of refusal, as only a worker does: a proxy says nothing, a sentence or
/// `about:blank`.
fn is_kind(text: &str) -> bool {
    let is_named = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    !text.is_empty() && text.bytes().all(is_named)
}

fn refused(status: StatusCode, problem: &WorkerProblem) -> LinkError {
    LinkError::Refused {
        status: status.as_u16(),
        code: problem.kind.chars().take(MAX_WORDS).collect(),
        message: problem.error.chars().take(MAX_WORDS).collect(),
    }
}

/// Reads the body of a refusal. One that makes no sense counts as empty.
fn problem(body: &[u8]) -> WorkerProblem {
    serde_json::from_slice(body).unwrap_or_default()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}
