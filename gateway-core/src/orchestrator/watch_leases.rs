//! Watching leases: suspecting who is silent, fencing who is dead.

use super::apply::gather;
use super::{Done, Orchestrator, fence};
use crate::store::StoreError;
use crate::worker::{Silent, WorkerStatus};

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
                Ok(None) => {}
                Ok(Some(more)) => {
                    fenced += 1;
                    gather(&mut effects, more);
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

    /// Makes a silent worker `SUSPECT`, so that nothing new is placed on it.
    async fn suspect(&self, silent: &Silent) -> Result<(), StoreError> {
        let mut tx = self.ports.store.begin().await?;
        let worker = tx.worker(&silent.owner.worker).await?;
        let newest = worker.filter(|worker| worker.owner().as_ref() == Some(&silent.owner));
        let Some(worker) = newest.filter(|worker| worker.status == WorkerStatus::Active) else {
            return Ok(());
        };
        let (active, suspect) = (WorkerStatus::Active, WorkerStatus::Suspect);
        if !tx.shift_worker(&worker.id, active, suspect).await? {
            return Ok(());
        }
        let event = fence::worker_event(&worker.id, WorkerStatus::Suspect, "silent");
        tx.append_events(&[event]).await?;
        tx.commit().await?;
        self.announce_worker(&worker.id).await;
        tracing::warn!(worker.id = %worker.id, "a worker has missed heartbeats");
        Ok(())
    }
}
