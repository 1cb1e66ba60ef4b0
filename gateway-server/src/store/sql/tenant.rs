//! Rows of tenants and tiers.

use async_trait::async_trait;
use gateway_core::id::TenantId;
use gateway_core::store::StoreError;
use gateway_core::tenant::{Tenant, TenantRepo, TenantStatus, Tier, TierName};
use gateway_core::time::Timestamp;

use super::error::expect_rows;
use super::table::table;
use super::text::{FOR_SHARE, sql};
use super::tx::{Sql, Tx};
use super::types::{Id, Time};

table! {
    /// Customers.
    TENANTS = "tenants";
    TenantRow of Tenant, named |row| TenantId::from_u128(row.id.0);
    columns {
        id: TenantId = id,
        name: String = name,
        tier: TierName = tier,
        status: TenantStatus = status,
        version: u64 = version,
        created_at: Timestamp = created_at,
        updated_at: Timestamp = updated_at,
    }
}

table! {
    /// Plans.
    TIERS = "tiers";
    TierRow of Tier, named |row| row.name.clone();
    columns {
        name: TierName = name,
        sessions: u32 = sessions,
        requests_per_hour: u64 = requests_per_hour,
        webhook_endpoints: u32 = webhook_endpoints,
        history_days: u32 = history_days,
        priority: u8 = priority,
    }
}

const BY_ID: Sql = sql!["SELECT " {TENANTS.columns()} " FROM tenants WHERE id = $1"];

const FOR_GRANT: Sql =
    sql!["SELECT " {TENANTS.columns()} " FROM tenants WHERE id = $1" {FOR_SHARE}];

const CHANGED: Sql = sql!["SELECT " {TENANTS.columns()} " FROM tenants WHERE changed_at >= $1"];

const INSERT: Sql = sql!["INSERT INTO tenants (" {TENANTS.written()} ", changed_at) VALUES ("
    {TENANTS.parameters()} ", " {TENANTS.now()} ")"];

const SAVE: Sql = sql!["UPDATE tenants SET " {TENANTS.set_but(&["id"])} ", changed_at = "
    {TENANTS.now()} " WHERE id = " {TENANTS.parameter("id")}
    " AND version = " {TENANTS.parameter("version")} " - 1"];

const TIER: Sql = sql!["SELECT " {TIERS.columns()} " FROM tiers WHERE name = $1"];

const ALL_TIERS: Sql = sql!["SELECT " {TIERS.columns()} " FROM tiers ORDER BY priority, name"];

const TIERS_CHANGED: Sql = sql!["SELECT " {TIERS.columns()} " FROM tiers WHERE changed_at >= $1"];

const PUT_TIER: Sql = sql!["INSERT INTO tiers (" {TIERS.written()} ", changed_at) VALUES ("
    {TIERS.parameters()} ", " {TIERS.now()} ") ON CONFLICT (name) DO UPDATE SET "
    {TIERS.set_from("excluded", &["name"])} ", changed_at = excluded.changed_at"];

const INSERT_MISSING_TIER: Sql = sql!["INSERT INTO tiers (" {TIERS.written()} ", changed_at) VALUES ("
    {TIERS.parameters()} ", " {TIERS.now()} ") ON CONFLICT (name) DO NOTHING"];

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
        let query = self.query(sql).row::<TenantRow>(tenant);
        query.stamp().execute().await
    }

    async fn write_tier(&mut self, sql: Sql, tier: &Tier) -> Result<(), StoreError> {
        let query = self.query(sql).row::<TierRow>(tier);
        query.stamp().execute().await.map(drop)
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
        let rows: Vec<TierRow> = self.query(ALL_TIERS).all().await?;
        rows.into_iter().map(Tier::try_from).collect()
    }

    async fn put_tier(&mut self, tier: &Tier) -> Result<(), StoreError> {
        self.write_tier(PUT_TIER, tier).await
    }

    async fn insert_missing_tier(&mut self, tier: &Tier) -> Result<(), StoreError> {
        self.write_tier(INSERT_MISSING_TIER, tier).await
    }
}
