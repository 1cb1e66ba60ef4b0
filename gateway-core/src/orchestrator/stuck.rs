//! Workers that do not answer an order to stop: nothing new is placed on such a run, as long as it lasts.
//!
//! What the gateway has cordoned by itself it also takes back by itself: in the transaction in which the last
//! session leaves that kept the worker stuck, and with the end of the run.

use super::Orchestrator;
use super::apply::ApplyError;
use super::fence::worker_event;
use crate::session::{Order, Owner, Phase, Session, SessionPolicy};
use crate::store::{OrchestrationTx, StoreError};
use crate::time::Timestamp;

impl Orchestrator {
    /// Lets nothing new be placed on a worker that does not answer this order to stop.
    pub(super) async fn cordon_stuck(&self, order: &Order) -> Result<(), ApplyError> {
        let worker = &order.owner.worker;
        let mut tx = self.ports.store.begin().await?;
        let found = tx.lock_worker(worker).await?;
        let present = found.filter(|worker| worker.owner().as_ref() == Some(&order.owner));
        let Some(mut row) = present.filter(|worker| !worker.is_stuck()) else {
            return Ok(());
        };
        // Whoever ends the stop waits for the worker's row, so it sees what is written here, or is seen here.
        let now = tx.now().await?;
        let session = tx.session(order.session).await?;
        let still = session.filter(|session| session.order().as_ref() == Some(order));
        if !still.is_some_and(|session| is_stuck(&session, &self.policy.session, now)) {
            return Ok(());
        }
        row.stuck = Some(order.owner.incarnation.clone());
        row.row_version += 1;
        row.updated_at = now;
        tx.save_worker(&row).await?;
        let event = worker_event(worker, row.status, "cordoned: ignores a stop");
        tx.append_events(&[event]).await?;
        tx.commit().await?;
        self.announce_worker(worker).await;
        tracing::error!(worker.id = %worker, session.id = %order.session, "a worker ignores an order to stop; nothing new is placed on it");
        Ok(())
    }
}

/// Returns whether the session has been told to stop for longer than a worker may take.
pub(super) fn is_stuck(session: &Session, policy: &SessionPolicy, now: Timestamp) -> bool {
    let stopping = matches!(session.phase, Phase::Stopping { .. });
    stopping && now >= session.phase_since.plus(policy.stop_limit)
}

/// Lets sessions be placed on a worker again once none is left that kept it stuck. Returns whether this call
/// did. Call it in the transaction in which such a session has left, after that is written.
pub(super) async fn uncordon_unstuck(
    tx: &mut dyn OrchestrationTx,
    owner: &Owner,
    policy: &SessionPolicy,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let found = tx.lock_worker(&owner.worker).await?;
    let stuck = found.filter(|row| row.stuck.as_ref() == Some(&owner.incarnation));
    let Some(mut row) = stuck else {
        return Ok(false);
    };
    let left = tx.sessions_of(owner).await?;
    if left.iter().any(|session| is_stuck(session, policy, now)) {
        return Ok(false);
    }
    row.stuck = None;
    row.row_version += 1;
    row.updated_at = now;
    tx.save_worker(&row).await?;
    let event = worker_event(&owner.worker, row.status, "uncordoned: has stopped");
    tx.append_events(&[event]).await?;
    tx.wake_waiting(row.max_sessions.saturating_sub(row.assigned))
        .await?;
    tracing::info!(worker.id = %owner.worker, "a worker has let go of what it was told to stop");
    Ok(true)
}
