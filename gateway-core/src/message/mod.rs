//! Messages: what goes out and comes in, and what is known of it (section 7 of the specification).

mod chat_id;
mod fold;
mod ids;
mod intake;
mod kind;
mod log;
mod repo;
mod send;
mod status;

use serde::{Deserialize, Serialize};

pub use chat_id::{ChatId, ChatKind, InvalidChatId};
pub use fold::{Fold, fold};
pub use ids::{MessageIds, WaMessageId};
pub use intake::{Intake, IntakeError, Taken};
pub use kind::{Contact, Content, InvalidContent, MAX_TEXT_CHARS, Media, body_hash};
pub use log::{
    Fact, Inbound, LogError, LogFull, LogPlace, MessageLog, Outgoing, Recorded, StatusFact,
};
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

/// When a message first reached each status, by the store's clock.
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
    /// `text`, `image`, …; none for a stub.
    pub kind: Option<String>,
    /// The chat in canonical form; none for a stub.
    pub chat_id: Option<String>,
    /// Who wrote it, if it is inbound.
    pub sender: Option<String>,
    /// Its id at WhatsApp.
    pub wa_message_id: Option<WaMessageId>,
    pub status: MessageStatus,
    pub error: Option<MessageError>,
    /// The content as JSON; none for a stub.
    pub content: Option<serde_json::Value>,
    /// SHA-256 of the request's canonical body; none for a stub and for inbound.
    pub body_hash: Option<[u8; 32]>,
    /// The epoch of the session at which it was sent or received.
    pub epoch: Epoch,
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
}
