//! Commands to a worker, and its answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SessionCounts;
use crate::id::{Epoch, Incarnation, MessageId, SessionId};
use crate::message::WaMessageId;
use crate::session::{Owner, StartMode, StartOrder};
use crate::time::Timestamp;

/// How a worker starts a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StartSessionMode {
    Qr,
    PairingCode,
    Restore,
}

/// The body of `POST /sessions`: an order to start a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartSession {
    pub session_id: SessionId,
    pub epoch: Epoch,
    pub incarnation: Incarnation,
    /// Whether to link an account, and how, or to restore one.
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

/// The answer to an order to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Accepted {
    pub session_id: SessionId,
    pub epoch: Epoch,
    /// The status of the session at the worker.
    pub status: String,
}

impl Accepted {
    /// Accepts an order to start.
    #[must_use]
    pub fn of(order: &StartSession) -> Self {
        Self {
            session_id: order.session_id,
            epoch: order.epoch,
            status: "CONNECTING".to_owned(),
        }
    }
}

/// The answer to `GET /sessions/{id}`: what the WhatsApp client itself says, not its last event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SessionState {
    pub session_id: Option<SessionId>,
    pub epoch: Epoch,
    pub status: String,
    /// Why the session is in this status, as a slug.
    pub reason: Option<String>,
    /// The number of the linked account.
    pub phone_number: Option<String>,
    /// The QR text, opaque.
    pub qr_code: Option<String>,
    /// The position of this QR code among those of one attempt to link.
    pub qr_index: Option<u32>,
    pub qr_expires_at: Option<Timestamp>,
    pub pairing_code: Option<String>,
    pub pairing_expires_at: Option<Timestamp>,
    pub passkey_challenge: Option<Value>,
    pub passkey_expires_at: Option<Timestamp>,
    /// When the last message came in.
    pub last_inbound_at: Option<Timestamp>,
    /// When WhatsApp last acknowledged a send.
    pub last_ack_at: Option<Timestamp>,
    /// When WhatsApp last answered a keep-alive.
    pub last_pong_at: Option<Timestamp>,
    /// When the worker answered, by its clock: the other times are read as their distance from this.
    pub sent_at: Option<Timestamp>,
}

/// The body of `POST /sessions/{id}/messages`: an order to send a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// The gateway's id of the message: a repetition gets the first result.
    pub message_id: MessageId,
    /// The id to use at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// SHA-256 of the content, in hex: a repetition with another content is refused.
    pub body_hash: String,
    pub epoch: Epoch,
    pub incarnation: Incarnation,
    pub to: String,
    /// The type of message.
    #[serde(rename = "type")]
    pub kind: String,
    /// The fields of the type. `quoted` is the message that this one answers, and `target` the one that a reaction
    /// is about, both as [`MessageTarget`].
    #[serde(flatten)]
    pub content: Map<String, Value>,
}

/// A message that another one is about, named as WhatsApp names it. A worker that cannot tell which one that is
/// refuses the send for good (422 `unknown_message`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct MessageTarget {
    /// The gateway's id of the message, if the gateway knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// Its id at WhatsApp.
    pub wa_message_id: String,
    /// Its chat: by phone number if that is known.
    pub chat: String,
    /// The chat in the other of the two forms, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_alt: Option<String>,
    /// Who wrote it; none if this session has sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Who wrote it, in the other of the two forms, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_alt: Option<String>,
    /// Whether the account itself wrote it; none if the gateway does not know the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_me: Option<bool>,
    /// The type of the message.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its text, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The body of `POST /sessions/{id}/calls/{name}`: an order to do something else than to send a message, by
/// its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedCall {
    pub epoch: Epoch,
    pub incarnation: Incarnation,
    /// The fields of the call.
    #[serde(flatten)]
    pub arguments: Map<String, Value>,
}

/// The answer to an order to send: the message was written to the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sent {
    /// The gateway's id of the message.
    pub message_id: MessageId,
    /// The id at WhatsApp.
    pub wa_message_id: WaMessageId,
    pub status: String,
    /// When the worker accepted it, by the worker's clock.
    #[serde(default)]
    pub accepted_at: Option<Timestamp>,
}

impl Sent {
    /// Says that an order to send was obeyed.
    #[must_use]
    pub fn of(order: &SendMessage) -> Self {
        Self {
            message_id: order.message_id,
            wa_message_id: order.wa_message_id.clone(),
            status: "accepted".to_owned(),
            accepted_at: None,
        }
    }
}

/// The body of `POST /sessions/{id}/release` and `POST /sessions/{id}/logout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StopSession {
    pub epoch: Epoch,
    pub incarnation: Incarnation,
}

/// The answer to release, logout and forget: the session is stopped and tombstoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Released {
    pub session_id: SessionId,
    pub epoch: Epoch,
    /// The sequence of the last session state that was written.
    #[serde(default)]
    pub last_seq: u64,
    /// After a logout: whether WhatsApp was told that the device is unlinked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_unlinked: Option<bool>,
}

impl Released {
    /// Says that a session is stopped at this epoch, and that nothing is stored of it.
    #[must_use]
    pub const fn new(session_id: SessionId, epoch: Epoch) -> Self {
        Self {
            session_id,
            epoch,
            last_seq: 0,
            remote_unlinked: None,
        }
    }
}

/// The body of `POST /sessions/{id}/passkey` and `POST /sessions/{id}/passkey/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Passkey {
    pub epoch: Epoch,
    pub incarnation: Incarnation,
    /// The assertion, verbatim; none for a confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Value>,
}

/// The answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Health {
    /// `ok`, or what the worker says of itself.
    pub status: String,
    pub worker_id: String,
    pub incarnation: String,
    /// The protocol version it speaks.
    #[serde(default)]
    pub protocol_version: Option<u32>,
    /// Seconds since its process started.
    #[serde(default)]
    pub uptime_seconds: Option<u64>,
    #[serde(default)]
    pub sessions: SessionCounts,
}

impl Health {
    /// Says that a run of a worker is well.
    #[must_use]
    pub fn of(run: &Owner) -> Self {
        Self {
            status: "ok".to_owned(),
            worker_id: run.worker.to_string(),
            incarnation: run.incarnation.to_string(),
            protocol_version: None,
            uptime_seconds: None,
            sessions: SessionCounts::default(),
        }
    }
}

/// The body of a worker's refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerProblem {
    /// What kind of refusal it is: `unknown_session`, `stale_epoch`, `wrong_incarnation`, `not_connected`,
    /// `body_mismatch`, …
    #[serde(rename = "type", alias = "code")]
    pub kind: String,
    /// What is wrong, for people.
    #[serde(alias = "message")]
    pub error: String,
    /// With `stale_epoch`: the highest epoch that the worker knows of the session.
    pub current_epoch: Option<Epoch>,
    /// With `wrong_incarnation`: the incarnation that answers.
    pub current_incarnation: Option<Incarnation>,
}
