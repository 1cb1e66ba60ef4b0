//! What a script lets go wrong between a simulated worker and its gateway, in both directions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_core::id::SessionId;
use gateway_worker::http::{Carrier, HttpGateway, pause};
use gateway_worker::{Answer, GatewayError, Outbound};
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::SimProcess;
use crate::worker::faults::{Fate, SimCall};
use crate::worker::recorder::CommandKind;

/// The most bytes of a command: a message with a text of 64 KiB and what belongs to it.
const LONGEST_BODY: usize = 2 * 1024 * 1024;

/// The gateway's client, with calls that the script loses.
#[derive(Debug)]
pub(super) struct ScriptedCarrier {
    gateway: HttpGateway,
    stage: Arc<SimProcess>,
}

impl ScriptedCarrier {
    pub(super) const fn new(gateway: HttpGateway, stage: Arc<SimProcess>) -> Self {
        Self { gateway, stage }
    }
}

#[async_trait]
impl Carrier for ScriptedCarrier {
    async fn carry(&self, outbound: &Outbound) -> Result<Answer, GatewayError> {
        let loss = self.stage.worker().next_loss(self.stage.now());
        let call = SimCall {
            outbound: outbound.clone(),
            loss,
        };
        call.perform(&self.gateway).await
    }

    fn address(&self) -> &str {
        self.gateway.base_url()
    }
}

/// Lets a command go the way the script wants, and writes it down.
pub(super) async fn scripted(
    State(stage): State<Arc<SimProcess>>,
    request: Request,
    next: Next,
) -> Response {
    let (request, command) = recognise(request).await;
    let Some((kind, session)) = command else {
        return next.run(request).await;
    };
    let begun = stage.worker().command_begins(kind, stage.now());
    let Some(crash) = begun else {
        stage.changed.notify_one();
        return std::future::pending().await;
    };
    let response = next.run(request).await;
    if is_strange(response.status()) {
        return response;
    }
    let done = response.status().is_success();
    let (fate, latency) = {
        let mut worker = stage.worker();
        let latency = worker.with_script(|script| script.latency_ms);
        let fate = worker.command_ends(kind, session, done, crash, stage.now());
        (fate, Duration::from_millis(latency))
    };
    stage.changed.notify_one();
    if !latency.is_zero() {
        pause(latency).await;
    }
    match fate {
        Fate::Answered => response,
        Fate::Rubbish => "<html>not the protocol</html>".into_response(),
        Fate::Silence => std::future::pending().await,
    }
}

/// Returns whether a request with this answer was none that a worker takes: a stranger's, or nonsense.
fn is_strange(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::BAD_REQUEST
}

/// Returns which command a request is, if it is one that scripts know.
async fn recognise(request: Request) -> (Request, Option<(CommandKind, SessionId)>) {
    let path = request.uri().path();
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let kind = match (request.method(), parts.as_slice()) {
        (&Method::POST, ["sessions"]) => return start(request).await,
        (&Method::GET, ["sessions", _]) => CommandKind::Session,
        (&Method::DELETE, ["sessions", _]) => CommandKind::Forget,
        (&Method::POST, ["sessions", _, "messages"]) => CommandKind::Send,
        (&Method::POST, ["sessions", _, "release"]) => CommandKind::Release,
        (&Method::POST, ["sessions", _, "logout"]) => CommandKind::Logout,
        (&Method::POST, ["sessions", _, "passkey", ..]) => CommandKind::Passkey,
        _ => return (request, None),
    };
    let session = parts.get(1).and_then(|id| id.parse().ok());
    (request, session.map(|session| (kind, session)))
}

/// Finds the session of a start, which stands in the body.
async fn start(request: Request) -> (Request, Option<(CommandKind, SessionId)>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        session_id: SessionId,
    }
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, LONGEST_BODY).await.unwrap_or_default();
    let named: Option<Named> = serde_json::from_slice(&body).ok();
    let command = named.map(|named| (CommandKind::Start, named.session_id));
    (Request::from_parts(head, Body::from(body)), command)
}
