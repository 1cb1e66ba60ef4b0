//! Tenants, tiers and the count of requests.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::store::{StoreError, Unique};
use gateway_core::tenant::quota::chunk;
use gateway_core::tenant::{Drawn, QuotaRepo, Tenant, TenantRepo, Tier, TierName};
use gateway_core::time::Timestamp;

use super::changes::{Changed, note};
use super::tx::MemoryTx;

const HOUR: Duration = Duration::from_secs(3600);

#[async_trait]
impl TenantRepo for MemoryTx {
    async fn tenant(&mut self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        self.run(|world, me| Ok(world.tenants.get(me, &id).cloned()))
            .await
    }

    async fn tenant_for_grant(&mut self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        self.run(|world, me| {
            world.tenants.lock(me, &id)?;
            Ok(world.tenants.get(me, &id).cloned())
        })
        .await
    }

    async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<(), StoreError> {
        self.run(|world, me| {
            let row = tenant.clone();
            world
                .tenants
                .insert(me, &tenant.id, row, Unique::TenantId)?;
            note(world, me, &Changed::Tenant(tenant.id))
        })
        .await
    }

    async fn save_tenant(&mut self, tenant: &Tenant) -> Result<(), StoreError> {
        self.run(|world, me| {
            let current = |row: &Tenant| row.version + 1 == tenant.version;
            let replace = |row: &mut Tenant| row.clone_from(tenant);
            if world.tenants.update(me, &tenant.id, current, replace)? {
                return note(world, me, &Changed::Tenant(tenant.id));
            }
            Err(StoreError::Conflict.into())
        })
        .await
    }

    async fn tier(&mut self, name: &TierName) -> Result<Option<Tier>, StoreError> {
        self.run(|world, me| Ok(world.tiers.get(me, name).cloned()))
            .await
    }

    async fn tiers(&mut self) -> Result<Vec<Tier>, StoreError> {
        self.run(|world, me| {
            let rows = world.tiers.rows(me).map(|(_, row)| row.clone());
            let mut tiers: Vec<Tier> = rows.collect();
            tiers.sort_by_key(|tier| tier.priority);
            Ok(tiers)
        })
        .await
    }

    async fn put_tier(&mut self, tier: &Tier) -> Result<(), StoreError> {
        self.run(|world, me| {
            world.tiers.put(me, &tier.name, tier.clone())?;
            note(world, me, &Changed::Tier(tier.name.clone()))
        })
        .await
    }

    async fn insert_missing_tier(&mut self, tier: &Tier) -> Result<(), StoreError> {
        self.run(|world, me| {
            world.tiers.lock(me, &tier.name)?;
            if world.tiers.get(me, &tier.name).is_some() {
                return Ok(());
            }
            world.tiers.put(me, &tier.name, tier.clone())?;
            note(world, me, &Changed::Tier(tier.name.clone()))
        })
        .await
    }
}

#[async_trait]
impl QuotaRepo for MemoryTx {
    async fn draw_quota(
        &mut self,
        tenant: TenantId,
        limit: u64,
        replicas: u32,
        next: bool,
    ) -> Result<Drawn, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let ahead = if next { HOUR } else { Duration::ZERO };
            let hour = now.start_of_hour().plus(ahead);
            let key = (tenant, hour);
            world.quotas.lock(me, &key)?;
            let before = world.quotas.get(me, &key).copied().unwrap_or(0);
            let granted = chunk(limit.saturating_sub(before), replicas);
            let total = before + granted;
            world.quotas.put(me, &key, total)?;
            Ok(Drawn {
                hour,
                now,
                granted,
                total,
            })
        })
        .await
    }

    async fn return_quota(
        &mut self,
        tenant: TenantId,
        hour: Timestamp,
        unused: u64,
    ) -> Result<(), StoreError> {
        self.run(|world, me| {
            let give_back = |granted: &mut u64| *granted = granted.saturating_sub(unused);
            world
                .quotas
                .update(me, &(tenant, hour), |_| true, give_back)?;
            Ok(())
        })
        .await
    }
}
