//! Facts arrive in any order, any number of times, and end in the same message.

use std::collections::BTreeSet;

use gateway_core::event::Event;
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{
    Fact, Fold, Inbound, Message, MessageError, MessageIds, MessageSource, MessageStatus, Outgoing,
    OwnMessage, StatusFact, WaMessageId, fold,
};
use gateway_core::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use MessageStatus::{Delivered, Failed, Played, Queued, Read, Sending, Sent, Unknown};

fn id() -> MessageId {
    MessageId::from_u128(5)
}

fn wa() -> WaMessageId {
    MessageIds::new(b"key").wa(id())
}

fn error(code: &str) -> MessageError {
    MessageError {
        code: code.to_owned(),
        message: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000)
}

fn send(status: MessageStatus, error: Option<MessageError>) -> Fact {
    Fact::Outgoing(Outgoing {
        id: id(),
        tenant: TenantId::from_u128(1),
        session: SessionId::from_u128(2),
        epoch: Epoch(3),
        wa_message_id: wa(),
        chat_id: "491701234567@s.whatsapp.net".to_owned(),
        kind: "text".to_owned(),
        content: serde_json::json!({ "text": "hello" }),
        body_hash: [7; 32],
        status,
        error,
        refused_status: None,
        alias: None,
    })
}

fn status(status: MessageStatus, error: Option<MessageError>) -> Fact {
    Fact::Status(StatusFact {
        id: id(),
        tenant: TenantId::from_u128(1),
        session: SessionId::from_u128(2),
        epoch: Epoch(3),
        wa_message_id: wa(),
        status,
        error,
        own: None,
        age: None,
        occurred_at: None,
    })
}

fn all(facts: &[Fact]) -> (Option<Message>, Vec<Fold>) {
    let mut row = None;
    let mut folds = Vec::new();
    for fact in facts {
        let folded = fold(row.as_ref(), fact, now());
        row = Some(folded.recorded.message.clone());
        folds.push(folded);
    }
    (row, folds)
}

fn ended(facts: &[Fact]) -> Message {
    all(facts).0.expect("some fact")
}

/// The lattice, lowest first: what R-64 calls "never backwards".
#[test]
fn the_statuses_are_one_chain() {
    let names: Vec<&str> = MessageStatus::ALL
        .iter()
        .map(|status| status.name())
        .collect();
    assert_eq!(
        names.join(" "),
        "scheduled queued sending unknown canceled expired failed sent delivered read played"
    );
    assert!(MessageStatus::ALL.is_sorted());
    for status in MessageStatus::ALL {
        assert_eq!(MessageStatus::parse(status.name()), Some(status));
        let json = serde_json::to_value(status).expect("a name");
        assert_eq!(json, status.name());
    }
    assert_eq!(MessageStatus::parse("SENT"), None);
}

#[test]
fn joining_is_a_lattice() {
    for a in MessageStatus::ALL {
        assert_eq!(a.join(a), a);
        for b in MessageStatus::ALL {
            assert_eq!(a.join(b), b.join(a));
            for c in MessageStatus::ALL {
                assert_eq!(a.join(b).join(c), a.join(b.join(c)));
            }
        }
    }
}

#[test]
fn read_may_come_before_sent() {
    let row = ended(&[send(Sending, None), status(Read, None), status(Sent, None)]);
    assert_eq!(row.status, Read);
    assert!(row.timeline.sent.is_some() && row.timeline.read.is_some());
}

#[test]
fn a_receipt_is_better_evidence_than_a_failure() {
    let row = ended(&[send(Failed, Some(error("x"))), status(Delivered, None)]);
    assert_eq!((row.status, row.error), (Delivered, None));
}

#[test]
fn a_report_of_another_session_moves_nothing() {
    let Fact::Status(report) = status(Read, None) else {
        unreachable!("made above");
    };
    let elsewhere = Fact::Status(StatusFact {
        session: SessionId::from_u128(9),
        ..report
    });
    let sent = ended(&[send(Sending, None)]);
    let folded = fold(Some(&sent), &elsewhere, now());
    assert_eq!((folded.changed, folded.event), (false, None));
    assert_eq!(folded.recorded.message, sent);
}

#[test]
fn an_error_goes_with_the_status_that_it_explains() {
    let unknown = send(Unknown, Some(error("outcome_unknown")));
    let sent = status(Sent, None);
    for facts in [[unknown.clone(), sent.clone()], [sent, unknown]] {
        let row = ended(&facts);
        assert_eq!((row.status, row.error), (Sent, None));
    }
}

/// A worker's *accepted* of a repetition is no news: only WhatsApp's acknowledgement is.
#[test]
fn an_unknown_outcome_stays_unknown_until_it_is_acknowledged() {
    let unknown = send(Unknown, Some(error("outcome_unknown")));
    for facts in [
        [unknown.clone(), send(Sending, None)],
        [send(Sending, None), unknown],
    ] {
        let row = ended(&facts);
        assert_eq!(
            (row.status, row.error),
            (Unknown, Some(error("outcome_unknown")))
        );
    }
}

#[test]
fn what_came_in_has_no_status_that_a_report_could_change() {
    let Fact::Status(report) = status(Read, Some(error("x"))) else {
        unreachable!("made above");
    };
    let row = ended(&[Fact::Inbound(inbound("hi"))]);
    let folded = fold(Some(&row), &Fact::Status(report), now());
    assert_eq!((folded.changed, folded.event), (false, None));
    assert_eq!(folded.recorded.message, row);
}

/// The same in both orders but for the times.
#[test]
fn a_message_typed_on_the_phone_and_its_statuses_fold_in_any_order() {
    let typed = Fact::Inbound(Inbound {
        from_me: true,
        ..inbound("hi")
    });
    let Fact::Status(report) = status(Read, None) else {
        unreachable!("made above");
    };
    let report = Fact::Status(StatusFact {
        own: Some(OwnMessage {
            chat_id: "491701234567@s.whatsapp.net".to_owned(),
            sender: Some("491701234567@s.whatsapp.net".to_owned()),
        }),
        ..report
    });
    let one = ended(&[typed.clone(), report.clone()]);
    let other = ended(&[report, typed.clone(), typed]);
    assert_eq!(one, other);
    assert_eq!((one.status, one.source), (Read, Some(MessageSource::Phone)));
    assert!(one.timeline.sent.is_some() && !one.is_stub());
}

#[test]
fn a_report_before_its_sends_row_makes_a_stub_that_the_send_fills() {
    let (stub, folds) = all(&[status(Sent, None)]);
    let stub = stub.expect("a stub");
    assert!(stub.is_stub());
    assert!(stub.content.is_none() && stub.body_hash.is_none());
    assert_eq!(folds[0].recorded.before, None);

    let filled = fold(Some(&stub), &send(Sending, None), now());
    assert!(filled.changed);
    assert!(filled.event.is_none(), "the status has not changed");
    let row = filled.recorded.message;
    assert!(!row.is_stub());
    assert_eq!(row.status, Sent);
    assert_eq!(row.content, Some(serde_json::json!({ "text": "hello" })));
    assert_eq!(filled.recorded.before, Some(Sent));
}

#[test]
fn another_body_is_a_mismatch_and_changes_nothing() {
    let row = ended(&[send(Unknown, None)]);
    let Fact::Outgoing(mut other) = send(Failed, Some(error("x"))) else {
        unreachable!()
    };
    other.body_hash = [8; 32];
    other.content = serde_json::json!({ "text": "bye" });
    let folded = fold(Some(&row), &Fact::Outgoing(other), now());
    assert!(folded.recorded.mismatch && !folded.changed && folded.event.is_none());
    assert_eq!(folded.recorded.message, row);
}

#[test]
fn a_repeated_fact_changes_nothing_and_says_nothing() {
    for fact in [
        send(Sending, None),
        send(Failed, Some(error("x"))),
        status(Delivered, None),
        Fact::Inbound(inbound("hi")),
    ] {
        let row = ended(std::slice::from_ref(&fact));
        let later = Timestamp::from_micros(now().as_micros() + 9);
        let again = fold(Some(&row), &fact, later);
        assert!(!again.changed && again.event.is_none(), "{fact:?}");
        assert_eq!(again.recorded.message, row, "its first times stay");
    }
}

fn inbound(text: &str) -> Inbound {
    Inbound {
        id: id(),
        tenant: TenantId::from_u128(1),
        session: SessionId::from_u128(2),
        epoch: Epoch(3),
        wa_message_id: wa(),
        chat_id: "491701234567@s.whatsapp.net".to_owned(),
        sender: "491701234567@s.whatsapp.net".to_owned(),
        kind: "text".to_owned(),
        content: serde_json::json!({ "text": text }),
        offline: true,
        alias: None,
        from_me: false,
        occurred_at: None,
    }
}

#[test]
fn a_message_that_came_in_twice_is_received_once() {
    let (row, folds) = all(&[
        Fact::Inbound(inbound("first")),
        Fact::Inbound(inbound("again")),
    ]);
    let row = row.expect("a row");
    assert_eq!(row.content, Some(serde_json::json!({ "text": "first" })));
    assert_eq!(folds.iter().filter(|fold| fold.event.is_some()).count(), 1);
    let event = folds[0].event.as_ref().map(|event| event.name.as_ref());
    assert_eq!(event, Some("message.received"));
}

fn facts() -> impl Strategy<Value = Fact> {
    let error = || proptest::option::of(prop_oneof![Just(error("a")), Just(error("b"))]);
    let outcome = prop_oneof![Just(Queued), Just(Unknown), Just(Sending), Just(Failed)];
    let report = prop_oneof![
        Just(Unknown),
        Just(Failed),
        Just(Sent),
        Just(Delivered),
        Just(Read),
        Just(Played)
    ];
    prop_oneof![
        1 => (outcome, error()).prop_map(|(to, error)| send(to, error)),
        2 => (report, error()).prop_map(|(to, error)| status(to, error)),
    ]
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_ends_in_the_same_message(
        (first, second) in vec(facts(), 1..8).prop_flat_map(|facts| {
            let indices = vec(0..facts.len(), 0..6);
            (Just(facts.clone()), Just(facts), indices)
                .prop_map(|(first, mut second, again)| {
                    let more: Vec<Fact> = again.iter().map(|index| second[*index].clone()).collect();
                    second.extend(more);
                    (first, second)
                })
                .prop_flat_map(|(first, second)| (Just(first), Just(second).prop_shuffle()))
        }),
    ) {
        let (one, other) = (ended(&first), ended(&second));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn there_is_one_event_for_each_change_of_the_folded_status(facts in vec(facts(), 1..12)) {
        let (_, folds) = all(&facts);
        let mut before = None;
        let mut told = BTreeSet::new();
        for folded in &folds {
            let after = folded.recorded.message.status;
            prop_assert_eq!(folded.recorded.before, before);
            prop_assert!(before.is_none_or(|before| before <= after), "never backwards");
            prop_assert_eq!(folded.event.is_some(), before != Some(after));
            if let Some(event) = &folded.event {
                let Ok(Event::MessageStatus(change)) = event.event() else {
                    panic!("{event:?}")
                };
                prop_assert_eq!((change.previous, change.status), (before, after));
                prop_assert!(told.insert(after), "told twice");
            }
            before = Some(after);
        }
    }

    #[test]
    fn facts_folded_in_memory_first_end_like_facts_folded_one_by_one(
        facts in vec(facts(), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let stored = ended(&facts[..=cut.index(facts.len())]);
        let mut row = stored.clone();
        for fact in &facts {
            row = fold(Some(&row), fact, now()).recorded.message;
        }
        prop_assert_eq!(row, ended(&facts));
    }
}
