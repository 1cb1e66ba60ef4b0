//! What stands around all routes: request ids, spans, the access log, metrics, headers.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_core::entropy::Entropy;
use gateway_core::time::Clock;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::{Instrument, Span, info_span};

use super::problem::{Kind, Problem};
use crate::config::{Http, Origin};
use crate::http::parts::ServerParts;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::span;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 128;

/// The id of a request: the client's own, or one that the gateway made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// What the layer around every route uses.
#[derive(Clone, Debug)]
pub(super) struct RequestObserver {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
}

impl FromRef<ServerParts> for RequestObserver {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            metrics: Arc::clone(&parts.metrics),
        }
    }
}

/// Gives the request an id and a span, writes the body of a problem, counts and logs the answer.
pub(super) async fn observe(
    State(observer): State<RequestObserver>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = observer.clock.uptime();
    let id = request_id(&*observer.entropy, request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route: Cow<'static, str> = match &route {
        Some(route) => Cow::Owned(route.as_str().to_owned()),
        None => Cow::Borrowed("unknown"),
    };
    let method = request.method().clone();
    let span = info_span!(
        "http.request",
        { span::REQUEST_ID } = &*id,
        { span::TENANT_ID } = tracing::field::Empty,
        { span::SESSION_ID } = tracing::field::Empty,
        { span::WORKER_ID } = tracing::field::Empty,
        http.method = %method,
        http.route = &*route,
    );
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let response = next.run(request).instrument(span.clone()).await;
    let _entered = span.enter();
    let response = finished(response, &id);
    let took = observer.clock.uptime().since(started);
    let metrics = &observer.metrics.http;
    metrics.answered(&route, response.status(), took);
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        http.status = status,
        { span::DURATION_MS } = duration_ms,
        "answered"
    );
    response
}

/// Completes the answer to the request with this id: writes the body of a problem, and the id as a
/// header.
pub(super) fn finished(response: Response, id: &str) -> Response {
    let mut response = with_body(response, id);
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

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

/// Writes the body of a problem, which travels in the extensions until here, where the request id is
/// known.
fn with_body(mut response: Response, id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
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
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    secure(response.headers_mut());
    response
}

/// Adds these headers to an answer that passes no layers.
pub(super) fn secure(headers: &mut HeaderMap) {
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
