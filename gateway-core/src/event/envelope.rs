//! The outer form of an event: what consumers get, whatever way it takes to them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::{EventData, LoggedEvent};
use crate::coord::PairingSecret;
use crate::id::{Epoch, EventId, SessionId, SessionName, TenantId};
use crate::session::ChallengeKind;
use crate::time::Timestamp;

/// An event as consumers get it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventEnvelope {
    /// The position in the log. Not part of the envelope on the wire: pages and streams carry it in their
    /// own ways.
    #[serde(skip)]
    pub position: u64,
    /// The id of the event: the same wherever and however often it is delivered.
    pub id: EventId,
    /// The name of the event.
    #[serde(rename = "type")]
    pub name: String,
    /// The version of the payload.
    pub version: u32,
    pub created_at: Timestamp,
    /// The tenant it belongs to; `null` for the operators' own events.
    pub tenant_id: Option<TenantId>,
    /// The session that it is about, as it is now.
    pub session: Option<EventSession>,
    /// The number within its session, dense from 1: a gap is a missed event.
    pub seq: Option<u64>,
    /// The session's epoch when it happened. An event with a lower epoch than one that was seen comes from
    /// a former owner.
    pub epoch: Option<Epoch>,
    #[cfg_attr(feature = "openapi", schema(value_type = Value))]
    pub data: EventData,
}

/// The session an event is about, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventSession {
    /// The id of the session, which never changes.
    pub id: SessionId,
    /// The name of the session; `null` once it is deleted.
    pub name: Option<SessionName>,
    /// The tenant's own key-value pairs.
    pub metadata: BTreeMap<String, Value>,
}

/// The text of a code. It is in no log: readers join it to `session.qr` while it can be used.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChallengeText {
    /// The text of the QR code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr_code: Option<String>,
    /// The code to type on the phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing_code: Option<String>,
    /// The challenge for the passkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passkey_challenge: Option<Value>,
}

impl From<PairingSecret> for ChallengeText {
    fn from(secret: PairingSecret) -> Self {
        let mut text = Self::default();
        match secret.kind {
            ChallengeKind::Qr => text.qr_code = Some(secret.text),
            ChallengeKind::PairingCode => text.pairing_code = Some(secret.text),
            // A challenge travels as text; it was JSON at the worker.
            ChallengeKind::Passkey => {
                let challenge = serde_json::from_str(&secret.text);
                text.passkey_challenge = Some(challenge.unwrap_or(Value::String(secret.text)));
            }
        }
        text
    }
}

impl EventEnvelope {
    /// Puts an event of the log into its envelope. `session` is the one that it is about.
    #[must_use]
    pub fn new(event: LoggedEvent, session: Option<EventSession>) -> Self {
        Self {
            position: event.position,
            id: event.id,
            name: event.name,
            version: event.version,
            created_at: event.created_at,
            tenant_id: event.tenant,
            session,
            seq: event.seq,
            epoch: event.epoch,
            data: event.data,
        }
    }

    /// Joins the text of a code to the payload, which otherwise stays as it is.
    pub(super) fn join(&mut self, text: &ChallengeText) -> Result<(), serde_json::Error> {
        let mut fields: Map<String, Value> = self.data.read()?;
        if let Value::Object(joined) = serde_json::to_value(text)? {
            fields.extend(joined);
        }
        self.data = to_raw_value(&fields)?.into();
        Ok(())
    }
}
