//! `GET /sessions/{id}`

use axum::extract::State;

use super::view::SessionView;
use crate::app::App;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// Read a session
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, body = Envelope<SessionView>)))]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<SessionView>> {
    let session = super::card(&app, &caller, &reference).await?;
    Ok(Answer::ok(SessionView::of(session, &caller)))
}
