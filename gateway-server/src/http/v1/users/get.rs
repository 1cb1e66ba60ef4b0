//! `GET /users/me`.

use std::sync::Arc;

use axum::extract::State;
use gateway_core::account::Logins;

use crate::http::answer::{Answer, Envelope};
use crate::http::problem::ApiResult;
use crate::http::v1::auth::tokens::Profile;
use crate::identity::Person;

/// The own profile
#[utoipa::path(
    get,
    path = "/users/me",
    tag = "users",
    responses((status = 200, body = Envelope<Profile>))
)]
pub(super) async fn get(
    State(logins): State<Arc<Logins>>,
    person: Person,
) -> ApiResult<Answer<Profile>> {
    super::profile(logins.accounts(), &person)
        .await
        .map(Answer::ok)
}
