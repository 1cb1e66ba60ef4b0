//! How messages look on the wire.

use std::fmt;
use std::str::FromStr;

use gateway_core::id::{MessageId, SessionId};
use gateway_core::message::{
    Direction, Message, MessageCursor, MessageError, MessageSource, MessageStatus, PersonIds,
    Timeline, WaMessageId,
};
use gateway_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A message, as its tenant sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub(super) struct MessageView {
    id: MessageId,
    /// Its id at WhatsApp.
    wa_message_id: Option<WaMessageId>,
    session_id: SessionId,
    direction: Direction,
    /// Where it was written, if it is outbound: through the gateway, or on the phone.
    source: Option<MessageSource>,
    /// The type; `null` while only a status report is known of the message.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// To whom it went, if it is outbound.
    to: Option<String>,
    /// Who wrote it, if it is inbound or was written on the phone.
    from: Option<String>,
    chat_id: Option<String>,
    /// The phone number of the person on the other side, if it is known: digits with country code.
    phone: Option<String>,
    /// The LID of the person on the other side, if it is known.
    lid: Option<String>,
    status: MessageStatus,
    /// Why the message failed.
    error: Option<MessageError>,
    /// The fields of the type.
    content: Option<Value>,
    /// When it was written, as far as that is known; lists go by it.
    occurred_at: Timestamp,
    timestamps: TimestampsView,
}

/// When a message was recorded, and when it first reached each status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageTimestamps)]
struct TimestampsView {
    created_at: Timestamp,
    #[serde(flatten)]
    reached: Timeline,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        let to = match message.direction {
            Direction::Outbound => message.chat_id.clone(),
            Direction::Inbound => None,
        };
        let PersonIds { phone, lid } = message.person_ids();
        let occurred_at = message.written_at();
        Self {
            id: message.id,
            wa_message_id: message.wa_message_id,
            session_id: message.session,
            direction: message.direction,
            source: message.source,
            kind: message.kind,
            to,
            from: message.sender,
            chat_id: message.chat_id,
            phone,
            lid,
            occurred_at,
            status: message.status,
            error: message.error,
            content: message.content,
            timestamps: TimestampsView {
                created_at: message.created_at,
                reached: message.timeline,
            },
        }
    }
}

/// The position at which a page of messages ended, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor(pub(super) MessageCursor);

impl Cursor {
    pub(super) fn of(message: &Message) -> Self {
        Self(MessageCursor {
            written_at: message.written_at(),
            id: message.id,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.written_at.as_micros(), self.0.id)
    }
}

/// The text is not a cursor of a list of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a list of messages")]
pub(super) struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (micros, id) = text.split_once('/').ok_or(InvalidCursor)?;
        let micros = micros.parse().map_err(|_| InvalidCursor)?;
        Ok(Self(MessageCursor {
            written_at: Timestamp::from_micros(micros),
            id: id.parse().map_err(|_| InvalidCursor)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor(MessageCursor {
            written_at: Timestamp::from_micros(1_700_000_000_000_001),
            id: MessageId::from_u128(9),
        });
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "/", "1/", "x/msg_1", "1/ses_01j0000000e008000000000001"] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
    }
}
