//! Registering, logging in and out.

mod login;
mod logout;
mod me;
mod refresh;
mod register;
pub(in crate::http) mod tokens;

use gateway_core::identity::Access;
use utoipa_axum::routes;

use crate::http::routes::Routes;

/// Returns every route of this group.
pub fn routes() -> Routes {
    Routes::new()
        .add(Access::Public, routes!(register::register))
        .add(Access::Public, routes!(login::login))
        .add(Access::Public, routes!(refresh::refresh))
        .add(Access::User, routes!(logout::logout))
        .add(Access::User, routes!(me::me))
}
