//! The tick: everything that is to be done again and again, in one call.

use std::time::Duration;

use super::Orchestrator;
use super::apply::gather;
use crate::session::Effect;
use crate::store::StoreError;

/// What a tick has found.
#[must_use = "its effects are to be performed, and `next` says when to tick again"]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tick {
    /// The effects to hand to [`Orchestrator::perform`].
    pub effects: Vec<Effect>,
    /// The time until the next tick: zero if more rows are due already, and never more than
    /// [`crate::worker::LeasePolicy::heartbeat`], because leases must be looked at that often, whoever granted
    /// them.
    pub next: Duration,
    /// How many due rows were claimed.
    pub claimed: usize,
    /// How many incarnations were fenced.
    pub fenced: usize,
}

impl Orchestrator {
    /// Watches leases, follows the fleet and claims what is due: for a caller that has one loop. The three
    /// are independent of each other; a server runs each at a pace of its own.
    ///
    /// Call it again when [`Tick::next`] has passed, or earlier: a worker whose lease nobody watches never
    /// counts as dead. [`super::Driver`] does that, and performs the effects.
    ///
    /// # Errors
    /// The store fails; nothing is lost by calling again.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        let watched = self.watch_leases().await?;
        self.follow_fleet().await?;
        let claim = self.claim_due().await?;
        let mut effects = watched.effects;
        gather(&mut effects, claim.effects);
        let heartbeat = self.ports.leases.policy().heartbeat;
        Ok(Tick {
            effects,
            next: claim.next.map_or(heartbeat, |next| next.min(heartbeat)),
            claimed: claim.claimed,
            fenced: watched.value,
        })
    }
}
