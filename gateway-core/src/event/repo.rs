//! Where events are kept: outbox, event log, and what the sequencer writes with them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::{LoggedEvent, NewEvent, OutboxRow, UsageDelta};
use crate::id::{SessionId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The writing end of the outbox.
#[async_trait]
pub trait OutboxRepo: Send {
    /// Appends events, in this order, to the outbox of the transaction; they are published after it
    /// commits and never if it does not. Their time is the store's.
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError>;
}

/// Which of a tenant's events to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this session's.
    pub session: Option<SessionId>,
    /// Only these names; empty: all.
    pub names: Vec<String>,
}

impl EventFilter {
    /// Returns whether an event passes.
    #[must_use]
    pub fn passes(&self, event: &LoggedEvent) -> bool {
        let named = self.names.is_empty() || self.names.contains(&event.name);
        named && (self.session.is_none() || self.session == event.session)
    }
}

/// The reading end of the event log.
#[async_trait]
pub trait EventRepo: Send {
    /// Returns the tenant's events after `after`, in order of position, at most `limit`. Names and versions
    /// that this version of the gateway does not know are read like all others.
    async fn events(
        &mut self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError>;

    /// Returns the position of the newest event of a shard, whoever's it is; 0 before the first.
    async fn newest_position(&mut self, shard: u16) -> Result<u64, StoreError>;
}

/// How far a shard's log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardHead {
    /// The position of the newest event.
    pub position: u64,
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
