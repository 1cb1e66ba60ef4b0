//! Watching leases: suspecting who is silent, fencing who is dead.

use super::apply::gather;
use super::{Done, Orchestrator};
use crate::store::StoreError;

impl Orchestrator {
    /// Suspects workers that have fallen silent and fences those that are dead. Returns how many were
    /// fenced.
    ///
    /// Call it at least every [`crate::worker::LeasePolicy::heartbeat`]: what is not looked at never counts
    /// as dead.
    ///
    /// # Errors
    /// The store fails; nothing is lost by calling again.
    pub async fn watch_leases(&self) -> Result<Done<usize>, StoreError> {
        let (mut fenced, mut effects) = (0, Vec::new());
        for silent in self.ports.leases.silent().await? {
            let Some(death) = &silent.death else {
                self.suspect(&silent).await?;
                continue;
            };
            match self.fence(death).await {
                Ok(done) => {
                    fenced += usize::from(done.value);
                    gather(&mut effects, done.effects);
                }
                // One incarnation that cannot be fenced must not stop everything else.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(worker.id = %silent.owner.worker, error, "a dead worker is not fenced yet");
                }
            }
        }
        Ok(Done {
            value: fenced,
            effects,
        })
    }
}
