//! `PUT` or `POST /users/me/password`: needs the present one, and ends every login but this one.

use std::sync::Arc;

use axum::extract::State;
use garde::Validate;
use gateway_core::account::{Logins, Password};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::cache::CacheInvalidator;
use crate::config::Secret;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::ApiJson;
use crate::http::problem::ApiResult;
use crate::http::v1::auth::tokens::{Login, NewPassword};
use crate::identity::Person;

/// The present and the next password.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangePassword {
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    current_password: Secret,
    #[garde(custom(NewPassword::check))]
    new_password: NewPassword,
}

/// Change the own password
///
/// Every other login ends. This one goes on with the tokens of the answer.
#[utoipa::path(
    put,
    path = "/users/me/password",
    tag = "users",
    extensions(("x-problems" = json!(["conflict"]))),
    request_body = ChangePassword,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn replace(
    State(logins): State<Arc<Logins>>,
    State(invalidator): State<CacheInvalidator>,
    person: Person,
    Acting(actor): Acting,
    ApiJson(body): ApiJson<ChangePassword>,
) -> ApiResult<Answer<Login>> {
    let current = Password::new(body.current_password.expose());
    let new = body.new_password.parse()?;
    let done = logins
        .change_password(&actor, person.tenant, person.user, &current, &new)
        .await?;
    let opened = invalidator.settle(done).await;
    Ok(Answer::ok(opened.into()).message("every other login has ended"))
}

/// Change the own password
///
/// The same as `PUT`.
#[utoipa::path(
    post,
    path = "/users/me/password",
    tag = "users",
    extensions(("x-problems" = json!(["conflict"]))),
    request_body = ChangePassword,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn change(
    logins: State<Arc<Logins>>,
    invalidator: State<CacheInvalidator>,
    person: Person,
    acting: Acting,
    body: ApiJson<ChangePassword>,
) -> ApiResult<Answer<Login>> {
    replace(logins, invalidator, person, acting, body).await
}
