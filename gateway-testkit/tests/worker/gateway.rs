//! A gateway as small as it can be: it grants leases, keeps state and notes what it is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, MessageId, SessionId, WorkerId};
use gateway_core::message::MessageIds;
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, Mode, RecoveryReport,
    Register, Registered, SendMessage, SessionReport, StartSession,
};
use gateway_core::session::{Order, Owner};
use gateway_core::state::{StateError, StateStore, StoredState};
use gateway_core::time::{Clock, Timestamp};
use gateway_core::worker::{LinkError, Target, WorkerLink};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::memory::MemoryState;
use gateway_testkit::worker::{Caller, GatewayApi, GatewayError, Script, SimFleet};

pub(crate) const LEASE: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) registrations: Vec<Register>,
    pub(crate) beats: Vec<Beat>,
    pub(crate) reports: Vec<SessionReport>,
    pub(crate) receipts: Vec<MessageReport>,
    pub(crate) inbound: Vec<InboundMessage>,
    pub(crate) recoveries: Vec<RecoveryReport>,
    pub(crate) goodbyes: Vec<Owner>,
    /// What it answers.
    pub(crate) beat_answer: Option<BeatAnswer>,
    pub(crate) assigned: Vec<AssignedSession>,
    pub(crate) overtaken: BTreeSet<SessionId>,
    pub(crate) down: bool,
    pub(crate) renewals_refused: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Gateway {
    pub(crate) told: Mutex<Told>,
    pub(crate) state: MemoryState,
}

impl Gateway {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, Told>, GatewayError> {
        let told = self.told();
        if told.down {
            return Err(GatewayError::Unavailable { retry_after: None });
        }
        Ok(told)
    }

    pub(crate) fn statuses(&self, session: SessionId) -> Vec<String> {
        let told = self.told();
        let reports = told.reports.iter().filter(|r| r.session_id == session);
        reports
            .map(|r| match &r.reason {
                Some(reason) => format!("{} {reason}", r.status),
                None => r.status.clone(),
            })
            .collect()
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
impl GatewayApi for Gateway {
    async fn register(&self, body: &Register) -> Result<Registered, GatewayError> {
        let mut told = self.up()?;
        told.registrations.push(body.clone());
        Ok(Registered {
            worker_id: body.worker_id.clone(),
            worker_token: format!("token-{}", body.incarnation),
            lease_seconds: LEASE.as_secs(),
            heartbeat_interval_ms: 2_000,
            recovery_required: !told.assigned.is_empty(),
            assigned_session_count: 0,
            server_time: Timestamp::default(),
        })
    }

    async fn heartbeat(&self, caller: &Caller, body: &Beat) -> Result<BeatAnswer, GatewayError> {
        let mut told = self.up()?;
        assert_eq!(caller.token, format!("token-{}", caller.owner.incarnation));
        if told.renewals_refused {
            return Err(GatewayError::Unauthorized);
        }
        told.beats.push(body.clone());
        Ok(told.beat_answer.take().unwrap_or(BeatAnswer {
            lease_seconds: LEASE.as_secs(),
            dropped: Vec::new(),
            start: Vec::new(),
            drain: false,
            send_held: false,
        }))
    }

    async fn goodbye(&self, caller: &Caller) -> Result<(), GatewayError> {
        self.up()?.goodbyes.push(caller.owner.clone());
        Ok(())
    }

    async fn assigned(&self, _: &Caller) -> Result<Vec<AssignedSession>, GatewayError> {
        Ok(self.up()?.assigned.clone())
    }

    async fn recovery_status(&self, _: &Caller, body: &RecoveryReport) -> Result<(), GatewayError> {
        self.up()?.recoveries.push(body.clone());
        Ok(())
    }

    async fn session_report(&self, _: &Caller, body: &SessionReport) -> Result<(), GatewayError> {
        let mut told = self.up()?;
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
        self.up()?.receipts.extend_from_slice(body);
        Ok(())
    }

    async fn inbound(&self, _: &Caller, body: &[InboundMessage]) -> Result<(), GatewayError> {
        self.up()?.inbound.extend_from_slice(body);
        Ok(())
    }

    async fn state(
        &self,
        _: &Caller,
        session: SessionId,
        epoch: Epoch,
    ) -> Result<StoredState, GatewayError> {
        drop(self.up()?);
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
        drop(self.up()?);
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
        drop(self.up()?);
        let appended = self.state.append(session, epoch, after, entries);
        appended.await.map_err(|error| state_error(&error))
    }
}

/// A fleet, its gateway and their clock.
pub(crate) struct Stage {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) fleet: SimFleet,
    pub(crate) gateway: Gateway,
}

pub(crate) const SESSION: SessionId = SessionId::from_u128(7);

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId::parse(name).expect("a valid id")
}

pub(crate) fn order(owner: &Owner, epoch: u64) -> Order {
    Order {
        session: SESSION,
        owner: owner.clone(),
        epoch: Epoch(epoch),
    }
}

impl Stage {
    /// Workers of these names, registered.
    pub(crate) fn with(names: &[&str], script: &Script) -> Self {
        let clock = Arc::new(ManualClock::default());
        let fleet = SimFleet::new(1, clock.clone());
        for name in names {
            fleet.add(&worker(name), script.clone());
        }
        let stage = Self {
            clock,
            fleet,
            gateway: Gateway::default(),
        };
        stage.settle();
        stage
    }

    pub(crate) fn settle(&self) {
        futures_executor::block_on(self.fleet.settle(&self.gateway));
    }

    /// Lets time pass in steps of a tenth of a second.
    pub(crate) fn pass(&self, span: Duration) {
        let step = Duration::from_millis(100);
        let until = self.clock.uptime().plus(span);
        while self.clock.uptime() < until {
            self.clock.advance(step);
            self.settle();
        }
    }

    pub(crate) fn target(&self, name: &str) -> Target {
        Target {
            owner: self.fleet.owner(&worker(name)).expect("a known worker"),
            endpoint: String::new(),
        }
    }

    pub(crate) fn start(
        &self,
        target: &Target,
        epoch: u64,
        mode: Mode,
    ) -> Result<String, LinkError> {
        let body = StartSession {
            session_id: SESSION,
            epoch: Epoch(epoch),
            incarnation: target.owner.incarnation.clone(),
            mode,
            phone_number: None,
            proxy: None,
            config: None,
        };
        let started = self.fleet.start(target, &body, LIMIT);
        let accepted = futures_executor::block_on(started)?;
        self.settle();
        Ok(accepted.status)
    }

    /// Links the session on this worker at epoch 1 and connects it.
    pub(crate) fn connect(&self, name: &str) -> Target {
        let target = self.target(name);
        self.start(&target, 1, Mode::Qr)
            .expect("the start is taken");
        self.fleet.scan(SESSION);
        self.pass(Duration::from_secs(2));
        assert_eq!(
            self.gateway.statuses(SESSION).last().map(String::as_str),
            Some("CONNECTED")
        );
        target
    }

    pub(crate) fn send(
        &self,
        target: &Target,
        epoch: u64,
        number: u128,
    ) -> Result<String, LinkError> {
        self.send_body(target, &message(target, epoch, number))
    }

    pub(crate) fn send_body(
        &self,
        target: &Target,
        body: &SendMessage,
    ) -> Result<String, LinkError> {
        let sent = futures_executor::block_on(self.fleet.send(target, SESSION, body, LIMIT))?;
        Ok(sent.wa_message_id.to_string())
    }

    pub(crate) fn release(&self, target: &Target, epoch: u64) -> Result<u64, LinkError> {
        let order = order(&target.owner, epoch);
        let released = self.fleet.release(target, &order, LIMIT);
        futures_executor::block_on(released).map(|released| released.last_seq)
    }

    pub(crate) fn logout(&self, target: &Target, epoch: u64) -> Result<Option<bool>, LinkError> {
        let order = order(&target.owner, epoch);
        let released = self.fleet.logout(target, &order, LIMIT);
        futures_executor::block_on(released).map(|released| released.remote_unlinked)
    }
}

pub(crate) fn message(target: &Target, epoch: u64, number: u128) -> SendMessage {
    let id = MessageId::from_u128(number);
    let mut content = serde_json::Map::new();
    content.insert("text".to_owned(), format!("message {number}").into());
    SendMessage {
        message_id: id,
        wa_message_id: MessageIds::new(b"a key").wa(id),
        body_hash: format!("{number:x}"),
        epoch: Epoch(epoch),
        incarnation: target.owner.incarnation.clone(),
        to: "491701234567@s.whatsapp.net".to_owned(),
        kind: "text".to_owned(),
        content,
    }
}
