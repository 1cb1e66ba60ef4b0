//! `GET /health…`: whether the process is alive, and whether it should get requests.
//!
//! *Alive* asks nothing of anybody: a database that is away is no reason to restart this process.
//! *Ready* asks the database, and is over as soon as the server begins to stop, or while messages are not
//! written: a database may answer and take nothing. The coordinator decides neither: without it, requests
//! are served.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract;
use gateway_core::coord::{Coordinator, ReplicaNumbers};
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::time::Timestamp;
use gateway_core::worker::WorkerStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::answer::{Answer, Envelope};
use crate::http::auth::AsOperator;
use crate::http::problem::{ApiResult, Kind, Problem};
use crate::shutdown::Shutdown;
use crate::telemetry::job_metrics::JobState;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::numbers::for_people;

/// The `Retry-After` while messages are not written.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether a part works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HealthState)]
pub enum State {
    /// The part works.
    Ok,
    /// The part does not work.
    Down,
}

impl State {
    fn of(works: bool) -> Self {
        match works {
            true => Self::Ok,
            false => Self::Down,
        }
    }
}

/// Whether the process, or the server, works.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether all of it works.
    pub status: State,
}

/// The health of every part of the server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetailedHealth {
    /// Whether requests are served: the database answers and messages are written.
    pub status: State,
    /// Whether the database answers.
    pub database: State,
    /// Whether messages are written; while they are not, new sends are refused.
    pub message_log: State,
    /// Whether the coordinator answers: Redis, or in a single replica its own memory.
    pub coordinator: State,
    #[serde(flatten)]
    pub details: HealthDetails,
}

/// What only operators see of the parts.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthDetails {
    /// The version of this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The fleet, if the database answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<FleetHealth>,
    /// Every replica that shows itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Vec<Replica>>,
    /// The background jobs of the replica that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<JobHealth>>,
}

/// A background job.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobHealth)]
pub struct JobHealth {
    /// The name of the job.
    pub name: String,
    /// Whether the job's last step succeeded.
    pub status: State,
    /// When a step last succeeded.
    pub last_success: Option<Timestamp>,
    /// The last error, if there was one.
    pub last_error: Option<JobFailure>,
    /// Whether this replica is the one that does it; absent if every replica does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<bool>,
}

/// Why a step of a job failed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JobFailure {
    /// The class of the error; the log has the whole of it.
    pub class: String,
    /// When the error happened.
    pub at: Timestamp,
}

impl JobHealth {
    fn of(name: &str, state: JobState) -> Self {
        let failure = |(class, at): (&str, Timestamp)| JobFailure {
            class: class.to_owned(),
            at,
        };
        Self {
            name: name.to_owned(),
            status: State::of(!state.is_failing),
            last_success: state.last_success,
            last_error: state.last_error.map(failure),
            leader: state.is_leader,
        }
    }
}

/// A replica, as it showed itself some seconds ago.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplicaHealth)]
pub struct Replica {
    /// The id of the replica, new at every start.
    pub id: String,
    /// The numbers that the replica shows, by name.
    pub numbers: BTreeMap<String, u64>,
}

impl From<ReplicaNumbers> for Replica {
    fn from(live: ReplicaNumbers) -> Self {
        Self {
            id: live.replica,
            numbers: for_people(live.numbers),
        }
    }
}

/// The fleet in numbers.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = FleetHealth)]
pub struct FleetHealth {
    /// The number of workers, removed ones left out.
    pub total: usize,
    /// The number of workers that take sessions.
    pub active: usize,
}

fn ok() -> Answer<Health> {
    Answer::ok(Health { status: State::Ok })
}

/// Whether the process is alive
#[utoipa::path(get, path = "/health", tag = "system", responses((status = 200, body = Envelope<Health>)))]
pub(super) async fn health() -> Answer<Health> {
    ok()
}

/// Whether the process is alive
#[utoipa::path(get, path = "/health/live", tag = "system", responses((status = 200, body = Envelope<Health>)))]
pub(super) async fn live() -> Answer<Health> {
    ok()
}

/// Whether the server should get requests
#[utoipa::path(get, path = "/health/ready", tag = "system",
    extensions(("x-problems" = json!(["connectivity_error"]))), responses((status = 200, body = Envelope<Health>)))]
pub(super) async fn ready(
    extract::State(shutdown): extract::State<Shutdown>,
    extract::State(store): extract::State<Arc<dyn PlatformStore>>,
    extract::State(metrics): extract::State<Arc<Metrics>>,
) -> ApiResult<Answer<Health>> {
    if shutdown.announced().is_cancelled() {
        return Err(Problem::new(
            Kind::ConnectivityError,
            "the server is stopping",
        ));
    }
    store.read_platform().await?.now().await?;
    if metrics.message_log.stalled.any() {
        let text = "messages are not written; the log says why";
        return Err(Problem::new(Kind::ConnectivityError, text).retry_after(AGAIN));
    }
    Ok(ok())
}

/// How the parts are
///
/// One word for each part; more for an administrator, and for whoever sends the token of the metrics as a bearer
/// token.
#[utoipa::path(
    get,
    path = "/health/detailed",
    tag = "system",
    responses((status = 200, body = Envelope<DetailedHealth>))
)]
pub(super) async fn detailed(
    extract::State(store): extract::State<Arc<dyn PlatformStore>>,
    extract::State(coord): extract::State<Arc<dyn Coordinator>>,
    extract::State(metrics): extract::State<Arc<Metrics>>,
    AsOperator(by_operator): AsOperator,
) -> Answer<DetailedHealth> {
    let workers = match fleet(&*store).await {
        Ok(workers) => Some(workers),
        Err(error) => {
            tracing::warn!(%error, "the database does not answer a health check");
            None
        }
    };
    let live = coord.replica_numbers().await;
    let (database, coordinator) = (State::of(workers.is_some()), State::of(live.is_ok()));
    let message_log = State::of(!metrics.message_log.stalled.any());
    let details = || {
        let replicas = live.unwrap_or_default().into_iter().map(Replica::from);
        let jobs = metrics.jobs.states().into_iter();
        HealthDetails {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            workers,
            replicas: Some(replicas.collect()),
            jobs: Some(jobs.map(|(name, job)| JobHealth::of(name, job)).collect()),
        }
    };
    Answer::ok(DetailedHealth {
        status: State::of(database == State::Ok && message_log == State::Ok),
        database,
        message_log,
        coordinator,
        details: match by_operator {
            true => details(),
            false => HealthDetails::default(),
        },
    })
}

async fn fleet(store: &dyn PlatformStore) -> Result<FleetHealth, StoreError> {
    let workers = store.read_platform().await?.workers().await?;
    let active = workers
        .iter()
        .filter(|view| view.worker.status == WorkerStatus::Active);
    Ok(FleetHealth {
        total: workers.len(),
        active: active.count(),
    })
}
