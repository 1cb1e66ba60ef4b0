//! Claims what is due and decides it.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::Notice;
use gateway_core::orchestrator::Orchestrator;

use super::frame::{Job, JobError, Next, Pace};
use crate::effects::EffectExecutor;
use crate::telemetry::metrics::LoopMetrics;

/// The shortest pause keeps a row that stays due from spinning a core.
const PACE: Pace = Pace {
    longest: Duration::from_secs(1),
    shortest: Duration::from_millis(10),
};

#[derive(Debug)]
pub(crate) struct ClaimDue {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) effects: EffectExecutor,
    pub(crate) metrics: LoopMetrics,
}

impl Job for ClaimDue {
    const NAME: &'static str = "claim_due";
    const LISTENS: bool = true;

    fn pace(&self) -> Pace {
        PACE
    }

    fn wakes_on(&mut self, notice: &Notice) -> bool {
        *notice == Notice::Due
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let claim = self.orchestrator.claim_due().await?;
        self.metrics.due.increment(claim.claimed as u64);
        self.effects.carry_out(claim.effects);
        Ok(claim.next.map_or(Next::AtPace, Next::Within))
    }
}
