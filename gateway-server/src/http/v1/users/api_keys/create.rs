//! `POST /users/me/api-keys`.

use axum::extract::State;
use garde::Validate;
use gateway_core::id::SessionId;
use gateway_core::identity::Scope;
use gateway_core::session::SessionRef;
use gateway_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{CreatedKey, Wish, distinct, in_future, make};
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, one_line};
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};
use crate::identity::Person;

/// What the key is to be.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
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
    State(parts): State<ServerParts>,
    person: Person,
    ApiJson(body): ApiJson<CreateKey>,
) -> ApiResult<Answer<CreatedKey>> {
    let mut tx = parts.store.begin_platform().await?;
    in_future(body.expires_at, tx.now().await?)?;
    if let Some(id) = body.session_id {
        let session = tx.card(person.tenant, &SessionRef::Id(id)).await?;
        session.ok_or_else(|| Problem::field("sessionId", "no such session"))?;
    }
    let wish = Wish {
        name: body.name,
        scopes: body.scopes.map_or_else(|| Scope::ALL.to_vec(), distinct),
        session: body.session_id,
        expires_at: body.expires_at,
    };
    let created = make(&parts, &mut *tx, &person, wish).await?;
    tx.commit().await?;
    Ok(Answer::created(created).message("keep the key: it is not shown again"))
}
