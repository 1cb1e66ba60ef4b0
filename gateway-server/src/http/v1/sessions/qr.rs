//! `GET /sessions/{id}/qr`

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway_core::coord::PairingSecret;
use gateway_core::event::ChallengeText;
use gateway_core::orchestrator::{Orchestrator, QrError};
use gateway_core::session::{ChallengeKind, Observed, Phase, Session, SessionRef};
use gateway_core::store::PlatformStore;
use gateway_core::time::Timestamp;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::render::{self, Form};
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::Caller;

/// The code that a person has to scan, type or sign, and until when it is valid.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PairingCode)]
pub(super) struct CodeView {
    #[serde(flatten)]
    text: ChallengeText,
    expires_at: Timestamp,
    /// The number of the code among those of one linking, from 0.
    index: u32,
}

impl From<PairingSecret> for CodeView {
    fn from(secret: PairingSecret) -> Self {
        Self {
            expires_at: secret.expires_at,
            index: secret.index,
            text: secret.into(),
        }
    }
}

/// Read the code that links a session
///
/// As JSON, PNG, SVG, or as text for a terminal, by `Accept`. A session that is linked by pairing code or
/// asks for a passkey shows that instead, as JSON. 404 `qr_not_available` while there is none, with
/// `Retry-After` where one is on its way.
#[utoipa::path(get, path = "/sessions/{id}/qr", tag = "sessions",
    extensions(("x-problems" = json!(["not_acceptable", "qr_not_available", "session_unavailable", "worker_error"]))),
    params(("id" = SessionRef, Path, description = "Id or name")),
    responses((status = 200, content(
        (Envelope<CodeView> = "application/json"),
        (Vec<u8> = "image/png"),
        (String = "image/svg+xml"),
        (String = "text/plain"),
    ))))]
pub(super) async fn qr(
    State(store): State<Arc<dyn PlatformStore>>,
    State(orchestrator): State<Arc<Orchestrator>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let form = Form::accepted(&headers)
        .ok_or_else(|| Problem::new(Kind::NotAcceptable, render::OFFERS))?;
    let session = super::card(&*store, &caller, &reference).await?;
    let kind = asked(&session);
    if kind != ChallengeKind::Qr && form != Form::Json {
        let text = "this session is not linked by QR code; read its code as application/json";
        return Err(Problem::new(Kind::QrNotAvailable, text));
    }
    let secret = orchestrator
        .pairing_secret(caller.tenant, session.id, kind)
        .await?;
    let mut response = match form {
        Form::Json => Answer::ok(CodeView::from(secret)).into_response(),
        Form::Png | Form::Svg | Form::Text => render::draw(form, &secret.text)?,
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Returns the code that a session shows now, if it waits for a person.
pub(super) async fn present(
    orchestrator: &Orchestrator,
    session: &Session,
) -> ApiResult<Option<CodeView>> {
    if !matches!(
        &session.phase,
        Phase::Active {
            observed: Observed::QrRequired { .. },
            ..
        }
    ) {
        return Ok(None);
    }
    let secret = orchestrator
        .pairing_secret(session.tenant, session.id, asked(session))
        .await;
    match secret {
        Ok(secret) => Ok(Some(secret.into())),
        Err(QrError::NotAvailable { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn asked(session: &Session) -> ChallengeKind {
    match &session.phase {
        Phase::Active {
            observed: Observed::QrRequired { challenge },
            ..
        } => challenge.kind,
        _ => ChallengeKind::Qr,
    }
}
