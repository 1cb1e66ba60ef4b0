//! `GET /admin/workers/{id}`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::store::PlatformStore;
use gateway_core::worker::{WorkerStatus, WorkerView as Row};

use super::named;
use super::view::WorkerView;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::ApiPath;
use crate::http::problem::{ApiResult, Problem};

/// Read a worker
#[utoipa::path(get, path = "/admin/workers/{id}", tag = "admin",
    params(("id" = WorkerId, Path, description = "The worker's id")),
    responses((status = 200, body = Envelope<WorkerView>)))]
pub(super) async fn get(
    State(store): State<Arc<dyn PlatformStore>>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Answer<WorkerView>> {
    let mut tx = store.read_platform().await?;
    let worker = tx.worker(&named(&id)?).await?;
    let worker = worker.filter(|worker| worker.status != WorkerStatus::Removed);
    let worker = worker.ok_or_else(|| Problem::not_found("worker"))?;
    let lease = match worker.owner() {
        Some(owner) => tx.lease(&owner).await?,
        None => None,
    };
    Ok(Answer::ok(Row { worker, lease }.into()))
}
