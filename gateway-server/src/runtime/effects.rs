//! Carrying out effects: one task each, and what follows from it.
//!
//! An effect may be lost without harm, so the tasks belong to nobody and end with the program.

use gateway_core::session::Effect;

use crate::app::App;
use crate::telemetry::ErrorChain;

impl App {
    /// Tries every effect at once, in the background.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        for effect in effects {
            let app = self.clone();
            self.shutdown.spawn_loop(|stop| async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = app.carry_out_one(effect) => {}
                }
            });
        }
    }

    /// Tries one effect, then those that follow from it.
    async fn carry_out_one(&self, effect: Effect) {
        let mut left = vec![effect];
        while let Some(effect) = left.pop() {
            let places = matches!(effect, Effect::Place(_));
            match self.orchestrator.perform(effect).await {
                Ok(more) => {
                    if places && more.iter().any(|next| matches!(next, Effect::Start(_))) {
                        self.metrics.loops.placements.increment(1);
                    }
                    left.extend(more);
                }
                Err(error) => {
                    tracing::warn!(error = %ErrorChain(&error), "an effect is tried again when it is due");
                }
            }
        }
    }
}
