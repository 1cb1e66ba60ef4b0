//! `POST /auth/logout`: this login ends, its access tokens included.

use std::sync::Arc;

use axum::extract::State;
use gateway_core::account::Logins;

use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
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
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
) -> ApiResult<Answer<Option<String>>> {
    let done = logins.log_out(&actor, person.tenant, person.family).await?;
    invalidator.settle(done).await;
    Ok(Answer::ok(None).message("logged out"))
}
