//! The server of a worker: its routes, and the connections of the gateway.
//!
//! Own accept loop: connections belong to the server's task, so that killing the worker breaks them.

use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use gateway_core::protocol::{
    NamedCall, Passkey, Released, SendMessage, StartSession, StopSession,
};
use hyper::server::conn::http1;
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Served;
use super::command::{Command, Content, Forget, Handled, Question, authenticate};
use super::drive::pause;
use crate::engine::Engine;
use crate::refusal::{Refusal, Stopping};

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
        .route("/sessions/{id}/passkey/confirm", post(confirm::<E>))
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

async fn health<E: Engine>(State(served): State<Served<E>>, headers: HeaderMap) -> Handled {
    authenticate(&served, &headers, None)?;
    Ok(Json(served.worker.health(served.now())).into_response())
}

async fn start<E: Engine>(command: Command<E, StartSession>) -> Handled {
    let start = async |c: Command<E, _>| c.worker().start(&c.content, c.now());
    command.run(StatusCode::ACCEPTED, start).await
}

async fn session<E: Engine>(question: Command<E, Question>) -> Handled {
    let look = async |q: Command<E, _>| q.worker().session(q.session, q.clock()).await;
    question.run(StatusCode::OK, look).await
}

async fn send<E: Engine>(command: Command<E, SendMessage>) -> Handled {
    let send = async |c: Command<E, _>| c.worker().send(c.session, &c.content, c.clock()).await;
    command.run(StatusCode::ACCEPTED, send).await
}

async fn call<E: Engine>(command: Command<E, NamedCall>) -> Handled {
    let call = async |c: Command<E, NamedCall>| {
        let call = c.worker().call(c.session, &c.name, &c.content, c.now());
        call.await
    };
    command.run(StatusCode::OK, call).await
}

async fn release<E: Engine>(command: Command<E, StopSession>) -> Handled {
    let release = async |c: Command<E, _>| stop(&c, &c.content, Stopping::Release).await;
    command.run(StatusCode::OK, release).await
}

async fn logout<E: Engine>(command: Command<E, StopSession>) -> Handled {
    let logout = async |c: Command<E, _>| stop(&c, &c.content, Stopping::Logout).await;
    command.run(StatusCode::OK, logout).await
}

async fn forget<E: Engine>(command: Command<E, Forget>) -> Handled {
    let forget = async |c: Command<E, Forget>| stop(&c, &c.content.0, Stopping::Forget).await;
    command.run(StatusCode::OK, forget).await
}

async fn passkey<E: Engine>(command: Command<E, Passkey>) -> Handled {
    let assert = async |c: Command<E, _>| answer_passkey(&c, false).await;
    command.run(StatusCode::OK, assert).await
}

async fn confirm<E: Engine>(command: Command<E, Passkey>) -> Handled {
    let confirm = async |c: Command<E, _>| answer_passkey(&c, true).await;
    command.run(StatusCode::OK, confirm).await
}

async fn stop<E: Engine, C: Content>(
    command: &Command<E, C>,
    order: &StopSession,
    how: Stopping,
) -> Result<Released, Refusal> {
    let StopSession { epoch, incarnation } = order;
    let worker = command.worker();
    let stopped = worker.finish(command.session, *epoch, incarnation, how, command.clock());
    stopped.await
}

async fn answer_passkey<E: Engine>(
    command: &Command<E, Passkey>,
    confirm: bool,
) -> Result<(), Refusal> {
    let worker = command.worker();
    let answered = worker.passkey(command.session, &command.content, confirm, command.now());
    answered.await
}
