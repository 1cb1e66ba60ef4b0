//! `POST /sessions/{id}/disconnect`

use axum::extract::State;
use gateway_core::session::{Command, SessionRef};

use super::SessionCommands;
use super::view::SessionView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// Disconnect a session
///
/// Credentials are kept: connecting it again needs no scan. 202 while its worker has to be told.
#[utoipa::path(post, path = "/sessions/{id}/disconnect", tag = "sessions",
    extensions(("x-problems" = json!(["invalid_transition", "conflict"]))),
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses(
        (status = 200, body = Envelope<SessionView>),
        (status = 202, body = Envelope<SessionView>),
    ))]
pub(super) async fn disconnect(
    State(commands): State<SessionCommands>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<SessionView>> {
    let session = commands
        .command(&caller, &reference, Command::Disconnect)
        .await?;
    super::as_it_stands(&caller, session)
}
