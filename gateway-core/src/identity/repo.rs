//! Where API keys and refresh tokens are kept.

use async_trait::async_trait;

use super::ApiKey;
use crate::id::{ApiKeyId, TenantId, TokenFamilyId, UserId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// API keys.
#[async_trait]
pub trait KeyRepo: Send {
    /// The key with that hash, of whatever tenant: only for authentication.
    async fn key_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;

    /// The tenant's key.
    async fn key(&mut self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// The tenant's keys in id order after `after`, revoked ones too, at most `limit`.
    async fn keys(
        &mut self,
        tenant: TenantId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// Stores a new key.
    async fn insert_key(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Sets name, scopes, expiry and revocation of the tenant's key; whether there is one.
    async fn save_key(&mut self, key: &ApiKey) -> Result<bool, StoreError>;

    /// Notes a use.
    async fn touch_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// The row of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Everything that descends from one login.
    pub family: TokenFamilyId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// Of which user.
    pub user: UserId,
    /// From when it is refused.
    pub expires_at: Timestamp,
    /// When it was exchanged.
    pub used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What became of a refresh token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshUse {
    /// It was good and is used up now.
    First(RefreshToken),
    /// It was used before: somebody has a copy. Its whole family is revoked now.
    Again(RefreshToken),
    /// Unknown, revoked or expired.
    Invalid,
}

/// Refresh tokens: they rotate, and a second use revokes the family.
#[async_trait]
pub trait RefreshRepo: Send {
    /// Stores a new token.
    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError>;

    /// Uses a token up, atomically: of any number of concurrent calls exactly one gets
    /// [`RefreshUse::First`].
    async fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<RefreshUse, StoreError>;

    /// Revokes everything that descends from one login.
    async fn revoke_family(
        &mut self,
        tenant: TenantId,
        family: TokenFamilyId,
    ) -> Result<(), StoreError>;

    /// Revokes every token of a user.
    async fn revoke_user_refresh(
        &mut self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<(), StoreError>;

    /// Whether the family has a token that is not revoked: the access tokens of a login end with it.
    async fn family_is_live(
        &mut self,
        tenant: TenantId,
        family: TokenFamilyId,
    ) -> Result<bool, StoreError>;
}
