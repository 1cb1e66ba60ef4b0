//! `PATCH /users/me`: what is not named stays as it is.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{Logins, ProfilePatch};
use gateway_core::user::Email;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::cache::CacheInvalidator;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::{ApiJson, nullable, one_line};
use crate::http::problem::{ApiResult, Problem};
use crate::http::v1::auth::tokens::Profile;
use crate::identity::Person;

/// What is to change.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateProfile {
    /// `null` removes it.
    #[garde(inner(inner(length(chars, max = 100), custom(one_line))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    #[garde(inner(length(chars, max = 254)))]
    email: Option<String>,
}

/// Change the own profile
#[utoipa::path(
    patch,
    path = "/users/me",
    tag = "users",
    extensions(("x-problems" = json!(["conflict", "duplicate"]))),
    request_body = UpdateProfile,
    responses((status = 200, body = Envelope<Profile>))
)]
pub(super) async fn update(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
    ApiJson(body): ApiJson<UpdateProfile>,
) -> ApiResult<Answer<Profile>> {
    let email = body.email.as_deref().map(Email::parse).transpose();
    let patch = ProfilePatch {
        name: body.name,
        email: email.map_err(|error| Problem::field("email", error.to_string()))?,
    };
    let accounts = logins.accounts();
    let done = accounts
        .update_profile(&actor, person.tenant, person.user, &patch)
        .await?;
    Ok(Answer::ok(invalidator.settle(done).await.into()))
}
