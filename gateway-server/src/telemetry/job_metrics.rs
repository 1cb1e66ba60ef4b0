//! What is known of the jobs of this replica: counters for machines, the last outcome of each for people.
//!
//! Both stand in one place, so that `GET /health/detailed` and `GET /metrics` cannot disagree about which
//! jobs there are. A job that is done is not shown any more; its counters stay.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::time::Timestamp;
use metrics::{Counter, Gauge, Key, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::metrics::{ABOUT, describe_counter, describe_gauge};

const STEPS: &str = "gateway_job_steps_total";
const LEADS: &str = "gateway_job_leads";
const FORGOTTEN: &str = "gateway_retention_rows_total";
const UNACKNOWLEDGED: &str = "gateway_messages_unacknowledged_total";

/// The jobs of one replica. Clones are the same.
#[derive(Clone)]
pub struct JobMetrics {
    recorder: Arc<PrometheusRecorder>,
    jobs: Arc<Mutex<BTreeMap<&'static str, JobState>>>,
}

/// What a job did last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobState {
    /// When a step last succeeded.
    pub last_success: Option<Timestamp>,
    /// The class of the last error and when it happened.
    pub last_error: Option<(&'static str, Timestamp)>,
    /// Whether the last step failed.
    pub is_failing: bool,
    /// Whether this replica leads, for a job that only one replica does at a time.
    pub is_leader: Option<bool>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The job's work of that moment is done.
    Done,
    /// With an error of this class.
    Failed(&'static str),
    /// With a panic, which is a defect.
    Panicked,
}

/// Counts and shows the steps of one job. Dropping it says that the job is done.
pub struct JobReport {
    name: &'static str,
    metrics: JobMetrics,
    done: Counter,
    failed: Counter,
    panicked: Counter,
    leads: Gauge,
}

impl JobMetrics {
    pub(super) fn new(recorder: Arc<PrometheusRecorder>) -> Self {
        describe_counter(&recorder, STEPS, "Steps of jobs by outcome");
        let leads = "Whether this replica leads the job";
        describe_gauge(&recorder, LEADS, leads);
        describe_counter(
            &recorder,
            FORGOTTEN,
            "Rows forgotten because of their age, by kind",
        );
        describe_counter(
            &recorder,
            UNACKNOWLEDGED,
            "Messages given up as unknown because nobody acknowledged them in time",
        );
        let jobs = Arc::default();
        Self { recorder, jobs }
    }

    /// Begins to show a job.
    #[must_use]
    pub fn report(&self, name: &'static str) -> JobReport {
        self.jobs().insert(name, JobState::default());
        let steps = |outcome| {
            let labels = [("job", name), ("outcome", outcome)];
            let key = Key::from_parts(STEPS, labels.as_slice());
            self.recorder.register_counter(&key, &ABOUT)
        };
        let leads = Key::from_parts(LEADS, [("job", name)].as_slice());
        JobReport {
            name,
            metrics: self.clone(),
            done: steps("done"),
            failed: steps("failed"),
            panicked: steps("panicked"),
            leads: self.recorder.register_gauge(&leads, &ABOUT),
        }
    }

    /// Counts rows of a kind that were forgotten because of their age.
    pub(crate) fn forgotten(&self, kind: &'static str, rows: u64) {
        let key = Key::from_parts(FORGOTTEN, [("kind", kind)].as_slice());
        self.recorder.register_counter(&key, &ABOUT).increment(rows);
    }

    /// Counts messages that were given up as `unknown`.
    pub(crate) fn not_acknowledged(&self, messages: u64) {
        let key = Key::from_static_name(UNACKNOWLEDGED);
        let counter = self.recorder.register_counter(&key, &ABOUT);
        counter.increment(messages);
    }

    /// Returns every job that runs in this replica, by name.
    #[must_use]
    pub fn states(&self) -> BTreeMap<&'static str, JobState> {
        self.jobs().clone()
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<&'static str, JobState>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobReport {
    /// Notes the end of a step. `is_leader` keeps its last value when it is not known.
    pub fn ended(&self, outcome: StepOutcome, is_leader: Option<bool>, now: Timestamp) {
        if let Some(leads) = is_leader {
            self.leads.set(if leads { 1.0 } else { 0.0 });
        }
        let mut jobs = self.metrics.jobs();
        let state = jobs.entry(self.name).or_default();
        state.is_leader = is_leader.or(state.is_leader);
        state.is_failing = outcome != StepOutcome::Done;
        match outcome {
            StepOutcome::Done => {
                self.done.increment(1);
                state.last_success = Some(now);
            }
            StepOutcome::Failed(class) => {
                self.failed.increment(1);
                state.last_error = Some((class, now));
            }
            StepOutcome::Panicked => {
                self.panicked.increment(1);
                state.last_error = Some(("panicked", now));
            }
        }
    }
}

impl Drop for JobReport {
    fn drop(&mut self) {
        self.metrics.jobs().remove(self.name);
    }
}

impl fmt::Debug for JobMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobMetrics")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobReport")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
