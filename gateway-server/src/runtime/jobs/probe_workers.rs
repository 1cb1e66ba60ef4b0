//! Asks workers for their health, and keeps what this replica observes of them up to date.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use gateway_core::orchestrator::Orchestrator;

use super::frame::{Job, JobError, Next, Pace};
use crate::telemetry::ErrorChain;
use crate::telemetry::worker_metrics::WorkerMetrics;

/// Workers that are asked at the same time.
const AT_ONCE: usize = 64;

#[derive(Debug)]
pub(crate) struct ProbeWorkers {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) metrics: WorkerMetrics,
}

impl Job for ProbeWorkers {
    const NAME: &'static str = "probe_workers";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(1))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let due = self.orchestrator.review_vitals();
        let probing = due.into_iter().map(|owner| {
            let orchestrator = Arc::clone(&self.orchestrator);
            async move { orchestrator.probe(&owner).await }
        });
        let mut probes = stream::iter(probing).buffer_unordered(AT_ONCE);
        while let Some(probe) = probes.next().await {
            match probe {
                Ok(outcome) => self.metrics.probed(outcome),
                // The others are asked all the same; this one falls due again.
                Err(error) => {
                    tracing::warn!(error = %ErrorChain(&error), "a worker's health is not known");
                }
            }
        }
        self.metrics
            .observed(&self.orchestrator.vitals().readings());
        Ok(Next::AtPace)
    }
}
