//! Every metric, built once and passed down.
//!
//! A metric is a field here, so the list of them is this file, and two parts of the program cannot
//! register the same name differently. There is no global recorder: each [`Metrics`] has its own, so
//! tests do not count each other's events.
//!
//! Names are `gateway_<noun>_<what>_<unit>`, counters end in `_total`, times are in seconds. Labels have
//! few values, all known in advance: tenants, sessions and phone numbers are never labels.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gateway_core::balance::FilterReason;
use gateway_core::message::{SendError, SendOutcome};
use gateway_core::worker::WorkerStatus;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::census_metrics::CensusMetrics;
use super::failure_metrics::FailureMetrics;
use super::job_metrics::JobMetrics;
use super::worker_metrics::WorkerMetrics;

const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
const BATCHES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
pub(super) const ABOUT: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// All metrics of one server. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    /// Requests, their answers and connections.
    pub http: HttpMetrics,
    /// Facts about messages on their way to the database.
    pub message_log: MessageLogMetrics,
    /// Messages on their way to a worker.
    pub sends: SendMetrics,
    /// Work done by the background jobs.
    pub loops: LoopMetrics,
    /// The state of each job, by name.
    pub jobs: JobMetrics,
    /// What is observed of workers.
    pub workers: WorkerMetrics,
    /// Sessions and messages by status.
    pub census: CensusMetrics,
    handle: PrometheusHandle,
}

/// The metrics of the message log's queue, batches and failures.
#[derive(Clone)]
pub struct MessageLogMetrics {
    pub depth: Gauge,
    /// Places that there are, in all logs of this process.
    pub capacity: Gauge,
    /// Places that were refused.
    pub full: Counter,
    /// Logs that wait for their database.
    pub stalled: StalledLogs,
    /// Facts in one statement.
    pub batch: Histogram,
    /// Groups that had to be written again.
    pub retries: Counter,
    /// Facts that the database refused.
    pub refused: Counter,
    /// What becomes of messages.
    pub census: CensusMetrics,
}

/// The metrics of sends: how many are on their way, and how they ended.
#[derive(Clone)]
pub struct SendMetrics {
    /// Sends that have no outcome yet.
    in_flight: Gauge,
    outcomes: [Counter; OUTCOMES.len()],
}

/// The number of message logs of this process whose database takes no writes at the moment. Clones count
/// together.
#[derive(Clone)]
pub struct StalledLogs {
    count: Arc<AtomicUsize>,
    gauge: Gauge,
}

impl StalledLogs {
    /// Counts one more stalled log, or one fewer when its database takes writes again.
    pub fn changed(&self, stalled: bool) {
        match stalled {
            true => {
                self.count.fetch_add(1, Ordering::Relaxed);
                self.gauge.increment(1.0);
            }
            false => {
                self.count.fetch_sub(1, Ordering::Relaxed);
                self.gauge.decrement(1.0);
            }
        }
    }

    /// Returns whether at least one message log does not get through to its database.
    #[must_use]
    pub fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }
}

/// The outcomes of a send, as values of the label `outcome`.
const OUTCOMES: [&str; 5] = ["accepted", "repeated", "not_sent", "refused", "unknown"];

/// The metrics of the background jobs.
#[derive(Clone)]
pub struct LoopMetrics {
    /// Rows that fell due.
    pub due: Counter,
    /// Sessions that were given a worker.
    pub placements: Counter,
    /// Incarnations that were fenced.
    pub fenced: Counter,
    /// Events that were numbered and published.
    pub published: Counter,
    /// Whether the coordinator answers: 1 or 0.
    pub coordinator: Gauge,
    /// In how many things this replica differs from another that all should have in common.
    pub peer_mismatches: Gauge,
    /// Whether the caches may be answered from: 1 or 0.
    pub caches_trusted: Gauge,
    effects_waiting: Gauge,
    effects_running: Gauge,
    workers: [Gauge; WorkerStatus::ALL.len()],
    excluded: [Gauge; FilterReason::STANDING.len()],
}

/// The metrics of the listener: connections, requests and answers.
#[derive(Clone)]
pub struct HttpMetrics {
    pub connections: Gauge,
    /// Requests that failed on this side.
    pub failures: FailureMetrics,
    answers: [Counter; 5],
    unheard: Counter,
    unheard_before: Arc<AtomicBool>,
    recorder: Arc<PrometheusRecorder>,
}

const ROUTE_SECONDS: &str = "gateway_http_request_seconds";

impl Metrics {
    /// Registers every metric, at zero.
    ///
    /// # Errors
    /// Never in practice: the buckets above are not empty.
    pub fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)?
            .set_buckets_for_metric(Matcher::Full(BATCH.to_owned()), &BATCHES)?
            .build_recorder();
        let handle = recorder.handle();
        let census = CensusMetrics::new(&recorder);
        let message_log = MessageLogMetrics::new(&recorder, census.clone());
        let sends = SendMetrics::new(&recorder);
        let loops = LoopMetrics::new(&recorder);
        let recorder = Arc::new(recorder);
        let jobs = JobMetrics::new(Arc::clone(&recorder));
        let workers = WorkerMetrics::new(&recorder);
        let http = HttpMetrics::new(recorder);
        Ok(Self {
            http,
            message_log,
            sends,
            loops,
            jobs,
            workers,
            census,
            handle,
        })
    }

    /// Returns the present values of all metrics in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.upkeep();
        let mut text = self.handle.render();
        self.workers.render_in(&mut text);
        text
    }

    /// Merges the values measured since the last call into the histograms. Until then every value is kept
    /// by itself, so a server that nobody scrapes must call this from time to time.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl HttpMetrics {
    fn new(recorder: Arc<PrometheusRecorder>) -> Self {
        let answers = "gateway_http_requests_total";
        describe_counter(&recorder, answers, "Answered requests by class of status");
        describe_seconds(
            &recorder,
            ROUTE_SECONDS,
            "From the end of a request's head to its answer, by route",
        );
        let connections = "gateway_http_connections";
        describe_gauge(&recorder, connections, "Open connections");
        let unheard = "gateway_http_forwarded_unheard_total";
        let text = "Requests over a proxy while none is trusted";
        describe_counter(&recorder, unheard, text);
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        Self {
            connections: gauge(&recorder, connections),
            failures: FailureMetrics::new(Arc::clone(&recorder)),
            unheard: counter(&recorder, unheard, &[]),
            unheard_before: Arc::default(),
            answers: classes.map(|class| counter(&recorder, answers, &[("class", class)])),
            recorder,
        }
    }

    /// Returns the times that the answers of `route` take (a template, never a path).
    pub fn seconds(&self, route: &str) -> Histogram {
        let label = Label::new("route", route.to_owned());
        let key = Key::from_parts(ROUTE_SECONDS, vec![label]);
        self.recorder.register_histogram(&key, &ABOUT)
    }

    /// Counts a request that says for whom a proxy asks, while no proxy is trusted. Returns whether it is the first.
    pub fn unheard_proxy(&self) -> bool {
        self.unheard.increment(1);
        !self.unheard_before.swap(true, Ordering::Relaxed)
    }

    /// Counts a request that was answered with `status`.
    pub fn answered(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.answers.get(class) {
            counter.increment(1);
        }
    }
}

const BATCH: &str = "gateway_message_log_batch_facts";

impl MessageLogMetrics {
    fn new(recorder: &PrometheusRecorder, census: CensusMetrics) -> Self {
        let depth = "gateway_message_log_places";
        describe_gauge(recorder, depth, "Places taken in the message log");
        let capacity = "gateway_message_log_capacity";
        describe_gauge(
            recorder,
            capacity,
            "Places that there are in the message log",
        );
        let full = "gateway_message_log_full_total";
        describe_counter(
            recorder,
            full,
            "Facts that found no place in the message log",
        );
        let (batch, text) = (KeyName::from_const_str(BATCH), "Facts in one statement");
        recorder.describe_histogram(batch, None, SharedString::const_str(text));
        let retries = "gateway_message_log_retries_total";
        describe_counter(recorder, retries, "Groups that had to be written again");
        let stalled = "gateway_message_logs_stalled";
        describe_gauge(
            recorder,
            stalled,
            "Message logs that wait for their database",
        );
        let refused = "gateway_message_log_refused_total";
        describe_counter(recorder, refused, "Facts that the database refused");
        Self {
            depth: gauge(recorder, depth),
            capacity: gauge(recorder, capacity),
            full: counter(recorder, full, &[]),
            stalled: StalledLogs {
                count: Arc::default(),
                gauge: gauge(recorder, stalled),
            },
            batch: recorder.register_histogram(&Key::from_name(BATCH), &ABOUT),
            retries: counter(recorder, retries, &[]),
            refused: counter(recorder, refused, &[]),
            census,
        }
    }
}

impl SendMetrics {
    fn new(recorder: &PrometheusRecorder) -> Self {
        let in_flight = "gateway_sends_in_flight";
        describe_gauge(recorder, in_flight, "Sends that have no outcome yet");
        let ended = "gateway_sends_total";
        describe_counter(recorder, ended, "Sends by outcome");
        Self {
            in_flight: gauge(recorder, in_flight),
            outcomes: OUTCOMES.map(|outcome| counter(recorder, ended, &[("outcome", outcome)])),
        }
    }

    /// Counts a send that begins. The returned guard counts its outcome.
    pub fn begun(&self) -> SendInFlight<'_> {
        self.in_flight.increment(1.0);
        SendInFlight {
            metrics: self,
            outcome: "unknown",
        }
    }
}

/// A send on its way. One that is dropped without an outcome has panicked, and is counted as `unknown`.
#[must_use]
#[derive(Debug)]
pub struct SendInFlight<'a> {
    metrics: &'a SendMetrics,
    outcome: &'static str,
}

impl SendInFlight<'_> {
    /// Counts the outcome of the send.
    pub fn ended(mut self, outcome: &Result<SendOutcome, SendError>) {
        self.outcome = match outcome {
            Ok(outcome) if outcome.repeated => "repeated",
            Ok(_) => "accepted",
            Err(
                SendError::UnknownSession
                | SendError::NotConnected { .. }
                | SendError::SessionUnavailable
                | SendError::NotSupported { .. }
                | SendError::UnknownTarget { .. }
                | SendError::LogFull(_)
                | SendError::Store(_)
                | SendError::IdempotencyMismatch { .. },
            ) => "not_sent",
            Err(SendError::Refused { .. }) => "refused",
            Err(
                SendError::WorkerError { .. }
                | SendError::OutcomeUnknown { .. }
                | SendError::NotRecorded { .. },
            ) => "unknown",
        };
    }
}

impl Drop for SendInFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.decrement(1.0);
        let counters = OUTCOMES.iter().zip(&self.metrics.outcomes);
        for (_, counter) in counters.filter(|(known, _)| **known == self.outcome) {
            counter.increment(1);
        }
    }
}

impl LoopMetrics {
    fn new(recorder: &PrometheusRecorder) -> Self {
        let counted = |name, text| {
            describe_counter(recorder, name, text);
            counter(recorder, name, &[])
        };
        let workers = "gateway_workers";
        describe_gauge(recorder, workers, "Workers by status");
        let excluded = "gateway_workers_excluded";
        let text = "Workers on which nothing new is placed, by reason";
        describe_gauge(recorder, excluded, text);
        let coordinator = "gateway_coordinator_available";
        describe_gauge(recorder, coordinator, "Whether the coordinator answers");
        let mismatches = "gateway_peer_mismatches";
        let meaning = "In how many options or secrets other replicas differ";
        describe_gauge(recorder, mismatches, meaning);
        let waiting = "gateway_effects_waiting";
        describe_gauge(recorder, waiting, "Effects that wait for their turn");
        let running = "gateway_effects_running";
        describe_gauge(recorder, running, "Effects that are being performed");
        let trusted = "gateway_caches_trusted";
        describe_gauge(recorder, trusted, "Whether the caches may be answered from");
        Self {
            due: counted("gateway_sessions_due_total", "Rows that fell due"),
            placements: counted(
                "gateway_session_placements_total",
                "Sessions that were given a worker",
            ),
            fenced: counted(
                "gateway_workers_fenced_total",
                "Incarnations that were fenced",
            ),
            published: counted("gateway_events_published_total", "Events published"),
            coordinator: gauge(recorder, coordinator),
            peer_mismatches: gauge(recorder, mismatches),
            caches_trusted: gauge(recorder, trusted),
            effects_waiting: gauge(recorder, waiting),
            effects_running: gauge(recorder, running),
            workers: WorkerStatus::ALL.map(|status| {
                let labels = [("status", status.name())];
                recorder.register_gauge(&Key::from_parts(workers, labels.as_slice()), &ABOUT)
            }),
            excluded: FilterReason::STANDING.map(|reason| {
                let labels = [("reason", reason.name())];
                recorder.register_gauge(&Key::from_parts(excluded, labels.as_slice()), &ABOUT)
            }),
        }
    }

    /// Notes how many effects wait and how many are being performed.
    pub fn effects(&self, waiting: usize, running: usize) {
        self.effects_waiting.set(waiting as f64);
        self.effects_running.set(running as f64);
    }

    /// Shows how many workers have each status, and why nothing new is placed on some, from both of every
    /// worker.
    pub fn fleet(&self, workers: &[(WorkerStatus, Option<FilterReason>)]) {
        let show =
            |gauge: &Gauge, count: usize| gauge.set(u32::try_from(count).unwrap_or(u32::MAX));
        for (status, gauge) in WorkerStatus::ALL.into_iter().zip(&self.workers) {
            let known = workers.iter().filter(|(known, _)| *known == status);
            show(gauge, known.count());
        }
        for (reason, gauge) in FilterReason::STANDING.into_iter().zip(&self.excluded) {
            let known = workers.iter().filter(|(_, known)| *known == Some(reason));
            show(gauge, known.count());
        }
    }
}

impl fmt::Debug for SendMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for LoopMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for MessageLogMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageLogMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for StalledLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.fmt(f)
    }
}

impl fmt::Debug for HttpMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetrics").finish_non_exhaustive()
    }
}

fn counter(
    to: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
) -> Counter {
    to.register_counter(&Key::from_parts(name, labels), &ABOUT)
}

fn gauge(to: &PrometheusRecorder, name: &'static str) -> Gauge {
    to.register_gauge(&Key::from_name(name), &ABOUT)
}

pub(super) fn describe_counter(to: &PrometheusRecorder, name: &'static str, text: &'static str) {
    to.describe_counter(
        KeyName::from_const_str(name),
        None,
        SharedString::const_str(text),
    );
}

pub(super) fn describe_gauge(to: &PrometheusRecorder, name: &'static str, text: &'static str) {
    to.describe_gauge(
        KeyName::from_const_str(name),
        None,
        SharedString::const_str(text),
    );
}

fn describe_seconds(to: &PrometheusRecorder, name: &'static str, text: &'static str) {
    let (name, text) = (KeyName::from_const_str(name), SharedString::const_str(text));
    to.describe_histogram(name, Some(Unit::Seconds), text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_there_before_its_first_event() {
        let metrics = Metrics::new().expect("metrics");
        metrics.http.connections.increment(1.0);
        metrics.http.answered(http::StatusCode::NOT_FOUND);
        metrics.http.seconds("/x/{id}").record(0.003);
        metrics.message_log.batch.record(300.0);
        metrics.message_log.stalled.changed(true);
        let id = gateway_core::id::MessageId::from_u128(1);
        metrics
            .sends
            .begun()
            .ended(&Err(SendError::OutcomeUnknown { id }));
        let cordoned = Some(FilterReason::Cordoned);
        let workers = [
            (WorkerStatus::Active, None),
            (WorkerStatus::Active, cordoned),
        ];
        metrics.loops.fleet(&workers);
        let text = metrics.render();
        for line in [
            "# HELP gateway_http_connections Open connections",
            "gateway_http_connections 1",
            "gateway_http_requests_total{class=\"5xx\"} 0",
            "gateway_http_requests_total{class=\"4xx\"} 1",
            "gateway_http_request_seconds_bucket{route=\"/x/{id}\",le=\"0.005\"} 1",
            "gateway_message_log_places 0",
            "gateway_message_log_capacity 0",
            "gateway_message_log_full_total 0",
            "gateway_message_logs_stalled 1",
            "gateway_caches_trusted 0",
            "gateway_sends_in_flight 0",
            "gateway_sends_total{outcome=\"unknown\"} 1",
            "gateway_session_placements_total 0",
            "gateway_effects_waiting 0",
            "gateway_effects_running 0",
            "gateway_coordinator_available 0",
            "gateway_peer_mismatches 0",
            "gateway_workers{status=\"ACTIVE\"} 2",
            "gateway_workers{status=\"OFFLINE\"} 0",
            "gateway_workers_excluded{reason=\"cordoned\"} 1",
            "gateway_workers_excluded{reason=\"state_not_stored\"} 0",
            "gateway_message_log_batch_facts_bucket{le=\"500\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn servers_in_one_process_count_apart() {
        let (one, other) = (
            Metrics::new().expect("metrics"),
            Metrics::new().expect("metrics"),
        );
        one.http.answered(http::StatusCode::OK);
        assert!(
            other
                .render()
                .contains("gateway_http_requests_total{class=\"2xx\"} 0")
        );
    }
}
