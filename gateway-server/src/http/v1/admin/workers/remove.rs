//! `DELETE /admin/workers/{id}`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use serde::Serialize;
use utoipa::ToSchema;

use super::named;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::ApiPath;
use crate::http::problem::ApiResult;

/// A worker that was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RemovedWorker {
    id: WorkerId,
}

/// Remove an empty worker
///
/// Its token ends, and its id is refused until it is added again. 409 while it holds sessions.
#[utoipa::path(delete, path = "/admin/workers/{id}", tag = "admin",
    extensions(("x-problems" = json!(["conflict", "invalid_transition"]))),
    params(("id" = WorkerId, Path, description = "The worker's id")),
    responses((status = 200, body = Envelope<RemovedWorker>)))]
pub(super) async fn remove(
    State(orchestrator): State<Arc<Orchestrator>>,
    Acting(actor): Acting,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Answer<RemovedWorker>> {
    let id = named(&id)?;
    orchestrator.remove_worker(&actor, &id).await?;
    Ok(Answer::ok(RemovedWorker { id }))
}
