//! `PUT /workers/{id}/heartbeat` and `PUT /admin/workers/{id}/heartbeat`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::protocol::{Beat, BeatAnswer};

use super::own::{OwnWorker, same};
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::WireJson;
use crate::http::problem::ApiResult;

/// Renew a worker's lease
///
/// The lease counts from when the worker sent this. 409 `wrong_incarnation`: the run has ended; close its
/// sessions, take a new incarnation, register as empty.
#[utoipa::path(put, path = "/workers/{id}/heartbeat", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation"]))),
    request_body = Beat,
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<BeatAnswer>)))]
pub(super) async fn heartbeat(
    State(orchestrator): State<Arc<Orchestrator>>,
    State(effects): State<EffectExecutor>,
    OwnWorker(owner): OwnWorker,
    WireJson(beat): WireJson<Beat>,
) -> ApiResult<Answer<BeatAnswer>> {
    same(&owner, None, beat.incarnation.as_deref())?;
    let done = orchestrator.heartbeat(&owner, &beat).await?;
    effects.carry_out(done.effects);
    Ok(Answer::ok(done.value))
}

/// Renew a worker's lease (older path)
#[utoipa::path(put, path = "/admin/workers/{id}/heartbeat", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation"]))),
    request_body = Beat,
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<BeatAnswer>)))]
pub(super) async fn heartbeat_alias(
    orchestrator: State<Arc<Orchestrator>>,
    effects: State<EffectExecutor>,
    owner: OwnWorker,
    beat: WireJson<Beat>,
) -> ApiResult<Answer<BeatAnswer>> {
    heartbeat(orchestrator, effects, owner, beat).await
}
