//! `POST /sessions/{id}/restart`

use axum::extract::State;
use gateway_core::session::{Command, SessionRef};

use super::SessionCommands;
use super::view::SessionView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::{ApiResult, Problem};
use crate::identity::Caller;

/// Restart a session
///
/// Stops it and starts it again, perhaps on another worker, from its stored credentials.
#[utoipa::path(post, path = "/sessions/{id}/restart", tag = "sessions",
    extensions(("x-problems" = json!(["invalid_transition", "conflict"]))),
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 202, body = Envelope<SessionView>)))]
pub(super) async fn restart(
    State(commands): State<SessionCommands>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<SessionView>> {
    let session = commands
        .command(&caller, &reference, Command::Restart)
        .await?;
    let session = session.ok_or_else(|| Problem::not_found("session"))?;
    Ok(Answer::accepted(SessionView::of(session, &caller)))
}
