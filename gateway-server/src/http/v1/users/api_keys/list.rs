//! `GET /users/me/api-keys`: revoked ones too.

use std::sync::Arc;

use axum::extract::State;
use gateway_core::account::Logins;
use gateway_core::id::ApiKeyId;

use super::Key;
use crate::http::answer::{Answer, Listed};
use crate::http::page::{Page, PageQuery};
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
    State(logins): State<Arc<Logins>>,
    person: Person,
    page: Page,
) -> ApiResult<Answer<Vec<Key>>> {
    let after: Option<ApiKeyId> = page.after()?;
    let accounts = logins.accounts();
    let rows = accounts.keys(person.tenant, after, page.fetch()).await?;
    Ok(Answer::page(
        rows,
        &page,
        |key| key.id.to_string(),
        Key::from,
    ))
}
