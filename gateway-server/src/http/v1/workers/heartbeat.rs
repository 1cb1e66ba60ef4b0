//! `PUT /workers/{id}/heartbeat` and `PUT /admin/workers/{id}/heartbeat`

use axum::extract::State;
use gateway_core::protocol::{Beat, BeatAnswer};

use super::own::{OwnWorker, same};
use crate::app::App;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::WireJson;
use crate::http::problem::ApiResult;

/// Renew a worker's lease
///
/// The lease counts from when the worker sent this. 409 `wrong_incarnation`: the run has ended; close its
/// sessions, take a new incarnation, register as empty.
#[utoipa::path(put, path = "/workers/{id}/heartbeat", tag = "workers", request_body = Beat,
    params(("id" = String, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<BeatAnswer>)))]
pub(super) async fn heartbeat(
    State(app): State<App>,
    OwnWorker(owner): OwnWorker,
    WireJson(beat): WireJson<Beat>,
) -> ApiResult<Answer<BeatAnswer>> {
    same(&owner, None, beat.incarnation.as_deref())?;
    let done = app.orchestrator.heartbeat(&owner, &beat).await?;
    app.carry_out(done.effects);
    Ok(Answer::ok(done.value))
}

/// Renew a worker's lease (older path)
#[utoipa::path(put, path = "/admin/workers/{id}/heartbeat", tag = "workers", request_body = Beat,
    params(("id" = String, Path, description = "The worker's own id")),
    responses((status = 200, body = Envelope<BeatAnswer>)))]
pub(super) async fn heartbeat_alias(
    state: State<App>,
    owner: OwnWorker,
    beat: WireJson<Beat>,
) -> ApiResult<Answer<BeatAnswer>> {
    heartbeat(state, owner, beat).await
}
