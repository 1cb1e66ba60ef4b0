//! What stands around every route: the id of the request, its span, its place, its answer's time.
//!
//! This is the seam between the runtimes. A request arrives on the core that has its connection. Routes
//! whose line says so are answered there; every other request is handed to the control runtime, because a
//! pooled connection works only while the runtime that opened it is polled.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use gateway_core::entropy::Entropy;
use gateway_core::time::Clock;
use http::{HeaderMap, HeaderValue, Method, header};
use metrics::Histogram;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, info, info_span, warn};

use super::auth::FORWARDED_FOR;
use super::body::BodyLimit;
use super::layers::{RequestId, finished, panicked, request_id};
use super::parts::ServerParts;
use super::problem::Problem;
use crate::config::Http;
use crate::telemetry::metrics::HttpMetrics;
use crate::telemetry::span;

/// The name under which requests are counted that no route takes.
const UNKNOWN: &str = "unknown";

/// Browsers keep to TLS for a year.
const OVER_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What is noted of a path before requests come.
#[derive(Debug, Default)]
struct KnownPath {
    /// The methods that are served on the core.
    on_core: Vec<Method>,
    /// Made at the first answer: what was never asked for is not shown.
    seconds: OnceLock<Histogram>,
}

/// What the layer around every route uses.
#[derive(Debug)]
pub(super) struct RequestObserver {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: HttpMetrics,
    options: Arc<Http>,
    paths: HashMap<String, KnownPath>,
    control: Option<Handle>,
}

impl RequestObserver {
    /// Makes the observer of routes with these `paths`, each with the methods that are served on the core.
    /// Without `control`, everything is served where it arrives.
    pub(super) fn new(
        parts: &ServerParts,
        paths: impl IntoIterator<Item = (String, Vec<Method>)>,
        control: Option<Handle>,
    ) -> Self {
        let known = |(path, on_core)| {
            let seconds = OnceLock::new();
            (path, KnownPath { on_core, seconds })
        };
        Self {
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            metrics: parts.metrics.http.clone(),
            options: Arc::clone(&parts.http),
            paths: paths.into_iter().map(known).collect(),
            control,
        }
    }

    /// Returns the runtime that a request is handed to, if it is not served where it arrived.
    fn elsewhere(&self, known: Option<&KnownPath>, method: &Method) -> Option<&Handle> {
        let stays = known.is_some_and(|known| known.on_core.contains(method));
        self.control.as_ref().filter(|_| !stays)
    }

    /// Says once that somebody stands in front of this server whose word on who is asking does not count.
    fn note_proxy(&self, headers: &HeaderMap) {
        let is_unheard =
            self.options.trusted_proxies.is_empty() && headers.contains_key(FORWARDED_FOR);
        if is_unheard && self.metrics.unheard_proxy() {
            warn!(
                "requests come over a proxy (X-Forwarded-For), and all of them count as its own: name it in http.trusted_proxies (GATEWAY_HTTP_TRUSTED_PROXIES)"
            );
        }
    }
}

/// Gives the request an id and a span, has it answered on its runtime, writes the body of a problem, counts
/// and logs the answer.
pub(super) async fn observe(
    State(observer): State<Arc<RequestObserver>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = observer.clock.uptime();
    let id = request_id(&*observer.entropy, request.headers());
    observer.note_proxy(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNKNOWN, MatchedPath::as_str);
    let known = observer.paths.get(route);
    let elsewhere = observer.elsewhere(known, request.method());
    let span = info_span!(
        "http.request",
        { span::REQUEST_ID } = &*id,
        { span::TENANT_ID } = tracing::field::Empty,
        { span::SESSION_ID } = tracing::field::Empty,
        { span::WORKER_ID } = tracing::field::Empty,
        http.method = request.method().as_str(),
        http.route = route,
    );
    let extensions = request.extensions_mut();
    extensions.insert(RequestId(Arc::clone(&id)));
    extensions.insert(BodyLimit(observer.options.body_limit));
    // A panic is a defect, and must not cost the connection.
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answering = answering.instrument(span.clone());
    let response = match elsewhere {
        None => answered(answering.await),
        // If the client hangs up, the work ends there, too.
        Some(control) => match AbortOnDropHandle::new(control.spawn(answering)).await {
            Ok(outcome) => answered(outcome),
            Err(ended) => Problem::internal(ended).into_response(),
        },
    };
    let _entered = span.enter();
    let ended = observer.clock.uptime();
    let failures = &observer.metrics.failures;
    let mut response = finished(response, &id, |problem| problem.report(failures, ended));
    if observer.options.is_https() {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, OVER_TLS);
    }
    let took = ended.since(started);
    let metrics = &observer.metrics;
    metrics.answered(response.status());
    match known {
        Some(known) => known
            .seconds
            .get_or_init(|| metrics.seconds(route))
            .record(took),
        None => metrics.seconds(route).record(took),
    }
    let (status, duration) = (response.status().as_u16(), took.as_millis());
    let duration = u64::try_from(duration).unwrap_or(u64::MAX);
    match observer.options.access_log {
        true => info!(
            http.status = status,
            { span::DURATION_MS } = duration,
            "answered"
        ),
        false => debug!(
            http.status = status,
            { span::DURATION_MS } = duration,
            "answered"
        ),
    }
    response
}

fn answered(outcome: Result<Response, Box<dyn Any + Send>>) -> Response {
    outcome.unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use gateway_testkit::clock::ManualClock;
    use gateway_testkit::entropy::SeededEntropy;
    use http_body_util::BodyExt;
    use tokio::runtime::Builder;
    use tower::ServiceExt;

    use super::*;
    use crate::config::{Config, Source};
    use crate::telemetry::metrics::Metrics;

    async fn thread_name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    async fn asked(router: &Router, method: Method, path: &str) -> String {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await;
        let response = response.unwrap_or_else(|never| match never {});
        let body = response.into_body().collect().await.expect("a body");
        String::from_utf8(body.to_bytes().to_vec()).expect("text")
    }

    #[tokio::test]
    async fn only_routes_that_say_so_are_served_where_requests_arrive() {
        let control = Builder::new_multi_thread()
            .thread_name("control")
            .build()
            .expect("a runtime");
        let loaded = Config::load(&Source::default(), None).expect("the defaults");
        let options = loaded.config.http;
        let observer = RequestObserver {
            clock: Arc::new(ManualClock::default()),
            entropy: Arc::new(SeededEntropy::new(1)),
            metrics: Metrics::new().expect("metrics").http,
            options: Arc::new(options),
            paths: HashMap::from([(
                "/own".to_owned(),
                KnownPath {
                    on_core: vec![Method::GET],
                    ..KnownPath::default()
                },
            )]),
            control: Some(control.handle().clone()),
        };
        let router = Router::new()
            .route("/own", get(thread_name).delete(thread_name))
            .route("/other", get(thread_name))
            .layer(from_fn_with_state(Arc::new(observer), observe));
        let here = thread_name().await;
        assert_ne!(here, "control");
        for (method, path, expected) in [
            (Method::GET, "/own", &*here),
            (Method::DELETE, "/own", "control"),
            (Method::GET, "/other", "control"),
        ] {
            assert_eq!(
                asked(&router, method.clone(), path).await,
                expected,
                "{method} {path}"
            );
        }
        control.shutdown_background();
    }
}
