//! `GET /auth/me`: who the access token belongs to.

use std::sync::Arc;

use axum::extract::State;
use gateway_core::account::Logins;

use super::tokens::Profile;
use crate::http::answer::{Answer, Envelope};
use crate::http::problem::ApiResult;
use crate::http::v1::users;
use crate::identity::Person;

/// Who am I
#[utoipa::path(
    get,
    path = "/auth/me",
    tag = "auth",
    responses((status = 200, body = Envelope<Profile>))
)]
pub(super) async fn me(
    State(logins): State<Arc<Logins>>,
    person: Person,
) -> ApiResult<Answer<Profile>> {
    users::profile(logins.accounts(), &person)
        .await
        .map(Answer::ok)
}
