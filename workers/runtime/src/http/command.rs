//! One command of the gateway, from the request to the answer.
//!
//! All commands have one shape: they name a session, a run of the worker and mostly an epoch, are checked in
//! the same order, and run on a task of their own, so that a gateway that hangs up does not interrupt the engine
//! half-way.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gateway_core::id::{Epoch, Incarnation, SessionId};
use gateway_core::protocol::state::{EPOCH_HEADER, INCARNATION_HEADER};
use gateway_core::protocol::{
    NamedCall, Passkey, SendMessage, StartSession, StopSession, WorkerProblem,
};
use gateway_core::time::Clock;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Served;
use crate::engine::Engine;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::worker::Worker;

/// What a command says, apart from its path.
pub(super) trait Content: Sized + Send + 'static {
    /// Reads it.
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Rejection>;

    /// The run of the worker that it is for.
    fn incarnation(&self) -> Option<&Incarnation>;

    /// The session, where the path names none.
    fn session(&self) -> Option<SessionId> {
        None
    }
}

macro_rules! in_the_body {
    ($($content:ty),+) => {
        $(impl Content for $content {
            fn read(_: &HeaderMap, body: &[u8]) -> Result<Self, Rejection> {
                from_json(body)
            }

            fn incarnation(&self) -> Option<&Incarnation> {
                Some(&self.incarnation)
            }
        })+
    };
}

in_the_body!(SendMessage, NamedCall, StopSession, Passkey);

impl Content for StartSession {
    fn read(_: &HeaderMap, body: &[u8]) -> Result<Self, Rejection> {
        from_json(body)
    }

    fn incarnation(&self) -> Option<&Incarnation> {
        Some(&self.incarnation)
    }

    fn session(&self) -> Option<SessionId> {
        Some(self.session_id)
    }
}

/// The order to forget a session, which stands in the headers.
pub(super) struct Forget(pub(super) StopSession);

impl Content for Forget {
    fn read(headers: &HeaderMap, _: &[u8]) -> Result<Self, Rejection> {
        let epoch = headers
            .get(EPOCH_HEADER)
            .and_then(|value| value.to_str().ok());
        let epoch = epoch.and_then(|text| text.parse().ok()).map(Epoch);
        let (Some(epoch), Some(incarnation)) = (epoch, run_of(headers)) else {
            let text = "X-Epoch and X-Incarnation are required";
            return Err(Rejection::BadRequest(text.to_owned()));
        };
        Ok(Self(StopSession { epoch, incarnation }))
    }

    fn incarnation(&self) -> Option<&Incarnation> {
        Some(&self.0.incarnation)
    }
}

/// A question, which may name the run in a header.
pub(super) struct Question(Option<Incarnation>);

impl Content for Question {
    fn read(headers: &HeaderMap, _: &[u8]) -> Result<Self, Rejection> {
        Ok(Self(run_of(headers)))
    }

    fn incarnation(&self) -> Option<&Incarnation> {
        self.0.as_ref()
    }
}

/// A command whose sender was checked.
pub(super) struct Command<E, C> {
    served: Served<E>,
    pub(super) session: SessionId,
    /// The name of a call; empty for every other command.
    pub(super) name: String,
    pub(super) content: C,
}

impl<E: Engine, C: Content> FromRequest<Served<E>> for Command<E, C> {
    type Rejection = Rejection;

    async fn from_request(request: Request, served: &Served<E>) -> Result<Self, Rejection> {
        let (mut head, body) = request.into_parts();
        let unreadable = |error: &dyn std::fmt::Display| Rejection::BadRequest(error.to_string());
        let path = RawPathParams::from_request_parts(&mut head, served).await;
        let path = path.map_err(|error| unreadable(&error))?;
        let named = |wanted: &str| {
            let mut parts = path.iter();
            parts.find_map(|(name, value)| (name == wanted).then(|| value.to_owned()))
        };
        let in_path = named("id").map(|id| id.parse().map_err(|_| Refusal::UnknownSession));
        let in_path = in_path.transpose()?;
        let headers = head.headers.clone();
        let body = Bytes::from_request(Request::from_parts(head, body), served).await;
        let body = body.map_err(|error| unreadable(&error))?;
        let content = C::read(&headers, &body)?;
        authenticate(served, &headers, content.incarnation())?;
        let session = in_path.or_else(|| content.session());
        Ok(Self {
            served: served.clone(),
            session: session.ok_or(Refusal::UnknownSession)?,
            name: named("name").unwrap_or_default(),
            content,
        })
    }
}

impl<E: Engine, C: Content> Command<E, C> {
    pub(super) fn worker(&self) -> &Worker<E> {
        &self.served.worker
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.served.clock
    }

    pub(super) fn now(&self) -> Moment {
        self.served.now()
    }

    /// Carries the command out, to its end, and answers with `success` and what it returned.
    pub(super) async fn run<T, F, R>(self, success: StatusCode, carry_out: F) -> Handled
    where
        T: Serialize + Send + 'static,
        F: FnOnce(Self) -> R,
        R: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let nudge = Arc::clone(&self.served.nudge);
        let ended = tokio::spawn(carry_out(self)).await;
        nudge.notify_one();
        let answer = ended.map_err(|_| Rejection::EngineFailed)??;
        Ok((success, Json(answer)).into_response())
    }
}

/// An answer to a command.
pub(super) type Handled = Result<Response, Rejection>;

/// Why a request is not answered with success.
#[derive(Debug)]
pub(super) enum Rejection {
    Refused(Refusal),
    BadRequest(String),
    Unauthorized,
    AnotherRun,
    /// The engine panicked, so it is not known what became of the command.
    EngineFailed,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let problem = |kind: &str, error: String| WorkerProblem {
            kind: kind.to_owned(),
            error,
            ..WorkerProblem::default()
        };
        let (status, body) = match self {
            Self::Refused(refusal) => refusal.problem(),
            Self::BadRequest(error) => (400, problem("bad_request", error)),
            Self::Unauthorized => {
                let text = "show the token of this run".to_owned();
                (401, problem("unauthorized", text))
            }
            Self::AnotherRun => (409, problem("wrong_incarnation", "another run".to_owned())),
            Self::EngineFailed => {
                let text = "the engine has failed: see the worker's log".to_owned();
                (500, problem("engine_failed", text))
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, second);
        }
        response
    }
}

/// Checks who asks. A command for another run is told so whatever its token is: the gateway has not
/// noticed yet that this one has begun, and nothing is given away.
pub(super) fn authenticate<E: Engine>(
    served: &Served<E>,
    headers: &HeaderMap,
    incarnation: Option<&Incarnation>,
) -> Result<(), Rejection> {
    let worker = &served.worker;
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
    let token = worker.token();
    if shown.is_some() && shown == token.as_deref() {
        return Ok(());
    }
    if incarnation.is_some_and(|named| *named != worker.owner().incarnation) {
        return Err(Rejection::AnotherRun);
    }
    if token.is_none() {
        let code = "not_registered";
        return Err(Refusal::Busy { code }.into());
    }
    Err(Rejection::Unauthorized)
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|error| Rejection::BadRequest(error.to_string()))
}

fn run_of(headers: &HeaderMap) -> Option<Incarnation> {
    let text = headers.get(INCARNATION_HEADER)?.to_str().ok()?;
    Incarnation::parse(text).ok()
}
