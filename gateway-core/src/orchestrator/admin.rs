//! What operators do with workers. Each operation writes its entry of the audit log.

use std::collections::BTreeMap;

use super::{ATTEMPTS, Orchestrator};
use crate::audit::{AuditEntry, action, object};
use crate::id::WorkerId;
use crate::identity::Actor;
use crate::store::{AsStoreError, StoreError, Unique, retry_conflicts};
use crate::time::Timestamp;
use crate::worker::{Worker, WorkerStatus};

/// A worker slot that an operator reserves.
#[derive(Clone, Debug, PartialEq)]
pub struct AddWorker {
    pub id: WorkerId,
    /// The most sessions it may hold; the worker's own registration replaces it.
    pub max_sessions: u32,
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of the one-time token.
    pub join_token_hash: [u8; 32],
}

/// What an operator changes of a worker; a field that is none is left as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateWorker {
    /// The new labels, in place of all former ones.
    pub labels: Option<BTreeMap<String, String>>,
    /// The most sessions that the worker may hold from now on.
    pub max_sessions: Option<u32>,
    /// Whether no new sessions are placed on the worker from now on. Taken back, it also ends the gateway's own
    /// cordon of a stuck worker, which returns if its cause has not ended.
    pub cordoned: Option<bool>,
}

/// Why an operator's wish was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum WorkerAdminError {
    /// There is no such worker.
    #[error("no such worker")]
    Unknown,
    /// The id is already known.
    #[error("this worker id is known already; update it or choose another one")]
    Taken,
    /// The worker still holds sessions.
    #[error(
        "the worker still holds {assigned} sessions; stop it and wait until they are placed elsewhere"
    )]
    NotEmpty { assigned: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AsStoreError for WorkerAdminError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

impl Orchestrator {
    /// Reserves an id, which is `PENDING` until a process registers with the one-time token.
    ///
    /// # Errors
    /// The id is known and not removed, or the store fails.
    pub async fn add_worker(
        &self,
        actor: &Actor,
        add: &AddWorker,
    ) -> Result<Worker, WorkerAdminError> {
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.ports.store.begin().await?;
            let now = tx.now().await?;
            let known = tx.lock_worker(&add.id).await?;
            let removed = match &known {
                None => None,
                Some(worker) if worker.status == WorkerStatus::Removed => Some(worker),
                Some(_) => return Err(WorkerAdminError::Taken),
            };
            let mut worker = Worker::pending(add.id.clone(), add.max_sessions, now);
            worker.labels.clone_from(&add.labels);
            worker.join_token_hash = Some(add.join_token_hash);
            if let Some(removed) = removed {
                worker.created_at = removed.created_at;
                worker.row_version = removed.row_version + 1;
                tx.save_worker(&worker).await?;
            } else {
                match tx.insert_worker(&worker).await {
                    Err(StoreError::Duplicate(Unique::WorkerId)) => {
                        return Err(WorkerAdminError::Taken);
                    }
                    other => other?,
                }
            }
            let entry = self
                .worker_entry(now, actor, action::WORKER_ADDED, &add.id)
                .with("maxSessions", &worker.max_sessions)
                .with("labels", &worker.labels)
                .changed_secret("joinToken");
            tx.append_audit(&entry).await?;
            tx.commit().await?;
            Ok(worker)
        })
        .await
    }

    /// Changes labels, limit or cordon of a worker. Lowering the limit moves no session.
    ///
    /// # Errors
    /// There is no such worker, or the store fails.
    pub async fn update_worker(
        &self,
        actor: &Actor,
        id: &WorkerId,
        update: &UpdateWorker,
    ) -> Result<Worker, WorkerAdminError> {
        let worker = retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.ports.store.begin().await?;
            let found = tx.lock_worker(id).await?;
            let present = found.filter(|worker| worker.status != WorkerStatus::Removed);
            let before = present.ok_or(WorkerAdminError::Unknown)?;
            let mut worker = before.clone();
            worker.labels = update.labels.clone().unwrap_or(worker.labels);
            worker.max_sessions = update.max_sessions.unwrap_or(worker.max_sessions);
            worker.cordoned = update.cordoned.unwrap_or(worker.cordoned);
            if update.cordoned == Some(false) {
                worker.stuck = None;
            }
            worker.row_version += 1;
            worker.updated_at = tx.now().await?;
            tx.save_worker(&worker).await?;
            if !worker.is_cordoned() {
                tx.wake_waiting(worker.max_sessions.saturating_sub(worker.assigned))
                    .await?;
            }
            let entry = self
                .worker_entry(worker.updated_at, actor, action::WORKER_UPDATED, id)
                .changed("labels", &before.labels, &worker.labels)
                .changed("maxSessions", &before.max_sessions, &worker.max_sessions)
                .changed("cordoned", &before.cordoned, &worker.cordoned);
            tx.append_audit(&entry).await?;
            tx.commit().await?;
            Ok::<_, WorkerAdminError>(worker)
        })
        .await?;
        self.announce_worker(id).await;
        self.look_at_worker(id).await?;
        Ok(worker)
    }

    /// Removes an empty worker: its token ends, and its id is refused until it is added again.
    ///
    /// # Errors
    /// There is no such worker, it holds sessions, or the store fails.
    pub async fn remove_worker(
        &self,
        actor: &Actor,
        id: &WorkerId,
    ) -> Result<(), WorkerAdminError> {
        retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.ports.store.begin().await?;
            let found = tx.lock_worker(id).await?;
            let present = found.filter(|worker| worker.status != WorkerStatus::Removed);
            let mut worker = present.ok_or(WorkerAdminError::Unknown)?;
            if worker.assigned > 0 {
                return Err(WorkerAdminError::NotEmpty {
                    assigned: worker.assigned,
                });
            }
            if let Some(owner) = worker.owner() {
                tx.disown_lease(&owner).await?;
            }
            worker.status = WorkerStatus::Removed;
            worker.incarnation = None;
            worker.endpoint = None;
            worker.join_token_hash = None;
            worker.row_version += 1;
            worker.updated_at = tx.now().await?;
            tx.save_worker(&worker).await?;
            let event = super::fence::worker_event(id, WorkerStatus::Removed, "removed");
            tx.append_events(&[event]).await?;
            let entry = self.worker_entry(worker.updated_at, actor, action::WORKER_REMOVED, id);
            tx.append_audit(&entry).await?;
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.announce_worker(id).await;
        self.look_at_worker(id).await?;
        Ok(())
    }

    /// Records that somebody had workers asked for their health: one, or the whole fleet.
    ///
    /// # Errors
    /// The store fails.
    pub async fn record_health_check(
        &self,
        actor: &Actor,
        worker: Option<&WorkerId>,
    ) -> Result<(), StoreError> {
        let mut tx = self.ports.store.begin().await?;
        let now = tx.now().await?;
        let whom: &dyn ToString = match worker {
            Some(id) => id,
            None => &"*",
        };
        let what = (object::WORKER, whom);
        let entropy = &*self.ports.entropy;
        let entry = AuditEntry::new(now, entropy, actor, action::WORKER_HEALTH_CHECKED, what);
        tx.append_audit(&entry).await?;
        tx.commit().await
    }

    /// Makes the entry for something that was done to a worker.
    pub(super) fn worker_entry(
        &self,
        now: Timestamp,
        actor: &Actor,
        what: &'static str,
        id: &WorkerId,
    ) -> AuditEntry {
        let entropy = &*self.ports.entropy;
        AuditEntry::new(now, entropy, actor, what, (object::WORKER, id))
    }
}
