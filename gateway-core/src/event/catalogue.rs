//! The catalogue: every event the gateway knows, with name, version and payload (R-70).
//!
//! The list below is the one place in which an event has its name, version, payload and sample: reading,
//! writing and the page of the API document are made from it. Names never change; payloads only gain optional
//! fields, and one that has to change its meaning gets the next version.

use serde_json::value::{RawValue, to_raw_value};

use super::payload::{
    MessageReceived, MessageSent, MessageStatusChanged, SessionCreated, SessionDeleted, SessionQr,
    SessionStatusChanged, WorkerChanged,
};
use super::record::EventData;
#[cfg(feature = "openapi")]
use super::schema::DocumentedEvent;

/// Why an event cannot be read with this catalogue.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableEvent {
    /// This version of the gateway has no such event, or an older version of it.
    #[error("no event {name} of version {version} is known here; a newer gateway has written it")]
    Unknown {
        name: String,
        /// The version of its payload.
        version: u32,
    },
    /// The payload is not of the shape that the catalogue has for it.
    #[error("the payload of {name} has another shape")]
    Payload {
        name: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

macro_rules! catalogue {
    ($( $(#[doc = $about:literal])+ $variant:ident($payload:ty) = $name:literal, version $version:literal, sample $sample:literal; )+) => {
        /// Something that has happened, with what there is to tell of it.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event {
            $( $(#[doc = $about])+ $variant($payload), )+
        }

        $(
            impl $payload {
                /// The name of the event that has this payload.
                pub const EVENT: &'static str = $name;
            }
        )+

        impl Event {
            /// The name of every event of the catalogue.
            pub const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

            /// Returns the dotted name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => $name, )+
                }
            }

            /// Returns the version of the payload.
            #[must_use]
            pub const fn version(&self) -> u32 {
                match self {
                    $( Self::$variant(_) => $version, )+
                }
            }

            /// An example of each payload as JSON, in the order of [`Event::NAMES`].
            pub const SAMPLES: [&'static str; Self::NAMES.len()] = [$($sample),+];

            /// Reads an event back from its parts.
            ///
            /// # Errors
            /// Name or version are not in this catalogue, or the payload is not of its shape.
            pub fn parse(name: &str, version: u32, data: &EventData) -> Result<Self, UnreadableEvent> {
                match (name, version) {
                    $( ($name, 1..=$version) => data
                        .read()
                        .map(Self::$variant)
                        .map_err(|source| UnreadableEvent::Payload { name: $name, source }), )+
                    _ => Err(UnreadableEvent::Unknown { name: name.to_owned(), version }),
                }
            }

            pub(super) fn payload(&self) -> Result<Box<RawValue>, serde_json::Error> {
                match self {
                    $( Self::$variant(data) => to_raw_value(data), )+
                }
            }

            /// Returns what the API document says of each event, in the order of [`Event::NAMES`].
            #[cfg(feature = "openapi")]
            pub(super) fn documented() -> Vec<DocumentedEvent> {
                vec![$( DocumentedEvent {
                    name: $name,
                    version: $version,
                    about: concat!($($about),+),
                    sample: $sample,
                    payload: <$payload as utoipa::ToSchema>::name(),
                    schemas: |schemas| {
                        schemas.push((
                            <$payload as utoipa::ToSchema>::name().into_owned(),
                            <$payload as utoipa::PartialSchema>::schema(),
                        ));
                        <$payload as utoipa::ToSchema>::schemas(schemas);
                    },
                } ),+]
            }
        }
    };
}

catalogue! {
    /// A session was created.
    SessionCreated(SessionCreated) = "session.created", version 1, sample
        r#"{"name": "sales", "metadata": {"team": "north"}}"#;
    /// The status of a session, its reason, or what a person has to do has changed.
    SessionStatus(SessionStatusChanged) = "session.status", version 1, sample
        r#"{"status": "CONNECTING", "reason": "worker_lost", "since": "2026-01-15T10:30:00Z",
            "deadline": null, "retryAt": null, "actionRequired": null, "phoneNumber": "491701234567"}"#;
    /// There is a new code to scan, to type, or to sign.
    SessionQr(SessionQr) = "session.qr", version 1, sample
        r#"{"type": "qr", "index": 0, "expiresAt": "2026-01-15T10:31:00Z"}"#;
    /// A session was deleted.
    SessionDeleted(SessionDeleted) = "session.deleted", version 1, sample
        r#"{"name": "sales"}"#;
    /// A message came in.
    MessageReceived(MessageReceived) = "message.received", version 1, sample
        r#"{"id": "msg_01kf0k8y20f5y9rawxfs383b70", "waMessageId": "3A1F0C5E9B7D24680ACE",
            "chatId": "491701234567@s.whatsapp.net", "from": "491701234567@s.whatsapp.net",
            "phone": "491701234567", "lid": "123456789012345@lid",
            "type": "text", "content": {"text": "Hello"}, "offline": false,
            "occurredAt": "2026-01-15T10:29:58Z"}"#;
    /// The owner of the account has written a message on the phone, or on another linked device.
    MessageSent(MessageSent) = "message.sent", version 1, sample
        r#"{"id": "msg_01kf0k8y20f5y9rawxfs383b70", "waMessageId": "3A1F0C5E9B7D24680ACE",
            "chatId": "491701234567@s.whatsapp.net", "from": "491700000001@s.whatsapp.net",
            "phone": "491701234567", "lid": "123456789012345@lid",
            "source": "phone", "type": "text", "content": {"text": "On my way"}, "offline": false,
            "occurredAt": "2026-01-15T10:29:58Z"}"#;
    /// The status of a message has changed.
    MessageStatus(MessageStatusChanged) = "message.status", version 1, sample
        r#"{"id": "msg_01kf0k8y20f5y9rawxfs383b70", "waMessageId": "3EB0C5E9B7D24680ACE13F",
            "direction": "outbound", "source": "api", "chatId": "491701234567@s.whatsapp.net",
            "phone": "491701234567", "lid": null,
            "previous": "sent", "status": "delivered", "error": null,
            "occurredAt": "2026-01-15T10:30:00Z"}"#;
    /// The status of a worker has changed. Operators only.
    WorkerStatus(WorkerChanged) = "worker.status", version 1, sample
        r#"{"workerId": "worker-1", "status": "OFFLINE", "reason": "lease_expired"}"#;
}
