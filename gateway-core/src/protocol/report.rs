//! Reports of a worker: delivered at least once, made exactly-once in effect by identity.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::id::{Epoch, SessionId};
use crate::time::Timestamp;

/// One report, or several at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Reports<T> {
    /// Several, in order.
    Many(Vec<T>),
    /// One.
    One(T),
}

impl<T> Reports<T> {
    /// All of them, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(reports) => reports,
            Self::One(report) => vec![report],
        }
    }
}

/// `POST /webhooks/session-status`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionReport {
    /// The reporter; that of the token if absent.
    #[serde(default)]
    pub worker_id: Option<String>,
    /// Which session.
    pub session_id: SessionId,
    /// The run; that of the token if absent.
    #[serde(default)]
    pub incarnation: Option<String>,
    /// At which epoch.
    pub epoch: Epoch,
    /// Its identity.
    #[serde(default)]
    pub report_id: Option<String>,
    /// Grows per (incarnation, session).
    #[serde(default, deserialize_with = "storable")]
    pub report_seq: Option<u64>,
    /// The status of R-21, or `CONNECTING` with a reason.
    pub status: String,
    /// Why, as a slug.
    #[serde(default)]
    pub reason: Option<String>,
    /// When a restriction ends.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// When the worker tries again.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// What a person has to do.
    #[serde(default)]
    pub action_required: Option<String>,
    /// The QR text, opaque.
    #[serde(default)]
    pub qr_code: Option<String>,
    /// Until when.
    #[serde(default)]
    pub qr_expires_at: Option<Timestamp>,
    /// Which of several.
    #[serde(default)]
    pub qr_index: Option<u32>,
    /// The pairing code.
    #[serde(default)]
    pub pairing_code: Option<String>,
    /// Until when.
    #[serde(default)]
    pub pairing_expires_at: Option<Timestamp>,
    /// The passkey challenge.
    #[serde(default)]
    pub passkey_challenge: Option<Value>,
    /// Until when.
    #[serde(default)]
    pub passkey_expires_at: Option<Timestamp>,
    /// The linked account.
    #[serde(default)]
    pub phone_number: Option<String>,
    /// The last message that came in.
    #[serde(default)]
    pub last_inbound_at: Option<Timestamp>,
    /// The last acknowledgement of a send.
    #[serde(default)]
    pub last_ack_at: Option<Timestamp>,
    /// The last answer to a keep-alive.
    #[serde(default)]
    pub last_pong_at: Option<Timestamp>,
    /// When, by the worker's clock.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
}

/// `POST /webhooks/message-status`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessageReport {
    /// The reporter; that of the token if absent.
    #[serde(default)]
    pub worker_id: Option<String>,
    /// Which session.
    pub session_id: SessionId,
    /// The run that made the report.
    #[serde(default)]
    pub incarnation: Option<String>,
    /// At which epoch.
    pub epoch: Epoch,
    /// Its identity.
    #[serde(default)]
    pub report_id: Option<String>,
    /// Our id of the message.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Its id at WhatsApp.
    #[serde(default)]
    pub wa_message_id: Option<String>,
    /// The status of R-64.
    pub status: String,
    /// Why it failed: a slug, or an object with `code` and `message`.
    #[serde(default)]
    pub error: Option<Value>,
    /// When, by the worker's clock.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
}

/// `POST /webhooks/messages`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InboundMessage {
    /// The reporter; that of the token if absent.
    #[serde(default)]
    pub worker_id: Option<String>,
    /// Which session.
    pub session_id: SessionId,
    /// The run that received it.
    #[serde(default)]
    pub incarnation: Option<String>,
    /// At which epoch.
    pub epoch: Epoch,
    /// The chat, in one form.
    pub chat: String,
    /// The chat, in the other form (phone number or LID).
    #[serde(default)]
    pub chat_alt: Option<String>,
    /// The sender, in one form; the chat if absent.
    #[serde(default)]
    pub sender: Option<String>,
    /// The sender, in the other form.
    #[serde(default)]
    pub sender_alt: Option<String>,
    /// Its id at WhatsApp.
    pub wa_message_id: String,
    /// Whether it was waiting while the session was away.
    #[serde(default)]
    pub offline: bool,
    /// The type, as the worker names it.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// When, by WhatsApp's clock.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// The fields of the type.
    #[serde(flatten)]
    pub content: Map<String, Value>,
}

fn storable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Seq(#[serde(deserialize_with = "crate::id::storable")] u64);
    let seq = Option::<Seq>::deserialize(deserializer)?;
    Ok(seq.map(|seq| seq.0))
}
