//! The commands of the gateway over HTTP.
//!
//! Own accept loop: connections belong to the server's task, so that killing the worker breaks them.

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
    Health, Passkey, SendMessage, StartSession, StopSession, WorkerProblem,
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

use super::Shared;
use super::drive::pause;
use crate::worker::commands::{Refusal, Reply, Stopping};
use crate::worker::held::Moment;
use crate::worker::recorder::CommandKind;
use crate::worker::sim::SimWorker;

/// How long a send waits for its cipher counters to be stored.
const COUNTERS_LIMIT: Duration = Duration::from_secs(2);

/// Answers commands until it is aborted.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/sessions", post(start))
        .route("/sessions/{id}", get(session).delete(forget))
        .route("/sessions/{id}/messages", post(send))
        .route("/sessions/{id}/release", post(release))
        .route("/sessions/{id}/logout", post(logout))
        .route("/sessions/{id}/passkey", post(passkey))
        .route("/sessions/{id}/passkey/confirm", post(passkey_confirm))
        .with_state(shared);
    let app = routes
        .clone()
        .nest("/api", routes.clone())
        .nest("/api/v1", routes);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be free soon.
            pause(Duration::from_millis(50)).await;
            continue;
        };
        // Small answers must not wait for more; a socket that refuses is only slower.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(app.clone());
        connections.spawn(async move {
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection of the gateway broke");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

type Served = State<Arc<Shared>>;
type Handled = Result<Response, Rejection>;

async fn health(State(shared): Served, headers: HeaderMap) -> Handled {
    authenticate(&shared, &headers, None)?;
    let answer: Health = shared.worker().health(shared.now());
    Ok(Json(answer).into_response())
}

async fn start(State(shared): Served, headers: HeaderMap, body: Bytes) -> Handled {
    let body: StartSession = read(&body)?;
    let session = body.session_id;
    let asked = Asked {
        kind: CommandKind::Start,
        session,
        incarnation: Some(body.incarnation.clone()),
        success: StatusCode::ACCEPTED,
    };
    asked
        .run(&shared, &headers, |worker, now| worker.start(&body, now))
        .await
}

async fn session(State(shared): Served, Path(id): Path<String>, headers: HeaderMap) -> Handled {
    let session = session_id(&id)?;
    let asked = Asked {
        kind: CommandKind::Session,
        session,
        incarnation: header(&headers, INCARNATION_HEADER),
        success: StatusCode::OK,
    };
    asked
        .run(&shared, &headers, |worker, now| {
            worker.session(session, now)
        })
        .await
}

async fn send(
    State(shared): Served,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    let (session, body): (SessionId, SendMessage) = named(&id, &body)?;
    let asked = Asked {
        kind: CommandKind::Send,
        session,
        incarnation: Some(body.incarnation.clone()),
        success: StatusCode::ACCEPTED,
    };
    // A worker of its own process can wait; in process there is no time to wait in.
    let stored = tokio::time::timeout(COUNTERS_LIMIT, counters_stored(&shared, session));
    // Without counters the worker refuses by itself.
    let _ = stored.await;
    asked
        .run(&shared, &headers, |worker, now| {
            worker.send(session, &body, now)
        })
        .await
}

async fn counters_stored(shared: &Shared, session: SessionId) {
    loop {
        let answered = shared.answered.notified();
        if !shared.worker().is_short_of_counters(session) {
            return;
        }
        shared.nudge.notify_one();
        answered.await;
    }
}

async fn release(shared: Served, path: Path<String>, headers: HeaderMap, body: Bytes) -> Handled {
    stop(shared, path, headers, body, Stopping::Release).await
}

async fn logout(shared: Served, path: Path<String>, headers: HeaderMap, body: Bytes) -> Handled {
    stop(shared, path, headers, body, Stopping::Logout).await
}

async fn stop(
    State(shared): Served,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
    how: Stopping,
) -> Handled {
    let (session, body): (SessionId, StopSession) = named(&id, &body)?;
    finish(&shared, &headers, session, &body, how).await
}

async fn forget(State(shared): Served, Path(id): Path<String>, headers: HeaderMap) -> Handled {
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
    finish(&shared, &headers, session, &body, Stopping::Forget).await
}

async fn finish(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    session: SessionId,
    body: &StopSession,
    how: Stopping,
) -> Handled {
    let asked = Asked {
        kind: how.kind(),
        session,
        incarnation: Some(body.incarnation.clone()),
        success: StatusCode::OK,
    };
    let run = |worker: &mut SimWorker, now| {
        worker.finish(session, body.epoch, &body.incarnation, how, now)
    };
    asked.run(shared, headers, run).await
}

async fn passkey(shared: Served, path: Path<String>, headers: HeaderMap, body: Bytes) -> Handled {
    answer_passkey(shared, path, headers, body, false).await
}

async fn passkey_confirm(
    shared: Served,
    path: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Handled {
    answer_passkey(shared, path, headers, body, true).await
}

async fn answer_passkey(
    State(shared): Served,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
    confirm: bool,
) -> Handled {
    let (session, body): (SessionId, Passkey) = named(&id, &body)?;
    let asked = Asked {
        kind: CommandKind::Passkey,
        session,
        incarnation: Some(body.incarnation.clone()),
        success: StatusCode::OK,
    };
    let run = |worker: &mut SimWorker, now| worker.passkey(session, &body, confirm, now);
    asked.run(&shared, &headers, run).await
}

/// A command, before it is run.
struct Asked {
    kind: CommandKind,
    session: SessionId,
    incarnation: Option<Incarnation>,
    success: StatusCode,
}

impl Asked {
    async fn run<T: Serialize>(
        self,
        shared: &Arc<Shared>,
        headers: &HeaderMap,
        run: impl FnOnce(&mut SimWorker, Moment) -> Result<T, Refusal>,
    ) -> Handled {
        authenticate(shared, headers, self.incarnation.as_ref())?;
        let (reply, latency) = {
            let now = shared.now();
            let mut worker = shared.worker();
            let latency = Duration::from_millis(worker.script().latency_ms);
            let reply = worker.command(self.kind, self.session, now, |worker| run(worker, now));
            (reply, latency)
        };
        shared.nudge.notify_one();
        if !latency.is_zero() {
            pause(latency).await;
        }
        match reply {
            Reply::Answer(Ok(answer)) => Ok((self.success, Json(answer)).into_response()),
            Reply::Answer(Err(refusal)) => Err(refusal.into()),
            Reply::Rubbish => Ok("<html>not the protocol</html>".into_response()),
            Reply::Silence => std::future::pending().await,
        }
    }
}

/// Why a request is not answered with success.
enum Rejection {
    Refused(Refusal),
    BadRequest(String),
    Unauthorized,
    AnotherRun,
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
fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    incarnation: Option<&Incarnation>,
) -> Result<(), Rejection> {
    let worker = shared.worker();
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
    let token = worker.token();
    if shown.is_some() && shown == token {
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
