//! What every answer has in common: request ids, the bodies of problems, headers.

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use gateway_core::entropy::Entropy;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::Span;

use super::problem::{Kind, Problem};
use crate::config::{Http, Origin};
use crate::telemetry::span;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 128;

/// The id of a request: the client's own, or one that the gateway made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// Returns the id that the client gave if it is acceptable, else a fresh one.
pub(super) fn request_id(entropy: &dyn Entropy, headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(REQUEST_ID);
    let given = given.and_then(|value| value.to_str().ok());
    let fits = |text: &&str| {
        (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match given.filter(fits) {
        Some(given) => given.into(),
        None => format!("req_{:016x}{:016x}", entropy.next_u64(), entropy.next_u64()).into(),
    }
}

/// Completes the answer to the request with this id: reports a problem and writes its body, and the headers that
/// every answer has.
pub(super) fn finished(response: Response, id: &str, report: impl FnOnce(&Problem)) -> Response {
    let mut response = with_body(response, id, report);
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    secure(response.headers_mut());
    response
}

/// Writes the body of a problem, which travels in the extensions until here, where the request id is
/// known.
fn with_body(mut response: Response, id: &str, report: impl FnOnce(&Problem)) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    report(&problem);
    let (parts, _) = response.into_parts();
    let mut written = (parts.status, Json(problem.render(id))).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            written.headers_mut().append(name, value.clone());
        }
    }
    written
}

/// Answers a request for a route that does not exist.
pub(super) async fn unknown_route(request: Request) -> Problem {
    Problem::new(
        Kind::UnknownRoute,
        format!("no route {} {}", request.method(), request.uri().path()),
    )
}

/// Answers a request for a route that exists but takes other methods.
pub(super) async fn wrong_method(method: Method) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!("this route does not take {method}"),
    )
}

/// Answers for a handler that panicked. That is a defect, and must not cost the connection.
pub(super) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = match panic.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(panic) => panic
            .downcast::<String>()
            .map_or_else(|_| String::new(), |text| *text),
    };
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}

/// Adds the headers that keep browsers from guessing types, framing and leaking. A route may set its own.
fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// Makes the layer that tells browsers from which origins they may call. Without origins it adds nothing.
pub(super) fn cors(http: &Http) -> CorsLayer {
    let origins = &http.cors_origins;
    let allowed = match origins.iter().any(Origin::is_any) {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| origin.as_str().parse().ok()),
        ),
    };
    let exposed = [
        "x-request-id",
        "retry-after",
        "ratelimit-limit",
        "ratelimit-remaining",
    ];
    let exposed = exposed.into_iter().chain(["ratelimit-reset"]);
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static).collect::<Vec<_>>())
        .max_age(std::time::Duration::from_secs(600))
}

/// Notes the session that a request acts on, for its span.
pub fn note_session(id: gateway_core::id::SessionId) {
    Span::current().record(span::SESSION_ID, tracing::field::display(id));
}
