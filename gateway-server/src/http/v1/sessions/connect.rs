//! `POST /sessions/{id}/connect`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use gateway_core::coord::Coordinator;
use gateway_core::message::{ChatId, ChatKind};
use gateway_core::session::{Command, Pairing, Phase, Reason, Session, SessionRef, Status};
use gateway_core::time::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::SessionCommands;
use super::qr::{self, CodeView};
use super::view::SessionView;
use super::watch::Watch;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::OwnSession;
use crate::http::extract::{ApiQuery, OptionalJson};
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::Caller;

/// How to link the account if it is not linked yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = PairingMode)]
enum LinkMode {
    /// By scanning a QR code.
    #[default]
    Qr,
    /// By typing a code on the phone.
    PairingCode,
}

/// The options of a connection: how to link the account if it is not linked yet.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct ConnectSession {
    #[serde(default)]
    mode: LinkMode,
    /// With `PAIRING_CODE`: the phone's number, with country code.
    #[serde(default)]
    phone_number: Option<String>,
}

/// How long the request waits for a result.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Seconds to wait for a code or the connection: 1 to 30.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 30)]
    wait: Option<String>,
}

/// The session, and the code if there is one by now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectedSession {
    #[serde(flatten)]
    session: SessionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<CodeView>,
}

/// Connect a session
///
/// 200 if it is connected, else 202: it will be, on whatever worker has room. With `wait`, the answer
/// comes when there is a code to scan or the connection stands, and says 503 `no_capacity` if no worker
/// had room meanwhile; the wish is kept in any case.
#[utoipa::path(post, path = "/sessions/{id}/connect", tag = "sessions",
    extensions(("x-problems" = json!(["invalid_transition", "conflict", "no_capacity"]))),
    request_body(content = Option<ConnectSession>),
    params(("id" = SessionRef, Path, description = "Id or name"), Wait),
    responses(
        (status = 200, body = Envelope<ConnectedSession>),
        (status = 202, body = Envelope<ConnectedSession>),
    ))]
pub(super) async fn connect(
    State(commands): State<SessionCommands>,
    State(coord): State<Arc<dyn Coordinator>>,
    caller: Caller,
    OwnSession(reference): OwnSession,
    ApiQuery(wait): ApiQuery<Wait>,
    OptionalJson(body): OptionalJson<ConnectSession>,
) -> ApiResult<Answer<ConnectedSession>> {
    let (wait, pairing) = (wait.limit()?, body.pairing()?);
    let before = super::card(&*commands.store, &caller, &reference).await?;
    let watch = match wait {
        Some(limit) => Some((
            Watch::begin(&*commands.store, &*coord, &before).await?,
            limit,
        )),
        None => None,
    };
    let priority = caller.tier.priority;
    let command = Command::Connect { pairing, priority };
    let session = commands.command(&caller, &reference, command).await?;
    let mut session = session.ok_or_else(|| Problem::not_found("session"))?;
    let mut code = None;
    if let Some((watch, limit)) = watch {
        let (seen, now) = watch.settled(limit).await?;
        refuse_without_room(&seen, now)?;
        code = qr::present(&commands.orchestrator, &seen).await?;
        session = seen;
    }
    Ok(answer(&caller, session, code))
}

fn answer(caller: &Caller, session: Session, qr: Option<CodeView>) -> Answer<ConnectedSession> {
    let status = match session.status().status {
        Status::Connected => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    let session = SessionView::of(session, caller);
    Answer::with_status(status, ConnectedSession { session, qr })
}

fn refuse_without_room(session: &Session, now: Timestamp) -> ApiResult<()> {
    let waits = matches!(session.phase, Phase::Waiting);
    if !waits || session.reason != Some(Reason::NoCapacity) {
        return Ok(());
    }
    let wait = session.retry_at.map_or(Duration::ZERO, |at| at.since(now));
    let text = "no worker has room at the moment; the session is connected as soon as one has";
    Err(Problem::new(Kind::NoCapacity, text).retry_after(wait))
}

impl Wait {
    fn limit(&self) -> ApiResult<Option<Duration>> {
        let Some(text) = &self.wait else {
            return Ok(None);
        };
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds| (1..=30).contains(seconds));
        let seconds = seconds.ok_or_else(|| Problem::field("wait", "must be 1 to 30 seconds"))?;
        Ok(Some(Duration::from_secs(seconds)))
    }
}

impl ConnectSession {
    fn pairing(&self) -> ApiResult<Pairing> {
        match (self.mode, &self.phone_number) {
            (LinkMode::Qr, None) => Ok(Pairing::Qr),
            (LinkMode::Qr, Some(_)) => {
                let text = "is only for mode PAIRING_CODE; leave it out or set that mode";
                Err(Problem::field("phoneNumber", text))
            }
            (LinkMode::PairingCode, None) => Err(Problem::field("phoneNumber", "is required")),
            (LinkMode::PairingCode, Some(number)) => digits(number),
        }
    }
}

fn digits(number: &str) -> ApiResult<Pairing> {
    let text = "must be a phone number with country code, such as +491701234567";
    let chat: Option<ChatId> = number.parse().ok();
    let phone = chat.filter(|chat| chat.kind() == ChatKind::Phone && !number.contains('@'));
    let phone = phone.ok_or_else(|| Problem::field("phoneNumber", text))?;
    let digits = phone.as_str().split('@').next().unwrap_or_default();
    Ok(Pairing::PairingCode {
        phone_number: digits.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(mode: LinkMode, number: Option<&str>) -> ApiResult<Pairing> {
        let phone_number = number.map(str::to_owned);
        ConnectSession { mode, phone_number }.pairing()
    }

    #[test]
    fn a_pairing_code_needs_a_phone_number() {
        let found = pairing(LinkMode::PairingCode, Some("+49 170 1234567")).expect("a pairing");
        let phone_number = "491701234567".to_owned();
        assert_eq!(found, Pairing::PairingCode { phone_number });
        for bad in [
            None,
            Some(""),
            Some("x"),
            Some("1@g.us"),
            Some("491701234567@c.us"),
        ] {
            assert!(pairing(LinkMode::PairingCode, bad).is_err(), "{bad:?}");
        }
        assert!(pairing(LinkMode::Qr, Some("+491701234567")).is_err());
    }

    #[test]
    fn waiting_has_bounds() {
        let limit = |text: &str| {
            Wait {
                wait: Some(text.to_owned()),
            }
            .limit()
        };
        assert_eq!(limit("30").expect("fits"), Some(Duration::from_secs(30)));
        for bad in ["0", "31", "-1", "1.5", "", "x", "99999999999999999999"] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }
}
