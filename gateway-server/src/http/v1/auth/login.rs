//! `POST /auth/login`: e-mail address and password for a pair of tokens.

use axum::extract::State;
use garde::Validate;
use gateway_core::store::retry_conflicts;
use gateway_core::user::{Email, User};
use serde::Deserialize;
use utoipa::ToSchema;

use super::throttle::Attempt;
use super::tokens::{self, Login};
use crate::config::Secret;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::{ClientAddress, active_tenant};
use crate::http::extract::ApiJson;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};

/// Who logs in.
#[derive(Debug, Deserialize, Validate, ToSchema)]
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
    request_body = Credentials,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn login(
    State(parts): State<ServerParts>,
    client: ClientAddress,
    ApiJson(body): ApiJson<Credentials>,
) -> ApiResult<Answer<Login>> {
    let email = Email::parse(&body.email);
    let email = email.map_err(|error| Problem::field("email", error.to_string()))?;
    let attempt = Attempt::begin(&parts, &email, client).await?;
    let user = parts
        .store
        .read_platform()
        .await?
        .user_by_email(&email)
        .await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = parts.passwords.verify(body.password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        attempt.failed().await;
        return Err(wrong());
    };
    attempt.succeeded().await;
    let login = retry_conflicts(3, || enter(&parts, &user)).await?;
    Ok(Answer::ok(login))
}

fn wrong() -> Problem {
    Problem::new(
        Kind::InvalidCredentials,
        "e-mail address and password do not belong together",
    )
}

/// Begins a login of `user`, whose password was checked a moment ago.
async fn enter(parts: &ServerParts, user: &User) -> ApiResult<Login> {
    let mut tx = parts.store.begin_platform().await?;
    let now = tx.now().await?;
    let present = tx.user(user.tenant, user.id).await?;
    let present = present.filter(|present| present.password_hash == user.password_hash);
    let mut present = present.ok_or_else(wrong)?;
    let (tenant, _) = active_tenant(&mut *tx, present.tenant).await?;
    present.last_login_at = Some(now);
    present.version += 1;
    tx.save_user(&present).await?;
    let login = tokens::open(parts, &mut *tx, &present, tenant, None).await?;
    tx.commit().await?;
    Ok(login)
}
