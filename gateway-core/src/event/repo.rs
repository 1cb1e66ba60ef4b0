//! Where events are kept: outbox, event log, and what the sequencer writes with them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::{Event, NewEvent};
use crate::id::{Epoch, EventId, SessionId, TenantId};
use crate::message::{Direction, MessageStatus};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The writing end of the outbox.
#[async_trait]
pub trait OutboxRepo: Send {
    /// Appends events, in this order, to the outbox of the transaction; they are published after it
    /// commits and never if it does not. Their time is the store's.
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError>;
}

/// A committed row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Grows with insertion, not with commit: good for order within a session, useless as a cursor.
    pub row: i64,
    /// When the change was made.
    pub created_at: Timestamp,
    /// What happened, to whom.
    pub event: NewEvent,
}

/// A published event.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Its identity for consumers; see [`event_id`].
    pub id: EventId,
    /// Its place in the shard's log: the cursor.
    pub position: u64,
    /// Its number within its session, dense from 1; none if it is about no session.
    pub seq: Option<u64>,
    /// Whose it is.
    pub tenant: Option<TenantId>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The session's epoch when it happened.
    pub epoch: Option<Epoch>,
    /// When it happened.
    pub created_at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The id of the event at a position of a shard's log: ordered by time to the millisecond like every other
/// id, and below that what is unique already. So no store has to make or keep one.
#[must_use]
pub fn event_id(shard: u16, position: u64, created_at: Timestamp) -> EventId {
    EventId::numbered(created_at, shard, position)
}

/// Which of a tenant's events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this session's.
    pub session: Option<SessionId>,
    /// Only these names; empty: all.
    pub names: Vec<String>,
}

/// The reading end of the event log.
#[async_trait]
pub trait EventRepo: Send {
    /// The tenant's events after `after`, in order of position, at most `limit`.
    async fn events(
        &mut self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError>;
}

/// How far a shard's log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardHead {
    /// The position of the newest event.
    pub position: u64,
}

/// What is counted per tenant, session and hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageDelta {
    /// Outbound messages that became known.
    pub sent: u64,
    /// Outbound messages that failed.
    pub failed: u64,
    /// Inbound messages.
    pub received: u64,
}

impl UsageDelta {
    /// What one event adds.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        match event {
            Event::MessageStatus(change) if change.direction == Direction::Outbound => Self {
                sent: u64::from(change.previous.is_none()),
                failed: u64::from(change.status == MessageStatus::Failed),
                received: 0,
            },
            Event::MessageReceived(_) => Self {
                received: 1,
                ..Self::default()
            },
            Event::MessageStatus(_)
            | Event::SessionCreated(_)
            | Event::SessionStatus(_)
            | Event::SessionQr(_)
            | Event::SessionDeleted(_)
            | Event::WorkerStatus(_) => Self::default(),
        }
    }
}

/// Everything one step of the sequencer writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publication {
    /// The outbox rows to delete.
    pub consumed: Vec<i64>,
    /// The numbered events.
    pub events: Vec<LoggedEvent>,
    /// The shard's new head.
    pub head: ShardHead,
    /// The newest number of each session touched.
    pub session_heads: BTreeMap<SessionId, u64>,
    /// Usage to add, by tenant, session and start of hour.
    pub usage: BTreeMap<(TenantId, SessionId, Timestamp), UsageDelta>,
    /// When each session last had a message or lost one.
    pub activity: BTreeMap<SessionId, Timestamp>,
}

/// How exactly the last activity of a session is kept. The row of a busy session is not written for every
/// message.
pub const ACTIVITY_STEP: Duration = Duration::from_secs(60);

/// What the sequencer needs. All calls of one step are made in one transaction.
#[async_trait]
pub trait SequencerRepo: Send {
    /// Locks the shard until the transaction ends; none if another replica holds it.
    async fn lock_shard(&mut self, shard: u16) -> Result<Option<ShardHead>, StoreError>;

    /// The oldest committed outbox rows, in order of `row`.
    async fn outbox(&mut self, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;

    /// Moves the oldest committed outbox rows, at most `limit`, into the log of the shard that this
    /// transaction has locked, numbered and counted as [`super::number`] says; how many.
    ///
    /// The whole step is the store's, because moving every event out of the database and back into it
    /// costs several times what numbering it there does. A session's last activity is written when it is
    /// [`ACTIVITY_STEP`] newer than what stands there.
    async fn publish(&mut self, shard: u16, limit: u32) -> Result<usize, StoreError>;

    /// Usage of a tenant's session in an hour.
    async fn usage(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        hour: Timestamp,
    ) -> Result<UsageDelta, StoreError>;
}
