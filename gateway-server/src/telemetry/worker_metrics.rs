//! What a replica observes of workers, for machines. A worker's id is a label: there are few, and each is
//! looked at by itself when it is slow.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::id::WorkerId;
use gateway_core::orchestrator::Probe;
use gateway_core::worker::Reading;
use metrics::{Counter, Gauge, Key, Recorder};
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
    /// What was last observed of each. A recorder keeps every series for ever, so these are written by themselves:
    /// a worker that is gone is shown no more.
    readings: Arc<Mutex<Vec<(WorkerId, Reading)>>>,
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
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        describe_counter(recorder, PROBES, "Probes of workers by outcome");
        let suspected = "Workers that a failed probe has made suspect";
        describe_counter(recorder, SUSPECTED, suspected);
        describe_gauge(recorder, BREAKERS, "Workers whose commands are held back");
        let probes = |outcome| {
            let key = Key::from_parts(PROBES, [("outcome", outcome)].as_slice());
            recorder.register_counter(&key, &ABOUT)
        };
        Self {
            answered: probes("answered"),
            failed: probes("failed"),
            suspected: recorder.register_counter(&Key::from_name(SUSPECTED), &ABOUT),
            breakers: recorder.register_gauge(&Key::from_name(BREAKERS), &ABOUT),
            readings: Arc::default(),
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
        let mut shown = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = readings.to_vec();
    }

    /// Adds what was last observed of each worker to `text`.
    pub(super) fn render_in(&self, text: &mut String) {
        let shown = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let about = "Average time that a worker takes to answer";
        let latency = |known: &Reading| known.latency_ms.map(|millis| millis / 1_000.0);
        render(text, LATENCY, about, &shown, latency);
        let about = "How unsteady a worker has been, from 0 to 1";
        render(text, INSTABILITY, about, &shown, |known| {
            Some(known.instability)
        });
    }
}

/// Writes a gauge with one series per worker that has a value. Their ids need no escapes.
fn render(
    text: &mut String,
    name: &str,
    about: &str,
    readings: &[(WorkerId, Reading)],
    value: impl Fn(&Reading) -> Option<f64>,
) {
    let mut lines = String::new();
    for (worker, known) in readings {
        if let Some(value) = value(known) {
            let _ = writeln!(lines, "{name}{{worker=\"{worker}\"}} {value}");
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} gauge\n{lines}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    fn reading(latency_ms: Option<f64>) -> Reading {
        Reading {
            latency_ms,
            instability: 0.5,
            breaker_closed: true,
        }
    }

    #[test]
    fn a_worker_that_is_gone_is_shown_no_more() {
        let metrics = Metrics::new().expect("metrics");
        let [one, two] = ["one", "two"].map(|id| WorkerId::parse(id).expect("an id"));
        let both = [(one, reading(Some(20.0))), (two.clone(), reading(None))];
        metrics.workers.observed(&both);
        let text = metrics.render();
        for line in [
            "# TYPE gateway_worker_latency_seconds gauge\n",
            "gateway_worker_latency_seconds{worker=\"one\"} 0.02\n",
            "gateway_worker_instability{worker=\"two\"} 0.5\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        metrics.workers.observed(&[(two, reading(None))]);
        let text = metrics.render();
        assert!(!text.contains("worker=\"one\""), "{text}");
        assert!(!text.contains("gateway_worker_latency_seconds"), "{text}");
    }
}
