//! Fencing an incarnation: the only way a session leaves an owner that has not let go.
//!
//! One transaction: the lease row is fenced under the proof's condition, then every session that still
//! names the incarnation is decided and written in one set. Two statements, not one: a single statement
//! works on a snapshot older than the lock it waits for and would miss a session that a concurrent
//! placement has just put there.

use super::apply::{events, gather};
use super::{ATTEMPTS, Done, Orchestrator};
use crate::coord::Notice;
use crate::event::{Event, NewEvent, WorkerChanged};
use crate::id::WorkerId;
use crate::session::{Effect, Input, Session, decide};
use crate::store::{OrchestrationTx, StoreError, retry_conflicts};
use crate::time::Timestamp;
use crate::worker::{Death, Evidence, Worker, WorkerStatus};

impl Orchestrator {
    /// Fences a dead incarnation and frees its sessions. Returns whether it did: not if it was fenced before,
    /// or if the worker has renewed after all.
    ///
    /// # Errors
    /// The store fails.
    pub async fn fence(&self, death: &Death) -> Result<Done<bool>, StoreError> {
        let Some(effects) = retry_conflicts(ATTEMPTS, || self.try_fence(death)).await? else {
            return Ok(Done::quiet(false));
        };
        self.announce_worker(&death.owner().worker).await;
        self.hint(&Notice::Outbox).await;
        Ok(Done {
            value: true,
            effects,
        })
    }

    async fn try_fence(&self, death: &Death) -> Result<Option<Vec<Effect>>, StoreError> {
        let mut tx = self.ports.store.begin().await?;
        let worker = tx.lock_worker(&death.owner().worker).await?;
        if !tx.fence_lease(death).await? {
            return Ok(None);
        }
        let now = tx.now().await?;
        if let Some(worker) = worker {
            offline(&mut *tx, worker, death, now).await?;
        }
        let victims = tx.lock_sessions_of(death.owner()).await?;
        let effects = self.free(&mut *tx, death, &victims, now).await?;
        tx.commit().await?;
        log(death, victims.len());
        Ok(Some(effects))
    }

    async fn free(
        &self,
        tx: &mut dyn OrchestrationTx,
        death: &Death,
        victims: &[Session],
        now: Timestamp,
    ) -> Result<Vec<Effect>, StoreError> {
        let count = u32::try_from(victims.len()).unwrap_or(u32::MAX);
        tx.release_slots(&death.owner().worker, count).await?;
        let input = match death.evidence() {
            Evidence::Goodbye => Input::OwnerLeft,
            Evidence::ProcessGone | Evidence::Silence { .. } => Input::OwnerGone,
        };
        let (mut rows, mut told, mut effects) = (Vec::new(), Vec::new(), Vec::new());
        for victim in victims {
            let decision = match decide(&self.policy.session, victim, &input, now) {
                Ok(decision) => decision,
                Err(refused) => {
                    tracing::error!(session.id = %victim.id, %refused, "cannot free a session");
                    continue;
                }
            };
            told.extend(events(victim, &decision));
            match decision.row {
                Some(row) => rows.push(row),
                None => tx.delete_session(victim.id, victim.version).await?,
            }
            gather(&mut effects, decision.effects);
        }
        tx.save_sessions(&rows).await?;
        let ended: Vec<_> = victims
            .iter()
            .map(|victim| (victim.id, victim.epoch))
            .collect();
        tx.end_placements(&ended, now, reason(death)).await?;
        tx.append_events(&told).await?;
        Ok(effects)
    }
}

/// Writes down that an incarnation is gone. A worker that held nothing is missed by nobody.
fn log(death: &Death, sessions: usize) {
    let (worker, reason) = (&death.owner().worker, reason(death));
    if death.evidence() == Evidence::Goodbye && sessions == 0 {
        tracing::info!(worker.id = %worker, reason, "a worker is gone; it held no sessions");
        return;
    }
    tracing::warn!(
        worker.id = %worker,
        sessions,
        reason,
        "a worker is gone; its sessions are placed again"
    );
}

async fn offline(
    tx: &mut dyn OrchestrationTx,
    mut worker: Worker,
    death: &Death,
    now: Timestamp,
) -> Result<(), StoreError> {
    let newest = worker.owner().as_ref() == Some(death.owner());
    let alive = match worker.status {
        WorkerStatus::Active | WorkerStatus::Suspect | WorkerStatus::Draining => true,
        WorkerStatus::Pending | WorkerStatus::Offline | WorkerStatus::Removed => false,
    };
    if !newest || !alive {
        return Ok(());
    }
    worker.status = WorkerStatus::Offline;
    worker.stuck = None;
    worker.row_version += 1;
    worker.updated_at = now;
    tx.save_worker(&worker).await?;
    let event = worker_event(&worker.id, WorkerStatus::Offline, reason(death));
    tx.append_events(&[event]).await
}

const fn reason(death: &Death) -> &'static str {
    match death.evidence() {
        Evidence::Goodbye => "goodbye",
        Evidence::ProcessGone => "process_gone",
        Evidence::Silence { .. } => "lease_expired",
    }
}

/// Returns the event that tells operators of a change of a worker's status.
pub(super) fn worker_event(worker: &WorkerId, status: WorkerStatus, reason: &str) -> NewEvent {
    let change = WorkerChanged {
        worker_id: worker.clone(),
        status,
        reason: reason.to_owned(),
    };
    NewEvent::of_operators(&Event::WorkerStatus(change))
}
