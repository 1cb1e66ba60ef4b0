//! No message is `sending` for ever.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::id::{Epoch, MessageId, ReplicaId, SessionId, TenantId};
use gateway_core::leader::LeaderTerm;
use gateway_core::message::{
    AckDeadline, AckError, Fact, Message, MessageLog, MessageStatus, Outgoing, StatusFact,
    WaMessageId,
};
use gateway_core::store::PlatformStore;
use gateway_core::tenant::{Tenant, TenantStatus, Tier};
use gateway_core::time::Clock;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::memory::{LogMode, MemoryLog, MemoryStore};

const SECOND: Duration = Duration::from_secs(1);
const TENANT: TenantId = TenantId::from_u128(1);

struct Stage {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    log: MemoryLog,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        let now = clock.now();
        block_on(async {
            let mut tx = store.begin_platform().await.expect("a transaction");
            let tier = Tier::defaults().into_iter().next().expect("a tier");
            tx.put_tier(&tier).await.expect("a tier");
            let tenant = Tenant {
                id: TENANT,
                name: "acme".to_owned(),
                tier: tier.name,
                status: TenantStatus::Active,
                version: 1,
                created_at: now,
                updated_at: now,
            };
            tx.insert_tenant(&tenant).await.expect("a tenant");
            tx.commit().await.expect("committed");
        });
        let log = MemoryLog::new(&store);
        Self { clock, store, log }
    }

    fn deadline(&self) -> AckDeadline {
        let (store, log) = (Arc::new(self.store.clone()), Arc::new(self.log.clone()));
        AckDeadline::new(store, log, SECOND * 60)
    }

    fn lead(&self, replica: u128) -> LeaderTerm {
        block_on(async {
            let mut tx = self.store.begin_platform().await.expect("a transaction");
            let replica = ReplicaId::from_u128(replica);
            let term = tx
                .lead("deadline", replica, SECOND)
                .await
                .expect("answered");
            tx.commit().await.expect("committed");
            term.expect("nobody else leads")
        })
    }

    /// Gives up everything that is past its deadline; returns how many there were.
    fn run(&self, deadline: &mut AckDeadline) -> u64 {
        let term = self.lead(1);
        let mut given_up = 0;
        loop {
            let step = block_on(deadline.step(&term)).expect("a step");
            given_up += step.given_up;
            if !step.is_behind {
                return given_up;
            }
        }
    }

    fn record(&self, fact: Fact) {
        let place = self.log.reserve().expect("a place");
        block_on(self.log.record(place, fact)).expect("recorded");
    }

    fn send(&self, number: u128) {
        self.record(Fact::Outgoing(Outgoing {
            id: MessageId::from_u128(number),
            tenant: TENANT,
            session: SessionId::from_u128(1),
            epoch: Epoch(1),
            wa_message_id: wa(number),
            chat_id: "491701234567@s.whatsapp.net".to_owned(),
            kind: "text".to_owned(),
            content: serde_json::json!({"text": "hello"}),
            body_hash: [0; 32],
            status: MessageStatus::Sending,
            error: None,
            refused_status: None,
            alias: None,
        }));
    }

    fn reports(&self, number: u128, status: MessageStatus) {
        self.record(Fact::Status(StatusFact {
            id: MessageId::from_u128(number),
            tenant: TENANT,
            session: SessionId::from_u128(1),
            epoch: Epoch(1),
            wa_message_id: wa(number),
            own: None,
            age: None,
            status,
            error: None,
            occurred_at: None,
        }));
    }

    fn message(&self, number: u128) -> Message {
        let found = block_on(self.log.find(TENANT, MessageId::from_u128(number)));
        found.expect("answered").expect("a message")
    }
}

fn wa(number: u128) -> WaMessageId {
    WaMessageId::parse(&format!("3EB0{number:018X}")).expect("an id")
}

#[test]
fn what_nobody_acknowledges_within_a_minute_is_unknown_and_moves_on_when_somebody_does() {
    let stage = Stage::new();
    let mut deadline = stage.deadline();
    assert_eq!(stage.run(&mut deadline), 0);
    stage.send(1);
    stage.send(2);
    stage.reports(2, MessageStatus::Sent);
    stage.clock.advance(SECOND * 60);
    assert_eq!(stage.run(&mut deadline), 0, "a minute is not over yet");
    stage.clock.advance(SECOND);
    stage.send(3);
    assert_eq!(stage.run(&mut deadline), 1);
    let given_up = stage.message(1);
    assert_eq!(given_up.status, MessageStatus::Unknown);
    assert_eq!(given_up.error.expect("why").code, "not_acknowledged");
    assert_eq!(stage.message(2).status, MessageStatus::Sent);
    assert_eq!(stage.message(3).status, MessageStatus::Sending);

    assert_eq!(stage.run(&mut deadline), 0, "once");
    stage.reports(1, MessageStatus::Delivered);
    let delivered = stage.message(1);
    assert_eq!(
        (delivered.status, delivered.error),
        (MessageStatus::Delivered, None)
    );
    stage.clock.advance(SECOND * 61);
    assert_eq!(stage.run(&mut deadline), 1, "the third one");
}

#[test]
fn a_gateway_that_was_away_for_days_gives_up_what_was_sent_before() {
    let stage = Stage::new();
    assert_eq!(stage.run(&mut stage.deadline()), 0);
    for number in 1..=1_200 {
        stage.send(number);
    }
    stage.clock.advance(SECOND * 3_600 * 24 * 3);
    assert_eq!(stage.run(&mut stage.deadline()), 1_200);
    stage.clock.advance(SECOND * 5);
    assert_eq!(
        stage.run(&mut stage.deadline()),
        0,
        "though another one looks again"
    );
}

#[test]
fn while_the_log_takes_nothing_the_deadline_waits() {
    let stage = Stage::new();
    let mut deadline = stage.deadline();
    assert_eq!(stage.run(&mut deadline), 0);
    stage.send(1);
    stage.clock.advance(SECOND * 61);
    stage.log.set_mode(LogMode::Failing);
    let term = stage.lead(1);
    let failed = block_on(deadline.step(&term));
    assert!(matches!(failed, Err(AckError::Log(_))), "{failed:?}");
    stage.log.set_mode(LogMode::Open);
    assert_eq!(stage.run(&mut deadline), 1);
}

#[test]
fn a_leader_whose_term_is_over_says_no_more_how_far_it_has_come() {
    let stage = Stage::new();
    let former = stage.lead(1);
    stage.clock.advance(SECOND * 2);
    stage.lead(2);
    let refused = block_on(stage.deadline().step(&former));
    assert!(matches!(refused, Err(AckError::TermOver)), "{refused:?}");
}
