//! `DELETE /users/me/api-keys/{id}`: refused from now on. Repeating it changes nothing.

use axum::extract::State;
use gateway_core::id::ApiKeyId;

use super::{Key, row};
use crate::cache::Ended;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::ApiPath;
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// Revoke an API key
#[utoipa::path(
    delete,
    path = "/users/me/api-keys/{id}",
    tag = "users",
    params(("id" = ApiKeyId, Path)),
    responses((status = 200, body = Envelope<Key>))
)]
pub(super) async fn revoke(
    State(parts): State<ServerParts>,
    person: Person,
    ApiPath(id): ApiPath<ApiKeyId>,
) -> ApiResult<Answer<Key>> {
    let mut tx = parts.store.begin_platform().await?;
    let now = tx.now().await?;
    let mut key = row(&mut *tx, &person, id).await?;
    key.revoked_at = key.revoked_at.or(Some(now));
    tx.save_key(&key).await?;
    tx.commit().await?;
    parts
        .invalidator
        .end(key.tenant, Ended::Key(key.hash))
        .await;
    Ok(Answer::ok(key.into()).message("the key is refused from now on"))
}
