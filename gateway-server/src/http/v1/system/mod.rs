//! Routes about the server itself: health, metrics, and its own description.

mod docs;
mod health;
mod index;
mod metrics;
mod openapi;

use utoipa_axum::routes;

use crate::http::routes::Routes;

pub use docs::docs;
pub use health::{DetailedHealth, FleetHealth, Health, HealthDetails, State};

/// Returns every route of this group. They stand at the root, not below the API's base.
pub fn routes() -> Routes {
    Routes::new()
        .add_probe(routes!(index::index))
        .add_probe(routes!(health::health))
        .add_probe(routes!(health::live))
        .add_watched(routes!(health::ready))
        .add_watched(routes!(health::detailed))
        .add_watched(routes!(metrics::metrics))
        .add_probe(routes!(openapi::openapi))
}
