//! `POST /auth/logout`: this login ends, its access tokens included.

use axum::extract::State;

use crate::cache::Ended;
use crate::http::answer::{Answer, Envelope};
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::identity::Person;

/// Log out
///
/// Ends the login that the access token belongs to; other logins go on.
#[utoipa::path(
    post,
    path = "/auth/logout",
    tag = "auth",
    responses((status = 200, body = Envelope<Option<String>>))
)]
pub(super) async fn logout(
    State(parts): State<ServerParts>,
    person: Person,
) -> ApiResult<Answer<Option<String>>> {
    let mut tx = parts.store.begin_platform().await?;
    tx.revoke_family(person.tenant, person.family).await?;
    tx.commit().await?;
    parts
        .invalidator
        .end(person.tenant, Ended::Login(person.family))
        .await;
    Ok(Answer::ok(None).message("logged out"))
}
