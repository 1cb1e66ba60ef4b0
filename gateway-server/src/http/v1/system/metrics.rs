//! `GET /metrics`: everything the server counts, for Prometheus.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use gateway_core::balance::FilterReason;
use gateway_core::orchestrator::exclusion;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::time::Clock;
use gateway_core::worker::{WorkerStatus, WorkerView};
use http::{HeaderMap, HeaderName, header};

use crate::cache::Caches;
use crate::config::Http;
use crate::http::auth::{ClientAddress, FORWARDED_FOR, has_metrics_token};
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::telemetry::metrics::Metrics;

/// The metrics, and the parts that are read when they are asked for.
#[derive(Clone, Debug)]
pub(super) struct ScrapedParts {
    metrics: Arc<Metrics>,
    store: Arc<dyn PlatformStore>,
    caches: Caches,
    clock: Arc<dyn Clock>,
}

impl FromRef<ServerParts> for ScrapedParts {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            metrics: Arc::clone(&parts.metrics),
            store: Arc::clone(&parts.store),
            caches: parts.caches.clone(),
            clock: Arc::clone(&parts.clock),
        }
    }
}

/// Metrics in the text format of Prometheus
///
/// With `http.metrics_token` configured, it asks for that as a bearer token; without, only callers on
/// the same machine are answered, and not those for whom a proxy there asks.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "system",
    extensions(("x-problems" = json!(["unauthorized", "forbidden"]))),
    responses((status = 200, content_type = "text/plain", body = String))
)]
pub(super) async fn metrics(
    State(options): State<Arc<Http>>,
    State(scraped): State<ScrapedParts>,
    client: ClientAddress,
    headers: HeaderMap,
) -> ApiResult<Response> {
    permit(&options, client, &headers)?;
    // What cannot be read stays as it was: the rest is wanted most when the store is away.
    let loops = &scraped.metrics.loops;
    if let Ok(fleet) = fleet(&*scraped.store).await {
        loops.fleet(&fleet);
    }
    let trusted = scraped.caches.are_trusted(scraped.clock.uptime());
    loops.caches_trusted.set(if trusted { 1.0 } else { 0.0 });
    let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4");
    Ok(([kind], scraped.metrics.render()).into_response())
}

type WorkerMark = (WorkerStatus, Option<FilterReason>);

async fn fleet(store: &dyn PlatformStore) -> Result<Vec<WorkerMark>, StoreError> {
    let views = store.read_platform().await?.workers().await?;
    let mark = |view: &WorkerView| {
        let excluded = exclusion(&view.worker, view.lease.as_ref());
        (view.worker.status, excluded)
    };
    Ok(views.iter().map(mark).collect())
}

/// The headers by which a proxy shows itself.
const FORWARDED: [HeaderName; 4] = [
    FORWARDED_FOR,
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
];

fn permit(options: &Http, client: ClientAddress, headers: &HeaderMap) -> ApiResult<()> {
    if options.metrics_token.is_none() {
        // A proxy on this machine speaks for others.
        let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(name));
        return match client.0.is_loopback() && !is_forwarded {
            true => Ok(()),
            false => Err(Problem::new(
                Kind::Forbidden,
                "set http.metrics_token to read metrics from another machine",
            )),
        };
    }
    match has_metrics_token(options, headers) {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::Unauthorized,
            "send the metrics token as a bearer token",
        )),
    }
}
