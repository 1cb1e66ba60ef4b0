//! Suspects workers that are silent and fences those that are dead.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::orchestrator::Orchestrator;

use super::frame::{Job, JobError, Next, Pace};
use crate::effects::EffectExecutor;
use crate::telemetry::metrics::LoopMetrics;

#[derive(Debug)]
pub(crate) struct WatchLeases {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) effects: EffectExecutor,
    pub(crate) metrics: LoopMetrics,
}

impl Job for WatchLeases {
    const NAME: &'static str = "watch_leases";

    fn pace(&self) -> Pace {
        Pace::of(Duration::from_secs(1))
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let watched = self.orchestrator.watch_leases().await?;
        self.metrics.fenced.increment(watched.value as u64);
        self.effects.carry_out(watched.effects);
        Ok(Next::AtPace)
    }
}
