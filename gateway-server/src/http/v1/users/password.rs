//! `PUT` or `POST /users/me/password`: needs the present one, and ends every login but this one.

use axum::extract::State;
use garde::Validate;
use gateway_core::user::User;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::cache::Ended;
use crate::config::Secret;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::active_tenant;
use crate::http::extract::ApiJson;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};
use crate::http::v1::auth::tokens::{self, Login, NewPassword};
use crate::identity::Person;

/// The present and the next password.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
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
    request_body = ChangePassword,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn replace(
    State(parts): State<ServerParts>,
    person: Person,
    ApiJson(body): ApiJson<ChangePassword>,
) -> ApiResult<Answer<Login>> {
    let user = super::row(&mut *parts.store.read_platform().await?, &person).await?;
    let hash = Some(user.password_hash.clone());
    if !parts.passwords.verify(body.current_password, hash).await? {
        return Err(Problem::field(
            "currentPassword",
            "is not the present password",
        ));
    }
    let hash = parts.passwords.hash(body.new_password.0).await?;
    let login = write(&parts, user, hash).await?;
    Ok(Answer::ok(login).message("every other login has ended"))
}

/// Change the own password
///
/// The same as `PUT`.
#[utoipa::path(
    post,
    path = "/users/me/password",
    tag = "users",
    request_body = ChangePassword,
    responses((status = 200, body = Envelope<Login>))
)]
pub(super) async fn change(
    parts: State<ServerParts>,
    person: Person,
    body: ApiJson<ChangePassword>,
) -> ApiResult<Answer<Login>> {
    replace(parts, person, body).await
}

/// Conditional on the row whose password was checked: of two changes at once, one is refused.
async fn write(parts: &ServerParts, mut user: User, hash: String) -> ApiResult<Login> {
    let mut tx = parts.store.begin_platform().await?;
    user.password_hash = hash;
    user.token_generation += 1;
    user.updated_at = tx.now().await?;
    user.version += 1;
    tx.save_user(&user).await?;
    tx.revoke_user_refresh(user.tenant, user.id).await?;
    let (tenant, _) = active_tenant(&mut *tx, user.tenant).await?;
    let login = tokens::open(parts, &mut *tx, &user, tenant, None).await?;
    tx.commit().await?;
    parts
        .invalidator
        .end(user.tenant, Ended::User(user.id))
        .await;
    Ok(login)
}
