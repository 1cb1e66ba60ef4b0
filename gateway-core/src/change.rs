//! What changed: how caches keep up with the store, and how replicas count themselves.
//!
//! A hint can be lost, so a cache that must obey within seconds asks the store itself: every row
//! that a cache may hold carries the time of its last change by the *store's* clock, taken at the write,
//! and can be asked for by it. A write becomes visible when its transaction commits, which is later than
//! that time but at most [`LONGEST_TRANSACTION`] later; so whoever looks [`WINDOW`] back, and never pauses
//! for longer than [`LONGEST_PAUSE`] between two looks, misses nothing. Looking back a whole minute every
//! two seconds reads a busy minute thirty times; therefore sessions come as (id, version) first, and as
//! whole rows only where the asker says it has an older one.

use std::time::Duration;

use async_trait::async_trait;

use crate::id::{ReplicaId, SessionId, TenantId, TokenFamilyId, UserId};
use crate::identity::ApiKey;
use crate::session::Session;
use crate::store::StoreError;
use crate::tenant::{Tenant, Tier};
use crate::time::Timestamp;
use crate::user::Role;
use crate::worker::Worker;

/// How far back from the store's present time a cache looks for changes.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The longest life of a transaction; the store ends longer ones. So no commit is later than this after the
/// change times in it.
pub const LONGEST_TRANSACTION: Duration = Duration::from_secs(30);

/// The longest pause between two looks after which a cache may be kept; after a longer one it begins empty.
/// It is what is left of the window after the longest transaction, with some room for slow answers.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How long a deletion is remembered at least, so that caches learn of it.
pub const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long after its last renewal a replica counts as running.
pub const REPLICA_LIFE: Duration = Duration::from_secs(30);

/// What the validity of a person's access tokens depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserStanding {
    pub user: UserId,
    pub tenant: TenantId,
    /// What they may do.
    pub role: Role,
    /// The lowest generation of access tokens that is accepted.
    pub token_generation: u64,
    pub version: u64,
}

/// A row that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deleted {
    Session(SessionId),
}

/// What changed in a stretch of time. Every row stands here once, in its newest committed form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub tiers: Vec<Tier>,
    pub tenants: Vec<Tenant>,
    pub users: Vec<UserStanding>,
    /// API keys, revoked ones too.
    pub keys: Vec<ApiKey>,
    /// Logins of which a refresh token was revoked.
    pub families: Vec<(TenantId, TokenFamilyId)>,
    /// Workers, removed ones too.
    pub workers: Vec<Worker>,
    /// Sessions that changed, with their versions.
    pub sessions: Vec<(SessionId, u64)>,
    /// Rows that were deleted. Their last change may stand above as well.
    pub deleted: Vec<Deleted>,
}

/// Reads what changed. Crosses tenants by design: what a cache keeps is only ever asked for with a
/// credential's own tenant.
#[async_trait]
pub trait ChangeRepo: Send {
    /// Returns what changed at or after `since`, by the store's clock: read [`now`] first and take
    /// [`WINDOW`] from it.
    ///
    /// It has every committed write that a cache cares about: every insertion and every saving of a row. It does
    /// not have claims, counts of slots, renewals of leases, and notes of use or activity.
    ///
    /// [`now`]: crate::store::OrchestrationTx::now
    async fn changes_since(&mut self, since: Timestamp) -> Result<Changes, StoreError>;

    /// Returns whole rows of sessions, in id order. Rows that are gone are left out, and so are rows that
    /// cannot be read: one of them must not keep a cache from all others.
    async fn sessions_by_id(&mut self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError>;
}

/// Counts the replicas that serve on this store.
#[async_trait]
pub trait ReplicaRepo: Send {
    /// Notes that the replica is running now, by the store's clock.
    async fn renew_replica(&mut self, id: ReplicaId) -> Result<(), StoreError>;

    /// Returns how many replicas renewed within [`REPLICA_LIFE`].
    async fn replicas(&mut self) -> Result<u32, StoreError>;

    /// Forgets a replica that stops.
    async fn remove_replica(&mut self, id: ReplicaId) -> Result<(), StoreError>;
}
