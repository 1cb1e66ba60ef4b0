//! `PATCH /admin/workers/{id}`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::{self, Orchestrator, check_labels};
use serde::Deserialize;
use utoipa::ToSchema;

use super::named;
use super::view::WorkerView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::problem::{ApiResult, Problem};

/// What to change of a worker; what is absent stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateWorker {
    /// The operator's labels, all of them; they stand over those that the worker reports.
    #[serde(default)]
    #[garde(skip)]
    labels: Option<BTreeMap<String, String>>,
    /// The most sessions it may hold; lowering it moves nobody.
    #[serde(default)]
    #[garde(range(min = 1, max = 1000))]
    max_sessions: Option<u32>,
    /// Whether nothing new is placed on it.
    #[serde(default)]
    #[garde(skip)]
    cordoned: Option<bool>,
}

/// Change a worker's labels, limit or cordon
#[utoipa::path(patch, path = "/admin/workers/{id}", tag = "admin",
    extensions(("x-problems" = json!(["conflict"]))),
    request_body = UpdateWorker,
    params(("id" = WorkerId, Path, description = "The worker's id")),
    responses((status = 200, body = Envelope<WorkerView>)))]
pub(super) async fn update(
    State(orchestrator): State<Arc<Orchestrator>>,
    Acting(actor): Acting,
    ApiPath(id): ApiPath<String>,
    ApiJson(body): ApiJson<UpdateWorker>,
) -> ApiResult<Answer<WorkerView>> {
    if let Some(pairs) = &body.labels {
        check_labels(pairs).map_err(|error| Problem::field("labels", error))?;
    }
    let update = orchestrator::UpdateWorker {
        labels: body.labels,
        max_sessions: body.max_sessions,
        cordoned: body.cordoned,
    };
    let worker = orchestrator
        .update_worker(&actor, &named(&id)?, &update)
        .await?;
    Ok(Answer::ok(worker.into()))
}
