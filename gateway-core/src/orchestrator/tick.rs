//! The tick: whatever is due, whoever it belonged to.

use std::time::Duration;

use super::apply::gather;
use super::{Orchestrator, fence};
use crate::session::{Effect, Input, Session};
use crate::store::StoreError;
use crate::worker::WorkerStatus;

/// What a tick found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// To be handed to [`Orchestrator::perform`].
    pub effects: Vec<Effect>,
    /// The time until something is due; none: nothing is. Zero: more is due already.
    pub next: Option<Duration>,
    /// How many rows were due.
    pub claimed: usize,
    /// How many incarnations were fenced.
    pub fenced: usize,
}

impl Orchestrator {
    /// Looks at leases and claims what is due.
    ///
    /// A claim only moves `due_at` ahead and commits, so a caller that dies afterwards needs no clean-up:
    /// the row falls due again. Call it at least every [`crate::worker::LeasePolicy::heartbeat`].
    ///
    /// # Errors
    /// The store's; nothing is lost by calling again.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        let mut effects = Vec::new();
        let fenced = self.watch(&mut effects).await?;
        self.refresh_fleet().await?;
        let mut tx = self.ports.store.begin().await?;
        let now = tx.now().await?;
        let until = now.plus(self.policy.session.repeat_order);
        let due = tx.claim_due_sessions(until, self.policy.claim).await?;
        let next = tx.next_due().await?.map(|due| due.since(now));
        tx.commit().await?;
        for row in &due {
            // From here on nothing fails the tick: what others have returned must be performed.
            let same = |found: &Session| found.version == row.version;
            match self.apply(row.id, &Input::Due, same).await {
                Ok(Some(done)) => gather(&mut effects, done.effects),
                Ok(None) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(session.id = %row.id, error, "a due row is looked at again");
                }
            }
        }
        Ok(Tick {
            effects,
            next,
            claimed: due.len(),
            fenced,
        })
    }

    /// Suspects who is silent and fences who is dead; how many were fenced.
    async fn watch(&self, effects: &mut Vec<Effect>) -> Result<usize, StoreError> {
        let mut fenced = 0;
        for silent in self.ports.leases.silent().await? {
            if let Some(death) = &silent.death {
                match self.fence(death).await {
                    Ok(None) => {}
                    Ok(Some(more)) => {
                        fenced += 1;
                        gather(effects, more);
                    }
                    // One incarnation that cannot be fenced must not stop everything else.
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(worker.id = %silent.owner.worker, error, "a dead worker is not fenced yet");
                    }
                }
                continue;
            }
            let mut tx = self.ports.store.begin().await?;
            let worker = tx.worker(&silent.owner.worker).await?;
            let newest = worker.filter(|worker| worker.owner().as_ref() == Some(&silent.owner));
            let Some(worker) = newest.filter(|worker| worker.status == WorkerStatus::Active) else {
                continue;
            };
            if tx
                .shift_worker(&worker.id, WorkerStatus::Active, WorkerStatus::Suspect)
                .await?
            {
                let event = fence::worker_event(&worker.id, WorkerStatus::Suspect, "silent");
                tx.append_events(&[event]).await?;
                tx.commit().await?;
                self.announce_worker(&worker.id).await;
                tracing::warn!(worker.id = %worker.id, "a worker has missed heartbeats");
            }
        }
        Ok(fenced)
    }
}
