//! What an engine is told, and in which order.

use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::protocol::StartSessionMode;
use gateway_testkit::worker::StubGateway;
use gateway_worker::{Ending, Progress, Refusal, Stopping};

use crate::engine::{SESSION, at_once, connected, registered, start};

#[test]
fn a_start_at_a_higher_epoch_ends_the_lower_one_first() {
    let stage = connected();
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    assert_eq!(stage.engine().heard(), ["start 1", "abandon 1", "start 2"]);
}

#[test]
fn a_start_that_the_engine_refuses_is_reported_as_its_ending() {
    let stage = registered();
    stage.engine().played().refusal = Some(Ending::logged_out("no_credentials"));
    start(&stage, 1, StartSessionMode::Restore).expect("it is taken");
    stage.settle();
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(statuses, ["LOGGED_OUT no_credentials"]);
    assert_eq!(stage.worker.holds(), []);
}

#[test]
fn an_engine_without_a_lease_is_cut_off() {
    let stage = connected();
    let session = stage.engine().session();
    assert!(session.is_open(stage.now().uptime));
    stage.gateway.told().down = true;
    stage.clock.advance(StubGateway::LEASE);
    assert!(
        !session.is_open(stage.now().uptime),
        "before anybody noticed"
    );
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.engine().heard(), ["start 1", "abandon 1"]);
    session.report(Progress::connecting("too late"));
    stage.gateway.told().down = false;
    stage.pass(Duration::from_secs(10));
    assert_eq!(stage.gateway.statuses(SESSION), ["CONNECTED"]);
}

#[test]
fn the_engine_is_asked_how_a_session_is() {
    let stage = connected();
    let state = at_once(stage.worker.session(SESSION, &*stage.clock));
    let state = state.expect("at once").expect("it is held");
    assert_eq!(state.reason.as_deref(), Some("of the engine"));
    assert_eq!((state.session_id, state.epoch), (Some(SESSION), Epoch(1)));
}

#[test]
fn a_logout_says_whether_whatsapp_was_told() {
    let stage = connected();
    let finish = |epoch| {
        let finish = stage.finish(SESSION, Epoch(epoch), Stopping::Logout);
        at_once(finish).expect("at once")
    };
    let unlinked = finish(1).expect("it is done").remote_unlinked;
    assert_eq!(unlinked, Some(true));
    let again = finish(1).expect("it is done").remote_unlinked;
    assert_eq!(again, Some(false), "there is nothing left to unlink");
    let current = Epoch(1);
    assert_eq!(finish(0), Err(Refusal::StaleEpoch { current }));
}
