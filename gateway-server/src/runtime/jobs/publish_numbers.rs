//! Shows this replica's numbers to the others, and compares what all must have in common.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::{Coordinator, ReplicaNumbers};
use gateway_core::id::ReplicaId;

use super::frame::{Job, JobError, Next, Pace};
use crate::runtime::peers::{SaidMismatches, SharedSetup};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::numbers::numbers;

/// How long numbers are shown: a replica that is silent for longer is not there.
const SHOWN_FOR: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct PublishNumbers {
    pub(crate) replica: ReplicaId,
    pub(crate) coord: Arc<dyn Coordinator>,
    pub(crate) metrics: Metrics,
    /// What this replica must have in common with others, where there can be any.
    pub(crate) setup: Option<Arc<SharedSetup>>,
    /// In what it differs from them, as it was last said.
    pub(crate) said: SaidMismatches,
}

impl Job for PublishNumbers {
    const NAME: &'static str = "publish_numbers";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(5))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let published = self.publish().await;
        let available = if published.is_ok() { 1.0 } else { 0.0 };
        self.metrics.loops.coordinator.set(available);
        published.map(|()| Next::AtPace)
    }
}

impl PublishNumbers {
    async fn publish(&mut self) -> Result<(), JobError> {
        let mut live = ReplicaNumbers {
            replica: self.replica.to_string(),
            numbers: numbers(&self.metrics.render()),
        };
        if let Some(setup) = &self.setup {
            setup.publish_in(&mut live);
        }
        self.coord.publish_numbers(&live, SHOWN_FOR).await?;
        // Their number is kept by the coordinator for the time that it is away.
        let all = self.coord.replica_numbers().await?;
        if let Some(setup) = &self.setup {
            // Two that started at once could not see each other then.
            let mismatches = setup.log_mismatches(&all, &mut self.said);
            self.metrics.loops.peer_mismatches.set(mismatches as f64);
        }
        Ok(())
    }
}
