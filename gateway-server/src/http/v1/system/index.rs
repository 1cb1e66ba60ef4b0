//! `GET /`: where everything is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Http;
use crate::http::BASE;

/// The addresses of the server's parts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    name: &'static str,
    version: &'static str,
    api: String,
    docs: String,
    openapi: String,
    health: String,
}

/// Where everything is
#[utoipa::path(get, path = "/", tag = "system", responses((status = 200, body = Index)))]
pub(super) async fn index(State(options): State<Arc<Http>>) -> Json<Index> {
    let server = super::openapi::server(&options).trim_end_matches('/');
    let below = |path: &str| format!("{server}{path}");
    Json(Index {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        api: below(BASE),
        docs: below("/docs/"),
        openapi: below(super::openapi::PATH),
        health: below("/health"),
    })
}
