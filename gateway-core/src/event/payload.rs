//! What each event tells: one type per line of the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{MessageId, SessionName, WorkerId};
use crate::message::{Direction, MessageError, MessageStatus, WaMessageId};
use crate::session::{Challenge, ChallengeKind, Reason, Session, Status, StatusView};
use crate::time::Timestamp;
use crate::worker::WorkerStatus;

/// `session.created`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated {
    /// Its name.
    pub name: SessionName,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, Value>,
}

/// `session.status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionStatusChanged {
    /// The new status.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// Since when status and reason are what they are.
    pub since: Timestamp,
    /// When it ends by force.
    pub deadline: Option<Timestamp>,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// What a person has to do.
    pub action_required: Option<String>,
    /// The linked account.
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

/// `session.qr`: that there is a code and which, never the code itself.
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
    /// Which of several, from 0.
    pub index: u32,
    /// Until when it can be used.
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

/// `session.deleted`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionDeleted {
    /// The name it had.
    pub name: SessionName,
}

/// `message.received`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageReceived {
    /// Its id here.
    pub id: MessageId,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// The chat, canonical.
    pub chat_id: String,
    /// Who wrote it.
    pub from: Option<String>,
    /// `text`, `image`, …, as the worker names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The content, as the worker sent it.
    pub content: Value,
    /// Whether it was waiting while the session was away.
    pub offline: bool,
}

/// `message.status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageStatusChanged {
    /// Which message.
    pub id: MessageId,
    /// Its id at WhatsApp.
    pub wa_message_id: Option<WaMessageId>,
    /// Out or in.
    pub direction: Direction,
    /// The status before; none when this is the first thing known of the message.
    pub previous: Option<MessageStatus>,
    /// The status now.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<MessageError>,
}

/// `worker.status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerChanged {
    /// Which worker.
    pub worker_id: WorkerId,
    /// Its status now.
    pub status: WorkerStatus,
    /// Why.
    pub reason: String,
}
