//! One replica of a gateway: an orchestrator, a sender and the intake of facts, as workers see it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, Incarnation, SessionId, TenantId, WorkerId};
use gateway_core::message::{
    Intake, IntakeError, MessageIds, MessageLog, SendError, SendLimits, SendOutcome, SendRequest,
    Sender,
};
use gateway_core::orchestrator::{
    BeatError, Done, Join, Orchestrator, Policy, Ports, RegisterError, Registration, ReportError,
};
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::session::{Effect, Route, Routes, SessionRef};
use gateway_core::state::{StateError, StateStore, StoredState};
use gateway_core::store::{PlatformStore, Store, StoreError};
use gateway_core::time::Clock;
use gateway_core::worker::{Engine, LeasePolicy, StoreRow, WorkerLink, WorkerStatus};
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::{MemoryCoordinator, MemoryState, MemoryStore};
use gateway_testkit::worker::{Caller, GatewayApi, GatewayError};

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
    pub(crate) orchestrator: Orchestrator,
    pub(crate) sender: Sender,
    intake: Intake,
    state: Arc<MemoryState>,
    effects: Mutex<Vec<Effect>>,
}

/// Routes straight from the store: never stale.
#[derive(Debug)]
struct StoreRoutes(MemoryStore);

#[async_trait]
impl Routes for StoreRoutes {
    async fn route(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        _fresh: bool,
    ) -> Result<Option<Route>, StoreError> {
        let mut tx = self.0.read().await?;
        let Some(row) = tx.card(tenant, reference).await? else {
            return Ok(None);
        };
        let Some(owner) = row.owner() else {
            return Ok(Some(Route::of(&row, None)));
        };
        let worker = tx.worker(&owner.worker).await?;
        let reachable = worker.filter(|worker| {
            worker.owner().as_ref() == Some(owner) && worker.status == WorkerStatus::Active
        });
        let endpoint = reachable.and_then(|worker| worker.endpoint);
        Ok(Some(Route::of(&row, endpoint.as_deref())))
    }
}

impl Gateway {
    /// A replica that has just started; its chances come from `seed`.
    pub(crate) fn new(shared: &Shared, seed: u64) -> Self {
        let store: Arc<dyn Store> = Arc::new(shared.store.clone());
        let leases = StoreRow::new(
            Arc::clone(&store),
            Arc::clone(&shared.clock),
            LeasePolicy::default(),
        );
        let ids = MessageIds::new(b"never rotated");
        let entropy = Arc::new(SeededEntropy::new(seed));
        let ports = Ports {
            store: Arc::clone(&store),
            coord: Arc::clone(&shared.coord) as _,
            link: Arc::clone(&shared.link),
            state: Arc::clone(&shared.state) as _,
            leases: Arc::new(leases),
            entropy: Arc::clone(&entropy) as _,
        };
        Self {
            orchestrator: Orchestrator::new(ports, Policy::default()),
            sender: Sender {
                routes: Arc::new(StoreRoutes(shared.store.clone())),
                link: Arc::clone(&shared.link),
                log: Arc::clone(&shared.log),
                ids: ids.clone(),
                clock: Arc::clone(&shared.clock),
                entropy,
                limits: SendLimits::default(),
            },
            intake: Intake {
                store,
                log: Arc::clone(&shared.log),
                ids,
            },
            state: Arc::clone(&shared.state),
            effects: Mutex::default(),
        }
    }

    /// Keeps the effects of an operation to be performed, and returns its value.
    pub(crate) fn keep<T>(&self, done: Done<T>) -> T {
        self.push(done.effects);
        done.value
    }

    pub(crate) fn push(&self, effects: Vec<Effect>) {
        self.effects.lock().expect("unpoisoned").extend(effects);
    }

    /// What is to be performed.
    pub(crate) fn take_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut *self.effects.lock().expect("unpoisoned"))
    }

    pub(crate) async fn send(&self, request: &SendRequest) -> Result<SendOutcome, SendError> {
        self.sender.send(request).await
    }
}

/// A worker's answer to whatever is for the log to say.
fn of_log(error: &dyn std::error::Error) -> GatewayError {
    tracing::debug!(%error, "the gateway cannot answer");
    GatewayError::Unavailable { retry_after: None }
}

fn of_state(error: StateError) -> GatewayError {
    match error {
        StateError::StaleEpoch { current } => GatewayError::StaleEpoch {
            current: Some(current),
        },
        StateError::SeqConflict { current } => GatewayError::SeqConflict { current },
        other @ (StateError::TooLarge { .. } | StateError::Corrupt { .. }) => refused(&other),
        StateError::Store(store) => of_log(&store),
    }
}

fn refused(error: &dyn std::error::Error) -> GatewayError {
    GatewayError::Refused {
        status: 409,
        kind: "refused".to_owned(),
        message: error.to_string(),
    }
}

fn of_report(error: ReportError) -> GatewayError {
    match error {
        ReportError::StaleEpoch { current } => GatewayError::StaleEpoch {
            current: Some(current),
        },
        ReportError::UnknownSession => GatewayError::StaleEpoch { current: None },
        ReportError::Unavailable => GatewayError::Unavailable { retry_after: None },
        ReportError::Store(store) => of_log(&store),
    }
}

fn of_intake(error: &IntakeError) -> Result<(), GatewayError> {
    match error {
        IntakeError::NotHeld { .. } | IntakeError::Invalid { .. } => Ok(()),
        IntakeError::LogFull(_) | IntakeError::Log(_) | IntakeError::Store(_) => {
            Err(GatewayError::Unavailable { retry_after: None })
        }
    }
}

fn registration(body: &Register) -> Registration {
    let owner = gateway_core::session::Owner {
        worker: WorkerId::parse(&body.worker_id).expect("a simulated worker has a good id"),
        incarnation: Incarnation::parse(&body.incarnation).expect("and a good incarnation"),
    };
    Registration {
        owner,
        endpoint: body.endpoint.clone(),
        max_sessions: body.max_sessions,
        protocol_version: body.protocol_version.unwrap_or(1),
        version: body.version.clone(),
        environment: body.environment.clone(),
        labels: body.labels.clone(),
        engine: Engine {
            engine: body.engine.clone(),
            engine_version: body.engine_version.clone(),
            state_format: body.state_format.clone(),
            capabilities: body.capabilities.clone(),
        },
    }
}

#[async_trait]
impl GatewayApi for Gateway {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        let registration = registration(body);
        match self
            .orchestrator
            .register(Join::Bootstrap, &registration)
            .await
        {
            Ok(done) => {
                let member = self.keep(done);
                Ok(Registered {
                    worker_id: member.worker.id.to_string(),
                    worker_token: "token".to_owned(),
                    lease_seconds: member.lease.as_secs(),
                    heartbeat_interval_ms: member.heartbeat.as_millis() as u64,
                    recovery_required: member.assigned > 0,
                    assigned_session_count: member.assigned,
                    server_time: member.now,
                })
            }
            Err(RegisterError::Store(store)) => Err(of_log(&store)),
            Err(error) => Err(refused(&error)),
        }
    }

    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError> {
        match self.orchestrator.heartbeat(&caller.owner, body).await {
            Ok(done) => Ok(self.keep(done)),
            Err(BeatError::Ended) => Err(GatewayError::Unauthorized),
            Err(BeatError::Store(store)) => Err(of_log(&store)),
        }
    }

    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError> {
        let done = self.orchestrator.goodbye(&caller.owner).await;
        self.keep(done.map_err(|error| of_log(&error))?);
        Ok(())
    }

    async fn assigned(&self, caller: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        let assigned = self.orchestrator.assigned(&caller.owner).await;
        assigned.map_err(of_state)
    }

    async fn recovery_status(
        &self,
        caller: &Caller,
        body: &RecoveryReport,
    ) -> Result<(), GatewayError> {
        let results = &body.results;
        let done = self
            .orchestrator
            .recovery_status(&caller.owner, results)
            .await;
        self.keep(done.map_err(of_report)?);
        Ok(())
    }

    async fn session_report(
        &self,
        caller: &Caller,
        body: &SessionReport,
    ) -> Result<(), GatewayError> {
        let done = self.orchestrator.report(&caller.owner, body).await;
        self.keep(done.map_err(of_report)?);
        Ok(())
    }

    async fn message_reports(
        &self,
        caller: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError> {
        for report in body {
            if let Err(error) = self.intake.status(&caller.owner, report).await {
                of_intake(&error)?;
            }
        }
        Ok(())
    }

    async fn inbound(&self, caller: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError> {
        for message in body {
            if let Err(error) = self.intake.inbound(&caller.owner, message.clone()).await {
                of_intake(&error)?;
            }
        }
        Ok(())
    }

    async fn state(
        &self,
        _caller: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError> {
        self.state.seal(session, epoch).await.map_err(of_state)
    }

    async fn put_state(
        &self,
        _caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError> {
        let put = self.state.put_snapshot(session, epoch, after, snapshot);
        put.await.map_err(of_state)
    }

    async fn append_state(
        &self,
        _caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError> {
        let appended = self.state.append(session, epoch, after, entries);
        appended.await.map_err(of_state)
    }
}

/// How often every replica ticks at least.
pub(crate) const TICK: Duration = Duration::from_secs(2);
