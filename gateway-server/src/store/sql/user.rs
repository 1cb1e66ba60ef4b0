//! Rows of users.

use async_trait::async_trait;
use gateway_core::change::UserStanding;
use gateway_core::id::{TenantId, UserId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use gateway_core::user::{Email, Role, User, UserRepo};

use super::error::expect_rows;
use super::table::table;
use super::text::{FOR_UPDATE, sql};
use super::tx::{Sql, Tx};
use super::types::{Id, Time};

table! {
    /// People who log in.
    USERS = "users";
    UserRow of User, named |row| UserId::from_u128(row.id.0);
    columns {
        id: UserId = id,
        tenant_id: TenantId = tenant,
        email: Email = email,
        name: Option<String> = name,
        password_hash: String = password_hash,
        role: Role = role,
        token_generation: u64 = token_generation,
        version: u64 = version,
        created_at: Timestamp = created_at,
        updated_at: Timestamp = updated_at,
        last_login_at: Option<Timestamp> = last_login_at,
    }
}

table! {
    /// Nothing of a person but what their tokens depend on.
    STANDINGS = "users";
    StandingRow of UserStanding, named |row| UserId::from_u128(row.id.0);
    columns {
        id: UserId = user,
        tenant_id: TenantId = tenant,
        role: Role = role,
        token_generation: u64 = token_generation,
        version: u64 = version,
    }
}

const BY_ID: Sql = sql!["SELECT " {USERS.columns()} " FROM users WHERE id = $2 AND tenant_id = $1"];

const LOCK: Sql = sql!["SELECT " {USERS.columns()} " FROM users
    WHERE id = $2 AND tenant_id = $1" {FOR_UPDATE}];

const BY_EMAIL: Sql = sql!["SELECT " {USERS.columns()} " FROM users WHERE email = $1"];

const CHANGED: Sql = sql!["SELECT " {STANDINGS.columns()} " FROM users WHERE changed_at >= $1"];

const INSERT: Sql = sql!["INSERT INTO users (" {USERS.written()} ", changed_at) VALUES ("
    {USERS.parameters()} ", " {USERS.now()} ")"];

const SAVE: Sql = sql!["UPDATE users SET " {USERS.set_but(&["id", "tenant_id"])} ", changed_at = "
    {USERS.now()} " WHERE id = " {USERS.parameter("id")}
    " AND tenant_id = " {USERS.parameter("tenant_id")}
    " AND version = " {USERS.parameter("version")} " - 1"];

impl Tx {
    pub(super) async fn changed_users(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<UserStanding>, StoreError> {
        let rows: Vec<StandingRow> = self.query(CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(UserStanding::try_from).collect()
    }

    async fn write_user(&mut self, sql: Sql, user: &User) -> Result<u64, StoreError> {
        let query = self.query(sql).row::<UserRow>(user);
        query.stamp().execute().await
    }
}

#[async_trait]
impl UserRepo for Tx {
    async fn user(&mut self, tenant: TenantId, id: UserId) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = self
            .query(BY_ID)
            .bind(Id(tenant.as_u128()))
            .bind(Id(id.as_u128()))
            .optional()
            .await?;
        row.map(User::try_from).transpose()
    }

    async fn lock_user(
        &mut self,
        tenant: TenantId,
        id: UserId,
    ) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = self
            .query(LOCK)
            .bind(Id(tenant.as_u128()))
            .bind(Id(id.as_u128()))
            .optional()
            .await?;
        row.map(User::try_from).transpose()
    }

    async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = self.query(BY_EMAIL).bind(email.as_str()).optional().await?;
        row.map(User::try_from).transpose()
    }

    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError> {
        self.write_user(INSERT, user).await.map(drop)
    }

    async fn save_user(&mut self, user: &User) -> Result<(), StoreError> {
        let changed = self.write_user(SAVE, user).await?;
        expect_rows(changed, 1)
    }
}
