//! State: stored in order, and before anybody else may go on with it.

use std::pin::pin;
use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{AssignedSession, StartSessionMode};
use gateway_core::session::Desired;
use gateway_core::state::StateStore;
use gateway_testkit::worker::WorkerRoute;
use gateway_worker::{GatewayError, Refusal, StateLost, Stopping};

use crate::engine::{SESSION, Stage, at_once, connected, message, poll, registered, start};

#[test]
fn a_release_is_answered_when_the_last_write_is_stored() {
    let stage = connected();
    let finish = stage.finish(SESSION, Epoch(1), Stopping::Release);
    let mut finish = pin!(finish);
    assert_eq!(poll(finish.as_mut()), None, "the write is on its way");
    let message = message(&stage, 1);
    let sent = at_once(stage.send(SESSION, &message));
    let current = Epoch(1);
    assert_eq!(sent, Some(Err(Refusal::StaleEpoch { current })));
    stage.settle();
    let released = poll(finish.as_mut()).expect("stored");
    assert_eq!(released.expect("released").last_seq, 1);
    assert_eq!(
        stage.engine().heard(),
        ["start 1", "release", "stored true"]
    );
    let version = at_once(stage.gateway.state.version(SESSION)).expect("at once");
    assert_eq!(version.expect("kept").seq, 1);
}

#[test]
fn a_write_is_repeated_until_the_gateway_has_it() {
    let stage = connected();
    stage.gateway.told().down = true;
    let stored = stage.engine().session().append(vec![b"entry".to_vec()]);
    stage.settle();
    assert_eq!(stored.outcome(), None);
    stage.gateway.told().down = false;
    stage.pass(Duration::from_secs(1));
    assert_eq!(stored.outcome(), Some(Ok(())));
}

#[test]
fn a_session_that_has_moved_on_stores_nothing_more() {
    let stage = connected();
    let first = stage.engine().session();
    let waiting = first.append(vec![b"entry".to_vec()]);
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    assert_eq!(waiting.outcome(), Some(Err(StateLost)));
    let late = first.put_snapshot(b"all".to_vec());
    assert_eq!(late.outcome(), Some(Err(StateLost)));
}

fn says_it_can_store(stage: &Stage) -> Option<bool> {
    let told = stage.gateway.told();
    told.beats.last().and_then(|beat| beat.persist_ok)
}

#[test]
fn a_run_that_cannot_store_says_so_and_the_next_one_begins_anew() {
    let stage = connected();
    let failed = GatewayError::Failed { status: 500 };
    stage
        .gateway
        .told()
        .refusals
        .insert(WorkerRoute::State, failed);
    stage.engine().session().append(vec![b"entry".to_vec()]);
    stage.pass(Duration::from_secs(2));
    stage.pass(Duration::from_secs(2));
    assert_eq!(says_it_can_store(&stage), Some(false));
    let over = GatewayError::IncarnationEnded;
    stage
        .gateway
        .told()
        .refusals
        .insert(WorkerRoute::Heartbeat, over);
    stage.pass(Duration::from_secs(2));
    stage
        .gateway
        .told()
        .refusals
        .remove(&WorkerRoute::Heartbeat);
    stage.pass(Duration::from_secs(2));
    assert_eq!(says_it_can_store(&stage), Some(true));
}

#[test]
fn a_worker_with_nothing_to_write_proves_that_it_can_store_again() {
    let stage = connected();
    let failed = GatewayError::Failed { status: 500 };
    stage
        .gateway
        .told()
        .refusals
        .insert(WorkerRoute::State, failed);
    stage.engine().session().append(vec![b"entry".to_vec()]);
    stage.pass(Duration::from_secs(1));
    let stopped = at_once(stage.finish(SESSION, Epoch(1), Stopping::Logout));
    stopped.expect("at once").expect("stopped");
    for _ in 0..5 {
        stage.pass(Duration::from_secs(2));
        assert_eq!(says_it_can_store(&stage), Some(false));
    }
    assert_eq!(stage.gateway.told().groups, Vec::<usize>::new());
    stage.gateway.told().refusals.clear();
    for _ in 0..4 {
        stage.pass(Duration::from_secs(2));
    }
    assert_eq!(stage.gateway.told().groups, [0], "asked until it is proved");
    assert_eq!(says_it_can_store(&stage), Some(true));
}

#[test]
fn entries_of_several_sessions_travel_together_and_each_has_its_answer() {
    let stage = connected();
    let first = stage.engine().session();
    let other = SessionId::from_u128(8);
    let started = stage.start(other, Epoch(1), StartSessionMode::Qr);
    started.expect("it is taken");
    stage.settle();
    let second = stage.engine().session();
    assert_eq!(second.id(), other);
    let state = &stage.gateway.state;
    at_once(state.append(other, Epoch(2), 0, &[b"somebody else's".to_vec()]));
    let stored = first.append(vec![b"one".to_vec(), b"two".to_vec()]);
    let lost = second.append(vec![b"one".to_vec()]);
    stage.settle();
    assert_eq!(stage.gateway.told().groups, [2]);
    assert_eq!(stored.outcome(), Some(Ok(())));
    assert_eq!(lost.outcome(), Some(Err(StateLost)));
    let holds: Vec<_> = stage.worker.holds();
    assert_eq!(holds.len(), 1, "{holds:?}");
}

#[test]
fn a_session_whose_stored_state_has_gone_back_is_not_connected() {
    let stage = registered();
    stage.gateway.told().assigned = vec![AssignedSession {
        session_id: SESSION,
        epoch: Epoch(1),
        desired: Desired::Connected,
        state_version: 3,
        paired: true,
    }];
    let state = &stage.gateway.state;
    at_once(state.append(SESSION, Epoch(1), 0, &[b"one".to_vec(), b"two".to_vec()]));
    let over = GatewayError::IncarnationEnded;
    stage
        .gateway
        .told()
        .refusals
        .insert(WorkerRoute::Heartbeat, over);
    stage.pass(Duration::from_secs(2));
    stage.gateway.told().refusals.clear();
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.engine().heard(), Vec::<String>::new());
    let told = stage.gateway.told();
    let results = told.recoveries.iter().flat_map(|report| &report.results);
    let results: Vec<_> = results.map(|r| (&*r.status, r.error.as_deref())).collect();
    assert_eq!(results, [("FAILED", Some("state_behind"))]);
}

#[test]
fn a_session_that_comes_back_goes_on_from_where_its_state_was() {
    let stage = connected();
    let stored = stage.engine().session().append(vec![b"entry".to_vec()]);
    stage.settle();
    assert_eq!(stored.outcome(), Some(Ok(())));
    at_once(stage.gateway.state.erase(SESSION));
    start(&stage, 2, StartSessionMode::Restore).expect("it is taken");
    stage.settle();
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("ERROR state_behind")
    );
    assert_eq!(stage.worker.holds(), []);
}
