//! `POST /workers/{id}/sessions/recovery-status`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::protocol::RecoveryReport;

use super::batch::{self, Received};
use super::own::OwnWorker;
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::WireJson;
use crate::http::problem::ApiResult;

/// Report what became of sessions after a restart
///
/// Results of sessions that the worker does not hold are ignored.
#[utoipa::path(post, path = "/workers/{id}/sessions/recovery-status", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation", "stale_epoch", "unknown_session"]))),
    request_body = RecoveryReport,
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<Received>)))]
pub(super) async fn recovery_status(
    State(orchestrator): State<Arc<Orchestrator>>,
    State(effects): State<EffectExecutor>,
    OwnWorker(owner): OwnWorker,
    WireJson(report): WireJson<RecoveryReport>,
) -> ApiResult<Answer<Received>> {
    batch::check_size("results", report.results.len())?;
    let done = orchestrator
        .recovery_status(&owner, &report.results)
        .await?;
    effects.carry_out(done.effects);
    Ok(Answer::ok(Received::all(report.results.len())))
}
