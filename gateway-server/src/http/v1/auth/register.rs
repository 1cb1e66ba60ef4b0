//! `POST /auth/register`: a tenant on the smallest plan, and its first user.

use axum::extract::State;
use garde::Validate;
use gateway_core::tenant::TierName;
use gateway_core::user::{Email, Role};
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{self, Login, NewPassword};
use crate::accounts::{self, NewAccount};
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, one_line};
use crate::http::parts::ServerParts;
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
    State(parts): State<ServerParts>,
    ApiJson(body): ApiJson<Register>,
) -> ApiResult<Answer<Login>> {
    let email = Email::parse(&body.email);
    let email = email.map_err(|error| Problem::field("email", error.to_string()))?;
    let hash = parts.passwords.hash(body.password.0.clone()).await?;
    let account = NewAccount {
        tenant_name: body
            .tenant_name
            .unwrap_or_else(|| email.as_str().to_owned()),
        email,
        name: body.name,
        role: Role::User,
        tier: TierName::parse(FIRST_TIER).map_err(Problem::internal)?,
    };
    let mut tx = parts.store.begin_platform().await?;
    let (tenant, user) = accounts::insert(&mut *tx, &*parts.entropy, account, hash).await?;
    let login = tokens::open(&parts, &mut *tx, &user, tenant, None).await?;
    tx.commit().await?;
    Ok(Answer::created(login))
}
