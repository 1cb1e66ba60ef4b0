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

/// How far back a cache looks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// No commit is later than this after the change times in it; the store ends longer transactions.
pub const LONGEST_TRANSACTION: Duration = Duration::from_secs(30);

/// After a longer pause between two looks a cache may have missed something and begins empty. What is
/// left of the window after the longest transaction, with some room for slow answers.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How long a deletion is remembered, at least.
pub const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long after its last renewal a replica counts as there.
pub const REPLICA_LIFE: Duration = Duration::from_secs(30);

/// What a person's access tokens depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserStanding {
    /// Who.
    pub user: UserId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// What they may do.
    pub role: Role,
    /// Tokens of a lower one are refused.
    pub token_generation: u64,
    /// The row's version.
    pub version: u64,
}

/// A row that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deleted {
    /// A session.
    Session(SessionId),
}

/// What changed in a stretch of time. A row stands here in its newest committed form, once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Plans.
    pub tiers: Vec<Tier>,
    /// Tenants.
    pub tenants: Vec<Tenant>,
    /// People.
    pub users: Vec<UserStanding>,
    /// API keys, revoked ones too.
    pub keys: Vec<ApiKey>,
    /// Logins that were ended.
    pub families: Vec<(TenantId, TokenFamilyId)>,
    /// Workers, removed ones too.
    pub workers: Vec<Worker>,
    /// Sessions, with their versions.
    pub sessions: Vec<(SessionId, u64)>,
    /// What is gone. It may be here beside its own last change.
    pub deleted: Vec<Deleted>,
}

/// Reads changes. Crosses tenants by design: what it fills is asked with a credential's own tenant.
#[async_trait]
pub trait ChangeRepo: Send {
    /// What changed at or after `since`, by the store's clock: read [`now`] first and take [`WINDOW`] from
    /// it.
    ///
    /// Every committed write that a cache cares about is in it: a row's making and every saving of it, and
    /// no claim, count of places, renewal of a lease, note of a use or of activity.
    ///
    /// [`now`]: crate::store::OrchestrationTx::now
    async fn changes_since(&mut self, since: Timestamp) -> Result<Changes, StoreError>;

    /// Whole rows of sessions, in id order. Those that are gone are left out, and so are those that
    /// cannot be read: one of them must not keep a cache from all others.
    async fn sessions_by_id(&mut self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError>;
}

/// The replicas that serve on this store.
#[async_trait]
pub trait ReplicaRepo: Send {
    /// Notes that the replica is there, now by the store's clock.
    async fn renew_replica(&mut self, id: ReplicaId) -> Result<(), StoreError>;

    /// How many replicas renewed within [`REPLICA_LIFE`].
    async fn replicas(&mut self) -> Result<u32, StoreError>;

    /// Forgets a replica that stops.
    async fn remove_replica(&mut self, id: ReplicaId) -> Result<(), StoreError>;
}
