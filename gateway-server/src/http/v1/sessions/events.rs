//! `GET /sessions/{id}/events`

use axum::extract::State;
use gateway_core::event::{Event, EventEnvelope};
use gateway_core::session::SessionRef;

use crate::http::answer::{Answer, Listed};
use crate::http::auth::OwnSession;
use crate::http::extract::ApiQuery;
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::http::v1::events::{After, read};
use crate::identity::Caller;

/// List a session's events
#[utoipa::path(get, path = "/sessions/{id}/events", tag = "events",
    params(("id" = SessionRef, Path, description = "Id or name"), After),
    responses((status = 200, body = Listed<Event>)))]
pub(super) async fn events(
    State(parts): State<ServerParts>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    ApiQuery(after): ApiQuery<After>,
) -> ApiResult<Answer<Vec<EventEnvelope>>> {
    let session = super::card(&*parts.store, &caller, &reference).await?;
    read(&parts, &caller, Some(session.id), &after).await
}
