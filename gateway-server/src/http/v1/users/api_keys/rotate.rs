//! `POST /users/me/api-keys/{id}/rotate`: a new secret, and a time in which both are good.

use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use gateway_core::id::ApiKeyId;
use gateway_core::identity::ApiKey;
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{CreatedKey, Wish, make, row};
use crate::cache::Ended;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::identity::Person;

const LONGEST: u64 = 7 * 86_400;

/// How long both secrets are good.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RotateApiKey)]
pub(super) struct RotateKey {
    /// 0 (at once) to 604800 (a week).
    #[garde(range(max = LONGEST))]
    #[serde(default)]
    #[schema(maximum = 604_800, default = 0)]
    overlap_seconds: u64,
}

/// Replace an API key
///
/// Makes a key of the same name, scopes, restriction and expiry. The old one is refused after
/// `overlapSeconds`.
#[utoipa::path(
    post,
    path = "/users/me/api-keys/{id}/rotate",
    tag = "users",
    params(("id" = ApiKeyId, Path)),
    request_body = RotateKey,
    responses((status = 201, body = Envelope<CreatedKey>))
)]
pub(super) async fn rotate(
    State(parts): State<ServerParts>,
    person: Person,
    ApiPath(id): ApiPath<ApiKeyId>,
    ApiJson(body): ApiJson<RotateKey>,
) -> ApiResult<Answer<CreatedKey>> {
    let mut tx = parts.store.begin_platform().await?;
    let now = tx.now().await?;
    let old = row(&mut *tx, &person, id).await?;
    if !old.is_valid(now) {
        return Err(Problem::new(
            Kind::Conflict,
            "the key is revoked or expired; make a new one",
        ));
    }
    let wish = Wish {
        name: old.name.clone(),
        scopes: old.scopes.clone(),
        session: old.session,
        expires_at: old.expires_at,
    };
    let created = make(&parts, &mut *tx, &person, wish).await?;
    let old = ending(old, now, Duration::from_secs(body.overlap_seconds));
    tx.save_key(&old).await?;
    tx.commit().await?;
    parts
        .invalidator
        .end(old.tenant, Ended::Key(old.hash))
        .await;
    Ok(Answer::created(created).message("keep the key: it is not shown again"))
}

/// The old key, good for `overlap` more and never longer than it was.
fn ending(mut key: ApiKey, now: Timestamp, overlap: Duration) -> ApiKey {
    let end = now.plus(overlap);
    key.expires_at = Some(key.expires_at.map_or(end, |expiry| expiry.min(end)));
    if overlap.is_zero() {
        key.revoked_at = Some(now);
    }
    key
}
