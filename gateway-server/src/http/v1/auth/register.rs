//! `POST /auth/register`: a tenant on the smallest plan, and its first user.

use axum::extract::State;
use garde::Validate;
use gateway_core::id::{TenantId, UserId};
use gateway_core::store::PlatformTx;
use gateway_core::tenant::{Tenant, TenantStatus, TierName};
use gateway_core::time::Timestamp;
use gateway_core::user::{Email, Role, User};
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{self, Login, NewPassword};
use crate::app::App;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, one_line};
use crate::http::problem::{ApiResult, Problem};

/// The plan of everybody who registers.
const FIRST_TIER: &str = "BASIC";

/// Who registers.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Register {
    /// Unique over all tenants; compared without regard to case.
    #[garde(length(chars, max = 254))]
    email: String,
    #[garde(custom(NewPassword::check))]
    password: NewPassword,
    /// What the person is called.
    #[garde(inner(length(chars, max = 100), custom(one_line)))]
    name: Option<String>,
    /// What the tenant is called; the address, unless said otherwise.
    #[garde(inner(length(chars, max = 100), custom(one_line)))]
    tenant_name: Option<String>,
}

/// Register
///
/// Makes a tenant and its first user, and logs them in.
#[utoipa::path(
    post,
    path = "/auth/register",
    tag = "auth",
    request_body = Register,
    responses((status = 201, body = Envelope<Login>))
)]
pub(super) async fn register(
    State(app): State<App>,
    ApiJson(body): ApiJson<Register>,
) -> ApiResult<Answer<Login>> {
    let email = Email::parse(&body.email);
    let email = email.map_err(|error| Problem::field("email", error.to_string()))?;
    let hash = app.passwords.hash(body.password.0.clone()).await?;
    let mut tx = app.store.begin_platform().await?;
    let now = tx.now().await?;
    let (tenant, user) = rows(&app, now, body, email, hash)?;
    insert(&mut *tx, &tenant, &user).await?;
    let login = tokens::open(&app, &mut *tx, &user, tenant, None).await?;
    tx.commit().await?;
    Ok(Answer::created(login))
}

fn rows(
    app: &App,
    now: Timestamp,
    body: Register,
    email: Email,
    password_hash: String,
) -> ApiResult<(Tenant, User)> {
    let tenant = Tenant {
        id: TenantId::generate(now, &*app.entropy),
        name: body
            .tenant_name
            .unwrap_or_else(|| email.as_str().to_owned()),
        tier: TierName::parse(FIRST_TIER).map_err(Problem::internal)?,
        status: TenantStatus::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let user = User {
        id: UserId::generate(now, &*app.entropy),
        tenant: tenant.id,
        email,
        name: body.name,
        password_hash,
        role: Role::User,
        token_generation: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        last_login_at: None,
    };
    Ok((tenant, user))
}

async fn insert(tx: &mut dyn PlatformTx, tenant: &Tenant, user: &User) -> ApiResult<()> {
    tx.insert_tenant(tenant).await?;
    Ok(tx.insert_user(user).await?)
}
