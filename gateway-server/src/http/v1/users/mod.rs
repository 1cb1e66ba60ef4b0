//! The own account: profile, password, API keys.

pub mod api_keys;
mod get;
mod password;
mod update;

use gateway_core::account::Accounts;
use gateway_core::identity::Access;
use utoipa_axum::routes;

use super::auth::tokens::Profile;
use crate::http::problem::ApiResult;
use crate::http::routes::Routes;
use crate::identity::Person;

/// Returns every route of this group.
pub fn routes() -> Routes {
    Routes::new()
        .add(Access::User, routes!(get::get, update::update))
        .add(Access::User, routes!(password::replace, password::change))
        .merge(api_keys::routes())
}

/// Returns a person as they see themselves.
pub(super) async fn profile(accounts: &Accounts, person: &Person) -> ApiResult<Profile> {
    Ok(accounts.profile(person.tenant, person.user).await?.into())
}
