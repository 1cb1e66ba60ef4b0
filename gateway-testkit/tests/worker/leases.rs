//! Epochs, tombstones and the lease: a session is never live twice.

use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{AssignedSession, BeatAnswer, Dropped, StartSessionMode};
use gateway_core::session::Desired;
use gateway_core::time::Clock;
use gateway_core::worker::LinkError;
use gateway_testkit::worker::{Restart, Script, StubGateway, Window};

use crate::stage::{SESSION, Stage, worker};

const LEASE: Duration = StubGateway::LEASE;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn stale(current: u64) -> LinkError {
    LinkError::StaleEpoch {
        current: Epoch(current),
    }
}

#[test]
fn a_repeated_start_gets_the_same_answer_and_a_lower_epoch_is_refused() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.target("a");
    assert_eq!(
        stage.start(&target, 3, StartSessionMode::Qr),
        Ok("CONNECTING".to_owned())
    );
    assert_eq!(
        stage.start(&target, 3, StartSessionMode::Qr),
        Ok("CONNECTING".to_owned())
    );
    assert_eq!(stage.start(&target, 2, StartSessionMode::Qr), Err(stale(3)));
    assert_eq!(
        stage.start(&target, 4, StartSessionMode::Qr),
        Ok("CONNECTING".to_owned())
    );
    assert_eq!(stage.send(&target, 3, 1), Err(stale(4)));
}

#[test]
fn what_was_stopped_before_it_started_never_starts() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.target("a");
    assert_eq!(stage.release(&target, 5), Ok(0));
    assert_eq!(stage.release(&target, 5), Ok(0), "and says so again");
    assert_eq!(stage.start(&target, 5, StartSessionMode::Qr), Err(stale(5)));
    assert_eq!(stage.release(&target, 4), Err(stale(5)));
    assert!(stage.start(&target, 6, StartSessionMode::Qr).is_ok());
}

#[test]
fn a_command_for_another_run_is_refused_with_the_present_one() {
    let stage = Stage::with(&["a"], &Script::default());
    let old = stage.target("a");
    stage.fleet.restart(&worker("a"));
    stage.settle();
    let present = stage.target("a").owner.incarnation;
    let refused = LinkError::WrongIncarnation {
        current: Some(present),
    };
    assert_eq!(stage.start(&old, 1, StartSessionMode::Qr), Err(refused));
}

#[test]
fn a_run_that_has_ended_before_it_could_register_gives_way_to_another() {
    let stage = Stage::with(&[], &Script::default());
    stage.gateway.told().next_run_has_ended = true;
    stage.fleet.add(&worker("a"), Script::default());
    stage.pass(seconds(3));
    let registrations = stage.gateway.told().registrations.clone();
    let runs: Vec<_> = registrations.iter().map(|r| &r.incarnation).collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_ne!(runs[0], runs[1]);
}

#[test]
fn a_worker_that_is_cut_off_closes_its_sessions_when_its_lease_is_over() {
    let stage = Stage::with(&["a", "b"], &Script::default());
    let old = stage.connect("a");
    stage.fleet.partition(&worker("a"));
    stage.pass(LEASE + seconds(1));
    let holds = stage.fleet.look(&worker("a"), |w| w.holds().len());
    assert_eq!(holds, Some(0));
    assert_ne!(stage.target("a").owner.incarnation, old.owner.incarnation);

    let target = stage.target("b");
    stage
        .start(&target, 2, StartSessionMode::Restore)
        .expect("taken");
    stage.pass(seconds(1));
    stage.fleet.heal(&worker("a"));
    stage.pass(seconds(10));
    assert_eq!(stage.fleet.recorder().live_twice(), []);
    let registrations = stage.gateway.told().registrations.len();
    assert_eq!(registrations, 3, "it has registered again");
}

#[test]
fn a_frozen_worker_wakes_up_to_a_closed_gate() {
    let stage = Stage::with(&["a", "b"], &Script::default());
    let old = stage.connect("a");
    stage.fleet.freeze(&worker("a"));
    assert_eq!(stage.send(&old, 1, 1), Err(LinkError::Unknown));
    stage.pass(LEASE + seconds(2));
    let target = stage.target("b");
    stage
        .start(&target, 2, StartSessionMode::Restore)
        .expect("taken");
    stage.pass(seconds(1));
    stage.fleet.thaw(&worker("a"));
    assert!(matches!(
        stage.send(&old, 1, 2),
        Err(LinkError::WrongIncarnation { .. })
    ));
    assert!(stage.send(&target, 2, 2).is_ok());
    assert_eq!(stage.fleet.recorder().live_twice(), []);
    assert_eq!(stage.fleet.recorder().stale_frames(), []);
}

#[test]
fn a_resumed_image_holds_its_old_epochs_only_as_long_as_its_lease() {
    let mut script = Script::default();
    script.faults.restart = Restart::OldEpochs;
    let stage = Stage::with(&["a"], &script);
    let old = stage.connect("a");
    stage.fleet.crash(&worker("a"));
    assert_eq!(stage.send(&old, 1, 1), Err(LinkError::NotSent));
    stage.clock.advance(LEASE + seconds(1));
    stage.fleet.restart(&worker("a"));
    assert!(matches!(
        stage.send(&old, 1, 1),
        Err(LinkError::WrongIncarnation { .. })
    ));
}

#[test]
fn a_refused_renewal_ends_the_incarnation_at_once() {
    let stage = Stage::with(&["a"], &Script::default());
    let old = stage.connect("a");
    stage.gateway.told().renewals_refused = true;
    stage.pass(seconds(3));
    stage.gateway.told().renewals_refused = false;
    assert_ne!(stage.target("a").owner, old.owner);
    assert_eq!(stage.fleet.look(&worker("a"), |w| w.holds().len()), Some(0));
}

#[test]
fn a_dropped_session_is_closed_and_stays_closed() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    let reports = stage.gateway.told().reports.len();
    stage.gateway.told().beat_answer = Some(BeatAnswer {
        lease_seconds: LEASE.as_secs(),
        dropped: vec![Dropped {
            session_id: SESSION,
            epoch: Epoch(1),
        }],
        start: Vec::new(),
        drain: true,
        send_held: true,
    });
    stage.pass(seconds(2));
    assert_eq!(
        stage.start(&target, 1, StartSessionMode::Restore),
        Err(stale(1))
    );
    assert_eq!(
        stage.gateway.told().reports.len(),
        reports,
        "without a word"
    );
    stage.pass(seconds(2));
    let beat = stage.gateway.told().beats.last().cloned().expect("a beat");
    assert_eq!(beat.held, Some(Vec::new()), "in full, as it was asked");
}

#[test]
fn a_report_of_an_old_epoch_drops_the_session_without_a_logout() {
    let stage = Stage::with(&["a", "b"], &Script::default());
    let old = stage.connect("a");
    stage.gateway.told().overtaken.insert(SESSION);
    stage.fleet.upstream(
        SESSION,
        gateway_testkit::worker::Upstream::ConnectionLost { back_after_ms: 0 },
    );
    stage.settle();
    assert_eq!(stage.send(&old, 1, 1), Err(stale(1)));
    stage.gateway.told().overtaken.clear();
    stage
        .start(&stage.target("b"), 2, StartSessionMode::Restore)
        .expect("taken");
    stage.pass(seconds(1));
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(statuses.last().map(String::as_str), Some("CONNECTED"));
}

#[test]
fn reports_are_kept_until_the_gateway_has_them() {
    let stage = Stage::with(&["a"], &Script::default().auto_scan(1_000));
    stage
        .start(&stage.target("a"), 1, StartSessionMode::Qr)
        .expect("taken");
    stage.gateway.told().down = true;
    stage.pass(seconds(8));
    assert_eq!(stage.gateway.statuses(SESSION), ["QR_REQUIRED"]);
    stage.gateway.told().down = false;
    stage.pass(seconds(10));
    assert_eq!(
        stage.gateway.statuses(SESSION),
        [
            "QR_REQUIRED",
            "CONNECTING pairing",
            "CONNECTING syncing",
            "CONNECTED"
        ]
    );
}

#[test]
fn lost_calls_and_lost_answers_delay_but_lose_nothing() {
    let mut script = Script::default().auto_scan(1_000);
    script.faults.lost_report_every = Some(3);
    script.faults.lost_answer_every = Some(4);
    let stage = Stage::with(&["a"], &script);
    stage.pass(seconds(3));
    let target = stage.target("a");
    stage
        .start(&target, 1, StartSessionMode::Qr)
        .expect("taken");
    stage.pass(seconds(10));
    let mut statuses = stage.gateway.statuses(SESSION);
    statuses.dedup();
    assert_eq!(
        statuses,
        [
            "QR_REQUIRED",
            "CONNECTING pairing",
            "CONNECTING syncing",
            "CONNECTED"
        ]
    );
    for number in 1..=300 {
        stage.pass(Duration::from_millis(100));
        assert!(stage.send(&target, 1, number).is_ok(), "{number}");
    }
}

#[test]
fn a_restarted_worker_restores_what_is_assigned_to_it() {
    let stage = Stage::with(&["a"], &Script::default());
    stage.connect("a");
    let unknown = SessionId::from_u128(8);
    let line = |session_id, epoch, state_version| AssignedSession {
        session_id,
        epoch: Epoch(epoch),
        desired: Desired::Connected,
        state_version,
        paired: true,
    };
    stage.gateway.told().assigned = vec![line(SESSION, 2, 1), line(unknown, 1, 0)];
    stage.fleet.restart(&worker("a"));
    stage.pass(seconds(2));
    let told = stage.gateway.told();
    let results = told.recoveries.iter().flat_map(|body| &body.results);
    let mut results: Vec<_> = results.map(|r| (r.session_id, r.status.as_str())).collect();
    results.sort_unstable();
    assert_eq!(results, [(SESSION, "RECOVERED"), (unknown, "QR_REQUIRED")]);
    let last = told.reports.last().expect("a report");
    assert_eq!((last.status.as_str(), last.epoch), ("CONNECTED", Epoch(2)));
    drop(told);
    assert_eq!(stage.fleet.recorder().live_twice(), []);
}

#[test]
fn a_stopped_worker_says_goodbye() {
    let stage = Stage::with(&["a"], &Script::default());
    let target = stage.connect("a");
    stage.fleet.stop(&worker("a"));
    stage.settle();
    assert_eq!(stage.gateway.told().goodbyes.last(), Some(&target.owner));
    assert_eq!(stage.send(&target, 1, 1), Err(LinkError::NotSent));
}

#[test]
fn time_can_be_moved_from_one_due_moment_to_the_next() {
    let mut script = Script::default().auto_scan(1_000);
    script.faults.freeze = Some(Window {
        after_ms: 10_000,
        for_ms: 5_000,
    });
    let stage = Stage::with(&["a"], &script);
    stage
        .start(&stage.target("a"), 1, StartSessionMode::Qr)
        .expect("taken");
    let end = stage.clock.uptime().plus(seconds(60));
    let mut jumps = 0;
    while let Some(next) = stage.fleet.next_due().filter(|next| *next <= end) {
        let now = stage.clock.uptime();
        assert!(next > now, "nothing that is due is left undone");
        stage.clock.advance(next.since(now));
        stage.settle();
        jumps += 1;
    }
    assert!(
        jumps < 60,
        "a heartbeat every two seconds and little else: {jumps}"
    );
    let statuses = stage.gateway.statuses(SESSION);
    assert_eq!(statuses.last().map(String::as_str), Some("CONNECTED"));
}

#[test]
fn the_recorder_notices_a_session_that_is_live_twice() {
    let stage = Stage::with(&["a", "b"], &Script::default());
    stage.connect("a");
    stage
        .start(&stage.target("b"), 2, StartSessionMode::Restore)
        .expect("taken");
    assert_eq!(stage.fleet.recorder().live_twice().len(), 1);
}
