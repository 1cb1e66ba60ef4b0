//! Reports of a worker: delivered at least once, made exactly-once in effect by identity.
//!
//! A worker's clock may be wrong. So a report says when this attempt to deliver it was made, `sentAt`, and
//! its other times are read as their distance from that, never compared with the gateway's own time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::id::{Epoch, SessionId};
use crate::time::Timestamp;

/// One report, or several at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Reports<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> Reports<T> {
    /// Returns all reports, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Many(reports) => reports,
            Self::One(report) => vec![report],
        }
    }
}

/// The body of `POST /webhooks/session-status`: what a worker reports of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionReport {
    /// The worker that reports; that of the token if absent.
    #[serde(default)]
    pub worker_id: Option<String>,
    pub session_id: SessionId,
    /// The run that reports; that of the token if absent.
    #[serde(default)]
    pub incarnation: Option<String>,
    pub epoch: Epoch,
    /// Identifies the report, so that a repetition is recognised.
    #[serde(default)]
    pub report_id: Option<String>,
    /// The number of the report; grows per incarnation and session.
    #[serde(default, deserialize_with = "storable")]
    pub report_seq: Option<u64>,
    /// The status of R-21, or `CONNECTING` with a reason.
    pub status: String,
    /// Why the session is in this status, as a slug.
    #[serde(default)]
    pub reason: Option<String>,
    /// When a restriction of the account ends.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// When the worker tries again by itself.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// What a person has to do.
    #[serde(default)]
    pub action_required: Option<String>,
    /// The QR text, opaque.
    #[serde(default)]
    pub qr_code: Option<String>,
    #[serde(default)]
    pub qr_expires_at: Option<Timestamp>,
    /// The position of this QR code among those of one attempt to link.
    #[serde(default)]
    pub qr_index: Option<u32>,
    #[serde(default)]
    pub pairing_code: Option<String>,
    #[serde(default)]
    pub pairing_expires_at: Option<Timestamp>,
    #[serde(default)]
    pub passkey_challenge: Option<Value>,
    #[serde(default)]
    pub passkey_expires_at: Option<Timestamp>,
    /// The number of the linked account.
    #[serde(default)]
    pub phone_number: Option<String>,
    /// When the last message came in.
    #[serde(default)]
    pub last_inbound_at: Option<Timestamp>,
    /// When WhatsApp last acknowledged a send.
    #[serde(default)]
    pub last_ack_at: Option<Timestamp>,
    /// When WhatsApp last answered a keep-alive.
    #[serde(default)]
    pub last_pong_at: Option<Timestamp>,
    /// When it happened, by the worker's clock.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// When this attempt to deliver the report was made, by the worker's clock.
    #[serde(default)]
    pub sent_at: Option<Timestamp>,
}

impl SessionReport {
    /// Makes a report that a session has this status, and says nothing else. `status` is how the session is getting
    /// on:
    ///
    /// - `CONNECTING`, with the reason `pairing` once a code was scanned and `syncing` while data is read;
    /// - `QR_REQUIRED`, with a code to scan or to type, or a passkey challenge, and until when it lives;
    /// - `CONNECTED`: from the first such report on the session is paired, and is restored elsewhere without a
    ///   scan;
    /// - `RECONNECTING`: the worker is on it, and says in `retryAt` when it tries again;
    /// - `DISCONNECTED`, `LOGGED_OUT`, `RESTRICTED` (with `until`) and `ERROR`: the worker has closed and
    ///   tombstoned the session, and this is its last word at that epoch.
    ///
    /// Anything else counts as `ERROR`, reason `unknown_status_…`.
    ///
    /// `phone_number` may be left out. With the reason `pairing` or `syncing` it says that the session is paired.
    #[must_use]
    pub fn new(session_id: SessionId, epoch: Epoch, status: &str) -> Self {
        Self {
            worker_id: None,
            session_id,
            incarnation: None,
            epoch,
            report_id: None,
            report_seq: None,
            status: status.to_owned(),
            reason: None,
            until: None,
            retry_at: None,
            action_required: None,
            qr_code: None,
            qr_expires_at: None,
            qr_index: None,
            pairing_code: None,
            pairing_expires_at: None,
            passkey_challenge: None,
            passkey_expires_at: None,
            phone_number: None,
            last_inbound_at: None,
            last_ack_at: None,
            last_pong_at: None,
            occurred_at: None,
            sent_at: None,
        }
    }
}

/// The body of `POST /webhooks/message-status`: what a worker reports of an outbound message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MessageReport {
    /// The worker that reports; that of the token if absent.
    #[serde(default)]
    pub worker_id: Option<String>,
    pub session_id: SessionId,
    /// The run that made the report.
    #[serde(default)]
    pub incarnation: Option<String>,
    pub epoch: Epoch,
    /// Identifies the report, so that a repetition is recognised.
    #[serde(default)]
    pub report_id: Option<String>,
    /// The gateway's id of the message.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Its id at WhatsApp. Needed if the gateway may not know the message yet.
    #[serde(default)]
    pub wa_message_id: Option<String>,
    /// Of a message that was written on the phone: `true`. It is known by its chat and its id at WhatsApp.
    #[serde(default, deserialize_with = "lenient")]
    pub from_me: bool,
    /// Of a message that was written on the phone: its chat, by phone number or by LID.
    #[serde(default, deserialize_with = "lenient")]
    pub chat: Option<String>,
    /// The chat in the other of the two forms.
    #[serde(default, deserialize_with = "lenient")]
    pub chat_alt: Option<String>,
    /// Of a message that was written on the phone: the account that wrote it.
    #[serde(default, deserialize_with = "lenient")]
    pub sender: Option<String>,
    /// The status of R-64.
    pub status: String,
    /// Why it failed: a slug, or an object with `code` and `message`.
    #[serde(default)]
    pub error: Option<Value>,
    /// When it happened, by the worker's clock.
    #[serde(default, deserialize_with = "moment")]
    pub occurred_at: Option<Timestamp>,
    /// When this attempt to deliver the report was made, by the worker's clock.
    #[serde(default, deserialize_with = "moment")]
    pub sent_at: Option<Timestamp>,
}

impl MessageReport {
    /// Makes a report of what is known of a message: `sent`, `delivered`, `read`, `played`, `failed` or `unknown`;
    /// others are dropped. Fill in at least one of the message's ids.
    #[must_use]
    pub fn new(session_id: SessionId, epoch: Epoch, status: &str) -> Self {
        Self {
            worker_id: None,
            session_id,
            incarnation: None,
            epoch,
            report_id: None,
            message_id: None,
            wa_message_id: None,
            from_me: false,
            chat: None,
            chat_alt: None,
            sender: None,
            status: status.to_owned(),
            error: None,
            occurred_at: None,
            sent_at: None,
        }
    }
}

/// The body of `POST /webhooks/messages`: a message that came in, or that the owner of the account has written on the
/// phone or on another linked device. What this session has sent for the gateway is reported by its status alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InboundMessage {
    /// The worker that reports; that of the token if absent.
    #[serde(default)]
    pub worker_id: Option<String>,
    pub session_id: SessionId,
    /// The run that received it.
    #[serde(default)]
    pub incarnation: Option<String>,
    pub epoch: Epoch,
    /// The chat, by phone number or by LID.
    pub chat: String,
    /// The chat in the other of the two forms.
    #[serde(default, deserialize_with = "lenient")]
    pub chat_alt: Option<String>,
    /// Who wrote it, by phone number or by LID; the chat if absent.
    #[serde(default)]
    pub sender: Option<String>,
    /// Who wrote it, in the other of the two forms.
    #[serde(default, deserialize_with = "lenient")]
    pub sender_alt: Option<String>,
    /// Whether the owner of the account has written it.
    #[serde(default, deserialize_with = "lenient")]
    pub from_me: bool,
    /// Its id at WhatsApp.
    pub wa_message_id: String,
    /// Whether the message was waiting at WhatsApp while the session was not connected.
    #[serde(default, deserialize_with = "lenient")]
    pub offline: bool,
    /// The type, as the worker names it.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: Option<String>,
    /// When it was written, by WhatsApp's clock.
    #[serde(default, deserialize_with = "moment")]
    pub occurred_at: Option<Timestamp>,
    /// When this attempt to deliver the report was made, by the worker's clock.
    #[serde(default, deserialize_with = "moment")]
    pub sent_at: Option<Timestamp>,
    /// The fields of the type.
    #[serde(flatten)]
    pub content: Map<String, Value>,
}

impl InboundMessage {
    /// Makes a message that came in in a chat, of which nothing else is known yet.
    #[must_use]
    pub fn new(session_id: SessionId, epoch: Epoch, chat: &str, wa_message_id: &str) -> Self {
        Self {
            worker_id: None,
            session_id,
            incarnation: None,
            epoch,
            chat: chat.to_owned(),
            chat_alt: None,
            sender: None,
            sender_alt: None,
            from_me: false,
            wa_message_id: wa_message_id.to_owned(),
            offline: false,
            kind: None,
            occurred_at: None,
            sent_at: None,
            content: Map::new(),
        }
    }
}

/// Reads a field that a report may lack: what cannot be read counts as absent, because a fact must not be lost for it.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// Reads a time as text, or as seconds or milliseconds since 1970; what is neither counts as absent.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let micros = value.as_i64().and_then(|number| match number {
        // Seconds have twelve digits from the year 5138 on.
        100_000_000_000.. => number.checked_mul(1_000),
        _ => number.checked_mul(1_000_000),
    });
    Ok(match micros {
        Some(micros) => Some(Timestamp::from_micros(micros)),
        None => Timestamp::deserialize(value).ok(),
    })
}

fn storable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Seq(#[serde(deserialize_with = "crate::id::storable")] u64);
    let seq = Option::<Seq>::deserialize(deserializer)?;
    Ok(seq.map(|seq| seq.0))
}
