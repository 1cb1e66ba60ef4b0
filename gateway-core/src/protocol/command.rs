//! Commands to a worker, and its answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SessionCounts;
use crate::id::{Epoch, Incarnation, MessageId, SessionId};
use crate::message::WaMessageId;
use crate::session::{StartMode, StartOrder};
use crate::time::Timestamp;

/// How to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StartSessionMode {
    /// By QR code.
    Qr,
    /// By pairing code.
    PairingCode,
    /// From stored credentials.
    Restore,
}

/// `POST /sessions`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartSession {
    /// Which session.
    pub session_id: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// To which run.
    pub incarnation: Incarnation,
    /// How.
    pub mode: StartSessionMode,
    /// For a pairing code: the phone's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// The proxy to use, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Settings of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
}

impl From<&StartOrder> for StartSession {
    fn from(start: &StartOrder) -> Self {
        let (mode, phone_number) = match &start.mode {
            StartMode::Restore => (StartSessionMode::Restore, None),
            StartMode::Qr => (StartSessionMode::Qr, None),
            StartMode::PairingCode { phone_number } => {
                (StartSessionMode::PairingCode, Some(phone_number.clone()))
            }
        };
        Self {
            session_id: start.order.session,
            epoch: start.order.epoch,
            incarnation: start.order.owner.incarnation.clone(),
            mode,
            phone_number,
            proxy: None,
            config: None,
        }
    }
}

/// The answer to a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// Which session.
    pub session_id: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// In which status it is.
    pub status: String,
}

/// `GET /sessions/{id}`: what the client itself says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SessionState {
    /// Which session.
    pub session_id: Option<SessionId>,
    /// At which epoch.
    pub epoch: Epoch,
    /// In which status.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// The linked account.
    pub phone_number: Option<String>,
    /// The QR text, opaque.
    pub qr_code: Option<String>,
    /// Which of several.
    pub qr_index: Option<u32>,
    /// Until when.
    pub qr_expires_at: Option<Timestamp>,
    /// The pairing code.
    pub pairing_code: Option<String>,
    /// Until when.
    pub pairing_expires_at: Option<Timestamp>,
    /// The passkey challenge.
    pub passkey_challenge: Option<Value>,
    /// Until when.
    pub passkey_expires_at: Option<Timestamp>,
    /// The last message that came in.
    pub last_inbound_at: Option<Timestamp>,
    /// The last acknowledgement of a send.
    pub last_ack_at: Option<Timestamp>,
    /// The last answer to a keep-alive.
    pub last_pong_at: Option<Timestamp>,
}

/// `POST /sessions/{id}/messages`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Our id: a repetition gets the first result.
    pub message_id: MessageId,
    /// The id to use at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// SHA-256 of the content, in hex: a repetition with another one is refused.
    pub body_hash: String,
    /// At which epoch.
    pub epoch: Epoch,
    /// To which run.
    pub incarnation: Incarnation,
    /// The chat, canonical.
    pub to: String,
    /// The type of R-60.
    #[serde(rename = "type")]
    pub kind: String,
    /// The fields of the type; of a reaction, `target` has the `messageId` or `waMessageId` it is about.
    #[serde(flatten)]
    pub content: Map<String, Value>,
}

/// `POST /sessions/{id}/calls/{name}`: something else than a message, by the name of what is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedCall {
    /// At which epoch.
    pub epoch: Epoch,
    /// To which run.
    pub incarnation: Incarnation,
    /// The fields of the call.
    #[serde(flatten)]
    pub arguments: Map<String, Value>,
}

/// The answer to a send: written to the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Our id.
    pub message_id: MessageId,
    /// The id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// `accepted`.
    pub status: String,
    /// When.
    #[serde(default)]
    pub accepted_at: Option<Timestamp>,
}

/// `POST /sessions/{id}/release` and `…/logout`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StopSession {
    /// At which epoch.
    pub epoch: Epoch,
    /// To which run.
    pub incarnation: Incarnation,
}

/// The answer to release, logout and forget: stopped and tombstoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// Which session.
    pub session_id: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// The sequence of the last state written.
    #[serde(default)]
    pub last_seq: u64,
    /// After a logout: whether WhatsApp was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_unlinked: Option<bool>,
}

/// `POST /sessions/{id}/passkey`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Passkey {
    /// At which epoch.
    pub epoch: Epoch,
    /// To which run.
    pub incarnation: Incarnation,
    /// The assertion, verbatim; none for a confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Value>,
}

/// `GET /health`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`, or what the worker says of itself.
    pub status: String,
    /// The slot.
    pub worker_id: String,
    /// The run.
    pub incarnation: String,
    /// The protocol version it speaks.
    #[serde(default)]
    pub protocol_version: Option<u32>,
    /// Seconds since its process started.
    #[serde(default)]
    pub uptime_seconds: Option<u64>,
    /// Sessions by state.
    #[serde(default)]
    pub sessions: SessionCounts,
}

/// The body of a worker's refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerProblem {
    /// `unknown_session`, `stale_epoch`, `wrong_incarnation`, `not_connected`, `body_mismatch`, …
    #[serde(rename = "type", alias = "code")]
    pub kind: String,
    /// For people.
    #[serde(alias = "message")]
    pub error: String,
    /// With `stale_epoch`: the highest known.
    pub current_epoch: Option<Epoch>,
    /// With `wrong_incarnation`: the present one.
    pub current_incarnation: Option<Incarnation>,
}
