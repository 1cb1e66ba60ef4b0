//! `POST /workers/register` and `POST /admin/workers/register`

use std::sync::Arc;

use axum::extract::{FromRef, State};
use gateway_core::identity::WorkerTokens;
use gateway_core::orchestrator::{Orchestrator, Registration};
use gateway_core::protocol::{Register, Registered};

use crate::config::Workers;
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::RequestOrigin;
use crate::http::extract::WireJson;
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::identity::Joiner;

/// The parts that a registration needs.
#[derive(Clone, Debug)]
pub(super) struct Registrar {
    options: Arc<Workers>,
    orchestrator: Arc<Orchestrator>,
    effects: EffectExecutor,
    tokens: WorkerTokens,
}

impl FromRef<ServerParts> for Registrar {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            options: Arc::clone(&parts.workers),
            orchestrator: Arc::clone(&parts.orchestrator),
            effects: parts.effects.clone(),
            tokens: parts.worker_tokens.clone(),
        }
    }
}

/// Register a worker
///
/// With the fleet's bootstrap token, or the one-time token of a reserved id. The answer has the token for
/// everything else.
#[utoipa::path(post, path = "/workers/register", tag = "workers",
    extensions(("x-problems" = json!(["worker_id_in_use", "wrong_incarnation", "conflict"]))),
    request_body = Register,
    responses((status = 200, body = Envelope<Registered>)))]
pub(super) async fn register(
    State(registrar): State<Registrar>,
    RequestOrigin(origin): RequestOrigin,
    Joiner(join): Joiner,
    WireJson(body): WireJson<Register>,
) -> ApiResult<Answer<Registered>> {
    let registration = Registration::of(body, &registrar.options.allowed_endpoints)?;
    let orchestrator = &registrar.orchestrator;
    let done = orchestrator.register(&origin, join, &registration).await?;
    registrar.effects.carry_out(done.effects);
    Ok(Answer::ok(done.value.answer(&registrar.tokens)))
}

/// Register a worker (older path)
#[utoipa::path(post, path = "/admin/workers/register", tag = "workers",
    extensions(("x-problems" = json!(["worker_id_in_use", "wrong_incarnation", "conflict"]))),
    request_body = Register,
    responses((status = 200, body = Envelope<Registered>)))]
pub(super) async fn register_alias(
    registrar: State<Registrar>,
    origin: RequestOrigin,
    joiner: Joiner,
    body: WireJson<Register>,
) -> ApiResult<Answer<Registered>> {
    register(registrar, origin, joiner, body).await
}
