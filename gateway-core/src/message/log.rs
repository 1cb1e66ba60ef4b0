//! The message log as a port.
//!
//! Apart from the transaction object, because it is the hot path: a writer collects facts and commits
//! them in groups. A caller first takes a [`LogPlace`], which fails at once when the log is full, and only
//! then talks to a worker; so a message that has gone out always finds room to be recorded. Facts are
//! idempotent by identity and fold in any order, so a batch whose commit is ambiguous is simply written
//! again.

use std::any::Any;
use std::fmt;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::{Direction, Message, MessageError, MessageStatus, PersonPair, WaMessageId};
use crate::id::{Epoch, MessageId, SessionId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// A reserved place in the log. Dropping it gives the place back.
pub struct LogPlace(
    #[expect(dead_code, reason = "held for what dropping it does")] Box<dyn Any + Send>,
);

impl LogPlace {
    /// Wraps what the implementation releases on drop, such as a semaphore permit.
    #[must_use]
    pub fn new(permit: Box<dyn Any + Send>) -> Self {
        Self(permit)
    }
}

impl Debug for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// The error of a log that is full or not keeping up. Nothing was written and no worker was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message log is full; try again shortly")]
pub struct LogFull;

/// Why a fact is not known to be durable.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database refuses this fact's data; the others of its batch are written.
    #[error("the message cannot be stored")]
    Refused(#[source] StoreError),
    /// The log is shutting down or its store is away; it is not known whether the fact will be written.
    #[error("the message log is not available")]
    Unavailable,
}

/// Something known about a message. The store sets the times when it writes the fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A send and its outcome.
    Outgoing(Outgoing),
    /// A report on an outbound message. Makes a stub if nothing is known of the message yet.
    Status(StatusFact),
    /// A message that came in, or that was written on the phone.
    Inbound(Inbound),
}

/// A send and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub id: MessageId,
    pub tenant: TenantId,
    pub session: SessionId,
    /// The epoch of the session at which it was sent.
    pub epoch: Epoch,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    pub chat_id: String,
    /// The type of message.
    pub kind: String,
    /// The content as JSON.
    pub content: serde_json::Value,
    /// SHA-256 of the request's canonical body.
    pub body_hash: [u8; 32],
    /// The other id of the person that it is for, if it is known.
    pub alias: Option<String>,
    /// `sending`, `unknown` or `failed`.
    pub status: MessageStatus,
    pub error: Option<MessageError>,
    /// The HTTP status of the worker's answer, if it refused the message for good.
    pub refused_status: Option<u16>,
}

/// A report on an outbound message, checked to belong to the session.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusFact {
    pub id: MessageId,
    pub tenant: TenantId,
    pub session: SessionId,
    /// The epoch at which the reporter held the session.
    pub epoch: Epoch,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// Of a message that was written on the phone: what the report says of it besides.
    pub own: Option<OwnMessage>,
    pub status: MessageStatus,
    pub error: Option<MessageError>,
    /// When it happened, if the reporter says so.
    pub occurred_at: Option<Timestamp>,
    /// How long before the report it happened, by the reporter's clock: better than a time of that clock.
    pub age: Option<Duration>,
}

/// What is known of a message that was written on the phone, from a report on its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMessage {
    pub chat_id: String,
    /// The account that wrote it.
    pub sender: Option<String>,
}

/// A message that came in, or that was written on the phone.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// The gateway's id, derived from what identifies the message.
    pub id: MessageId,
    pub tenant: TenantId,
    pub session: SessionId,
    /// The epoch at which the reporter held the session.
    pub epoch: Epoch,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    pub chat_id: String,
    pub sender: String,
    /// The other id of the person on the other side, if it is known.
    pub alias: Option<String>,
    /// The type, as the worker names it.
    pub kind: String,
    /// The content, as the worker sent it.
    pub content: serde_json::Value,
    /// Whether the message was waiting at WhatsApp while the session was not connected.
    pub offline: bool,
    /// Whether the owner of the account has written it, on the phone or on another linked device.
    pub from_me: bool,
    /// When it was written, if that is known.
    pub occurred_at: Option<Timestamp>,
}

impl Fact {
    /// Returns the id of the message that the fact is about.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Outgoing(fact) => fact.id,
            Self::Status(fact) => fact.id,
            Self::Inbound(fact) => fact.id,
        }
    }

    /// Returns the tenant of the message that the fact is about.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        match self {
            Self::Outgoing(fact) => fact.tenant,
            Self::Status(fact) => fact.tenant,
            Self::Inbound(fact) => fact.tenant,
        }
    }

    /// Returns which way the message goes.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Outgoing(_) | Self::Status(_) => Direction::Outbound,
            Self::Inbound(fact) if fact.from_me => Direction::Outbound,
            Self::Inbound(_) => Direction::Inbound,
        }
    }
}

/// What the log has once a fact is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The message with the fact folded in.
    pub message: Message,
    /// The status before the fact, or none if the fact made the row.
    pub before: Option<MessageStatus>,
    /// Whether the message had been written with another body: then the fact changed nothing.
    pub mismatch: bool,
}

/// Keeps messages durably, written in groups.
#[async_trait]
pub trait MessageLog: Debug + Send + Sync {
    /// Reserves a place, before any worker is asked to do anything. Never waits.
    ///
    /// # Errors
    /// The log is full, or its writes are not getting through.
    fn reserve(&self) -> Result<LogPlace, LogFull>;

    /// Folds the fact into its message and appends the event of a changed status, durably and together;
    /// returns once that is done. Repeating a fact changes nothing.
    ///
    /// Dropping the future does not take the fact back.
    async fn record(&self, place: LogPlace, fact: Fact) -> Result<Recorded, LogError>;

    /// Returns the tenant's message of that id. Concurrent callers share one read.
    async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError>;

    /// Returns the pairs of the tenant's session in which one of these ids stands, the one that was learnt last
    /// first. Only the first [`MAX_PERSON_IDS`](super::MAX_PERSON_IDS) ids are looked for. A log that does not
    /// remember persons knows none.
    async fn persons(
        &self,
        tenant: TenantId,
        session: SessionId,
        ids: &[&str],
    ) -> Result<Vec<PersonPair>, LogError> {
        let _ = (tenant, session, ids);
        Ok(Vec::new())
    }

    /// Remembers durably that two ids are one person, in place of what was known of the LID. From then on messages
    /// of either id are found by both, and are read back with [`Message::alias`].
    async fn remember_person(
        &self,
        tenant: TenantId,
        session: SessionId,
        pair: &PersonPair,
    ) -> Result<(), LogError> {
        let _ = (tenant, session, pair);
        Ok(())
    }
}
