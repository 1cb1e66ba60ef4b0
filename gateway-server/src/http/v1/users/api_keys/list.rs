//! `GET /users/me/api-keys`: revoked ones too.

use axum::extract::State;
use gateway_core::id::ApiKeyId;

use super::Key;
use crate::http::answer::{Answer, Listed};
use crate::http::page::{Page, PageQuery};
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// List the API keys
#[utoipa::path(
    get,
    path = "/users/me/api-keys",
    tag = "users",
    params(PageQuery),
    responses((status = 200, body = Listed<Key>))
)]
pub(super) async fn list(
    State(parts): State<ServerParts>,
    person: Person,
    page: Page,
) -> ApiResult<Answer<Vec<Key>>> {
    let after: Option<ApiKeyId> = page.after()?;
    let mut tx = parts.store.read_platform().await?;
    let rows = tx.keys(person.tenant, after, page.fetch()).await?;
    Ok(Answer::page(
        rows,
        &page,
        |key| key.id.to_string(),
        Key::from,
    ))
}
