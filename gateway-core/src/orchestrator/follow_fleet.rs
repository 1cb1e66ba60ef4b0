//! Keeping this replica's picture of the fleet up to date.
//!
//! The whole fleet is read once. After that a look reads the rows that changed in the last minute, as caches
//! do, and of everybody else only what moves all the time: how many sessions a worker holds and what
//! its last heartbeat said. A worker that registers here is read by itself; so a thousand that register at
//! once cost a thousand rows and not a thousand times the fleet.
//!
//! A picture that is behind costs a pick that the store refuses, never a wrong assignment.

use crate::balance::{FilterReason, Fleet, Load, WorkerSnapshot};
use crate::change::{LONGEST_PAUSE, WINDOW};
use crate::id::WorkerId;
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::worker::{Lease, Worker, WorkerLoad, WorkerStatus, WorkerView};

use super::{Done, Orchestrator};

impl Orchestrator {
    /// Brings the picture of the fleet up to date. Call it as often as workers report, and at least every
    /// [`LONGEST_PAUSE`]: after a longer pause the whole fleet is read again. A pick that found no worker calls
    /// it once more before it gives up, because a place that became free stands in no changed row.
    ///
    /// # Errors
    /// The store fails; the picture stays as it is.
    pub async fn follow_fleet(&self) -> Result<(), StoreError> {
        let mut tx = self.ports.store.read().await?;
        let now = tx.now().await?;
        if self.has_missed_changes(now) {
            let views = tx.workers().await?;
            drop(tx);
            self.replace_fleet(&views, now);
        } else {
            let views = tx.workers_changed_since(now.minus(WINDOW)).await?;
            let loads = tx.worker_loads().await?;
            drop(tx);
            self.note_views(&views, now);
            self.note_loads(&loads, now);
        }
        *self.fleet_seen_at() = Some(now);
        self.forget_ended_runs();
        Ok(())
    }

    /// Forgets what was said by runs of workers that are not the newest any more.
    fn forget_ended_runs(&self) {
        let fleet = self.fleet();
        self.held_watch().retain(|owner| {
            let known = fleet.get(&owner.worker);
            known.is_some_and(|worker| worker.incarnation == owner.incarnation)
        });
    }

    /// Reads one worker that has just been changed here.
    pub(super) async fn look_at_worker(&self, id: &WorkerId) -> Result<(), StoreError> {
        let mut tx = self.ports.store.read().await?;
        let now = tx.now().await?;
        let Some(worker) = tx.worker(id).await? else {
            return Ok(());
        };
        let lease = match worker.owner() {
            Some(owner) => tx.lease(&owner).await?,
            None => None,
        };
        drop(tx);
        self.note_views(&[WorkerView { worker, lease }], now);
        Ok(())
    }

    /// Brings the picture of the fleet up to date and returns how many workers can be placed on.
    ///
    /// # Errors
    /// The store fails.
    pub async fn placeable_workers(&self) -> Result<Done<usize>, StoreError> {
        self.follow_fleet().await?;
        let is_ready =
            |worker: &&WorkerSnapshot| worker.active && worker.stores_state && !worker.cordoned;
        let ready = self.fleet().iter().filter(is_ready).count();
        Ok(Done::quiet(ready))
    }

    /// Returns whether changes since the last look may have been missed, because it is too long ago or the
    /// store's clock has jumped ahead.
    fn has_missed_changes(&self, now: Timestamp) -> bool {
        let seen_at = *self.fleet_seen_at();
        seen_at.is_none_or(|seen_at| now.since(seen_at) > LONGEST_PAUSE)
    }

    fn replace_fleet(&self, views: &[WorkerView], now: Timestamp) {
        let mut fleet = self.fleet();
        let is_there = |id: &WorkerId| {
            let found = views.binary_search_by(|view| view.worker.id.cmp(id));
            found.is_ok()
        };
        let known = fleet.iter().map(|snapshot| &snapshot.worker);
        let gone: Vec<WorkerId> = known.filter(|id| !is_there(id)).cloned().collect();
        for id in gone {
            fleet.remove(&id);
        }
        self.note(&mut fleet, views, now);
    }

    fn note_views(&self, views: &[WorkerView], now: Timestamp) {
        self.note(&mut self.fleet(), views, now);
    }

    fn note_loads(&self, loads: &[WorkerLoad], now: Timestamp) {
        let mut fleet = self.fleet();
        for found in loads {
            let known = fleet.get(&found.lease.owner.worker);
            let same_run = known.filter(|known| known.incarnation == found.lease.owner.incarnation);
            let Some(mut snapshot) = same_run.cloned() else {
                continue;
            };
            snapshot.assigned = found.assigned;
            snapshot.active = is_active(found.status, Some(&found.lease));
            snapshot.stores_state = stores_state(Some(&found.lease));
            snapshot.load = load(&found.lease, now);
            self.put(&mut fleet, snapshot);
        }
    }

    fn note(&self, fleet: &mut Fleet, views: &[WorkerView], now: Timestamp) {
        for view in views {
            let Some(snapshot) = snapshot(view, now) else {
                fleet.remove(&view.worker.id);
                continue;
            };
            self.put(fleet, snapshot);
        }
    }

    fn put(&self, fleet: &mut Fleet, mut snapshot: WorkerSnapshot) {
        let known = fleet.get(&snapshot.worker);
        let stored_state = known.is_none_or(|known| known.stores_state);
        let worker = &snapshot.worker;
        match (stored_state, snapshot.stores_state) {
            (true, false) => tracing::warn!(
                worker.id = %worker,
                "a worker cannot store session state: nothing new is placed on it"
            ),
            (false, true) => tracing::info!(
                worker.id = %worker,
                "a worker can store session state again"
            ),
            _ => {}
        }
        self.add_vitals(&mut snapshot);
        fleet.upsert(snapshot);
    }
}

/// Returns why nothing new is placed on a worker, as far as its rows say; none if sessions are. Without a
/// lease, only the worker's row is asked.
#[must_use]
pub fn exclusion(worker: &Worker, lease: Option<&Lease>) -> Option<FilterReason> {
    let is_held = lease.is_none_or(is_held);
    if worker.status != WorkerStatus::Active || !is_held {
        Some(FilterReason::Inactive)
    } else if !stores_state(lease) {
        Some(FilterReason::StateNotStored)
    } else if worker.is_cordoned() {
        Some(FilterReason::Cordoned)
    } else {
        (worker.assigned >= worker.max_sessions).then_some(FilterReason::Full)
    }
}

/// Returns what the balancer knows of a worker; none if it never registered, or is removed.
fn snapshot(view: &WorkerView, now: Timestamp) -> Option<WorkerSnapshot> {
    let (worker, lease) = (&view.worker, view.lease.as_ref());
    let incarnation = worker.incarnation.clone()?;
    let mut snapshot = WorkerSnapshot::new(worker.id.clone(), incarnation, worker.max_sessions);
    snapshot.assigned = worker.assigned;
    snapshot.cordoned = worker.is_cordoned();
    snapshot.active = is_active(worker.status, lease);
    snapshot.stores_state = stores_state(lease);
    snapshot.labels = worker.labels_in_force();
    snapshot.protocol_version = worker.protocol_version;
    snapshot
        .state_format
        .clone_from(&worker.engine.state_format);
    snapshot.load = lease.and_then(|lease| load(lease, now));
    Some(snapshot)
}

/// Returns whether a worker of this status takes sessions. It does not without a lease.
fn is_active(status: WorkerStatus, lease: Option<&Lease>) -> bool {
    status == WorkerStatus::Active && lease.is_some_and(is_held)
}

const fn is_held(lease: &Lease) -> bool {
    lease.fenced_at.is_none() && !lease.disowned
}

/// Returns whether a worker can store session state, as far as this incarnation says.
fn stores_state(lease: Option<&Lease>) -> bool {
    lease.is_none_or(|lease| lease.report.persist_ok != Some(false))
}

/// Returns what the last heartbeat said; none before the first.
fn load(lease: &Lease, now: Timestamp) -> Option<Load> {
    (lease.renewals > 0).then(|| Load {
        cpu: lease.report.cpu,
        memory: lease.report.memory,
        connected: lease.report.connected.unwrap_or(0),
        disconnected: lease.report.disconnected.unwrap_or(0),
        qr_required: lease.report.qr_required.unwrap_or(0),
        error: lease.report.error.unwrap_or(0),
        report_age: now.since(lease.renewed_at),
        ..Load::default()
    })
}
