//! One replica of a gateway: an orchestrator, a sender and the intake of facts, as workers see it.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::message::{
    Intake, MessageIds, MessageLog, SendError, SendLimits, SendOutcome, SendRequest, Sender,
};
use gateway_core::orchestrator::{Done, Orchestrator, Policy, Ports};
use gateway_core::session::StoreRoutes;
use gateway_core::store::Store;
use gateway_core::time::Clock;
use gateway_core::worker::{
    GuardedLink, LeasePolicy, StoreLeases, Vitals, VitalsPolicy, WorkerLink,
};
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::gateway::LocalGateway;
use gateway_testkit::memory::{MemoryCoordinator, MemoryState, MemoryStore};

/// What the replicas of one gateway share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) store: MemoryStore,
    pub(crate) coord: Arc<MemoryCoordinator>,
    pub(crate) state: Arc<MemoryState>,
    pub(crate) log: Arc<dyn MessageLog>,
    pub(crate) link: Arc<dyn WorkerLink>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) sender: Sender,
    /// The orchestrator as workers see it.
    pub(crate) local: LocalGateway,
}

impl Gateway {
    /// A replica that has just started; its chances come from `seed`.
    pub(crate) fn new(shared: &Shared, seed: u64) -> Self {
        Self::granting(shared, seed, LeasePolicy::default().lease)
    }

    /// A replica that is configured to grant leases of this length.
    pub(crate) fn granting(shared: &Shared, seed: u64, lease: Duration) -> Self {
        let store: Arc<dyn Store> = Arc::new(shared.store.clone());
        let policy = LeasePolicy {
            lease,
            ..LeasePolicy::default()
        };
        let leases = StoreLeases::new(Arc::clone(&store), Arc::clone(&shared.clock), policy);
        let vitals = Vitals::new(Arc::clone(&shared.clock), VitalsPolicy::default());
        let vitals = Arc::new(vitals);
        let guarded = GuardedLink::new(Arc::clone(&shared.link), Arc::clone(&vitals));
        let link: Arc<dyn WorkerLink> = Arc::new(guarded);
        let ids = MessageIds::new(b"never rotated");
        let entropy = Arc::new(SeededEntropy::new(seed));
        let ports = Ports {
            store: Arc::clone(&store),
            coord: Arc::clone(&shared.coord) as _,
            link: Arc::clone(&link),
            state: Arc::clone(&shared.state) as _,
            leases: Arc::new(leases),
            vitals,
            entropy: Arc::clone(&entropy) as _,
        };
        let orchestrator = Arc::new(Orchestrator::new(ports, Policy::default()));
        let intake = Intake {
            store,
            log: Arc::clone(&shared.log),
            ids: ids.clone(),
        };
        let local = LocalGateway::new(Arc::clone(&orchestrator), Arc::clone(&shared.state) as _);
        Self {
            orchestrator,
            local: local.with_intake(intake),
            sender: Sender {
                routes: Arc::new(StoreRoutes::new(Arc::new(shared.store.clone()))),
                link,
                log: Arc::clone(&shared.log),
                ids,
                clock: Arc::clone(&shared.clock),
                entropy,
                limits: SendLimits::default(),
            },
        }
    }

    /// Keeps the effects of an operation to be performed, and returns its value.
    pub(crate) fn keep<T>(&self, done: Done<T>) -> T {
        self.local.carry_out(done.effects);
        done.value
    }

    pub(crate) async fn send(&self, request: &SendRequest) -> Result<SendOutcome, SendError> {
        self.sender.send(request).await
    }
}

/// How often every replica ticks at least.
pub(crate) const TICK: Duration = Duration::from_secs(2);
