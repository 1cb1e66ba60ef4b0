//! `GET /sessions/{id}`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::session::SessionRef;
use gateway_core::store::PlatformStore;

use super::view::SessionView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// Read a session
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions",
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 200, body = Envelope<SessionView>)))]
pub(super) async fn get(
    State(store): State<Arc<dyn PlatformStore>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<SessionView>> {
    let session = super::card(&*store, &caller, &reference).await?;
    Ok(Answer::ok(SessionView::of(session, &caller)))
}
