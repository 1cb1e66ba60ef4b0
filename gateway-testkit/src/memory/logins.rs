//! Logins and refresh tokens.

use async_trait::async_trait;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::{Login, LoginRepo, RefreshToken, RefreshUse};
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;

use super::tx::MemoryTx;

fn is_live(row: &Login, tenant: TenantId) -> bool {
    row.tenant == tenant && row.ended_at.is_none()
}

#[async_trait]
impl LoginRepo for MemoryTx {
    async fn insert_login(&mut self, login: &Login) -> Result<(), StoreError> {
        self.run(|world, me| {
            let row = login.clone();
            world.logins.insert(me, &login.id, row, Unique::LoginId)
        })
        .await
    }

    async fn extend_login(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let extend = |row: &mut Login| row.expires_at = expires_at;
            let live = |row: &Login| is_live(row, tenant);
            world.logins.update(me, &login, live, extend)
        })
        .await
    }

    async fn end_login(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let end = |row: &mut Login| row.ended_at = Some(now);
            let live = |row: &Login| is_live(row, tenant);
            world.logins.update(me, &login, live, end)
        })
        .await
    }

    async fn end_logins_of(&mut self, tenant: TenantId, user: UserId) -> Result<(), StoreError> {
        let mut seen = None;
        self.run(|world, me| {
            let now = world.now();
            let live = |row: &Login| row.user == user && is_live(row, tenant);
            for login in world.logins.lock_where(me, &mut seen, live)? {
                let end = |row: &mut Login| row.ended_at = Some(now);
                world.logins.update(me, &login, |_| true, end)?;
            }
            Ok(())
        })
        .await
    }

    async fn login_is_live(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let row = world.logins.get(me, &login);
            Ok(row.is_some_and(|row| is_live(row, tenant)))
        })
        .await
    }

    async fn login_for_grant(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        self.run(|world, me| {
            world.logins.lock(me, &login)?;
            let row = world.logins.get(me, &login);
            Ok(row.is_some_and(|row| is_live(row, tenant)))
        })
        .await
    }

    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        self.run(|world, me| {
            let row = token.clone();
            world
                .refresh
                .insert(me, &token.hash, row, Unique::RefreshToken)
        })
        .await
    }

    async fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<RefreshUse, StoreError> {
        self.run(|world, me| {
            let now = world.now();
            let fresh = |row: &&RefreshToken| now < row.expires_at;
            let Some(mut token) = world.refresh.get(me, hash).filter(fresh).cloned() else {
                return Ok(RefreshUse::Invalid);
            };
            let login = world.logins.get(me, &token.family);
            if !login.is_some_and(|login| is_live(login, token.tenant)) {
                return Ok(RefreshUse::Invalid);
            }
            if token.used_at.is_some() {
                return Ok(RefreshUse::Again(token));
            }
            token.used_at = Some(now);
            world.refresh.put(me, hash, token.clone())?;
            Ok(RefreshUse::First(token))
        })
        .await
    }
}
