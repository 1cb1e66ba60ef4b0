//! API keys.

use async_trait::async_trait;
use gateway_core::id::{ApiKeyId, TenantId};
use gateway_core::identity::{ApiKey, KeyRepo};
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;

use super::changes::{Changed, note};
use super::tx::MemoryTx;

#[async_trait]
impl KeyRepo for MemoryTx {
    async fn key_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        self.run(|world, me| {
            let mut rows = world.keys.rows(me).map(|(_, row)| row);
            Ok(rows.find(|row| row.hash == *hash).cloned())
        })
        .await
    }

    async fn key(&mut self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.run(|world, me| {
            let row = world.keys.get(me, &id);
            Ok(row.filter(|row| row.tenant == tenant).cloned())
        })
        .await
    }

    async fn lock_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError> {
        self.run(|world, me| {
            let own = |row: &&ApiKey| row.tenant == tenant;
            if world.keys.get(me, &id).filter(own).is_none() {
                return Ok(None);
            }
            world.keys.lock(me, &id)?;
            Ok(world.keys.get(me, &id).filter(own).cloned())
        })
        .await
    }

    async fn keys(
        &mut self,
        tenant: TenantId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        self.run(|world, me| {
            let listed =
                |row: &ApiKey| row.tenant == tenant && after.is_none_or(|after| row.id > after);
            let rows = world.keys.rows(me).map(|(_, row)| row);
            let page = rows.filter(|row| listed(row)).take(limit as usize);
            Ok(page.cloned().collect())
        })
        .await
    }

    async fn insert_key(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run(|world, me| {
            let same = |other: &ApiKey| other.hash == key.hash;
            world.keys.unique(me, &key.id, same, Unique::ApiKey)?;
            world
                .keys
                .insert(me, &key.id, key.clone(), Unique::ApiKeyId)?;
            note(world, me, &Changed::Key(key.id))
        })
        .await
    }

    async fn save_key(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.run(|world, me| {
            let own = |row: &ApiKey| row.tenant == key.tenant && row.version + 1 == key.version;
            let save = |row: &mut ApiKey| {
                row.name.clone_from(&key.name);
                row.scopes.clone_from(&key.scopes);
                row.expires_at = key.expires_at;
                row.revoked_at = key.revoked_at;
                row.version = key.version;
            };
            if world.keys.update(me, &key.id, own, save)? {
                return note(world, me, &Changed::Key(key.id));
            }
            Err(StoreError::Conflict.into())
        })
        .await
    }

    async fn touch_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(|world, me| {
            let own = |row: &ApiKey| row.tenant == tenant;
            let touch = |row: &mut ApiKey| row.last_used_at = row.last_used_at.max(Some(at));
            world.keys.update(me, &id, own, touch)?;
            Ok(())
        })
        .await
    }
}
