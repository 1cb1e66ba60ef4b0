//! What a replica observes of workers, for machines. A worker's id is a label: there are few, and each is
//! looked at by itself when it is slow.

use std::fmt;
use std::sync::Arc;

use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Probe;
use gateway_core::worker::Reading;
use metrics::{Counter, Gauge, Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::metrics::{ABOUT, describe_counter, describe_gauge};

const PROBES: &str = "gateway_worker_probes_total";
const SUSPECTED: &str = "gateway_workers_suspected_total";
const BREAKERS: &str = "gateway_worker_breakers_open";
const LATENCY: &str = "gateway_worker_latency_seconds";
const INSTABILITY: &str = "gateway_worker_instability";

/// Probes, breakers, latency and steadiness of workers. Clones count together.
#[derive(Clone)]
pub struct WorkerMetrics {
    recorder: Arc<PrometheusRecorder>,
    answered: Counter,
    failed: Counter,
    suspected: Counter,
    breakers: Gauge,
}

impl fmt::Debug for WorkerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerMetrics").finish_non_exhaustive()
    }
}

impl WorkerMetrics {
    pub(super) fn new(recorder: Arc<PrometheusRecorder>) -> Self {
        describe_counter(&recorder, PROBES, "Probes of workers by outcome");
        let suspected = "Workers that a failed probe has made suspect";
        describe_counter(&recorder, SUSPECTED, suspected);
        describe_gauge(&recorder, BREAKERS, "Workers whose commands are held back");
        let latency = "Average time that a worker takes to answer";
        describe_gauge(&recorder, LATENCY, latency);
        let instability = "How unsteady a worker has been, from 0 to 1";
        describe_gauge(&recorder, INSTABILITY, instability);
        let probes = |outcome| {
            let key = Key::from_parts(PROBES, [("outcome", outcome)].as_slice());
            recorder.register_counter(&key, &ABOUT)
        };
        Self {
            answered: probes("answered"),
            failed: probes("failed"),
            suspected: recorder.register_counter(&Key::from_name(SUSPECTED), &ABOUT),
            breakers: recorder.register_gauge(&Key::from_name(BREAKERS), &ABOUT),
            recorder,
        }
    }

    /// Counts a probe of `GET /health` by its result.
    pub fn probed(&self, probe: Probe) {
        match probe {
            Probe::Answered => self.answered.increment(1),
            Probe::Failed { suspected } => {
                self.failed.increment(1);
                self.suspected.increment(u64::from(suspected));
            }
            Probe::Gone => {}
        }
    }

    /// Shows what is known of every worker.
    pub fn observed(&self, readings: &[(WorkerId, Reading)]) {
        let open = readings.iter().filter(|(_, known)| !known.breaker_closed);
        self.breakers.set(open.count() as f64);
        for (worker, known) in readings {
            self.gauge(INSTABILITY, worker).set(known.instability);
            if let Some(millis) = known.latency_ms {
                self.gauge(LATENCY, worker).set(millis / 1_000.0);
            }
        }
    }

    fn gauge(&self, name: &'static str, worker: &WorkerId) -> Gauge {
        let label = Label::new("worker", worker.to_string());
        let key = Key::from_parts(name, vec![label]);
        self.recorder.register_gauge(&key, &ABOUT)
    }
}
