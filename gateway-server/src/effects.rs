//! Performing effects in the background, at most so many at once.
//!
//! An effect may be lost without harm, because the row that it came from falls due again. So the queue is
//! memory, a stop drops what is in it, and the tasks end with the jobs.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use gateway_core::orchestrator::{EffectLimits, EffectQueue, Orchestrator};
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
    orchestrator: Arc<Orchestrator>,
    queue: Mutex<EffectQueue>,
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
            orchestrator,
            queue: Mutex::new(EffectQueue::new(limits)),
            shutdown,
            metrics,
        }))
    }

    /// Queues these effects, and performs them and those that follow from them as soon as their turn
    /// comes. Call it on the control runtime.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        let mut queue = self.queue();
        for effect in effects {
            queue.add(effect);
        }
        drop(queue);
        self.start_tasks();
    }

    /// Starts a task for each effect that may run now.
    fn start_tasks(&self) {
        loop {
            let mut queue = self.queue();
            let Some(effect) = queue.take() else {
                self.0.metrics.effects(queue.waiting(), queue.running());
                return;
            };
            drop(queue);
            let executor = self.clone();
            let shutdown = &self.0.shutdown;
            shutdown.spawn_loop(|stop| async move { executor.run(effect, &stop).await });
        }
    }

    /// Performs one effect after the other until none may run any more, or until the stop.
    async fn run(&self, mut effect: Effect, stop: &CancellationToken) {
        loop {
            let performing = AssertUnwindSafe(self.perform(effect.clone())).catch_unwind();
            let Some(performed) = stop.run_until_cancelled(performing).await else {
                return;
            };
            let followed_by = performed.unwrap_or_else(|_| {
                tracing::error!(?effect, "an effect panicked");
                Vec::new()
            });
            let mut queue = self.queue();
            queue.finish(&effect, followed_by);
            let next = queue.take();
            drop(queue);
            // The end of one may have made room for several.
            self.start_tasks();
            match next {
                Some(next) => effect = next,
                None => return,
            }
        }
    }

    /// Tries one effect and returns those that follow from it.
    async fn perform(&self, effect: Effect) -> Vec<Effect> {
        let places = matches!(effect, Effect::Place(_));
        match self.0.orchestrator.perform(effect).await {
            Ok(more) => {
                if places && more.iter().any(|next| matches!(next, Effect::Start(_))) {
                    self.0.metrics.placements.increment(1);
                }
                more
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "an effect is tried again when it is due");
                Vec::new()
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, EffectQueue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
