//! `GET /workers/{id}/sessions/assigned`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::protocol::AssignedSession;

use super::own::OwnWorker;
use crate::http::answer::{Answer, Envelope};
use crate::http::problem::ApiResult;

/// List what a worker should hold
#[utoipa::path(get, path = "/workers/{id}/sessions/assigned", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation"]))),
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<Vec<AssignedSession>>)))]
pub(super) async fn assigned(
    State(orchestrator): State<Arc<Orchestrator>>,
    OwnWorker(owner): OwnWorker,
) -> ApiResult<Answer<Vec<AssignedSession>>> {
    Ok(Answer::ok(orchestrator.assigned(&owner).await?))
}
