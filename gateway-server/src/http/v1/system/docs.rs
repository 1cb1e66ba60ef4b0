//! `GET /docs/`: the description for people, served from the binary.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::parts::ServerParts;
use crate::http::problem::{Kind, Problem};

/// Makes the routes of Swagger UI. Its files change only with the binary, so browsers may keep them.
pub fn docs() -> Router<ServerParts> {
    let pages = SwaggerUi::new("/docs").config(Config::new([super::openapi::PATH]));
    Router::from(pages).layer(from_fn(headers))
}

async fn headers(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Problem::new(Kind::UnknownRoute, format!("no page {path}")).into_response();
    }
    let headers = response.headers_mut();
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
