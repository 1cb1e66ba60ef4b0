//! Rows of logins and of their refresh tokens, of which only hashes are kept.
//!
//! Each change is one conditional update, so of any number of concurrent calls one gets a token's first
//! use, and of a grant and the end of its login one waits for the other.

use async_trait::async_trait;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::{Login, LoginRepo, RefreshToken, RefreshUse};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::table::table;
use super::text::{FOR_SHARE, Part, sql};
use super::tx::{Sql, Tx};
use super::types::{Id, Time};

table! {
    /// Logins.
    LOGINS = "logins";
    LoginRow of Login, named |row| TokenFamilyId::from_u128(row.id.0);
    columns {
        id: TokenFamilyId = id,
        tenant_id: TenantId = tenant,
        user_id: UserId = user,
        created_at: Timestamp = created_at,
        expires_at: Timestamp = expires_at,
        ended_at: Option<Timestamp> = ended_at,
    }
}

table! {
    /// What a login is renewed with.
    TOKENS = "refresh_tokens";
    TokenRow of RefreshToken, named |row| TokenFamilyId::from_u128(row.family_id.0);
    columns {
        hash: [u8; 32] = hash,
        family_id: TokenFamilyId = family,
        tenant_id: TenantId = tenant,
        user_id: UserId = user,
        expires_at: Timestamp = expires_at,
        used_at: Option<Timestamp> = used_at,
        created_at: Timestamp = created_at,
    }
}

const INSERT_LOGIN: Sql = sql!["INSERT INTO logins (" {LOGINS.written()} ") VALUES ("
    {LOGINS.parameters()} ")"];

const EXTEND: &str = "UPDATE logins SET expires_at = $3 \
     WHERE id = $2 AND tenant_id = $1 AND ended_at IS NULL";

const END: &str = "UPDATE logins SET ended_at = $3 \
     WHERE id = $2 AND tenant_id = $1 AND ended_at IS NULL";

const END_OF_USER: &str = "UPDATE logins SET ended_at = $3 \
     WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL";

const IS_LIVE: Part =
    Part::Text("SELECT id FROM logins WHERE id = $2 AND tenant_id = $1 AND ended_at IS NULL");

const LIVE: Sql = sql![{ IS_LIVE }];

const FOR_GRANT: Sql = sql![{IS_LIVE} {FOR_SHARE}];

const ENDED: &str = "SELECT tenant_id, id FROM logins WHERE ended_at >= $1";

const INSERT_TOKEN: Sql = sql!["INSERT INTO refresh_tokens (" {TOKENS.written()} ") VALUES ("
    {TOKENS.parameters()} ")"];

const OF_A_LIVE_LOGIN: Part = Part::Text(
    "hash = $1 AND expires_at > $2 AND EXISTS (SELECT 1 FROM logins AS l \
     WHERE l.id = family_id AND l.tenant_id = refresh_tokens.tenant_id AND l.ended_at IS NULL)",
);

const USE: Sql = sql!["UPDATE refresh_tokens SET used_at = $2 WHERE used_at IS NULL AND "
    {OF_A_LIVE_LOGIN} " RETURNING " {TOKENS.columns()}];

const USED: Sql = sql!["SELECT " {TOKENS.columns()} " FROM refresh_tokens
    WHERE used_at IS NOT NULL AND " {OF_A_LIVE_LOGIN}];

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

    async fn finds_login(
        &mut self,
        sql: Sql,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        let query = self.query(sql).bind(Id(tenant.as_u128()));
        let found: Option<(Id,)> = query.bind(Id(login.as_u128())).optional().await?;
        Ok(found.is_some())
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
        let query = self.query(INSERT_LOGIN).row::<LoginRow>(login);
        query.execute().await.map(drop)
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
        self.finds_login(LIVE, tenant, login).await
    }

    async fn login_for_grant(
        &mut self,
        tenant: TenantId,
        login: TokenFamilyId,
    ) -> Result<bool, StoreError> {
        self.finds_login(FOR_GRANT, tenant, login).await
    }

    async fn insert_refresh(&mut self, token: &RefreshToken) -> Result<(), StoreError> {
        let query = self.query(INSERT_TOKEN).row::<TokenRow>(token);
        query.execute().await.map(drop)
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
