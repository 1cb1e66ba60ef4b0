//! Rows of API keys: the hash alone, never the key.

use async_trait::async_trait;
use gateway_core::id::{ApiKeyId, SessionId, TenantId};
use gateway_core::identity::{ApiKey, KeyRepo, Scope};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::FromRow;
use sqlx::types::Json;

use super::error::{corrupt, expect_rows};
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

macro_rules! columns {
    () => {
        "id, tenant_id, name, hash, prefix, scopes, session_id, expires_at, revoked_at, \
         last_used_at, version, created_at"
    };
}

const BY_HASH: &str = concat!("SELECT ", columns!(), " FROM api_keys WHERE hash = $1");

const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM api_keys WHERE tenant_id = $1 AND id = $2"
);

const LOCK: Sql = Sql {
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM api_keys WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
    ),
    sqlite: BY_ID,
};

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM api_keys WHERE tenant_id = $1 AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3"
);

const CHANGED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM api_keys WHERE changed_at >= $1"
);

macro_rules! insert {
    ($now:literal) => {
        concat!(
            "INSERT INTO api_keys (",
            columns!(),
            ", changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, ",
            $now,
            ")"
        )
    };
}

const INSERT: Sql = Sql {
    postgres: insert!("clock_timestamp()"),
    sqlite: insert!("$13"),
};

macro_rules! save {
    ($now:literal) => {
        concat!(
            "UPDATE api_keys SET name = $3, scopes = $4, expires_at = $5, revoked_at = $6, \
             version = $7, changed_at = ",
            $now,
            " WHERE id = $1 AND tenant_id = $2 AND version = $7 - 1"
        )
    };
}

const SAVE: Sql = Sql {
    postgres: save!("clock_timestamp()"),
    sqlite: save!("$8"),
};

const TOUCH: &str = "UPDATE api_keys SET last_used_at = $3 \
     WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3)";

#[derive(FromRow)]
pub(super) struct KeyRow {
    id: Id,
    tenant_id: Id,
    name: String,
    hash: Vec<u8>,
    prefix: String,
    scopes: Json<Vec<Scope>>,
    session_id: Option<Id>,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
    last_used_at: Option<Time>,
    version: Count,
    created_at: Time,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let id = ApiKeyId::from_u128(row.id.0);
        let hash = <[u8; 32]>::try_from(row.hash);
        Ok(Self {
            id,
            tenant: TenantId::from_u128(row.tenant_id.0),
            name: row.name,
            hash: hash.map_err(|_| corrupt("api_keys", &id, "a hash of another length"))?,
            prefix: row.prefix,
            scopes: row.scopes.0,
            session: row.session_id.map(|id| SessionId::from_u128(id.0)),
            expires_at: row.expires_at.map(|at| at.0),
            revoked_at: row.revoked_at.map(|at| at.0),
            last_used_at: row.last_used_at.map(|at| at.0),
            version: row.version.0,
            created_at: row.created_at.0,
        })
    }
}

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
        self.query(INSERT)
            .bind(Id(key.id.as_u128()))
            .bind(Id(key.tenant.as_u128()))
            .bind(key.name.as_str())
            .bind(key.hash.as_slice())
            .bind(key.prefix.as_str())
            .bind(Json(&key.scopes))
            .bind(key.session.map(|id| Id(id.as_u128())))
            .bind(key.expires_at.map(Time))
            .bind(key.revoked_at.map(Time))
            .bind(key.last_used_at.map(Time))
            .bind(Count(key.version))
            .bind(Time(key.created_at))
            .stamp()
            .execute()
            .await
            .map(drop)
    }

    async fn save_key(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let changed = self
            .query(SAVE)
            .bind(Id(key.id.as_u128()))
            .bind(Id(key.tenant.as_u128()))
            .bind(key.name.as_str())
            .bind(Json(&key.scopes))
            .bind(key.expires_at.map(Time))
            .bind(key.revoked_at.map(Time))
            .bind(Count(key.version))
            .stamp()
            .execute()
            .await?;
        expect_rows(changed, 1)
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
