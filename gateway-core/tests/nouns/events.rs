//! The catalogue: what is written to the outbox is what comes out of the log.

use std::collections::BTreeSet;

use gateway_core::event::{
    Event, EventData, MessageReceived, MessageSent, MessageStatusChanged, NewEvent, SessionCreated,
    SessionDeleted, SessionQr, SessionStatusChanged, UnreadableEvent, WorkerChanged,
};
use gateway_core::id::{MessageId, SessionName, WorkerId};
use gateway_core::message::{Direction, MessageError, MessageSource, MessageStatus, WaMessageId};
use gateway_core::session::{Challenge, ChallengeKind};
use gateway_core::worker::WorkerStatus;
use gateway_testkit::fixture::{START, a_session, a_worker};
use serde_json::{Value, json};

/// One of each.
fn samples() -> [Event; 8] {
    let name = SessionName::parse("sales").expect("a slug");
    let wa = WaMessageId::parse("3EB0").expect("an id");
    let session = a_session()
        .connected_at(&a_worker("worker-1").build())
        .build();
    let challenge = Challenge {
        kind: ChallengeKind::Passkey,
        index: 2,
        expires_at: START,
    };
    let received = MessageReceived {
        id: MessageId::from_u128(1),
        wa_message_id: wa.clone(),
        chat_id: "491701234567@s.whatsapp.net".to_owned(),
        from: None,
        kind: "text".to_owned(),
        content: json!({"text": "hi"}),
        offline: true,
        phone: None,
        lid: None,
        occurred_at: None,
    };
    let typed = MessageSent {
        id: MessageId::from_u128(1),
        wa_message_id: wa.clone(),
        chat_id: "491701234567@s.whatsapp.net".to_owned(),
        from: None,
        phone: None,
        lid: None,
        source: MessageSource::Phone,
        kind: "text".to_owned(),
        content: json!({"text": "hi"}),
        offline: false,
        occurred_at: Some(START),
    };
    let changed = MessageStatusChanged {
        id: MessageId::from_u128(1),
        wa_message_id: Some(wa),
        direction: Direction::Outbound,
        previous: Some(MessageStatus::Sending),
        status: MessageStatus::Failed,
        error: Some(MessageError {
            code: "no_account".to_owned(),
            message: None,
        }),
        source: Some(MessageSource::Api),
        chat_id: None,
        phone: None,
        lid: None,
        occurred_at: None,
    };
    let worker = WorkerChanged {
        worker_id: WorkerId::parse("worker-1").expect("a slug"),
        status: WorkerStatus::Offline,
        reason: "goodbye".to_owned(),
    };
    [
        Event::SessionCreated(SessionCreated {
            name: name.clone(),
            metadata: [("crm".to_owned(), json!(7))].into(),
        }),
        Event::SessionStatus(SessionStatusChanged::new(&session, session.status())),
        Event::SessionQr(SessionQr::new(&challenge)),
        Event::SessionDeleted(SessionDeleted { name }),
        Event::MessageReceived(received),
        Event::MessageSent(typed),
        Event::MessageStatus(changed),
        Event::WorkerStatus(worker),
    ]
}

fn written(event: &Event) -> NewEvent {
    NewEvent::of_operators(event)
}

fn json(event: &Event) -> Value {
    written(event).data.read().expect("JSON")
}

fn data(json: &Value) -> EventData {
    serde_json::from_value(json.clone()).expect("JSON")
}

#[test]
fn every_event_survives_the_log() {
    for event in samples() {
        assert!(json(&event).is_object(), "{event:?}");
        let read = written(&event).event();
        assert_eq!(read.expect("its own words"), event);
    }
}

#[test]
fn every_event_has_a_name_of_its_own_and_a_version() {
    let names: BTreeSet<_> = samples().iter().map(Event::name).collect();
    assert_eq!(names, BTreeSet::from(Event::NAMES));
    assert_eq!(names.len(), samples().len());
    for event in samples() {
        assert_eq!(written(&event).name, event.name());
        assert_eq!(event.version(), 1, "no payload has changed its meaning yet");
    }
}

#[test]
fn every_sample_is_what_its_event_looks_like() {
    for (name, sample) in Event::NAMES.into_iter().zip(Event::SAMPLES) {
        let sample: Value = serde_json::from_str(sample).expect("JSON");
        let event = Event::parse(name, 1, &data(&sample)).expect("an event");
        assert_eq!(event.name(), name);
        let members = |json: &Value| -> BTreeSet<String> {
            let fields = json.as_object().expect("an object");
            fields.keys().cloned().collect()
        };
        assert_eq!(members(&json(&event)), members(&sample), "{name}");
    }
}

#[test]
fn what_is_not_in_the_catalogue_is_not_read() {
    let [created, status, ..] = samples();
    let created = written(&created).data;
    let refused = Event::parse("session.levitated", 1, &created);
    assert!(matches!(refused, Err(UnreadableEvent::Unknown { .. })));
    let newer = Event::parse("session.created", 2, &created);
    assert!(matches!(newer, Err(UnreadableEvent::Unknown { .. })));
    assert!(Event::parse(status.name(), 1, &created).is_err());
    assert!(Event::parse(status.name(), 1, &data(&json!(null))).is_err());
}

#[test]
fn consumers_read_camel_case_and_never_a_code() {
    let [_, status, qr, ..] = samples();
    let status = json(&status);
    assert_eq!(status["status"], "CONNECTED");
    assert_eq!(status["phoneNumber"], "15550100");
    assert_eq!(
        json(&qr),
        json!({"type": "passkey", "index": 2, "expiresAt": START})
    );
}

#[test]
fn what_has_a_type_calls_it_type() {
    for event in samples() {
        assert!(json(&event).get("kind").is_none(), "{}", event.name());
    }
    let received = samples().into_iter().nth(4).expect("one of each");
    assert_eq!(json(&received)["type"], "text");
}
