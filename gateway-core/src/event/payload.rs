//! What each event tells: one type per line of the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{MessageId, SessionName, WorkerId};
use crate::message::{Direction, MessageError, MessageSource, MessageStatus, WaMessageId};
use crate::session::{Challenge, ChallengeKind, Reason, Session, Status, StatusView};
use crate::time::Timestamp;
use crate::worker::WorkerStatus;

/// The payload of `session.created`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated {
    pub name: SessionName,
    /// The tenant's own key-value pairs.
    pub metadata: BTreeMap<String, Value>,
}

/// The payload of `session.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionStatusChanged {
    pub status: Status,
    /// Why the session is in this status.
    pub reason: Option<Reason>,
    /// Since when status and reason are what they are.
    pub since: Timestamp,
    /// When the status ends by force.
    pub deadline: Option<Timestamp>,
    /// When the gateway or the worker tries again.
    pub retry_at: Option<Timestamp>,
    /// What a person has to do, as a slug.
    pub action_required: Option<String>,
    /// The number of the linked account.
    pub phone_number: Option<String>,
}

impl SessionStatusChanged {
    /// Returns the payload for a row and its projection.
    #[must_use]
    pub fn new(session: &Session, view: StatusView) -> Self {
        Self {
            status: view.status,
            reason: view.reason,
            since: view.since,
            deadline: view.deadline,
            retry_at: view.retry_at,
            action_required: view.action_required,
            phone_number: session.phone_number.clone(),
        }
    }
}

/// The payload of `session.qr`: that there is a code, and which, but never the code itself.
///
/// Readers find its text beside these fields while it can be used: see
/// [`ChallengeText`](super::ChallengeText).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionQr {
    /// QR code, pairing code or passkey challenge.
    #[serde(rename = "type")]
    pub kind: ChallengeKind,
    /// The position of this code among those of one attempt to link, from 0.
    pub index: u32,
    /// Until when the code can be used.
    pub expires_at: Timestamp,
}

impl SessionQr {
    /// Returns the payload for a challenge.
    #[must_use]
    pub const fn new(challenge: &Challenge) -> Self {
        Self {
            kind: challenge.kind,
            index: challenge.index,
            expires_at: challenge.expires_at,
        }
    }
}

/// The payload of `session.deleted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionDeleted {
    /// The name that the session had.
    pub name: SessionName,
}

/// The payload of `message.received`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageReceived {
    /// The gateway's id of the message.
    pub id: MessageId,
    /// The id of the message at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// The chat, in canonical form.
    pub chat_id: String,
    pub from: Option<String>,
    /// The phone number of who wrote it, if it is known: digits with country code.
    pub phone: Option<String>,
    /// The LID of who wrote it, if it is known.
    pub lid: Option<String>,
    /// `text`, `image`, …, as the worker names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The content, as the worker sent it.
    pub content: Value,
    /// Whether the message was waiting at WhatsApp while the session was not connected.
    pub offline: bool,
    /// When it was written, if that is known.
    pub occurred_at: Option<Timestamp>,
}

/// The payload of `message.sent`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageSent {
    /// The gateway's id of the message.
    pub id: MessageId,
    /// The id of the message at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// The chat, in canonical form.
    pub chat_id: String,
    /// The account that wrote it.
    pub from: Option<String>,
    /// The phone number of the person that it is for, if it is known: digits with country code.
    pub phone: Option<String>,
    /// The LID of the person that it is for, if it is known.
    pub lid: Option<String>,
    /// Where it was written.
    pub source: MessageSource,
    /// `text`, `image`, …, as the worker names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The content, as the worker sent it.
    pub content: Value,
    /// Whether the message was waiting at WhatsApp while the session was not connected.
    pub offline: bool,
    /// When it was written, if that is known.
    pub occurred_at: Option<Timestamp>,
}

/// The payload of `message.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageStatusChanged {
    /// The gateway's id of the message.
    pub id: MessageId,
    /// The id of the message at WhatsApp.
    pub wa_message_id: Option<WaMessageId>,
    /// Whether the tenant or the other side wrote it.
    pub direction: Direction,
    /// Where it was written, if it is outbound.
    pub source: Option<MessageSource>,
    /// The chat, in canonical form; none while only a status is known of the message.
    pub chat_id: Option<String>,
    /// The phone number of the person that it is for, if it is known: digits with country code.
    pub phone: Option<String>,
    /// The LID of the person that it is for, if it is known.
    pub lid: Option<String>,
    /// The status before; none when this is the first thing known of the message.
    pub previous: Option<MessageStatus>,
    pub status: MessageStatus,
    pub error: Option<MessageError>,
    /// When it happened, if that was before the event.
    pub occurred_at: Option<Timestamp>,
}

/// The payload of `worker.status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerChanged {
    pub worker_id: WorkerId,
    pub status: WorkerStatus,
    /// Why the status has changed, as a slug.
    pub reason: String,
}
