//! `DELETE /users/me/api-keys/{id}`: refused from now on. Repeating it changes nothing.

use std::sync::Arc;

use axum::extract::State;
use gateway_core::account::Logins;
use gateway_core::id::ApiKeyId;

use super::Key;
use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::ApiPath;
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// Revoke an API key
#[utoipa::path(
    delete,
    path = "/users/me/api-keys/{id}",
    tag = "users",
    extensions(("x-problems" = json!(["conflict"]))),
    params(("id" = ApiKeyId, Path, description = "The key's id")),
    responses((status = 200, body = Envelope<Key>))
)]
pub(super) async fn revoke(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
    ApiPath(id): ApiPath<ApiKeyId>,
) -> ApiResult<Answer<Key>> {
    let accounts = logins.accounts();
    let done = accounts.revoke_key(&actor, person.tenant, id).await?;
    let key = invalidator.settle(done).await;
    Ok(Answer::ok(key.into()).message("the key is refused from now on"))
}
