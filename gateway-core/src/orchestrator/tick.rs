//! The tick: everything that is to be done again and again, in one call.

use std::time::Duration;

use super::Orchestrator;
use super::apply::gather;
use crate::session::Effect;
use crate::store::StoreError;

/// What a tick has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// The effects to hand to [`Orchestrator::perform`].
    pub effects: Vec<Effect>,
    /// The time until the next row is due: zero if more rows are due already, none if no row has a time.
    pub next: Option<Duration>,
    /// How many due rows were claimed.
    pub claimed: usize,
    /// How many incarnations were fenced.
    pub fenced: usize,
}

impl Orchestrator {
    /// Watches leases, follows the fleet and claims what is due: for a caller that has one loop. The three
    /// are independent of each other; a server runs each at a pace of its own.
    ///
    /// Call it at least every [`crate::worker::LeasePolicy::heartbeat`].
    ///
    /// # Errors
    /// The store fails; nothing is lost by calling again.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        let watched = self.watch_leases().await?;
        self.follow_fleet().await?;
        let claim = self.claim_due().await?;
        let mut effects = watched.effects;
        gather(&mut effects, claim.effects);
        Ok(Tick {
            effects,
            next: claim.next,
            claimed: claim.claimed,
            fenced: watched.value,
        })
    }
}
