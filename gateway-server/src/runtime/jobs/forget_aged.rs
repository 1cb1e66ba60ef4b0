//! Forgets what has grown old: history, events, archived credentials and what else only accumulates.
//!
//! A round goes over everything in small steps with pauses between them, so that it takes no more than a
//! part of one connection's time.

use std::time::Duration;

use gateway_core::leader::LeaderTerm;
use gateway_core::retention::{Retention, SweepError};

use super::frame::{JobError, Next, Pace};
use super::led::LedJob;
use crate::telemetry::job_metrics::JobMetrics;

/// Between two steps of one round.
const BETWEEN_STEPS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct ForgetAged {
    pub(crate) retention: Retention,
    /// The pause between two rounds.
    pub(crate) interval: Duration,
    pub(crate) metrics: JobMetrics,
}

impl LedJob for ForgetAged {
    const NAME: &'static str = "forget_aged";

    fn pace(&self) -> Pace {
        Pace::of(self.interval)
    }

    async fn step(&mut self, term: &LeaderTerm) -> Result<Next, JobError> {
        let swept = self.retention.step(term).await?;
        self.metrics.forgotten(swept.kind, swept.rows);
        if swept.rows > 0 {
            tracing::debug!(kind = swept.kind, rows = swept.rows, "forgotten");
        }
        match swept.is_last {
            true => Ok(Next::AtPace),
            false => Ok(Next::Within(BETWEEN_STEPS)),
        }
    }
}

impl From<SweepError> for JobError {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Store(error) => Self::Store(error),
            error @ (SweepError::TermOver | SweepError::State(_)) => Self::Other(Box::new(error)),
        }
    }
}
