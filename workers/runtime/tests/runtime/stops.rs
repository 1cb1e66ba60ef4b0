//! Stops: carried out once, to their end, whatever else is said of the session meanwhile.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::protocol::{BeatAnswer, Dropped, Released, StartSessionMode};
use gateway_testkit::worker::StubGateway;
use gateway_worker::{Progress, Refusal, Stopping};

use crate::engine::{SESSION, Stage, at_once, connected, poll, registered, start};

fn stop(
    stage: &Stage,
    epoch: u64,
    how: Stopping,
) -> impl Future<Output = Result<Released, Refusal>> + '_ {
    let run = stage.worker.owner().incarnation;
    async move {
        let finish = stage
            .worker
            .finish(SESSION, Epoch(epoch), &run, how, &*stage.clock);
        finish.await
    }
}

/// Lets a heartbeat be answered that drops the session up to this epoch.
fn drop_by_heartbeat(stage: &Stage, epoch: u64) {
    stage.gateway.told().beat_answer = Some(BeatAnswer {
        lease_seconds: StubGateway::LEASE.as_secs(),
        dropped: vec![Dropped {
            session_id: SESSION,
            epoch: Epoch(epoch),
        }],
        start: Vec::new(),
        drain: false,
        send_held: false,
    });
    stage.pass(Duration::from_secs(2));
}

#[test]
fn a_heartbeat_does_not_cut_off_a_logout_that_is_under_way() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let mut logout = pin!(stop(&stage, 1, Stopping::Logout));
    assert_eq!(poll(logout.as_mut()), None);
    drop_by_heartbeat(&stage, 1);
    let waiting = stage.engine().session().append(vec![b"last".to_vec()]);
    stage.settle();
    assert_eq!(waiting.outcome(), Some(Ok(())), "it is still ours");
    stage.engine().let_go();
    let released = poll(logout.as_mut()).expect("let go").expect("stopped");
    assert_eq!(
        (released.last_seq, released.remote_unlinked),
        (1, Some(true))
    );
    assert_eq!(stage.engine().heard(), ["start 1", "logout 1"]);
}

#[test]
fn a_heartbeat_cuts_off_what_a_stop_has_left_behind() {
    let stage = connected();
    stage.engine().played().held_back = true;
    {
        let mut interrupted = pin!(stop(&stage, 1, Stopping::Logout));
        assert_eq!(poll(interrupted.as_mut()), None);
    }
    drop_by_heartbeat(&stage, 1);
    assert_eq!(stage.engine().heard(), ["start 1", "logout 1", "abandon 1"]);
    assert_eq!(stage.worker.holds(), []);
}

#[test]
fn a_session_that_is_stopped_before_its_state_was_read_is_never_started() {
    let stage = registered();
    start(&stage, 1, StartSessionMode::Qr).expect("it is taken");
    let read = stage.worker.advance(stage.now());
    let stopped = at_once(stop(&stage, 1, Stopping::Logout)).expect("at once");
    assert_eq!(stopped.expect("stopped").remote_unlinked, Some(false));
    for outbound in read {
        let answer = at_once(outbound.perform(&stage.gateway)).expect("at once");
        stage.worker.answered(outbound.id, stage.now(), answer);
    }
    stage.settle();
    assert!(
        stage.engine().heard().is_empty(),
        "{:?}",
        stage.engine().heard()
    );
    assert_eq!(stage.worker.holds(), []);
}

#[test]
fn a_repeated_stop_waits_for_the_first_and_gets_its_result() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let mut first = pin!(stop(&stage, 1, Stopping::Logout));
    let mut second = pin!(stop(&stage, 1, Stopping::Logout));
    let mut release = pin!(stop(&stage, 1, Stopping::Release));
    assert_eq!(poll(first.as_mut()), None);
    assert_eq!(poll(second.as_mut()), None);
    assert_eq!(poll(release.as_mut()), None);
    stage.engine().let_go();
    let released = poll(first.as_mut()).expect("it was let go");
    assert_eq!(poll(second.as_mut()), Some(released));
    let other = poll(release.as_mut()).expect("nothing is left to stop");
    assert_eq!(other.expect("released").remote_unlinked, None);
    assert_eq!(stage.engine().heard(), ["start 1", "logout 1"]);
}

#[test]
fn a_stop_that_was_interrupted_is_made_by_its_repetition() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let mut second = {
        let mut first = pin!(stop(&stage, 1, Stopping::Logout));
        assert_eq!(poll(first.as_mut()), None);
        let mut second = Box::pin(stop(&stage, 1, Stopping::Logout));
        assert_eq!(poll(second.as_mut()), None);
        second
    };
    stage.engine().let_go();
    let released = poll(second.as_mut()).expect("let go").expect("stopped");
    assert_eq!(released.remote_unlinked, Some(true));
    assert_eq!(stage.engine().heard(), ["start 1", "logout 1", "logout 1"]);
}

#[test]
fn a_stop_of_an_old_epoch_says_so_to_the_engine() {
    let stage = connected();
    stage.engine().played().held_back = true;
    let mut old = pin!(stop(&stage, 1, Stopping::Logout));
    assert_eq!(poll(old.as_mut()), None);
    start(&stage, 2, StartSessionMode::Qr).expect("it is taken");
    stage.settle();
    stage.engine().let_go();
    poll(old.as_mut()).expect("let go").expect("stopped");
    stage.engine().session().report(Progress::connected(None));
    let held: Vec<_> = stage.worker.holds().iter().map(|held| held.epoch).collect();
    assert_eq!(held, [Epoch(2)], "the new link is not touched");
    let current = Epoch(2);
    let late = at_once(stop(&stage, 1, Stopping::Logout));
    assert_eq!(late, Some(Err(Refusal::StaleEpoch { current })));
    let heard = stage.engine().heard();
    assert_eq!(heard, ["start 1", "logout 1", "abandon 1", "start 2"]);
}
