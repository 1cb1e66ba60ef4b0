//! `GET /auth/me`: who the access token belongs to.

use axum::extract::State;

use super::tokens::Profile;
use crate::http::answer::{Answer, Envelope};
use crate::http::parts::ServerParts;
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
    State(parts): State<ServerParts>,
    person: Person,
) -> ApiResult<Answer<Profile>> {
    users::profile(&parts, &person).await.map(Answer::ok)
}
