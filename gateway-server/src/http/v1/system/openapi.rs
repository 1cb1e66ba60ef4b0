//! `GET /api/v1/openapi.json`: this API, described.

use std::sync::OnceLock;

use axum::response::IntoResponse;
use http::header;

/// The path of the description.
pub(super) const PATH: &str = "/api/v1/openapi.json";

/// The description of this API
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "system",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object))
)]
pub(super) async fn openapi() -> impl IntoResponse {
    // Written once: the routes do not change while the program runs.
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| crate::http::document().to_json().unwrap_or_default());
    let kind = (header::CONTENT_TYPE, "application/json");
    (
        [kind, (header::CACHE_CONTROL, "max-age=300")],
        text.as_str(),
    )
}
