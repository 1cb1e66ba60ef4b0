//! Where tenants, tiers and their use of requests are kept.

use async_trait::async_trait;

use super::{Tenant, Tier, TierName};
use crate::id::TenantId;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Keeps tenants and tiers.
#[async_trait]
pub trait TenantRepo: Send {
    /// Returns the tenant, or none.
    async fn tenant(&mut self, id: TenantId) -> Result<Option<Tenant>, StoreError>;

    /// Returns the tenant in its newest committed form and keeps its row from being changed until this
    /// transaction ends.
    ///
    /// Whoever grants a credential takes it, so a suspension is either seen by the grant or waits for it.
    async fn tenant_for_grant(&mut self, id: TenantId) -> Result<Option<Tenant>, StoreError>;

    /// Stores a new tenant.
    async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<(), StoreError>;

    /// Replaces the row if the stored version is one less than the new one; else [`StoreError::Conflict`].
    async fn save_tenant(&mut self, tenant: &Tenant) -> Result<(), StoreError>;

    /// Returns the tier of that name, or none.
    async fn tier(&mut self, name: &TierName) -> Result<Option<Tier>, StoreError>;

    /// Returns all tiers, by priority, then by name.
    async fn tiers(&mut self) -> Result<Vec<Tier>, StoreError>;

    /// Stores a tier or replaces the one of that name.
    async fn put_tier(&mut self, tier: &Tier) -> Result<(), StoreError>;

    /// Stores a tier unless there is one of that name, which stays as it is.
    async fn insert_missing_tier(&mut self, tier: &Tier) -> Result<(), StoreError>;
}

/// What a replica was granted of an hour's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The hour, by the store's clock.
    pub hour: Timestamp,
    /// The store's time of the draw.
    pub now: Timestamp,
    /// How many requests this call granted; 0 when the limit is reached.
    pub granted: u64,
    /// How many all replicas have been granted in this hour, this call included.
    pub total: u64,
}

/// Counts requests, in one row per tenant and hour.
#[async_trait]
pub trait QuotaRepo: Send {
    /// Grants a chunk of the store's present hour, or, with `next`, of the hour after it:
    /// [`super::quota::chunk`] of what remains, by one conditional update (`granted + n <= limit`).
    ///
    /// Over all replicas and crashes, never more than `limit` is granted in an hour.
    async fn draw_quota(
        &mut self,
        tenant: TenantId,
        limit: u64,
        replicas: u32,
        next: bool,
    ) -> Result<Drawn, StoreError>;

    /// Gives back what a replica did not use of an hour, so that others may draw it. The count never falls
    /// below what others were granted.
    async fn return_quota(
        &mut self,
        tenant: TenantId,
        hour: Timestamp,
        unused: u64,
    ) -> Result<(), StoreError>;
}
