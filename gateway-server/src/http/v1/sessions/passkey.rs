//! `POST /sessions/{id}/passkey` and `…/passkey/confirm`

use axum::extract::State;
use garde::Validate;
use gateway_core::orchestrator::QrError;
use gateway_core::session::SessionRef;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::SessionCommands;
use super::view::SessionView;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::extract::ApiJson;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::Caller;

/// The answer to a passkey challenge.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct PasskeyAnswer {
    /// The assertion of the authenticator, as it made it.
    #[schema(value_type = Object)]
    assertion: serde_json::Map<String, Value>,
}

/// Answer a passkey challenge
///
/// For a session whose `actionRequired` is `passkey`; the challenge is at `GET …/qr`.
#[utoipa::path(post, path = "/sessions/{id}/passkey", tag = "sessions",
    extensions(("x-problems" = json!(["invalid_transition", "not_supported", "qr_not_available", "session_unavailable", "not_connected", "message_refused", "idempotency_mismatch", "worker_error", "outcome_unknown"]))),
    request_body = PasskeyAnswer,
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 202, body = Envelope<SessionView>)))]
pub(super) async fn answer(
    State(commands): State<SessionCommands>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    ApiJson(body): ApiJson<PasskeyAnswer>,
) -> ApiResult<Answer<SessionView>> {
    hand_over(
        &commands,
        &caller,
        &reference,
        Some(Value::Object(body.assertion)),
    )
    .await
}

/// Confirm a passkey
///
/// After the phone has shown the same code.
#[utoipa::path(post, path = "/sessions/{id}/passkey/confirm", tag = "sessions",
    extensions(("x-problems" = json!(["invalid_transition", "not_supported", "qr_not_available", "session_unavailable", "not_connected", "message_refused", "idempotency_mismatch", "worker_error", "outcome_unknown"]))),
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 202, body = Envelope<SessionView>)))]
pub(super) async fn confirm(
    State(commands): State<SessionCommands>,
    caller: Caller,
    OwnSession(reference): OwnSession,
) -> ApiResult<Answer<SessionView>> {
    hand_over(&commands, &caller, &reference, None).await
}

async fn hand_over(
    commands: &SessionCommands,
    caller: &Caller,
    reference: &SessionRef,
    assertion: Option<Value>,
) -> ApiResult<Answer<SessionView>> {
    let session = super::card(&*commands.store, caller, reference).await?;
    let handed = commands
        .orchestrator
        .passkey(caller.tenant, session.id, assertion)
        .await;
    handed.map_err(|error| match error {
        QrError::NotAvailable { .. } => Problem::new(
            Kind::InvalidTransition,
            "the session asks for no passkey; see its actionRequired",
        )
        .with("status", session.status().status.name()),
        other => other.into(),
    })?;
    Ok(Answer::accepted(SessionView::of(session, caller)))
}
