//! `GET /docs/`: the description for people, served from the binary.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::parts::ServerParts;
use crate::http::problem::{Kind, Problem};

/// The description as the pages find it: below the same path as they, whatever a proxy puts before that.
const DOCUMENT: &str = "../api/v1/openapi.json";

/// Makes the routes of Swagger UI. Its files change only with the binary, so browsers may keep them.
pub fn docs() -> Router<ServerParts> {
    let pages = SwaggerUi::new("/docs").config(Config::new([DOCUMENT]));
    Router::from(pages).layer(from_fn(headers))
}

async fn headers(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Problem::new(Kind::UnknownRoute, format!("no page {path}")).into_response();
    }
    let is_moved = response.status().is_redirection();
    let headers = response.headers_mut();
    if is_moved {
        headers.insert(header::LOCATION, HeaderValue::from_static("docs/"));
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
