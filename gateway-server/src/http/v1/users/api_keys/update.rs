//! `PATCH /users/me/api-keys/{id}`: what is not named stays as it is.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{KeyPatch, Logins};
use gateway_core::id::ApiKeyId;
use gateway_core::identity::Scope;
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Key;
use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::{ApiJson, ApiPath, nullable, one_line};
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// What is to change.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = UpdateApiKey)]
pub(super) struct UpdateKey {
    #[garde(inner(length(chars, max = 100), custom(one_line)))]
    name: Option<String>,
    #[garde(inner(length(min = 1, max = 100)))]
    scopes: Option<Vec<Scope>>,
    /// `null`: never.
    #[garde(skip)]
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<Option<Timestamp>>,
}

/// Change an API key
///
/// Its secret stays the same.
#[utoipa::path(
    patch,
    path = "/users/me/api-keys/{id}",
    tag = "users",
    extensions(("x-problems" = json!(["conflict"]))),
    params(("id" = ApiKeyId, Path, description = "The key's id")),
    request_body = UpdateKey,
    responses((status = 200, body = Envelope<Key>))
)]
pub(super) async fn update(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
    ApiPath(id): ApiPath<ApiKeyId>,
    ApiJson(body): ApiJson<UpdateKey>,
) -> ApiResult<Answer<Key>> {
    let patch = KeyPatch {
        name: body.name,
        scopes: body.scopes,
        expires_at: body.expires_at,
    };
    let accounts = logins.accounts();
    let done = accounts.update_key(&actor, person.tenant, id, &patch);
    Ok(Answer::ok(invalidator.settle(done.await?).await.into()))
}
