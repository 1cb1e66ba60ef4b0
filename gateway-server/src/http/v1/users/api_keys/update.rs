//! `PATCH /users/me/api-keys/{id}`: what is not named stays as it is.

use axum::extract::State;
use garde::Validate;
use gateway_core::id::ApiKeyId;
use gateway_core::identity::{ApiKey, Scope};
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Key, distinct, in_future, row};
use crate::cache::Ended;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, ApiPath, nullable, one_line};
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// What is to change.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
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
    params(("id" = ApiKeyId, Path)),
    request_body = UpdateKey,
    responses((status = 200, body = Envelope<Key>))
)]
pub(super) async fn update(
    State(parts): State<ServerParts>,
    person: Person,
    ApiPath(id): ApiPath<ApiKeyId>,
    ApiJson(body): ApiJson<UpdateKey>,
) -> ApiResult<Answer<Key>> {
    let mut tx = parts.store.begin_platform().await?;
    in_future(body.expires_at.flatten(), tx.now().await?)?;
    let key = body.apply(row(&mut *tx, &person, id).await?);
    tx.save_key(&key).await?;
    tx.commit().await?;
    parts
        .invalidator
        .end(key.tenant, Ended::Key(key.hash))
        .await;
    Ok(Answer::ok(key.into()))
}

impl UpdateKey {
    fn apply(self, mut key: ApiKey) -> ApiKey {
        key.name = self.name.unwrap_or(key.name);
        key.scopes = self.scopes.map_or(key.scopes, distinct);
        key.expires_at = self.expires_at.unwrap_or(key.expires_at);
        key
    }
}
