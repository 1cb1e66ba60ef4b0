//! The catalogue: every event the gateway knows, with name, version, payload and sample.
//!
//! Names never change; payloads only gain optional fields. Adding one is adding a variant: the compiler
//! asks for the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::id::{MessageId, SessionName, WorkerId};
use crate::message::{Direction, MessageError, MessageStatus, WaMessageId};
use crate::session::{Challenge, ChallengeKind, Reason, Session, Status, StatusView};
use crate::time::Timestamp;
use crate::worker::WorkerStatus;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// A card was made.
    #[serde(rename = "session.created")]
    SessionCreated(SessionCreated),
    /// The status or its reason changed.
    #[serde(rename = "session.status")]
    SessionStatus(SessionStatus),
    /// There is a new code to scan or type.
    #[serde(rename = "session.qr")]
    SessionQr(SessionQr),
    /// The card is gone.
    #[serde(rename = "session.deleted")]
    SessionDeleted(SessionDeleted),
    /// Somebody wrote.
    #[serde(rename = "message.received")]
    MessageReceived(MessageReceived),
    /// The folded status of a message changed.
    #[serde(rename = "message.status")]
    MessageStatus(MessageStatusChanged),
    /// A worker's status changed (operators only).
    #[serde(rename = "worker.status")]
    WorkerStatus(WorkerChanged),
}

impl Event {
    /// The name of every event of the catalogue.
    pub const NAMES: [&'static str; 7] = [
        "session.created",
        "session.status",
        "session.qr",
        "session.deleted",
        "message.received",
        "message.status",
        "worker.status",
    ];

    /// The dotted name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionCreated(_) => "session.created",
            Self::SessionStatus(_) => "session.status",
            Self::SessionQr(_) => "session.qr",
            Self::SessionDeleted(_) => "session.deleted",
            Self::MessageReceived(_) => "message.received",
            Self::MessageStatus(_) => "message.status",
            Self::WorkerStatus(_) => "worker.status",
        }
    }

    /// The version of the payload.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self {
            Self::SessionCreated(_)
            | Self::SessionStatus(_)
            | Self::SessionQr(_)
            | Self::SessionDeleted(_)
            | Self::MessageReceived(_)
            | Self::MessageStatus(_)
            | Self::WorkerStatus(_) => 1,
        }
    }

    /// The payload alone, as JSON.
    #[must_use]
    pub fn data(&self) -> Value {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut fields)) => fields.remove("data").unwrap_or(Value::Null),
            Ok(_) | Err(_) => Value::Null,
        }
    }

    /// The same as text, for a store.
    #[must_use]
    pub fn payload(&self) -> Option<Box<RawValue>> {
        match self {
            Self::SessionCreated(data) => to_raw_value(data),
            Self::SessionStatus(data) => to_raw_value(data),
            Self::SessionQr(data) => to_raw_value(data),
            Self::SessionDeleted(data) => to_raw_value(data),
            Self::MessageReceived(data) => to_raw_value(data),
            Self::MessageStatus(data) => to_raw_value(data),
            Self::WorkerStatus(data) => to_raw_value(data),
        }
        .ok()
    }

    /// Reads an event back from its name and payload.
    ///
    /// # Errors
    /// The name is unknown or the payload is not of its shape.
    pub fn from_parts(name: &str, data: Value) -> Result<Self, serde_json::Error> {
        let named = [
            ("type".to_owned(), Value::from(name)),
            ("data".to_owned(), data),
        ];
        serde_json::from_value(Value::Object(named.into_iter().collect()))
    }
}

/// `session.created`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated {
    /// Its name.
    pub name: SessionName,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, Value>,
}

/// `session.status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The new status.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// Since when.
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

impl SessionStatus {
    /// The payload for a row and its projection.
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

/// `session.qr`: which code, never the code itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionQr {
    /// QR code, pairing code or passkey challenge.
    pub kind: ChallengeKind,
    /// Which of several, from 0.
    pub index: u32,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl SessionQr {
    /// The payload for a challenge.
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
#[serde(rename_all = "camelCase")]
pub struct SessionDeleted {
    /// The name it had.
    pub name: SessionName,
}

/// `message.received`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The type of message, as the worker names it.
    pub kind: String,
    /// The content, as the worker sent it.
    pub content: Value,
    /// Whether it was waiting while the session was away.
    pub offline: bool,
}

/// `message.status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStatusChanged {
    /// Which message.
    pub id: MessageId,
    /// Its id at WhatsApp.
    pub wa_message_id: Option<WaMessageId>,
    /// Out or in.
    pub direction: Direction,
    /// The folded status before; none when this is the first thing known of the message.
    pub previous: Option<MessageStatus>,
    /// The folded status now.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<MessageError>,
}

/// `worker.status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerChanged {
    /// Which worker.
    pub worker_id: WorkerId,
    /// Its status now.
    pub status: WorkerStatus,
    /// Why.
    pub reason: String,
}
