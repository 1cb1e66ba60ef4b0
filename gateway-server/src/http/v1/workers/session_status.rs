//! `POST /webhooks/session-status`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::protocol::SessionReport;

use super::batch::Received;
use super::own::same;
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::WireJson;
use crate::http::note_session;
use crate::http::problem::ApiResult;
use crate::identity::WorkerCaller;

/// Report a session's status
///
/// One at a time per session, with a growing `reportSeq`; an older one is answered 200 and ignored.
/// 409 `stale_epoch`: the session is not this worker's any more; stop it.
#[utoipa::path(post, path = "/webhooks/session-status", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation", "stale_epoch", "unknown_session", "conflict"]))),
    request_body = SessionReport,
    responses((status = 200, body = Envelope<Received>)))]
pub(super) async fn report(
    State(orchestrator): State<Arc<Orchestrator>>,
    State(effects): State<EffectExecutor>,
    WorkerCaller(owner): WorkerCaller,
    WireJson(report): WireJson<SessionReport>,
) -> ApiResult<Answer<Received>> {
    same(
        &owner,
        report.worker_id.as_deref(),
        report.incarnation.as_deref(),
    )?;
    note_session(report.session_id);
    let done = orchestrator.report(&owner, &report).await?;
    effects.carry_out(done.effects);
    Ok(Answer::ok(Received::all(1)))
}
