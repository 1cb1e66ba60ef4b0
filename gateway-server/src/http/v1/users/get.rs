//! `GET /users/me`.

use axum::extract::State;

use crate::http::answer::{Answer, Envelope};
use crate::http::parts::ServerParts;
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
    State(parts): State<ServerParts>,
    person: Person,
) -> ApiResult<Answer<Profile>> {
    super::profile(&parts, &person).await.map(Answer::ok)
}
