//! The orchestrator: every sequence of the gateway, driven through ports, without a runtime.
//!
//! It is level-triggered: an operation changes a row and commits; the row says what is to be done next
//! and when somebody looks at it again. The [`Effect`]s that an operation returns are only the first,
//! prompt attempt. So placing, failing over, recovering after a restart and repeating what was lost are
//! one path, and any replica can take any step.
//!
//! A program with one loop gives its orchestrator to a [`Driver`], whose [`Driver::pump`] does everything but the
//! operations and says when to come back. Who wants each step at a pace of its own, as the server does, calls:
//!
//! | call | when |
//! |---|---|
//! | an operation ([`Orchestrator::command`], [`Orchestrator::report`], [`Orchestrator::register`], …) | somebody asks or reports |
//! | [`Orchestrator::claim_due`] | at the time the last one returned, at least every other second, and on [`Notice::Due`] |
//! | [`Orchestrator::watch_leases`], [`Orchestrator::follow_fleet`] | as often as workers report: [`crate::worker::LeasePolicy::heartbeat`] |
//! | [`Orchestrator::tick`] | in place of these three, after [`Tick::next`], which is never more than a heartbeat |
//! | [`Orchestrator::erase_deleted`] | now and then: what a crash has kept from being erased |
//! | [`Orchestrator::perform`] | for every effect that any of these returns, in any order, in parallel |
//! | [`Orchestrator::review_vitals`] | about once a second; then [`Orchestrator::probe`] for each run that it returns |
//!
//! Whatever returns effects is `#[must_use]`. Losing them costs time and nothing else, because every row that they
//! come from falls due again. [`EffectQueue`] orders the effects of a caller that performs many at once. Spawning,
//! sleeping and parallelism belong to the caller. Every future may be dropped at any await without harm.

mod admin;
mod apply;
mod card;
mod claim_due;
mod driver;
mod effect_queue;
mod erase;
mod fence;
mod follow_fleet;
mod heartbeat;
mod held_watch;
mod membership;
mod perform;
mod place;
mod probe;
mod qr;
mod registration;
mod report;
mod silence;
mod stuck;
mod tick;
mod watch_leases;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use admin::{AddWorker, UpdateWorker, WorkerAdminError};
pub use card::{CardPatch, CommandError, CreateError, NewCard};
pub use claim_due::Claim;
pub use driver::{Driver, Pumped, Turn};
pub use effect_queue::{EffectLimits, EffectQueue};
pub use follow_fleet::exclusion;
pub use heartbeat::BeatError;
pub use membership::{Join, Member, RegisterError};
pub use probe::Probe;
pub use qr::QrError;
pub use registration::{
    InvalidField, InvalidRegistration, Registration, check_labels, parse_worker_id,
};
pub use report::ReportError;
pub use tick::Tick;

use held_watch::HeldWatch;

use crate::balance::{BalancePolicy, Fleet};
use crate::coord::{Coordinator, Notice};
use crate::entropy::Entropy;
use crate::id::{SessionId, WorkerId};
use crate::session::{Effect, SessionPolicy};
use crate::state::StateStore;
use crate::store::Store;
use crate::time::Timestamp;
use crate::worker::{LeaseAuthority, LeasePolicy, Vitals, WorkerLink};

/// How often a transaction that met a conflict is attempted in all.
const ATTEMPTS: u32 = 8;

/// The ports that the orchestrator acts through.
#[derive(Clone, Debug)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    /// Keeps QR codes and passes hints on.
    pub coord: Arc<dyn Coordinator>,
    /// Sends commands to workers.
    pub link: Arc<dyn WorkerLink>,
    pub state: Arc<dyn StateStore>,
    /// Grants leases and knows which workers are dead.
    pub leases: Arc<dyn LeaseAuthority>,
    /// What this replica observes of the workers. Give the same value to the [`crate::worker::GuardedLink`]
    /// that is `link`, so that a worker whose commands fail is not chosen.
    pub vitals: Arc<Vitals>,
    /// Draws ids, and decides between equal workers.
    pub entropy: Arc<dyn Entropy>,
}

/// What is configured of the orchestrator.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The times of a session's life.
    pub session: SessionPolicy,
    /// How a worker is chosen.
    pub balance: BalancePolicy,
    /// How many due rows one claim takes at most.
    pub claim: u32,
    /// How long a worker may take to answer a command.
    pub command_limit: Duration,
    /// The oldest protocol version of a worker that sessions are placed on.
    pub min_protocol_version: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            session: SessionPolicy::default(),
            balance: BalancePolicy::default(),
            claim: 100,
            command_limit: Duration::from_secs(10),
            min_protocol_version: crate::protocol::MIN_PROTOCOL_VERSION,
        }
    }
}

/// The result of an operation that is committed, and the effects to try now.
#[must_use = "its effects are to be performed"]
#[derive(Clone, Debug, PartialEq)]
pub struct Done<T> {
    /// What the operation returns to its caller.
    pub value: T,
    /// The effects to hand to [`Orchestrator::perform`].
    pub effects: Vec<Effect>,
}

impl<T> Done<T> {
    const fn quiet(value: T) -> Self {
        Self {
            value,
            effects: Vec::new(),
        }
    }

    fn without_value(self) -> Done<()> {
        Done {
            value: (),
            effects: self.effects,
        }
    }
}

/// Drives sessions and workers; the module page says how.
pub struct Orchestrator {
    ports: Ports,
    policy: Policy,
    fleet: Mutex<Fleet>,
    /// The store's time at the last look at the fleet.
    fleet_seen_at: Mutex<Option<Timestamp>>,
    /// What workers have said they hold, as far as it is not as it should be.
    held_watch: Mutex<HeldWatch>,
}

impl fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrator")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Orchestrator {
    /// Creates an orchestrator over these ports. It knows no worker yet: its first look reads the whole
    /// fleet.
    #[must_use]
    pub fn new(ports: Ports, policy: Policy) -> Self {
        let fleet = Mutex::new(Fleet::new(policy.balance.clone()));
        Self {
            ports,
            policy,
            fleet,
            fleet_seen_at: Mutex::default(),
            held_watch: Mutex::default(),
        }
    }

    /// Returns what is configured.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the times of leases that are in force.
    #[must_use]
    pub fn lease_policy(&self) -> &LeasePolicy {
        self.ports.leases.policy()
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet_seen_at(&self) -> MutexGuard<'_, Option<Timestamp>> {
        let seen_at = self.fleet_seen_at.lock();
        seen_at.unwrap_or_else(PoisonError::into_inner)
    }

    fn held_watch(&self) -> MutexGuard<'_, HeldWatch> {
        let watch = self.held_watch.lock();
        watch.unwrap_or_else(PoisonError::into_inner)
    }

    /// Hints that a session has a new version.
    async fn announce(&self, session: SessionId) {
        self.hint(&Notice::Session { session }).await;
        self.hint(&Notice::Outbox).await;
    }

    /// Hints that a worker's row has a new version.
    async fn announce_worker(&self, worker: &WorkerId) {
        let worker = worker.clone();
        self.hint(&Notice::Worker { worker }).await;
    }

    async fn hint(&self, notice: &Notice) {
        if let Err(error) = self.ports.coord.notify(notice).await {
            tracing::debug!(%error, "a hint was lost");
        }
    }
}
