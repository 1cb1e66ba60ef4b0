//! Watching leases: suspecting who is silent, fencing who is dead.

use super::apply::gather;
use super::{Done, Orchestrator, fence};
use crate::store::StoreError;
use crate::worker::{Silent, Worker, WorkerStatus};

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
    ///
    /// Most have been for a while, at every look again, so a transaction is opened only for who is not.
    async fn suspect(&self, silent: &Silent) -> Result<(), StoreError> {
        let id = &silent.owner.worker;
        let known = self.ports.store.read().await?.worker(id).await?;
        if !known.is_some_and(|worker| is_trusted(&worker, silent)) {
            return Ok(());
        }
        let mut tx = self.ports.store.begin().await?;
        let locked = tx.lock_worker(id).await?;
        let Some(worker) = locked.filter(|worker| is_trusted(worker, silent)) else {
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

/// Returns whether the silent incarnation is the worker's newest one and still counts as active.
fn is_trusted(worker: &Worker, silent: &Silent) -> bool {
    worker.status == WorkerStatus::Active && worker.owner().as_ref() == Some(&silent.owner)
}
