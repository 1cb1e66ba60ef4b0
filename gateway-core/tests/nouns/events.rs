//! The catalogue: what is written to the outbox is what comes out of the log.

use std::collections::BTreeSet;

use gateway_core::event::{
    Event, MessageReceived, MessageStatusChanged, SessionCreated, SessionDeleted, SessionQr,
    SessionStatus, WorkerChanged,
};
use gateway_core::id::{MessageId, SessionName, WorkerId};
use gateway_core::message::{Direction, MessageError, MessageStatus, WaMessageId};
use gateway_core::session::{Challenge, ChallengeKind};
use gateway_core::worker::WorkerStatus;
use gateway_testkit::fixture::{START, a_session, a_worker};
use serde_json::json;

/// One of each.
fn samples() -> [Event; 7] {
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
        Event::SessionStatus(SessionStatus::new(&session, session.status())),
        Event::SessionQr(SessionQr::new(&challenge)),
        Event::SessionDeleted(SessionDeleted { name }),
        Event::MessageReceived(received),
        Event::MessageStatus(changed),
        Event::WorkerStatus(worker),
    ]
}

#[test]
fn every_event_survives_the_log() {
    for event in samples() {
        assert!(event.data().is_object(), "{event:?}");
        let read = Event::from_parts(event.name(), event.data());
        assert_eq!(read.expect("its own words"), event);
    }
}

#[test]
fn every_event_has_a_name_of_its_own_and_a_version() {
    let names: BTreeSet<_> = samples().iter().map(Event::name).collect();
    assert_eq!(names, BTreeSet::from(Event::NAMES));
    assert_eq!(names.len(), samples().len());
    for event in samples() {
        let json = serde_json::to_value(&event).expect("JSON");
        assert_eq!(json["type"], event.name());
        assert_eq!(event.version(), 1, "no payload has changed its meaning yet");
    }
}

#[test]
fn what_is_not_in_the_catalogue_is_not_read() {
    let [created, status, ..] = samples();
    assert!(Event::from_parts("session.levitated", created.data()).is_err());
    assert!(Event::from_parts(status.name(), created.data()).is_err());
    assert!(Event::from_parts(status.name(), json!(null)).is_err());
}

#[test]
fn consumers_read_camel_case_and_never_a_code() {
    let [_, status, qr, ..] = samples();
    let data = status.data();
    assert_eq!(data["status"], "CONNECTED");
    assert_eq!(data["phoneNumber"], "15550100");
    assert_eq!(
        qr.data(),
        json!({"kind": "passkey", "index": 2, "expiresAt": START})
    );
}
