//! An engine that fails: its worker gives up what it held and says so.

use std::time::Duration;

use gateway_core::protocol::StartSessionMode;
use gateway_testkit::worker::WorkerRoute;

use crate::engine::{SESSION, Stage, at_once, connected, message, start};

/// Checks that the worker has given up its session, told the gateway what it knew, and gone.
fn assert_given_up(stage: &Stage) {
    assert_eq!(stage.worker.holds(), []);
    let failure = stage.worker.failure();
    assert_eq!(failure.as_deref(), Some("the engine is broken"));
    assert!(stage.worker.is_gone());
    let told = stage.gateway.told();
    assert_eq!(told.taken.last(), Some(&WorkerRoute::Goodbye));
    assert_eq!(told.goodbyes, [stage.worker.owner()]);
}

#[test]
fn a_worker_whose_engine_panics_gives_its_sessions_up_and_says_goodbye() {
    let stage = connected();
    let message = message(&stage, 1);
    let sent = at_once(stage.send(SESSION, &message));
    sent.expect("at once").expect("accepted");
    stage.engine().played().panics_in = Some("load");
    stage.pass(Duration::from_secs(2));
    assert_given_up(&stage);
    assert_eq!(
        stage.engine().heard().last().map(String::as_str),
        Some("abandon 1")
    );
    let told = stage.gateway.told();
    let last = told.receipts.last().map(|receipt| receipt.status.as_str());
    assert_eq!(last, Some("unknown"));
}

#[test]
fn an_engine_that_panics_at_a_start_ends_its_worker() {
    let stage = connected();
    stage.engine().played().panics_in = Some("start");
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    assert_given_up(&stage);
}

#[test]
fn an_engine_that_panics_whatever_it_is_asked_is_asked_once() {
    let stage = connected();
    stage.engine().played().panics_in = Some("abandon");
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    assert_given_up(&stage);
}

#[test]
fn an_engine_can_say_that_it_cannot_go_on() {
    let stage = connected();
    stage.worker.fail("the engine is broken");
    stage.settle();
    assert_given_up(&stage);
}
