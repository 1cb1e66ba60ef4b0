//! Rows of users.

use async_trait::async_trait;
use gateway_core::id::{TenantId, UserId};
use gateway_core::store::StoreError;
use gateway_core::user::{Email, Role, User, UserRepo};
use sqlx::FromRow;

use super::error::{corrupt, expect_rows};
use super::tx::Tx;
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

const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM users WHERE email = $1");

const INSERT: &str = concat!(
    "INSERT INTO users (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
);

const SAVE: &str = "UPDATE users SET email = $3, name = $4, password_hash = $5, role = $6, \
     token_generation = $7, version = $8, created_at = $9, updated_at = $10, last_login_at = $11 \
     WHERE id = $1 AND tenant_id = $2 AND version = $8 - 1";

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

impl Tx {
    async fn write_user(&mut self, sql: &'static str, user: &User) -> Result<u64, StoreError> {
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
