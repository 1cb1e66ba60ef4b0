//! Rows of logins and of their refresh tokens, of which only hashes are kept.
//!
//! Each change is one conditional update, so of any number of concurrent calls one gets a token's first
//! use, and of a grant and the end of its login one waits for the other.

use async_trait::async_trait;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::{Login, LoginRepo, RefreshToken, RefreshUse};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::FromRow;

use super::error::corrupt;
use super::tx::Tx;
use super::types::{Id, Time};

const INSERT_LOGIN: &str = "INSERT INTO logins \
     (id, tenant_id, user_id, created_at, expires_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6)";

const EXTEND: &str = "UPDATE logins SET expires_at = $3 \
     WHERE id = $2 AND tenant_id = $1 AND ended_at IS NULL";

const END: &str = "UPDATE logins SET ended_at = $3 \
     WHERE id = $2 AND tenant_id = $1 AND ended_at IS NULL";

const END_OF_USER: &str = "UPDATE logins SET ended_at = $3 \
     WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL";

const LIVE: &str = "SELECT id FROM logins WHERE id = $2 AND tenant_id = $1 AND ended_at IS NULL";

const ENDED: &str = "SELECT tenant_id, id FROM logins WHERE ended_at >= $1";

macro_rules! token_columns {
    () => {
        "hash, family_id, tenant_id, user_id, expires_at, used_at, created_at"
    };
}

macro_rules! of_a_live_login {
    () => {
        "hash = $1 AND expires_at > $2 AND EXISTS (SELECT 1 FROM logins AS l \
         WHERE l.id = family_id AND l.tenant_id = refresh_tokens.tenant_id \
         AND l.ended_at IS NULL)"
    };
}

const INSERT_TOKEN: &str = concat!(
    "INSERT INTO refresh_tokens (",
    token_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7)"
);

const USE: &str = concat!(
    "UPDATE refresh_tokens SET used_at = $2 WHERE used_at IS NULL AND ",
    of_a_live_login!(),
    " RETURNING ",
    token_columns!()
);

const USED: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM refresh_tokens WHERE used_at IS NOT NULL AND ",
    of_a_live_login!()
);

#[derive(FromRow)]
struct TokenRow {
    hash: Vec<u8>,
    family_id: Id,
    tenant_id: Id,
    user_id: Id,
    expires_at: Time,
    used_at: Option<Time>,
    created_at: Time,
}

impl TryFrom<TokenRow> for RefreshToken {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
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
    pub(super) async fn ended_logins(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<(TenantId, TokenFamilyId)>, StoreError> {
        let rows: Vec<(Id, Id)> = self.query(ENDED).bind(Time(since)).all().await?;
        let login = |(tenant, login): (Id, Id)| {
            (
                TenantId::from_u128(tenant.0),
                TokenFamilyId::from_u128(login.0),
            )
        };
        let mut logins: Vec<_> = rows.into_iter().map(login).collect();
        logins.sort_unstable();
        Ok(logins)
    }

    /// Runs a statement about logins of a tenant with a time, and returns how many it changed.
    async fn set_logins(
        &mut self,
        sql: &'static str,
        tenant: TenantId,
        which: u128,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        self.query(sql)
            .bind(Id(tenant.as_u128()))
            .bind(Id(which))
            .bind(Time(at))
            .execute()
            .await
    }
}

#[async_trait]
impl LoginRepo for Tx {
    async fn insert_login(&mut self, login: &Login) -> Result<(), StoreError> {
        self.query(INSERT_LOGIN)
            .bind(Id(login.id.as_u128()))
            .bind(Id(login.tenant.as_u128()))
            .bind(Id(login.user.as_u128()))
            .bind(Time(login.created_at))
            .bind(Time(login.expires_at))
            .bind(login.ended_at.map(Time))
            .execute()
            .await
            .map(drop)
    }

    async fn extend_login(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let extended = self.set_logins(EXTEND, tenant, login.as_u128(), expires_at);
        Ok(extended.await? == 1)
    }

    async fn end_login(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        let now = self.moment().await?;
        let ended = self.set_logins(END, tenant, login.as_u128(), now);
        Ok(ended.await? == 1)
    }

    async fn end_logins_of(&mut self, tenant: TenantId, user: UserId) -> Result<(), StoreError> {
        let now = self.moment().await?;
        let ended = self.set_logins(END_OF_USER, tenant, user.as_u128(), now);
        ended.await.map(drop)
    }

    async fn login_is_live(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        let live: Option<(Id,)> = self
            .query(LIVE)
            .bind(Id(tenant.as_u128()))
            .bind(Id(login.as_u128()))
            .optional()
            .await?;
        Ok(live.is_some())
    }

    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        self.query(INSERT_TOKEN)
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
        for (sql, read) in [
            (USE, RefreshUse::First as fn(RefreshToken) -> RefreshUse),
            (USED, RefreshUse::Again),
        ] {
            let query = self.query(sql).bind(hash.as_slice()).bind(Time(now));
            if let Some(row) = query.optional::<TokenRow>().await? {
                return Ok(read(row.try_into()?));
            }
        }
        Ok(RefreshUse::Invalid)
    }
}
