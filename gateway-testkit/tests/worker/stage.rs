//! A fleet, its gateway and a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{Epoch, MessageId, SessionId, WorkerId};
use gateway_core::message::MessageIds;
use gateway_core::protocol::{SendMessage, StartSession, StartSessionMode};
use gateway_core::session::{Order, Owner};
use gateway_core::time::Clock;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::worker::{Script, SimFleet, StubGateway};

const LIMIT: Duration = Duration::from_secs(5);

/// A fleet, its gateway and their clock.
pub(crate) struct Stage {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) fleet: SimFleet,
    pub(crate) gateway: StubGateway,
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
            gateway: StubGateway::default(),
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
        mode: StartSessionMode,
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
        self.start(&target, 1, StartSessionMode::Qr)
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
