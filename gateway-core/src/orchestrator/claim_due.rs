//! Claiming what is due, whoever it belonged to.

use std::time::Duration;

use super::Orchestrator;
use super::apply::gather;
use crate::session::{Effect, Input, Session};
use crate::store::StoreError;

/// What a claim of due rows has found.
#[must_use = "its effects are to be performed"]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Claim {
    /// The effects to hand to [`Orchestrator::perform`].
    pub effects: Vec<Effect>,
    /// The time until the next row is due: zero if more rows are due already, none if no row has a time.
    /// What others write meanwhile may be due earlier, and then they say so ([`crate::coord::Notice::Due`]).
    pub next: Option<Duration>,
    /// How many rows were claimed.
    pub claimed: usize,
}

impl Orchestrator {
    /// Claims rows that are due, as many as [`super::Policy::claim`] says, and decides each.
    ///
    /// A claim only moves `due_at` ahead and commits, so a caller that dies afterwards needs no clean-up:
    /// the row falls due again. Call it at the time that the last call has returned, or earlier on a nudge.
    ///
    /// # Errors
    /// The store fails; nothing is lost by calling again.
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
