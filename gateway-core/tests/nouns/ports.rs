//! Ports: what they do unless told otherwise, and what every adapter gets for free.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures_executor::block_on;
use gateway_core::coord::{CoordError, Coordinator, Counted, Notice, PairingSecret};
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::identity::WorkerTokens;
use gateway_core::message::{
    Direction, Fact, Inbound, MessageLog, MessageStatus, Outgoing, StatusFact, WaMessageId,
};
use gateway_core::orchestrator::{Orchestrator, Policy};
use gateway_core::session::ChallengeKind;
use gateway_core::store::{StoreError, Unique, retry_conflicts};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::fixture::START;
use gateway_testkit::gateway::memory_ports;
use gateway_testkit::memory::{MemoryLog, MemoryStore};
use gateway_testkit::worker::SimFleet;
use serde_json::{Value, json};

/// A coordinator that has only what it must have.
#[derive(Debug)]
struct Plain;

#[async_trait]
impl Coordinator for Plain {
    async fn put_secret(
        &self,
        _: SessionId,
        _: &PairingSecret,
        _: Duration,
    ) -> Result<(), CoordError> {
        Ok(())
    }

    async fn secret(
        &self,
        _: SessionId,
        _: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError> {
        Ok(None)
    }

    async fn drop_secrets(&self, _: SessionId) -> Result<(), CoordError> {
        Ok(())
    }

    async fn count(&self, _: &str, window: Duration) -> Result<Counted, CoordError> {
        Ok(Counted {
            count: 1,
            resets_in: window,
        })
    }

    async fn counted(&self, _: &str) -> Result<Option<Counted>, CoordError> {
        Ok(None)
    }

    async fn reset_counter(&self, _: &str) -> Result<(), CoordError> {
        Ok(())
    }
}

#[test]
fn a_coordinator_without_hints_takes_them_and_stays_silent() {
    let mut notices = block_on(Plain.notices()).expect("a stream");
    block_on(Plain.notify(&Notice::Due)).expect("told nobody");
    let mut context = Context::from_waker(Waker::noop());
    let next = notices.as_mut().poll_next(&mut context);
    assert_eq!(next, Poll::Pending, "neither a hint nor the end");
}

#[test]
fn a_printed_code_does_not_show_its_text() {
    let secret = PairingSecret {
        epoch: Epoch(3),
        kind: ChallengeKind::PairingCode,
        index: 0,
        text: "ABCD-EFGH".to_owned(),
        expires_at: START,
    };
    let printed = format!("{secret:?}");
    assert!(!printed.contains("ABCD"), "{printed}");
    assert!(printed.contains("PairingCode"), "{printed}");
    let kept = serde_json::to_value(&secret).expect("JSON");
    assert_eq!(kept["text"], "ABCD-EFGH", "but is kept");
    assert_eq!(serde_json::from_value(kept).ok(), Some(secret));
}

#[test]
fn what_is_printed_of_tokens_and_drivers_shows_no_secret() {
    let tokens = WorkerTokens::new(b"never rotated");
    assert_eq!(format!("{tokens:?}"), "WorkerTokens { .. }");
    let clock: Arc<dyn gateway_core::time::Clock> = Arc::new(ManualClock::default());
    let fleet = SimFleet::new(1, Arc::clone(&clock));
    let ports = memory_ports(&clock, Arc::new(fleet), 1);
    let orchestrator = Orchestrator::new(ports, Policy::default());
    let printed = format!("{orchestrator:?}");
    assert!(printed.starts_with("Orchestrator { policy"), "{printed}");
    assert!(printed.ends_with(".. }"), "{printed}");
    assert_eq!(orchestrator.policy().claim, Policy::default().claim);
}

/// How often an attempt is made that ends like this, and how the whole ends.
fn attempts(allowed: u32, end: impl Fn(u32) -> Result<(), StoreError>) -> (u32, bool) {
    let made = Cell::new(0);
    let outcome = block_on(retry_conflicts(allowed, || {
        made.set(made.get() + 1);
        let end = end(made.get());
        async move { end }
    }));
    (made.get(), outcome.is_ok())
}

#[test]
fn a_conflict_is_tried_again_a_few_times_and_nothing_else_is() {
    let conflict = |_| Err(StoreError::Conflict);
    assert_eq!(attempts(3, conflict), (3, false));
    assert_eq!(attempts(0, conflict), (1, false), "once at least");
    let at_second = |made| {
        if made < 2 {
            return Err(StoreError::Conflict);
        }
        Ok(())
    };
    assert_eq!(attempts(3, at_second), (2, true));
    let taken = |_| Err(StoreError::Duplicate(Unique::SessionName));
    assert_eq!(attempts(3, taken), (1, false));
    let away = |_| Err(StoreError::Unavailable("gone".into()));
    assert_eq!(attempts(3, away), (1, false), "its outcome is not known");
}

#[test]
fn callers_may_repeat_what_can_go_well_the_next_time() {
    let corrupt = StoreError::Corrupt {
        table: "sessions",
        id: "ses_1".to_owned(),
        why: "no phase".to_owned(),
    };
    assert!(corrupt.to_string().contains("sessions (ses_1): no phase"));
    let rows = [
        (StoreError::Conflict, true),
        (StoreError::Unavailable("gone".into()), true),
        (StoreError::Duplicate(Unique::SessionName), false),
        (StoreError::Refused("too long".into()), false),
        (StoreError::Internal("no such column".into()), false),
        (corrupt, false),
    ];
    for (error, repeat) in rows {
        assert_eq!(error.is_retryable(), repeat, "{error}");
    }
}

#[test]
fn every_fact_says_which_message_it_is_about_whose_and_which_way() {
    let (id, tenant) = (MessageId::from_u128(5), TenantId::from_u128(6));
    let (session, epoch) = (SessionId::from_u128(7), Epoch(1));
    let wa_message_id = WaMessageId::parse("3EB0").expect("an id");
    let outgoing = Outgoing {
        id,
        tenant,
        session,
        epoch,
        wa_message_id: wa_message_id.clone(),
        chat_id: "1@lid".to_owned(),
        kind: "text".to_owned(),
        content: Value::Null,
        body_hash: [0; 32],
        status: MessageStatus::Sending,
        error: None,
        refused_status: None,
        alias: None,
    };
    let status = StatusFact {
        id,
        tenant,
        session,
        epoch,
        wa_message_id: wa_message_id.clone(),
        status: MessageStatus::Read,
        error: None,
        own: None,
        age: None,
        occurred_at: None,
    };
    let inbound = Inbound {
        id,
        tenant,
        session,
        epoch,
        wa_message_id,
        chat_id: "1@lid".to_owned(),
        sender: "1@lid".to_owned(),
        kind: "text".to_owned(),
        content: json!({}),
        offline: false,
        alias: None,
        from_me: false,
        occurred_at: None,
    };
    let facts = [
        (Fact::Outgoing(outgoing), Direction::Outbound),
        (Fact::Status(status), Direction::Outbound),
        (Fact::Inbound(inbound), Direction::Inbound),
    ];
    let store = MemoryStore::new(Arc::new(ManualClock::default()));
    for (fact, direction) in facts {
        assert_eq!((fact.id(), fact.tenant()), (id, tenant));
        assert_eq!(fact.direction(), direction);
        // What the log makes of it agrees.
        let log = MemoryLog::new(&store);
        let place = log.reserve().expect("room");
        assert_eq!(format!("{place:?}"), "Place");
        let mut recording = pin!(log.record(place, fact));
        let recorded = block_on(recording.as_mut()).expect("recorded");
        assert_eq!((recorded.message.id, recorded.message.tenant), (id, tenant));
    }
}
