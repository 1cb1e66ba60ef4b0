//! `GET /admin/workers/statistics`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use gateway_core::store::PlatformStore;
use gateway_core::worker::{WorkerStatus, WorkerView as Row};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::ReportedSessions;
use crate::http::answer::{Answer, Envelope};
use crate::http::problem::ApiResult;

/// The fleet in numbers.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FleetStatistics {
    /// The number of workers, removed ones left out.
    total: usize,
    /// The number of workers by status; every status is listed.
    by_status: BTreeMap<&'static str, usize>,
    by_environment: BTreeMap<String, usize>,
    by_version: BTreeMap<String, usize>,
    cordoned: usize,
    capacity: Capacity,
    /// Sessions by state, as the active workers report them.
    sessions: ReportedSessions,
    /// The mean of the active workers that report it.
    mean_cpu_usage: Option<f64>,
    mean_memory_usage: Option<f64>,
}

/// The places for sessions on the active workers.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FleetCapacity)]
struct Capacity {
    max_sessions: u64,
    assigned_sessions: u64,
    /// Free places on workers that take new sessions.
    free: u64,
}

/// Read the fleet's numbers
#[utoipa::path(get, path = "/admin/workers/statistics", tag = "admin",
    responses((status = 200, body = Envelope<FleetStatistics>)))]
pub(super) async fn statistics(
    State(store): State<Arc<dyn PlatformStore>>,
) -> ApiResult<Answer<FleetStatistics>> {
    let rows = store.read_platform().await?.workers().await?;
    Ok(Answer::ok(FleetStatistics::of(&rows)))
}

impl FleetStatistics {
    fn of(rows: &[Row]) -> Self {
        let statuses = WorkerStatus::ALL.into_iter();
        let present = statuses.filter(|status| *status != WorkerStatus::Removed);
        let mut sums = Self {
            total: rows.len(),
            by_status: present.map(|status| (status.name(), 0)).collect(),
            ..Self::default()
        };
        for row in rows {
            sums.count(row);
        }
        let active = || {
            rows.iter()
                .filter(|row| row.worker.status == WorkerStatus::Active)
        };
        let reports = || {
            active()
                .filter_map(|row| row.lease.as_ref())
                .map(|lease| &lease.report)
        };
        sums.mean_cpu_usage = mean(reports().filter_map(|report| report.cpu));
        sums.mean_memory_usage = mean(reports().filter_map(|report| report.memory));
        for report in reports() {
            sums.sessions.add(&ReportedSessions::of(report));
        }
        sums
    }

    fn count(&mut self, row: &Row) {
        let worker = &row.worker;
        *self.by_status.entry(worker.status.name()).or_default() += 1;
        let name = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        *self
            .by_environment
            .entry(name(&worker.environment))
            .or_default() += 1;
        *self.by_version.entry(name(&worker.version)).or_default() += 1;
        self.cordoned += usize::from(worker.is_cordoned());
        if worker.status != WorkerStatus::Active {
            return;
        }
        let free = worker.max_sessions.saturating_sub(worker.assigned);
        self.capacity.max_sessions += u64::from(worker.max_sessions);
        self.capacity.assigned_sessions += u64::from(worker.assigned);
        self.capacity.free += if worker.is_cordoned() {
            0
        } else {
            u64::from(free)
        };
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_nothing_is_not_known() {
        assert_eq!(mean([].into_iter()), None);
        assert_eq!(mean([0.25, 0.75].into_iter()), Some(0.5));
    }
}
