//! Rows of API keys: the hash alone, never the key.

use async_trait::async_trait;
use gateway_core::id::{ApiKeyId, SessionId, TenantId};
use gateway_core::identity::{ApiKey, KeyRepo, Scope};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::error::expect_rows;
use super::table::table;
use super::text::{FOR_UPDATE, sql};
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

table! {
    /// Keys of programs.
    KEYS = "api_keys";
    KeyRow of ApiKey, named |row| ApiKeyId::from_u128(row.id.0);
    columns {
        id: ApiKeyId = id,
        tenant_id: TenantId = tenant,
        name: String = name,
        hash: [u8; 32] = hash,
        prefix: String = prefix,
        scopes: Vec<Scope> = scopes,
        session_id: Option<SessionId> = session,
        expires_at: Option<Timestamp> = expires_at,
        revoked_at: Option<Timestamp> = revoked_at,
        last_used_at: Option<Timestamp> = last_used_at,
        version: u64 = version,
        created_at: Timestamp = created_at,
    }
}

const BY_HASH: Sql = sql!["SELECT " {KEYS.columns()} " FROM api_keys WHERE hash = $1"];

const BY_ID: Sql =
    sql!["SELECT " {KEYS.columns()} " FROM api_keys WHERE tenant_id = $1 AND id = $2"];

const LOCK: Sql = sql!["SELECT " {KEYS.columns()} " FROM api_keys
    WHERE tenant_id = $1 AND id = $2" {FOR_UPDATE}];

const PAGE: Sql = sql!["SELECT " {KEYS.columns()} " FROM api_keys
    WHERE tenant_id = $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3"];

const CHANGED: Sql = sql!["SELECT " {KEYS.columns()} " FROM api_keys WHERE changed_at >= $1"];

const INSERT: Sql = sql!["INSERT INTO api_keys (" {KEYS.written()} ", changed_at) VALUES ("
    {KEYS.parameters()} ", " {KEYS.now()} ")"];

/// Whose it is and what it is shown as stays; its use is noted by itself.
const SAVE: Sql = sql!["UPDATE api_keys SET "
    {KEYS.set_but(&["id", "tenant_id", "hash", "prefix", "session_id", "last_used_at", "created_at"])}
    ", changed_at = " {KEYS.now()} " WHERE id = " {KEYS.parameter("id")}
    " AND tenant_id = " {KEYS.parameter("tenant_id")}
    " AND version = " {KEYS.parameter("version")} " - 1"];

const TOUCH: &str = "UPDATE api_keys SET last_used_at = $3 \
     WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3)";

impl Tx {
    pub(super) async fn changed_keys(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<KeyRow> = self.query(CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }
}

#[async_trait]
impl KeyRepo for Tx {
    async fn key_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let row: Option<KeyRow> = self.query(BY_HASH).bind(hash.as_slice()).optional().await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn key(&mut self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let row: Option<KeyRow> = self
            .query(BY_ID)
            .bind(Id(tenant.as_u128()))
            .bind(Id(id.as_u128()))
            .optional()
            .await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn lock_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError> {
        let row: Option<KeyRow> = self
            .query(LOCK)
            .bind(Id(tenant.as_u128()))
            .bind(Id(id.as_u128()))
            .optional()
            .await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn keys(
        &mut self,
        tenant: TenantId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<KeyRow> = self
            .query(PAGE)
            .bind(Id(tenant.as_u128()))
            .bind(after.map(|id| Id(id.as_u128())))
            .bind(Count::from(limit))
            .all()
            .await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn insert_key(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let query = self.query(INSERT).row::<KeyRow>(key);
        query.stamp().execute().await.map(drop)
    }

    async fn save_key(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let query = self.query(SAVE).row::<KeyRow>(key);
        expect_rows(query.stamp().execute().await?, 1)
    }

    async fn touch_key(
        &mut self,
        tenant: TenantId,
        id: ApiKeyId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.query(TOUCH)
            .bind(Id(tenant.as_u128()))
            .bind(Id(id.as_u128()))
            .bind(Time(at))
            .execute()
            .await
            .map(drop)
    }
}
