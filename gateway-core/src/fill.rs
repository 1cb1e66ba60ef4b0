//! What fills a cache, in one read each.
//!
//! A request that is not known costs as many exchanges with the database as it takes to find out who sends
//! it and where it goes. Each of these finds in one what hangs together; a store that has nothing better
//! gets it step by step.

use async_trait::async_trait;

use crate::change::UserStanding;
use crate::id::{TenantId, TokenFamilyId, UserId};
use crate::identity::{ApiKey, KeyRepo, LoginRepo};
use crate::session::{CardRepo, Session, SessionRef};
use crate::store::{OrchestrationTx, StoreError};
use crate::tenant::{Tenant, TenantRepo, Tier};
use crate::time::Timestamp;
use crate::user::UserRepo;
use crate::worker::Worker;

/// An API key and everything its validity depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFill {
    /// The key; revoked and expired ones, too.
    pub key: ApiKey,
    pub tenant: Tenant,
    pub tier: Tier,
    /// The store's time at the read.
    pub now: Timestamp,
}

/// A login that has not ended, and everything its validity depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginFill {
    pub user: UserStanding,
    pub tenant: Tenant,
    pub tier: Tier,
}

/// A session and the worker that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteFill {
    pub session: Session,
    /// The worker that its row names.
    pub worker: Option<Worker>,
}

/// Reads what caches keep.
#[async_trait]
pub trait FillRepo:
    KeyRepo + TenantRepo + UserRepo + LoginRepo + CardRepo + OrchestrationTx
{
    /// Returns a tenant with its plan.
    async fn plan(&mut self, tenant: TenantId) -> Result<Option<(Tenant, Tier)>, StoreError> {
        let Some(tenant) = self.tenant(tenant).await? else {
            return Ok(None);
        };
        let tier = self.tier(&tenant.tier).await?;
        let tier = tier.ok_or_else(|| without_tier(&tenant))?;
        Ok(Some((tenant, tier)))
    }

    /// Returns the key with that hash, of whatever tenant: only for authentication.
    async fn fill_key(&mut self, hash: &[u8; 32]) -> Result<Option<KeyFill>, StoreError> {
        let now = self.now().await?;
        let Some(key) = self.key_by_hash(hash).await? else {
            return Ok(None);
        };
        let plan = self.plan(key.tenant).await?;
        Ok(plan.map(|(tenant, tier)| KeyFill {
            key,
            tenant,
            tier,
            now,
        }))
    }

    /// Returns the login, if at least one of its refresh tokens is not revoked.
    async fn fill_login(
        &mut self,
        tenant: TenantId,
        user: UserId,
        family: TokenFamilyId,
    ) -> Result<Option<LoginFill>, StoreError> {
        let Some(user) = self.user(tenant, user).await? else {
            return Ok(None);
        };
        if !self.login_is_live(tenant, family).await? {
            return Ok(None);
        }
        let plan = self.plan(tenant).await?;
        let user = UserStanding {
            user: user.id,
            tenant: user.tenant,
            role: user.role,
            token_generation: user.token_generation,
            version: user.version,
        };
        Ok(plan.map(|(tenant, tier)| LoginFill { user, tenant, tier }))
    }

    /// Returns the tenant's session of that id or name, and its worker.
    async fn fill_route(
        &mut self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<RouteFill>, StoreError> {
        let Some(session) = self.card(tenant, reference).await? else {
            return Ok(None);
        };
        let worker = match session.owner() {
            Some(owner) => self.worker(&owner.worker).await?,
            None => None,
        };
        Ok(Some(RouteFill { session, worker }))
    }
}

/// Makes the error of a tenant that names a plan which is not there.
#[must_use]
pub fn without_tier(tenant: &Tenant) -> StoreError {
    StoreError::Corrupt {
        table: "tenants",
        id: tenant.id.to_string(),
        why: format!("no tier {}", tenant.tier),
    }
}
