//! The commands of the gateway over HTTP.
//!
//! Own accept loop: connections belong to the server's task, so that killing the worker breaks them. A
//! command runs on a task of its own, so that a gateway that hangs up does not interrupt the engine half-way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use gateway_core::id::{Epoch, Incarnation, SessionId};
use gateway_core::protocol::state::{EPOCH_HEADER, INCARNATION_HEADER};
use gateway_core::protocol::{
    NamedCall, Passkey, SendMessage, StartSession, StopSession, WorkerProblem,
};
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Served;
use super::drive::pause;
use crate::engine::Engine;
use crate::moment::Moment;
use crate::refusal::{Refusal, Stopping};
use crate::worker::Worker;

/// Returns the routes of the worker protocol, under `/`, `/api` and `/api/v1`.
pub(super) fn routes<E: Engine>(served: Served<E>) -> Router {
    let routes = Router::new()
        .route("/health", get(health::<E>))
        .route("/sessions", post(start::<E>))
        .route("/sessions/{id}", get(session::<E>).delete(forget::<E>))
        .route("/sessions/{id}/messages", post(send::<E>))
        .route("/sessions/{id}/calls/{name}", post(call::<E>))
        .route("/sessions/{id}/release", post(release::<E>))
        .route("/sessions/{id}/logout", post(logout::<E>))
        .route("/sessions/{id}/passkey", post(passkey::<E>))
        .route("/sessions/{id}/passkey/confirm", post(passkey_confirm::<E>))
        .with_state(served);
    routes
        .clone()
        .nest("/api", routes.clone())
        .nest("/api/v1", routes)
}

/// Answers commands until it is aborted.
pub(super) async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be free soon.
            pause(Duration::from_millis(50)).await;
            continue;
        };
        // Small answers must not wait for more; a socket that refuses is only slower.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        connections.spawn(async move {
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection of the gateway broke");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

type Handled = Result<Response, Rejection>;

async fn health<E: Engine>(State(served): State<Served<E>>, headers: HeaderMap) -> Handled {
    authenticate(&served, &headers, None)?;
    Ok(Json(served.worker.health(served.now())).into_response())
}

async fn start<E: Engine>(
    State(served): State<Served<E>>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let body: StartSession = read(&body)?;
    authenticate(&served, &headers, Some(&body.incarnation))?;
    let accepted = served.worker.start(&body, served.now());
    served.nudge.notify_one();
    Ok((StatusCode::ACCEPTED, Json(accepted?)).into_response())
}

async fn session<E: Engine>(
    State(served): State<Served<E>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Handled {
    let session = session_id(&id)?;
    let incarnation = header(&headers, INCARNATION_HEADER);
    authenticate(&served, &headers, incarnation.as_ref())?;
    run(&served, StatusCode::OK, async move |worker, now| {
        worker.session(session, now).await
    })
    .await
}

async fn send<E: Engine>(
    State(served): State<Served<E>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let (session, body): (SessionId, SendMessage) = named(&id, &body)?;
    authenticate(&served, &headers, Some(&body.incarnation))?;
    run(&served, StatusCode::ACCEPTED, async move |worker, now| {
        worker.send(session, &body, now).await
    })
    .await
}

async fn call<E: Engine>(
    State(served): State<Served<E>>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let (session, body): (SessionId, NamedCall) = named(&id, &body)?;
    authenticate(&served, &headers, Some(&body.incarnation))?;
    run(&served, StatusCode::OK, async move |worker, now| {
        worker.call(session, &name, &body, now).await
    })
    .await
}

async fn release<E: Engine>(
    served: State<Served<E>>,
    path: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    stop(served, path, headers, body, Stopping::Release).await
}

async fn logout<E: Engine>(
    served: State<Served<E>>,
    path: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    stop(served, path, headers, body, Stopping::Logout).await
}

async fn stop<E: Engine>(
    State(served): State<Served<E>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
    how: Stopping,
) -> Handled {
    let (session, body): (SessionId, StopSession) = named(&id, &body)?;
    finish(&served, &headers, session, body, how).await
}

async fn forget<E: Engine>(
    State(served): State<Served<E>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Handled {
    let session = session_id(&id)?;
    let epoch = headers
        .get(EPOCH_HEADER)
        .and_then(|value| value.to_str().ok());
    let epoch = epoch.and_then(|text| text.parse().ok()).map(Epoch);
    let (Some(epoch), Some(incarnation)) = (epoch, header(&headers, INCARNATION_HEADER)) else {
        let text = "X-Epoch and X-Incarnation are required";
        return Err(Rejection::BadRequest(text.to_owned()));
    };
    let body = StopSession { epoch, incarnation };
    finish(&served, &headers, session, body, Stopping::Forget).await
}

async fn finish<E: Engine>(
    served: &Served<E>,
    headers: &HeaderMap,
    session: SessionId,
    body: StopSession,
    how: Stopping,
) -> Handled {
    authenticate(served, headers, Some(&body.incarnation))?;
    run(served, StatusCode::OK, async move |worker, now| {
        let StopSession { epoch, incarnation } = body;
        worker.finish(session, epoch, &incarnation, how, now).await
    })
    .await
}

async fn passkey<E: Engine>(
    served: State<Served<E>>,
    path: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    answer_passkey(served, path, headers, body, false).await
}

async fn passkey_confirm<E: Engine>(
    served: State<Served<E>>,
    path: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    answer_passkey(served, path, headers, body, true).await
}

async fn answer_passkey<E: Engine>(
    State(served): State<Served<E>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
    confirm: bool,
) -> Handled {
    let (session, body): (SessionId, Passkey) = named(&id, &body)?;
    authenticate(&served, &headers, Some(&body.incarnation))?;
    run(&served, StatusCode::OK, async move |worker, now| {
        worker.passkey(session, &body, confirm, now).await
    })
    .await
}

/// Runs a command to its end, on a task of its own.
async fn run<E, T, F, R>(served: &Served<E>, success: StatusCode, command: F) -> Handled
where
    E: Engine,
    T: Serialize + Send + 'static,
    F: FnOnce(Arc<Worker<E>>, Moment) -> R,
    R: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let command = command(Arc::clone(&served.worker), served.now());
    let ended = tokio::spawn(command).await;
    served.nudge.notify_one();
    let answer = ended.map_err(|_| Rejection::EngineFailed)??;
    Ok((success, Json(answer)).into_response())
}

/// Why a request is not answered with success.
enum Rejection {
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
fn authenticate<E: Engine>(
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

fn session_id(id: &str) -> Result<SessionId, Rejection> {
    id.parse().map_err(|_| Refusal::UnknownSession.into())
}

fn named<T: DeserializeOwned>(id: &str, body: &[u8]) -> Result<(SessionId, T), Rejection> {
    Ok((session_id(id)?, read(body)?))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|error| Rejection::BadRequest(error.to_string()))
}

fn header(headers: &HeaderMap, name: &str) -> Option<Incarnation> {
    let text = headers.get(name)?.to_str().ok()?;
    Incarnation::parse(text).ok()
}
