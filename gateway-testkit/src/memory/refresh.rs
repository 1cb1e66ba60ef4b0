//! Refresh tokens.

use async_trait::async_trait;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::{RefreshRepo, RefreshToken, RefreshUse};
use gateway_core::store::StoreError;

use super::table::{Halt, Me};
use super::tx::MemoryTx;
use super::world::{Refresh, World};

/// Revokes what `applies`; `seen` as in [`super::table::Table::lock_where`].
fn revoke(
    world: &mut World,
    me: Me,
    seen: &mut Option<Vec<[u8; 32]>>,
    applies: impl Fn(&RefreshToken) -> bool,
) -> Result<(), Halt> {
    let now = world.now();
    let live = |row: &Refresh| row.revoked.is_none() && applies(&row.token);
    for hash in world.refresh.lock_where(me, seen, live)? {
        let end = |row: &mut Refresh| row.revoked = Some(now);
        world.refresh.update(me, &hash, |_| true, end)?;
    }
    Ok(())
}

#[async_trait]
impl RefreshRepo for MemoryTx {
    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        self.run(|world, me| {
            let row = Refresh {
                token: token.clone(),
                revoked: None,
            };
            world
                .refresh
                .insert(me, &token.hash, row, "the refresh token")
        })
        .await
    }

    async fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<RefreshUse, StoreError> {
        let mut seen = None;
        self.run(|world, me| {
            let now = world.now();
            let good = |row: &&Refresh| row.revoked.is_none() && now < row.token.expires_at;
            let Some(row) = world.refresh.get(me, hash).filter(good) else {
                return Ok(RefreshUse::Invalid);
            };
            let mut token = row.token.clone();
            if token.used_at.is_some() {
                let (tenant, family) = (token.tenant, token.family);
                revoke(world, me, &mut seen, |other| {
                    other.tenant == tenant && other.family == family
                })?;
                return Ok(RefreshUse::Again(token));
            }
            token.used_at = Some(now);
            let used = Refresh {
                token: token.clone(),
                revoked: None,
            };
            world.refresh.put(me, hash, used)?;
            Ok(RefreshUse::First(token))
        })
        .await
    }

    async fn revoke_family(
        &mut self,
        tenant: TenantId,
        family: TokenFamilyId,
    ) -> Result<(), StoreError> {
        let mut seen = None;
        self.run(|world, me| {
            revoke(world, me, &mut seen, |token| {
                token.tenant == tenant && token.family == family
            })
        })
        .await
    }

    async fn revoke_user_refresh(
        &mut self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<(), StoreError> {
        let mut seen = None;
        self.run(|world, me| {
            revoke(world, me, &mut seen, |token| {
                token.tenant == tenant && token.user == user
            })
        })
        .await
    }

    async fn family_is_live(
        &mut self,
        tenant: TenantId,
        family: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        self.run(|world, me| {
            let live = |row: &Refresh| {
                row.revoked.is_none() && row.token.tenant == tenant && row.token.family == family
            };
            Ok(world.refresh.rows(me).any(|(_, row)| live(row)))
        })
        .await
    }
}
