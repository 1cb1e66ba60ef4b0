//! `POST /workers/{id}/exit`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::protocol::ProcessExit;

use super::goodbye::Farewell;
use super::own::{OwnWorker, same};
use crate::effects::EffectExecutor;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::WireJson;
use crate::http::problem::ApiResult;

/// Report the end of a worker's process
///
/// For the process that has started the worker and has waited for its end (`waitpid`), with the token of that run. Its
/// sessions are placed elsewhere at once, where silence would take the whole lease. A refused connection is no such
/// knowledge.
#[utoipa::path(post, path = "/workers/{id}/exit", tag = "workers",
    extensions(("x-problems" = json!(["wrong_incarnation"]))),
    request_body = ProcessExit,
    params(("id" = WorkerId, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<Farewell>)))]
pub(super) async fn exit(
    State(orchestrator): State<Arc<Orchestrator>>,
    State(effects): State<EffectExecutor>,
    OwnWorker(owner): OwnWorker,
    WireJson(exit): WireJson<ProcessExit>,
) -> ApiResult<Answer<Farewell>> {
    same(&owner, None, exit.incarnation.as_deref())?;
    tracing::warn!(
        worker.id = %owner.worker,
        cause = exit.cause.as_deref().map(short),
        "a supervisor says that the process of a worker has ended"
    );
    let done = orchestrator.exited(&owner).await?;
    effects.carry_out(done.effects);
    Ok(Answer::ok(Farewell::of(owner)))
}

/// Returns the beginning of a text, as much as a line of the log takes.
fn short(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(200)
        .map_or(text.len(), |(end, _)| end);
    &text[..end]
}
