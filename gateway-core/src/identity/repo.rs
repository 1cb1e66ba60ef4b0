//! Where API keys are kept.

use async_trait::async_trait;

use super::ApiKey;
use crate::id::{ApiKeyId, TenantId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Keeps API keys.
#[async_trait]
pub trait KeyRepo: Send {
    /// Returns the key with that hash, of whatever tenant: only for authentication.
    async fn key_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;

    /// Returns the tenant's key of that id, or none.
    async fn key(&mut self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// Returns the tenant's key in its newest committed form and locks the row until this transaction ends.
    async fn lock_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError>;

    /// Returns the tenant's keys in id order after `after`, revoked ones too, at most `limit`.
    async fn keys(
        &mut self,
        tenant: TenantId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// Stores a new key.
    async fn insert_key(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Sets name, scopes, expiry and revocation of the tenant's key. Returns whether the tenant has the
    /// key.
    async fn save_key(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Notes that the key was used at `at`.
    async fn touch_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
