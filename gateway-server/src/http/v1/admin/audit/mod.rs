//! `/admin/audit`: who did what.

mod list;
mod view;

use gateway_core::identity::Access;
use utoipa_axum::routes;

use crate::http::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().add(Access::Admin, routes!(list::list))
}
