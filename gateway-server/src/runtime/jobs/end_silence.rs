//! Gives up messages that nobody has acknowledged in time.

use std::time::Duration;

use gateway_core::leader::LeaderTerm;
use gateway_core::message::{AckDeadline, AckError};

use super::frame::{JobError, Next, Pace};
use super::led::LedJob;
use crate::telemetry::job_metrics::JobMetrics;

/// Between two steps.
const INTERVAL: Duration = Duration::from_secs(5);
/// Between two steps while there is more to look at.
const BETWEEN_STEPS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct EndSilence {
    pub(crate) deadline: AckDeadline,
    pub(crate) metrics: JobMetrics,
}

impl LedJob for EndSilence {
    const NAME: &'static str = "end_silence";

    fn pace(&self) -> Pace {
        Pace::of(INTERVAL)
    }

    async fn step(&mut self, term: &LeaderTerm) -> Result<Next, JobError> {
        let step = self.deadline.step(term).await?;
        self.metrics.not_acknowledged(step.given_up);
        if step.given_up > 0 {
            tracing::info!(
                messages = step.given_up,
                "not acknowledged in time: unknown"
            );
        }
        match step.is_behind {
            false => Ok(Next::AtPace),
            true => Ok(Next::Within(BETWEEN_STEPS)),
        }
    }
}

impl From<AckError> for JobError {
    fn from(error: AckError) -> Self {
        match error {
            AckError::Store(error) => Self::Store(error),
            error @ (AckError::TermOver | AckError::LogFull(_) | AckError::Log(_)) => {
                Self::Other(Box::new(error))
            }
        }
    }
}
