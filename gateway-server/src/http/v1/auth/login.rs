//! `POST /auth/login`: e-mail address and password for a pair of tokens.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{Logins, Password};
use gateway_core::user::Email;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::Login;
use crate::cache::CacheInvalidator;
use crate::config::Secret;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::RequestOrigin;
use crate::http::extract::ApiJson;
use crate::http::problem::{ApiResult, Problem};

/// Who logs in.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    #[garde(length(chars, max = 254))]
    email: String,
    #[garde(custom(at_most_128))]
    #[schema(value_type = String, format = Password)]
    password: Secret,
}

fn at_most_128(password: &Secret, (): &()) -> Result<(), garde::Error> {
    match password.expose().chars().count() {
        0..=128 => Ok(()),
        _ => Err(garde::Error::new("must have at most 128 characters")),
    }
}

/// Log in
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "auth",
    extensions(("x-problems" = json!(["invalid_credentials", "tenant_suspended"]))),
    request_body = Credentials,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn login(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    RequestOrigin(origin): RequestOrigin,
    ApiJson(body): ApiJson<Credentials>,
) -> ApiResult<Answer<Login>> {
    let email = Email::parse(&body.email);
    let email = email.map_err(|error| Problem::field("email", error.to_string()))?;
    let password = Password::new(body.password.expose());
    let done = logins.log_in(&origin, &email, &password).await?;
    Ok(Answer::ok(invalidator.settle(done).await.into()))
}
