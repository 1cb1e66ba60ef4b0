//! A gateway as small as it can be: it grants leases, keeps state and notes what it is told.
//!
//! For tests of workers and engines, where an orchestrator would only be in the way. It asks for no
//! token and orders nothing; whoever tests gives the commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::state::JournalGroup;
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::session::Owner;
use gateway_core::state::{StateError, StateStore, StoredState};
use gateway_core::time::Timestamp;
use gateway_worker::{Caller, GatewayApi, GatewayError};

use crate::memory::MemoryState;

/// The kinds of call that a worker makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerRoute {
    Register,
    Heartbeat,
    Goodbye,
    /// The question for the sessions that the worker should hold.
    Assigned,
    Recovery,
    /// Reports of sessions.
    SessionStatus,
    /// Reports on messages that were sent.
    MessageStatus,
    /// Messages that came in.
    Inbound,
    /// Stored state, read or written.
    State,
}

/// What a [`StubGateway`] was told, and what it answers next.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Told {
    /// Every registration, in order.
    pub registrations: Vec<Register>,
    /// Every heartbeat that was granted.
    pub beats: Vec<Beat>,
    /// Every session report that was taken.
    pub reports: Vec<SessionReport>,
    pub receipts: Vec<MessageReport>,
    /// Every message that came in.
    pub inbound: Vec<InboundMessage>,
    pub recoveries: Vec<RecoveryReport>,
    pub goodbyes: Vec<Owner>,
    /// The answer to the next heartbeat, if not the ordinary one.
    pub beat_answer: Option<BeatAnswer>,
    /// What is assigned to whoever registers.
    pub assigned: Vec<AssignedSession>,
    /// Of how many sessions each call carried journal entries that carried those of several, or of none.
    pub groups: Vec<usize>,
    /// How many messages each call with them carried.
    pub inbound_calls: Vec<usize>,
    /// Why it does not take messages that came in: any, or those that carry [`Self::refused_inbound`].
    pub inbound_refusal: Option<GatewayError>,
    /// The `waMessageId` of the only message it refuses.
    pub refused_inbound: String,
    /// Sessions whose reports are refused as stale.
    pub overtaken: BTreeSet<SessionId>,
    /// It cannot answer anything.
    pub down: bool,
    /// Kinds of call that it does not take, and what it answers to them.
    pub refusals: BTreeMap<WorkerRoute, GatewayError>,
    /// Every call that it took, in order.
    pub taken: Vec<WorkerRoute>,
    pub renewals_refused: bool,
    /// It refuses the next registration, because that incarnation has ended.
    pub next_run_has_ended: bool,
}

/// A gateway that agrees to everything, unless it is told not to.
#[derive(Debug)]
pub struct StubGateway {
    told: Mutex<Told>,
    /// The state it keeps.
    pub state: MemoryState,
    lease: Duration,
}

impl Default for StubGateway {
    fn default() -> Self {
        Self::granting(Self::LEASE)
    }
}

impl StubGateway {
    /// How long a renewal lasts, unless something else is asked for.
    pub const LEASE: Duration = Duration::from_secs(20);

    /// Makes a gateway whose renewals last this long.
    #[must_use]
    pub fn granting(lease: Duration) -> Self {
        Self {
            told: Mutex::default(),
            state: MemoryState::default(),
            lease,
        }
    }

    /// Returns what the gateway was told. Change it to change what it answers.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reported statuses of a session in order, each with its reason.
    #[must_use]
    pub fn statuses(&self, session: SessionId) -> Vec<String> {
        let told = self.told();
        let reports = told.reports.iter().filter(|r| r.session_id == session);
        reports
            .map(|r| match &r.reason {
                Some(reason) => format!("{} {reason}", r.status),
                None => r.status.clone(),
            })
            .collect()
    }

    fn open(&self, route: WorkerRoute) -> Result<MutexGuard<'_, Told>, GatewayError> {
        let mut told = self.told();
        if told.down {
            return Err(GatewayError::Unavailable { retry_after: None });
        }
        if let Some(refusal) = told.refusals.get(&route) {
            return Err(refusal.clone());
        }
        told.taken.push(route);
        Ok(told)
    }
}

fn state_error(error: &StateError) -> GatewayError {
    match *error {
        StateError::StaleEpoch { current } => GatewayError::StaleEpoch {
            current: Some(current),
        },
        StateError::SeqConflict { current } => GatewayError::SeqConflict { current },
        _ => GatewayError::Unavailable { retry_after: None },
    }
}

#[async_trait]
impl GatewayApi for StubGateway {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        let mut told = self.open(WorkerRoute::Register)?;
        told.registrations.push(body.clone());
        if std::mem::take(&mut told.next_run_has_ended) {
            return Err(GatewayError::IncarnationEnded);
        }
        Ok(Registered {
            worker_id: body.worker_id.clone(),
            worker_token: format!("token-{}", body.incarnation),
            lease_seconds: self.lease.as_secs(),
            heartbeat_interval_ms: 2_000,
            recovery_required: !told.assigned.is_empty(),
            assigned_session_count: 0,
            server_time: Timestamp::default(),
        })
    }

    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError> {
        let mut told = self.open(WorkerRoute::Heartbeat)?;
        let shown = format!("token-{}", caller.owner.incarnation);
        if told.renewals_refused || caller.token != shown {
            return Err(GatewayError::Unauthorized);
        }
        told.beats.push(body.clone());
        Ok(told.beat_answer.take().unwrap_or(BeatAnswer {
            lease_seconds: self.lease.as_secs(),
            dropped: Vec::new(),
            start: Vec::new(),
            drain: false,
            send_held: false,
        }))
    }

    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError> {
        self.open(WorkerRoute::Goodbye)?
            .goodbyes
            .push(caller.owner.clone());
        Ok(())
    }

    async fn assigned(&self, _: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        Ok(self.open(WorkerRoute::Assigned)?.assigned.clone())
    }

    async fn recovery_status(&self, _: &Caller, body: &RecoveryReport) -> Result<(), GatewayError> {
        self.open(WorkerRoute::Recovery)?
            .recoveries
            .push(body.clone());
        Ok(())
    }

    async fn session_report(&self, _: &Caller, body: &SessionReport) -> Result<(), GatewayError> {
        let mut told = self.open(WorkerRoute::SessionStatus)?;
        if told.overtaken.contains(&body.session_id) {
            return Err(GatewayError::StaleEpoch { current: None });
        }
        told.reports.push(body.clone());
        Ok(())
    }

    async fn message_reports(
        &self,
        _: &Caller,
        body: &[MessageReport],
    ) -> Result<(), GatewayError> {
        self.open(WorkerRoute::MessageStatus)?
            .receipts
            .extend_from_slice(body);
        Ok(())
    }

    async fn inbound(&self, _: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError> {
        let mut told = self.open(WorkerRoute::Inbound)?;
        let refused = &told.refused_inbound;
        let concerned = body.iter().any(|message| message.wa_message_id == *refused);
        if let Some(refusal) = &told.inbound_refusal
            && (refused.is_empty() || concerned)
        {
            return Err(refusal.clone());
        }
        told.inbound_calls.push(body.len());
        told.inbound.extend_from_slice(body);
        Ok(())
    }

    async fn state(
        &self,
        _: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError> {
        drop(self.open(WorkerRoute::State)?);
        self.state
            .seal(session, epoch)
            .await
            .map_err(|error| state_error(&error))
    }

    async fn put_state(
        &self,
        _: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        snapshot: &[u8],
    ) -> Result<u64, GatewayError> {
        drop(self.open(WorkerRoute::State)?);
        let put = self.state.put_snapshot(session, epoch, after, snapshot);
        put.await.map_err(|error| state_error(&error))
    }

    async fn append_state(
        &self,
        _: &Caller,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, GatewayError> {
        drop(self.open(WorkerRoute::State)?);
        let appended = self.state.append(session, epoch, after, entries);
        appended.await.map_err(|error| state_error(&error))
    }

    async fn append_states(
        &self,
        _: &Caller,
        groups: &[JournalGroup],
    ) -> Result<Vec<Result<u64, GatewayError>>, GatewayError> {
        self.open(WorkerRoute::State)?.groups.push(groups.len());
        let mut results = Vec::new();
        for group in groups {
            let (session, epoch) = (group.session, group.epoch);
            let appended = self
                .state
                .append(session, epoch, group.after, &group.entries);
            results.push(appended.await.map_err(|error| state_error(&error)));
        }
        Ok(results)
    }
}
