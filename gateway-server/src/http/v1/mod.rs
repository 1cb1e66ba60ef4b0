//! The API, version 1: a folder per resource, a file per endpoint.

mod admin;
pub mod auth;
mod events;
mod messages;
mod sessions;
pub mod system;
pub mod users;
mod workers;

use super::routes::Routes;

/// Returns every route below the API's base.
pub fn routes() -> Routes {
    Routes::new()
        .merge(auth::routes())
        .merge(users::routes())
        .merge(sessions::routes())
        .merge(messages::routes())
        .merge(events::routes())
        .merge(workers::routes())
        .merge(admin::routes())
}
