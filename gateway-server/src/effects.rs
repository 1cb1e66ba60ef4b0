//! Performing effects in the background, at most so many at once.
//!
//! An effect may be lost without harm, because the row that it came from falls due again. So the queue is
//! memory, a stop drops what is in it, and the tasks end with the jobs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use gateway_core::orchestrator::{Driver, EffectLimits, Orchestrator, Turn};
use gateway_core::session::Effect;
use tokio_util::sync::CancellationToken;

use crate::shutdown::Shutdown;
use crate::telemetry::ErrorChain;
use crate::telemetry::metrics::LoopMetrics;

/// Performs effects in the background. Clones share the queue.
#[derive(Clone, Debug)]
pub struct EffectExecutor(Arc<Performing>);

#[derive(Debug)]
struct Performing {
    driver: Driver,
    shutdown: Shutdown,
    metrics: LoopMetrics,
}

impl EffectExecutor {
    /// Makes an executor with an empty queue.
    #[must_use]
    pub fn new(
        orchestrator: Arc<Orchestrator>,
        limits: EffectLimits,
        shutdown: Shutdown,
        metrics: LoopMetrics,
    ) -> Self {
        Self(Arc::new(Performing {
            driver: Driver::with_limits(orchestrator, limits),
            shutdown,
            metrics,
        }))
    }

    /// Queues these effects, and performs them and those that follow from them as soon as their turn
    /// comes. Call it on the control runtime.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        self.0.driver.add(effects);
        self.start_tasks();
    }

    /// Starts a task for each effect that may run now.
    fn start_tasks(&self) {
        while let Some(turn) = self.0.driver.take() {
            let executor = self.clone();
            let shutdown = &self.0.shutdown;
            shutdown.spawn_loop(|stop| async move { executor.run(turn, &stop).await });
        }
        let (waiting, running) = self.0.driver.load();
        self.0.metrics.effects(waiting, running);
    }

    /// Performs one effect after the other until none may run any more, or until the stop.
    async fn run(&self, mut turn: Turn, stop: &CancellationToken) {
        loop {
            let effect = turn.effect().clone();
            let performing = AssertUnwindSafe(self.perform(turn)).catch_unwind();
            let Some(performed) = stop.run_until_cancelled(performing).await else {
                return;
            };
            if performed.is_err() {
                tracing::error!(?effect, "an effect panicked");
            }
            let next = self.0.driver.take();
            // The end of one may have made room for several.
            self.start_tasks();
            match next {
                Some(next) => turn = next,
                None => return,
            }
        }
    }

    /// Tries one effect and queues those that follow from it.
    async fn perform(&self, turn: Turn) {
        let effect = turn.effect().clone();
        let places = matches!(effect, Effect::Place(_));
        match self.0.driver.orchestrator().perform(effect).await {
            Ok(more) => {
                if places && more.iter().any(|next| matches!(next, Effect::Start(_))) {
                    self.0.metrics.placements.increment(1);
                }
                turn.finish(more);
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "an effect is tried again when it is due");
            }
        }
    }
}
