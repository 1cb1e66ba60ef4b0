//! `GET /sessions/{id}/status`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::{SessionId, SessionName};
use gateway_core::session::{Desired, SessionRef};
use gateway_core::store::PlatformStore;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::StandingView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// The status of a session and everything that explains it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionStatus {
    id: SessionId,
    name: SessionName,
    desired: Desired,
    #[serde(flatten)]
    standing: StandingView,
}

/// Read a session's status
#[utoipa::path(get, path = "/sessions/{id}/status", tag = "sessions",
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 200, body = Envelope<SessionStatus>)))]
pub(super) async fn status(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<SessionStatus>> {
    let session = super::card(&*store, &caller, &reference).await?;
    Ok(Answer::ok(SessionStatus {
        standing: StandingView::from(session.status()),
        id: session.id,
        name: session.name,
        desired: session.desired,
    }))
}
