//! `POST /admin/workers/health-check` and `POST /admin/workers/{id}/health-check`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use futures_util::{StreamExt, stream};
use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Orchestrator;
use gateway_core::protocol::bounds::words;
use gateway_core::store::PlatformStore;
use gateway_core::time::Clock;
use gateway_core::worker::{LinkError, Target, Worker, WorkerLink, WorkerStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::named;
use crate::http::answer::{Answer, Envelope};
use crate::http::auth::Acting;
use crate::http::extract::ApiPath;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Problem};

/// The most workers that are asked at the same time.
const AT_ONCE: usize = 32;
/// How long one worker may take to answer: the whole fleet is waited for.
const LIMIT: Duration = Duration::from_secs(5);

/// The answer of one worker to `GET /health`. It says nothing about the worker's lease.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkup {
    worker_id: WorkerId,
    healthy: bool,
    /// The status that the worker says of itself.
    status: Option<String>,
    /// Why it is not healthy.
    error: Option<String>,
    latency_ms: u64,
}

/// The answers of the fleet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checkups {
    summary: Summary,
    workers: Vec<Checkup>,
}

/// How many workers answered that they are healthy, and how many did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckupSummary)]
struct Summary {
    checked: usize,
    healthy: usize,
    unhealthy: usize,
}

/// Ask every worker for its health
///
/// All that have registered and are not offline.
#[utoipa::path(post, path = "/admin/workers/health-check", tag = "admin",
    responses((status = 200, body = Envelope<Checkups>)))]
pub(super) async fn check_all(
    State(store): State<Arc<dyn PlatformStore>>,
    State(orchestrator): State<Arc<Orchestrator>>,
    State(checker): State<HealthChecker>,
    Acting(actor): Acting,
) -> ApiResult<Answer<Checkups>> {
    orchestrator.record_health_check(&actor, None).await?;
    let rows = store.read_platform().await?.workers().await?;
    let asked = rows.into_iter().map(|row| row.worker).filter(|worker| {
        matches!(
            worker.status,
            WorkerStatus::Active | WorkerStatus::Suspect | WorkerStatus::Draining
        )
    });
    let checks = asked.map(|worker| checker.check(worker));
    let workers: Vec<Checkup> = stream::iter(checks).buffered(AT_ONCE).collect().await;
    let healthy = workers.iter().filter(|checkup| checkup.healthy).count();
    let summary = Summary {
        checked: workers.len(),
        healthy,
        unhealthy: workers.len() - healthy,
    };
    Ok(Answer::ok(Checkups { summary, workers }))
}

/// Ask a worker for its health
#[utoipa::path(post, path = "/admin/workers/{id}/health-check", tag = "admin",
    params(("id" = WorkerId, Path, description = "The worker's id")),
    responses((status = 200, body = Envelope<Checkup>)))]
pub(super) async fn check_one(
    State(store): State<Arc<dyn PlatformStore>>,
    State(orchestrator): State<Arc<Orchestrator>>,
    State(checker): State<HealthChecker>,
    Acting(actor): Acting,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Answer<Checkup>> {
    let worker = store.read_platform().await?.worker(&named(&id)?).await?;
    let worker = worker.filter(|worker| worker.status != WorkerStatus::Removed);
    let worker = worker.ok_or_else(|| Problem::not_found("worker"))?;
    let recorded = orchestrator.record_health_check(&actor, Some(&worker.id));
    recorded.await?;
    Ok(Answer::ok(checker.check(worker).await))
}

/// Asks workers how they are, and measures how long that takes.
#[derive(Clone, Debug)]
pub(super) struct HealthChecker {
    link: Arc<dyn WorkerLink>,
    clock: Arc<dyn Clock>,
}

impl FromRef<ServerParts> for HealthChecker {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            link: Arc::clone(&parts.link),
            clock: Arc::clone(&parts.clock),
        }
    }
}

impl HealthChecker {
    async fn check(&self, worker: Worker) -> Checkup {
        let started = self.clock.uptime();
        let outcome = self.ask(&worker).await;
        let took = self.clock.uptime().since(started);
        let (status, error) = match outcome {
            Ok(status) => (Some(words(&status)), None),
            Err(error) => (None, Some(error)),
        };
        Checkup {
            worker_id: worker.id,
            healthy: status.as_deref() == Some("ok"),
            status,
            error,
            latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn ask(&self, worker: &Worker) -> Result<String, String> {
        let (Some(owner), Some(endpoint)) = (worker.owner(), worker.endpoint.clone()) else {
            return Err("it has not registered yet".to_owned());
        };
        let target = Target { owner, endpoint };
        let health = self.link.health(&target, LIMIT).await;
        let health = health.map_err(|error: LinkError| error.to_string())?;
        if health.incarnation != target.owner.incarnation.as_str() {
            return Err("another run of it answers than the one that registered".to_owned());
        }
        Ok(health.status)
    }
}
