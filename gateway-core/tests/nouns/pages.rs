//! Pages of events: the envelope, the sessions they are about, and codes while they can be used.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::coord::{Coordinator, PairingSecret};
use gateway_core::event::{
    Event, EventEnvelope, EventFilter, EventPages, NewEvent, SessionQr, sequence,
};
use gateway_core::id::{Epoch, TenantId};
use gateway_core::session::{ChallengeKind, Session};
use gateway_core::store::Store;
use gateway_core::time::Timestamp;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::fixture::{START, a_session};
use gateway_testkit::memory::{MemoryCoordinator, MemoryStore};
use serde_json::{Value, json};

struct World {
    store: MemoryStore,
    coord: Arc<MemoryCoordinator>,
    pages: EventPages,
    session: Session,
}

impl World {
    /// One session `sales`.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        let coord = Arc::new(MemoryCoordinator::new(clock));
        let session = a_session().named("sales").build();
        block_on(async {
            let mut tx = store.begin().await.expect("begins");
            let inserted = tx.insert_session(&session, None).await;
            inserted.expect("a card");
            tx.commit().await.expect("commits");
        });
        Self {
            pages: EventPages::new(Arc::new(store.clone()), coord.clone()),
            store,
            coord,
            session,
        }
    }

    fn code(&self, epoch: u64, index: u32) -> NewEvent {
        self.code_until(epoch, index, START)
    }

    fn code_until(&self, epoch: u64, index: u32, expires_at: Timestamp) -> NewEvent {
        let qr = SessionQr {
            kind: ChallengeKind::Passkey,
            index,
            expires_at,
        };
        let (tenant, session) = (self.session.tenant, self.session.id);
        NewEvent::of_session(tenant, session, Epoch(epoch), &Event::SessionQr(qr))
    }

    fn publish(&self, events: &[NewEvent]) {
        block_on(async {
            let mut tx = self.store.begin().await.expect("begins");
            tx.append_events(events).await.expect("appends");
            tx.commit().await.expect("commits");
            sequence(&self.store, 0, 100).await.expect("publishes");
        });
    }

    fn show(&self, epoch: u64, index: u32, text: &str) {
        let secret = PairingSecret {
            epoch: Epoch(epoch),
            kind: ChallengeKind::Passkey,
            index,
            text: text.to_owned(),
            // Asked for again, a worker says it a little differently.
            expires_at: START.plus(Duration::from_secs(5)),
        };
        let shown = self
            .coord
            .put_secret(self.session.id, &secret, Duration::from_secs(60));
        block_on(shown).expect("on");
    }

    fn page(&self, after: u64, limit: u32) -> (Vec<EventEnvelope>, u64) {
        let filter = EventFilter::default();
        let page = self.pages.page(self.session.tenant, &filter, after, limit);
        let page = block_on(page).expect("a page");
        (page.events, page.reached)
    }
}

fn fields(event: &EventEnvelope) -> Value {
    serde_json::to_value(event).expect("JSON")
}

#[test]
fn an_envelope_has_the_outer_form_of_the_catalogue() {
    let world = World::new();
    world.publish(&[world.code(1, 0)]);
    let (events, _) = world.page(0, 9);
    let expected = json!({
        "id": events[0].id, "type": "session.qr", "version": 1, "createdAt": START,
        "tenantId": world.session.tenant, "seq": 1, "epoch": 1,
        "session": {"id": world.session.id, "name": "sales", "metadata": {}},
        "data": {"type": "passkey", "index": 0, "expiresAt": START},
    });
    assert_eq!(fields(&events[0]), expected);
}

#[test]
fn a_deleted_session_has_an_id_and_no_name() {
    let world = World::new();
    world.publish(&[world.code(1, 0)]);
    block_on(async {
        let mut tx = world.store.begin().await.expect("begins");
        let (id, version) = (world.session.id, world.session.version);
        tx.delete_session(id, version).await.expect("deletes");
        tx.commit().await.expect("commits");
    });
    let session = fields(&world.page(0, 9).0[0])["session"].clone();
    let expected = json!({"id": world.session.id, "name": null, "metadata": {}});
    assert_eq!(session, expected);
}

#[test]
fn only_the_present_code_is_joined_to_its_event() {
    let world = World::new();
    world.publish(&[world.code(1, 4), world.code(2, 3), world.code(2, 4)]);
    world.show(2, 4, r#"{"challenge": "abc"}"#);
    let events = world.page(0, 9).0;
    let joined = events
        .iter()
        .map(|event| fields(event)["data"]["passkeyChallenge"].clone());
    let present = json!({"challenge": "abc"});
    assert_eq!(
        joined.collect::<Vec<_>>(),
        [Value::Null, Value::Null, present]
    );
    assert_eq!(fields(&events[2])["data"]["index"], 4, "the rest stays");
}

#[test]
fn an_event_of_a_newer_gateway_is_passed_on_as_it_stands() {
    let world = World::new();
    let payload = r#"{"height":3.50,"kind":"odd"}"#;
    let newer = NewEvent {
        name: "session.levitated".into(),
        version: 3,
        data: serde_json::from_str(payload).expect("JSON"),
        ..world.code(1, 0)
    };
    world.publish(&[world.code(1, 0), newer, world.code(1, 1)]);
    let (events, _) = world.page(0, 9);
    assert_eq!(events.len(), 3);
    let text = serde_json::to_string(&events[1]).expect("JSON");
    assert!(
        text.contains(r#""type":"session.levitated","version":3"#),
        "{text}"
    );
    assert!(text.contains(payload), "{text}");
}

#[test]
fn a_page_says_how_far_the_log_was_looked_through() {
    let world = World::new();
    let foreign = NewEvent {
        tenant: Some(TenantId::from_u128(77)),
        ..world.code(1, 9)
    };
    world.publish(&[world.code(1, 0), world.code(1, 1), foreign]);
    let (events, reached) = world.page(0, 1);
    assert_eq!(
        (events.len(), reached),
        (1, 1),
        "a full page ends where it ends"
    );
    let (events, reached) = world.page(1, 9);
    assert_eq!(
        (events.len(), reached),
        (1, 3),
        "what others have is behind it, too"
    );
    assert_eq!(world.page(3, 9), (Vec::new(), 3));
    assert_eq!(block_on(world.pages.newest()).expect("read"), 3);
}

#[test]
fn a_code_is_not_joined_to_the_event_of_the_one_before_it() {
    let world = World::new();
    let before = START.minus(Duration::from_secs(120));
    world.publish(&[world.code_until(1, 0, before), world.code(1, 0)]);
    world.show(1, 0, r#"{"challenge": "second"}"#);
    let events = world.page(0, 9).0;
    let joined = |event: &EventEnvelope| fields(event)["data"]["passkeyChallenge"].clone();
    assert_eq!(joined(&events[0]), Value::Null);
    assert_eq!(joined(&events[1]), json!({"challenge": "second"}));
}
