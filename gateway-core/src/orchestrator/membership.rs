//! Workers come and go.

use std::time::Duration;

use super::silence::{silence_of, tell_sessions};
use super::{ATTEMPTS, Done, Orchestrator, Registration};
use crate::audit::{AuditEntry, action};
use crate::coord::Notice;
use crate::id::{Incarnation, WorkerId};
use crate::identity::{Actor, Origin, WorkerTokens};
use crate::protocol::{AssignedSession, MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, Registered};
use crate::session::{Effect, Input, Owner};
use crate::state::StateError;
use crate::store::{AsStoreError, OrchestrationTx, StoreError, Unique, retry_conflicts};
use crate::time::Timestamp;
use crate::worker::{Death, Lease, Worker, WorkerStatus};

/// Within this time of its last renewal an incarnation defends its slot against another endpoint.
const DEFENDS_SLOT: Duration = Duration::from_secs(6);

/// What a worker process proved when it asked to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It has the fleet's bootstrap token.
    Bootstrap,
    /// It has a one-time token with this SHA-256.
    OneTime([u8; 32]),
}

/// The answer to a worker that was let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The run that was let in.
    pub owner: Owner,
    pub worker: Worker,
    /// How long a renewal lasts.
    pub lease: Duration,
    /// How often to renew.
    pub heartbeat: Duration,
    /// How many sessions name this very incarnation as their owner.
    pub assigned: u32,
    /// The store's time of the registration.
    pub now: Timestamp,
}

impl Member {
    /// Returns the answer on the wire, with the run's token.
    #[must_use]
    pub fn answer(&self, tokens: &WorkerTokens) -> Registered {
        Registered {
            worker_id: self.owner.worker.to_string(),
            worker_token: tokens.issue(&self.owner),
            lease_seconds: self.lease.as_secs(),
            heartbeat_interval_ms: u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX),
            recovery_required: self.assigned > 0,
            assigned_session_count: self.assigned,
            server_time: self.now,
        }
    }
}

/// Why a worker was not let in.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The token is not for this id: a reserved id takes only its one-time token, every other only the
    /// fleet's.
    #[error(
        "the token is not for this worker id: a reserved one takes its one-time token, once, and \
         every other the fleet's"
    )]
    WrongToken,
    /// An admin removed the id.
    #[error("this worker id was removed; an administrator must add it again")]
    Removed,
    /// Another process uses the id at another endpoint.
    #[error("another process uses this worker id at another endpoint; stop it or use another id")]
    IdInUse,
    /// Another worker has the endpoint.
    #[error("the worker {holder} uses this endpoint; give each worker its own")]
    EndpointInUse {
        /// The worker that has the endpoint.
        holder: WorkerId,
    },
    /// The incarnation has ended.
    #[error("this incarnation has ended; register with a new one")]
    IncarnationEnded,
    /// This gateway does not speak the worker's protocol version.
    #[error(
        "protocol version {asked} is not spoken here; use {MIN_PROTOCOL_VERSION} to {PROTOCOL_VERSION}"
    )]
    ProtocolVersion {
        /// The version that the worker speaks.
        asked: u32,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AsStoreError for RegisterError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

impl Orchestrator {
    /// Lets a run of a worker in, as empty. Repeating the registration of the same incarnation renews its
    /// lease.
    ///
    /// The lease of the former incarnation is renewed no more, but it keeps its sessions until it is fenced:
    /// after its goodbye, after proof of its death, or after lease and guard. Whatever is not a mere
    /// repetition has its entry in the audit log, with `origin` as the place it came from.
    ///
    /// # Errors
    /// The worker may not join; the error says why. Or the store fails.
    pub async fn register(
        &self,
        origin: &Origin,
        join: Join,
        registration: &Registration,
    ) -> Result<Done<Member>, RegisterError> {
        let asked = registration.protocol_version;
        if !(MIN_PROTOCOL_VERSION..=PROTOCOL_VERSION).contains(&asked) {
            return Err(RegisterError::ProtocolVersion { asked });
        }
        let attempt = || self.try_register(origin, join, registration);
        let member = retry_conflicts(ATTEMPTS, attempt).await?;
        self.announce_worker(&registration.owner.worker).await;
        self.look_at_worker(&registration.owner.worker).await?;
        self.hint(&Notice::Outbox).await;
        Ok(Done {
            value: member,
            effects: vec![Effect::Nudge],
        })
    }

    async fn try_register(
        &self,
        origin: &Origin,
        join: Join,
        registration: &Registration,
    ) -> Result<Member, RegisterError> {
        let mut tx = self.ports.store.begin().await?;
        let now = tx.now().await?;
        let id = &registration.owner.worker;
        let known = tx.lock_worker(id).await?;
        if let Some(known) = &known {
            admit(&mut *tx, known, join, registration, now).await?;
        } else if join != Join::Bootstrap {
            return Err(RegisterError::WrongToken);
        }
        if let Some(other) = tx
            .worker_at(registration.endpoint.as_str())
            .await?
            .filter(|w| w.id != *id)
        {
            return Err(RegisterError::EndpointInUse { holder: other.id });
        }
        let before = known.clone();
        let former = known.as_ref().and_then(Worker::owner);
        let times = self.ports.leases.policy();
        let worker = enter(&mut *tx, known, join, registration, times.lease, now).await?;
        self.tell_sessions_of_former(&mut *tx, former, registration, now)
            .await?;
        if let Some(entry) = self.joined(now, origin, before.as_ref(), &worker) {
            tx.append_audit(&entry).await?;
        }
        let room = worker.max_sessions.saturating_sub(worker.assigned);
        tx.wake_waiting(room).await?;
        let assigned = tx.sessions_of(&registration.owner).await?.len();
        let event = super::fence::worker_event(id, WorkerStatus::Active, "registered");
        tx.append_events(&[event]).await?;
        tx.commit().await?;
        tracing::info!(worker.id = %id, "a worker has registered");
        Ok(Member {
            owner: registration.owner.clone(),
            worker,
            lease: times.lease,
            heartbeat: times.heartbeat,
            assigned: u32::try_from(assigned).unwrap_or(u32::MAX),
            now,
        })
    }

    /// Tells the sessions of the run that was the newest until now whether it is still heard.
    async fn tell_sessions_of_former(
        &self,
        tx: &mut dyn OrchestrationTx,
        former: Option<Owner>,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(former) = former else {
            return Ok(());
        };
        let input = if former == registration.owner {
            Input::OwnerHeard
        } else {
            let lease = tx.lease(&former).await?;
            let Some(lease) = lease.filter(|lease| lease.fenced_at.is_none()) else {
                return Ok(());
            };
            Input::OwnerSilent(silence_of(&lease, self.ports.leases.policy()))
        };
        tell_sessions(tx, &self.policy.session, &former, &input, now).await
    }

    /// Makes the entry for a registration; none if it repeats what is known.
    fn joined(
        &self,
        now: Timestamp,
        origin: &Origin,
        before: Option<&Worker>,
        worker: &Worker,
    ) -> Option<AuditEntry> {
        let actor = Actor::worker(origin.clone());
        let entry = self.worker_entry(now, &actor, action::WORKER_REGISTERED, &worker.id);
        let nobody = Worker::pending(worker.id.clone(), 0, now);
        let before = before.unwrap_or(&nobody);
        let entry = entry
            .changed("incarnation", &before.incarnation, &worker.incarnation)
            .changed("endpoint", &before.endpoint, &worker.endpoint)
            .changed("maxSessions", &before.max_sessions, &worker.max_sessions)
            .changed(
                "reportedLabels",
                &before.reported_labels,
                &worker.reported_labels,
            )
            .changed("version", &before.version, &worker.version);
        (!entry.changes.is_empty()).then_some(entry)
    }

    /// Takes the goodbye of a worker that has closed and tombstoned everything it held.
    ///
    /// # Errors
    /// The store fails.
    pub async fn goodbye(&self, owner: &Owner) -> Result<Done<()>, StoreError> {
        let fenced = self.fence(&Death::goodbye(owner.clone())).await?;
        Ok(fenced.without_value())
    }

    /// Takes the word of a run's supervisor that its process has ended. The supervisor knows by `waitpid`, and
    /// has shown the run's token, so it is believed like the run itself.
    ///
    /// # Errors
    /// The store fails.
    pub async fn exited(&self, owner: &Owner) -> Result<Done<()>, StoreError> {
        let fenced = self.fence(&Death::process_gone(owner.clone())).await?;
        Ok(fenced.without_value())
    }

    /// Returns the sessions that a run of a worker should hold.
    ///
    /// # Errors
    /// The store fails.
    pub async fn assigned(&self, owner: &Owner) -> Result<Vec<AssignedSession>, StateError> {
        let sessions = self.ports.store.read().await?.sessions_of(owner).await?;
        let mut assigned = Vec::with_capacity(sessions.len());
        for session in sessions {
            assigned.push(AssignedSession {
                session_id: session.id,
                epoch: session.epoch,
                desired: session.desired,
                state_version: self.ports.state.version(session.id).await?.seq,
                paired: session.paired,
            });
        }
        Ok(assigned)
    }

    /// Returns whether `owner` is its worker's newest incarnation and not fenced; only then its token is
    /// accepted.
    ///
    /// # Errors
    /// The store fails.
    pub async fn is_present(&self, owner: &Owner) -> Result<bool, StoreError> {
        let mut tx = self.ports.store.read().await?;
        let worker = tx.worker(&owner.worker).await?;
        let newest = worker.and_then(|worker| worker.owner()).as_ref() == Some(owner);
        let lease = if newest { tx.lease(owner).await? } else { None };
        Ok(lease.is_some_and(|lease| lease.fenced_at.is_none()))
    }
}

async fn admit(
    tx: &mut dyn OrchestrationTx,
    known: &Worker,
    join: Join,
    registration: &Registration,
    now: Timestamp,
) -> Result<(), RegisterError> {
    if known.status == WorkerStatus::Removed {
        return Err(RegisterError::Removed);
    }
    if !opens(join, known, &registration.owner.incarnation) {
        return Err(RegisterError::WrongToken);
    }
    let Some(present) = known.owner() else {
        return Ok(());
    };
    let same_place = known.endpoint.as_deref() == Some(registration.endpoint.as_str());
    let Some(lease) = tx
        .lease(&present)
        .await?
        .filter(|lease| lease.fenced_at.is_none())
    else {
        return Ok(());
    };
    if present != registration.owner && !same_place && now.since(lease.renewed_at) < DEFENDS_SLOT {
        return Err(RegisterError::IdInUse);
    }
    Ok(())
}

/// Returns whether what was proved lets `run` into the slot.
///
/// A reserved slot takes its one-time token for one run, which may show it again: the answer may have been lost.
/// Later runs come with the fleet's token.
fn opens(join: Join, known: &Worker, run: &Incarnation) -> bool {
    match (join, known.join_token_hash) {
        (Join::Bootstrap, expected) => expected.is_none() || known.incarnation.is_some(),
        (Join::OneTime(shown), Some(expected)) => {
            let used_by = known.incarnation.as_ref();
            shown == expected && used_by.is_none_or(|used| used == run)
        }
        (Join::OneTime(_), None) => false,
    }
}

/// Writes the worker's row and its lease, which runs for as long as `lasts` from now.
async fn enter(
    tx: &mut dyn OrchestrationTx,
    known: Option<Worker>,
    join: Join,
    registration: &Registration,
    lasts: Duration,
    now: Timestamp,
) -> Result<Worker, RegisterError> {
    let owner = &registration.owner;
    let lease = tx.lease(owner).await?;
    if lease
        .as_ref()
        .is_some_and(|lease| lease.fenced_at.is_some() || lease.disowned)
    {
        return Err(RegisterError::IncarnationEnded);
    }
    let is_new = known.is_none();
    let mut worker = known.unwrap_or_else(|| Worker::pending(owner.worker.clone(), 1, now));
    if lease.is_some() && worker.incarnation.as_ref() != Some(&owner.incarnation) {
        return Err(RegisterError::IncarnationEnded);
    }
    worker.status = WorkerStatus::Active;
    worker.endpoint = Some(registration.endpoint.as_str().to_owned());
    worker.incarnation = Some(Incarnation::clone(&owner.incarnation));
    // A new run has ignored nothing.
    worker.stuck = worker.stuck.filter(|run| *run == owner.incarnation);
    worker.max_sessions = registration.max_sessions;
    worker.version.clone_from(&registration.version);
    worker.environment.clone_from(&registration.environment);
    worker.protocol_version = registration.protocol_version;
    worker.engine = registration.engine.clone();
    worker.reported_labels.clone_from(&registration.labels);
    if join == Join::Bootstrap {
        worker.join_token_hash = None;
    }
    worker.registered_at = Some(now);
    worker.updated_at = now;
    if is_new {
        tx.insert_worker(&worker).await.map_err(as_conflict)?;
    } else {
        worker.row_version += 1;
        tx.save_worker(&worker).await?;
    }
    match lease {
        None => tx
            .insert_lease(&Lease::new(owner.clone(), lasts, now))
            .await
            .map_err(as_conflict)?,
        // The worker counts its lease from this call, so whoever watches must begin to count anew as well.
        Some(lease) if tx.renew_lease(owner, lasts, &lease.report).await?.is_none() => {
            return Err(RegisterError::IncarnationEnded);
        }
        Some(_) => {}
    }
    Ok(worker)
}

/// Turns a duplicate into a conflict: of two first registrations at once, the loser begins again and finds
/// the winner.
fn as_conflict(error: StoreError) -> StoreError {
    match error {
        StoreError::Duplicate(Unique::WorkerId | Unique::WorkerEndpoint | Unique::Incarnation) => {
            StoreError::Conflict
        }
        other @ (StoreError::Conflict
        | StoreError::Duplicate(_)
        | StoreError::Unavailable(_)
        | StoreError::Corrupt { .. }
        | StoreError::Refused(_)
        | StoreError::Internal(_)) => other,
    }
}
