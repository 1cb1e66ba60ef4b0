//! `POST /users/me/api-keys`.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{Logins, NewKey};
use gateway_core::id::SessionId;
use gateway_core::identity::Scope;
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::CreatedKey;
use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::{ApiJson, one_line};
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// What the key is to be.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CreateApiKey)]
pub(super) struct CreateKey {
    #[garde(length(chars, max = 100), custom(one_line))]
    name: String,
    /// What it may do; without it, everything a key can do.
    #[garde(inner(length(min = 1, max = 100)))]
    scopes: Option<Vec<Scope>>,
    /// From when it is refused; without it, never.
    #[garde(skip)]
    expires_at: Option<Timestamp>,
    /// The only session it may touch.
    #[garde(skip)]
    session_id: Option<SessionId>,
}

/// Make an API key
///
/// The answer has the secret, which is never shown again.
#[utoipa::path(
    post,
    path = "/users/me/api-keys",
    tag = "users",
    request_body = CreateKey,
    responses((status = 201, body = Envelope<CreatedKey>))
)]
pub(super) async fn create(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
    ApiJson(body): ApiJson<CreateKey>,
) -> ApiResult<Answer<CreatedKey>> {
    let new = NewKey {
        name: body.name,
        scopes: body.scopes,
        session: body.session_id,
        expires_at: body.expires_at,
    };
    let accounts = logins.accounts();
    let done = accounts.create_key(&actor, person.tenant, new).await?;
    let issued = invalidator.settle(done).await;
    Ok(Answer::created(issued.into()).message("keep the key: it is not shown again"))
}
