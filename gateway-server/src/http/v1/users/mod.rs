//! The own account: profile, password, API keys.

pub mod api_keys;
mod get;
mod password;
mod update;

use gateway_core::identity::Access;
use gateway_core::store::PlatformTx;
use gateway_core::user::User;
use utoipa_axum::routes;

use super::auth::tokens::Profile;
use crate::http::auth::active_tenant;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};
use crate::http::routes::Routes;
use crate::identity::Person;

/// Every route of this group.
pub fn routes() -> Routes {
    Routes::new()
        .add(Access::User, routes!(get::get, update::update))
        .add(Access::User, routes!(password::replace, password::change))
        .merge(api_keys::routes())
}

/// A person as they see themselves.
pub(super) async fn profile(parts: &ServerParts, person: &Person) -> ApiResult<Profile> {
    let mut tx = parts.store.read_platform().await?;
    let user = row(&mut *tx, person).await?;
    let (tenant, _) = active_tenant(&mut *tx, person.tenant).await?;
    Ok(Profile::new(&user, tenant))
}

/// The row of whoever is asking.
async fn row(tx: &mut dyn PlatformTx, person: &Person) -> ApiResult<User> {
    let user = tx.user(person.tenant, person.user).await?;
    user.ok_or_else(|| Problem::not_found("user"))
}
