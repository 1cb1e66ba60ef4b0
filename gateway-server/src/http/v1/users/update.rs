//! `PATCH /users/me`: what is not named stays as it is.

use axum::extract::State;
use garde::Validate;
use gateway_core::store::{StoreError, retry_conflicts};
use gateway_core::user::Email;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accounts::AccountError;
use crate::http::answer::{Answer, Envelope};
use crate::http::extract::{ApiJson, nullable, one_line};
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};
use crate::http::v1::auth::tokens::Profile;
use crate::identity::Person;

/// What is to change.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
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
    request_body = UpdateProfile,
    responses((status = 200, body = Envelope<Profile>))
)]
pub(super) async fn update(
    State(parts): State<ServerParts>,
    person: Person,
    ApiJson(body): ApiJson<UpdateProfile>,
) -> ApiResult<Answer<Profile>> {
    let email = body.email.as_deref().map(Email::parse).transpose();
    let email = email.map_err(|error| Problem::field("email", error.to_string()))?;
    retry_conflicts(3, || write(&parts, &person, &body.name, email.as_ref())).await?;
    super::profile(&parts, &person).await.map(Answer::ok)
}

async fn write(
    parts: &ServerParts,
    person: &Person,
    name: &Option<Option<String>>,
    email: Option<&Email>,
) -> ApiResult<()> {
    let mut tx = parts.store.begin_platform().await?;
    let now = tx.now().await?;
    let mut user = super::row(&mut *tx, person).await?;
    if let Some(name) = name {
        user.name.clone_from(name);
    }
    if let Some(email) = email {
        user.email = email.clone();
    }
    user.updated_at = now;
    user.version += 1;
    match tx.save_user(&user).await {
        Err(StoreError::Duplicate { .. }) => return Err(AccountError::EmailTaken.into()),
        saved => saved?,
    }
    Ok(tx.commit().await?)
}
