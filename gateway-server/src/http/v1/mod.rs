//! The API, version 1: a folder per resource, a file per endpoint.

pub mod auth;
pub mod system;
pub mod users;

use super::routes::Routes;

/// Every route below the API's base.
pub fn routes() -> Routes {
    Routes::new().merge(auth::routes()).merge(users::routes())
}
