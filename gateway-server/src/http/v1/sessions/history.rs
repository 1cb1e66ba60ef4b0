//! `GET /sessions/{id}/history`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::{Epoch, WorkerId};
use gateway_core::session::{Placement, Reason, SessionRef};
use gateway_core::store::PlatformStore;
use gateway_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::answer::{Answer, Listed};
use crate::http::auth::{OwnSession, session_of};
use crate::http::page::{Number, Page, PageQuery};
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// One assignment of a session to a worker.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Placement)]
pub(super) struct PlacementView {
    epoch: Epoch,
    worker_id: WorkerId,
    /// The reason for the placement.
    why: Reason,
    /// Why this worker: the score and each factor's part in it.
    explanation: Value,
    placed_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// Why the placement ended, as a slug.
    end_reason: Option<String>,
}

impl From<Placement> for PlacementView {
    fn from(placement: Placement) -> Self {
        let (ended_at, end_reason) = placement.ended.unzip();
        Self {
            epoch: placement.epoch,
            worker_id: placement.owner.worker,
            why: placement.why,
            explanation: placement.explanation,
            placed_at: placement.placed_at,
            ended_at,
            end_reason,
        }
    }
}

/// List where a session has lived
///
/// The newest assignment first, each with the reasons for it.
#[utoipa::path(get, path = "/sessions/{id}/history", tag = "sessions",
    params(("id" = SessionRef, Path, description = "Id or name"), PageQuery),
    responses((status = 200, body = Listed<PlacementView>)))]
pub(super) async fn history(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    page: Page,
) -> ApiResult<Answer<Vec<PlacementView>>> {
    let before = page.after::<Number>()?.map(|number| Epoch(number.0));
    let mut tx = store.read_platform().await?;
    let session = session_of(&caller, &mut *tx, &reference).await?;
    let placements = tx.card_placements(caller.tenant, session.id, before, page.fetch());
    let rows = placements.await?;
    Ok(Answer::page(
        rows,
        &page,
        |row| row.epoch.to_string(),
        PlacementView::from,
    ))
}
