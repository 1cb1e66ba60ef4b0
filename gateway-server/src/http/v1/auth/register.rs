//! `POST /auth/register`: a tenant on the smallest plan, and its first user.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{Logins, NewRegistration};
use gateway_core::user::Email;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{Login, NewPassword};
use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::RequestOrigin;
use crate::http::extract::{ApiJson, one_line};
use crate::http::problem::{ApiResult, Problem};

/// Who registers.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    extensions(("x-problems" = json!(["duplicate", "registration_closed"]))),
    request_body = Register,
    responses((status = 201, body = Envelope<Login>))
)]
pub(super) async fn register(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    RequestOrigin(origin): RequestOrigin,
    ApiJson(body): ApiJson<Register>,
) -> ApiResult<Answer<Login>> {
    let email = Email::parse(&body.email);
    let registration = NewRegistration {
        email: email.map_err(|error| Problem::field("email", error.to_string()))?,
        name: body.name,
        tenant_name: body.tenant_name,
    };
    let password = body.password.parse()?;
    let done = logins.register(&origin, registration, &password);
    Ok(Answer::created(
        invalidator.settle(done.await?).await.into(),
    ))
}
