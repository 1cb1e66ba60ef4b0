//! Performing effects: the prompt attempt at what a committed row stands for.
//!
//! Every answer of a worker is fed back as an input. What is not answered is not chased here: the row
//! falls due again.

use std::time::Duration;

use super::Orchestrator;
use super::apply::ApplyError;
use crate::coord::Notice;
use crate::id::Epoch;
use crate::protocol::{Released, StartSession};
use crate::session::{
    Closure, Effect, Input, Observation, Order, Owner, Reason, Report, Session, StartMode,
    StartOrder,
};
use crate::store::StoreError;
use crate::worker::{LinkError, Target, WorkerStatus};

impl Orchestrator {
    /// Executes one effect and returns those that follow from its answer.
    ///
    /// # Errors
    /// The store fails; the effect will be tried again because its row falls due again.
    pub async fn perform(&self, effect: Effect) -> Result<Vec<Effect>, StoreError> {
        let followed = match effect {
            Effect::Place(session) => self.place(session).await,
            Effect::Start(start) => self.start(&start).await,
            Effect::Release(order) => self.stop(&order, Stop::Release).await,
            Effect::Logout(order) => self.stop(&order, Stop::Logout).await,
            Effect::Forget(order) => self.stop(&order, Stop::Forget).await,
            Effect::Cordon(order) => self.cordon_stuck(&order).await.map(|()| Vec::new()),
            Effect::NotHeld(order) => self.feed(&order, Input::NotHeld).await,
            Effect::Disown(owner) => self.disown(&owner).await.map(|()| Vec::new()),
            Effect::Erase(session) => {
                report_state("erase", session, self.erase(session).await);
                Ok(Vec::new())
            }
            Effect::Archive(session, upto) => {
                let archived = self.ports.state.archive(session, upto).await;
                report_state("archive", session, archived);
                Ok(Vec::new())
            }
            Effect::Nudge => {
                self.hint(&Notice::Due).await;
                Ok(Vec::new())
            }
        };
        match followed {
            Ok(effects) => Ok(effects),
            Err(ApplyError::Store(error)) => Err(error),
            Err(ApplyError::Refused(refused)) => {
                // The row has moved on while the worker was asked: nothing is owed any more.
                tracing::debug!(%refused, "an answer came too late");
                Ok(Vec::new())
            }
        }
    }

    async fn start(&self, start: &StartOrder) -> Result<Vec<Effect>, ApplyError> {
        let Some(target) = self.target(&start.order.owner).await? else {
            return Ok(Vec::new());
        };
        if !self.is_clean(start).await {
            return Ok(Vec::new());
        }
        let body = StartSession::from(start);
        let limit = self.policy.command_limit;
        match self.ports.link.start(&target, &body, limit).await {
            Ok(_) => Ok(Vec::new()),
            Err(LinkError::StaleEpoch { .. }) => self.feed(&start.order, Input::Stopped).await,
            Err(LinkError::Refused { code, .. }) => {
                if !self.let_go(&target, &start.order).await {
                    return Ok(Vec::new());
                }
                let closure = Closure::Error {
                    reason: Some(Reason::parse(&code)),
                    action_required: None,
                };
                let observation = Observation::Closed(closure);
                let report = Report {
                    seq: None,
                    observation,
                    retry_at: None,
                    phone_number: None,
                };
                self.feed(&start.order, Input::Reported(report)).await
            }
            Err(error) => Ok(unanswered("start", &start.order, &error)),
        }
    }

    /// Archives the state of a former account before a new one is linked, and returns whether none is in
    /// the way: the effect that should have archived it may have been lost.
    async fn is_clean(&self, start: &StartOrder) -> bool {
        if start.mode == StartMode::Restore {
            return true;
        }
        let (session, upto) = (start.order.session, start.order.epoch.0.saturating_sub(1));
        let archived = self.ports.state.archive(session, Epoch(upto)).await;
        let clean = archived.is_ok();
        report_state("archive", session, archived);
        clean
    }

    /// Makes sure that the worker does not hold what it has refused to start, and returns whether that is
    /// certain: an earlier order may have been taken while its answer was lost.
    async fn let_go(&self, target: &Target, order: &Order) -> bool {
        let limit = self.policy.command_limit;
        match self.ports.link.release(target, order, limit).await {
            Ok(_) | Err(LinkError::StaleEpoch { .. } | LinkError::UnknownSession) => true,
            Err(error) => {
                unanswered("release", order, &error);
                false
            }
        }
    }

    async fn stop(&self, order: &Order, how: Stop) -> Result<Vec<Effect>, ApplyError> {
        let Some(target) = self.target(&order.owner).await? else {
            return Ok(Vec::new());
        };
        let limit = self.policy.command_limit;
        match self.ask_to_stop(&target, order, how, limit).await {
            Ok(_) | Err(LinkError::StaleEpoch { .. }) => self.feed(order, Input::Stopped).await,
            // This leaves no tombstone, so it is an answer only once no order to start can be on its way.
            Err(LinkError::UnknownSession) => self.feed(order, Input::Disclaimed).await,
            Err(error) => Ok(unanswered("stop", order, &error)),
        }
    }

    async fn ask_to_stop(
        &self,
        target: &Target,
        order: &Order,
        how: Stop,
        limit: Duration,
    ) -> Result<Released, LinkError> {
        let link = &self.ports.link;
        match how {
            Stop::Release => link.release(target, order, limit).await,
            Stop::Logout => link.logout(target, order, limit).await,
            Stop::Forget => link.forget(target, order, limit).await,
        }
    }

    /// Applies a worker's answer as an input, if the session is still as the order named it.
    async fn feed(&self, order: &Order, input: Input) -> Result<Vec<Effect>, ApplyError> {
        let named = |row: &Session| row.order().as_ref() == Some(order);
        let applied = self.apply(order.session, &input, named).await?;
        Ok(applied.map_or_else(Vec::new, |done| done.effects))
    }

    /// Returns where an owner can be reached; none once it is not the worker's newest incarnation.
    pub(super) async fn target(&self, owner: &Owner) -> Result<Option<Target>, StoreError> {
        let worker = self.ports.store.read().await?.worker(&owner.worker).await?;
        let present =
            worker.filter(|worker| worker.incarnation.as_ref() == Some(&owner.incarnation));
        let endpoint = present.and_then(|worker| worker.endpoint);
        Ok(endpoint.map(|endpoint| Target {
            owner: owner.clone(),
            endpoint,
        }))
    }

    async fn disown(&self, owner: &Owner) -> Result<(), ApplyError> {
        let mut tx = self.ports.store.begin().await?;
        // The worker's row first, as whoever fences it does.
        let worker = tx.lock_worker(&owner.worker).await?;
        tx.disown_lease(owner).await?;
        if worker.is_some_and(|worker| worker.owner().as_ref() == Some(owner)) {
            tx.shift_worker(&owner.worker, WorkerStatus::Active, WorkerStatus::Suspect)
                .await?;
        }
        tx.commit().await?;
        self.announce_worker(&owner.worker).await;
        tracing::error!(worker.id = %owner.worker, "the lease of a stuck worker runs out");
        Ok(())
    }

    pub(super) async fn drop_secrets(&self, session: crate::id::SessionId) {
        if let Err(error) = self.ports.coord.drop_secrets(session).await {
            tracing::debug!(%error, "codes are left to expire");
        }
    }
}

#[derive(Clone, Copy)]
enum Stop {
    Release,
    Logout,
    Forget,
}

fn unanswered(what: &str, order: &Order, error: &LinkError) -> Vec<Effect> {
    tracing::info!(
        session.id = %order.session,
        worker.id = %order.owner.worker,
        session.epoch = order.epoch.0,
        order = what,
        %error,
        "an order is not answered yet"
    );
    Vec::new()
}

fn report_state<E: std::fmt::Display>(
    what: &str,
    session: crate::id::SessionId,
    outcome: Result<(), E>,
) {
    if let Err(error) = outcome {
        tracing::warn!(session.id = %session, what, %error, "stored state was not cleaned up");
    }
}
