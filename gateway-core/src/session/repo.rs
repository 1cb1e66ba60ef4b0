//! Where sessions and their placements are kept.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Owner, Reason, Session, SessionRef, Status};
use crate::id::{Epoch, SessionId, SessionName, TenantId, WorkerId};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::worker::HeldRow;

/// The result of storing a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    Done,
    /// The tenant has a session of that name.
    NameTaken,
    /// The tenant already has this many, which is its limit or more.
    LimitReached {
        /// How many sessions the tenant has.
        used: u32,
    },
}

/// Keeps sessions as the orchestrator sees them: across tenants, by id.
#[async_trait]
pub trait SessionRepo: Send {
    /// Returns the session, or none. Takes no lock: writing what was read is conditional on `version`.
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// Stores a new session, unless its tenant already has `limit` sessions or one of that name.
    ///
    /// Count and insert are one step: of any number of concurrent calls no more than `limit` succeed.
    async fn insert_session(
        &mut self,
        session: &Session,
        limit: Option<u32>,
    ) -> Result<Inserted, StoreError>;

    /// Replaces rows, each conditional on the stored version being one less than the new row's.
    ///
    /// All or nothing: [`StoreError::Conflict`] if any row has changed or is gone, and then the
    /// transaction must be dropped. [`StoreError::Duplicate`] if a new name is taken.
    async fn save_sessions(&mut self, rows: &[Session]) -> Result<(), StoreError>;

    /// Deletes the row if its version is still `version`; else [`StoreError::Conflict`]. Notes that what is
    /// stored of the session is to be erased, until [`SessionRepo::note_erased`] removes the note.
    async fn delete_session(&mut self, id: SessionId, version: u64) -> Result<(), StoreError>;

    /// Returns sessions that were deleted before `before` and are still to be erased, oldest first, at most
    /// `limit`.
    async fn sessions_to_erase(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Lets a deleted session that is still to be erased count as deleted now, so that others come first.
    async fn postpone_erasure(&mut self, id: SessionId) -> Result<(), StoreError>;

    /// Notes that nothing is stored of a deleted session any more. Idempotent.
    async fn note_erased(&mut self, id: SessionId) -> Result<(), StoreError>;

    /// Claims up to `limit` rows that are due: moves `due_at` to `until`, or to the row's deadline if
    /// that is later than now and earlier than `until`, leaves `version` alone and returns the rows.
    ///
    /// Rows that another transaction is claiming are skipped, so concurrent claimers share the work.
    /// Order: `due_at`, then linked sessions first, then higher priority, then older.
    async fn claim_due_sessions(
        &mut self,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;

    /// Returns the earliest `due_at` of all rows; none if no row has one.
    async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError>;

    /// Sets `due_at` to now for up to `count` rows in `WAITING` that are due later and may be started, which is
    /// not before `not_before`: linked ones first, then by priority and age. Returns how many rows it changed.
    ///
    /// It waits for whoever is writing such a row, and bumps `version`, so that nobody who has read a row before
    /// puts it back to sleep. Up to `count` rows that are due already are held until the transaction ends: whoever
    /// is about to put one of them to sleep does so afterwards, and can see what this transaction has freed.
    async fn wake_waiting(&mut self, count: u32) -> Result<u32, StoreError>;

    /// Returns every session that `owner` holds, in id order, locked until the transaction ends.
    async fn lock_sessions_of(&mut self, owner: &Owner) -> Result<Vec<Session>, StoreError>;

    /// Returns every session that `owner` holds, in id order, without a lock.
    async fn sessions_of(&mut self, owner: &Owner) -> Result<Vec<Session>, StoreError>;

    /// Returns every session that `owner` holds, in id order, with no more of each than a heartbeat needs.
    async fn held_by(&mut self, owner: &Owner) -> Result<Vec<HeldRow>, StoreError> {
        let rows = self.sessions_of(owner).await?;
        Ok(rows.iter().filter_map(HeldRow::of).collect())
    }

    /// Returns how many sessions of `tenant` each worker holds.
    async fn tenant_spread(
        &mut self,
        tenant: TenantId,
    ) -> Result<BTreeMap<WorkerId, u32>, StoreError>;
}

/// Which of a tenant's sessions to list. A field that is none does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only those with this status.
    pub status: Option<Status>,
    /// Only this session, for a credential that is restricted to it.
    pub only: Option<SessionId>,
}

/// What a tenant knows a session by: id, name and metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct CardLabel {
    /// The id of the session, which never changes.
    pub id: SessionId,
    pub name: SessionName,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, serde_json::Value>,
}

/// Keeps sessions as their tenant sees them: its *cards*.
#[async_trait]
pub trait CardRepo: Send {
    /// Returns the tenant's session of that id or name.
    async fn card(
        &mut self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<Session>, StoreError>;

    /// Returns the tenant's sessions in id order after `after`, at most `limit`.
    async fn cards(
        &mut self,
        tenant: TenantId,
        filter: &SessionFilter,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;

    /// Returns the labels of those of the sessions that the tenant has, in any order.
    async fn card_labels(
        &mut self,
        tenant: TenantId,
        ids: &[SessionId],
    ) -> Result<Vec<CardLabel>, StoreError>;

    /// Returns whether the tenant has a session of that name.
    async fn card_name_taken(
        &mut self,
        tenant: TenantId,
        name: &SessionName,
    ) -> Result<bool, StoreError>;

    /// Returns assignments of the tenant's session, newest first, below epoch `before`, at most `limit`.
    async fn card_placements(
        &mut self,
        tenant: TenantId,
        session: SessionId,
        before: Option<Epoch>,
        limit: u32,
    ) -> Result<Vec<Placement>, StoreError>;
}

/// An assignment of a session to a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub session: SessionId,
    pub tenant: TenantId,
    /// The epoch that began with the assignment.
    pub epoch: Epoch,
    /// The run of a worker that the session was assigned to.
    pub owner: Owner,
    /// What made the assignment necessary.
    pub why: Reason,
    /// The balancer's explanation of its choice, as JSON.
    pub explanation: serde_json::Value,
    pub placed_at: Timestamp,
    /// When the owner let go or was fenced, and why.
    pub ended: Option<(Timestamp, String)>,
}

/// Keeps the history of assignments. Reports of former owners are checked against it.
#[async_trait]
pub trait PlacementRepo: Send {
    /// Stores an assignment. One per (session, epoch); a second one is [`StoreError::Duplicate`].
    async fn insert_placement(&mut self, placement: &Placement) -> Result<(), StoreError>;

    /// Notes the end of assignments; those already ended keep their first end.
    async fn end_placements(
        &mut self,
        ended: &[(SessionId, Epoch)],
        at: Timestamp,
        why: &str,
    ) -> Result<(), StoreError>;

    /// Returns the assignment of a session at an epoch, or none.
    async fn placement(
        &mut self,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<Option<Placement>, StoreError>;
}
