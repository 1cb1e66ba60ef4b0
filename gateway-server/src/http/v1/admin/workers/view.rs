//! How workers look to operators.

use std::collections::BTreeMap;

use gateway_core::balance::FilterReason;
use gateway_core::id::{Incarnation, WorkerId};
use gateway_core::orchestrator::exclusion;
use gateway_core::time::Timestamp;
use gateway_core::worker::{Engine, Worker, WorkerReport, WorkerStatus, WorkerView as Row};
use serde::Serialize;
use utoipa::ToSchema;

/// A worker, as operators see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Worker)]
pub(super) struct WorkerView {
    id: WorkerId,
    status: WorkerStatus,
    /// Nothing new is placed on it.
    cordoned: bool,
    /// Who wants that: `operator`, or the gateway because the worker `ignores_a_stop`, which ends by itself.
    cordon_reason: Option<&'static str>,
    endpoint: Option<String>,
    incarnation: Option<Incarnation>,
    max_sessions: u32,
    /// Why nothing new is placed on it; null if sessions are.
    excluded: Option<FilterReason>,
    /// The sessions it holds or is to hold.
    assigned_sessions: u32,
    version: Option<String>,
    environment: Option<String>,
    /// The labels in force: what the worker says of itself, and over it what an operator says.
    labels: BTreeMap<String, String>,
    /// The labels that the worker has registered with.
    reported_labels: BTreeMap<String, String>,
    protocol_version: u32,
    #[serde(flatten)]
    engine: Engine,
    created_at: Timestamp,
    registered_at: Option<Timestamp>,
    updated_at: Timestamp,
    last_heartbeat_at: Option<Timestamp>,
    /// The worker's last report.
    report: Option<ReportView>,
}

/// The last report of a worker about itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkerReport)]
struct ReportView {
    /// Share of its CPU in use, 0 to 1.
    cpu_usage: Option<f64>,
    /// Share of its memory in use, 0 to 1.
    memory_usage: Option<f64>,
    uptime_seconds: Option<u64>,
    /// Whether it can store session state. While it cannot, nothing new is placed on it.
    persist_ok: Option<bool>,
    sessions: ReportedSessions,
}

/// The sessions of a worker by state, as it reports them.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportedSessions {
    total: u32,
    connected: u32,
    disconnected: u32,
    qr_required: u32,
    error: u32,
}

impl ReportedSessions {
    pub(super) fn of(report: &WorkerReport) -> Self {
        Self {
            total: report.total.unwrap_or(0),
            connected: report.connected.unwrap_or(0),
            disconnected: report.disconnected.unwrap_or(0),
            qr_required: report.qr_required.unwrap_or(0),
            error: report.error.unwrap_or(0),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        self.connected = self.connected.saturating_add(other.connected);
        self.disconnected = self.disconnected.saturating_add(other.disconnected);
        self.qr_required = self.qr_required.saturating_add(other.qr_required);
        self.error = self.error.saturating_add(other.error);
    }
}

fn cordon_reason(worker: &Worker) -> Option<&'static str> {
    if worker.cordoned {
        return Some("operator");
    }
    worker.is_stuck().then_some("ignores_a_stop")
}

impl From<Row> for WorkerView {
    fn from(row: Row) -> Self {
        let excluded = exclusion(&row.worker, row.lease.as_ref());
        let lease = row.lease.filter(|lease| lease.renewals > 0);
        let last_heartbeat_at = lease.as_ref().map(|lease| lease.renewed_at);
        let report = lease.map(|lease| ReportView {
            cpu_usage: lease.report.cpu,
            memory_usage: lease.report.memory,
            uptime_seconds: lease.report.uptime_seconds,
            persist_ok: lease.report.persist_ok,
            sessions: ReportedSessions::of(&lease.report),
        });
        Self {
            excluded,
            last_heartbeat_at,
            report,
            ..row.worker.into()
        }
    }
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        let excluded = exclusion(&worker, None);
        let labels = worker.labels_in_force();
        Self {
            cordoned: worker.is_cordoned(),
            cordon_reason: cordon_reason(&worker),
            id: worker.id,
            status: worker.status,
            excluded,
            endpoint: worker.endpoint,
            incarnation: worker.incarnation,
            max_sessions: worker.max_sessions,
            assigned_sessions: worker.assigned,
            version: worker.version,
            environment: worker.environment,
            labels,
            reported_labels: worker.reported_labels,
            protocol_version: worker.protocol_version,
            engine: worker.engine,
            created_at: worker.created_at,
            registered_at: worker.registered_at,
            updated_at: worker.updated_at,
            last_heartbeat_at: None,
            report: None,
        }
    }
}
