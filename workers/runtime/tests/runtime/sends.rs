//! Sends: once per message id, whatever is repeated while the engine is at it.

use std::pin::pin;

use gateway_core::id::Epoch;
use gateway_core::protocol::NamedCall;
use gateway_worker::Refusal;
use serde_json::Map;

use crate::engine::{SESSION, at_once, connected, message, poll};

#[test]
fn a_repetition_waits_for_the_first_send_and_gets_its_result() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let message = message(&stage, 1);
    let mut first = pin!(stage.send(SESSION, &message));
    let mut second = pin!(stage.send(SESSION, &message));
    assert_eq!(poll(first.as_mut()), None);
    assert_eq!(poll(second.as_mut()), None);
    stage.engine().let_go();
    let sent = poll(first.as_mut()).expect("it was let go");
    assert_eq!(poll(second.as_mut()), Some(sent));
    assert_eq!(stage.engine().heard(), ["start 1", "send \"1\""]);
}

#[test]
fn another_body_is_refused_while_the_first_is_under_way() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let message = message(&stage, 1);
    let mut first = pin!(stage.send(SESSION, &message));
    assert_eq!(poll(first.as_mut()), None);
    let mut other = message.clone();
    other.body_hash = "another".to_owned();
    let refused = at_once(stage.send(SESSION, &other));
    assert_eq!(refused, Some(Err(Refusal::BodyMismatch)));
}

#[test]
fn a_send_that_was_taken_back_can_be_made_again() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let message = message(&stage, 1);
    {
        let mut dropped = pin!(stage.send(SESSION, &message));
        assert_eq!(poll(dropped.as_mut()), None);
    }
    stage.engine().let_go();
    let sent = at_once(stage.send(SESSION, &message));
    assert!(matches!(sent, Some(Ok(_))), "{sent:?}");
    assert_eq!(
        stage.engine().heard().len(),
        3,
        "the engine was asked again"
    );
}

#[test]
fn a_call_the_engine_does_not_know_is_not_supported() {
    let stage = connected();
    let mut body = NamedCall {
        epoch: Epoch(1),
        incarnation: stage.worker.owner().incarnation,
        arguments: Map::new(),
    };
    let called = at_once(stage.worker.call(SESSION, "typing", &body, stage.now()));
    let refused = Refusal::Final {
        status: 501,
        code: "not_supported".to_owned(),
    };
    assert_eq!(called, Some(Err(refused)));
    body.epoch = Epoch(0);
    let stale = at_once(stage.worker.call(SESSION, "typing", &body, stage.now()));
    let current = Epoch(1);
    assert_eq!(stale, Some(Err(Refusal::StaleEpoch { current })));
}
