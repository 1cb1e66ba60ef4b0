//! Where events are kept: outbox, event log, and what the sequencer writes with them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::{LoggedEvent, NewEvent, OutboxRow, UsageDelta};
use crate::id::{SessionId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Writes to the outbox.
#[async_trait]
pub trait OutboxRepo: Send {
    /// Appends events, in this order, to the outbox of the transaction. They are published after it
    /// commits, and never if it does not. The store sets their time.
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError>;
}

/// Which of a tenant's events to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events about this session.
    pub session: Option<SessionId>,
    /// Only events of these names; an empty list means all.
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

/// Reads the event log.
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
    pub events: Vec<LoggedEvent>,
    /// The shard's new head.
    pub head: ShardHead,
    /// The newest number of each session that has an event in this step.
    pub session_heads: BTreeMap<SessionId, u64>,
    /// Usage to add, by tenant, session and start of hour.
    pub usage: BTreeMap<(TenantId, SessionId, Timestamp), UsageDelta>,
    /// When each session last sent, received or failed to send a message.
    pub activity: BTreeMap<SessionId, Timestamp>,
}

/// How exactly the last activity of a session is kept, so that the row of a busy session is not written for
/// every message.
pub const ACTIVITY_STEP: Duration = Duration::from_secs(60);

/// Does what the sequencer needs of a store. All calls of one step are made in one transaction.
#[async_trait]
pub trait SequencerRepo: Send {
    /// Locks the shard until the transaction ends, and returns how far its log has come; none if another
    /// replica holds the lock.
    async fn lock_shard(&mut self, shard: u16) -> Result<Option<ShardHead>, StoreError>;

    /// Returns the oldest committed outbox rows, in order of `row`.
    async fn outbox(&mut self, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;

    /// Moves the oldest committed outbox rows, at most `limit`, into the log of the shard that this
    /// transaction has locked, numbered and counted as [`super::number`] says. Returns how many rows it
    /// moved.
    ///
    /// The whole step is the store's, because moving every event out of the database and back into it
    /// costs several times what numbering it there does. A session's last activity is written when it is
    /// [`ACTIVITY_STEP`] newer than what stands there.
    async fn publish(&mut self, shard: u16, limit: u32) -> Result<usize, StoreError>;

    /// Returns the usage of a tenant's session in the hour that starts at `hour`.
    async fn usage(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        hour: Timestamp,
    ) -> Result<UsageDelta, StoreError>;
}
