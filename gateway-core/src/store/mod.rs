//! The transactional store as a port.
//!
//! Two traits, because there are two kinds of user. An embedder who only orchestrates implements
//! [`OrchestrationTx`]: workers, leases, sessions, placements, outbox. The server needs
//! [`PlatformTx`], which adds tenants, users, keys, messages and the event log. Each joins one small
//! repository trait per aggregate.
//!
//! # What every store promises: READ COMMITTED, and no more
//!
//! Between two calls of one transaction others may commit, and a read protects nothing. Therefore
//! every write of something read is conditional on the `version` that was read
//! ([`StoreError::Conflict`] otherwise), and the whole attempt is repeated by [`retry_conflicts`].
//! A transaction that touches workers and sessions writes workers first, each kind in id order.
//! Dropping a transaction rolls it back; nothing slow (HTTP, Redis) happens while one is open.

mod error;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::audit::{AuditReader, AuditRepo};
use crate::change::{ChangeRepo, ReplicaRepo};
use crate::event::{EventRepo, OutboxRepo, SequencerRepo};
use crate::fill::FillRepo;
use crate::identity::{KeyRepo, LoginRepo};
use crate::leader::LeaderRepo;
use crate::message::{AckDeadlineRepo, MessageRepo};
use crate::retention::RetentionRepo;
use crate::session::{CardRepo, Owner, PlacementRepo, SessionRepo};
use crate::tenant::{QuotaRepo, TenantRepo};
use crate::time::Timestamp;
use crate::user::UserRepo;
use crate::worker::{LeaseRepo, Renewed, WorkerRepo, WorkerReport};

pub use error::{AsStoreError, StoreError, Unique, retry_conflicts};

/// A unit of work over everything the orchestrator needs.
#[async_trait]
pub trait OrchestrationTx:
    WorkerRepo + LeaseRepo + SessionRepo + PlacementRepo + OutboxRepo + AuditRepo + Debug + Send
{
    /// Returns the store's present time. Every stored time comes from here.
    async fn now(&mut self) -> Result<Timestamp, StoreError>;

    /// Makes everything durable, or fails and changes nothing.
    ///
    /// [`StoreError::Unavailable`] may mean that the outcome is not known: read again by key.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Joins repositories in one trait, which every type has that has them all.
macro_rules! joined {
    ($(#[$doc:meta])* $name:ident: $($repo:ident)+) => {
        $(#[$doc])*
        pub trait $name: $($repo +)+ {}

        impl<T: $($repo +)+> $name for T {}
    };
}

joined! {
    /// A unit of work over everything the server needs.
    ///
    /// Every method added here that reads tenant data takes the tenant's id and has it in its condition.
    PlatformTx:
        OrchestrationTx CardRepo TenantRepo UserRepo KeyRepo LoginRepo QuotaRepo MessageRepo
        AckDeadlineRepo EventRepo SequencerRepo ChangeRepo ReplicaRepo FillRepo LeaderRepo
        RetentionRepo AuditReader
}

/// The store that an embedder implements.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Opens a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError>;

    /// Opens a read, which takes no lock and waits for no transaction.
    ///
    /// Every call on it sees what is committed by then; two calls have no snapshot in common, so a
    /// caller that needs several rows as of one moment reads them in one call. A call that writes
    /// fails or leaves nothing behind. A read is dropped, never committed.
    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError>;

    /// Renews a lease for as long as `lasts`, as [`LeaseRepo::renew_lease`] does, durably, and returns what its
    /// worker should know; none if the renewal was refused.
    ///
    /// Every worker asks for this every other second, so a store that can answer in one exchange should.
    /// What is held is read no earlier than the call and may be from before the renewal. After
    /// [`StoreError::Unavailable`] it may have been renewed, more than once, too.
    async fn renew(
        &self,
        owner: &Owner,
        lasts: Duration,
        report: &WorkerReport,
    ) -> Result<Option<Renewed>, StoreError> {
        renew_within(self.begin().await?, owner, lasts, report).await
    }
}

/// Does what [`Store::renew`] does in one transaction, step by step.
///
/// # Errors
/// The store fails.
pub async fn renew_within(
    mut tx: Box<dyn OrchestrationTx>,
    owner: &Owner,
    lasts: Duration,
    report: &WorkerReport,
) -> Result<Option<Renewed>, StoreError> {
    if tx.renew_lease(owner, lasts, report).await?.is_none() {
        return Ok(None);
    }
    let Some(worker) = tx.worker(&owner.worker).await? else {
        return Ok(None);
    };
    let holds = tx.held_by(owner).await?;
    tx.commit().await?;
    Ok(Some(Renewed {
        status: worker.status,
        room: worker.max_sessions.saturating_sub(worker.assigned),
        holds,
    }))
}

/// The store that the server needs.
#[async_trait]
pub trait PlatformStore: Store {
    /// Opens a transaction that may write.
    async fn begin_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError>;

    /// Opens a read as [`Store::read`] does, over everything the server needs.
    async fn read_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError>;
}
