//! Rows of users.

use async_trait::async_trait;
use gateway_core::change::UserStanding;
use gateway_core::id::{TenantId, UserId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use gateway_core::user::{Email, Role, User, UserRepo};
use sqlx::FromRow;

use super::error::{corrupt, expect_rows};
use super::tx::{Sql, Tx};
use super::types::{Count, Id, Time};

macro_rules! columns {
    () => {
        "id, tenant_id, email, name, password_hash, role, token_generation, version, created_at, \
         updated_at, last_login_at"
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM users WHERE id = $2 AND tenant_id = $1"
);

const LOCK: Sql = Sql {
    postgres: concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE id = $2 AND tenant_id = $1 FOR UPDATE"
    ),
    sqlite: BY_ID,
};

const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM users WHERE email = $1");

/// Nothing of a person but what their tokens depend on.
const CHANGED: &str = "SELECT id, tenant_id, role, token_generation, version \
     FROM users WHERE changed_at >= $1";

macro_rules! insert {
    ($now:literal) => {
        concat!(
            "INSERT INTO users (",
            columns!(),
            ", changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ",
            $now,
            ")"
        )
    };
}

const INSERT: Sql = Sql {
    postgres: insert!("clock_timestamp()"),
    sqlite: insert!("$12"),
};

macro_rules! save {
    ($now:literal) => {
        concat!(
            "UPDATE users SET email = $3, name = $4, password_hash = $5, role = $6, \
             token_generation = $7, version = $8, created_at = $9, updated_at = $10, \
             last_login_at = $11, changed_at = ",
            $now,
            " WHERE id = $1 AND tenant_id = $2 AND version = $8 - 1"
        )
    };
}

const SAVE: Sql = Sql {
    postgres: save!("clock_timestamp()"),
    sqlite: save!("$12"),
};

#[derive(FromRow)]
struct UserRow {
    id: Id,
    tenant_id: Id,
    email: String,
    name: Option<String>,
    password_hash: String,
    role: String,
    token_generation: Count,
    version: Count,
    created_at: Time,
    updated_at: Time,
    last_login_at: Option<Time>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let id = UserId::from_u128(row.id.0);
        let role = Role::parse(&row.role);
        Ok(Self {
            id,
            tenant: TenantId::from_u128(row.tenant_id.0),
            email: Email::parse(&row.email).map_err(|why| corrupt("users", &id, &why))?,
            name: row.name,
            password_hash: row.password_hash,
            role: role.ok_or_else(|| corrupt("users", &id, "unknown role"))?,
            token_generation: row.token_generation.0,
            version: row.version.0,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            last_login_at: row.last_login_at.map(|at| at.0),
        })
    }
}

#[derive(FromRow)]
pub(super) struct StandingRow {
    id: Id,
    tenant_id: Id,
    role: String,
    token_generation: Count,
    version: Count,
}

impl TryFrom<StandingRow> for UserStanding {
    type Error = StoreError;

    fn try_from(row: StandingRow) -> Result<Self, StoreError> {
        let user = UserId::from_u128(row.id.0);
        let role = Role::parse(&row.role);
        Ok(Self {
            user,
            tenant: TenantId::from_u128(row.tenant_id.0),
            role: role.ok_or_else(|| corrupt("users", &user, "unknown role"))?,
            token_generation: row.token_generation.0,
            version: row.version.0,
        })
    }
}

impl Tx {
    pub(super) async fn changed_users(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<UserStanding>, StoreError> {
        let rows: Vec<StandingRow> = self.query(CHANGED).bind(Time(since)).all().await?;
        rows.into_iter().map(UserStanding::try_from).collect()
    }

    async fn write_user(&mut self, sql: Sql, user: &User) -> Result<u64, StoreError> {
        self.query(sql)
            .bind(Id(user.id.as_u128()))
            .bind(Id(user.tenant.as_u128()))
            .bind(user.email.as_str())
            .bind(user.name.as_deref())
            .bind(user.password_hash.as_str())
            .bind(user.role.name())
            .bind(Count(user.token_generation))
            .bind(Count(user.version))
            .bind(Time(user.created_at))
            .bind(Time(user.updated_at))
            .bind(user.last_login_at.map(Time))
            .stamp()
            .execute()
            .await
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
