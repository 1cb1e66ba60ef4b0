//! Writing decisions: the one place where a decided row reaches the store.
//!
//! Worker rows are written before session rows (the other order deadlocks), placements are ended in the
//! same commit in which an owner lets go, and room that becomes free wakes as many waiting sessions.

use super::stuck::{is_stuck, uncordon_unstuck};
use super::{ATTEMPTS, Done, Orchestrator};
use crate::event::NewEvent;
use crate::id::SessionId;
use crate::session::{Decision, Effect, Input, InvalidTransition, Owner, Session, decide};
use crate::store::{AsStoreError, OrchestrationTx, StoreError, retry_conflicts};
use crate::time::Timestamp;

/// The row after an input, and the effects that follow.
pub(super) type Applied = Done<Option<Session>>;

/// Why an input was not applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Refused(#[from] InvalidTransition),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AsStoreError for ApplyError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

impl Orchestrator {
    /// Reads the row, decides if `admit` lets it pass, and commits; repeats all that on a conflict.
    ///
    /// Returns `None` if there is no such session, or if `admit` refused it.
    pub(super) async fn apply(
        &self,
        id: SessionId,
        input: &Input,
        admit: impl Fn(&Session) -> bool + Sync,
    ) -> Result<Option<Applied>, ApplyError> {
        let applied = retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.ports.store.begin().await?;
            let Some(row) = tx.session(id).await?.filter(|row| admit(row)) else {
                return Ok(None);
            };
            let now = tx.now().await?;
            let decision = decide(&self.policy.session, &row, input, now)?;
            let written = write(&mut *tx, &row, &decision, now, input.name()).await?;
            let left = row.owner().filter(|_| owner_of(&decision).is_none());
            let mut unstuck = None;
            if let Some(owner) = left.filter(|_| is_stuck(&row, &self.policy.session, now)) {
                let policy = &self.policy.session;
                let lifted = uncordon_unstuck(&mut *tx, owner, policy, now).await?;
                unstuck = lifted.then(|| owner.worker.clone());
            }
            if written {
                tx.commit().await?;
            }
            Ok::<_, ApplyError>(Some((decision, written, left.is_some(), unstuck)))
        })
        .await?;
        let Some((decision, written, freed, unstuck)) = applied else {
            return Ok(None);
        };
        if written {
            self.announce(id).await;
        }
        if let Some(worker) = unstuck {
            self.announce_worker(&worker).await;
        }
        let mut effects = decision.effects;
        if freed {
            gather(&mut effects, vec![Effect::Nudge]);
        }
        Ok(Some(Done {
            value: decision.row,
            effects,
        }))
    }
}

/// Writes one decision into the transaction. Returns whether there was anything to write.
pub(super) async fn write(
    tx: &mut dyn OrchestrationTx,
    before: &Session,
    decision: &Decision,
    now: Timestamp,
    why: &str,
) -> Result<bool, StoreError> {
    if decision.row.as_ref() == Some(before) && decision.events.is_empty() {
        return Ok(false);
    }
    let kept = owner_of(decision);
    if let Some(owner) = before.owner().filter(|owner| kept != Some(owner)) {
        tx.release_slots(&owner.worker, 1).await?;
    }
    match &decision.row {
        Some(row) => tx.save_sessions(std::slice::from_ref(row)).await?,
        None => tx.delete_session(before.id, before.version).await?,
    }
    if before.owner().is_some() && kept.is_none() {
        tx.end_placements(&[(before.id, before.epoch)], now, why)
            .await?;
        tx.wake_waiting(1).await?;
    }
    tx.append_events(&events(before, decision)).await?;
    Ok(true)
}

fn owner_of(decision: &Decision) -> Option<&Owner> {
    decision.row.as_ref().and_then(Session::owner)
}

/// Returns the decision's events, addressed to the session and its tenant.
pub(super) fn events(before: &Session, decision: &Decision) -> Vec<NewEvent> {
    let epoch = decision.row.as_ref().map_or(before.epoch, |row| row.epoch);
    let address = |event| NewEvent::of_session(before.tenant, before.id, epoch, event);
    decision.events.iter().map(address).collect()
}

/// Adds effects to those of earlier decisions, leaving out a second nudge.
pub(super) fn gather(effects: &mut Vec<Effect>, more: Vec<Effect>) {
    for effect in more {
        if effect != Effect::Nudge || !effects.contains(&Effect::Nudge) {
            effects.push(effect);
        }
    }
}
