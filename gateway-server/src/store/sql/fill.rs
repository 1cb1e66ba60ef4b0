//! What fills caches, in one statement each: rows of several tables, side by side.

use async_trait::async_trait;
use gateway_core::fill::{FillRepo, KeyFill, LoginFill, RouteFill, without_tier};
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::session::SessionRef;
use gateway_core::store::StoreError;
use gateway_core::tenant::{Tenant, Tier};
use gateway_core::worker::Worker;

use super::key::{KEYS, KeyRow};
use super::session::{SESSIONS, SessionRow};
use super::table::{Joined, Outer};
use super::tenant::{TENANTS, TIERS, TenantRow, TierRow};
use super::text::{Part, sql};
use super::tx::{Sql, Tx};
use super::types::{Id, Time};
use super::user::{STANDINGS, StandingRow};
use super::worker::{WORKERS, WorkerRow};

const KEY: Sql = sql!["SELECT " {KEYS.columns_of("k")} ", " {TENANTS.columns_of("t")} ", "
    {TIERS.columns_of("r")} ", " {Part::Now(2)} " FROM api_keys AS k
    JOIN tenants AS t ON t.id = k.tenant_id LEFT JOIN tiers AS r ON r.name = t.tier
    WHERE k.hash = $1"];

const LOGIN: Sql = sql!["SELECT " {STANDINGS.columns_of("u")} ", " {TENANTS.columns_of("t")} ", "
    {TIERS.columns_of("r")} " FROM users AS u
    JOIN tenants AS t ON t.id = u.tenant_id LEFT JOIN tiers AS r ON r.name = t.tier
    WHERE u.tenant_id = $1 AND u.id = $2 AND EXISTS (SELECT 1 FROM logins AS l
        WHERE l.id = $3 AND l.tenant_id = $1 AND l.user_id = $2 AND l.ended_at IS NULL)"];

const ROUTE_BY_ID: Sql = sql!["SELECT " {SESSIONS.columns_of("s")} ", " {WORKERS.columns_of("w")}
    " FROM sessions AS s LEFT JOIN workers AS w ON w.id = s.worker_id
    WHERE s.tenant_id = $1 AND s.id = $2"];

const ROUTE_BY_NAME: Sql = sql!["SELECT " {SESSIONS.columns_of("s")} ", " {WORKERS.columns_of("w")}
    " FROM sessions AS s LEFT JOIN workers AS w ON w.id = s.worker_id
    WHERE s.tenant_id = $1 AND s.name = $2 AND NOT s.is_leaving"];

/// A tenant and, if it is there, its plan.
fn plan(tenant: TenantRow, tier: Outer<TierRow>) -> Result<(Tenant, Tier), StoreError> {
    let tenant = Tenant::try_from(tenant)?;
    let tier = tier.0.ok_or_else(|| without_tier(&tenant))?;
    Ok((tenant, Tier::try_from(tier)?))
}

/// A session and the worker that its row names.
type RouteRow = Joined<(SessionRow, Outer<WorkerRow>)>;

#[async_trait]
impl FillRepo for Tx {
    async fn fill_key(&mut self, hash: &[u8; 32]) -> Result<Option<KeyFill>, StoreError> {
        let query = self.query(KEY).bind(hash.as_slice()).stamp();
        let row: Option<Joined<(KeyRow, TenantRow, Outer<TierRow>, Time)>> =
            query.optional().await?;
        let Some(Joined((key, tenant, tier, now))) = row else {
            return Ok(None);
        };
        let (tenant, tier) = plan(tenant, tier)?;
        Ok(Some(KeyFill {
            key: key.try_into()?,
            tenant,
            tier,
            now: now.0,
        }))
    }

    async fn fill_login(
        &mut self,
        tenant: TenantId,
        user: UserId,
        family: TokenFamilyId,
    ) -> Result<Option<LoginFill>, StoreError> {
        let row: Option<Joined<(StandingRow, TenantRow, Outer<TierRow>)>> = self
            .query(LOGIN)
            .bind(Id(tenant.as_u128()))
            .bind(Id(user.as_u128()))
            .bind(Id(family.as_u128()))
            .optional()
            .await?;
        let Some(Joined((user, tenant, tier))) = row else {
            return Ok(None);
        };
        let (tenant, tier) = plan(tenant, tier)?;
        let user = user.try_into()?;
        Ok(Some(LoginFill { user, tenant, tier }))
    }

    async fn fill_route(
        &mut self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<RouteFill>, StoreError> {
        let tenant = Id(tenant.as_u128());
        let row: Option<RouteRow> = match reference {
            SessionRef::Id(id) => {
                let query = self.query(ROUTE_BY_ID).bind(tenant);
                query.bind(Id(id.as_u128())).optional().await?
            }
            SessionRef::Name(name) => {
                let query = self.query(ROUTE_BY_NAME).bind(tenant);
                query.bind(name.as_str()).optional().await?
            }
        };
        let Some(Joined((session, worker))) = row else {
            return Ok(None);
        };
        Ok(Some(RouteFill {
            session: session.try_into()?,
            worker: worker.0.map(Worker::try_from).transpose()?,
        }))
    }
}
