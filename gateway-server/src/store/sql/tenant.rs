//! Rows of tenants and tiers.

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::store::StoreError;
use gateway_core::tenant::{Tenant, TenantRepo, TenantStatus, Tier, TierName};
use gateway_core::time::Timestamp;
use sqlx::FromRow;

use super::error::{corrupt, expect_rows};
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

macro_rules! tier_columns {
    () => {
        "name, sessions, requests_per_hour, webhook_endpoints, history_days, priority"
    };
}

const BY_ID: &str = "SELECT id, name, tier, status, version, created_at, updated_at \
     FROM tenants WHERE id = $1";

const FOR_GRANT: Sql = Sql {
    postgres: "SELECT id, name, tier, status, version, created_at, updated_at \
         FROM tenants WHERE id = $1 FOR SHARE",
    sqlite: BY_ID,
};

const CHANGED: &str = "SELECT id, name, tier, status, version, created_at, updated_at \
     FROM tenants WHERE changed_at >= $1";

const INSERT: Sql = Sql {
    postgres: "INSERT INTO tenants (id, name, tier, status, version, created_at, updated_at, \
         changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())",
    sqlite: "INSERT INTO tenants (id, name, tier, status, version, created_at, updated_at, \
         changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
};

macro_rules! save {
    ($now:literal) => {
        concat!(
            "UPDATE tenants SET name = $2, tier = $3, status = $4, version = $5, \
             created_at = $6, updated_at = $7, changed_at = ",
            $now,
            " WHERE id = $1 AND version = $5 - 1"
        )
    };
}

const SAVE: Sql = Sql {
    postgres: save!("clock_timestamp()"),
    sqlite: save!("$8"),
};

const TIER: &str = concat!("SELECT ", tier_columns!(), " FROM tiers WHERE name = $1");

const TIERS: &str = concat!(
    "SELECT ",
    tier_columns!(),
    " FROM tiers ORDER BY priority, name"
);

const TIERS_CHANGED: &str = concat!(
    "SELECT ",
    tier_columns!(),
    " FROM tiers WHERE changed_at >= $1"
);

macro_rules! put_tier {
    ($now:literal) => {
        concat!(
            "INSERT INTO tiers (",
            tier_columns!(),
            ", changed_at) VALUES ($1, $2, $3, $4, $5, $6, ",
            $now,
            ") ON CONFLICT (name) DO UPDATE SET \
             sessions = excluded.sessions, requests_per_hour = excluded.requests_per_hour, \
             webhook_endpoints = excluded.webhook_endpoints, \
             history_days = excluded.history_days, priority = excluded.priority, \
             changed_at = excluded.changed_at"
        )
    };
}

const PUT_TIER: Sql = Sql {
    postgres: put_tier!("clock_timestamp()"),
    sqlite: put_tier!("$7"),
};

#[derive(FromRow)]
pub(super) struct TenantRow {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) tier: String,
    pub(super) status: String,
    pub(super) version: Count,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

impl TryFrom<TenantRow> for Tenant {
    type Error = StoreError;

    fn try_from(row: TenantRow) -> Result<Self, StoreError> {
        let id = TenantId::from_u128(row.id.0);
        let status = TenantStatus::parse(&row.status);
        Ok(Self {
            id,
            name: row.name,
            tier: TierName::parse(&row.tier).map_err(|why| corrupt("tenants", &id, &why))?,
            status: status.ok_or_else(|| corrupt("tenants", &id, "unknown status"))?,
            version: row.version.0,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

#[derive(FromRow)]
pub(super) struct TierRow {
    pub(super) name: String,
    pub(super) sessions: Count,
    pub(super) requests_per_hour: Count,
    pub(super) webhook_endpoints: Count,
    pub(super) history_days: Count,
    pub(super) priority: Count,
}

impl TryFrom<TierRow> for Tier {
    type Error = StoreError;

    fn try_from(row: TierRow) -> Result<Self, StoreError> {
        let bad = |why: String| corrupt("tiers", &row.name, &why);
        Ok(Self {
            name: TierName::parse(&row.name).map_err(|why| bad(why.to_string()))?,
            sessions: row.sessions.narrow().map_err(bad)?,
            requests_per_hour: row.requests_per_hour.0,
            webhook_endpoints: row.webhook_endpoints.narrow().map_err(bad)?,
            history_days: row.history_days.narrow().map_err(bad)?,
            priority: row.priority.narrow().map_err(bad)?,
        })
    }
}

impl Tx {
    pub(super) async fn changed_tenants(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<Tenant>, StoreError> {
        let rows: Vec<TenantRow> = self.query(CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(Tenant::try_from).collect()
    }

    pub(super) async fn changed_tiers(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<Tier>, StoreError> {
        let rows: Vec<TierRow> = self.query(TIERS_CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(Tier::try_from).collect()
    }

    async fn write_tenant(&mut self, sql: Sql, tenant: &Tenant) -> Result<u64, StoreError> {
        self.query(sql)
            .bind(Id(tenant.id.as_u128()))
            .bind(tenant.name.as_str())
            .bind(tenant.tier.as_str())
            .bind(tenant.status.name())
            .bind(Count(tenant.version))
            .bind(Time(tenant.created_at))
            .bind(Time(tenant.updated_at))
            .stamp()
            .execute()
            .await
    }
}

#[async_trait]
impl TenantRepo for Tx {
    async fn tenant(&mut self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let row: Option<TenantRow> = self.query(BY_ID).bind(Id(id.as_u128())).optional().await?;
        row.map(Tenant::try_from).transpose()
    }

    async fn tenant_for_grant(&mut self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let query = self.query(FOR_GRANT).bind(Id(id.as_u128()));
        let row: Option<TenantRow> = query.optional().await?;
        row.map(Tenant::try_from).transpose()
    }

    async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<(), StoreError> {
        self.write_tenant(INSERT, tenant).await.map(drop)
    }

    async fn save_tenant(&mut self, tenant: &Tenant) -> Result<(), StoreError> {
        let changed = self.write_tenant(SAVE, tenant).await?;
        expect_rows(changed, 1)
    }

    async fn tier(&mut self, name: &TierName) -> Result<Option<Tier>, StoreError> {
        let row: Option<TierRow> = self.query(TIER).bind(name.as_str()).optional().await?;
        row.map(Tier::try_from).transpose()
    }

    async fn tiers(&mut self) -> Result<Vec<Tier>, StoreError> {
        let rows: Vec<TierRow> = self.query(TIERS).all().await?;
        rows.into_iter().map(Tier::try_from).collect()
    }

    async fn put_tier(&mut self, tier: &Tier) -> Result<(), StoreError> {
        self.query(PUT_TIER)
            .bind(tier.name.as_str())
            .bind(Count::from(tier.sessions))
            .bind(Count(tier.requests_per_hour))
            .bind(Count::from(tier.webhook_endpoints))
            .bind(Count::from(tier.history_days))
            .bind(Count(tier.priority.into()))
            .stamp()
            .execute()
            .await
            .map(drop)
    }
}
