//! Rows of refresh tokens: hashes that are used up once.
//!
//! Using one is a single conditional update, so of any number of concurrent calls one gets it. Whoever
//! comes second with a used token shows that somebody has a copy, and the whole family ends.

use std::collections::BTreeSet;

use async_trait::async_trait;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::{RefreshRepo, RefreshToken, RefreshUse};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::FromRow;

use super::error::corrupt;
use super::tx::Tx;
use super::types::{Id, Time};

macro_rules! columns {
    () => {
        "hash, family_id, tenant_id, user_id, expires_at, used_at, created_at"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO refresh_tokens (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7)"
);

const USE: &str = concat!(
    "UPDATE refresh_tokens SET used_at = $2 \
     WHERE hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $2 RETURNING ",
    columns!()
);

const USED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM refresh_tokens \
     WHERE hash = $1 AND used_at IS NOT NULL AND revoked_at IS NULL AND expires_at > $2"
);

const REVOKE_FAMILY: &str = "UPDATE refresh_tokens SET revoked_at = $3 \
     WHERE tenant_id = $1 AND family_id = $2 AND revoked_at IS NULL";

const REVOKE_USER: &str = "UPDATE refresh_tokens SET revoked_at = $3 \
     WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL";

const REVOKED: &str = "SELECT tenant_id, family_id FROM refresh_tokens WHERE revoked_at >= $1";

const LIVE: &str = "SELECT family_id FROM refresh_tokens \
     WHERE tenant_id = $1 AND family_id = $2 AND revoked_at IS NULL LIMIT 1";

#[derive(FromRow)]
struct RefreshRow {
    hash: Vec<u8>,
    family_id: Id,
    tenant_id: Id,
    user_id: Id,
    expires_at: Time,
    used_at: Option<Time>,
    created_at: Time,
}

impl TryFrom<RefreshRow> for RefreshToken {
    type Error = StoreError;

    fn try_from(row: RefreshRow) -> Result<Self, StoreError> {
        let family = TokenFamilyId::from_u128(row.family_id.0);
        let hash = <[u8; 32]>::try_from(row.hash);
        Ok(Self {
            hash: hash
                .map_err(|_| corrupt("refresh_tokens", &family, "a hash of another length"))?,
            family,
            tenant: TenantId::from_u128(row.tenant_id.0),
            user: UserId::from_u128(row.user_id.0),
            expires_at: row.expires_at.0,
            used_at: row.used_at.map(|at| at.0),
            created_at: row.created_at.0,
        })
    }
}

impl Tx {
    pub(super) async fn revoked_families(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<(TenantId, TokenFamilyId)>, StoreError> {
        let rows: Vec<(Id, Id)> = self.query(REVOKED).bind(Time(since)).all().await?;
        let family = |(tenant, family): (Id, Id)| {
            (
                TenantId::from_u128(tenant.0),
                TokenFamilyId::from_u128(family.0),
            )
        };
        let families: BTreeSet<_> = rows.into_iter().map(family).collect();
        Ok(families.into_iter().collect())
    }

    async fn revoke(
        &mut self,
        sql: &'static str,
        tenant: TenantId,
        whose: u128,
    ) -> Result<(), StoreError> {
        let now = self.moment().await?;
        self.query(sql)
            .bind(Id(tenant.as_u128()))
            .bind(Id(whose))
            .bind(Time(now))
            .execute()
            .await
            .map(drop)
    }
}

#[async_trait]
impl RefreshRepo for Tx {
    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        self.query(INSERT)
            .bind(token.hash.as_slice())
            .bind(Id(token.family.as_u128()))
            .bind(Id(token.tenant.as_u128()))
            .bind(Id(token.user.as_u128()))
            .bind(Time(token.expires_at))
            .bind(token.used_at.map(Time))
            .bind(Time(token.created_at))
            .execute()
            .await
            .map(drop)
    }

    async fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<RefreshUse, StoreError> {
        let now = self.moment().await?;
        let first: Option<RefreshRow> = self
            .query(USE)
            .bind(hash.as_slice())
            .bind(Time(now))
            .optional()
            .await?;
        if let Some(row) = first {
            return Ok(RefreshUse::First(row.try_into()?));
        }
        let again: Option<RefreshRow> = self
            .query(USED)
            .bind(hash.as_slice())
            .bind(Time(now))
            .optional()
            .await?;
        let Some(row) = again else {
            return Ok(RefreshUse::Invalid);
        };
        let token = RefreshToken::try_from(row)?;
        self.revoke_family(token.tenant, token.family).await?;
        Ok(RefreshUse::Again(token))
    }

    async fn revoke_family(
        &mut self,
        tenant: TenantId,
        family: TokenFamilyId,
    ) -> Result<(), StoreError> {
        self.revoke(REVOKE_FAMILY, tenant, family.as_u128()).await
    }

    async fn revoke_user_refresh(
        &mut self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<(), StoreError> {
        self.revoke(REVOKE_USER, tenant, user.as_u128()).await
    }

    async fn family_is_live(
        &mut self,
        tenant: TenantId,
        family: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        let live: Option<(Id,)> = self
            .query(LIVE)
            .bind(Id(tenant.as_u128()))
            .bind(Id(family.as_u128()))
            .optional()
            .await?;
        Ok(live.is_some())
    }
}
