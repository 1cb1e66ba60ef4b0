//! Workers of which nothing is heard, and what their sessions look like meanwhile.
//!
//! Suspicion moves nothing. But a session whose worker is silent takes no messages, so it must not be shown as
//! connected: it is `RECONNECTING`, because of `worker_silent`, until the worker is heard again or counts as
//! dead. A run that was replaced by the next one is as silent as one that is late: nobody can use it any more.

use super::apply::events;
use super::fence::worker_event;
use super::{ATTEMPTS, Orchestrator};
use crate::coord::Notice;
use crate::session::{Input, Owner, SessionPolicy, Silence, Status, decide};
use crate::store::{OrchestrationTx, StoreError, retry_conflicts};
use crate::time::Timestamp;
use crate::worker::{Lease, LeasePolicy, Silent, Worker, WorkerStatus};

impl Orchestrator {
    /// Makes a silent worker `SUSPECT`, so that nothing new is placed on it, and shows its sessions as what they
    /// are. Does so again for those that have become connected since.
    pub(super) async fn suspect(&self, silent: &Silent) -> Result<(), StoreError> {
        if !self.is_shown_as_well(silent).await? {
            return Ok(());
        }
        if retry_conflicts(ATTEMPTS, || self.try_suspect(silent)).await? {
            self.announce_worker(&silent.owner.worker).await;
            self.hint(&Notice::Outbox).await;
        }
        Ok(())
    }

    /// Returns whether the worker, or a session that it holds, looks as if it could be used. Takes no lock.
    async fn is_shown_as_well(&self, silent: &Silent) -> Result<bool, StoreError> {
        let mut read = self.ports.store.read().await?;
        let worker = read.worker(&silent.owner.worker).await?;
        if worker.is_some_and(|worker| is_active(&worker, &silent.owner)) {
            return Ok(true);
        }
        let held = read.held_by(&silent.owner).await?;
        Ok(held.iter().any(|row| row.status == Status::Connected))
    }

    async fn try_suspect(&self, silent: &Silent) -> Result<bool, StoreError> {
        let owner = &silent.owner;
        let mut tx = self.ports.store.begin().await?;
        let worker = tx.lock_worker(&owner.worker).await?;
        let lease = tx.lease(owner).await?;
        let as_seen = |lease: &Lease| lease.renewals == silent.renewals;
        if !lease.is_some_and(|lease| lease.fenced_at.is_none() && as_seen(&lease)) {
            return Ok(false);
        }
        if worker.is_some_and(|worker| is_active(&worker, owner)) {
            suspect(&mut *tx, owner, "silent").await?;
            tracing::warn!(worker.id = %owner.worker, "a worker has missed heartbeats");
        }
        let now = tx.now().await?;
        let silence = Silence {
            since: now.minus(silent.for_at_least),
            until: now.plus(silent.dead_in),
        };
        let input = Input::OwnerSilent(silence);
        tell_sessions(&mut *tx, &self.policy.session, owner, &input, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn is_active(worker: &Worker, owner: &Owner) -> bool {
    worker.status == WorkerStatus::Active && worker.owner().as_ref() == Some(owner)
}

/// Makes an `ACTIVE` worker `SUSPECT`. Returns whether it was `ACTIVE`.
pub(super) async fn suspect(
    tx: &mut dyn OrchestrationTx,
    owner: &Owner,
    why: &str,
) -> Result<bool, StoreError> {
    let (from, to) = (WorkerStatus::Active, WorkerStatus::Suspect);
    if !tx.shift_worker(&owner.worker, from, to).await? {
        return Ok(false);
    }
    let event = worker_event(&owner.worker, to, why);
    tx.append_events(&[event]).await?;
    Ok(true)
}

/// Returns the silence of a run that has not renewed its lease since the row says, by the store's clock.
pub(super) fn silence_of(lease: &Lease, policy: &LeasePolicy) -> Silence {
    Silence {
        since: lease.renewed_at,
        until: lease.renewed_at.plus(lease.lasts + policy.guard),
    }
}

/// Tells every session that `owner` holds whether something is heard of it. The worker's row must be locked.
pub(super) async fn tell_sessions(
    tx: &mut dyn OrchestrationTx,
    policy: &SessionPolicy,
    owner: &Owner,
    input: &Input,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut changed, mut told) = (Vec::new(), Vec::new());
    for row in tx.lock_sessions_of(owner).await? {
        let Ok(decision) = decide(policy, &row, input, now) else {
            continue;
        };
        let news = events(&row, &decision);
        if let Some(next) = decision.row.filter(|next| *next != row) {
            told.extend(news);
            changed.push(next);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    tx.save_sessions(&changed).await?;
    tx.append_events(&told).await
}
