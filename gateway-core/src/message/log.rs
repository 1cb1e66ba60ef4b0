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

use async_trait::async_trait;

use super::{Direction, Message, MessageError, MessageStatus, WaMessageId};
use crate::id::{Epoch, MessageId, SessionId, TenantId};
use crate::store::StoreError;

/// A place in the log, given back when it is dropped.
pub struct LogPlace(
    #[expect(dead_code, reason = "held for what dropping it does")] Box<dyn Any + Send>,
);

impl LogPlace {
    /// Wraps whatever the implementation gives back on drop: a semaphore permit, a counter guard.
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

/// The log is full or not keeping up; nothing was written and nobody was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message log is full; try again shortly")]
pub struct LogFull;

/// Why a fact is not known to be durable.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database refuses this fact's data; the others of its batch are written.
    #[error("the message cannot be stored")]
    Refused(#[source] StoreError),
    /// The log is shutting down or its store is away: whether it will be written is not known.
    #[error("the message log is not available")]
    Unavailable,
}

/// Something known about a message. Times are the store's, set when it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A send and its outcome.
    Outgoing(Outgoing),
    /// A report on an outbound message; makes a stub if nothing is known of it yet.
    Status(StatusFact),
    /// A message that came in.
    Inbound(Inbound),
}

/// A send and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Its id.
    pub id: MessageId,
    /// Of whom.
    pub tenant: TenantId,
    /// Of which session.
    pub session: SessionId,
    /// Under which epoch it was sent.
    pub epoch: Epoch,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// The chat, canonical.
    pub chat_id: String,
    /// The type of R-60.
    pub kind: String,
    /// The content as JSON.
    pub content: serde_json::Value,
    /// SHA-256 of the request's canonical body.
    pub body_hash: [u8; 32],
    /// `sending`, `unknown` or `failed`.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<MessageError>,
}

/// A report on an outbound message, checked to belong to the session.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusFact {
    /// Which message.
    pub id: MessageId,
    /// Of whom.
    pub tenant: TenantId,
    /// Of which session.
    pub session: SessionId,
    /// The epoch of the reporter.
    pub epoch: Epoch,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// What is reported.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<MessageError>,
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Its id here, derived from its identity.
    pub id: MessageId,
    /// Of whom.
    pub tenant: TenantId,
    /// Of which session.
    pub session: SessionId,
    /// The epoch of the reporter.
    pub epoch: Epoch,
    /// Its id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// The chat, canonical.
    pub chat_id: String,
    /// Who wrote it.
    pub sender: String,
    /// The type, as the worker names it.
    pub kind: String,
    /// The content, as the worker sent it.
    pub content: serde_json::Value,
    /// Whether it was waiting while the session was away.
    pub offline: bool,
}

impl Fact {
    /// The identity it folds under.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Outgoing(fact) => fact.id,
            Self::Status(fact) => fact.id,
            Self::Inbound(fact) => fact.id,
        }
    }

    /// Whose message it is about.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        match self {
            Self::Outgoing(fact) => fact.tenant,
            Self::Status(fact) => fact.tenant,
            Self::Inbound(fact) => fact.tenant,
        }
    }

    /// Which way the message goes.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Outgoing(_) | Self::Status(_) => Direction::Outbound,
            Self::Inbound(_) => Direction::Inbound,
        }
    }
}

/// What stands in the log once a fact is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The row, folded.
    pub message: Message,
    /// The folded status before, or none if the fact made the row.
    pub before: Option<MessageStatus>,
    /// The row had been written with another body: the fact changed nothing.
    pub mismatch: bool,
}

/// Keeps messages durably, in groups.
#[async_trait]
pub trait MessageLog: Debug + Send + Sync {
    /// Takes a place, before anybody is asked to do anything. Never waits.
    ///
    /// # Errors
    /// The log is full, or its writes are not getting through.
    fn reserve(&self) -> Result<LogPlace, LogFull>;

    /// Folds the fact into its message and appends the event of a changed status, durably and
    /// together; returns when that is so. Repeating a fact changes nothing.
    ///
    /// A dropped future does not take the fact back.
    async fn record(&self, place: LogPlace, fact: Fact) -> Result<Recorded, LogError>;

    /// The tenant's message of that id, read together with other callers' reads.
    async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError>;
}
