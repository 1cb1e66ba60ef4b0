//! State: stored in order, and before anybody else may go on with it.

use std::pin::pin;
use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::protocol::StartSessionMode;
use gateway_core::state::StateStore;
use gateway_worker::{Refusal, StateLost, Stopping};

use crate::engine::{SESSION, at_once, connected, message, poll, start};

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
