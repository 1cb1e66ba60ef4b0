//! Requests that failed on this side, and which of them are logged.
//!
//! An outage makes every request fail for the same reason, hundreds of times a second. All are counted; the log
//! has one line per kind of problem and second, which says how many were left out before it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::time::Uptime;
use metrics::{Counter, Key, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::RepeatedMessage;
use super::metrics::{ABOUT, describe_counter};

const FAILURES: &str = "gateway_http_failures_total";
const ONE_LINE: Duration = Duration::from_secs(1);

struct Kind {
    count: Counter,
    said: RepeatedMessage,
}

/// Failed requests by kind of problem. Clones count together.
#[derive(Clone)]
pub struct FailureMetrics {
    recorder: Arc<PrometheusRecorder>,
    kinds: Arc<Mutex<BTreeMap<&'static str, Kind>>>,
}

impl fmt::Debug for FailureMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureMetrics").finish_non_exhaustive()
    }
}

impl FailureMetrics {
    pub(super) fn new(recorder: Arc<PrometheusRecorder>) -> Self {
        let text = "Requests that failed on this side, by type of problem";
        describe_counter(&recorder, FAILURES, text);
        Self {
            recorder,
            kinds: Arc::default(),
        }
    }

    /// Counts a request that failed for a problem of this kind. Returns how many like it were left out of the log
    /// before, if this one is to be logged.
    pub fn failed(&self, kind: &'static str, now: Uptime) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kinds.entry(kind).or_insert_with(|| {
            let key = Key::from_parts(FAILURES, [("type", kind)].as_slice());
            Kind {
                count: self.recorder.register_counter(&key, &ABOUT),
                said: RepeatedMessage::new(ONE_LINE),
            }
        });
        known.count.increment(1);
        known.said.due(now)
    }
}
