//! How many sessions there are, and what becomes of messages.

use std::fmt;

use gateway_core::message::{MessageStatus, Recorded};
use gateway_core::session::Status;
use metrics::{Counter, Gauge, Key, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::metrics::{ABOUT, describe_counter, describe_gauge};

const SESSIONS: &str = "gateway_sessions";
const PHASES: &str = "gateway_sessions_in_phase";
const MESSAGES: &str = "gateway_messages_total";

/// The statuses that a message can reach today.
const REACHED: [MessageStatus; 7] = [
    MessageStatus::Sending,
    MessageStatus::Unknown,
    MessageStatus::Failed,
    MessageStatus::Sent,
    MessageStatus::Delivered,
    MessageStatus::Read,
    MessageStatus::Played,
];

/// The number of sessions by status, and by phase where something is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionCensus {
    pub by_status: [u64; Status::ALL.len()],
    pub by_phase: [u64; SessionCensus::PHASES.len()],
}

impl SessionCensus {
    /// The phases that are counted: a session waits for a worker, or one has it. In the others it rests.
    pub const PHASES: [&'static str; 4] = ["WAITING", "STARTING", "ACTIVE", "STOPPING"];
}

/// Sessions by status and phase, and messages by status. Clones count together.
#[derive(Clone)]
pub struct CensusMetrics {
    by_status: [Gauge; Status::ALL.len()],
    by_phase: [Gauge; SessionCensus::PHASES.len()],
    messages: [Counter; REACHED.len()],
}

impl fmt::Debug for CensusMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CensusMetrics").finish_non_exhaustive()
    }
}

impl CensusMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        describe_gauge(recorder, SESSIONS, "Sessions by status");
        let text = "Sessions that wait for a worker or have one, by phase";
        describe_gauge(recorder, PHASES, text);
        let text = "Messages that came to a status, as this replica recorded it";
        describe_counter(recorder, MESSAGES, text);
        let gauge = |name, label, value| {
            let key = Key::from_parts(name, [(label, value)].as_slice());
            recorder.register_gauge(&key, &ABOUT)
        };
        let counter = |status: MessageStatus| {
            let key = Key::from_parts(MESSAGES, [("status", status.name())].as_slice());
            recorder.register_counter(&key, &ABOUT)
        };
        Self {
            by_status: Status::ALL.map(|status| gauge(SESSIONS, "status", status.name())),
            by_phase: SessionCensus::PHASES.map(|phase| gauge(PHASES, "phase", phase)),
            messages: REACHED.map(counter),
        }
    }

    /// Shows how many sessions there are.
    pub fn sessions(&self, census: &SessionCensus) {
        let statuses = self.by_status.iter().zip(census.by_status);
        let phases = self.by_phase.iter().zip(census.by_phase);
        for (gauge, count) in statuses.chain(phases) {
            gauge.set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Counts a fact that was written, if it has given its message another status.
    pub fn recorded(&self, recorded: &Recorded) {
        let status = recorded.message.status;
        if recorded.mismatch || recorded.before == Some(status) {
            return;
        }
        let counters = REACHED.iter().zip(&self.messages);
        for (_, counter) in counters.filter(|(known, _)| **known == status) {
            counter.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn sessions_are_shown_by_status_and_by_phase() {
        let metrics = Metrics::new().expect("metrics");
        let mut census = SessionCensus::default();
        census.by_status[3] = 7;
        census.by_phase[0] = 2;
        metrics.census.sessions(&census);
        let text = metrics.render();
        for line in [
            "gateway_sessions{status=\"CONNECTED\"} 7\n",
            "gateway_sessions{status=\"ERROR\"} 0\n",
            "gateway_sessions_in_phase{phase=\"WAITING\"} 2\n",
            "gateway_messages_total{status=\"failed\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
