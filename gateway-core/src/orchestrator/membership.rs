//! Workers come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use super::silence::{silence_of, tell_sessions};
use super::{ATTEMPTS, Done, Orchestrator};
use crate::coord::Notice;
use crate::id::{Incarnation, WorkerId};
use crate::protocol::{AssignedSession, MIN_PROTOCOL_VERSION, PROTOCOL_VERSION};
use crate::session::{Effect, Input, Owner};
use crate::state::StateError;
use crate::store::{AsStoreError, OrchestrationTx, StoreError, Unique, retry_conflicts};
use crate::time::Timestamp;
use crate::worker::{Death, Engine, Lease, Worker, WorkerStatus};

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

/// The registration of a run of a worker, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The worker's slot and incarnation.
    pub owner: Owner,
    /// The base URL, checked against the operator's allow-list.
    pub endpoint: String,
    /// The most sessions that it may hold, 1 to 1000.
    pub max_sessions: u32,
    /// The protocol version it speaks.
    pub protocol_version: u32,
    /// The worker program's version.
    pub version: Option<String>,
    pub environment: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub engine: Engine,
}

/// The answer to a worker that was let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
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
    /// after its goodbye, after proof of its death, or after lease and guard.
    ///
    /// # Errors
    /// The worker may not join; the error says why. Or the store fails.
    pub async fn register(
        &self,
        join: Join,
        registration: &Registration,
    ) -> Result<Done<Member>, RegisterError> {
        let asked = registration.protocol_version;
        if !(MIN_PROTOCOL_VERSION..=PROTOCOL_VERSION).contains(&asked) {
            return Err(RegisterError::ProtocolVersion { asked });
        }
        let member = retry_conflicts(ATTEMPTS, || self.try_register(join, registration)).await?;
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
            .worker_at(&registration.endpoint)
            .await?
            .filter(|w| w.id != *id)
        {
            return Err(RegisterError::EndpointInUse { holder: other.id });
        }
        let former = known.as_ref().and_then(Worker::owner);
        let times = self.ports.leases.policy();
        let worker = enter(&mut *tx, known, registration, times.lease, now).await?;
        self.tell_sessions_of_former(&mut *tx, former, registration, now)
            .await?;
        let room = worker.max_sessions.saturating_sub(worker.assigned);
        tx.wake_waiting(room).await?;
        let assigned = tx.sessions_of(&registration.owner).await?.len();
        let event = super::fence::worker_event(id, WorkerStatus::Active, "registered");
        tx.append_events(&[event]).await?;
        tx.commit().await?;
        tracing::info!(worker.id = %id, "a worker has registered");
        Ok(Member {
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

    /// Takes the goodbye of a worker that has closed and tombstoned everything it held.
    ///
    /// # Errors
    /// The store fails.
    pub async fn goodbye(&self, owner: &Owner) -> Result<Done<()>, StoreError> {
        let effects = self
            .fence(&Death::goodbye(owner.clone()))
            .await?
            .unwrap_or_default();
        Ok(Done { value: (), effects })
    }

    /// Takes the word of a run's supervisor that its process has ended. The supervisor knows by `waitpid`, and
    /// has shown the run's token, so it is believed like the run itself.
    ///
    /// # Errors
    /// The store fails.
    pub async fn exited(&self, owner: &Owner) -> Result<Done<()>, StoreError> {
        let fenced = self.fence(&Death::process_gone(owner.clone())).await?;
        Ok(Done {
            value: (),
            effects: fenced.unwrap_or_default(),
        })
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
    match (join, known.join_token_hash) {
        (Join::Bootstrap, None) => {}
        (Join::OneTime(shown), Some(expected)) if shown == expected => {}
        (Join::OneTime(_), None) if known.incarnation.is_some() => {
            return Err(RegisterError::WrongToken);
        }
        (Join::Bootstrap | Join::OneTime(_), _) => return Err(RegisterError::WrongToken),
    }
    let Some(present) = known.owner() else {
        return Ok(());
    };
    let same_place = known.endpoint.as_deref() == Some(&registration.endpoint);
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

/// Writes the worker's row and its lease, which runs for as long as `lasts` from now.
async fn enter(
    tx: &mut dyn OrchestrationTx,
    known: Option<Worker>,
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
    worker.endpoint = Some(registration.endpoint.clone());
    worker.incarnation = Some(Incarnation::clone(&owner.incarnation));
    // A new run has ignored nothing.
    worker.stuck = worker.stuck.filter(|run| *run == owner.incarnation);
    worker.max_sessions = registration.max_sessions;
    worker.version.clone_from(&registration.version);
    worker.environment.clone_from(&registration.environment);
    worker.protocol_version = registration.protocol_version;
    worker.engine = registration.engine.clone();
    worker.labels.extend(registration.labels.clone());
    worker.join_token_hash = None;
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
