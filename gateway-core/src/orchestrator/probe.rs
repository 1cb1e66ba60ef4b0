//! Probes of `GET /health`, and what a replica observes of its workers.
//!
//! A probe that fails proves nothing: only after a missed heartbeat does it make a worker `SUSPECT`, one that
//! answers keeps nobody alive, and the next heartbeat ends the suspicion. It also measures how fast workers
//! answer that have no commands to answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::silence::{silence_of, suspect, tell_sessions};
use super::{ATTEMPTS, Orchestrator};
use crate::balance::WorkerSnapshot;
use crate::coord::Notice;
use crate::id::WorkerId;
use crate::session::{Input, Owner};
use crate::store::{StoreError, retry_conflicts};
use crate::worker::{Lease, Target, Vitals, WorkerStatus};

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The worker has answered.
    Answered,
    /// The worker has not answered.
    Failed {
        /// Whether that has made the worker `SUSPECT`.
        suspected: bool,
    },
    /// There is no such run of a worker any more.
    Gone,
}

impl Orchestrator {
    /// Returns what this replica observes of its workers.
    #[must_use]
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.ports.vitals
    }

    /// Updates the observations, passes them on to the choice of workers, and returns the runs of workers
    /// that [`Orchestrator::probe`] should be called for. Touches memory only; call it about once a second.
    #[must_use]
    pub fn review_vitals(&self) -> Vec<Owner> {
        self.ports.vitals.note_late(&self.ports.leases.late());
        let mut fleet = self.fleet();
        let known: Vec<_> = fleet.iter().cloned().collect();
        let ids: BTreeSet<WorkerId> = known.iter().map(|worker| worker.worker.clone()).collect();
        self.ports.vitals.retain(&ids);
        for before in known {
            let mut snapshot = before.clone();
            self.add_vitals(&mut snapshot);
            if snapshot != before {
                fleet.upsert(snapshot);
            }
        }
        drop(fleet);
        self.ports.vitals.due_probes()
    }

    /// Takes note of a worker as the store shows it, and adds what this replica has observed of it to the
    /// snapshot.
    pub(super) fn add_vitals(&self, snapshot: &mut WorkerSnapshot) {
        let owner = Owner {
            worker: snapshot.worker.clone(),
            incarnation: snapshot.incarnation.clone(),
        };
        let reading = self.ports.vitals.observe(&owner, snapshot.active);
        snapshot.breaker_closed = reading.breaker_closed;
        if let Some(load) = &mut snapshot.load {
            load.latency_ms = reading.latency_ms;
            load.instability = reading.instability;
        }
    }

    /// Asks a run of a worker for its health, and suspects it if it does not answer and has missed a heartbeat.
    ///
    /// # Errors
    /// The store fails.
    pub async fn probe(&self, owner: &Owner) -> Result<Probe, StoreError> {
        let Some(target) = self.probed_target(owner).await? else {
            return Ok(Probe::Gone);
        };
        let sent = self.ports.vitals.now();
        let limit = self.ports.leases.policy().heartbeat;
        let health = self.ports.link.health(&target, limit).await;
        if health.is_ok_and(|health| health.incarnation == owner.incarnation.as_str()) {
            let took = self.ports.vitals.now().since(sent);
            self.ports.vitals.record_probe(owner, took);
            return Ok(Probe::Answered);
        }
        let suspected = self.suspect_late(owner).await?;
        Ok(Probe::Failed { suspected })
    }

    async fn probed_target(&self, owner: &Owner) -> Result<Option<Target>, StoreError> {
        let mut read = self.ports.store.read().await?;
        let worker = read.worker(&owner.worker).await?;
        drop(read);
        let present = worker.filter(|worker| {
            let is_up = matches!(
                worker.status,
                WorkerStatus::Active | WorkerStatus::Suspect | WorkerStatus::Draining
            );
            is_up && worker.incarnation.as_ref() == Some(&owner.incarnation)
        });
        let endpoint = present.and_then(|worker| worker.endpoint);
        Ok(endpoint.map(|endpoint| Target {
            owner: owner.clone(),
            endpoint,
        }))
    }

    /// Makes a worker `SUSPECT` if it is `ACTIVE` and has missed a heartbeat by the store's clock. Returns
    /// whether it did.
    async fn suspect_late(&self, owner: &Owner) -> Result<bool, StoreError> {
        let suspected = retry_conflicts(ATTEMPTS, || self.try_suspect_late(owner)).await?;
        if suspected {
            self.announce_worker(&owner.worker).await;
            self.hint(&Notice::Outbox).await;
            tracing::warn!(worker.id = %owner.worker, "a worker has missed a heartbeat and does not answer");
        }
        Ok(suspected)
    }

    async fn try_suspect_late(&self, owner: &Owner) -> Result<bool, StoreError> {
        let mut tx = self.ports.store.begin().await?;
        let worker = tx.lock_worker(&owner.worker).await?;
        if worker.and_then(|worker| worker.owner()).as_ref() != Some(owner) {
            return Ok(false);
        }
        let now = tx.now().await?;
        let policy = self.ports.leases.policy();
        let late = |lease: &Lease| now.since(lease.renewed_at) >= policy.late_after();
        let Some(lease) = tx.lease(owner).await?.filter(late) else {
            return Ok(false);
        };
        if !suspect(&mut *tx, owner, "unreachable").await? {
            return Ok(false);
        }
        let input = Input::OwnerSilent(silence_of(&lease, policy));
        tell_sessions(&mut *tx, &self.policy.session, owner, &input, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
