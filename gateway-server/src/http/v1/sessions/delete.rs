//! `DELETE /sessions/{id}`

use axum::extract::State;
use gateway_core::id::SessionId;
use gateway_core::session::{Command, SessionRef};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::SessionCommands;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::ApiResult;
use crate::identity::Caller;

/// How far the deletion has come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedSession {
    id: SessionId,
    /// Whether the session is gone. If not, it will be as soon as its worker has let go of it.
    deleted: bool,
}

/// Delete a session
///
/// Unlinks the device and erases its credentials. 202 while a worker has to be told, 200 once it is gone.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions",
    extensions(("x-problems" = json!(["invalid_transition", "conflict"]))),
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses(
        (status = 200, body = Envelope<DeletedSession>),
        (status = 202, body = Envelope<DeletedSession>),
    ))]
pub(super) async fn delete(
    State(commands): State<SessionCommands>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<DeletedSession>> {
    let id = super::card(&*commands.store, &caller, &reference).await?.id;
    let done = commands
        .orchestrator
        .command(caller.tenant, id, Command::Delete)
        .await?;
    commands.effects.carry_out(done.effects);
    let deleted = done.value.is_none();
    let status = if deleted {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok(Answer::with_status(status, DeletedSession { id, deleted }))
}
