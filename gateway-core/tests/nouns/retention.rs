//! Forgetting what has grown old, step by step.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::id::{Epoch, MessageId, ReplicaId, SessionId, TenantId};
use gateway_core::leader::LeaderTerm;
use gateway_core::message::{Fact, MessageLog, MessageStatus, Outgoing, WaMessageId};
use gateway_core::retention::{AgedRows, Retention, RetentionPolicy, SweepError};
use gateway_core::store::PlatformStore;
use gateway_core::tenant::{Tenant, TenantStatus, Tier, TierName};
use gateway_core::time::Clock;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::memory::{MemoryLog, MemoryState, MemoryStore};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const BATCH: u32 = 2;

struct Stage {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    log: MemoryLog,
    state: Arc<MemoryState>,
    retention: Retention,
}

impl Stage {
    /// One tenant of each plan, in the order of the plans.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        let now = clock.now();
        block_on(async {
            let mut tx = store.begin_platform().await.expect("a transaction");
            for (number, tier) in (1..).zip(Tier::defaults()) {
                tx.put_tier(&tier).await.expect("a tier");
                let tenant = Tenant {
                    id: TenantId::from_u128(number),
                    name: format!("tenant {number}"),
                    tier: tier.name,
                    status: TenantStatus::Active,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                };
                tx.insert_tenant(&tenant).await.expect("a tenant");
            }
            tx.commit().await.expect("committed");
        });
        let policy = RetentionPolicy {
            batch: BATCH,
            ..RetentionPolicy::default()
        };
        let state = Arc::new(MemoryState::new(clock.clone()));
        Self {
            log: MemoryLog::new(&store),
            retention: Retention::new(Arc::new(store.clone()), state.clone(), policy),
            state,
            clock,
            store,
        }
    }

    fn put_on(&self, tenant: u128, plan: &TierName) {
        block_on(async {
            let mut tx = self.store.begin_platform().await.expect("a transaction");
            let found = tx.tenant(TenantId::from_u128(tenant)).await;
            let mut row = found.expect("answered").expect("a tenant");
            row.tier = plan.clone();
            row.version += 1;
            tx.save_tenant(&row).await.expect("saved");
            tx.commit().await.expect("committed");
        });
    }

    fn lead(&self, replica: u128) -> Option<LeaderTerm> {
        block_on(async {
            let mut tx = self.store.begin_platform().await.expect("a transaction");
            let replica = ReplicaId::from_u128(replica);
            let term = tx.lead("forget", replica, DAY).await.expect("answered");
            tx.commit().await.expect("committed");
            term
        })
    }

    fn send(&self, tenant: u128, number: u128) {
        let sent = Outgoing {
            id: MessageId::from_u128(number),
            tenant: TenantId::from_u128(tenant),
            session: SessionId::from_u128(tenant),
            epoch: Epoch(1),
            wa_message_id: WaMessageId::parse(&format!("3EB0{number:016X}")).expect("an id"),
            chat_id: "491701234567@c.us".to_owned(),
            kind: "text".to_owned(),
            content: serde_json::json!({"text": "hello"}),
            body_hash: [0; 32],
            status: MessageStatus::Sent,
            error: None,
            refused_status: None,
            alias: None,
        };
        let place = self.log.reserve().expect("a place");
        let recorded = block_on(self.log.record(place, Fact::Outgoing(sent)));
        recorded.expect("recorded");
    }

    fn is_kept(&self, tenant: u128, number: u128) -> bool {
        let tenant = TenantId::from_u128(tenant);
        let found = block_on(self.log.find(tenant, MessageId::from_u128(number)));
        found.expect("answered").is_some()
    }

    /// Does a whole round; returns what each step forgot, if anything.
    fn round(&mut self, term: &LeaderTerm) -> Vec<(&'static str, u64)> {
        let mut forgotten = Vec::new();
        loop {
            let step = block_on(self.retention.step(term)).expect("a step");
            if step.rows > 0 {
                forgotten.push((step.kind, step.rows));
            }
            if step.is_last {
                return forgotten;
            }
        }
    }
}

#[test]
fn messages_are_kept_as_long_as_the_plan_of_their_tenant_says_and_go_in_small_steps() {
    let mut stage = Stage::new();
    // The plans keep 7, 30 and 90 days.
    for tenant in [1, 2, 3] {
        (0..5).for_each(|number| stage.send(tenant, tenant * 10 + number));
    }
    stage.clock.advance(6 * DAY);
    stage.send(1, 19);
    let term = stage.lead(1).expect("nobody else leads");
    assert_eq!(stage.round(&term), []);

    stage.clock.advance(2 * DAY);
    let term = stage.lead(1).expect("nobody else leads");
    let steps = [("messages", 2), ("messages", 2), ("messages", 1)];
    assert_eq!(stage.round(&term), steps);
    assert!(!stage.is_kept(1, 10) && stage.is_kept(1, 19));
    assert!(stage.is_kept(2, 20) && stage.is_kept(3, 30));

    stage.clock.advance(30 * DAY);
    let term = stage.lead(1).expect("nobody else leads");
    stage.round(&term);
    assert!(!stage.is_kept(1, 19) && !stage.is_kept(2, 20) && stage.is_kept(3, 30));
}

#[test]
fn messages_of_a_tenant_go_by_the_plan_that_it_is_on_now() {
    let mut stage = Stage::new();
    let tiers = Tier::defaults().map(|tier| tier.name);
    let unknown = TierName::parse("GONE").expect("a name");
    stage.send(1, 10);
    stage.clock.advance(40 * DAY);
    // A plan that is not there keeps everything.
    for (plan, is_kept) in [(&unknown, true), (&tiers[2], true), (&tiers[1], false)] {
        stage.put_on(1, plan);
        let term = stage.lead(1).expect("nobody else leads");
        stage.round(&term);
        assert_eq!(stage.is_kept(1, 10), is_kept, "{plan}");
    }
}

#[test]
fn a_leader_whose_term_is_over_forgets_nothing() {
    let mut stage = Stage::new();
    stage.send(1, 10);
    let former = stage.lead(1).expect("nobody else leads");
    stage.clock.advance(8 * DAY);
    let present = stage.lead(2).expect("the lease is over");
    for _ in 0..20 {
        let refused = block_on(stage.retention.step(&former));
        assert!(matches!(refused, Err(SweepError::TermOver)), "{refused:?}");
    }
    assert!(stage.is_kept(1, 10));
    stage.round(&present);
    assert!(!stage.is_kept(1, 10));
}

#[test]
fn what_cannot_be_forgotten_keeps_no_other_kind_from_it() {
    let mut stage = Stage::new();
    stage.state.set_available(false);
    for number in [10, 11] {
        stage.send(1, number);
        stage.clock.advance(8 * DAY);
        let term = stage.lead(1).expect("nobody else leads");
        let failed = loop {
            if let Err(error) = block_on(stage.retention.step(&term)) {
                break error;
            }
        };
        assert!(matches!(failed, SweepError::State(_)), "{failed:?}");
        assert!(!stage.is_kept(1, number));
    }
    stage.state.set_available(true);
    let term = stage.lead(1).expect("nobody else leads");
    assert_eq!(stage.round(&term), [], "the round comes to its end again");
}

#[test]
fn a_kind_that_fails_is_passed_over_and_tried_again_in_the_next_round() {
    let mut stage = Stage::new();
    stage.send(1, 10);
    stage.clock.advance(8 * DAY);
    let term = stage.lead(1).expect("nobody else leads");
    for _ in AgedRows::ALL {
        block_on(stage.retention.step(&term)).expect("a step");
    }
    stage.store.set_available(false);
    let failed = block_on(stage.retention.step(&term));
    assert!(matches!(failed, Err(SweepError::Store(_))), "{failed:?}");
    stage.store.set_available(true);
    assert_eq!(stage.round(&term), [], "its turn is over");
    assert_eq!(stage.round(&term), [("messages", 1)]);
}
