//! `GET /users/me/api-keys`: revoked ones too.

use axum::extract::State;
use gateway_core::id::ApiKeyId;

use super::Key;
use crate::app::App;
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
    State(app): State<App>,
    person: Person,
    page: Page,
) -> ApiResult<Answer<Vec<Key>>> {
    let after: Option<ApiKeyId> = page.after()?;
    let mut tx = app.store.read_platform().await?;
    let rows = tx.keys(person.tenant, after, page.fetch()).await?;
    Ok(Answer::page(
        rows,
        &page,
        |key| key.id.to_string(),
        Key::from,
    ))
}
