//! Messages: what goes out and comes in, and what is known of it.

mod chat_id;
mod deadline;
mod fold;
mod glyph;
mod ids;
mod intake;
mod kind;
mod log;
mod person;
mod repo;
mod send;
mod status;
mod target;

use serde::{Deserialize, Serialize};

pub use chat_id::{ChatId, ChatKind, InvalidChatId};
pub use deadline::{AckDeadline, AckDeadlineRepo, AckError, AckStep};
pub use fold::{Fold, fold};
pub use ids::{MessageIds, WaMessageId};
pub use intake::{Intake, IntakeError, Taken};
pub use kind::{Contact, Content, InvalidContent, MAX_TEXT_CHARS, Media, body_hash};
pub use log::{
    Fact, Inbound, LogError, LogFull, LogPlace, MessageLog, Outgoing, OwnMessage, Recorded,
    StatusFact,
};
pub use person::{MAX_PERSON_IDS, PersonIds, PersonPair};
pub use repo::{MessageCursor, MessageFilter, MessageRepo};
pub use send::{SendError, SendLimits, SendOutcome, SendRequest, Sender};
pub use status::MessageStatus;

use crate::id::{Epoch, MessageId, SessionId, TenantId};
use crate::time::Timestamp;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Outbound,
    Inbound,
}

impl Direction {
    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }

    /// Returns the direction of that name, as [`Direction::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Outbound, Self::Inbound]
            .into_iter()
            .find(|direction| direction.name() == name)
    }
}

/// Where an outbound message was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MessageSource {
    /// It was sent through the gateway.
    Api,
    /// The owner of the account wrote it on the phone or on another linked device (R-60a).
    Phone,
}

impl MessageSource {
    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Phone => "phone",
        }
    }
}

/// Why a message failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageError {
    /// A slug, for programs.
    pub code: String,
    /// The worker's words, for people.
    pub message: Option<String>,
}

/// When a message first reached each status: when it happened, as far as that is known, and never later than it was
/// recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Timeline {
    /// `sending`: the worker accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending: Option<Timestamp>,
    /// `sent`: WhatsApp acknowledged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
    /// `delivered`: it reached a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub played: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Timestamp>,
}

/// The row of a message. A *stub* is a row that was made by a status report before anything else was known.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id, fixed before the first attempt to send it.
    pub id: MessageId,
    pub tenant: TenantId,
    pub session: SessionId,
    pub direction: Direction,
    /// Where it was written, if it is outbound.
    pub source: Option<MessageSource>,
    /// `text`, `image`, …; none for a stub.
    pub kind: Option<String>,
    /// The chat in canonical form; none for a stub.
    pub chat_id: Option<String>,
    /// Who wrote it, if it is inbound or was written on the phone.
    pub sender: Option<String>,
    /// The other id of the person on the other side (see [`Message::person`]), if it is known. Not stored with the
    /// message: stores fill it in when they read a message back.
    pub alias: Option<String>,
    /// Its id at WhatsApp.
    pub wa_message_id: Option<WaMessageId>,
    pub status: MessageStatus,
    pub error: Option<MessageError>,
    /// The HTTP status of the worker's answer, if it refused the message for good.
    pub refused_status: Option<u16>,
    /// The content as JSON; none for a stub.
    pub content: Option<serde_json::Value>,
    /// SHA-256 of the request's canonical body; none for a stub and for inbound.
    pub body_hash: Option<[u8; 32]>,
    /// The epoch of the session at which it was sent or received.
    pub epoch: Epoch,
    /// When it was written, if that is known and was before the row.
    pub occurred_at: Option<Timestamp>,
    /// When the row was first written.
    pub created_at: Timestamp,
    /// When each status was first known.
    pub timeline: Timeline,
}

impl Message {
    /// Returns whether nothing but a status report is known of the message.
    #[must_use]
    pub const fn is_stub(&self) -> bool {
        self.kind.is_none()
    }

    /// Returns when the message was written, as far as that is known: its place in every list.
    #[must_use]
    pub fn written_at(&self) -> Timestamp {
        self.occurred_at.unwrap_or(self.created_at)
    }

    /// Returns the id of whoever is on the other side: who wrote it, if it is inbound, and otherwise the chat.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        match self.direction {
            Direction::Inbound => self.sender.as_deref(),
            Direction::Outbound => self.chat_id.as_deref(),
        }
    }

    /// Returns the ids of the person on the other side, as far as they are known.
    #[must_use]
    pub fn person_ids(&self) -> PersonIds {
        let ids = [self.person(), self.alias.as_deref()];
        PersonIds::of(ids.into_iter().flatten())
    }
}
