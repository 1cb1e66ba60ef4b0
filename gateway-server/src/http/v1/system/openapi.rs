//! `GET /api/v1/openapi.json`: this API, described.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header;

use crate::config::{Http, PublicUrl};

/// The path of the description.
pub(super) const PATH: &str = "/api/v1/openapi.json";

/// The description of this API
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "system",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object))
)]
pub(super) async fn openapi(State(options): State<Arc<Http>>) -> impl IntoResponse {
    let kind = (header::CONTENT_TYPE, "application/json");
    let kept = (header::CACHE_CONTROL, "max-age=300");
    ([kind, kept], text(server(&options)))
}

/// Returns the address before the paths.
pub(super) fn server(options: &Http) -> &str {
    options.public_url.as_ref().map_or("/", PublicUrl::as_str)
}

fn text(server: &str) -> Bytes {
    // Written once: neither routes nor options change while the program runs.
    static WRITTEN: OnceLock<(String, Bytes)> = OnceLock::new();
    let write = |server: &str| Bytes::from(crate::http::document(server).to_string());
    let (of, text) = WRITTEN.get_or_init(|| (server.to_owned(), write(server)));
    match of == server {
        true => text.clone(),
        false => write(server),
    }
}
