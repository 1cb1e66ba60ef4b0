//! Where workers and their leases are kept.

use std::time::Duration;

use async_trait::async_trait;

use super::{Death, Lease, Worker, WorkerLoad, WorkerReport, WorkerStatus, WorkerView};
use crate::id::WorkerId;
use crate::session::Owner;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Keeps the rows of workers.
#[async_trait]
pub trait WorkerRepo: Send {
    /// Returns the worker, or none.
    async fn worker(&mut self, id: &WorkerId) -> Result<Option<Worker>, StoreError>;

    /// Returns the worker, locked until the transaction ends, or none.
    ///
    /// Taken before any session is locked, so that placement and fencing never deadlock.
    async fn lock_worker(&mut self, id: &WorkerId) -> Result<Option<Worker>, StoreError>;

    /// Returns every worker but the removed ones, in id order, with the lease of its newest incarnation.
    async fn workers(&mut self) -> Result<Vec<WorkerView>, StoreError>;

    /// Returns workers whose row changed at or after `since`, removed ones too, in id order, with the lease
    /// of their newest incarnation. [`crate::change::ChangeRepo`] says what counts as a change.
    async fn workers_changed_since(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<WorkerView>, StoreError>;

    /// Returns the moving part of every worker whose newest incarnation has a lease that is not fenced, in
    /// id order.
    async fn worker_loads(&mut self) -> Result<Vec<WorkerLoad>, StoreError>;

    /// Returns the worker at this base URL that is not removed, offline or pending, or none.
    async fn worker_at(&mut self, endpoint: &str) -> Result<Option<Worker>, StoreError>;

    /// Stores a new slot. [`StoreError::Duplicate`] if the id is known.
    async fn insert_worker(&mut self, worker: &Worker) -> Result<(), StoreError>;

    /// Replaces the row, but for `assigned`, if the stored `row_version` is one less than the new
    /// one's; else [`StoreError::Conflict`].
    async fn save_worker(&mut self, worker: &Worker) -> Result<(), StoreError>;

    /// Sets the status if the stored one is `from`, and bumps `row_version`. Returns whether it did.
    async fn shift_worker(
        &mut self,
        id: &WorkerId,
        from: WorkerStatus,
        to: WorkerStatus,
    ) -> Result<bool, StoreError>;

    /// Takes one of the worker's session slots in one conditional write. Returns whether it did.
    ///
    /// Succeeds only while the owner is the newest incarnation of an `ACTIVE` worker that is neither cordoned nor
    /// stuck and has `assigned < max_sessions`. Over all replicas a worker never gets more than `max_sessions`.
    async fn reserve_slot(&mut self, owner: &Owner) -> Result<bool, StoreError>;

    /// Gives back `count` of the worker's session slots; the count never falls below zero.
    async fn release_slots(&mut self, id: &WorkerId, count: u32) -> Result<(), StoreError>;
}

/// Keeps the leases of worker incarnations.
#[async_trait]
pub trait LeaseRepo: Send {
    /// Stores the lease of a new incarnation. [`StoreError::Duplicate`] if the incarnation ever had one:
    /// none is used twice.
    async fn insert_lease(&mut self, lease: &Lease) -> Result<(), StoreError>;

    /// Returns the lease of an incarnation, or none.
    async fn lease(&mut self, owner: &Owner) -> Result<Option<Lease>, StoreError>;

    /// Returns every lease that is not fenced, in order of worker and incarnation.
    async fn open_leases(&mut self) -> Result<Vec<Lease>, StoreError>;

    /// Renews the lease as [`Lease::renew`] does, if `owner` is its worker's newest incarnation and the lease
    /// is neither fenced nor disowned. Returns the new count, or none if the renewal is refused.
    async fn renew_lease(
        &mut self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<u64>, StoreError>;

    /// Lets the lease run out: no renewal of it succeeds any more.
    async fn disown_lease(&mut self, owner: &Owner) -> Result<(), StoreError>;

    /// Fences the incarnation. Returns whether this very call did: an incarnation is fenced once.
    ///
    /// A death by silence is conditional on the renewal count that was seen.
    async fn fence_lease(&mut self, death: &Death) -> Result<bool, StoreError>;
}
