//! `POST /auth/refresh`: the next pair of tokens.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{Logins, RefreshSecret};
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::Login;
use crate::cache::CacheInvalidator;
use crate::config::Secret;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::RequestOrigin;
use crate::http::extract::ApiJson;
use crate::http::problem::{ApiResult, Kind, Problem};

/// The token to exchange.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Refresh)]
pub(super) struct Exchange {
    #[garde(skip)]
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// Exchange a refresh token
///
/// The token is used up. Using it again ends the whole login; within 10 seconds it gets another pair.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    tag = "auth",
    extensions(("x-problems" = json!(["unauthorized", "tenant_suspended"]))),
    request_body = Exchange,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn refresh(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    RequestOrigin(origin): RequestOrigin,
    ApiJson(body): ApiJson<Exchange>,
) -> ApiResult<Answer<Login>> {
    let token = RefreshSecret::new(body.refresh_token.expose());
    let done = logins.refresh(&origin, &token).await?;
    let opened = invalidator.settle(done).await.ok_or_else(ended)?;
    Ok(Answer::ok(opened.into()))
}

fn ended() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "the refresh token is unknown, used, expired or revoked; log in again",
    )
}
