//! `/admin`: what operators see and do.

mod audit;
mod workers;

use crate::http::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(workers::routes())
        .merge(audit::routes())
}
