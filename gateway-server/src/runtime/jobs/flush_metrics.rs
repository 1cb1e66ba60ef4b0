//! Adds up measured values, which are kept one by one until somebody asks for them.

use std::time::Duration;

use super::frame::{Job, JobError, Next, Pace};
use crate::telemetry::metrics::Metrics;

#[derive(Debug)]
pub(crate) struct FlushMetrics {
    pub(crate) metrics: Metrics,
}

impl Job for FlushMetrics {
    const NAME: &'static str = "flush_metrics";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(5))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        self.metrics.upkeep();
        Ok(Next::AtPace)
    }
}
