//! `POST /users/me/api-keys/{id}/rotate`: a new secret, and a time in which both are good.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{LONGEST_OVERLAP, Logins};
use gateway_core::id::ApiKeyId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::CreatedKey;
use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::problem::ApiResult;
use crate::identity::Person;

const LONGEST: u64 = LONGEST_OVERLAP.as_secs();

/// How long both secrets are good.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    extensions(("x-problems" = json!(["conflict"]))),
    params(("id" = ApiKeyId, Path, description = "The key's id")),
    request_body = RotateKey,
    responses((status = 201, body = Envelope<CreatedKey>))
)]
pub(super) async fn rotate(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
    ApiPath(id): ApiPath<ApiKeyId>,
    ApiJson(body): ApiJson<RotateKey>,
) -> ApiResult<Answer<CreatedKey>> {
    let overlap = Duration::from_secs(body.overlap_seconds);
    let accounts = logins.accounts();
    let done = accounts
        .rotate_key(&actor, person.tenant, id, overlap)
        .await?;
    let issued = invalidator.settle(done).await;
    Ok(Answer::created(issued.into()).message("keep the key: it is not shown again"))
}
