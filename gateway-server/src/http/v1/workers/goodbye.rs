//! `DELETE /workers/{id}`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::session::Owner;
use serde::Serialize;
use utoipa::ToSchema;

use super::own::OwnWorker;
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::problem::ApiResult;

/// The run of a worker that has ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Farewell {
    worker_id: WorkerId,
}

impl Farewell {
    pub(super) fn of(owner: Owner) -> Self {
        Self {
            worker_id: owner.worker,
        }
    }
}

/// Say goodbye
///
/// The worker has closed and tombstoned everything it held; its sessions are placed elsewhere at once.
#[utoipa::path(delete, path = "/workers/{id}", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation"]))),
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<Farewell>)))]
pub(super) async fn goodbye(
    State(orchestrator): State<Arc<Orchestrator>>,
    State(effects): State<EffectExecutor>,
    OwnWorker(owner): OwnWorker,
) -> ApiResult<Answer<Farewell>> {
    let done = orchestrator.goodbye(&owner).await?;
    effects.carry_out(done.effects);
    Ok(Answer::ok(Farewell::of(owner)))
}
