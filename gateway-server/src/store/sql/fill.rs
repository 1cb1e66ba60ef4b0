//! What fills caches, in one statement each.
//!
//! Columns of a joined table have names of their own here, because those of two tables meet in one row.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gateway_core::fill::{FillRepo, KeyFill, LoginFill, RouteFill, without_tier};
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::session::{Session, SessionRef};
use gateway_core::store::StoreError;
use gateway_core::tenant::{Tenant, Tier};
use gateway_core::worker::{Engine, Worker};
use sqlx::FromRow;
use sqlx::types::Json;

use super::key::KeyRow;
use super::session::{SessionRow, columns};
use super::tenant::{TenantRow, TierRow};
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};
use super::user::StandingRow;
use super::worker::WorkerRow;

macro_rules! plan_columns {
    () => {
        "t.id AS t_id, t.name AS t_name, t.tier AS t_tier, t.status AS t_status, \
         t.version AS t_version, t.created_at AS t_created_at, t.updated_at AS t_updated_at, \
         r.name AS r_name, r.sessions AS r_sessions, r.requests_per_hour AS r_requests_per_hour, \
         r.webhook_endpoints AS r_webhook_endpoints, r.history_days AS r_history_days, \
         r.priority AS r_priority"
    };
}

macro_rules! key {
    ($now:literal) => {
        concat!(
            "SELECT k.*, ",
            plan_columns!(),
            ", ",
            $now,
            " AS now FROM (SELECT id, tenant_id, name, hash, prefix, scopes, session_id, expires_at, \
             revoked_at, last_used_at, version, created_at FROM api_keys WHERE hash = $1) AS k \
             JOIN tenants AS t ON t.id = k.tenant_id LEFT JOIN tiers AS r ON r.name = t.tier"
        )
    };
}

const KEY: Sql = Sql {
    postgres: key!("clock_timestamp()"),
    sqlite: key!("$2"),
};

const LOGIN: &str = concat!(
    "SELECT u.id, u.tenant_id, u.role, u.token_generation, u.version, ",
    plan_columns!(),
    " FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id LEFT JOIN tiers AS r ON r.name = t.tier \
     WHERE u.tenant_id = $1 AND u.id = $2 AND EXISTS (SELECT 1 FROM logins AS l \
     WHERE l.id = $3 AND l.tenant_id = $1 AND l.user_id = $2 AND l.ended_at IS NULL)"
);

macro_rules! route {
    ($which:literal) => {
        concat!(
            "SELECT s.*, w.id AS w_id, w.status AS w_status, w.cordoned AS w_cordoned, \
             w.endpoint AS w_endpoint, w.incarnation AS w_incarnation, \
             w.max_sessions AS w_max_sessions, w.assigned AS w_assigned, w.version AS w_version, \
             w.environment AS w_environment, w.labels AS w_labels, \
             w.protocol_version AS w_protocol_version, w.engine AS w_engine, \
             w.join_token_hash AS w_join_token_hash, w.row_version AS w_row_version, \
             w.created_at AS w_created_at, w.registered_at AS w_registered_at, \
             w.updated_at AS w_updated_at FROM (SELECT ",
            columns!(),
            " FROM sessions WHERE tenant_id = $1 AND ",
            $which,
            " = $2) AS s LEFT JOIN workers AS w ON w.id = s.worker_id"
        )
    };
}

const ROUTE_BY_ID: &str = route!("id");

const ROUTE_BY_NAME: &str = route!("name");

/// A tenant and, if it is there, its plan.
#[derive(FromRow)]
struct PlanRow {
    t_id: Id,
    t_name: String,
    t_tier: String,
    t_status: String,
    t_version: Count,
    t_created_at: Time,
    t_updated_at: Time,
    r_name: Option<String>,
    r_sessions: Option<Count>,
    r_requests_per_hour: Option<Count>,
    r_webhook_endpoints: Option<Count>,
    r_history_days: Option<Count>,
    r_priority: Option<Count>,
}

impl PlanRow {
    fn parse(self) -> Result<(Tenant, Tier), StoreError> {
        let tier = || {
            Some(TierRow {
                name: self.r_name?,
                sessions: self.r_sessions?,
                requests_per_hour: self.r_requests_per_hour?,
                webhook_endpoints: self.r_webhook_endpoints?,
                history_days: self.r_history_days?,
                priority: self.r_priority?,
            })
        };
        let tier = tier();
        let tenant = Tenant::try_from(TenantRow {
            id: self.t_id,
            name: self.t_name,
            tier: self.t_tier,
            status: self.t_status,
            version: self.t_version,
            created_at: self.t_created_at,
            updated_at: self.t_updated_at,
        })?;
        let tier = tier.ok_or_else(|| without_tier(&tenant))?;
        Ok((tenant, Tier::try_from(tier)?))
    }
}

#[derive(FromRow)]
struct KeyFillRow {
    #[sqlx(flatten)]
    key: KeyRow,
    #[sqlx(flatten)]
    plan: PlanRow,
    now: Time,
}

#[derive(FromRow)]
struct LoginFillRow {
    #[sqlx(flatten)]
    user: StandingRow,
    #[sqlx(flatten)]
    plan: PlanRow,
}

/// The worker that an outer join found, or nothing.
#[derive(FromRow)]
struct JoinedWorker {
    w_id: Option<String>,
    w_status: Option<String>,
    w_cordoned: Option<bool>,
    w_endpoint: Option<String>,
    w_incarnation: Option<String>,
    w_max_sessions: Option<Count>,
    w_assigned: Option<Count>,
    w_version: Option<String>,
    w_environment: Option<String>,
    w_labels: Option<Json<BTreeMap<String, String>>>,
    w_protocol_version: Option<Count>,
    w_engine: Option<Json<Engine>>,
    w_join_token_hash: Option<Vec<u8>>,
    w_row_version: Option<Count>,
    w_created_at: Option<Time>,
    w_registered_at: Option<Time>,
    w_updated_at: Option<Time>,
}

impl JoinedWorker {
    fn row(self) -> Option<WorkerRow> {
        Some(WorkerRow {
            id: self.w_id?,
            status: self.w_status?,
            cordoned: self.w_cordoned?,
            endpoint: self.w_endpoint,
            incarnation: self.w_incarnation,
            max_sessions: self.w_max_sessions?,
            assigned: self.w_assigned?,
            version: self.w_version,
            environment: self.w_environment,
            labels: self.w_labels?,
            protocol_version: self.w_protocol_version?,
            engine: self.w_engine?,
            join_token_hash: self.w_join_token_hash,
            row_version: self.w_row_version?,
            created_at: self.w_created_at?,
            registered_at: self.w_registered_at,
            updated_at: self.w_updated_at?,
        })
    }
}

#[derive(FromRow)]
struct RouteFillRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    worker: JoinedWorker,
}

#[async_trait]
impl FillRepo for Tx {
    async fn fill_key(&mut self, hash: &[u8; 32]) -> Result<Option<KeyFill>, StoreError> {
        let query = self.query(KEY).bind(hash.as_slice()).stamp();
        let Some(row) = query.optional::<KeyFillRow>().await? else {
            return Ok(None);
        };
        let (tenant, tier) = row.plan.parse()?;
        Ok(Some(KeyFill {
            key: row.key.try_into()?,
            tenant,
            tier,
            now: row.now.0,
        }))
    }

    async fn fill_login(
        &mut self,
        tenant: TenantId,
        user: UserId,
        family: TokenFamilyId,
    ) -> Result<Option<LoginFill>, StoreError> {
        let row: Option<LoginFillRow> = self
            .query(LOGIN)
            .bind(Id(tenant.as_u128()))
            .bind(Id(user.as_u128()))
            .bind(Id(family.as_u128()))
            .optional()
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (tenant, tier) = row.plan.parse()?;
        let user = row.user.try_into()?;
        Ok(Some(LoginFill { user, tenant, tier }))
    }

    async fn fill_route(
        &mut self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Result<Option<RouteFill>, StoreError> {
        let tenant = Id(tenant.as_u128());
        let row: Option<RouteFillRow> = match reference {
            SessionRef::Id(id) => {
                let query = self.query(ROUTE_BY_ID).bind(tenant);
                query.bind(Id(id.as_u128())).optional().await?
            }
            SessionRef::Name(name) => {
                let query = self.query(ROUTE_BY_NAME).bind(tenant);
                query.bind(name.as_str()).optional().await?
            }
        };
        let Some(row) = row else { return Ok(None) };
        let worker = row.worker.row().map(Worker::try_from).transpose()?;
        let session = Session::try_from(row.session)?;
        Ok(Some(RouteFill { session, worker }))
    }
}
