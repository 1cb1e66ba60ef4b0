//! `GET /`: where everything is.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::BASE;

/// The addresses of the server's parts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    name: &'static str,
    version: &'static str,
    api: &'static str,
    docs: &'static str,
    openapi: &'static str,
    health: &'static str,
}

/// Where everything is
#[utoipa::path(get, path = "/", tag = "system", responses((status = 200, body = Index)))]
pub(super) async fn index() -> Json<Index> {
    Json(Index {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        api: BASE,
        docs: "/docs/",
        openapi: super::openapi::PATH,
        health: "/health",
    })
}
