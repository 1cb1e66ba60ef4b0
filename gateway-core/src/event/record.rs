//! Events as stores keep them and readers pass them on: a name, a version, and the payload as it was written.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Event, UnreadableEvent, UsageDelta};
use crate::id::{Epoch, EventId, SessionId, TenantId};
use crate::time::Timestamp;

/// A payload as JSON text. Two are equal if their texts are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventData(Box<RawValue>);

impl EventData {
    /// Returns the payload as JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Returns the text as a value that is written as it stands.
    #[must_use]
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Reads the text as a value of some type.
    ///
    /// # Errors
    /// It is not of that shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

impl From<Box<RawValue>> for EventData {
    fn from(text: Box<RawValue>) -> Self {
        Self(text)
    }
}

impl PartialEq for EventData {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

/// An event on its way to the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The tenant it belongs to; none for the operators' own events (`worker.*`, `alert.*`).
    pub tenant: Option<TenantId>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The session's epoch when it happened.
    pub epoch: Option<Epoch>,
    pub name: Cow<'static, str>,
    /// The version of the payload.
    pub version: u32,
    /// The payload as JSON text.
    pub data: EventData,
    /// What it adds to the usage of its session, so that whoever numbers it need not understand it.
    pub usage: UsageDelta,
}

impl NewEvent {
    /// Makes an event about a tenant's session.
    #[must_use]
    pub fn of_session(tenant: TenantId, session: SessionId, epoch: Epoch, event: &Event) -> Self {
        Self {
            tenant: Some(tenant),
            session: Some(session),
            epoch: Some(epoch),
            ..Self::of_operators(event)
        }
    }

    /// Makes an event that operators alone read.
    #[must_use]
    pub fn of_operators(event: &Event) -> Self {
        // Payloads have text keys and finite numbers, so writing them cannot fail.
        let data = event
            .payload()
            .unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            tenant: None,
            session: None,
            epoch: None,
            name: Cow::Borrowed(event.name()),
            version: event.version(),
            data: data.into(),
            usage: UsageDelta::of(event),
        }
    }

    /// Returns the event in its typed form.
    ///
    /// # Errors
    /// This version of the gateway cannot read it.
    pub fn event(&self) -> Result<Event, UnreadableEvent> {
        Event::parse(&self.name, self.version, &self.data)
    }
}

/// A committed row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Grows with insertion, not with commit: it gives the order within a session, and is useless as a
    /// cursor.
    pub row: i64,
    /// When the change was made.
    pub created_at: Timestamp,
    pub event: NewEvent,
}

/// A published event, numbered and in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// The identity of the event for consumers; see [`event_id`].
    pub id: EventId,
    /// The position in the shard's log, which is the cursor.
    pub position: u64,
    /// The number within its session, dense from 1; none if it is about no session.
    pub seq: Option<u64>,
    /// The tenant it belongs to; none for the operators' own events.
    pub tenant: Option<TenantId>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The session's epoch when it happened.
    pub epoch: Option<Epoch>,
    pub created_at: Timestamp,
    /// The dotted name, perhaps one that this version of the gateway does not know.
    pub name: String,
    /// The version of the payload.
    pub version: u32,
    /// The payload as JSON text.
    pub data: EventData,
}

impl LoggedEvent {
    /// Returns the event in its typed form, for the few who need to understand it.
    ///
    /// # Errors
    /// This version of the gateway cannot read it.
    pub fn event(&self) -> Result<Event, UnreadableEvent> {
        Event::parse(&self.name, self.version, &self.data)
    }
}

/// Returns the id of the event at a position of a shard's log: ordered by time to the millisecond like every
/// other id, and below that what is unique already. So no store has to make or keep one.
#[must_use]
pub fn event_id(shard: u16, position: u64, created_at: Timestamp) -> EventId {
    EventId::numbered(created_at, shard, position)
}
