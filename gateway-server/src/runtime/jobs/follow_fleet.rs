//! Keeps this replica's picture of the fleet, from which workers are picked, up to date.
//!
//! No notice wakes it: a worker that registers here is known at once, and a pick that finds nobody looks at
//! what has changed before it gives up.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::orchestrator::Orchestrator;

use super::frame::{Job, JobError, Next, Pace};

#[derive(Debug)]
pub(crate) struct FollowFleet {
    pub(crate) orchestrator: Arc<Orchestrator>,
    /// How often workers report.
    pub(crate) heartbeat: Duration,
}

impl Job for FollowFleet {
    const NAME: &'static str = "follow_fleet";

    fn pace(&self) -> Pace {
        Pace::of(self.heartbeat)
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        self.orchestrator.follow_fleet().await?;
        Ok(Next::AtPace)
    }
}
