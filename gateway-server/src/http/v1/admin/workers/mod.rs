//! `/admin/workers`: the fleet.

mod add;
mod get;
mod health_check;
mod list;
mod remove;
mod statistics;
mod update;
mod view;

use gateway_core::id::WorkerId;
use gateway_core::identity::Access;
use utoipa_axum::routes;

use crate::http::problem::{ApiResult, Problem};
use crate::http::routes::Routes;

pub(super) fn routes() -> Routes {
    let admin = Access::Admin;
    Routes::new()
        .add(admin, routes!(list::list))
        .add(admin, routes!(add::add))
        .add(admin, routes!(statistics::statistics))
        .add(admin, routes!(health_check::check_all))
        .add(admin, routes!(get::get))
        .add(admin, routes!(update::update))
        .add(admin, routes!(remove::remove))
        .add(admin, routes!(health_check::check_one))
}

/// Parses the worker id in a path. A text that is no id is answered 404: it names no worker.
fn named(text: &str) -> ApiResult<WorkerId> {
    WorkerId::parse(text).map_err(|_| Problem::not_found("worker"))
}
