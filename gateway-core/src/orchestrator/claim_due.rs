//! Claiming what is due, whoever it belonged to.

use std::time::Duration;

use super::Orchestrator;
use super::apply::gather;
use crate::session::{Effect, Input, Session};
use crate::store::StoreError;

/// What was due.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// To be handed to [`Orchestrator::perform`].
    pub effects: Vec<Effect>,
    /// The time until something is due; none: nothing is. Zero: more is due already.
    pub next: Option<Duration>,
    /// How many rows were due.
    pub claimed: usize,
}

impl Orchestrator {
    /// Claims rows that are due, as many as [`super::Policy::claim`] says, and decides each.
    ///
    /// A claim only moves `due_at` ahead and commits, so a caller that dies afterwards needs no clean-up:
    /// the row falls due again. Call it when the last one said, or earlier on a nudge.
    ///
    /// # Errors
    /// The store's; nothing is lost by calling again.
    pub async fn claim_due(&self) -> Result<Claim, StoreError> {
        let mut tx = self.ports.store.begin().await?;
        let now = tx.now().await?;
        let until = now.plus(self.policy.session.repeat_order);
        let due = tx.claim_due_sessions(until, self.policy.claim).await?;
        let next = tx.next_due().await?.map(|due| due.since(now));
        tx.commit().await?;
        let mut effects = Vec::new();
        for row in &due {
            // From here on nothing fails the claim: what others have returned must be performed.
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
        Ok(Claim {
            effects,
            next,
            claimed: due.len(),
        })
    }
}
