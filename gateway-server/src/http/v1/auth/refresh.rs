//! `POST /auth/refresh`: the next pair of tokens.
//!
//! A refresh token is good once. A second use means that somebody has a copy, and nobody can tell who
//! is who, so the whole login ends.

use axum::extract::State;
use garde::Validate;
use gateway_core::identity::RefreshUse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tokens::{self, Login};
use crate::cache::Ended;
use crate::config::Secret;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::active_tenant;
use crate::http::extract::ApiJson;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};

/// The token to exchange.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Refresh)]
pub(super) struct Exchange {
    #[garde(skip)]
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// Exchange a refresh token
///
/// The token is used up. Using it again ends the whole login.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    tag = "auth",
    request_body = Exchange,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn refresh(
    State(parts): State<ServerParts>,
    ApiJson(body): ApiJson<Exchange>,
) -> ApiResult<Answer<Login>> {
    let mut tx = parts.store.begin_platform().await?;
    let token = match tx.use_refresh(&tokens::hash(&body.refresh_token)).await? {
        RefreshUse::First(token) => token,
        RefreshUse::Again(token) => {
            tx.commit().await?;
            parts
                .invalidator
                .end(token.tenant, Ended::Login(token.family))
                .await;
            tracing::warn!(user.id = %token.user, "a refresh token was used twice; its login has ended");
            return Err(ended());
        }
        RefreshUse::Invalid => return Err(ended()),
    };
    let user = tx.user(token.tenant, token.user).await?.ok_or_else(ended)?;
    let (tenant, _) = active_tenant(&mut *tx, user.tenant).await?;
    let login = tokens::open(&parts, &mut *tx, &user, tenant, Some(token.family)).await?;
    tx.commit().await?;
    Ok(Answer::ok(login))
}

fn ended() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "the refresh token is unknown, used, expired or revoked; log in again",
    )
}
