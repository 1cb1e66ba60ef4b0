//! The gateway in process: an orchestrator as its workers see it, and what a server would run beside it.
//!
//! [`LocalGateway`] closes the circle that a simulated fleet opens: the fleet's calls become operations
//! of the orchestrator, and the effects of those wait in a queue until [`LocalGateway::settle`] performs
//! them. Nothing runs by itself, so a test decides what happens between any two steps.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::identity::{Origin, WorkerTokens};
use gateway_core::message::{Intake, IntakeError};
use gateway_core::orchestrator::{
    BeatError, Driver, Join, Orchestrator, Ports, RegisterError, Registration, ReportError, Tick,
};
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::session::{Effect, Owner};
use gateway_core::state::{StateError, StateStore, StoredState};
use gateway_core::store::{Store, StoreError};
use gateway_core::time::Clock;
use gateway_core::worker::{
    AllowedHost, GuardedLink, LeasePolicy, StoreLeases, Vitals, VitalsPolicy, WorkerLink,
};

use crate::entropy::SeededEntropy;
use crate::memory::{MemoryCoordinator, MemoryState, MemoryStore};
use crate::worker::{Caller, GatewayApi, GatewayError, SimFleet};

/// The rounds of [`LocalGateway::settle`] after which something must be going in circles.
const MOST_ROUNDS: usize = 10_000;

/// Makes ports in memory around `link`, which gets a breaker per worker. An embedder replaces one field
/// after the other by its own.
#[must_use]
pub fn memory_ports(clock: &Arc<dyn Clock>, link: Arc<dyn WorkerLink>, seed: u64) -> Ports {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(clock)));
    let leases = StoreLeases::new(
        Arc::clone(&store),
        Arc::clone(clock),
        LeasePolicy::default(),
    );
    let vitals = Arc::new(Vitals::new(Arc::clone(clock), VitalsPolicy::default()));
    Ports {
        store,
        coord: Arc::new(MemoryCoordinator::new(Arc::clone(clock))),
        link: Arc::new(GuardedLink::new(link, Arc::clone(&vitals))),
        state: Arc::new(MemoryState::default()),
        leases: Arc::new(leases),
        vitals,
        entropy: Arc::new(SeededEntropy::new(seed)),
    }
}

/// An orchestrator with everything a server would put around it, in one process and without a runtime.
#[derive(Debug)]
pub struct LocalGateway {
    state: Arc<dyn StateStore>,
    intake: Option<Intake>,
    tokens: WorkerTokens,
    driver: Driver,
}

impl LocalGateway {
    /// Makes a gateway around an orchestrator and the state store it was made with. Reports about
    /// messages are refused.
    #[must_use]
    pub fn new(orchestrator: Arc<Orchestrator>, state: Arc<dyn StateStore>) -> Self {
        Self {
            state,
            intake: None,
            tokens: WorkerTokens::new(b"local"),
            driver: Driver::new(orchestrator),
        }
    }

    /// Lets the gateway take in reports about messages.
    #[must_use]
    pub fn with_intake(mut self, intake: Intake) -> Self {
        self.intake = Some(intake);
        self
    }

    /// Queues effects until [`LocalGateway::settle`] performs them.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        self.driver.add(effects);
    }

    /// Takes all queued effects: to perform them in an order of one's own, or to lose them as a crash of
    /// the gateway does.
    pub fn take_effects(&self) -> Vec<Effect> {
        let turns = std::iter::from_fn(|| self.driver.take());
        turns.map(|turn| turn.effect().clone()).collect()
    }

    /// Performs the queued effect whose turn it is and queues those that follow from it. Returns whether there
    /// was one.
    ///
    /// # Errors
    /// The store's; the effect is lost, and tried again when its row falls due.
    pub async fn perform_next(&self) -> Result<bool, StoreError> {
        let Some(turn) = self.driver.take() else {
            return Ok(false);
        };
        let more = self.orchestrator().perform(turn.effect().clone()).await?;
        turn.finish(more);
        Ok(true)
    }

    /// Runs one tick of the orchestrator and queues its effects.
    ///
    /// # Errors
    /// The store's.
    pub async fn tick(&self) -> Result<Tick, StoreError> {
        self.driver.tick().await
    }

    /// Ticks, performs and lets the fleet act until nothing is left to do at the present time.
    ///
    /// # Errors
    /// The store's.
    pub async fn settle(&self, fleet: &SimFleet) -> Result<(), StoreError> {
        for _ in 0..MOST_ROUNDS {
            let mut busy = self.tick().await?.claimed > 0;
            while self.perform_next().await? {
                busy = true;
            }
            busy |= fleet.step(self).await > 0;
            if !busy {
                return Ok(());
            }
        }
        tracing::error!("gateway and fleet do not come to rest");
        Ok(())
    }

    fn orchestrator(&self) -> &Orchestrator {
        self.driver.orchestrator()
    }

    async fn present(&self, caller: &Caller) -> Result<Owner, GatewayError> {
        let owner = self.tokens.verify(&caller.token);
        let owner = owner.map_err(|_| GatewayError::Unauthorized)?;
        match self.orchestrator().is_present(&owner).await {
            Ok(true) => Ok(owner),
            Ok(false) => Err(GatewayError::Unauthorized),
            Err(_) => Err(unavailable()),
        }
    }

    fn intake(&self) -> Result<&Intake, GatewayError> {
        let none = || refused(501, "not_supported", "this gateway keeps no messages");
        self.intake.as_ref().ok_or_else(none)
    }
}

#[async_trait]
impl GatewayApi for LocalGateway {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        let registration = Registration::of(body.clone(), &[AllowedHost::Any])
            .map_err(|error| refused(400, "validation_error", error))?;
        let (origin, join) = (Origin::default(), Join::Bootstrap);
        let done = self.orchestrator().register(&origin, join, &registration);
        let done = done.await.map_err(|error| match error {
            RegisterError::Store(_) => unavailable(),
            RegisterError::IncarnationEnded => GatewayError::IncarnationEnded,
            other => refused(409, "conflict", other),
        })?;
        self.carry_out(done.effects);
        Ok(done.value.answer(&self.tokens))
    }

    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError> {
        let owner = self.tokens.verify(&caller.token);
        let owner = owner.map_err(|_| GatewayError::Unauthorized)?;
        let done = self.orchestrator().heartbeat(&owner, body).await;
        let done = done.map_err(|error| match error {
            BeatError::Ended => GatewayError::Unauthorized,
            BeatError::Store(_) => unavailable(),
        })?;
        self.carry_out(done.effects);
        Ok(done.value)
    }

    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError> {
        let owner = self.present(caller).await?;
        let done = self.orchestrator().goodbye(&owner).await;
        self.carry_out(done.map_err(|_| unavailable())?.effects);
        Ok(())
    }

    async fn assigned(&self, caller: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        let owner = self.present(caller).await?;
        self.orchestrator()
            .assigned(&owner)
            .await
            .map_err(state_error)
    }

    async fn recovery_status(
        &self,
        caller: &Caller,
        body: &RecoveryReport,
    ) -> Result<(), GatewayError> {
        let owner = self.present(caller).await?;
        let done = self
            .orchestrator()
            .recovery_status(&owner, &body.results)
            .await;
        self.carry_out(done.map_err(report_error)?.effects);
        Ok(())
    }

    async fn session_report(
        &self,
        caller: &Caller,
        body: &SessionReport,
    ) -> Result<(), GatewayError> {
        let owner = self.present(caller).await?;
        let done = self.orchestrator().report(&owner, body).await;
        self.carry_out(done.map_err(report_error)?.effects);
        Ok(())
    }

    async fn message_reports(
        &self,
        caller: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError> {
        let owner = self.present(caller).await?;
        for report in body {
            self.intake()?
                .status(&owner, report)
                .await
                .map_err(intake_error)?;
        }
        Ok(())
    }

    async fn inbound(&self, caller: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError> {
        let owner = self.present(caller).await?;
        for message in body {
            self.intake()?
                .inbound(&owner, message.clone())
                .await
                .map_err(intake_error)?;
        }
        Ok(())
    }

    async fn state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError> {
        self.present(caller).await?;
        self.state.seal(session, epoch).await.map_err(state_error)
    }

    async fn put_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError> {
        self.present(caller).await?;
        self.state
            .put_snapshot(session, epoch, after, snapshot)
            .await
            .map_err(state_error)
    }

    async fn append_state(
        &self,
        caller: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError> {
        self.present(caller).await?;
        self.state
            .append(session, epoch, after, entries)
            .await
            .map_err(state_error)
    }
}

fn unavailable() -> GatewayError {
    GatewayError::Unavailable { retry_after: None }
}

fn refused(status: u16, kind: &str, message: impl Display) -> GatewayError {
    GatewayError::Refused {
        status,
        kind: kind.to_owned(),
        message: message.to_string(),
    }
}

fn report_error(error: ReportError) -> GatewayError {
    match error {
        ReportError::UnknownSession => refused(404, "not_found", error),
        ReportError::StaleEpoch { current } => GatewayError::StaleEpoch {
            current: Some(current),
        },
        ReportError::CodeTooLong { .. } => refused(400, "validation_error", error),
        ReportError::Unavailable | ReportError::Store(_) => unavailable(),
    }
}

fn intake_error(error: IntakeError) -> GatewayError {
    match error {
        IntakeError::NotHeld { .. } => GatewayError::StaleEpoch { current: None },
        IntakeError::Invalid { .. } => refused(422, "validation_error", error),
        IntakeError::LogFull(_) | IntakeError::Log(_) | IntakeError::Store(_) => unavailable(),
    }
}

fn state_error(error: StateError) -> GatewayError {
    match error {
        StateError::StaleEpoch { current } => GatewayError::StaleEpoch {
            current: Some(current),
        },
        StateError::SeqConflict { current } => GatewayError::SeqConflict { current },
        StateError::UnknownSession => refused(404, "unknown_session", error),
        StateError::TooLarge { .. } => refused(413, "payload_too_large", error),
        StateError::Corrupt { .. } | StateError::Store(_) => unavailable(),
    }
}
